"""Sequences of kernels that a fast back end computes in one pass, spelled out as these sequences.

A fused kernel changes which memory is touched, not what is computed: here stands what each one equals, in terms of the
plain kernels; ``cpu/fused.py`` computes it without writing the steps between to memory. The user of both is
``minicnn/ops/fused.py``.

    batch_norm_relu             = relu(batch_norm(x)), with the batch's own statistics
    batch_norm_relu_max_pool2d  = max_pool2d(relu(batch_norm(x)))
    conv2d_relu, linear_relu    = relu(conv2d(x)), relu(x @ weight.T + bias)
    relu_dropout                = dropout(relu(x))
"""

import numpy as np

from ..geometry import Pair
from ..windows import window_tables, winners_as_places, winners_as_taps
from .activation import relu_backward_input, relu_forward
from .conv import conv_forward
from .dropout import dropout_forward
from .matmul import matmul
from .norm import batch_norm_backward_train, batch_norm_forward_train
from .pooling import max_pool_backward_input, max_pool_forward


def batch_norm_relu_forward_train(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (n, c, *spatial), weight and bias (c,) or None -> out like x; mean, biased var and inv_std (c,)."""
    y, mean, var, inv_std = batch_norm_forward_train(x, weight, bias, eps)
    return relu_forward(y), mean, var, inv_std


def batch_norm_relu_backward_train(
    grad_out: np.ndarray,
    out: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out, out and x (n, c, *spatial), the rest (c,) -> grad_x like x, grad_weight (c,), grad_bias (c,)."""
    return batch_norm_backward_train(relu_backward_input(grad_out, out), x, weight, mean, inv_std)


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
    """x (n, c, h, w) -> out and saved (n, c, h_out, w_out); mean, biased var and inv_std (c,).

    saved: the winning tap's number i * kw + j of each window, or kh * kw where the rectifier lets no gradient through,
    in the smallest unsigned integers that hold it.
    """
    y, mean, var, inv_std = batch_norm_relu_forward_train(x, weight, bias, eps)
    out, places = max_pool_forward(y, window_tables(x.shape[2:], (kernel_size, stride, padding, dilation), ceil_mode))
    taps = winners_as_taps(places, x.shape[3], (kernel_size, stride, padding, dilation))
    n_taps = kernel_size[0] * kernel_size[1]
    saved = np.where(out <= 0, n_taps, taps).astype(np.min_scalar_type(n_taps))
    return out, saved, mean, var, inv_std


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
    # The taps that won get their gradients; no tap has the number kh * kw, so the rectifier needs no second look.
    places = winners_as_places(saved, x.shape[3], (kernel_size, stride, padding, dilation))
    windows = window_tables(x.shape[2:], (kernel_size, stride, padding, dilation), ceil_mode)
    grad_y = max_pool_backward_input(grad_out, places, x.shape, windows)
    return batch_norm_backward_train(grad_y, x, weight, mean, inv_std)


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
    return relu_forward(conv_forward(x, weight, bias, stride, padding, dilation, groups, algorithm))


def linear_relu_forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """x (rows, k), weight (n, k), bias (n,) or None -> max(x @ weight.T + bias, 0) (rows, n)."""
    y = matmul(x, weight.T)
    return relu_forward(y if bias is None else y + bias)


def relu_dropout_forward(x: np.ndarray, p: float, seed: int, offset: int) -> np.ndarray:
    """x of any shape -> max(x, 0) / (1 - p) where kept and 0 elsewhere; the mask is that of ``dropout.py``."""
    return dropout_forward(relu_forward(x), p, seed, offset)


def relu_dropout_backward_input(grad_out: np.ndarray, out: np.ndarray, p: float) -> np.ndarray:
    """grad_out, and what the forward pass returned -> grad_x.

    An element of `out` is positive where it was positive before and kept: the result says what the mask was.
    """
    scale = out.dtype.type(0 if p == 1 else 1 / (1 - p))
    return relu_backward_input(grad_out * scale, out)
