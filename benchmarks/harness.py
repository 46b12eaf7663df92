"""Measuring peers fairly: one process a thread count, pinned before anything is imported; rounds in turns, with a pause
between peers, because threads that one peer leaves spinning steal the other's core.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from . import noise
from .case import Call

ROOT = Path(__file__).resolve().parents[1]
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "MINICNN_NUM_THREADS",
)


class Effort(NamedTuple):
    """How much is measured: ``rounds`` round the peers; a turn takes ``turn`` seconds, but 3 to 30 calls."""

    rounds: int = 7
    attempts: int = 3  # all rounds again while the machine is noisy: the quietest attempt counts
    turn: float = 0.05
    pause: float = 0.1  # seconds; OpenMP workers spin for some time after each parallel region
    warm_up: int = 3


QUICK = Effort(rounds=2, attempts=1, turn=0, pause=0, warm_up=1)


class Peer(NamedTuple):
    """What was measured of one peer: seconds of each call, a list a round; processor seconds a second, over all of them."""

    rounds: list[list[float]]
    cores: float


def run_pinned(arguments: list[str], threads: int, variables: Mapping[str, str] | None = None) -> Any:
    """Run ``python *arguments`` in a process of its own, held to ``threads`` cores; returns the JSON of its last line."""
    environment = dict(os.environ, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **(variables or {}))
    # What is measured is this checkout, whether anything is installed or not.
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(ROOT), str(ROOT / "kernels"), *filter(None, [os.getenv("PYTHONPATH")])]
    )
    affinity = getattr(os, "sched_getaffinity", None)
    cores = sorted(affinity(0))[:threads] if affinity else None

    def pin() -> None:
        if cores:
            os.sched_setaffinity(0, cores)

    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=environment, preexec_fn=pin, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else None


def interleave(calls: dict[str, Call], effort: Effort, reference: noise.Reference) -> tuple[dict[str, Peer], dict]:
    """Time the calls in turns, and the reference loop between the rounds; returns the peers and the noise.

    A noisy attempt is repeated. Which one counts is decided by the reference loop alone, so no peer gains by it.
    """
    steps = {name: _steps(call, effort) for name, call in calls.items()}
    kept: tuple[dict[str, Peer], dict] | None = None
    for attempt in range(1, effort.attempts + 1):
        reference.forget()
        peers = _attempt(calls, steps, effort, reference)
        found = noise.verdict(reference.samples, attempt)
        if kept is None or loudness(found) < loudness(kept[1]):
            kept = peers, found
        kept[1]["attempts"] = attempt
        if not found["noisy"]:
            break
    assert kept is not None
    return kept


def loudness(found: dict) -> float:
    """One number for the noise: the larger spread."""
    return max(found["compute"], found["memory"])


def _steps(call: Call, effort: Effort) -> int:
    """Warm up (which compiles what is compiled), and see how many calls make a turn."""
    for _ in range(effort.warm_up):
        call()
    start = time.perf_counter()
    call()
    seconds = time.perf_counter() - start
    return min(30, max(3, math.ceil(effort.turn / max(seconds, 1e-9))))


def _attempt(
    calls: dict[str, Call], steps: dict[str, int], effort: Effort, reference: noise.Reference
) -> dict[str, Peer]:
    rounds: dict[str, list[list[float]]] = {name: [] for name in calls}
    processor = dict.fromkeys(calls, 0.0)
    names = list(calls)
    reference.sample()
    for r in range(effort.rounds):
        for name in names[r % len(names) :] + names[: r % len(names)]:
            call, seconds = calls[name], []
            time.sleep(effort.pause)
            call()
            cpu = time.process_time()
            for _ in range(steps[name]):
                start = time.perf_counter()
                call()
                seconds.append(time.perf_counter() - start)
            processor[name] += time.process_time() - cpu
            rounds[name].append(seconds)
        time.sleep(effort.pause)
        reference.sample()
    return {name: Peer(turns, processor[name] / sum(map(sum, turns))) for name, turns in rounds.items()}


def summarise(peers: dict[str, list[list[float]]], scale: float = 1e3) -> dict[str, dict[str, Any]]:
    """For each peer: median and quartiles of all calls, and how many times the first peer's they are.

    The ratio is that of the two medians; its quartiles are those of the ratios of the rounds' medians.
    """
    own = next(iter(peers))
    medians = {name: [noise.quartiles(turn)[1] for turn in turns] for name, turns in peers.items()}
    middle = {name: noise.quartiles([s for turn in turns for s in turn]) for name, turns in peers.items()}
    result = {}
    for name, turns in peers.items():
        q1, median, q3 = (value * scale for value in middle[name])
        pairs = [theirs / ours for theirs, ours in zip(medians[name], medians[own], strict=True)]
        low, _, high = noise.quartiles(pairs)
        ratio = {"median": middle[name][1] / middle[own][1], "q1": low, "q3": high}
        calls = sum(map(len, turns))
        result[name] = {"median": median, "q1": q1, "q3": q3, "calls": calls, "ratio": ratio}
    return result
