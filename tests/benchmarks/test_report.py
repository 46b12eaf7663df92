"""The tables: what stands in a row, and what is said below."""

import io

from rich.console import Console

from benchmarks import report
from benchmarks.case import COMPILED, MINICNN, TORCH
from benchmarks.roofline import Peaks, floor

QUIET = {"compute": 0.01, "memory": 0.02, "slowest": 1.1, "noisy": False, "attempts": 1}


def peer(median: float, ratio: float) -> dict:
    return {
        "median": median,
        "q1": median,
        "q3": median,
        "ratio": {"median": ratio, "q1": ratio, "q3": ratio},
        "cores": 1.9,
    }


def record(**changes) -> dict:
    peers = {MINICNN: peer(20, 1), COMPILED: peer(10, 0.5), TORCH: peer(40, 2)}
    fixed = {"bench": "b", "case": "a case", "threads": 2, "unit": "ms", "flops": 1e9, "bytes": 1e8, "skipped": {}}
    return fixed | {"peers": peers, "noise": QUIET, "peaks": {"gflops": 100, "gbs": 20}} | changes


def test_row_by_hand():
    first, _, last = report.rows(record())
    assert first[:3] == ["a case", "2", MINICNN]
    assert last[2:5] == [TORCH, "40.0 ms", "40.0 to 40.0"]
    assert last[5:7] == ["2.00 (2.00 to 2.00)", "4.00"]
    # 1e9 operations in 40 ms; at 100 GFLOP/s they need 10 ms, and the bytes 5
    assert last[7:] == ["25", "2.5", "25 % (flops)", "1.9"]


def test_floor_by_hand():
    assert floor(1e9, 1e8, Peaks(100, 20)) == (0.01, "flops")
    assert floor(1e8, 1e8, Peaks(100, 20)) == (0.005, "bytes")


def test_other_units_have_no_rates():
    assert next(report.rows(record(unit="MiB")))[7:10] == ["", "", ""]


def test_caption_tells_peaks_noise_and_who_is_missing():
    text = report.caption([record(), record(skipped={"JAX jit": "jax is not installed"})])
    assert "2 threads: 100 GFLOP/s, 20.0 GB/s from memory" in text
    assert "at most 2 %" in text
    assert "NOISY" not in text
    assert "Skipped: JAX jit, because jax is not installed." in text
    noisy = report.caption([record(noise=QUIET | {"memory": 0.4, "noisy": True, "attempts": 3})])
    assert "NOISY MACHINE" in noisy
    assert "a case (2 threads, 3 attempts)" in noisy


def test_table_is_printed():
    out = io.StringIO()
    report.show(Console(file=out, width=170), "b", "what it measures", [record()])
    assert "b: what it measures" in out.getvalue()
    assert "25 % (flops)" in out.getvalue()
