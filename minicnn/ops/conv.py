"""Convolution in one, two and three dimensions.

    out[n, o, y, x] = bias[o] + sum over c, i, j of weight[o, c, i, j] * input[n, c, y s + i d - p, x s + j d - p]

(stride s, dilation d, zero padding p; strictly a cross-correlation, as everywhere in the field; with one or three
spatial axes in place of two, the same). Its gradients are convolutions again: for the input with the flipped weight, for
the weight between input and grad_out. Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016),
draws the shapes.

The loops are in ``minicnn_kernels``: read ``reference/conv.py`` first, then ``cpu/conv.py``. The gradient for the input as
an operation of its own is in ``conv_transpose.py``; the im2col rearrangement as one, in ``fold.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TypeAlias

import numpy as np

from minicnn_kernels import backend_of, current_conv_algorithm, geometry, use_backend
from minicnn_kernels.geometry import to_tuple

from ..autograd import Op, Tensor
from .padding import pad
from .promotion import require_same_dtype

Ints: TypeAlias = int | Sequence[int]
IntPair: TypeAlias = int | tuple[int, int]


class Convolution(Op):
    # x (n, c_in, *spatial), weight (c_out, c_in / groups, *kernel), bias (c_out,) -> (n, c_out, *spatial)
    @staticmethod
    def forward(ctx, x, weight, bias, *, stride, padding, dilation, groups):
        ctx.kernels = kernels_for(x)
        ctx.window = stride, padding, dilation, groups, current_conv_algorithm()  # backward keeps to it
        ctx.x_shape, ctx.weight_shape = x.shape, weight.shape
        ctx.save(x if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None)
        return ctx.kernels.conv_forward(x, weight, bias, *ctx.window)

    @staticmethod
    def backward(ctx, grad_out):
        return conv_gradients(ctx, grad_out, *ctx.saved)


class Conv1d(Convolution):
    """Three names for one operation: who looks at a graph or a profile sees which it was."""


class Conv2d(Convolution):
    pass


class Conv3d(Convolution):
    pass


OPERATIONS = {1: Conv1d, 2: Conv2d, 3: Conv3d}


def conv_gradients(ctx, grad_out, x, weight):
    """The gradients of a convolution's three operands, each where it is wanted (x and weight are None otherwise)."""
    kernels = ctx.kernels
    grad_x = grad_weight = grad_bias = None
    if weight is not None:
        grad_x = kernels.conv_backward_input(grad_out, weight, ctx.x_shape, *ctx.window)
    if x is not None:
        grad_weight = kernels.conv_backward_weight(grad_out, x, ctx.weight_shape, *ctx.window)
    if ctx.needs_input_grad[2]:
        grad_bias = kernels.conv_backward_bias(grad_out)
    return grad_x, grad_weight, grad_bias


