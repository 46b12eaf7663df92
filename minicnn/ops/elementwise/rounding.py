"""Rounding, and what only looks at the sign. Whole numbers stay as they are."""

from __future__ import annotations

import builtins

import numpy as np

from minicnn_kernels.workspace import elementwise

from ...autograd import Op, Tensor
from .operands import one, plain, times
from .table import Unary, _named, unary_op


class Neg(Op):
    # y = -x
    @staticmethod
    def forward(ctx, x):
        return elementwise(np.negative, x)

    @staticmethod
    def backward(ctx, grad_out):
        return elementwise(np.negative, grad_out)


def _sign(x):
    return (x > 0).astype(x.dtype) - (x < 0)  # 0 at NaN, as in torch


Abs = unary_op("Abs", np.absolute, lambda g, x: times(g, _sign(x)))
Sign = unary_op("Sign", lambda x: x.copy(order="K") if x.dtype == bool else _sign(x).astype(x.dtype), None)
Frac = unary_op("Frac", lambda x: x - np.trunc(x), lambda g: g)


def _rounding(name: str, function: np.ufunc, doc: str) -> Unary:
    op = unary_op(name.capitalize(), function, None)

    def compute(input: Tensor) -> Tensor:
        return op.apply(one(name, input, bools=False))

    return _named(compute, name, f"{doc} The derivative is 0.")


floor = _rounding("floor", np.floor, "The largest whole number that is not above ``input``.")
ceil = _rounding("ceil", np.ceil, "The smallest whole number that is not below ``input``.")
trunc = _rounding("trunc", np.trunc, "``input`` without what is behind the point.")


class Round(Op):
    # y = the nearest multiple of 10^-decimals, halves to the even one: flat
    @staticmethod
    def forward(ctx, x, *, decimals):
        if decimals == 0:
            return np.rint(x) if x.dtype.kind == "f" else x.copy(order="K")
        scale = x.dtype.type(10.0 ** builtins.abs(decimals))
        return np.rint(x * scale) / scale if decimals > 0 else np.rint(x / scale) * scale

    @staticmethod
    def backward(ctx, grad_out):
        return np.zeros_like(grad_out)


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """To the nearest whole number, halves to the even one; the derivative is 0.

    ``decimals``: to so many digits behind the point (negative: tens, hundreds ...); floating point only.

    >>> import minicnn as mc
    >>> mc.round(mc.tensor([0.5, 1.5, -2.7])), mc.round(mc.tensor([1.2345]), decimals=2)
    (tensor([ 0.,  2., -3.]), tensor([1.2300]))
    """
    return Round.apply(one("round", input, bools=False, integers=decimals == 0), decimals=decimals)


def frac(input: Tensor) -> Tensor:
    """What is behind the point: ``input - trunc(input)``, with the sign of ``input``."""
    return Frac.apply(one("frac", input, bools=False, integers=False))


def neg(input: Tensor) -> Tensor:
    """``-input``."""
    if one("neg", input)._array.dtype == bool:
        raise TypeError("neg: a bool tensor has no negative; use ~x")
    return Neg.apply(input)


def positive(input: Tensor) -> Tensor:
    """``input`` itself.

    Raises
    ------
    TypeError : for bools, as in torch.
    """
    return one("positive", input, bools=False)


def abs(input: Tensor) -> Tensor:
    """``|input|``; the derivative at 0 is 0."""
    return Abs.apply(one("abs", input, bools=False))


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1, as ``input`` is negative, zero (or NaN) or positive; the derivative is 0.

    >>> import minicnn as mc
    >>> mc.sign(mc.tensor([-0.5, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    return Sign.apply(one("sign", input))


def sgn(input: Tensor) -> Tensor:
    """:func:`sign`. (In torch the two differ for complex numbers.)"""
    return sign(input)


def signbit(input: Tensor) -> Tensor:
    """Where the sign bit is set: below 0, and at -0.0."""
    x = one("signbit", input)
    if x._array.dtype.kind == "f":
        return plain(np.signbit, x)
    return plain(lambda array: array < 0, x)
