"""Layer and RMS normalisation, row by row (maths: ``reference/layer_norm.py``).

A row stays in the first-level cache while it is summed up and written, so memory is passed over once each way. Sums are
float64; those over rows (the gradients of weight and bias) have one row of accumulators a thread.
"""

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, parallel_for, split
from .jit import jit
from .layout import contiguous

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


@jit
def _forward(start, stop, x, weight, bias, eps, centred, out, mean, inv_std):
    m = x.shape[1]
    for i in range(start, stop):
        row, result = x[i], out[i]
        centre = 0.0
        if centred:
            for j in range(m):
                centre += np.float64(row[j])
            centre /= m
        square = 0.0
        for j in range(m):
            d = np.float64(row[j]) - centre
            square += d * d
        mean[i] = centre
        inv_std[i] = 1 / np.sqrt(square / m + eps)
        # In the array's type from here on; what rounding the mean moves is a unit in the last place of x.
        middle, slope = mean[i], inv_std[i]
        for j in range(m):
            result[j] = (row[j] - middle) * slope * weight[j] + bias[j]


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
