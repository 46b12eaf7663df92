"""``unfold`` (im2col) and ``fold`` (col2im): windows of images as columns, and back. Each is the other's backward pass.

The kernels are ``im2col`` and ``col2im`` of ``minicnn_kernels/reference/im2col.py``.
"""

from __future__ import annotations

from typing import Any

from minicnn_kernels import geometry
from minicnn_kernels.geometry import to_pair

from ..autograd import Op, Tensor
from .conv import Ints, kernels_for


class Unfold(Op):
    # (n, c, h, w) -> (n, c kh kw, windows); back by col2im, which adds up what overlaps
    @staticmethod
    def forward(ctx, x, *, window):
        ctx.kernels = kernels_for(x)
        ctx.size, ctx.window = x.shape[2:], window
        return ctx.kernels.im2col(x, *window)

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.kernels.col2im(grad_out, ctx.size, *ctx.window)


class Fold(Op):
    # (n, c kh kw, windows) -> (n, c, h, w); back by im2col
    @staticmethod
    def forward(ctx, cols, *, output_size, window):
        ctx.kernels = kernels_for(cols)
        ctx.window = window
        return ctx.kernels.col2im(cols, output_size, *window)

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.kernels.im2col(grad_out, *ctx.window)


def unfold(input: Tensor, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1) -> Tensor:
    """im2col: each window of each image as a column.

    Parameters
    ----------
    input : (n, c, h, w) floating point or bool, or one image (c, h, w)
    kernel_size, dilation, padding, stride : of the windows; integers, or one for each of height and width

    Returns
    -------
    (n, c * kh * kw, windows), windows in row-major order; without the n for one image

    >>> import minicnn as mc
    >>> mc.nn.functional.unfold(mc.arange(9.0).reshape(1, 1, 3, 3), 2)
    tensor([[[0., 1., 3., 4.],
             [1., 2., 4., 5.],
             [3., 4., 6., 7.],
             [4., 5., 7., 8.]]])

    Raises
    ------
    ValueError : where a window does not fit into the padded image.
    TypeError : for tensors of whole numbers, as in torch.
    """
    _require_kind(input, "unfold")
    window = _window(kernel_size, stride, padding, dilation)
    single = input.ndim == 3
    x = input.unsqueeze(0) if single else input
    geometry.unfold_output_shape(tuple(x.shape), *window)
    out = Unfold.apply(x, window=window)
    return out.squeeze(0) if single else out


def fold(
    input: Tensor,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Tensor:
    """col2im: columns added back into images where they came from; the transpose of :func:`unfold`.

    Parameters
    ----------
    input : (n, c * kh * kw, windows) floating point or bool, or the columns of one image, without the n
    output_size : (h, w) of the images
    kernel_size, dilation, padding, stride : of the windows

    Returns
    -------
    (n, c, h, w)

    How many windows of 2x2 see each pixel of a 3x3 image:

    >>> import minicnn as mc
    >>> mc.nn.functional.fold(mc.ones(4, 4), 3, 2)
    tensor([[[1., 2., 1.],
             [2., 4., 2.],
             [1., 2., 1.]]])

    Raises
    ------
    ValueError : where the columns cannot have come from images of ``output_size``.
    TypeError : for tensors of whole numbers, as in torch.
    """
    _require_kind(input, "fold")
    window = _window(kernel_size, stride, padding, dilation)
    size = to_pair(output_size, "output_size")
    single = input.ndim == 2
    cols = input.unsqueeze(0) if single else input
    geometry.fold_output_shape(tuple(cols.shape), size, *window)
    out = Fold.apply(cols, output_size=size, window=window)
    return out.squeeze(0) if single else out


def _require_kind(x: Any, what: str) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"input: {what} needs a Tensor, got {type(x).__name__}")
    if x._array.dtype.kind not in "fb":
        raise TypeError(f"input: {what} needs floating point (or bool), got {x.dtype}; convert with .float()")


def _window(kernel_size: Ints, stride: Ints, padding: Ints, dilation: Ints) -> tuple:
    """In the kernels' order: kernel size, stride, padding, dilation."""
    return (
        to_pair(kernel_size, "kernel_size"),
        to_pair(stride, "stride"),
        to_pair(padding, "padding"),
        to_pair(dilation, "dilation"),
    )
