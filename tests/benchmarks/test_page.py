"""The Markdown of results made up for it."""

from benchmarks.case import COMPILED, MINICNN, TORCH
from benchmarks.page import page
from benchmarks.targets import Row

NOISE = {"compute": 0.01, "memory": 0.25, "slowest": 2.0, "noisy": True, "attempts": 3}


def record(**changes) -> dict:
    peers = {MINICNN: {"median": 20.0}, COMPILED: {"median": 10.0}, TORCH: {"median": 25.0}, "JAX jit": {"median": 9.0}}
    fixed = {"case": "a case", "threads": 2, "unit": "ms", "flops": 1e9, "bytes": 0.0, "noise": NOISE, "peers": peers}
    return fixed | {"peaks": {"gflops": 200.0, "gbs": 20.0}} | changes


def document(*runs: dict, date: str = "2026-01-02") -> dict:
    machine = {"cpu": "A processor", "cores": "2", "system": "Linux"}
    return {"machine": machine, "versions": {"python": "3.11", "torch": "2.13"}, "date": date, "runs": list(runs)}


def test_page_by_hand():
    other = record(
        case="another", noise=NOISE | {"noisy": False}, peers={MINICNN: {"median": 20.0}, TORCH: {"median": 30.0}}
    )
    memory = {"case": "peak", "threads": 1, "unit": "MiB", "flops": 0, "bytes": 0.0}
    memory |= {"peers": {MINICNN: {"median": 100.0}, TORCH: {"median": 250.0}}}
    documents = {"step": document(record(), other), "memory": document(memory)}
    text = page(documents, [Row("a target", 1, 2.4, 1.5, 2.2)], {"step": "A step.", "memory": "Memory."})
    assert (
        text
        == """\
Measured on 2026-01-02: A processor, 2 cores, Linux; python 3.11, torch 2.13.

| target | threads | measured | must | stretch | verdict |
| --- | --- | --- | --- | --- | --- |
| a target | 1 | 2.40 | 1.5 | 2.2 | met, and the stretch |

**step.** A step.

| case | threads | minicnn | minicnn, compiled | of floor | torch | JAX jit |
| --- | --- | --- | --- | --- | --- | --- |
| a case (noisy) | 2 | 20.0 ms | 10.0 ms | 50 % (flops) | 2.50 | **0.90** |
| another | 2 | 20.0 ms |  | 25 % (flops) | 1.50 |  |

Peaks (threads): 200 GFLOP/s and 20.0 GB/s (2). The reference loop's spread: at most 25 %.

**memory.** Memory.

| case | threads | minicnn | torch |
| --- | --- | --- | --- |
| peak | 1 | 100 MiB | 2.50 |
"""
    )


def test_days_that_differ_are_both_told():
    text = page({"a": document(record()), "b": document(record(), date="2026-01-03")}, [], {"a": "", "b": ""})
    assert "Measured on 2026-01-02: A processor" in text
    assert "; on 2026-01-03: A processor" in text
