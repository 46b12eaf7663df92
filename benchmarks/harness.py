"""Measuring peers fairly: one process a thread count, pinned before anything is imported; rounds in turns, with a pause
between peers, because threads that one peer leaves spinning steal the other's core.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "MINICNN_NUM_THREADS",
)
PAUSE = 0.15  # seconds; OpenMP workers spin for some time after each parallel region


def run_pinned(module: str, threads: int, arguments: list[str]) -> dict:
    """Run ``python -m module --worker`` in a process of its own, held to ``threads`` cores; returns the JSON it prints."""
    environment = dict(os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)))
    affinity = getattr(os, "sched_getaffinity", None)
    cores = sorted(affinity(0))[:threads] if affinity else None

    def pin() -> None:
        if cores:
            os.sched_setaffinity(0, cores)

    command = [sys.executable, "-m", module, "--worker", "--threads", str(threads), *arguments]
    done = subprocess.run(command, env=environment, preexec_fn=pin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def interleave(
    peers: dict[str, Callable[[], object]], rounds: int, steps: int, warm_up: int = 3, pause: float = PAUSE
) -> dict[str, list[float]]:
    """Seconds a call for each peer: ``rounds`` times round the peers, ``steps`` timed calls each after one untimed."""
    for call in peers.values():
        for _ in range(warm_up):
            call()
    seconds: dict[str, list[float]] = {name: [] for name in peers}
    names = list(peers)
    for r in range(rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            call = peers[name]
            time.sleep(pause)
            call()
            for _ in range(steps):
                start = time.perf_counter()
                call()
                seconds[name].append(time.perf_counter() - start)
    return seconds


def summarise(seconds: list[float]) -> dict[str, float]:
    """Median and quartiles, in milliseconds."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    return {"median_ms": middle * 1e3, "q1_ms": low * 1e3, "q3_ms": high * 1e3, "n": len(seconds)}


def machine() -> dict[str, str]:
    """What was measured on."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return {
        "cpu": model,
        "cores": str(os.cpu_count()),
        "python": platform.python_version(),
        "system": platform.system(),
    }


def write_json(path: str | None, result: dict) -> None:
    """Store a result, if a file was asked for."""
    if path:
        Path(path).write_text(json.dumps(result, indent=2) + "\n")
        print(f"written to {path}")
