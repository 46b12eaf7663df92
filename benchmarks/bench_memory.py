"""Peak memory (resident set) of a process that trains the MNIST CNN, each peer in a fresh one; and after the import alone.

The floor is the interpreter with NumPy, about 30 MiB, and the step's data: at batch 64 parameters, gradients and Adam's two
averages 26 MB, activations and their gradients some 40 MB.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .bench_train_step import peers as steps_of
from .case import JAX, MINICNN, TORCH, ProcessCase, Setting, library_of
from .harness import run_pinned

PROCESSES = True
MIB = 1 << 20
STEPS = 10  # the peak is reached in the second: recycled blocks, Adam's state, the compiled plan are there


def resident() -> tuple[float, float]:
    """MiB of this process in memory: the most so far, and now.

    From Linux's own count where there is one: ``ru_maxrss`` also counts what the parent had in memory at the fork.
    """
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        peak, now = (int(lines[name].split()[0]) * 1024 / MIB for name in ("VmHWM", "VmRSS"))
        return peak, now
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MIB
    return peak, peak


def run(peer: str, batch: int, steps: int) -> float:
    """In the fresh process: MiB at the peak of so many steps; for none, after the import."""
    if not steps:
        importlib.import_module(library_of(peer))
        return resident()[1]
    step = steps_of(batch)[peer]()
    for _ in range(steps):
        step()
    return resident()[0]


def _process(peer: str, batch: int, steps: int, threads: int) -> float:
    code = f"from benchmarks.bench_memory import run; print(run({peer!r}, {batch}, {steps}))"
    return run_pinned(["-W", "ignore", "-c", code], threads)


def cases(setting: Setting) -> Iterator[ProcessCase]:
    for batch in (2,) if setting.quick else (64, 256):
        peers = {peer: partial(_process, peer, batch, STEPS, setting.threads) for peer in steps_of(batch)}
        yield ProcessCase(f"peak, MNIST CNN, batch {batch}", "MiB", peers, rounds=2)
    peers = {peer: partial(_process, peer, 0, 0, setting.threads) for peer in (MINICNN, TORCH, JAX)}
    yield ProcessCase("after the import", "MiB", peers, rounds=2)
