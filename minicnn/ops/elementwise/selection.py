"""Choosing between operands: the larger, the smaller, what lies between limits, what a condition says."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

import numpy as np

from ...autograd import Op, Tensor
from ..promotion import promote
from .operands import Operand, dtype_of, one, pair, refuse_bool


class Maximum(Op):
    # y = max(a, b); a tie shares the gradient in halves, and beside a NaN both get it, as in torch
    loses: ClassVar[np.ufunc] = np.less
    choose: ClassVar[np.ufunc] = np.maximum

    @classmethod
    def forward(cls, ctx, a, b):
        ctx.save(a, b)
        return cls.choose(a, b)

    @classmethod
    def backward(cls, ctx, grad_out):
        a, b = ctx.saved
        shared = np.where(a == b, grad_out / 2, grad_out)
        zero = grad_out.dtype.type(0)
        grad_a = np.where(cls.loses(a, b), zero, shared) if ctx.needs_input_grad[0] else None
        grad_b = np.where(cls.loses(b, a), zero, shared) if ctx.needs_input_grad[1] else None
        return grad_a, grad_b


class Minimum(Maximum):
    loses = np.greater
    choose = np.minimum


class Fmax(Op):
    # y = max(a, b), and the other one beside a NaN; at a tie a gets the gradient
    wins: ClassVar[np.ufunc] = np.greater_equal
    choose: ClassVar[np.ufunc] = np.fmax

    @classmethod
    def forward(cls, ctx, a, b):
        ctx.save(a, b)
        return cls.choose(a, b)

    @classmethod
    def backward(cls, ctx, grad_out):
        a, b = ctx.saved
        first, zero = cls.wins(a, b) | np.isnan(b), grad_out.dtype.type(0)
        return np.where(first, grad_out, zero), np.where(first, zero, grad_out)


class Fmin(Fmax):
    wins = np.less_equal
    choose = np.fmin


class Where(Op):
    # y = a where condition else b
    @staticmethod
    def forward(ctx, condition, a, b):
        ctx.save(condition)
        return np.where(condition, a, b)

    @staticmethod
    def backward(ctx, grad_out):
        (condition,) = ctx.saved
        zero = grad_out.dtype.type(0)
        grad_a = np.where(condition, grad_out, zero) if ctx.needs_input_grad[1] else None
        grad_b = np.where(condition, zero, grad_out) if ctx.needs_input_grad[2] else None
        return None, grad_a, grad_b


class Clamp(Op):
    # y = min(max(x, low), high),  dy/dx = 1 inside and on the bounds, 0 outside, where the bound has it; a bound may be None
    @staticmethod
    def forward(ctx, x, low, high):
        ctx.save(x, low, high)
        return np.clip(x, low, high)

    @staticmethod
    def backward(ctx, grad_out):
        x, low, high = ctx.saved
        zero = grad_out.dtype.type(0)
        inside = np.ones(grad_out.shape, bool)
        grad_low = grad_high = None
        if low is not None:
            inside &= x >= low
            wins = x < low if high is None else (x < low) & (low < high)
            grad_low = np.where(wins, grad_out, zero)
        if high is not None:
            inside &= x <= high
            wins = x > high if low is None else (x > high) | (high < low)
            grad_high = np.where(wins, grad_out, zero)
        return np.where(inside, grad_out, zero), grad_low, grad_high


class NanToNum(Op):
    # y = x where it is finite, numbers instead of NaN and the infinities elsewhere, where the derivative is 0
    @staticmethod
    def forward(ctx, x, *, nan, posinf, neginf):
        ctx.save(x)
        return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)

    @staticmethod
    def backward(ctx, grad_out):
        (x,) = ctx.saved
        return np.where(np.isfinite(x), grad_out, grad_out.dtype.type(0))


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two, element by element; NaN wins; a tie shares the gradient."""
    return Maximum.apply(*pair("maximum", input, other, numbers=False))


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two, element by element; NaN wins; a tie shares the gradient."""
    return Minimum.apply(*pair("minimum", input, other, numbers=False))


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two, element by element; NaN loses; at a tie ``input`` gets the gradient.

    >>> import minicnn as mc
    >>> mc.fmax(mc.tensor([1.0, mc.nan]), mc.tensor([2.0, 0.0]))
    tensor([2., 0.])
    """
    return Fmax.apply(*pair("fmax", input, other, numbers=False))


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two, element by element; NaN loses; at a tie ``input`` gets the gradient."""
    return Fmin.apply(*pair("fmin", input, other, numbers=False))


def where(condition: Tensor, input: Operand | None = None, other: Operand | None = None) -> Any:
    """``input`` where ``condition`` holds and ``other`` elsewhere; with the condition alone, the indices where it holds.

    >>> import minicnn as mc
    >>> x = mc.tensor([-1.0, 2.0])
    >>> mc.where(x > 0, x, 0.0), mc.where(x > 0)
    (tensor([0., 2.]), (tensor([1]),))

    Raises
    ------
    TypeError : where the condition is not bool.
    """
    if not isinstance(condition, Tensor):
        raise TypeError(f"condition: expected a bool tensor, got {type(condition).__name__}")
    if input is None and other is None:
        return tuple(Tensor(i) for i in np.nonzero(np.atleast_1d(condition._array)))
    if condition._array.dtype not in (np.bool_, np.uint8):
        raise TypeError(f"condition: expected a bool tensor, got {condition.dtype}")
    if input is None or other is None:
        raise TypeError("where: give both input and other, or neither")
    return Where.apply(condition, *promote(input, other))


def clamp(input: Tensor, min: Operand | None = None, max: Operand | None = None) -> Tensor:
    """Limit to [min, max], numbers or tensors; the gradient passes inside and on the bounds.

    >>> import minicnn as mc
    >>> mc.clamp(mc.tensor([-2.0, 0.5, 3.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])

    Raises
    ------
    ValueError : where neither bound is given.
    """
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max is needed")
    given = [bound for bound in (min, max) if bound is not None]
    x, *bounds = promote(one("clamp", input), *given)
    if dtype_of(x).kind == "b":  # torch has this case alone
        if len(given) == 1 and isinstance(given[0], Tensor):
            return maximum(x, given[0]) if max is None else minimum(x, given[0])
        refuse_bool(dtype_of(x), "clamp")
    low = bounds.pop(0) if min is not None else None
    high = bounds.pop(0) if max is not None else None
    return Clamp.apply(x, low, high)


def clamp_min(input: Tensor, min: Operand) -> Tensor:
    """``clamp(input, min=min)``."""
    return clamp(input, min=min)


def clamp_max(input: Tensor, max: Operand) -> Tensor:
    """``clamp(input, max=max)``."""
    return clamp(input, max=max)


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Numbers in place of NaN (0 unless given), and of the infinities (unless given, the type's largest and smallest).

    >>> import minicnn as mc
    >>> mc.nan_to_num(mc.tensor([mc.nan, mc.inf, 1.0]), nan=-1, posinf=9)
    tensor([-1.,  9.,  1.])
    """
    x = one("nan_to_num", input)
    return NanToNum.apply(x, nan=0.0 if nan is None else builtins.float(nan), posinf=posinf, neginf=neginf)
