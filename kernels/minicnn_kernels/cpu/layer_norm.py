"""Layer and RMS normalisation, row by row (maths: ``reference/layer_norm.py``).

A row stays in the first-level cache while it is summed up and written, so memory is passed over once each way. Sums are
float64; those over rows (the gradients of weight and bias) have one row of accumulators a thread.
"""

import numpy as np

from .. import workspace
from ..launch import Launch
from ..threads import parallel_chunks, parallel_for, split
from .jit import ZERO, jit, jit_allocating, jit_part, launch
from .layout import contiguous
from .simd import VECTOR_BYTES, load, number, store, widen

GRAIN = 1 << 15  # numbers below which another thread does not pay


def layer_norm_forward(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float, centred: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (rows, features), weight and bias (features,) or None -> out like x, mean and inv_std (rows,)."""
    rows, features = x.shape
    out = workspace.empty(x.shape, x.dtype)
    mean, inv_std = np.empty((2, rows), x.dtype)
    scale = np.ones(features, x.dtype) if weight is None else contiguous(weight)
    shift = np.zeros(features, x.dtype) if bias is None else contiguous(bias)
    arrays = contiguous(x), scale, shift, float(eps), bool(centred), out, mean, inv_std
    parallel_for(_forward, rows, *arrays, grain=_grain(features))
    return out, mean, inv_std


def layer_norm_launches(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float, centred: bool, out: np.ndarray
) -> list[Launch] | None:
    """See the reference. x and out are row-major."""
    rows, features = x.shape
    if not (x.flags.carray and out.flags.carray and x.size):
        return None
    scale = np.ones(features, x.dtype) if weight is None else contiguous(weight)
    shift = np.zeros(features, x.dtype) if bias is None else contiguous(bias)
    moments = np.empty((2, rows), x.dtype)
    arrays = x, scale, shift, float(eps), bool(centred), out, *moments
    return [launch(_forward, rows, *arrays, grain=_grain(features))]


def layer_norm_backward(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
    centred: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out and x (rows, features), the rest as above -> grad_x like x, grad_weight and grad_bias (features,)."""
    rows, features = x.shape
    grad_x = workspace.empty(x.shape, x.dtype)
    scale = np.ones(features, x.dtype) if weight is None else contiguous(weight)
    chunks = split(rows, _grain(features))
    sums = np.zeros((len(chunks), 2, features))
    arrays = contiguous(grad_out), contiguous(x), scale, contiguous(mean), contiguous(inv_std), bool(centred), grad_x
    parallel_chunks(_backward, chunks, *arrays, sums)
    grad_weight, grad_bias = sums.sum(axis=0).astype(x.dtype)  # (chunks, 2, features) -> 2 of (features,)
    return grad_x, grad_weight, grad_bias


def _grain(features: int) -> int:
    return max(1, GRAIN // max(1, features))


@jit_allocating
def _forward(start, stop, x, weight, bias, eps, centred, out, mean, inv_std):
    m, lanes = x.shape[1], VECTOR_BYTES // x.itemsize
    whole = m // lanes * lanes
    parts = np.zeros(lanes, np.float64)
    for i in range(start, stop):
        centre = 0.0
        if centred:
            centre = _sum_of_squares(x, i * m, m, x.dtype.type(0), False, parts) / m
        mean[i] = centre
        # In the array's type from here on; what rounding the mean moves is a unit in the last place of x.
        square = _sum_of_squares(x, i * m, m, mean[i], True, parts)
        inv_std[i] = 1 / np.sqrt(square / m + eps)
        middle, slope = mean[i], inv_std[i]
        for j in range(0, whole, lanes):
            y = load(x, i * m + j)
            y = (y - number(middle, y)) * number(slope, y)
            store(out, i * m + j, y * load(weight, j) + load(bias, j))
        for j in range(whole, m):
            out[i, j] = (x[i, j] - middle) * slope * weight[j] + bias[j]


@jit_part
def _sum_of_squares(x, at, m, centre, squared, parts):
    """The sum of m numbers, or of the squares of their distances from the centre, in float64."""
    lanes = VECTOR_BYTES // x.itemsize
    row, total, whole = x.reshape(-1)[at : at + m], 0.0, m // lanes * lanes
    if whole > 0:
        middle = number(centre, load(x, at))
        sum_0 = widen(middle - middle)
        for j in range(0, whole, lanes):
            d = load(x, at + j) - middle
            sum_0 = sum_0 + (widen(d) * widen(d) if squared else widen(d))
        store(parts, ZERO, sum_0)
        for j in range(lanes):
            total += parts[j]
    for j in range(whole, m):
        d = np.float64(row[j]) - np.float64(centre)
        total += d * d if squared else d
    return total


@jit
def _backward(index, start, stop, grad, x, weight, mean, inv_std, centred, grad_x, sums):
    m = x.shape[1]
    grad_weight, grad_bias = sums[index, 0], sums[index, 1]
    for i in range(start, stop):
        row, gradient, result = x[i], grad[i], grad_x[i]
        middle, slope = mean[i], inv_std[i]
        total, tilt = 0.0, 0.0
        for j in range(m):
            x_hat = (row[j] - middle) * slope
            g = gradient[j] * weight[j]
            total += np.float64(g)
            tilt += np.float64(g * x_hat)
            grad_weight[j] += np.float64(gradient[j] * x_hat)
            grad_bias[j] += np.float64(gradient[j])
        mean_g = x.dtype.type(total / m if centred else 0.0)
        steep = x.dtype.type(tilt / m)
        for j in range(m):
            x_hat = (row[j] - middle) * slope
            result[j] = slope * (gradient[j] * weight[j] - mean_g - x_hat * steep)
