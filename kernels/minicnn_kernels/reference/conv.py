"""2-D convolution (cross-correlation, as everywhere in deep learning) and its three gradients, by im2col.

    out[b, o, y, x] = bias[o] + sum_{c, i, j} weight[o, c, i, j] * x_padded[b, c, y*sh + i*dh, x*sw + j*dw]

With the patches of the image as the columns of a matrix this is one matrix product, ``filters @ cols``, and the
gradients are the two products that every matrix product has: ``filters.T @ grad_out`` and ``grad_out @ cols.T``
(Chellapilla et al. 2006, "High performance convolutional neural networks for document processing"). With groups, the
channels fall into `groups` blocks that do not see each other: one more leading axis in each product.

Glossary: k = c_in/groups * kh * kw (length of a filter), o = c_out/groups, q = h_out * w_out (number of patches).
`algorithm` is there because ``cpu/conv.py`` has a choice; here everything is im2col, whatever is asked for.
Read next: ``cpu/conv.py``, the same without ever holding all the columns in memory.
"""

import numpy as np

from ..geometry import conv_output_size
from .im2col import Pair, col2im, im2col


def conv_forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """x (n, c_in, h, w), weight (c_out, c_in/groups, kh, kw), bias (c_out,) or None -> (n, c_out, h_out, w_out)."""
    n, _, h, w = x.shape
    c_out, _, kh, kw = weight.shape
    h_out = conv_output_size(h, kh, stride[0], padding[0], dilation[0])
    w_out = conv_output_size(w, kw, stride[1], padding[1], dilation[1])
    cols = _grouped_columns(x, (kh, kw), stride, padding, dilation, groups)  # (n, groups, k, q)
    out = np.matmul(_grouped_filters(weight, groups), cols)  # (groups, o, k) @ (n, groups, k, q) -> (n, groups, o, q)
    out = out.reshape(n, c_out, h_out, w_out)  # (n, groups, o, q) -> (n, c_out, h_out, w_out)
    if bias is not None:
        out += bias.reshape(1, c_out, 1, 1)
    return out


def conv_backward_input(
    grad_out: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """grad_out (n, c_out, h_out, w_out) -> grad_x (n, c_in, h, w): patches' gradients, added where they overlap."""
    n, c_in, h, w = input_shape
    kh, kw = weight.shape[2:]
    grads = _grouped_outputs(grad_out, groups)  # (n, groups, o, q)
    filters = _grouped_filters(weight, groups).transpose(0, 2, 1)  # (groups, o, k) -> (groups, k, o)
    grad_cols = np.matmul(filters, grads)  # (groups, k, o) @ (n, groups, o, q) -> (n, groups, k, q)
    grad_cols = grad_cols.reshape(n, c_in * kh * kw, grads.shape[3])  # (n, groups, k, q) -> (n, c_in*kh*kw, q)
    return col2im(grad_cols, (h, w), (kh, kw), stride, padding, dilation)


def conv_backward_weight(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """grad_out (n, c_out, h_out, w_out), x (n, c_in, h, w) -> grad_weight (c_out, c_in/groups, kh, kw)."""
    cols = _grouped_columns(x, weight_shape[2:], stride, padding, dilation, groups)  # (n, groups, k, q)
    cols = cols.transpose(0, 1, 3, 2)  # (n, groups, k, q) -> (n, groups, q, k)
    grads = np.matmul(
        _grouped_outputs(grad_out, groups), cols
    )  # (n, groups, o, q) @ (n, groups, q, k) -> (n, groups, o, k)
    return grads.sum(axis=0).reshape(
        weight_shape
    )  # (n, groups, o, k) -> (groups, o, k) -> (c_out, c_in/groups, kh, kw)


def conv_backward_bias(grad_out: np.ndarray) -> np.ndarray:
    """grad_out (n, c_out, h_out, w_out) -> (c_out,): the sum over images and pixels, accumulated in float64."""
    return grad_out.sum(axis=(0, 2, 3), dtype=np.float64).astype(grad_out.dtype)


def _grouped_filters(weight: np.ndarray, groups: int) -> np.ndarray:
    """(c_out, c_in/groups, kh, kw) -> (groups, o, k)."""
    c_out, c_per_group, kh, kw = weight.shape
    return weight.reshape(groups, c_out // groups, c_per_group * kh * kw)


def _grouped_columns(
    x: np.ndarray, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """(n, c_in, h, w) -> (n, groups, k, q)."""
    cols = im2col(x, kernel_size, stride, padding, dilation)  # (n, c_in*kh*kw, q)
    n, rows, q = cols.shape
    return cols.reshape(n, groups, rows // groups, q)


def _grouped_outputs(grad_out: np.ndarray, groups: int) -> np.ndarray:
    """(n, c_out, h_out, w_out) -> (n, groups, o, q)."""
    n, c_out, h_out, w_out = grad_out.shape
    return grad_out.reshape(n, groups, c_out // groups, h_out * w_out)
