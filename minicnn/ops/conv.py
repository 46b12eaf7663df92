"""Two-dimensional convolution, and the im2col rearrangement that it is built on.

    out[n, o, y, x] = bias[o] + sum over c, i, j of weight[o, c, i, j] * input[n, c, y s + i d - p, x s + j d - p]

(stride s, dilation d, zero padding p; strictly a cross-correlation, as everywhere in the field). Its gradients are
convolutions again: for the input with the flipped weight, for the weight between input and grad_out. Dumoulin and Visin,
"A guide to convolution arithmetic for deep learning" (2016), draws the shapes.

The loops are in ``minicnn_kernels``: read ``reference/conv.py`` first, then ``cpu/conv.py``.
"""

from __future__ import annotations

from typing import TypeAlias

from minicnn_kernels import backend_of, current_conv_algorithm, geometry
from minicnn_kernels.geometry import to_pair

from ..autograd import Op, Tensor
from .padding import pad
from .promotion import require_floating, require_same_dtype

IntPair: TypeAlias = int | tuple[int, int]


class Conv2d(Op):
    # x (n, c_in, h, w), weight (c_out, c_in / groups, kh, kw), bias (c_out,) -> (n, c_out, h_out, w_out)
    @staticmethod
    def forward(ctx, x, weight, bias, *, stride, padding, dilation, groups):
        ctx.kernels = backend_of(x)
        ctx.window = stride, padding, dilation, groups, current_conv_algorithm()  # backward keeps to it
        ctx.x_shape, ctx.weight_shape = x.shape, weight.shape
        ctx.save(x if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None)
        return ctx.kernels.conv_forward(x, weight, bias, *ctx.window)

    @staticmethod
    def backward(ctx, grad_out):
        return conv_gradients(ctx, grad_out, *ctx.saved)


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


class Unfold(Op):
    # (n, c, h, w) -> (n, c kh kw, windows); back by col2im, which adds up what overlaps
    @staticmethod
    def forward(ctx, x, *, window):
        ctx.kernels = backend_of(x)
        ctx.size, ctx.window = x.shape[2:], window
        return ctx.kernels.im2col(x, *window)

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.kernels.col2im(grad_out, ctx.size, *ctx.window)


class Fold(Op):
    # (n, c kh kw, windows) -> (n, c, h, w); back by im2col
    @staticmethod
    def forward(ctx, cols, *, output_size, window):
        ctx.kernels = backend_of(cols)
        ctx.window = window
        return ctx.kernels.col2im(cols, output_size, *window)

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.kernels.im2col(grad_out, *ctx.window)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: IntPair = 1,
    padding: IntPair | str = 0,
    dilation: IntPair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve images with a bank of filters.

    Parameters
    ----------
    input : (n, c_in, h, w) floating point, or one image (c_in, h, w)
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
    TypeError : tensors of different or not floating-point types.
    """
    require_same_dtype("conv2d", input=input, weight=weight, bias=bias)
    stride, dilation = to_pair(stride, "stride"), to_pair(dilation, "dilation")
    single = input.ndim == 3 and weight.ndim == 4
    x = input.unsqueeze(0) if single else input
    if isinstance(padding, str):
        x, padding = _named_padding(x, weight, padding, stride, dilation)
    padding = to_pair(padding, "padding")
    bias_shape = None if bias is None else tuple(bias.shape)
    geometry.conv_output_shape(tuple(x.shape), tuple(weight.shape), bias_shape, stride, padding, dilation, groups)
    out = Conv2d.apply(x, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)
    return out.squeeze(0) if single else out


def _named_padding(
    x: Tensor, weight: Tensor, padding: str, stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[Tensor, tuple[int, int]]:
    """``"valid"`` or ``"same"`` as numbers; what is uneven is padded here."""
    if padding == "valid":
        return x, (0, 0)
    if padding != "same":
        raise ValueError(f"padding: expected an integer, a pair, 'valid' or 'same', got {padding!r}")
    if x.ndim != 4 or weight.ndim != 4:
        return x, (0, 0)  # the check of the shapes that follows says what is wrong
    if stride != (1, 1):
        raise ValueError(f"padding: 'same' is for stride 1, got stride {stride}; give the padding as numbers")
    total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    before = (total[0] // 2, total[1] // 2)
    extra = [t - 2 * b for t, b in zip(total, before, strict=True)]
    if any(extra):
        x = pad(x, (0, extra[1], 0, extra[0]))
    return x, before


def unfold(
    input: Tensor, kernel_size: IntPair, dilation: IntPair = 1, padding: IntPair = 0, stride: IntPair = 1
) -> Tensor:
    """im2col: each window of each image as a column.

    Parameters
    ----------
    input : (n, c, h, w) floating point

    Returns
    -------
    (n, c * kh * kw, windows), windows in row-major order

    >>> import minicnn as mc
    >>> mc.nn.functional.unfold(mc.arange(9.0).reshape(1, 1, 3, 3), 2)
    tensor([[[0., 1., 3., 4.],
             [1., 2., 4., 5.],
             [3., 4., 6., 7.],
             [4., 5., 7., 8.]]])

    Raises
    ------
    ValueError : where a window does not fit into the padded image.
    """
    require_floating(input, "input", "unfold")
    window = _window(kernel_size, stride, padding, dilation)
    geometry.unfold_output_shape(tuple(input.shape), *window)
    return Unfold.apply(input, window=window)


def fold(
    input: Tensor,
    output_size: IntPair,
    kernel_size: IntPair,
    dilation: IntPair = 1,
    padding: IntPair = 0,
    stride: IntPair = 1,
) -> Tensor:
    """col2im: columns added back into images where they came from; the transpose of :func:`unfold`.

    Parameters
    ----------
    input : (n, c * kh * kw, windows) floating point
    output_size : (h, w) of the images

    Returns
    -------
    (n, c, h, w)

    Raises
    ------
    ValueError : where the columns cannot have come from images of ``output_size``.
    """
    require_floating(input, "input", "fold")
    window = _window(kernel_size, stride, padding, dilation)
    size = to_pair(output_size, "output_size")
    geometry.fold_output_shape(tuple(input.shape), size, *window)
    return Fold.apply(input, output_size=size, window=window)


def _window(kernel_size: IntPair, stride: IntPair, padding: IntPair, dilation: IntPair) -> tuple:
    """In the kernels' order: kernel size, stride, padding, dilation."""
    return (
        to_pair(kernel_size, "kernel_size"),
        to_pair(stride, "stride"),
        to_pair(padding, "padding"),
        to_pair(dilation, "dilation"),
    )
