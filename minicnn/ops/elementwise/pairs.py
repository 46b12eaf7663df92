"""Functions of two operands beside arithmetic: angles, lengths, signs, sums in the logarithmic domain."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd import Op, Tensor
from ..promotion import cast
from .arithmetic import mul, pow
from .operands import Operand, dtype_of, one, pair, refuse_bool


class Atan2(Op):
    # y = the angle of the point (b, a),  dy/da = b / (a^2 + b^2),  dy/db = -a / (a^2 + b^2),  0 at the origin
    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a, b)
        return np.arctan2(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        square = a * a + b * b
        scaled = np.where(square == 0, grad_out.dtype.type(0), grad_out / square)
        return scaled * b, scaled * -a


class Hypot(Op):
    # y = sqrt(a^2 + b^2),  dy/da = a / y,  dy/db = b / y
    @staticmethod
    def forward(ctx, a, b):
        out = np.hypot(a, b)
        ctx.save(a, b, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        a, b, out = ctx.saved
        return grad_out * (a / out), grad_out * (b / out)


class Copysign(Op):
    # y = |a| with the sign of b,  dy/da = y / a (0 where a = 0),  dy/db = 0
    @staticmethod
    def forward(ctx, a, b):
        out = np.copysign(a, b)
        ctx.save(a, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        a, out = ctx.saved
        return grad_out * np.where(a == 0, 0, out / a).astype(a.dtype, copy=False), np.zeros_like(grad_out)


class Logaddexp(Op):
    # y = ln(e^a + e^b),  dy/da = 1 / (1 + e^(b - a)),  dy/db = 1 / (1 + e^(a - b))
    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a, b)
        return np.logaddexp(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        return grad_out / (1 + np.exp(b - a)), grad_out / (1 + np.exp(a - b))


class Logaddexp2(Op):
    # y = log2(2^a + 2^b),  dy/da = 1 / (1 + 2^(b - a)),  dy/db = 1 / (1 + 2^(a - b))
    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a, b)
        return np.logaddexp2(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        return grad_out / (1 + np.exp2(b - a)), grad_out / (1 + np.exp2(a - b))


class Xlogy(Op):
    # y = a ln b (0 where a = 0 and b is a number),  dy/da = ln b (0 where a = 0 and b <= 0),  dy/db = a / b
    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a, b)
        return np.where((a == 0) & ~np.isnan(b), 0, a * np.log(b)).astype(b.dtype, copy=False)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            grad_a = grad_out * np.where((a == 0) & (b <= 0), 0, np.log(b)).astype(b.dtype, copy=False)
        if ctx.needs_input_grad[1]:
            grad_b = grad_out * (a / b)
        return grad_a, grad_b


class Heaviside(Op):
    # y = 0 below 0, 1 above, v at 0. torch has no derivative of it
    @staticmethod
    def forward(ctx, x, v):
        return np.where(x == 0, v, x > 0).astype(x.dtype, copy=False)

    @staticmethod
    def backward(ctx, grad_out):
        raise RuntimeError("heaviside has no derivative, as in torch")


class Nextafter(Op):
    # y = the neighbour of a in the direction of b. torch has no derivative of it
    @staticmethod
    def forward(ctx, a, b):
        return np.nextafter(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        raise RuntimeError("nextafter has no derivative, as in torch")


def atan2(input: Tensor, other: Tensor) -> Tensor:
    """The angle, from -pi to pi, of the point with ordinate ``input`` and abscissa ``other``.

    >>> import minicnn as mc
    >>> mc.atan2(mc.tensor([1.0, 0.0]), mc.tensor([0.0, -1.0])) / mc.pi
    tensor([0.5000, 1.0000])
    """
    return Atan2.apply(*pair("atan2", input, other, floating=True, numbers=False))


def hypot(input: Tensor, other: Tensor) -> Tensor:
    """``sqrt(input^2 + other^2)``, without overflow in between.

    >>> import minicnn as mc
    >>> mc.hypot(mc.tensor([3.0]), mc.tensor([4.0]))
    tensor([5.])
    """
    return Hypot.apply(*_floats("hypot", input, other))


def nextafter(input: Tensor, other: Tensor) -> Tensor:
    """The floating-point number beside ``input``, in the direction of ``other``. No gradient, as in torch.

    >>> import minicnn as mc
    >>> mc.nextafter(mc.tensor([1.0]), mc.tensor([2.0])) - 1 == mc.finfo(mc.float32).eps
    tensor([True])
    """
    return Nextafter.apply(*_floats("nextafter", input, other))


def copysign(input: Tensor, other: Operand) -> Tensor:
    """``|input|`` with the sign of ``other``, the sign of a zero too.

    >>> import minicnn as mc
    >>> mc.copysign(mc.tensor([1.0, -2.0]), mc.tensor([-0.0, 3.0]))
    tensor([-1.,  2.])
    """
    return Copysign.apply(*pair("copysign", one("copysign", input), other, floating=True))


def logaddexp(input: Tensor, other: Tensor) -> Tensor:
    """``ln(e^input + e^other)``, without overflow in between: the sum of two numbers given by their logarithms.

    >>> import minicnn as mc
    >>> mc.logaddexp(mc.tensor([1000.0, 0.0]), mc.tensor([-1000.0, 0.0]))
    tensor([1.0000e+03, 6.9315e-01])
    """
    return Logaddexp.apply(*_floats("logaddexp", input, other))


def logaddexp2(input: Tensor, other: Tensor) -> Tensor:
    """``log2(2^input + 2^other)``, without overflow in between."""
    return Logaddexp2.apply(*_floats("logaddexp2", input, other))


def xlogy(input: Operand, other: Operand) -> Tensor:
    """``input * ln(other)``, and 0 where ``input`` is 0: a term of an entropy.

    >>> import minicnn as mc
    >>> mc.xlogy(mc.tensor([0.0, 2.0]), mc.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """
    return Xlogy.apply(*pair("xlogy", input, other, floating=True))


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """The step: 0 where ``input`` is negative, 1 where positive, ``values`` where it is 0. No gradient, as in torch.

    >>> import minicnn as mc
    >>> mc.heaviside(mc.tensor([-2.0, 0.0, 3.0]), mc.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])

    Raises
    ------
    TypeError : where the types differ, as in torch.
    """
    operands = pair("heaviside", input, values, numbers=False)
    if input._array.dtype != values._array.dtype:
        raise TypeError(f"values: heaviside expects {input.dtype}, as input, got {values.dtype}")
    return Heaviside.apply(*operands)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """``input * 2 ** other``.

    >>> import minicnn as mc
    >>> mc.ldexp(mc.tensor([1.0, 3.0]), mc.tensor([3, -1]))
    tensor([8.0000, 1.5000])
    """
    pair("ldexp", input, other, numbers=False)
    if input._array.dtype.kind == "f":
        refuse_bool(other._array.dtype, "ldexp's exponent")
        other = other if other.is_floating_point() else cast(other, input.dtype)
    return mul(input, pow(2.0, other))


def _floats(what: str, input: Any, other: Any) -> list[Any]:
    a, b = pair(what, input, other, numbers=False)
    if dtype_of(a).kind != "f":
        raise TypeError(f"{what}: floating point only, got {input.dtype} and {other.dtype}; convert with .float()")
    return [a, b]
