"""Transposed convolution in one, two and three dimensions: a convolution's gradient for its input, as an operation.

A convolution is a linear map; as a matrix C it takes x to C x, and its backward pass takes gradients by C^T. A transposed
convolution goes forward by C^T: each number of the input stamps the filter, times itself, onto the output,

    out[n, o, y s + i d - p, x s + j d - p] += input[n, c, y, x] * weight[c, o, i, j]

and backward by C, a convolution. (It undoes the shapes of a convolution, not its values; "deconvolution" is a misnomer.
Zeiler et al. 2010, "Deconvolutional networks"; Dumoulin and Visin 2016, chapter 4.) The kernels are those of ``conv.py``
with forward and backward exchanged.
"""

from __future__ import annotations

from minicnn_kernels import current_conv_algorithm, geometry
from minicnn_kernels.geometry import to_tuple

from ..autograd import Op, Tensor
from .conv import Ints, kernels_for, require_numbers
from .padding import pad


class TransposedConvolution(Op):
    # x (n, c_in, *spatial), weight (c_in, c_out / groups, *kernel), bias (c_out,) -> (n, c_out, *spatial)
    @staticmethod
    def forward(ctx, x, weight, bias, *, size, stride, padding, dilation, groups):
        ctx.kernels = kernels_for(x)
        ctx.window = stride, padding, dilation, groups, current_conv_algorithm()  # backward keeps to it
        ctx.weight_shape = weight.shape
        ctx.save(x if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None)
        shape = (x.shape[0], weight.shape[1] * groups, *size)
        out = ctx.kernels.conv_backward_input(x, weight, shape, *ctx.window)
        if bias is not None:
            out += bias.reshape(-1, *(1,) * len(size))
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, weight = ctx.saved
        grad_x = grad_weight = grad_bias = None
        if weight is not None:
            grad_x = ctx.kernels.conv_forward(grad_out, weight, None, *ctx.window)
        if x is not None:  # the convolution that this is the gradient of had grad_out for its input, x for its grad_out
            grad_weight = ctx.kernels.conv_backward_weight(x, grad_out, ctx.weight_shape, *ctx.window)
        if ctx.needs_input_grad[2]:
            grad_bias = ctx.kernels.conv_backward_bias(grad_out)
        return grad_x, grad_weight, grad_bias


class ConvTranspose1d(TransposedConvolution):
    """Three names for one operation: who looks at a graph or a profile sees which it was."""


class ConvTranspose2d(TransposedConvolution):
    pass


class ConvTranspose3d(TransposedConvolution):
    pass


OPERATIONS = {1: ConvTranspose1d, 2: ConvTranspose2d, 3: ConvTranspose3d}


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """The transpose of :func:`conv1d`: :func:`conv_transpose2d` with one spatial axis.

    Parameters
    ----------
    input : (n, c_in, length), or one sequence (c_in, length)
    weight : (c_in, c_out / groups, kw)
    bias, stride, padding, output_padding, groups, dilation : as for :func:`conv_transpose2d`

    >>> import minicnn as mc
    >>> mc.nn.functional.conv_transpose1d(mc.tensor([[[1.0, 2.0]]]), mc.tensor([[[1.0, 1.0, 1.0]]]), stride=2)
    tensor([[[1., 1., 3., 2., 2.]]])

    Raises
    ------
    ValueError, TypeError : as :func:`conv_transpose2d`.
    """
    return transposed_convolution(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """The transpose of :func:`conv2d`: each pixel stamps the filters onto a larger image. Decoders grow images so.

    Parameters
    ----------
    input : (n, c_in, h, w), or one image (c_in, h, w); floating point or whole numbers
    weight : (c_in, c_out / groups, kh, kw), of the same type: the layout of the convolution it is the transpose of
    bias : (c_out,) or None
    stride : step between two stamps; an integer, or one for each of height and width. So too:
    padding : rows and columns cut off on each side (those that the convolution would have added)
    output_padding : rows and columns added on the far side only: smaller than the stride or the dilation, it chooses one
        of the sizes that a strided convolution takes to the same size
    groups : into how many independent parts the channels are divided
    dilation : step between the taps of a filter

    Returns
    -------
    (n, c_out, h_out, w_out), with ``h_out = (h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1``

    >>> import minicnn as mc
    >>> image = mc.tensor([[[[1.0, 2.0]]]])
    >>> mc.nn.functional.conv_transpose2d(image, mc.tensor([[[[1.0, 1.0], [1.0, 0.0]]]]), stride=2)
    tensor([[[[1., 1., 2., 2.],
              [1., 0., 2., 0.]]]])

    Raises
    ------
    ValueError : shapes that do not fit, an ``output_padding`` that is too large, an empty result.
    TypeError : tensors of different types, or of bools.
    """
    return transposed_convolution(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Tensor:
    """The transpose of :func:`conv3d`: :func:`conv_transpose2d` with three spatial axes.

    Parameters
    ----------
    input : (n, c_in, d, h, w), or one volume (c_in, d, h, w)
    weight : (c_in, c_out / groups, kd, kh, kw)
    bias, stride, padding, output_padding, groups, dilation : as for :func:`conv_transpose2d`

    >>> import minicnn as mc
    >>> mc.nn.functional.conv_transpose3d(mc.ones(1, 1, 2, 1, 1), mc.ones(1, 1, 2, 1, 1)).flatten()
    tensor([1., 2., 1.])

    Raises
    ------
    ValueError, TypeError : as :func:`conv_transpose2d`.
    """
    return transposed_convolution(3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def transposed_convolution(
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Tensor:
    """A transposed convolution over 1, 2 or 3 spatial axes, checked."""
    require_numbers(f"conv_transpose{axes}d", input=input, weight=weight, bias=bias)
    steps, amounts = to_tuple(stride, "stride", axes), to_tuple(padding, "padding", axes)
    extra, spread = to_tuple(output_padding, "output_padding", axes), to_tuple(dilation, "dilation", axes)
    single = input.ndim == axes + 1 and weight.ndim == axes + 2
    x = input.unsqueeze(0) if single else input
    _, _, *size = geometry.conv_transpose_output_shape(
        tuple(x.shape),
        tuple(weight.shape),
        None if bias is None else tuple(bias.shape),
        *(steps, amounts, extra, spread, groups),
    )
    if any(e >= s for e, s in zip(extra, steps, strict=True)):
        # As large as a whole step: a convolution of the result would see further positions, where x is zero.
        x = pad(x, [amount for e, s in zip(extra[::-1], steps[::-1], strict=True) for amount in (0, e // s)])
    out = OPERATIONS[axes].apply(
        x, weight, bias, size=tuple(size), stride=steps, padding=amounts, dilation=spread, groups=groups
    )
    return out.squeeze(0) if single else out
