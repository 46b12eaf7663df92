"""Batch normalisation of a matrix (pixels, channels): two passes forward, two backward (maths: ``reference/norm.py``).

All sums are float64, one row of accumulators a thread, added in the order of the threads. Where the channels fill a vector,
the passes are those of ``channels.py``, which also says how mean and variance come from one pass; the loops here are the
same, number by number, for fewer channels.
"""

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, parallel_for, split
from . import channels
from .jit import jit
from .layout import to_channels_last, to_logical

GRAIN = 1 << 15  # numbers below which another thread does not pay


def batch_norm_forward_train(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (n, c, *spatial), weight and bias (c,) or None -> out like x; mean, biased var and inv_std (c,)."""
    x_last, rows = _rows(x)
    if channels.fills_a_vector(x):
        mean, var = channels.statistics(rows)
    else:
        first = rows[0].copy()
        sum_d, sum_dd = _channel_sums(_sum_shifted, rows, rows, first) / rows.shape[0]  # (2, c)
        mean, var = first + sum_d, np.maximum(sum_dd - sum_d * sum_d, 0)
    inv_std = 1 / np.sqrt(var + eps)
    out = _affine(x_last, mean, inv_std if weight is None else inv_std * weight, bias)
    return out, mean.astype(x.dtype), var.astype(x.dtype), inv_std.astype(x.dtype)


def batch_norm_forward_eval(
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    eps: float,
) -> tuple[np.ndarray, np.ndarray]:
    """x (n, c, *spatial), mean and var (c,), weight and bias (c,) or None -> out like x, inv_std (c,)."""
    inv_std = 1 / np.sqrt(var.astype(np.float64) + eps)
    out = _affine(to_channels_last(x), mean, inv_std if weight is None else inv_std * weight, bias)
    return out, inv_std.astype(x.dtype)


def batch_norm_backward_train(
    grad_out: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, inv_std: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out and x (n, c, *spatial), the rest (c,) -> grad_x like x, grad_weight (c,), grad_bias (c,)."""
    x_last, rows = _rows(x)
    _, grad_rows = _rows(grad_out)
    sums = _gradient_sums(grad_rows, rows, mean)
    factors, grad_weight, grad_bias = channels.gradient_factors(sums, rows.shape[0], weight, inv_std)
    mean = np.ascontiguousarray(mean)
    if channels.fills_a_vector(x):
        grad_x = channels.input_gradient(grad_rows, None, rows, mean, factors)
    else:
        grad_x = workspace.empty(rows.shape, rows.dtype)
        parallel_for(_input_gradient, rows.shape[0], grad_rows, rows, mean, *factors, grad_x, grain=_grain(rows))
    return to_logical(grad_x.reshape(x_last.shape)), grad_weight, grad_bias


def batch_norm_backward_eval(
    grad_out: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, inv_std: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out and x (n, c, *spatial), the rest (c,) -> grad_x like x, grad_weight (c,), grad_bias (c,)."""
    grad_last, grad_rows = _rows(grad_out)
    sum_g, sum_gd = _gradient_sums(grad_rows, _rows(x)[1], mean)
    grad_x = _affine(grad_last, np.zeros_like(mean), inv_std if weight is None else inv_std * weight, None)
    return grad_x, (sum_gd * inv_std).astype(x.dtype), sum_g.astype(x.dtype)


def _rows(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, c, *spatial) -> (n, *spatial, c) and the same memory as (pixels, c)."""
    x_last = to_channels_last(x)
    return x_last, x_last.reshape(x.size // max(1, x.shape[1]), x.shape[1])


def _grain(rows: np.ndarray) -> int:
    return max(1, GRAIN // max(1, rows.shape[1]))


def _gradient_sums(grad: np.ndarray, rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Sums of grad and of grad * (rows - mean), (2, c) float64."""
    if channels.fills_a_vector(rows):
        return channels.gradient_sums(grad, None, rows, np.ascontiguousarray(mean))
    return _channel_sums(_sum_gradients, grad, rows, mean)


def _channel_sums(kernel, a: np.ndarray, b: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Two sums a channel, (2, c) float64, over chunks of rows in parallel."""
    chunks = split(a.shape[0], _grain(a))
    sums = np.zeros((len(chunks), 2, a.shape[1]))
    parallel_chunks(kernel, chunks, a, b, np.ascontiguousarray(centre), sums)
    return sums.sum(axis=0)  # (chunks, 2, c) -> (2, c)


def _affine(x_last: np.ndarray, mean: np.ndarray, slope: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """(n, *spatial, c) -> logical (n, c, *spatial): slope * (x - mean) + bias."""
    c = x_last.shape[-1]
    rows = x_last.reshape(x_last.size // max(1, c), c)
    shift = np.zeros(c, rows.dtype) if bias is None else bias.astype(rows.dtype)
    constants = mean.astype(rows.dtype), slope.astype(rows.dtype), shift
    if channels.fills_a_vector(rows):
        out = channels.scale(rows, *constants, rectify=False)
    else:
        out = workspace.empty(rows.shape, rows.dtype)
        parallel_for(_scale_rows, rows.shape[0], rows, *constants, out, grain=_grain(rows))
    return to_logical(out.reshape(x_last.shape))


@jit
def _sum_shifted(index, start, stop, x, unused, first, sums):
    """sums[index] = sums over rows start .. stop of d and d * d, d = x - first."""
    total, total_of_squares = sums[index, 0], sums[index, 1]
    for p in range(start, stop):
        row = x[p]
        for j in range(first.size):
            d = np.float64(row[j]) - np.float64(first[j])
            total[j] += d
            total_of_squares[j] += d * d


@jit
def _sum_gradients(index, start, stop, grad, x, mean, sums):
    """sums[index] = sums over rows start .. stop of grad and grad * (x - mean)."""
    total, total_of_products = sums[index, 0], sums[index, 1]
    for p in range(start, stop):
        row, gradient = x[p], grad[p]
        for j in range(mean.size):
            g = np.float64(gradient[j])
            total[j] += g
            total_of_products[j] += g * (np.float64(row[j]) - np.float64(mean[j]))


@jit
def _scale_rows(start, stop, x, mean, slope, bias, out):
    """out = slope * (x - mean) + bias for rows start .. stop."""
    for p in range(start, stop):
        row, target = x[p], out[p]
        for j in range(mean.size):
            target[j] = (row[j] - mean[j]) * slope[j] + bias[j]


@jit
def _input_gradient(start, stop, grad, x, mean, slope, mean_grad, tilt, grad_x):
    """grad_x = slope * (grad - mean_grad - (x - mean) * tilt) for rows start .. stop."""
    for p in range(start, stop):
        row, gradient, target = x[p], grad[p], grad_x[p]
        for j in range(mean.size):
            target[j] = slope[j] * (gradient[j] - mean_grad[j] - (row[j] - mean[j]) * tilt[j])
