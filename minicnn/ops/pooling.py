"""Pooling: the largest or the mean of each window, in one, two and three dimensions.

The gradient of a maximum goes to the element that won (the first of equal ones; a NaN wins, the last of several); that of a
mean is shared by the window. Windows whose size follows from the output's are in ``adaptive_pooling.py``, the way back
from maxima in ``unpooling.py``. Loops: ``minicnn_kernels/reference/pooling.py``, then ``cpu/pooling.py``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels.geometry import pool_output_shape, to_tuple
from minicnn_kernels.windows import Windows, pool_divisors, window_tables

from ..autograd import Op, Tensor
from ..dtypes import bool_
from .conv import Ints, kernels_for
from .elementwise import pow, where
from .promotion import require_floating, to_floating


class _MaxPool(Op):
    # (n, c, *spatial) -> (n, c, *positions); what is kept is where the winners lie
    @staticmethod
    def forward(ctx, x, *, window, ceil_mode):
        return max_forward(ctx, x, window_tables(x.shape[2:], window, ceil_mode))[0]

    @staticmethod
    def backward(ctx, grad_out):
        return max_backward(ctx, grad_out)


class MaxPool1d(_MaxPool):
    """Three names for one operation: who looks at a graph or a profile sees which it was."""


class MaxPool2d(_MaxPool):
    pass


class MaxPool3d(_MaxPool):
    pass


class MaxPoolIndices(Op):
    # (n, c, *spatial) -> (n, c, *positions) twice: the winners, and where they lie, int64
    @staticmethod
    def forward(ctx, x, *, windows):
        out, places = max_forward(ctx, x, windows)
        return out, places.astype(np.int64)

    @staticmethod
    def backward(ctx, grad_out, grad_places):
        return max_backward(ctx, grad_out)


class AvgPool(Op):
    # (n, c, *spatial) -> (n, c, *positions): y = sum over the window / divisor;  dL/dx = sum over windows of g / divisor
    @staticmethod
    def forward(ctx, x, *, windows, divisors):
        ctx.kernels = kernels_for(x)
        ctx.shape, ctx.windows, ctx.divisors = x.shape, windows, divisors
        return ctx.kernels.avg_pool_forward(x, windows, divisors)

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.kernels.avg_pool_backward_input(grad_out, ctx.shape, ctx.windows, ctx.divisors)


OPERATIONS = {1: MaxPool1d, 2: MaxPool2d, 3: MaxPool3d}


def max_forward(ctx: Any, x: np.ndarray, windows: tuple[Windows, ...]) -> tuple[np.ndarray, np.ndarray]:
    """The largest element of each window, and where it lies; keeps that for the gradient."""
    ctx.kernels = kernels_for(x)
    ctx.shape, ctx.windows = x.shape, windows
    out, places = ctx.kernels.max_pool_forward(x, windows)
    ctx.save(places)
    return out, places


def max_backward(ctx: Any, grad_out: np.ndarray) -> np.ndarray:
    (places,) = ctx.saved
    return ctx.kernels.max_pool_backward_input(grad_out, places, ctx.shape, ctx.windows)


def max_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window.

    Parameters
    ----------
    input : (n, c, h, w) of any type but bool, or one image (c, h, w)
    kernel_size : of the window; an integer, or one for each of height and width. So too:
    stride : step between windows; ``kernel_size`` by default
    padding : how far windows may begin outside, at most half the window; what is outside never wins
    dilation : step between the elements of a window
    ceil_mode : also windows that reach over the far edge, as long as they begin inside
    return_indices : whether the places of the winners are returned too; :func:`max_unpool2d` takes them

    Returns
    -------
    (n, c, h_out, w_out), with ``h_out = (h + 2 padding - dilation (kh - 1) - 1) // stride + 1``; where the indices are
    wanted, a pair with these, int64: the number ``y w + x`` of the winner in its image

    >>> import minicnn as mc
    >>> mc.nn.functional.max_pool2d(mc.arange(16.0).reshape(1, 1, 4, 4), 2)
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])

    Raises
    ------
    ValueError : where no window fits, or the padding exceeds half the window; for an empty image.
    TypeError : for a bool input.
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of a sequence, (n, c, length) or (c, length); see :func:`max_pool2d`.

    >>> import minicnn as mc
    >>> out, indices = mc.nn.functional.max_pool1d(mc.tensor([[1.0, 5.0, 2.0, 4.0]]), 2, return_indices=True)
    >>> out, indices
    (tensor([[5., 4.]]), tensor([[1, 3]]))
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of a volume, (n, c, d, h, w) or (c, d, h, w); see :func:`max_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.max_pool3d(mc.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[7.]]]])
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """:func:`max_pool1d` with ``return_indices=True``, whatever ``return_indices`` says."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """:func:`max_pool2d` with ``return_indices=True``, whatever ``return_indices`` says."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Tensor, Tensor]:
    """:func:`max_pool3d` with ``return_indices=True``, whatever ``return_indices`` says."""
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def avg_pool2d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window.

    Parameters
    ----------
    input : (n, c, h, w) floating point or int64 (whose quotients are cut off), or one image (c, h, w)
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
    ValueError : where no window fits, the padding exceeds half the window, or the divisor is 0; for an empty image.
    TypeError : for an input of another type.
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool1d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of a sequence, (n, c, length) or (c, length); see :func:`avg_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.avg_pool1d(mc.tensor([[1.0, 5.0, 2.0, 4.0]]), 2)
    tensor([[3., 3.]])
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool3d(
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of a volume, (n, c, d, h, w) or (c, d, h, w); see :func:`avg_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.avg_pool3d(mc.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def lp_pool2d(
    input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Tensor:
    """The power mean of each window without its mean: ``(sum of x^p)^(1/p)``; p = 1 is the sum, large p near the maximum.

    Parameters
    ----------
    input : (n, c, h, w) or one image (c, h, w); whole numbers become floating point
    norm_type : p
    kernel_size, stride, ceil_mode : as for :func:`max_pool2d`. (As in PyTorch a window that hangs over the edge, which
        ``ceil_mode`` allows, counts as if the elements beyond were like the others on average.)

    Returns
    -------
    (n, c, h_out, w_out). Where a sum is 0 the gradient is 0.

    >>> import minicnn as mc
    >>> mc.nn.functional.lp_pool2d(mc.tensor([[[3.0, 0.0], [0.0, 4.0]]]), 2, 2)
    tensor([[[5.]]])

    Raises
    ------
    ValueError : where no window fits; for an empty image.
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool1d(
    input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Tensor:
    """``(sum of x^p)^(1/p)`` over each window of a sequence, (n, c, length) or (c, length); see :func:`lp_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.lp_pool1d(mc.tensor([[3.0, 4.0]]), 2, 2)
    tensor([[5.]])
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Tensor:
    """``(sum of x^p)^(1/p)`` over each window of a volume, (n, c, d, h, w) or (c, d, h, w); see :func:`lp_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.lp_pool3d(mc.ones(1, 2, 2, 2), 3, 2)
    tensor([[[[2.]]]])
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def _max_pool(
    axes: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    if not isinstance(input, Tensor) or input.dtype is bool_:
        raise TypeError(f"input: max_pool{axes}d needs a Tensor of numbers, got {_kind(input)}")
    x, single, window = _prepare(axes, input, kernel_size, stride, padding, dilation, ceil_mode)
    if return_indices:
        windows = window_tables(tuple(x.shape[2:]), window, ceil_mode)
        out, indices = MaxPoolIndices.apply(x, windows=windows)
        return (out.squeeze(0), indices.squeeze(0)) if single else (out, indices)
    out = OPERATIONS[axes].apply(x, window=window, ceil_mode=bool(ceil_mode))
    return out.squeeze(0) if single else out


def _avg_pool(
    axes: int,
    input: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> Tensor:
    if divisor_override == 0:
        raise ValueError("divisor_override: a divisor cannot be 0")
    if not (isinstance(input, Tensor) and input._array.dtype == np.int64):
        require_floating(input, "input", f"avg_pool{axes}d")
    x, single, window = _prepare(axes, input, kernel_size, stride, padding, 1, ceil_mode)
    spatial = tuple(x.shape[2:])
    if axes == 3 and any(size < kernel for size, kernel in zip(spatial, window[0], strict=True)):
        raise ValueError(  # as PyTorch has it, for volumes only
            f"kernel_size: avg_pool3d takes windows no larger than the volume without its padding, got {window[0]} for "
            f"{spatial}; pad it with F.pad"
        )
    divisors = pool_divisors(spatial, window, ceil_mode, count_include_pad, divisor_override)
    out = AvgPool.apply(x, windows=window_tables(spatial, window, ceil_mode), divisors=divisors)
    return out.squeeze(0) if single else out


def _lp_pool(
    axes: int, input: Tensor, norm_type: float, kernel_size: Ints, stride: Ints | None, ceil_mode: bool
) -> Tensor:
    powers = pow(to_floating(input), norm_type)
    total = _avg_pool(axes, powers, kernel_size, stride, 0, ceil_mode, True, None)
    total = total * math.prod(to_tuple(kernel_size, "kernel_size", axes))
    return pow(where(total != 0, total, 0.0), 1 / norm_type)


def _prepare(
    axes: int, input: Tensor, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints, ceil_mode: bool
) -> tuple[Tensor, bool, tuple[tuple[int, ...], ...]]:
    """A batch, whether it is one example's, and the window: kernel size, stride, padding, dilation."""
    kernel = to_tuple(kernel_size, "kernel_size", axes)
    unset = stride is None or (isinstance(stride, (tuple, list)) and not stride)
    step = kernel if unset else to_tuple(stride, "stride", axes)
    window = kernel, step, to_tuple(padding, "padding", axes), to_tuple(dilation, "dilation", axes)
    single = input.ndim == axes + 1
    x = input.unsqueeze(0) if single else input
    pool_output_shape(tuple(x.shape), *window, ceil_mode)
    return x, single, window


def _kind(x: Any) -> str:
    return str(x.dtype) if isinstance(x, Tensor) else type(x).__name__