def kernels_for(x: np.ndarray) -> ModuleType:
    """The back end; for whole numbers the plain NumPy one, which is exact for any type."""
    if x.dtype.kind == "f":
        return backend_of(x)
    with use_backend("reference"):
        return backend_of(x)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve sequences with a bank of filters: :func:`conv2d` with one spatial axis.

    Parameters
    ----------
    input : (n, c_in, length), or one sequence (c_in, length)
    weight : (c_out, c_in / groups, kw)
    bias, stride, padding, dilation, groups : as for :func:`conv2d`, with tuples of one number

    Returns
    -------
    (n, c_out, length), with the length ``(length + 2 padding - dilation (kw - 1) - 1) // stride + 1``

    >>> import minicnn as mc
    >>> difference = mc.tensor([[[-1.0, 1.0]]])
    >>> mc.nn.functional.conv1d(mc.tensor([[[1.0, 4.0, 9.0, 16.0]]]), difference)
    tensor([[[3., 5., 7.]]])

    Raises
    ------
    ValueError, TypeError : as :func:`conv2d`.
    """
    return convolution(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve images with a bank of filters.

    Parameters
    ----------
    input : (n, c_in, h, w), or one image (c_in, h, w); floating point, or whole numbers, computed exactly (modulo the
        type's range) by plain NumPy
    weight : (c_out, c_in / groups, kh, kw), of the same type
    bias : (c_out,) or None
    stride : step between windows; an integer, or one for each of height and width. So too:
    padding : zeros added on each side; or ``"valid"`` (none), or ``"same"`` (the output has the input's size; stride 1
        only; where the total is odd the extra zero comes after).
    dilation : step between the taps of a filter
    groups : into how many independent convolutions the channels are divided

    Returns
    -------
    (n, c_out, h_out, w_out), with ``h_out = (h + 2 padding - dilation (kh - 1) - 1) // stride + 1``

    A checkerboard under a checkerboard filter, small enough to check by hand: where the two agree five ones meet five
    ones, and one step further they never meet.

    >>> import minicnn as mc
    >>> board = (mc.arange(25) % 2 == 0).float().reshape(1, 1, 5, 5)
    >>> filter = (mc.arange(9) % 2 == 0).float().reshape(1, 1, 3, 3)
    >>> mc.nn.functional.conv2d(board, filter)
    tensor([[[[5., 0., 5.],
              [0., 5., 0.],
              [5., 0., 5.]]]])

    Raises
    ------
    ValueError : shapes that do not fit, a filter larger than the padded image, groups that do not divide the channels.
    TypeError : tensors of different types, or of bools.
    """
    return convolution(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints | str = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve volumes (or films, time being the depth) with a bank of filters: :func:`conv2d` with three spatial axes.

    Parameters
    ----------
    input : (n, c_in, d, h, w), or one volume (c_in, d, h, w)
    weight : (c_out, c_in / groups, kd, kh, kw)
    bias, stride, padding, dilation, groups : as for :func:`conv2d`; tuples are for depth, height and width

    Returns
    -------
    (n, c_out, d_out, h_out, w_out)

    >>> import minicnn as mc
    >>> mc.nn.functional.conv3d(mc.ones(1, 1, 4, 3, 3), mc.ones(1, 1, 2, 3, 3))
    tensor([[[[[18.]],
    <BLANKLINE>
              [[18.]],
    <BLANKLINE>
              [[18.]]]]])

    Raises
    ------
    ValueError, TypeError : as :func:`conv2d`.
    """
    return convolution(3, input, weight, bias, stride, padding, dilation, groups)


def convolution(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints | str,
    dilation: Ints,
    groups: int,
) -> Tensor:
    """A convolution over 1, 2 or 3 spatial axes, checked."""
    require_numbers(f"conv{axes}d", input=input, weight=weight, bias=bias)
    steps, spread = to_tuple(stride, "stride", axes), to_tuple(dilation, "dilation", axes)
    single = input.ndim == axes + 1 and weight.ndim == axes + 2
    x = input.unsqueeze(0) if single else input
    if isinstance(padding, str):
        x, amounts = _named_padding(x, weight, padding, steps, spread)
    else:
        amounts = to_tuple(padding, "padding", axes)
    bias_shape = None if bias is None else tuple(bias.shape)
    geometry.conv_output_shape(tuple(x.shape), tuple(weight.shape), bias_shape, steps, amounts, spread, groups)
    operation = OPERATIONS[axes]
    out = operation.apply(x, weight, bias, stride=steps, padding=amounts, dilation=spread, groups=groups)
    return out.squeeze(0) if single else out


def require_numbers(what: str, **tensors: Tensor | None) -> None:
    """Raise where the tensors given are not all of one type, floating point or whole numbers."""
    first = tensors["input"]
    if not isinstance(first, Tensor) or first._array.dtype.kind == "f":
        require_same_dtype(what, **tensors)
        return
    for name, x in tensors.items():
        if x is not None and (
            not isinstance(x, Tensor) or x._array.dtype != first._array.dtype or x._array.dtype == bool
        ):
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(
                f"{name}: {what} needs tensors of one type of numbers, got {kind} where input has {first.dtype}; convert "
                "with .float()"
            )


def _named_padding(
    x: Tensor, weight: Tensor, padding: str, stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[Tensor, tuple[int, ...]]:
    """``"valid"`` or ``"same"`` as numbers; what is uneven is padded here."""
    none = (0,) * len(stride)
    if padding == "valid":
        return x, none
    if padding != "same":
        raise ValueError(f"padding: expected an integer, one for each axis, 'valid' or 'same', got {padding!r}")
    if not x.ndim == weight.ndim == len(stride) + 2:
        return x, none  # the check of the shapes that follows says what is wrong
    if max(stride) > 1:
        raise ValueError(f"padding: 'same' is for stride 1, got stride {stride}; give the padding as numbers")
    total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    before = tuple(t // 2 for t in total)
    extra = [t - 2 * b for t, b in zip(total, before, strict=True)]
    if any(extra):
        x = pad(x, [amount for e in reversed(extra) for amount in (0, e)])
    return x, before
