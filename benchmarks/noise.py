"""Is the machine quiet? A fixed piece of work is timed between the rounds; only the machine can change how long it takes.

Two loops, because neighbours disturb in two ways: hashing, which needs nothing but a core, and copying, which needs the
memory. Both run on as many threads as the peers have.
"""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

LIMIT = 0.1  # of the median, between the quartiles: above, ratios of medians differ visibly from run to run
SECONDS = 0.004  # that one loop is calibrated to


def spread(seconds: Sequence[float]) -> float:
    """The distance between the quartiles, as a part of the median."""
    low, middle, high = quartiles(seconds)
    return (high - low) / middle


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


class Reference:
    """The reference loops, calibrated once for ``threads`` threads.

    Attributes
    ----------
    samples : seconds, a list for each loop. ``forget()`` empties them.
    """

    def __init__(self, threads: int, clock: Callable[[], float] = time.perf_counter):
        self._pool, self._threads, self._clock = ThreadPoolExecutor(threads), threads, clock
        block = bytes(1 << 18)
        arrays = [(np.ones(1 << 22, np.float32), np.empty(1 << 22, np.float32)) for _ in range(threads)]
        work: dict[str, Callable[[int], object]] = {
            "compute": lambda thread: hashlib.sha256(block),
            "memory": lambda thread: np.copyto(arrays[thread][1], arrays[thread][0]),
        }
        self._loops = {name: (once, self._repeats(once)) for name, once in work.items()}
        self.forget()

    def _repeats(self, once: Callable[[int], object]) -> int:
        best = min(self._time(once, 1) for _ in range(5))
        return max(1, round(SECONDS / max(best, 1e-6)))

    def _time(self, once: Callable[[int], object], repeats: int) -> float:
        def run(thread: int) -> None:
            for _ in range(repeats):
                once(thread)

        start = self._clock()
        list(self._pool.map(run, range(self._threads)))
        return self._clock() - start

    def forget(self) -> None:
        """Start a new series."""
        self.samples: dict[str, list[float]] = {name: [] for name in self._loops}

    def sample(self, times: int = 3) -> None:
        """Time each loop."""
        for _ in range(times):
            for name, (once, repeats) in self._loops.items():
                self.samples[name].append(self._time(once, repeats))


def verdict(samples: dict[str, list[float]], attempts: int = 1) -> dict[str, float | int | bool]:
    """What a series of reference loops says about the machine.

    Each loop's spread; ``slowest``, the slowest sample over the fastest; whether that is ``noisy``; and the attempts made.
    """
    result: dict[str, float | int | bool] = {name: spread(seconds) for name, seconds in samples.items()}
    result["slowest"] = max(max(seconds) / min(seconds) for seconds in samples.values())
    result["noisy"] = any(spread(seconds) > LIMIT for seconds in samples.values())
    result["attempts"] = attempts
    return result
