"""What this machine can do, measured: the yardstick of a profile.

Small measurements of our own, of a second or so: not what the data sheet promises, but what a program written like this one
reaches at its best. ``report.py`` compares layers with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minicnn_kernels import backend_of, threads

from ..autograd import Tensor, enable_grad
from ..ops.elementwise import Neg

PRODUCT = 768  # side of the matrices: large enough that the edges cost nothing
COPY = 1 << 27  # bytes: larger than the caches of most processors
CHAIN = 200  # operations


class Peak(NamedTuple):
    """A machine's rates.

    Attributes
    ----------
    flop_rate : floating-point operations a second, of our own matrix product.
    byte_rate : bytes a second, read and written, of a large copy.
    forward, backward : seconds that an operation takes when there is nothing to compute.
    """

    flop_rate: float
    byte_rate: float
    forward: float
    backward: float


def measure_peak(dtype: np.dtype | type = np.float32, repeats: int = 9) -> Peak:
    """Measure with the threads and the back end that are set now; the best of ``repeats`` tries counts.

    Parameters
    ----------
    dtype : of the matrices, a floating-point NumPy type.
    """
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((2, PRODUCT, PRODUCT)).astype(dtype)
    product = best(lambda: backend_of(a).matmul(a, b), repeats)
    source, target = np.zeros(COPY, np.uint8), np.ones(COPY, np.uint8)
    copy = best(lambda: threads.parallel_for(_copy, COPY, source, target), repeats)
    forward, backward = _overhead(repeats)
    return Peak(2 * PRODUCT**3 / product, 2 * COPY / copy, forward, backward)


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the quickest of some calls, after one that does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def _copy(start: int, stop: int, source: np.ndarray, target: np.ndarray) -> None:
    target[start:stop] = source[start:stop]  # NumPy lets the other threads run


@enable_grad()
def _overhead(repeats: int) -> tuple[float, float]:
    """Seconds an operation on one number, forward and backward."""
    x = Tensor(np.ones(1, np.float32)).requires_grad_()
    chains: list[Tensor] = []

    def forward() -> None:
        y = x
        for _ in range(CHAIN):
            y = Neg.apply(y)
        chains.append(y)

    ahead = best(forward, repeats)
    back = best(lambda: chains.pop().backward(), repeats)
    return ahead / CHAIN, back / CHAIN
