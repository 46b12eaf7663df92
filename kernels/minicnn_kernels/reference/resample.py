"""Resampling: sparse matrices applied along the spatial axes, one axis after the other (``../resampling.py``).

The way back is the same with the transposed matrices. Whole numbers, which are bytes of images, are resampled as PyTorch and
Pillow do it: with weights that are whole numbers too, rounded and cut off at 0 and 255 after each axis, the width first.
"""

from collections.abc import Sequence

import numpy as np

from ..resampling import AxisMatrix


def resample(x: np.ndarray, matrices: Sequence[AxisMatrix | None]) -> np.ndarray:
    """x (n, c, *spatial), a matrix for each spatial axis or None to leave it -> (n, c, *positions)."""
    along = _numbers if x.dtype.kind == "f" else _bytes
    for axis, matrix in reversed(list(enumerate(matrices, start=2))):
        if matrix is not None:
            x = np.moveaxis(along(np.moveaxis(x, axis, 0), matrix), 0, axis)
    return x


def _numbers(x: np.ndarray, matrix: AxisMatrix) -> np.ndarray:
    """x (size, ...) -> (n_out, ...)."""
    offsets, columns, weights = matrix
    out = np.zeros((offsets.size - 1, *x.shape[1:]), x.dtype)
    for o in range(offsets.size - 1):
        for tap in range(offsets[o], offsets[o + 1]):
            out[o] += weights[tap] * x[columns[tap]]
    return out


def _bytes(x: np.ndarray, matrix: AxisMatrix) -> np.ndarray:
    """The same of uint8. Weights are multiples of 2^-p, p the largest with which they are less than 2^15 of these."""
    dense = matrix.dense(x.shape[0])
    p = next(p for p in range(22) if p == 21 or int(0.5 + dense.max() * 2 ** (p + 1)) >= 1 << 15)
    weights = np.trunc(dense * 2**p + np.copysign(0.5, dense)).astype(np.int64)
    total = np.tensordot(weights, x.astype(np.int64), 1)  # (n_out, size) (size, ...) -> (n_out, ...)
    return np.clip((total + (1 << p >> 1)) >> p, 0, 255).astype(x.dtype)
