"""Resampling: sparse matrices applied along the spatial axes, in the memory order that the array has.

Along an axis, memory is (outer, size, inner): what changes slower, the axis, what changes faster. A new row of `inner`
numbers is a weighted sum of a few old ones, and for images with their channels last such rows are long. Axes that shrink
are done first, those that grow last.
"""

import math
from collections.abc import Sequence

import numpy as np

from .. import workspace
from ..resampling import AxisMatrix
from ..threads import parallel_for
from .jit import jit
from .layout import contiguous

GRAIN = 1 << 15  # numbers below which another thread does not pay
SHORT = 16  # numbers of a row, below which it is not worth a loop of its own
BLOCK = 1 << 11  # numbers of a row that are summed together, so that they stay in the cache


def resample(x: np.ndarray, matrices: Sequence[AxisMatrix | None]) -> np.ndarray:
    """x (n, c, *spatial), a matrix for each spatial axis or None to leave it -> (n, c, *positions)."""
    order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
    dense = contiguous(x if x.flags.c_contiguous else x.transpose(order))
    order = list(range(x.ndim)) if x.flags.c_contiguous else order
    wanted = [(matrix, order.index(axis)) for axis, matrix in enumerate(matrices, start=2) if matrix is not None]
    for matrix, at in sorted(wanted, key=lambda pair: (pair[0].offsets.size - 1) / max(1, dense.shape[pair[1]])):
        before, size, after = dense.shape[:at], dense.shape[at], dense.shape[at + 1 :]
        outer, inner, n_out = math.prod(before), math.prod(after), matrix.offsets.size - 1
        out = workspace.empty((outer, n_out, inner), x.dtype)
        grain = max(1, GRAIN // max(1, inner))
        parallel_for(_combine, outer * n_out, dense.reshape(outer, size, inner), *matrix, out, grain=grain)
        dense = out.reshape(*before, n_out, *after)
    return workspace.transposed(dense, sorted(range(x.ndim), key=order.__getitem__)) if wanted else x.copy(order="K")


@jit
def _combine(start, stop, x, offsets, columns, weights, out):
    """Rows start .. stop of all the rows of out (outer, n_out, inner)."""
    _, n_out, inner = out.shape
    o, t = start // n_out, start % n_out - 1
    for _ in range(start, stop):
        t += 1
        if t == n_out:  # (a division for each row takes longer than a short row)
            o, t = o + 1, 0
        first, last = offsets[t], offsets[t + 1]
        if inner < SHORT:
            for q in range(inner):
                total = weights[0] * 0
                for tap in range(first, last):
                    total += weights[tap] * x[o, columns[tap], q]
                out[o, t, q] = total
            continue
        for block in range(0, inner, BLOCK):
            end = min(block + BLOCK, inner)
            target = out[o, t, block:end]
            n = target.size
            if last == first:
                for q in range(n):
                    target[q] = 0
            elif last - first == 1:
                a, left = weights[first], x[o, columns[first], block:end]
                for q in range(n):
                    target[q] = a * left[q]
            else:  # two at a time: fewer passes over the sums
                a, b = weights[first], weights[first + 1]
                left, right = x[o, columns[first], block:end], x[o, columns[first + 1], block:end]
                for q in range(n):
                    target[q] = a * left[q] + b * right[q]
            tap = first + 2
            while tap + 1 < last:
                a, b = weights[tap], weights[tap + 1]
                left, right = x[o, columns[tap], block:end], x[o, columns[tap + 1], block:end]
                for q in range(n):
                    target[q] += a * left[q] + b * right[q]
                tap += 2
            if tap < last:
                a, left = weights[tap], x[o, columns[tap], block:end]
                for q in range(n):
                    target[q] += a * left[q]
