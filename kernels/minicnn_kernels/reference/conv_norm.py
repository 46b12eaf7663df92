"""A convolution, batch norm, ReLU and max-pooling as one: what the beginning of many networks consists of.

Nothing new is computed; ``cpu/conv_norm.py`` does it a few images at a time, so that what one step writes the next reads
from the cache. `convolution` is (stride, padding, dilation, groups, algorithm) of ``conv.py``, `pooling` is (kernel_size,
stride, padding, dilation, ceil_mode) of ``fused.py``. The convolution has no bias: batch norm would take it away again.
"""

from typing import Any

import numpy as np

from .conv import conv_backward_input, conv_backward_weight, conv_forward
from .fused import batch_norm_relu_max_pool2d_backward_train, batch_norm_relu_max_pool2d_forward_train


def conv_batch_norm_relu_max_pool2d_forward_train(
    x: np.ndarray,
    filters: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    eps: float,
    convolution: tuple[Any, ...],
    pooling: tuple[Any, ...],
) -> tuple[np.ndarray, ...]:
    """x (n, c_in, h, w), filters (c, c_in / groups, kh, kw), weight and bias (c,) or None -> out and saved (n, c, h_out,
    w_out), the convolution's y (n, c, ...); mean, biased var and inv_std (c,)."""
    y = conv_forward(x, filters, None, *convolution)
    out, saved, *moments = batch_norm_relu_max_pool2d_forward_train(y, weight, bias, eps, *pooling)
    return out, saved, y, *moments


def conv_batch_norm_relu_max_pool2d_backward_train(
    grad_out: np.ndarray,
    saved: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
    x: np.ndarray | None,
    filters: np.ndarray | None,
    x_shape: tuple[int, ...],
    filters_shape: tuple[int, ...],
    convolution: tuple[Any, ...],
    pooling: tuple[Any, ...],
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray, np.ndarray]:
    """grad_out (n, c, h_out, w_out), what forward returned and was given -> grad_x, grad_filters, grad_weight, grad_bias.

    Without filters there is no grad_x, without x no grad_filters: nobody wants it.
    """
    arguments = grad_out, saved, y, weight, mean, inv_std
    grad_y, grad_weight, grad_bias = batch_norm_relu_max_pool2d_backward_train(*arguments, *pooling)
    grad_x = None if filters is None else conv_backward_input(grad_y, filters, x_shape, *convolution)
    grad_filters = None if x is None else conv_backward_weight(grad_y, x, filters_shape, *convolution)
    return grad_x, grad_filters, grad_weight, grad_bias
