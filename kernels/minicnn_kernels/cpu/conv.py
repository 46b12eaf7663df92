"""Convolution in one, two and three dimensions: hands each one to an algorithm. The maths is in ``reference/conv.py``.

``conv_choice.py`` says which, and why. ``conv_im2col.py`` takes every case, and is the one to read first; then
``conv_direct.py`` for few channels, ``conv_winograd.py`` for 3x3 filters, ``conv_depthwise.py`` where each channel has a
filter of its own and a matrix product would be nearly empty.
"""

from types import ModuleType

import numpy as np

from ..threads import parallel_chunks, split
from . import channels, conv_depthwise, conv_direct, conv_im2col, conv_winograd
from .conv_choice import choose, is_depthwise
from .conv_shared import Sizes
from .jit import jit
from .layout import to_channels_last

ALGORITHMS = {"im2col": conv_im2col, "direct": conv_direct, "winograd": conv_winograd}


def conv_forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """x (n, c_in, *spatial), weight (c_out, c_in/groups, *kernel), bias (c_out,) or None -> (n, c_out, *spatial)."""
    module = _module(x.shape, weight.shape, stride, padding, dilation, groups, algorithm)
    return module.forward(x, weight, bias, stride, padding, dilation, groups)


def conv_backward_input(
    grad_out: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """grad_out (n, c_out, *spatial) -> grad_x (n, c_in, *spatial)."""
    module = _module(input_shape, weight.shape, stride, padding, dilation, groups, algorithm)
    return module.backward_input(grad_out, weight, input_shape, stride, padding, dilation, groups)


def conv_backward_weight(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """grad_out (n, c_out, *spatial), x (n, c_in, *spatial) -> grad_weight (c_out, c_in/groups, *kernel), row-major."""
    module = _module(x.shape, weight_shape, stride, padding, dilation, groups, algorithm)
    return module.backward_weight(grad_out, x, weight_shape, stride, padding, dilation, groups)


def conv_backward_bias(grad_out: np.ndarray) -> np.ndarray:
    """grad_out (n, c_out, *spatial) -> (c_out,), accumulated in float64."""
    grad = to_channels_last(grad_out)
    c_out = grad.shape[-1]
    grad = grad.reshape(grad.size // c_out, c_out)  # (n, *spatial, c_out) -> (pixels, c_out)
    if channels.fills_a_vector(grad):
        return channels.sums(grad).astype(grad_out.dtype)
    chunks = split(grad.shape[0], grain=max(1, (1 << 16) // c_out))
    sums = np.zeros((max(1, len(chunks)), c_out + channels.APART))
    parallel_chunks(_sum_rows, chunks, grad, sums)
    return sums.sum(axis=0)[:c_out].astype(grad_out.dtype)


def _module(
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str,
) -> ModuleType:
    """The file that computes this convolution and its gradients."""
    name = choose(x_shape, weight_shape, stride, padding, dilation, groups, algorithm).algorithm
    if name == "direct" and is_depthwise(weight_shape, groups):
        return conv_depthwise
    return ALGORITHMS[name]


@jit
def _sum_rows(index, start, stop, rows, sums):
    """sums[index] = rows[start:stop].sum(axis=0)"""
    total = sums[index, : rows.shape[1]]
    for p in range(start, stop):
        row = rows[p]
        for j in range(total.size):
            total[j] += row[j]
