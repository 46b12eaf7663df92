"""Along a dimension, one element after the other: running sums, products and extrema, differences, areas."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..autograd import Op, Tensor
from ..dtypes import DType, int64
from .elementwise import logical_xor
from .indexing import combine_along
from .joining import cat
from .promotion import cast, require_floating
from .reduction import ValuesAndIndices, normalize_dim
from .shape import clone, reshape, squeeze
from .sorting import _along
from .views import narrow


def _from_the_end(ufunc: np.ufunc, x: np.ndarray, axis: int) -> np.ndarray:
    """The running result of ``ufunc`` from the end of an axis to each place."""
    return np.flip(ufunc.accumulate(np.flip(x, axis), axis), axis)


class CumSum(Op):
    # y_i = x_0 + ... + x_i,  dL/dx_i = g_i + g_(i+1) + ...
    @staticmethod
    def forward(ctx, x, *, dim):
        ctx.dim = dim
        return np.cumsum(x, dim, dtype=x.dtype)

    @staticmethod
    def backward(ctx, grad_out):
        return _from_the_end(np.add, grad_out, ctx.dim)


class CumProd(Op):
    # y_i = x_0 ... x_i,  dL/dx_k = sum over j >= k of g_j y_j / x_k. Where an x is 0 that is 0 / 0, and the sum is taken as
    # y_(k-1) s_k instead, with s_k = g_k + x_(k+1) s_(k+1): a step for each element.
    @staticmethod
    def forward(ctx, x, *, dim):
        ctx.dim = dim
        out = np.cumprod(x, dim, dtype=x.dtype)
        ctx.save(x, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, out = ctx.saved
        if (x != 0).all():
            return _from_the_end(np.add, grad_out * out, ctx.dim) / x
        x, out, grad_out = (np.moveaxis(a, ctx.dim, 0) for a in (x, out, grad_out))
        sums = grad_out.copy()
        for k in range(len(x) - 2, -1, -1):
            sums[k] += x[k + 1] * sums[k + 1]
        sums[1:] *= out[:-1]
        return np.moveaxis(sums, 0, ctx.dim)


class CumExtremum(Op):
    # y_i = the largest (or smallest) of x_0 ... x_i, and its place, the last of equal ones; the gradient goes to that place
    @staticmethod
    def forward(ctx, x, *, dim, ufunc):
        out = ufunc.accumulate(x, dim)
        places = np.arange(x.shape[dim]).reshape(-1, *(1,) * (x.ndim - dim - 1))
        wins = (x == out) | np.isnan(x) if x.dtype.kind == "f" else x == out
        indices = np.maximum.accumulate(np.where(wins, places, 0), dim)
        ctx.shape, ctx.dim = x.shape, dim
        ctx.save(indices)
        return out, indices

    @staticmethod
    def backward(ctx, grad_out, _):
        (indices,) = ctx.saved
        grad = np.zeros(ctx.shape, grad_out.dtype)
        combine_along(np.add, grad, indices, grad_out, ctx.dim)
        return grad


class LogCumSumExp(Op):
    # y_i = ln (e^x_0 + ... + e^x_i),  dL/dx_k = e^x_k sum over j >= k of g_j e^(-y_j): summed as logarithms, the positive
    # and the negative g by themselves, so that nothing overflows
    signs: ClassVar = (1, -1)

    @staticmethod
    def forward(ctx, x, *, dim):
        ctx.dim = dim
        out = np.logaddexp.accumulate(x, dim)
        ctx.save(x, out)
        return out

    @classmethod
    def backward(cls, ctx, grad_out):
        x, out = ctx.saved
        grad = np.zeros_like(x)
        for sign in cls.signs:
            logs = np.log(np.maximum(sign * grad_out, 0)) - out
            grad += sign * np.exp(x + _from_the_end(np.logaddexp, logs, ctx.dim))
        return grad


# ---- the public functions


def _counted(input: Tensor, dtype: DType | None) -> Tensor:
    """In ``dtype``; without one, whole numbers and bools in int64."""
    if dtype is None and input._array.dtype.kind != "f":
        dtype = int64
    return input if dtype is None else cast(input, dtype)


def cumsum(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """The running sum along ``dim``. Whole numbers and bools add up in int64.

    >>> import minicnn as mc
    >>> mc.cumsum(mc.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    x, axis = _along(_counted(input, dtype), dim)
    return reshape(CumSum.apply(x, dim=axis), tuple(input.shape))


def cumprod(input: Tensor, dim: int, *, dtype: DType | None = None) -> Tensor:
    """The running product along ``dim``. Whole numbers and bools are multiplied in int64.

    >>> import minicnn as mc
    >>> mc.cumprod(mc.tensor([1, 2, 3]), 0)
    tensor([1, 2, 6])
    """
    x, axis = _along(_counted(input, dtype), dim)
    return reshape(CumProd.apply(x, dim=axis), tuple(input.shape))


def cummax(input: Tensor, dim: int) -> ValuesAndIndices:
    """The largest element so far along ``dim``, and where it is (the last of equal ones). A NaN stays the largest.

    >>> import minicnn as mc
    >>> mc.cummax(mc.tensor([2, 1, 3]), 0)
    ValuesAndIndices(values=tensor([2, 2, 3]), indices=tensor([0, 0, 2]))
    """
    return _extremum(input, dim, np.maximum)


def cummin(input: Tensor, dim: int) -> ValuesAndIndices:
    """The smallest element so far along ``dim``, and where it is (the last of equal ones). A NaN stays the smallest."""
    return _extremum(input, dim, np.minimum)


def _extremum(input: Tensor, dim: int, ufunc: np.ufunc) -> ValuesAndIndices:
    x, axis = _along(input, dim)
    return ValuesAndIndices(*(reshape(y, tuple(input.shape)) for y in CumExtremum.apply(x, dim=axis, ufunc=ufunc)))


def logcumsumexp(input: Tensor, dim: int) -> Tensor:
    """The running ``ln sum e^x`` along ``dim``, computed so that nothing overflows.

    >>> import minicnn as mc
    >>> mc.logcumsumexp(mc.tensor([100.0, 100.0]), 0)
    tensor([100.0000, 100.6931])

    Raises
    ------
    TypeError : for whole numbers.
    """
    x, axis = _along(require_floating(input, "input", "logcumsumexp"), dim)
    return reshape(LogCumSumExp.apply(x, dim=axis), tuple(input.shape))


def diff(
    input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    """The differences of neighbours along ``dim``, taken ``n`` times; of bools, whether they differ.

    >>> import minicnn as mc
    >>> mc.diff(mc.tensor([1, 3, 6]))
    tensor([2, 3])

    Raises
    ------
    ValueError : a 0-dimensional input, a negative ``n``, and a ``prepend`` or ``append`` that does not fit.
    """
    if input.ndim == 0:
        raise ValueError("input: diff needs at least one dimension")
    if n < 0:
        raise ValueError(f"n: expected a number that is not negative, got {n}")
    axis = normalize_dim(dim, input.ndim)
    for name, x in (("prepend", prepend), ("append", append)):
        if x is not None and x.ndim != input.ndim:
            raise ValueError(f"{name}: expected {input.ndim} dimensions, as the input has, got shape {tuple(x.shape)}")
    if n == 0:  # torch leaves what was to be joined on away too
        return clone(input)
    out = input
    if prepend is not None or append is not None:
        out = cat([x for x in (prepend, input, append) if x is not None], axis)
    for _ in range(n):
        size = max(out.shape[axis] - 1, 0)
        if size == 0:
            return narrow(out, axis, 0, 0)
        later, earlier = narrow(out, axis, 1, size), narrow(out, axis, 0, size)
        out = logical_xor(later, earlier) if out._array.dtype == bool else later - earlier
    return out


def _areas(y: Tensor, x: Tensor | None, dx: Any, dim: int, name: str) -> tuple[Tensor, int]:
    """The area between neighbours: (y_i + y_(i+1)) / 2 times the step."""
    if y._array.dtype == bool:
        raise TypeError(f"y: {name} is not defined on bool tensors")
    axis = normalize_dim(dim, y.ndim)
    size = y.shape[axis] - 1 if y.ndim else 0
    if x is None:
        step = dx
    else:
        if x._array.dtype == bool:
            raise TypeError(f"x: {name} is not defined on bool tensors")
        if x.ndim == 1 or y.ndim == 0:
            if x.ndim == 1 and y.ndim and x.shape[0] != y.shape[axis]:
                raise ValueError(f"x: expected {y.shape[axis]} places along dim {dim}, got {x.shape[0]}")
            step = diff(x)
            step = reshape(step, (step.numel(), *(1,) * (y.ndim - axis - 1))) if y.ndim else step
        else:
            step = diff(x, dim=axis - y.ndim)
    if size <= 0:
        return narrow(y, axis, 0, 0) if y.ndim else reshape(y, (1,))[:0], axis
    return (narrow(y, axis, 0, size) + narrow(y, axis, 1, size)) * step / 2, axis


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: int | float | None = None, dim: int = -1) -> Tensor:
    """The area under ``y`` along ``dim`` by the trapezoidal rule, at places ``x`` or in steps of ``dx`` (1).

    >>> import minicnn as mc
    >>> mc.trapezoid(mc.tensor([1.0, 2.0, 4.0]))
    tensor(4.5000)

    Raises
    ------
    TypeError : bool tensors, and both ``x`` and ``dx``. ValueError : an ``x`` that does not fit.
    """
    if x is not None and dx is not None:
        raise TypeError("trapezoid: give x or dx, not both")
    dx = 1 if dx is None else dx
    areas, axis = _areas(y, x, dx, dim, "trapezoid")
    if x is not None or y.ndim == 0 or y.shape[axis] == 0:
        return areas.sum(axis)
    # Equal steps: each value counts once, the two at the ends half; and a NaN counts where it is alone.
    ends = narrow(y, axis, 0, 1) + narrow(y, axis, y.shape[axis] - 1, 1)
    return (y.sum(axis) - squeeze(ends, axis) * 0.5) * dx


def trapz(y: Tensor, x: Tensor | None = None, *, dx: int | float | None = None, dim: int = -1) -> Tensor:
    """:func:`trapezoid` under its older name."""
    return trapezoid(y, x, dx=dx, dim=dim)


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: int | float | None = None, dim: int = -1) -> Tensor:
    """The running area under ``y``: :func:`trapezoid` up to each place after the first."""
    if x is not None and dx is not None:
        raise TypeError("cumulative_trapezoid: give x or dx, not both")
    areas, axis = _areas(y, x, 1 if dx is None else dx, dim, "cumulative_trapezoid")
    return cumsum(areas, axis)
