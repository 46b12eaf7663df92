"""The fused batch norm kernels on memory that is fenced in: run as a script, since a stray access kills the process.

Inputs end just before a page that may not be touched, or begin just after one; so do the results, for which the
recycled memory of the kernels is replaced. The reference is the oracle.
"""

from __future__ import annotations

import itertools
import sys

import numpy as np

from minicnn_kernels import reference, workspace
from minicnn_kernels.cpu import channels, fused, layout, residual
from tests.helpers.guarded_products import fenced

MODULES = channels, fused, layout, residual


class FencedMemory:
    """Stands in for ``workspace``: every result is fenced, and starts as NaN (or 255)."""

    def __init__(self, at_end: bool):
        self.at_end = at_end

    transposed, copied = staticmethod(workspace.transposed), staticmethod(workspace.copied)

    def empty(self, shape, dtype):
        dtype = np.dtype(dtype)
        poison = np.full(shape, np.nan if dtype.kind == "f" else np.iinfo(dtype).max, dtype)
        return fenced(poison, self.at_end).reshape(shape)

    def zeros(self, shape, dtype):
        out = self.empty(shape, dtype)
        out.fill(0)
        return out


def image(array: np.ndarray, at_end: bool) -> np.ndarray:
    """A fenced copy of (n, c, h, w), channels last in memory."""
    last = np.ascontiguousarray(array.transpose(0, 2, 3, 1))
    return fenced(last, at_end).reshape(last.shape).transpose(0, 3, 1, 2)


def vector(array: np.ndarray, at_end: bool) -> np.ndarray:
    return fenced(np.ascontiguousarray(array), at_end)


def check(actual: tuple, expected: tuple, dtype: type) -> None:
    tolerance = 2000 * float(np.finfo(dtype).eps)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * 4)


def check_all(dtype: type, c: int, size: tuple[int, int], window: tuple, at_end: bool) -> None:
    """Forward and backward, with and without pooling."""
    rng = np.random.default_rng(c)
    x = image(rng.standard_normal((2, c, *size)).astype(dtype), at_end)
    weight, bias = (vector(rng.standard_normal(c).astype(dtype), at_end) for _ in range(2))
    for module in MODULES:
        module.workspace = FencedMemory(at_end)
    expected = reference.batch_norm_relu_max_pool2d_forward_train(x, weight, bias, 0.1, *window)
    out, saved, mean, _, inv_std = expected
    actual = fused.batch_norm_relu_max_pool2d_forward_train(x, weight, bias, 0.1, *window)
    check((actual[0], *actual[2:]), (out, *expected[2:]), dtype)
    grad_out = image(rng.standard_normal(out.shape).astype(dtype), at_end)
    kept = [vector(v, at_end) for v in (mean, inv_std)]
    arguments = grad_out, image(saved, at_end), x, weight, *kept
    check(
        fused.batch_norm_relu_max_pool2d_backward_train(*arguments, *window),
        reference.batch_norm_relu_max_pool2d_backward_train(*arguments, *window),
        dtype,
    )
    expected = reference.batch_norm_relu_forward_train(x, weight, bias, 0.1)
    check(fused.batch_norm_relu_forward_train(x, weight, bias, 0.1), expected, dtype)
    grad_y = image(rng.standard_normal(x.shape).astype(dtype), at_end)
    arguments = grad_y, image(expected[0], at_end), x, weight, *kept
    check(
        fused.batch_norm_relu_backward_train(*arguments),
        reference.batch_norm_relu_backward_train(*arguments),
        dtype,
    )
    other = image(rng.standard_normal(x.shape).astype(dtype), at_end)
    expected = reference.batch_norm_add_relu_forward_train(x, weight, bias, other, 0.1)
    check(residual.batch_norm_add_relu_forward_train(x, weight, bias, other, 0.1), expected, dtype)
    arguments = grad_y, image(expected[0], at_end), x, weight, *kept
    check(
        residual.batch_norm_add_relu_backward_train(*arguments),
        reference.batch_norm_add_relu_backward_train(*arguments),
        dtype,
    )
    for module in MODULES:
        module.workspace = workspace


def main() -> None:
    """Channel counts around the widths of all vectors, windows inside, over the edge, overlapping and apart."""
    windows = [
        ((2, 2), (2, 2), (0, 0), (1, 1), False),
        ((3, 3), (2, 2), (1, 1), (1, 1), True),
        ((1, 2), (3, 1), (0, 1), (1, 2), False),
    ]
    sizes = [(4, 6), (5, 3)]
    counts = (8, 16, 17, 31, 33) if "--few" not in sys.argv else (17,)
    for dtype, c, size, window in itertools.product((np.float32, np.float64), counts, sizes, windows):
        for at_end in (False, True):
            check_all(dtype, c, size, window, at_end)
    print("untouched")


if __name__ == "__main__":
    main()
