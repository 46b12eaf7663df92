"""Convolution (cross-correlation, as everywhere in deep learning) and its three gradients, by im2col.

    out[b, o, y, x] = bias[o] + sum_{c, i, j} weight[o, c, i, j] * x_padded[b, c, y*sh + i*dh, x*sw + j*dw]

With the patches of the image as the columns of a matrix this is one matrix product, ``filters @ cols``, and the
gradients are the two products that every matrix product has: ``filters.T @ grad_out`` and ``grad_out @ cols.T``
(Chellapilla et al. 2006, "High performance convolutional neural networks for document processing"). With groups, the
channels fall into `groups` blocks that do not see each other: one more leading axis in each product.

Nothing of that depends on the number of spatial axes: only ``im2col`` looks at them, and takes one, two or three.

Glossary: k = c_in/groups * taps (length of a filter), o = c_out/groups, q = number of patches of an example.
`algorithm` is there because ``cpu/conv.py`` has a choice; here everything is im2col, whatever is asked for.
Read next: ``cpu/conv.py``, the same without ever holding all the columns in memory.
"""

import math

import numpy as np

from ..geometry import conv_output_size
from .im2col import Sizes, col2im, im2col


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
    kernel = weight.shape[2:]
    positions = map(conv_output_size, x.shape[2:], kernel, stride, padding, dilation)
    cols = _grouped_columns(x, kernel, stride, padding, dilation, groups)  # (n, groups, k, q)
    out = np.matmul(_grouped_filters(weight, groups), cols)  # (groups, o, k) @ (n, groups, k, q) -> (n, groups, o, q)
    out = out.reshape(x.shape[0], weight.shape[0], *positions)  # (n, groups, o, q) -> (n, c_out, *spatial)
    if bias is not None:
        out += bias.reshape(-1, *(1,) * len(kernel))
    return out


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
    """grad_out (n, c_out, *spatial) -> grad_x (n, c_in, *spatial): patches' gradients, added where they overlap.

    A transposed convolution is this, too: of inputs of which many lead to one size, `input_shape` says which.
    """
    n, c_in, *size = input_shape
    kernel = weight.shape[2:]
    grads = _grouped_outputs(grad_out, groups)  # (n, groups, o, q)
    filters = _grouped_filters(weight, groups).transpose(0, 2, 1)  # (groups, o, k) -> (groups, k, o)
    grad_cols = np.matmul(filters, grads)  # (groups, k, o) @ (n, groups, o, q) -> (n, groups, k, q)
    grad_cols = grad_cols.reshape(n, c_in * math.prod(kernel), grads.shape[3])  # (n, groups, k, q) -> (n, c_in*taps, q)
    return col2im(grad_cols, tuple(size), kernel, stride, padding, dilation)


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
    """grad_out (n, c_out, *spatial), x (n, c_in, *spatial) -> grad_weight (c_out, c_in/groups, *kernel)."""
    cols = _grouped_columns(x, weight_shape[2:], stride, padding, dilation, groups)  # (n, groups, k, q)
    cols = cols.transpose(0, 1, 3, 2)  # (n, groups, k, q) -> (n, groups, q, k)
    grads = np.matmul(
        _grouped_outputs(grad_out, groups), cols
    )  # (n, groups, o, q) @ (n, groups, q, k) -> (n, groups, o, k)
    return grads.sum(axis=0).reshape(
        weight_shape
    )  # (n, groups, o, k) -> (groups, o, k) -> (c_out, c_in/groups, *kernel)


def conv_backward_bias(grad_out: np.ndarray) -> np.ndarray:
    """grad_out (n, c_out, *spatial) -> (c_out,): the sum over examples and positions, accumulated in float64."""
    return grad_out.sum(axis=(0, *range(2, grad_out.ndim)), dtype=np.float64).astype(grad_out.dtype)


def _grouped_filters(weight: np.ndarray, groups: int) -> np.ndarray:
    """(c_out, c_in/groups, *kernel) -> (groups, o, k)."""
    c_out, *filter_shape = weight.shape
    return weight.reshape(groups, c_out // groups, math.prod(filter_shape))


def _grouped_columns(
    x: np.ndarray, kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> np.ndarray:
    """(n, c_in, *spatial) -> (n, groups, k, q)."""
    cols = im2col(x, kernel_size, stride, padding, dilation)  # (n, c_in*taps, q)
    n, rows, q = cols.shape
    return cols.reshape(n, groups, rows // groups, q)


def _grouped_outputs(grad_out: np.ndarray, groups: int) -> np.ndarray:
    """(n, c_out, *spatial) -> (n, groups, o, q)."""
    n, c_out = grad_out.shape[:2]
    return grad_out.reshape(n, groups, c_out // groups, math.prod(grad_out.shape[2:]))
