"""One pass each way for what would be several: the memory of the steps between is never touched.

Which sequence of plain kernels each function equals is in ``reference/fused.py``. Batch norm + ReLU + max-pooling is
the one with a thought in it. Forward: the statistics (``channels.py``), then one pass that normalises, pools and
rectifies, in this order: the largest of rectified numbers is the rectified largest, and a window whose largest number
is not positive lets no gradient through, so the record says that no tap won there. Backward: the two sums in batch
norm's rule are sums over the winners alone; then one pass computes the gradient of each pixel from the pixel and from
the windows that it won.

The loops take a vector of channels at a time (``simd.py``); images of fewer channels go through the plain kernels. They
are in ``pool_quarters.py`` for 2x2 windows side by side and in ``pool_windows.py`` for all others.
"""

import math

import numpy as np

from .. import workspace
from ..geometry import Pair
from ..threads import parallel_for
from ..windows import window_tables, winners_as_places, winners_as_taps
from . import pool_quarters, pool_windows
from .activation import _flat, _memory_order, _relu, _shaped, relu_backward_input, relu_forward
from .channels import (
    channel_sums,
    fills_a_vector,
    gradient_factors,
    gradient_sums,
    input_gradient,
    scale,
    statistics,
)
from .conv import conv_forward
from .dropout import BATCH
from .dropout import GRAIN as PHILOX_GRAIN
from .jit import jit
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical
from .matmul import matmul
from .norm import batch_norm_backward_train, batch_norm_forward_train
from .pooling import GRAIN, max_pool_backward_input, max_pool_forward
from .random import philox_blocks, stream


