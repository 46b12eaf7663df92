"""How peers are measured: in turns, in pinned processes, again where it was noisy."""

import os

import pytest

from benchmarks import harness
from benchmarks.harness import Effort, interleave, run_pinned, summarise

EFFORT = Effort(rounds=4, attempts=1, turn=0, pause=0, warm_up=1)


class Machine:
    """Stands in for the reference loop: spreads are read from a list, one an attempt."""

    def __init__(self, *spreads: float):
        self.spreads = list(spreads)
        self.forget()

    def forget(self) -> None:
        self.samples: dict[str, list[float]] = {"compute": [1.0] * 4, "memory": [1.0] * 4}
        self.fresh = True

    def sample(self) -> None:
        if self.fresh:
            width = self.spreads.pop(0)
            self.samples["memory"] = [1 - width / 2] * 4 + [1.0] + [1 + width / 2] * 4
            self.fresh = False


def test_every_peer_is_measured_in_every_round_and_begins_in_turn():
    seen = []
    calls = {name: (lambda name=name: seen.append(name)) for name in "abc"}
    peers, found = interleave(calls, EFFORT, Machine(0.0))
    assert all(len(peer.rounds) == 4 and all(len(turn) == 3 for turn in peer.rounds) for peer in peers.values())
    assert not found["noisy"]
    turns = seen[6:][::4]  # after warming up and counting; an untimed call and three timed ones a turn
    assert "".join(turns) == "abc" + "bca" + "cab" + "abc"


@pytest.mark.parametrize(
    ("spreads", "attempts", "kept"),
    [((0.01,), 1, 0.01), ((0.5, 0.02), 2, 0.02), ((0.5, 0.3, 0.4), 3, 0.3)],
)
def test_noisy_attempts_are_repeated_and_the_quietest_counts(spreads, attempts, kept):
    _, found = interleave({"a": lambda: None}, EFFORT._replace(attempts=3), Machine(*spreads))
    assert found["attempts"] == attempts
    assert found["memory"] == pytest.approx(kept)
    assert found["noisy"] == (kept > 0.1)


def test_short_calls_are_repeated():
    calls = []
    interleave({"a": lambda: calls.append(1)}, EFFORT._replace(rounds=1, turn=1.0), Machine(0.0))
    assert len(calls) == 1 + 1 + 1 + 30  # warm-up, count, untimed, the most that a turn has


def test_summary_by_hand():
    peers = {"own": [[0.001, 0.002, 0.003], [0.002, 0.002, 0.002]], "other": [[0.004] * 3, [0.008] * 3]}
    found = summarise(peers)
    assert found["own"]["median"] == pytest.approx(2)
    assert found["own"]["ratio"] == {"median": 1, "q1": 1, "q3": 1}
    assert found["other"]["median"] == pytest.approx(6)
    assert found["other"]["calls"] == 6
    ratio = found["other"]["ratio"]  # the rounds' ratios are 2 and 4
    assert [ratio[key] for key in ("q1", "median", "q3")] == pytest.approx([2.5, 3, 3.5])


def test_a_pinned_process_has_its_threads_and_cores():
    code = "import json, os, benchmarks.case; print('noise'); print(json.dumps([os.environ['OMP_NUM_THREADS'], "
    code += "os.environ['X'], len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else 1]))"
    assert run_pinned(["-c", code], 1, {"X": "y"}) == ["1", "y", 1]


def test_a_process_that_fails_says_why():
    with pytest.raises(SystemExit, match="the reason"):
        run_pinned(["-c", "raise ValueError('the reason')"], 1)


def test_thread_variables_cover_every_peer():
    assert {"OMP_NUM_THREADS", "MINICNN_NUM_THREADS", "OPENBLAS_NUM_THREADS"} <= set(harness.THREAD_VARIABLES)
    assert os.environ.get("X") is None  # what a process is given stays its own
