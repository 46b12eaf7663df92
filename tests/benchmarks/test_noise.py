"""The noise detector, on numbers made up for it."""

import pytest

from benchmarks.noise import LIMIT, SECONDS, Reference, quartiles, spread, verdict


def test_quartiles_by_hand():
    assert quartiles([5.0]) == (5, 5, 5)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2, 3, 4)


def test_spread_by_hand():
    assert spread([7.0, 7.0, 7.0, 7.0]) == 0
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(2 / 3)


def test_quiet_machine():
    samples = {"compute": [1.0, 1.01, 1.02, 1.0], "memory": [2.0, 2.01, 2.0, 2.02]}
    found = verdict(samples)
    assert not found["noisy"]
    assert found["slowest"] == pytest.approx(1.02)


@pytest.mark.parametrize("loop", ["compute", "memory"])
def test_either_loop_can_tell_of_noise(loop):
    samples = {"compute": [1.0] * 8, "memory": [2.0] * 8} | {loop: [1.0, 1.3] * 4}
    found = verdict(samples, attempts=2)
    assert found["noisy"]
    assert found[loop] > LIMIT
    assert found["attempts"] == 2


def test_one_outlier_is_no_noise():
    """A median does not mind it; the slowest sample is told all the same."""
    found = verdict({"compute": [1.0] * 15 + [5.0], "memory": [1.0] * 16})
    assert not found["noisy"]
    assert found["slowest"] == 5


def test_reference_is_calibrated_by_the_clock():
    """Each look at the clock is an eighth of the wanted time later: so a loop is repeated eight times."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += SECONDS / 8
        return now

    reference = Reference(1, clock)
    assert [repeats for _, repeats in reference._loops.values()] == [8, 8]
    reference.sample(times=3)
    assert {name: len(samples) for name, samples in reference.samples.items()} == {"compute": 3, "memory": 3}
    reference.forget()
    assert reference.samples == {"compute": [], "memory": []}


def test_reference_runs_on_threads():
    reference = Reference(2)
    reference.sample(times=2)
    assert all(seconds > 0 for samples in reference.samples.values() for seconds in samples)
