"""Resampling: sparse matrices applied along the spatial axes, one axis after the other (``../resampling.py``).

The way back is the same with the transposed matrices.
"""

from collections.abc import Sequence

import numpy as np

from ..resampling import AxisMatrix


def resample(x: np.ndarray, matrices: Sequence[AxisMatrix | None]) -> np.ndarray:
    """x (n, c, *spatial), a matrix for each spatial axis or None to leave it -> (n, c, *positions)."""
    for axis, matrix in enumerate(matrices, start=2):
        if matrix is None:
            continue
        offsets, columns, weights = matrix
        source = np.moveaxis(x, axis, 0)
        out = np.zeros((offsets.size - 1, *source.shape[1:]), x.dtype)
        for o in range(offsets.size - 1):
            for tap in range(offsets[o], offsets[o + 1]):
                out[o] += weights[tap] * source[columns[tap]]
        x = np.moveaxis(out, 0, axis)
    return x
