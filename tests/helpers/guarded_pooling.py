"""The pooling kernels on memory that is fenced in: run as a script, since a stray access kills the process.

Inputs end just before a page that may not be touched, or begin just after one; so do the results. The reference is the
oracle.
"""

from __future__ import annotations

import itertools

import numpy as np

from minicnn_kernels import reference, workspace
from minicnn_kernels.cpu import layout, pooling
from minicnn_kernels.windows import adaptive_windows, window_tables
from tests.helpers.guarded_fused import FencedMemory
from tests.helpers.guarded_products import fenced

MODULES = layout, pooling


class Memory(FencedMemory):
    """With what pooling asks for besides."""

    def elementwise(self, ufunc, *operands):
        out = self.empty(np.broadcast_shapes(*map(np.shape, operands)), operands[0].dtype)
        return ufunc(*operands, out=out)


def channels_last(array: np.ndarray, at_end: bool) -> np.ndarray:
    """A fenced copy of (n, c, *spatial), channels last in memory."""
    last = np.ascontiguousarray(np.moveaxis(array, 1, -1))
    return np.moveaxis(fenced(last, at_end).reshape(last.shape), -1, 1)


def check_all(dtype: type, c: int, size: tuple[int, ...], windows: tuple, at_end: bool) -> None:
    rng = np.random.default_rng(c)
    x = channels_last(rng.standard_normal((2, c, *size)).astype(dtype), at_end)
    divisors = tuple(axis.counts for axis in windows)
    for module in MODULES:
        module.workspace = Memory(at_end)
    tolerance = 100 * float(np.finfo(dtype).eps)
    out, places = pooling.max_pool_forward(x, windows)
    expected, expected_places = reference.max_pool_forward(x, windows)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(places, expected_places)
    grad_out = channels_last(rng.standard_normal(out.shape).astype(dtype), at_end)
    places = channels_last(expected_places, at_end)
    for actual, wanted in (
        (
            pooling.max_pool_backward_input(grad_out, places, x.shape, windows),
            reference.max_pool_backward_input(grad_out, places, x.shape, windows),
        ),
        (pooling.avg_pool_forward(x, windows, divisors), reference.avg_pool_forward(x, windows, divisors)),
        (
            pooling.avg_pool_backward_input(grad_out, x.shape, windows, divisors),
            reference.avg_pool_backward_input(grad_out, x.shape, windows, divisors),
        ),
    ):
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)
    for module in MODULES:
        module.workspace = workspace


def main() -> None:
    """Channel counts around the widths of all vectors and of four of them; overlapping windows, and one for everything."""
    cases = []
    for size in ((7,), (4, 5), (2, 3, 4)):
        n = len(size)
        cases.append((size, window_tables(size, ((2,) * n, (1,) * n, (1,) * n, (1,) * n), True)))
        cases.append((size, tuple(adaptive_windows(s, 1) for s in size)))
    for dtype, c, case, at_end in itertools.product((np.float32, np.float64), (17, 67), cases, (False, True)):
        check_all(dtype, c, *case, at_end)
    print("untouched")


if __name__ == "__main__":
    main()
