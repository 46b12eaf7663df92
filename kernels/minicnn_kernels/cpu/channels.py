"""Passes over a matrix (pixels, channels), a vector of channels at a time: statistics, scaling, batch norm's gradient.

These are the loops of ``norm.py`` and ``fused.py`` (maths: ``reference/norm.py``) for at least as many channels as a
vector has lanes. Every pass goes through the matrix in small tiles of a few pixels, and inside a tile through one
vector of channels after the other, so that the constants and sums of those channels stay in registers for a while.
Where the lanes do not divide the channels, the last vector overlaps the one before.

All sums are float64, one row of accumulators a thread, added in the order of the threads. Mean and variance come from
one pass, as sums of d and d * d with d = x - x0, x0 being the channel's first pixel. Subtracting in the end can cost no
more than a factor of the number of values N, because x0 is one of them: (x0 - mean)**2 <= N * var. In float64 that
leaves all of float32.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, parallel_for, split
from .jit import jit
from .simd import VECTOR_BYTES, lanes, load, load_wide, number, store, where, widen

GRAIN = 1 << 15  # numbers below which another thread does not pay
APART = 16  # numbers between two threads' accumulators: in one cache line, each write would wait for the other thread's
TILE = 1 << 8  # numbers that a tile holds: more, and memory is no longer read and written in order, which is slow


def fills_a_vector(x: np.ndarray) -> bool:
    """Whether x (n, c, *spatial) has enough channels for these loops."""
    return x.shape[1] >= lanes(x.dtype)


def statistics(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """rows (pixels, c) -> mean and biased variance (c,), float64."""
    chunks = split(rows.shape[0], _grain(rows))
    moments = Statistics(rows, len(chunks))
    parallel_chunks(moments.see, chunks)
    return moments.result()


class Statistics:
    """Mean and variance of rows (pixels, c) that are looked at part by part: ``see`` for each part, then ``result``.

    Parts that one thread sees have one index. Each index has an origin of its own, the first pixel that it saw.
    """

    def __init__(self, rows: np.ndarray, n_chunks: int):
        self.rows, self.counts = rows, np.zeros((n_chunks, 1), np.int64)
        self.origins = np.zeros((n_chunks, rows.shape[1]), rows.dtype)
        self.sums = _accumulators(n_chunks, rows)

    def see(self, index: int, start: int, stop: int) -> None:
        """Take rows start .. stop - 1 in."""
        if self.counts[index, 0] == 0:
            self.origins[index] = self.rows[start]
        self.counts[index, 0] += stop - start
        _sum_shifted(index, start, stop, self.rows, self.origins[index], self.sums)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and biased variance (c,), float64, of all that was seen."""
        sum_d, sum_dd = _without_repeats(self.sums, self.rows).transpose(1, 0, 2)  # (chunks, 2, c) -> 2 of (chunks, c)
        # With another origin each d becomes d + apart: all sums are brought to the first chunk's.
        apart = self.origins - self.origins[0].astype(np.float64)
        sum_dd = (sum_dd + (2 * sum_d + self.counts * apart) * apart).sum(axis=0)
        sum_d, n = (sum_d + self.counts * apart).sum(axis=0), self.counts.sum()
        mean_d = sum_d / n
        return self.origins[0] + mean_d, np.maximum(sum_dd / n - mean_d * mean_d, 0)


def sums(rows: np.ndarray) -> np.ndarray:
    """rows (pixels, c) -> their sum (c,), float64."""
    return channel_sums(_sum_shifted, rows.shape[0], rows, np.zeros(rows.shape[1], rows.dtype), grain=_grain(rows))[0]


def scale(rows: np.ndarray, mean: np.ndarray, slope: np.ndarray, bias: np.ndarray, rectify: bool) -> np.ndarray:
    """rows (pixels, c), constants (c,) -> slope * (rows - mean) + bias, or the larger of that and 0."""
    out = workspace.empty(rows.shape, rows.dtype)
    floor = rows.dtype.type(0 if rectify else -np.inf)
    parallel_for(_scale, rows.shape[0], rows, mean, slope, bias, floor, out, grain=_grain(rows))
    return out


