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

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import workspace
from ..geometry import Pair
from ..threads import parallel_for
from ..windows import window_tables, winners_as_places, winners_as_taps
from . import pool_quarters, pool_windows
from .activation import _flat, _memory_order, _shaped, rectified, relu_backward_input, relu_forward
from .channels import (
    channel_sums,
    fills_a_vector,
    gradient_factors,
    gradient_sums,
    input_gradient,
    scale,
    statistics,
)
from .dropout import drop, scale_of
from .jit import jit
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical
from .matmul import matmul
from .norm import batch_norm_backward_train, batch_norm_forward_train
from .pooling import GRAIN, max_pool_backward_input, max_pool_forward
from .prepared import prepare_conv


def batch_norm_relu_forward_train(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (n, c, *spatial), weight and bias (c,) or None -> out like x; mean, biased var and inv_std (c,)."""
    if not fills_a_vector(x):
        y, mean, var, inv_std = batch_norm_forward_train(x, weight, bias, eps)
        return relu_forward(y), mean, var, inv_std
    x_last = to_channels_last(x)
    rows = _rows(x_last)
    constants, moments = _constants(statistics(rows), weight, bias, eps, rows.dtype)
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
    pooling = kernel_size, stride, padding, dilation, ceil_mode
    if fills_a_vector(x):
        return normalised_and_pooled(x, statistics(_rows(to_channels_last(x))), weight, bias, eps, *pooling)
    y, mean, var, inv_std = batch_norm_relu_forward_train(x, weight, bias, eps)
    out, places = max_pool_forward(y, window_tables(x.shape[2:], pooling[:4], ceil_mode))
    taps, n_taps = winners_as_taps(places, x.shape[3], pooling[:4]), kernel_size[0] * kernel_size[1]
    return out, np.where(out <= 0, n_taps, taps).astype(np.min_scalar_type(n_taps)), mean, var, inv_std


def normalised_and_pooled(
    x: np.ndarray,
    moments: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    eps: float,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The same where mean and biased variance (c,), float64, are known."""
    windows = window_tables(x.shape[2:], (kernel_size, stride, padding, dilation), ceil_mode)
    x_last = to_channels_last(x)
    constants, kept = _constants(moments, weight, bias, eps, x.dtype)
    shape = (*x.shape[:2], *(axis.starts.size for axis in windows))
    record = np.min_scalar_type(kernel_size[0] * kernel_size[1])
    out, saved = empty_channels_last(shape, x.dtype), empty_channels_last(shape, record)
    window = (*kernel_size, *stride, *padding, *dilation)
    loops = pool_quarters if pool_quarters.fits(window, ceil_mode, *x.shape[2:]) else pool_windows
    arguments = x_last, window, *constants, out, saved
    parallel_for(loops.pool_rows, shape[0] * shape[2], *arguments, grain=_grain(x_last, shape[2]))
    return to_logical(out), to_logical(saved), *kept


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
    pooling = kernel_size, stride, padding, dilation, ceil_mode
    pooled, grad_weight, grad_bias = pooled_gradient(grad_out, saved, x, weight, mean, inv_std, *pooling)
    grad_x = workspace.empty(pooled.x.shape, x.dtype)
    rows, grain = x.shape[0] * pooled.rows, _grain(pooled.x, pooled.rows)
    parallel_for(pooled.loop, rows, *pooled.arrays(slice(None)), grad_x, grain=grain)
    pooled.edges(slice(None), grad_x)
    return to_logical(grad_x), grad_weight, grad_bias


class Pooled(NamedTuple):
    """Everything to compute the gradient of images that were normalised, rectified and pooled, of all of them or of some.

    loop : the compiled function. rows : of what it shares out, in an image. Arrays are channels-last.
    """

    loop: Callable[..., None]
    rows: int
    grad: np.ndarray
    saved: np.ndarray
    x: np.ndarray
    constants: tuple[Any, ...]

    def arrays(self, images: slice) -> tuple[Any, ...]:
        """The loop's arguments before the result."""
        return self.grad[images], self.saved[images], self.x[images], *self.constants

    def edges(self, images: slice, out: np.ndarray) -> None:
        """What the loop leaves out."""
        _, h, w, _ = self.x.shape
        if self.loop is pool_quarters.pool_gradient and (h % 2 or w % 2):
            mean, factors = self.constants[1], self.constants[2:]
            pool_quarters.edges_gradient(self.x[images], mean, factors, out)

    def of_images(self, first: int, last: int, out: np.ndarray) -> None:
        """The gradient of images first .. last - 1, at the beginning of out."""
        images = slice(first, last)
        arrays = self.arrays(images)
        out = out[: last - first].reshape(arrays[2].shape)
        self.loop(0, (last - first) * self.rows, *arrays, out)
        self.edges(images, out)


def pooled_gradient(
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
) -> tuple[Pooled, np.ndarray, np.ndarray]:
    """What ``batch_norm_relu_max_pool2d_backward_train`` is given -> its grad_x, prepared; grad_weight and grad_bias."""
    x_last, mean = to_channels_last(x), contiguous(mean)
    window = (*kernel_size, *stride, *padding, *dilation)
    arrays = to_channels_last(grad_out), to_channels_last(saved), x_last
    n, h_out = grad_out.shape[0], grad_out.shape[2]
    quarters = pool_quarters.fits(window, ceil_mode, *x.shape[2:])
    loops = pool_quarters if quarters else pool_windows
    sums = channel_sums(loops.sum_winners, n * h_out, *arrays, window, mean, grain=_grain(x_last, h_out))
    m = x.size // x.shape[1]
    factors, grad_weight, grad_bias = gradient_factors(sums, m, weight, inv_std)
    rows = h_out if quarters else x.shape[2]
    return Pooled(loops.pool_gradient, rows, *arrays, (window, mean, *factors)), grad_weight, grad_bias


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
    return prepare_conv(weight, bias, x.shape, stride, padding, dilation, groups, algorithm, True)(x)


def linear_relu_forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """x (rows, k), weight (n, k), bias (n,) or None -> max(x @ weight.T + bias, 0) (rows, n)."""
    out = matmul(x, weight.T)
    if bias is not None:
        out += bias
    return rectified(out)


def relu_dropout_forward(x: np.ndarray, p: float, seed: int, offset: int) -> np.ndarray:
    """x of any shape -> max(x, 0) / (1 - p) where kept and 0 elsewhere, row-major."""
    return drop(x, p, seed, offset, 0)


def relu_dropout_backward_input(grad_out: np.ndarray, out: np.ndarray, p: float) -> np.ndarray:
    """grad_out, and what the forward pass returned -> grad_x, in the memory order of out."""
    order = _memory_order(out)
    grad_x = workspace.empty((out.size,), out.dtype)
    arrays = _flat(grad_out, order), _flat(out, order), scale_of(p, out.dtype), grad_x
    parallel_for(_relu_drop_gradient, out.size, *arrays, grain=GRAIN)
    return _shaped(grad_x, out.shape, order)


def _rows(x_last: np.ndarray) -> np.ndarray:
    """(n, *spatial, c) -> (pixels, c)."""
    return x_last.reshape(x_last.size // x_last.shape[-1], x_last.shape[-1])


def _constants(
    moments: tuple[np.ndarray, np.ndarray],
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    eps: float,
    dtype: np.dtype,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Mean, slope and bias of y = slope * (x - mean) + bias; mean, var and inv_std. All (c,), of the given type."""
    mean, var = moments
    inv_std = 1 / np.sqrt(var + eps)
    slope = inv_std if weight is None else inv_std * weight
    shift = np.zeros_like(mean) if bias is None else bias
    mean, var, inv_std, slope, shift = (v.astype(dtype) for v in (mean, var, inv_std, slope, shift))
    return (mean, slope, shift), (mean, var, inv_std)


def _grain(x: np.ndarray, rows_an_image: int) -> int:
    return max(1, GRAIN * rows_an_image * x.shape[0] // max(1, x.size))


@jit
def _relu_drop_gradient(start, stop, grad_out, out, scale, grad_x):
    gradient, result, target = grad_out[start:stop], out[start:stop], grad_x[start:stop]
    for i in range(target.size):
        if result[i] <= 0:
            target[i] = 0
        else:
            target[i] = gradient[i] * scale
