"""A convolution, batch norm, ReLU and max-pooling, a few images at a time (what they compute: ``reference/conv_norm.py``).

The first layers of a network have its largest images. One step after the other, each reads from memory what the one before
has written there. Here a few images go through two steps while they are in the cache:

* forward, the convolution and the sums of the batch norm's statistics;
* backward, where nobody wants the gradient of the convolution's input, as in a network's first layer, the gradient of the
  batch norm and that of the filters. The gradient between them is never written to memory.
"""

from typing import Any

import numpy as np

from ..threads import get_num_threads
from . import conv_direct
from .channels import Statistics
from .conv import algorithm_of, conv_backward_input, conv_backward_weight, conv_forward
from .fused import (
    batch_norm_relu_max_pool2d_backward_train,
    batch_norm_relu_max_pool2d_forward_train,
    normalised_and_pooled,
    pooled_gradient,
)
from .simd import lanes


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
    if _by_images(filters.shape[0], x.dtype, x.shape, filters.shape, convolution):
        watch = _Statistics()
        stride, padding, dilation, groups = convolution[:4]
        y = conv_direct.forward(x, filters, None, stride, padding, dilation, groups, watch)
        return _with(y, normalised_and_pooled(y, watch.moments.result(), weight, bias, eps, *pooling))
    y = conv_forward(x, filters, None, *convolution)
    return _with(y, batch_norm_relu_max_pool2d_forward_train(y, weight, bias, eps, *pooling))


def _with(y: np.ndarray, results: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    """y in the third place."""
    return *results[:2], y, *results[2:]


class _Statistics:
    """Watches a convolution for the batch norm behind it."""

    moments: Statistics
    pixels: int  # an image

    def begin(self, out: np.ndarray, n_chunks: int) -> None:
        rows = out.reshape(-1, out.shape[-1])
        self.moments, self.pixels = Statistics(rows, n_chunks), rows.shape[0] // out.shape[0]

    def see(self, index: int, first: int, last: int) -> None:
        self.moments.see(index, first * self.pixels, last * self.pixels)


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
    """grad_out (n, c, h_out, w_out), what forward returned and was given -> grad_x, grad_filters, grad_weight, grad_bias."""
    arguments = grad_out, saved, y, weight, mean, inv_std
    by_images = _by_images(y.shape[1], y.dtype, x_shape, filters_shape, convolution)
    if x is not None and filters is None and by_images:
        pooled, grad_weight, grad_bias = pooled_gradient(*arguments, *pooling)
        grad = conv_direct.backward_weight_by_images(pooled.of_images, x, filters_shape, *convolution[:4])
        return None, grad, grad_weight, grad_bias
    grad_y, grad_weight, grad_bias = batch_norm_relu_max_pool2d_backward_train(*arguments, *pooling)
    grad_x = None if filters is None else conv_backward_input(grad_y, filters, x_shape, *convolution)
    grad_filters = None if x is None else conv_backward_weight(grad_y, x, filters_shape, *convolution)
    return grad_x, grad_filters, grad_weight, grad_bias


def _by_images(
    c: int, dtype: np.dtype, x_shape: tuple[int, ...], filters_shape: tuple[int, ...], convolution: tuple[Any, ...]
) -> bool:
    """Whether there are loops for that, and images enough for each thread.

    (For Winograd it was tried, and brought nothing: its maps and its filters fill the cache already.)
    """
    direct = algorithm_of(x_shape, filters_shape, *convolution) is conv_direct
    return direct and c >= lanes(dtype) and x_shape[0] >= 4 * get_num_threads()
