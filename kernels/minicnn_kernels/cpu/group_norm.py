"""Group normalisation of channels-last images: two passes forward, two backward (maths: ``reference/group_norm.py``).

The passes over (n, pixels, c) know channels only: they sum up, or scale, each channel of each image. What makes channels a
group happens in between, on the small (n, c) arrays of sums. Threads share the images. All sums are float64, of x minus the
first pixel of its channel, which keeps the digits where the mean is large beside the deviation.
"""

import numpy as np

from .. import workspace
from ..threads import parallel_for
from .jit import jit
from .layout import to_channels_last, to_logical

GRAIN = 1 << 15  # numbers below which another thread does not pay


def group_norm_forward(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, groups: int, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (n, c, *spatial), weight and bias (c,) or None -> out like x; mean, biased var and inv_std (n, groups)."""
    x_last, pixels = _pixels(x)
    n, count, c = pixels.shape
    first = pixels[:, 0].astype(np.float64)
    sums = np.zeros((n, 2, c))
    parallel_for(_sum_shifted, n, pixels, first, sums, grain=_grain(pixels))
    m = count * (c // groups)
    mean = _over_groups(count * first + sums[:, 0], groups) / m
    d = first - np.repeat(mean, c // groups, axis=1)
    squares = sums[:, 1] + 2 * d * sums[:, 0] + count * d * d  # of x - mean
    var = np.maximum(_over_groups(squares, groups) / m, 0)
    inv_std = 1 / np.sqrt(var + eps)
    slope = np.repeat(inv_std, c // groups, axis=1)
    slope = slope if weight is None else slope * weight
    shift = np.zeros(c, x.dtype) if bias is None else np.ascontiguousarray(bias, x.dtype)
    out = workspace.empty(pixels.shape, x.dtype)
    constants = _each_channel(mean, c, x.dtype), slope.astype(x.dtype), shift
    parallel_for(_scale, n, pixels, *constants, out, grain=_grain(pixels))
    out = to_logical(out.reshape(x_last.shape))
    return out, mean.astype(x.dtype), var.astype(x.dtype), inv_std.astype(x.dtype)


def group_norm_backward(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
    groups: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out and x (n, c, *spatial), mean and inv_std (n, groups) -> grad_x like x, grad_weight and grad_bias (c,)."""
    x_last, pixels = _pixels(x)
    n, count, c = pixels.shape
    grad = _pixels(grad_out)[1]
    m = count * (c // groups)
    centre, std = _each_channel(mean, c, x.dtype), _each_channel(inv_std, c, np.dtype(np.float64))
    sums = np.zeros((n, 2, c))
    parallel_for(_sum_gradients, n, grad, pixels, centre, sums, grain=_grain(pixels))
    sum_g, sum_gx = sums[:, 0], sums[:, 1] * std  # of grad_out, and of grad_out * x_hat
    scale = np.ones(c) if weight is None else weight
    mean_g, tilt = _over_groups(sum_g * scale, groups) / m, _over_groups(sum_gx * scale, groups) / m
    factors = (
        std * scale,
        std * np.repeat(mean_g, c // groups, axis=1),
        std * std * np.repeat(tilt, c // groups, axis=1),
    )
    grad_x = workspace.empty(pixels.shape, x.dtype)
    arrays = grad, pixels, centre, *(f.astype(x.dtype) for f in factors), grad_x
    parallel_for(_input_gradient, n, *arrays, grain=_grain(pixels))
    return (
        to_logical(grad_x.reshape(x_last.shape)),
        sum_gx.sum(axis=0).astype(x.dtype),
        sum_g.sum(axis=0).astype(x.dtype),
    )


def _pixels(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n, c, *spatial) -> (n, *spatial, c) and the same memory as (n, pixels, c)."""
    x_last = to_channels_last(x)
    n, c = x.shape[:2]
    return x_last, x_last.reshape(n, x.size // max(1, n * c), c)


def _grain(pixels: np.ndarray) -> int:
    return max(1, GRAIN // max(1, pixels.shape[1] * pixels.shape[2]))


def _over_groups(values: np.ndarray, groups: int) -> np.ndarray:
    """(n, c) -> its sums over the channels of each group, (n, groups)."""
    return values.reshape(len(values), groups, -1).sum(axis=2)


def _each_channel(statistics: np.ndarray, c: int, dtype: np.dtype) -> np.ndarray:
    """(n, groups) -> (n, c)."""
    return np.repeat(statistics, c // statistics.shape[1], axis=1).astype(dtype)


@jit
def _sum_shifted(start, stop, x, first, sums):
    """sums[b] = sums over the pixels of image b of d and d * d, d = x - first."""
    for b in range(start, stop):
        origin, total, squares = first[b], sums[b, 0], sums[b, 1]
        for p in range(x.shape[1]):
            row = x[b, p]
            for j in range(row.size):
                d = np.float64(row[j]) - origin[j]
                total[j] += d
                squares[j] += d * d


@jit
def _scale(start, stop, x, mean, slope, shift, out):
    """out = slope * (x - mean) + shift; mean and slope (n, c), shift (c,)."""
    for b in range(start, stop):
        centre, factor = mean[b], slope[b]
        for p in range(x.shape[1]):
            row, result = x[b, p], out[b, p]
            for j in range(row.size):
                result[j] = (row[j] - centre[j]) * factor[j] + shift[j]


@jit
def _sum_gradients(start, stop, grad, x, mean, sums):
    """sums[b] = sums over the pixels of image b of grad and grad * (x - mean)."""
    for b in range(start, stop):
        centre, total, products = mean[b], sums[b, 0], sums[b, 1]
        for p in range(x.shape[1]):
            row, gradient = x[b, p], grad[b, p]
            for j in range(row.size):
                g = np.float64(gradient[j])
                total[j] += g
                products[j] += g * np.float64(row[j] - centre[j])


@jit
def _input_gradient(start, stop, grad, x, mean, slope, mean_grad, tilt, grad_x):
    """grad_x = slope * grad - mean_grad - (x - mean) * tilt; the constants (n, c)."""
    for b in range(start, stop):
        centre, factor, shift, steep = mean[b], slope[b], mean_grad[b], tilt[b]
        for p in range(x.shape[1]):
            row, gradient, result = x[b, p], grad[b, p], grad_x[b, p]
            for j in range(row.size):
                result[j] = factor[j] * gradient[j] - shift[j] - (row[j] - centre[j]) * steep[j]
