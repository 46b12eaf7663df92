"""2-D convolution: which algorithm computes it. The maths is in ``reference/conv.py``.

``conv_im2col.py`` takes every case; ``conv_depthwise.py`` the one in which each channel has a filter of its own and a
matrix product would be nearly empty.
"""

import numpy as np

from ..threads import parallel_chunks, split
from . import conv_depthwise, conv_im2col
from .jit import jit
from .layout import to_channels_last

Pair = tuple[int, int]


def conv2d_forward(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """x (n, c_in, h, w), weight (c_out, c_in/groups, kh, kw), bias (c_out,) or None -> (n, c_out, h_out, w_out)."""
    algorithm = conv_depthwise if _is_depthwise(weight.shape, groups) else conv_im2col
    return algorithm.forward(x, weight, bias, stride, padding, dilation, groups)


def conv2d_backward_input(
    grad_out: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """grad_out (n, c_out, h_out, w_out) -> grad_x (n, c_in, h, w)."""
    algorithm = conv_depthwise if _is_depthwise(weight.shape, groups) else conv_im2col
    return algorithm.backward_input(grad_out, weight, input_shape, stride, padding, dilation, groups)


def conv2d_backward_weight(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """grad_out (n, c_out, h_out, w_out), x (n, c_in, h, w) -> grad_weight (c_out, c_in/groups, kh, kw), row-major."""
    algorithm = conv_depthwise if _is_depthwise(weight_shape, groups) else conv_im2col
    return algorithm.backward_weight(grad_out, x, weight_shape, stride, padding, dilation, groups)


def conv2d_backward_bias(grad_out: np.ndarray) -> np.ndarray:
    """grad_out (n, c_out, h_out, w_out) -> (c_out,), accumulated in float64."""
    grad = to_channels_last(grad_out)
    c_out = grad.shape[3]
    grad = grad.reshape(grad.size // c_out, c_out)  # (n, h_out, w_out, c_out) -> (pixels, c_out)
    chunks = split(grad.shape[0], grain=max(1, (1 << 16) // c_out))
    sums = np.zeros((max(1, len(chunks)), c_out))
    parallel_chunks(_sum_rows, chunks, grad, sums)
    return sums.sum(axis=0).astype(grad_out.dtype)  # (chunks, c_out) -> (c_out,)


def _is_depthwise(weight_shape: tuple[int, ...], groups: int) -> bool:
    return groups > 1 and weight_shape[0] == groups and weight_shape[1] == 1


@jit
def _sum_rows(index, start, stop, rows, sums):
    """sums[index] = rows[start:stop].sum(axis=0)"""
    total = sums[index]
    for p in range(start, stop):
        row = rows[p]
        for j in range(total.size):
            total[j] += row[j]
