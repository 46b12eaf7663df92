"""What the numbers of a row mean, and the table."""

import pytest

from minicnn.profiler import Peak, Profile, Row

PEAK = Peak(flop_rate=1000.0, byte_rate=100.0, forward=0.01, backward=0.02)


def row(forward=1.0, backward=None, flops=0, moved=0, operations=1, layer="a", kind="Conv2d"):
    return Row(layer, kind, (2, 3), operations, forward, backward, flops, moved)


@pytest.mark.parametrize(
    ("given", "of_peak", "bound"),
    [
        (row(flops=500, moved=10), 0.5, "compute"),  # half a second of arithmetic, 0.1 of traffic, in a second
        (row(flops=100, moved=50), 0.5, "memory"),
        (row(flops=2000, moved=0), 2.0, "compute"),  # an algorithm that needs fewer
        (row(forward=0.5, backward=1.5, flops=500, moved=0), 0.25, "compute"),
        (row(flops=5, moved=0), 0.005, "overhead"),  # 0.01 a call, and 0.005 of arithmetic
        (row(backward=0.0, flops=25, moved=0), 0.025, "overhead"),  # 0.03 there and back
        (row(flops=25, moved=0), 0.025, "compute"),
        (row(flops=25, moved=0, operations=3), 0.025, "overhead"),
        (row(operations=0), 0.0, "overhead"),
        (row(flops=None, moved=10), None, ""),
        (row(flops=10, moved=None), None, ""),
    ],
)
def test_peak_and_bound(given, of_peak, bound):
    assert given.of_peak(PEAK) == of_peak
    assert given.bound(PEAK) == bound


def profile(*rows, mode="eval"):
    return Profile("Net", mode, False, ((4, 1, 8, 8),), "float32", 2, 5, 1.75, rows, PEAK)


def test_shares():
    result = profile(row(forward=1.0), row(forward=3.0))
    assert result.seconds == 4.0
    assert [result.share(r) for r in result.rows] == [0.25, 0.75]


def test_table_of_an_evaluation():
    odd = row(forward=3.0, layer="tail.b", kind="Odd", flops=None, moved=None)
    lines = str(profile(row(flops=2_000_000, moved=500_000), odd)).splitlines()
    assert lines[0] == "Net: eval, 4x1x8x8 float32, 2 threads"
    assert lines[1] == "forward: 1750.00 ms; with the clock between the layers 4000.00 ms (medians of 5)"
    words = [" ".join(line.split()) for line in lines]
    assert words[4] == "layer kind result ms share Mflop MB GFLOP/s GB/s of peak bound by"
    assert words[5] == "a Conv2d 2x3 1000.000 25.0% 2.00 0.50 0.0 0.0 500000% memory"
    assert words[6] == "tail.b Odd 2x3 3000.000 75.0% - - - - - -"
    assert words[7] == "total 4000.000 100.0% 2.00 0.50 0.0 0.0"
    assert words[8] == "(the total leaves out what has a dash)"
    assert lines[4].index("kind") == lines[5].index("Conv2d") == lines[6].index("Odd")


def test_table_of_a_training_step():
    lines = str(profile(row(backward=2.0), mode="train")).splitlines()
    assert lines[1].startswith("forward and backward: ")
    assert lines[2].endswith("30000 us an operation")
    assert "forward ms  backward ms" in lines[4]
    assert lines[5].split()[3:5] == ["1000.000", "2000.000"]
    assert "leaves out" not in lines[-1]
