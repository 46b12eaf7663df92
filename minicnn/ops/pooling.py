"""Pooling: the largest or the mean of each window.

The gradient of a maximum goes to the element that won (the first of equal ones; a NaN wins); that of a mean is shared by
the window. Loops: ``minicnn_kernels/reference/pooling.py``, then ``cpu/pooling.py``.
"""

from __future__ import annotations

from minicnn_kernels import backend_of, geometry
from minicnn_kernels.geometry import to_pair

from ..autograd import Op, Tensor
from .conv import IntPair
from .promotion import require_floating


class MaxPool2d(Op):
    # (n, c, h, w) -> (n, c, h_out, w_out)
    @staticmethod
    def forward(ctx, x, *, window, ceil_mode):
        ctx.kernels = backend_of(x)
        ctx.shape, ctx.window, ctx.ceil_mode = x.shape, window, ceil_mode
        out, winners = ctx.kernels.max_pool2d_forward(x, *window, ceil_mode)
        ctx.save(winners)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (winners,) = ctx.saved
        return ctx.kernels.max_pool2d_backward_input(grad_out, winners, ctx.shape, *ctx.window, ctx.ceil_mode)


class AvgPool2d(Op):
    # (n, c, h, w) -> (n, c, h_out, w_out)
    @staticmethod
    def forward(ctx, x, *, window, options):
        ctx.kernels = backend_of(x)
        ctx.shape, ctx.window, ctx.options = x.shape, window, options
        return ctx.kernels.avg_pool2d_forward(x, *window, *options)

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.kernels.avg_pool2d_backward_input(grad_out, ctx.shape, *ctx.window, *ctx.options)


def max_pool2d(
    input: Tensor,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    dilation: IntPair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor:
    """The largest element of each window.

    Parameters
    ----------
    input : (n, c, h, w) floating point, or one image (c, h, w)
    kernel_size : of the window; an integer, or one for each of height and width. So too:
    stride : step between windows; ``kernel_size`` by default
    padding : how far windows may begin outside, at most half the window; what is outside never wins
    dilation : step between the elements of a window
    ceil_mode : also windows that reach over the far edge, as long as they begin inside

    Returns
    -------
    (n, c, h_out, w_out)

    >>> import minicnn as mc
    >>> mc.nn.functional.max_pool2d(mc.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])

    Raises
    ------
    ValueError : where no window fits, or the padding exceeds half the window.
    NotImplementedError : ``return_indices=True``; ``argmax`` over :func:`unfold` gives them.
    """
    if return_indices:
        raise NotImplementedError("return_indices=True is not supported; take argmax over F.unfold(...) instead")
    x, single, kernel, step, pads = _prepare(input, "max_pool2d", kernel_size, stride, padding)
    dilation = to_pair(dilation, "dilation")
    geometry.pool2d_output_shape(tuple(x.shape), kernel, step, pads, dilation, ceil_mode)
    out = MaxPool2d.apply(x, window=(kernel, step, pads, dilation), ceil_mode=bool(ceil_mode))
    return out.squeeze(0) if single else out


def avg_pool2d(
    input: Tensor,
    kernel_size: IntPair,
    stride: IntPair | None = None,
    padding: IntPair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Parameters
    ----------
    input : (n, c, h, w) floating point, or one image (c, h, w)
    kernel_size, stride, padding, ceil_mode : as for :func:`max_pool2d`
    count_include_pad : whether the zeros of the padding count in the divisor
    divisor_override : divide by this instead of the number of elements

    Returns
    -------
    (n, c, h_out, w_out)

    >>> import minicnn as mc
    >>> mc.nn.functional.avg_pool2d(mc.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])

    Raises
    ------
    ValueError : where no window fits, the padding exceeds half the window, or the divisor is 0.
    """
    if divisor_override == 0:
        raise ValueError("divisor_override: a divisor cannot be 0")
    x, single, kernel, step, pads = _prepare(input, "avg_pool2d", kernel_size, stride, padding)
    geometry.pool2d_output_shape(tuple(x.shape), kernel, step, pads, (1, 1), ceil_mode)
    options = (bool(ceil_mode), bool(count_include_pad), divisor_override)
    out = AvgPool2d.apply(x, window=(kernel, step, pads), options=options)
    return out.squeeze(0) if single else out


def _prepare(input: Tensor, what: str, kernel_size: IntPair, stride: IntPair | None, padding: IntPair) -> tuple:
    require_floating(input, "input", what)
    kernel = to_pair(kernel_size, "kernel_size")
    step = kernel if stride is None or stride == () else to_pair(stride, "stride")
    single = input.ndim == 3
    return (input.unsqueeze(0) if single else input), single, kernel, step, to_pair(padding, "padding")