def gradient_sums(grad: np.ndarray, out: np.ndarray | None, rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(pixels, c) three times, mean (c,) -> sums of g and of g * (rows - mean), (2, c) float64.

    g is grad, but 0 where out <= 0 if `out` is given (the gradient of the rectifier).
    """
    rectified = out is not None
    kept = out if rectified else grad
    return channel_sums(_sum_gradients, rows.shape[0], grad, kept, rectified, rows, mean, grain=_grain(rows))


def input_gradient(
    grad: np.ndarray, out: np.ndarray | None, rows: np.ndarray, mean: np.ndarray, factors: tuple[np.ndarray, ...]
) -> np.ndarray:
    """The same arrays; slope, mean_grad and tilt (c,) -> slope * (g - mean_grad - (rows - mean) * tilt)."""
    grad_rows = workspace.empty(rows.shape, rows.dtype)
    rectified = out is not None
    arguments = (grad, out if rectified else grad, rectified, rows, mean, *factors, grad_rows)
    parallel_for(_input_gradient, rows.shape[0], *arguments, grain=_grain(rows))
    return grad_rows


def gradient_factors(
    sums: np.ndarray, m: int, weight: np.ndarray | None, inv_std: np.ndarray
) -> tuple[tuple[np.ndarray, ...], np.ndarray, np.ndarray]:
    """Sums of g and g * d over m pixels -> slope, mean_grad and tilt of ``input_gradient``; grad_weight, grad_bias.

    weight * inv_std * (g - mean(g) - x_hat * mean(g * x_hat)), with x_hat = d * inv_std.
    """
    sum_g, sum_gd = sums
    wide_std = inv_std.astype(np.float64)
    factors = (wide_std if weight is None else wide_std * weight, sum_g / m, sum_gd / m * wide_std * wide_std)
    dtype = inv_std.dtype
    return tuple(f.astype(dtype) for f in factors), (sum_gd * wide_std).astype(dtype), sum_g.astype(dtype)


def channel_sums(kernel: Callable[..., Any], n_items: int, a: np.ndarray, *args: Any, grain: int) -> np.ndarray:
    """Two sums a channel of a (..., c), (2, c) float64: kernel(index, start, stop, a, *args, sums) for chunks of items.

    Block b of channels accumulates at sums[index, :, b * lanes], also the last one, which may repeat some channels of
    the one before: these are dropped here.
    """
    chunks = split(n_items, grain)
    partial = _accumulators(len(chunks), a)
    parallel_chunks(kernel, chunks, a, *args, partial)
    return _without_repeats(partial.sum(axis=0), a)


def _accumulators(n_chunks: int, a: np.ndarray) -> np.ndarray:
    """Zeros for two sums a channel of a (..., c), for each chunk."""
    size = lanes(a.dtype)
    return workspace.zeros((n_chunks, 2, -(-a.shape[-1] // size) * size + APART), np.float64)


def _without_repeats(sums: np.ndarray, a: np.ndarray) -> np.ndarray:
    """(..., accumulators) -> (..., c)."""
    c, size = a.shape[-1], lanes(a.dtype)
    if c % size == 0:
        return sums[..., :c]
    repeated = slice(c - c % size, c - c % size + -c % size)
    return np.delete(sums[..., : c + -c % size], repeated, axis=-1)


def _grain(rows: np.ndarray) -> int:
    return max(1, GRAIN // rows.shape[1])


@jit
def _sum_shifted(index, start, stop, x, first, sums):
    """sums[index] = sums over rows start .. stop of d and d * d, d = x - first."""
    c, lanes = x.shape[1], VECTOR_BYTES // x.itemsize
    height = max(1, TILE // c)
    for top in range(start, stop, height):
        for block in range(0, c, lanes):
            j = min(block, c - lanes)
            origin = widen(load(first, j))
            at_d = 2 * index * sums.shape[2] + block
            at_dd = at_d + sums.shape[2]
            sum_d, sum_dd = load_wide(sums, at_d, origin), load_wide(sums, at_dd, origin)
            for p in range(top, min(top + height, stop)):
                d = widen(load(x, p * c + j)) - origin
                sum_d = sum_d + d
                sum_dd = sum_dd + d * d
            store(sums, at_d, sum_d)
            store(sums, at_dd, sum_dd)


@jit
def _scale(start, stop, x, mean, slope, bias, floor, out):
    """out = max(slope * (x - mean) + bias, floor) for rows start .. stop; a NaN stays."""
    c, lanes = x.shape[1], VECTOR_BYTES // x.itemsize
    height = max(1, TILE // c)
    for top in range(start, stop, height):
        for block in range(0, c, lanes):
            j = min(block, c - lanes)
            centre, factor, shift = load(mean, j), load(slope, j), load(bias, j)
            lowest = number(floor, centre)
            for p in range(top, min(top + height, stop)):
                y = (load(x, p * c + j) - centre) * factor + shift
                store(out, p * c + j, where(y <= lowest, lowest, y))


@jit
def _sum_gradients(index, start, stop, grad, out, rectified, x, mean, sums):
    """sums[index] = sums over rows start .. stop of g and g * (x - mean)."""
    c, lanes = x.shape[1], VECTOR_BYTES // x.itemsize
    height = max(1, TILE // c)
    for top in range(start, stop, height):
        for block in range(0, c, lanes):
            j = min(block, c - lanes)
            centre = load(mean, j)
            zero = number(0, centre)
            at_g = 2 * index * sums.shape[2] + block
            at_gd = at_g + sums.shape[2]
            sum_g, sum_gd = load_wide(sums, at_g, centre), load_wide(sums, at_gd, centre)
            for p in range(top, min(top + height, stop)):
                at = p * c + j
                g = load(grad, at)
                if rectified:
                    g = where(load(out, at) <= zero, zero, g)
                wide = widen(g)
                sum_g = sum_g + wide
                sum_gd = sum_gd + wide * widen(load(x, at) - centre)
            store(sums, at_g, sum_g)
            store(sums, at_gd, sum_gd)


@jit
def _input_gradient(start, stop, grad, out, rectified, x, mean, slope, mean_grad, tilt, grad_x):
    """grad_x = slope * (g - mean_grad - (x - mean) * tilt) for rows start .. stop."""
    c, lanes = x.shape[1], VECTOR_BYTES // x.itemsize
    height = max(1, TILE // c)
    for top in range(start, stop, height):
        for block in range(0, c, lanes):
            j = min(block, c - lanes)
            centre, factor, shift, steep = load(mean, j), load(slope, j), load(mean_grad, j), load(tilt, j)
            zero = number(0, centre)
            for p in range(top, min(top + height, stop)):
                at = p * c + j
                g = load(grad, at)
                if rectified:
                    g = where(load(out, at) <= zero, zero, g)
                store(grad_x, at, factor * (g - shift - (load(x, at) - centre) * steep))