def batch_norm_relu_forward_train(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (n, c, *spatial), weight and bias (c,) or None -> out like x; mean, biased var and inv_std (c,)."""
    if not fills_a_vector(x):
        y, mean, var, inv_std = batch_norm_forward_train(x, weight, bias, eps)
        return relu_forward(y), mean, var, inv_std
    x_last = to_channels_last(x)
    rows = _rows(x_last)
    constants, moments = _constants(rows, weight, bias, eps)
    out = scale(rows, *constants, rectify=True)
    return to_logical(out.reshape(x_last.shape)), *moments


def batch_norm_relu_backward_train(
    grad_out: np.ndarray,
    out: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out, out and x (n, c, *spatial), the rest (c,) -> grad_x like x, grad_weight (c,), grad_bias (c,)."""
    if not fills_a_vector(x):
        return batch_norm_backward_train(relu_backward_input(grad_out, out), x, weight, mean, inv_std)
    x_last = to_channels_last(x)
    rows = _rows(x_last)
    arrays = _rows(to_channels_last(grad_out)), _rows(to_channels_last(out)), rows, contiguous(mean)
    factors, grad_weight, grad_bias = gradient_factors(gradient_sums(*arrays), rows.shape[0], weight, inv_std)
    grad_x = input_gradient(*arrays, factors)
    return to_logical(grad_x.reshape(x_last.shape)), grad_weight, grad_bias


def batch_norm_relu_max_pool2d_forward_train(
    x: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    eps: float,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (n, c, h, w) -> out and saved (n, c, h_out, w_out); mean, biased var and inv_std (c,)."""
    n_taps = kernel_size[0] * kernel_size[1]
    record = np.min_scalar_type(n_taps)
    windows = window_tables(x.shape[2:], (kernel_size, stride, padding, dilation), ceil_mode)
    if not fills_a_vector(x):
        y, mean, var, inv_std = batch_norm_relu_forward_train(x, weight, bias, eps)
        out, places = max_pool_forward(y, windows)
        taps = winners_as_taps(places, x.shape[3], (kernel_size, stride, padding, dilation))
        return out, np.where(out <= 0, n_taps, taps).astype(record), mean, var, inv_std
    x_last = to_channels_last(x)
    constants, moments = _constants(_rows(x_last), weight, bias, eps)
    shape = (*x.shape[:2], *(axis.starts.size for axis in windows))
    out, saved = empty_channels_last(shape, x.dtype), empty_channels_last(shape, record)
    window = (*kernel_size, *stride, *padding, *dilation)
    loops = pool_quarters if pool_quarters.fits(window, ceil_mode, *x.shape[2:]) else pool_windows
    arguments = x_last, window, *constants, out, saved
    parallel_for(loops.pool_rows, shape[0] * shape[2], *arguments, grain=_grain(x_last, shape[2]))
    return to_logical(out), to_logical(saved), *moments


def batch_norm_relu_max_pool2d_backward_train(
    grad_out: np.ndarray,
    saved: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out and saved (n, c, h_out, w_out), x (n, c, h, w) -> grad_x like x, grad_weight (c,), grad_bias (c,)."""
    if not fills_a_vector(x):
        windows = window_tables(x.shape[2:], (kernel_size, stride, padding, dilation), ceil_mode)
        places = winners_as_places(saved, x.shape[3], (kernel_size, stride, padding, dilation))
        grad_y = max_pool_backward_input(grad_out, places, x.shape, windows)
        return batch_norm_backward_train(grad_y, x, weight, mean, inv_std)
    x_last, mean = to_channels_last(x), contiguous(mean)
    window = (*kernel_size, *stride, *padding, *dilation)
    arrays = to_channels_last(grad_out), to_channels_last(saved), x_last, window, mean
    n, h_out = grad_out.shape[0], grad_out.shape[2]
    quarters = pool_quarters.fits(window, ceil_mode, *x.shape[2:])
    loops = pool_quarters if quarters else pool_windows
    sums = channel_sums(loops.sum_winners, n * h_out, *arrays, grain=_grain(x_last, h_out))
    m = x.size // x.shape[1]
    factors, grad_weight, grad_bias = gradient_factors(sums, m, weight, inv_std)
    grad_x = workspace.empty(x_last.shape, x.dtype)
    rows = h_out if quarters else x.shape[2]
    parallel_for(loops.pool_gradient, n * rows, *arrays, *factors, grad_x, grain=_grain(x_last, rows))
    return to_logical(grad_x), grad_weight, grad_bias


def conv2d_relu_forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """x (n, c_in, h, w), weight (c_out, c_in // groups, kh, kw), bias (c_out,) or None -> (n, c_out, h_out, w_out)."""
    return _rectified(conv_forward(x, weight, bias, stride, padding, dilation, groups, algorithm))


def linear_relu_forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """x (rows, k), weight (n, k), bias (n,) or None -> max(x @ weight.T + bias, 0) (rows, n)."""
    out = matmul(x, weight.T)
    if bias is not None:
        out += bias
    return _rectified(out)


def relu_dropout_forward(x: np.ndarray, p: float, seed: int, offset: int) -> np.ndarray:
    """x of any shape -> max(x, 0) / (1 - p) where kept and 0 elsewhere, row-major."""
    source = contiguous(x).reshape(-1)
    out = workspace.empty((source.size,), x.dtype)
    constants = (*stream(seed, offset), np.uint64(math.floor(p * 2**32)), _scale(p, x.dtype))
    parallel_for(_relu_drop, -(-source.size // 4), source, *constants, out, grain=PHILOX_GRAIN)
    return out.reshape(x.shape)


def relu_dropout_backward_input(grad_out: np.ndarray, out: np.ndarray, p: float) -> np.ndarray:
    """grad_out, and what the forward pass returned -> grad_x, in the memory order of out."""
    order = _memory_order(out)
    grad_x = workspace.empty((out.size,), out.dtype)
    arrays = _flat(grad_out, order), _flat(out, order), _scale(p, out.dtype), grad_x
    parallel_for(_relu_drop_gradient, out.size, *arrays, grain=GRAIN)
    return _shaped(grad_x, out.shape, order)


def _rows(x_last: np.ndarray) -> np.ndarray:
    """(n, *spatial, c) -> (pixels, c)."""
    return x_last.reshape(x_last.size // x_last.shape[-1], x_last.shape[-1])


def _constants(
    rows: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Mean, slope and bias of y = slope * (x - mean) + bias; mean, var and inv_std. All (c,), of the type of rows."""
    mean, var = statistics(rows)
    inv_std = 1 / np.sqrt(var + eps)
    slope = inv_std if weight is None else inv_std * weight
    shift = np.zeros_like(mean) if bias is None else bias
    mean, var, inv_std, slope, shift = (v.astype(rows.dtype) for v in (mean, var, inv_std, slope, shift))
    return (mean, slope, shift), (mean, var, inv_std)


def _rectified(fresh: np.ndarray) -> np.ndarray:
    """max(fresh, 0), in place where memory has no gaps: nobody else has seen the array yet."""
    order = _memory_order(fresh)
    flat = _flat(fresh, order)
    parallel_for(_relu, flat.size, flat, flat, grain=GRAIN)
    return _shaped(flat, fresh.shape, order)


def _grain(x: np.ndarray, rows_an_image: int) -> int:
    return max(1, GRAIN * rows_an_image * x.shape[0] // max(1, x.size))


def _scale(p: float, dtype: np.dtype) -> np.floating:
    return dtype.type(0 if p == 1 else 1 / (1 - p))


@jit
def _relu_drop(start, stop, x, key_0, key_1, offset, threshold, scale, out):
    """Elements 4 * start .. 4 * stop."""
    words = np.empty(4 * BATCH, np.uint32)
    for batch in range(start, stop, BATCH):
        n_blocks = min(BATCH, stop - batch)
        philox_blocks(key_0, key_1, offset + np.uint64(batch), words[: 4 * n_blocks])
        source = x[4 * batch : 4 * (batch + n_blocks)]
        target = out[4 * batch : 4 * (batch + n_blocks)]
        for i in range(target.size):
            value = source[i] * 0 if source[i] < 0 else source[i]  # a NaN stays
            target[i] = value * (scale if words[i] >= threshold else scale * 0)


@jit
def _relu_drop_gradient(start, stop, grad_out, out, scale, grad_x):
    gradient, result, target = grad_out[start:stop], out[start:stop], grad_x[start:stop]
    for i in range(target.size):
        if result[i] <= 0:
            target[i] = 0
        else:
            target[i] = gradient[i] * scale
