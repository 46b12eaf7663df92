"""Arithmetic of two or three operands: + - * /, the divisions that round, powers, linear interpolation.

What only rounds or signs one operand is in ``rounding.py``, functions of one operand in ``functions.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.launch import once
from minicnn_kernels.workspace import elementwise

from ...autograd import Op, Tensor
from ...dtypes import float64
from ..promotion import cast, promote
from .operands import Operand, array_of, dtype_of, one, pair, plain, times


class Add(Op):
    # y = a + b
    @staticmethod
    def forward(ctx, a, b):
        return elementwise(np.add, a, b)

    @staticmethod
    def launches(out, kept, a, b):
        return [once(np.add, a, b, out)]

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out, grad_out


class Sub(Op):
    # y = a - b
    @staticmethod
    def forward(ctx, a, b):
        return elementwise(np.subtract, a, b)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out, elementwise(np.negative, grad_out) if ctx.needs_input_grad[1] else None


class Mul(Op):
    # y = a b,  dy/da = b,  dy/db = a
    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a if ctx.needs_input_grad[1] else None, b if ctx.needs_input_grad[0] else None)
        return elementwise(np.multiply, a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        return None if b is None else times(grad_out, b), None if a is None else times(grad_out, a)


class Div(Op):
    # y = a / b,  dy/da = 1 / b,  dy/db = -a / b^2
    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a if ctx.needs_input_grad[1] else None, b)
        return elementwise(np.true_divide, a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        grad_a = elementwise(np.true_divide, grad_out, b) if ctx.needs_input_grad[0] else None
        return grad_a, None if a is None else -grad_out * (a / b / b)


class Pow(Op):
    # y = a^b,  dy/da = b a^(b-1) (0 where b = 0),  dy/db = a^b ln a (0 where a = 0 and b >= 0)
    @staticmethod
    def forward(ctx, a, b):
        if np.ndim(b) == 0 and b == 2:
            out = elementwise(np.square, a)
        elif a.dtype.kind == "f":
            out = np.power(a, b)
        else:
            out = _whole_power(a, b)
        ctx.save(a, b, out if ctx.needs_input_grad[1] else None)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        a, b, out = ctx.saved
        grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            if np.ndim(b) == 0 and b == 2:
                grad_a = times(grad_out, a + a)
            else:
                # The first factor is 0 where b = 0, and there a^(b-1) may be infinite: 0, not NaN.
                grad_a = np.where(b == 0, 0, grad_out * (b * np.power(a, b - 1))).astype(grad_out.dtype, copy=False)
        if out is not None:
            grad_b = grad_out * np.where((a == 0) & (b >= 0), 0, out * np.log(a)).astype(grad_out.dtype, copy=False)
        return grad_a, grad_b


def _whole_power(a: Any, b: Any) -> Any:
    """Whole numbers to whole powers; to a negative one it is 1 / a^|b|, cut off: 0, but for 1 and -1."""
    if not np.any(b < 0):
        return np.power(a, b)
    cut = np.where(np.absolute(a) == 1, np.where(b % 2 == 0, 1, a), 0).astype(a.dtype)
    return np.where(b < 0, cut, np.power(a, np.maximum(b, 0)))


class RoundedDiv(Op):
    # y = floor(a / b) or trunc(a / b): flat wherever it has a derivative
    @staticmethod
    def forward(ctx, a, b, *, rounding):
        if rounding == "floor":
            return np.floor_divide(a, b)
        if a.dtype.kind == "f":
            return np.trunc(a / b)
        quotient = np.floor_divide(a, b)
        return quotient + ((np.remainder(a, b) != 0) & ((a < 0) != (b < 0))).astype(a.dtype)

    @staticmethod
    def backward(ctx, grad_out):
        flat = np.zeros_like(grad_out)
        return flat, flat


class FloorDivide(RoundedDiv):
    # The same numbers. torch has div(rounding_mode="floor") with a gradient, and floor_divide without one.
    @staticmethod
    def backward(ctx, grad_out):
        raise RuntimeError(
            "floor_divide has no derivative, as in torch; div(rounding_mode='floor') has one, which is 0"
        )


class Remainder(Op):
    # y = a - b floor(a / b),  dy/da = 1,  dy/db = -floor(a / b)
    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a if ctx.needs_input_grad[1] else None, b)
        return np.remainder(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        return grad_out, None if a is None else -grad_out * np.floor_divide(a, b)


class Fmod(Op):
    # y = a - b trunc(a / b),  dy/da = 1,  dy/db = -trunc(a / b)
    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a if ctx.needs_input_grad[1] else None, b)
        return np.fmod(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        return grad_out, None if a is None else -grad_out * np.trunc(a / b)


class Lerp(Op):
    # y = a + w (b - a),  dy/da = 1 - w,  dy/db = w,  dy/dw = b - a
    @staticmethod
    def forward(ctx, a, b, w):
        ctx.save(a if ctx.needs_input_grad[2] else None, b if ctx.needs_input_grad[2] else None, w)
        distance = b - a
        # From the nearer end, so that w = 1 gives b to the last bit.
        return np.where(np.absolute(w) < 0.5, a + w * distance, b - distance * (1 - w))

    @staticmethod
    def backward(ctx, grad_out):
        a, b, w = ctx.saved
        return grad_out * (1 - w), grad_out * w, None if a is None else grad_out * (b - a)


# ---- the public functions


def add(input: Operand, other: Operand, *, alpha: int | float = 1) -> Tensor:
    """``input + alpha * other``, broadcasting.

    >>> import minicnn as mc
    >>> mc.add(mc.tensor([1.0, 2.0]), mc.tensor([[10.0], [20.0]]))
    tensor([[11., 12.],
            [21., 22.]])

    Raises
    ------
    TypeError : an alpha that is no whole number for whole numbers.
    """
    a, b = pair("add", input, other)
    return Add.apply(a, _scaled("add", b, alpha))


def sub(input: Operand, other: Operand, *, alpha: int | float = 1) -> Tensor:
    """``input - alpha * other``, broadcasting.

    Raises
    ------
    TypeError : for bools on either side, as in torch; use ``!=`` or ``~``.
    """
    if any(
        x._array.dtype.kind == "b" if isinstance(x, Tensor) else isinstance(x, (bool, np.bool_)) for x in (input, other)
    ):
        raise TypeError(
            "subtraction of bools is not defined; use != for 'exclusive or', ~ for 'not', or convert with .long()"
        )
    a, b = pair("sub", input, other)
    return Sub.apply(a, _scaled("sub", b, alpha))


def rsub(input: Tensor, other: Operand, *, alpha: int | float = 1) -> Tensor:
    """``other - alpha * input``: :func:`sub` with its operands exchanged."""
    return sub(other, one("rsub", input), alpha=alpha)


def mul(input: Operand, other: Operand) -> Tensor:
    """``input * other``, broadcasting."""
    return Mul.apply(*pair("mul", input, other))


def div(input: Operand, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """``input / other``, broadcasting. Whole numbers are divided as floating point.

    ``rounding_mode``: None, ``"floor"`` or ``"trunc"``; the rounded forms keep whole numbers whole, and their derivative
    is 0.

    >>> import minicnn as mc
    >>> mc.div(mc.tensor([7, -7]), 2), mc.div(mc.tensor([7, -7]), 2, rounding_mode="floor")
    (tensor([ 3.5000, -3.5000]), tensor([ 3, -4]))

    Raises
    ------
    ZeroDivisionError : where whole numbers are divided by zero and rounded.
    """
    if rounding_mode is None:
        return Div.apply(*pair("div", input, other, floating=True))
    if rounding_mode not in ("floor", "trunc"):
        raise ValueError(f"rounding_mode: expected None, 'floor' or 'trunc', got {rounding_mode!r}")
    a, b = _divisible("div with a rounding_mode", input, other)
    return RoundedDiv.apply(a, b, rounding=rounding_mode)


def floor_divide(input: Operand, other: Operand) -> Tensor:
    """``floor(input / other)``; no gradient.

    Raises
    ------
    ZeroDivisionError : where whole numbers are divided by zero.
    """
    return FloorDivide.apply(*_divisible("floor_divide", input, other), rounding="floor")


def remainder(input: Operand, other: Operand) -> Tensor:
    """``input - other * floor(input / other)``: Python's ``%``, with the sign of ``other``.

    Raises
    ------
    ZeroDivisionError : where whole numbers are divided by zero.
    """
    return Remainder.apply(*_divisible("remainder", input, other))


def fmod(input: Tensor, other: Operand) -> Tensor:
    """``input - other * trunc(input / other)``: C's ``fmod``, with the sign of ``input``.

    >>> import minicnn as mc
    >>> mc.fmod(mc.tensor([-3, 3]), 2), mc.remainder(mc.tensor([-3, 3]), 2)
    (tensor([-1,  1]), tensor([1, 1]))

    Raises
    ------
    ZeroDivisionError : where whole numbers are divided by zero.
    """
    one("fmod", input)
    return Fmod.apply(*_divisible("fmod", input, other))


def pow(input: Operand, exponent: Operand) -> Tensor:
    """``input ** exponent``, broadcasting.

    Raises
    ------
    ValueError : for whole numbers with a negative number as exponent, as in torch. (A tensor of exponents may hold
        negative ones: the result is cut off to 0, but for 1 and -1.)
    """
    a, b = pair("pow", input, exponent, bools=isinstance(exponent, (bool, np.bool_)))
    if dtype_of(a).kind == "b":
        return plain(np.logical_or, a, not b)  # x^1 = x, x^0 = 1
    if dtype_of(a).kind in "iu" and not isinstance(exponent, Tensor) and exponent < 0:
        raise ValueError("exponent: whole numbers to negative whole powers are not whole; convert with .float()")
    return Pow.apply(a, b)


def float_power(input: Operand, exponent: Operand) -> Tensor:
    """``input ** exponent`` in float64, whatever the operands are.

    >>> import minicnn as mc
    >>> mc.float_power(mc.tensor([1, 2]), -1)
    tensor([1.0000, 0.5000], dtype=minicnn.float64)
    """
    a, b = (cast(x, float64) if isinstance(x, Tensor) else x for x in (input, exponent))
    return pow(a, b)


def square(input: Tensor) -> Tensor:
    """``input ** 2``."""
    return pow(one("square", input), 2)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: int | float = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``, broadcasting.

    >>> import minicnn as mc
    >>> mc.addcmul(mc.ones(2), mc.tensor([1.0, 2.0]), mc.tensor([3.0]), value=0.5)
    tensor([2.5000, 4.0000])
    """
    x, a, b = _three("addcmul", input, tensor1, tensor2)
    return Add.apply(x, Mul.apply(_scaled("addcmul", a, _as_type_of(a, value)), b))


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: int | float = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``, broadcasting. Floating point only, as in torch.

    >>> import minicnn as mc
    >>> mc.addcdiv(mc.ones(2), mc.tensor([1.0, 2.0]), mc.tensor([4.0]))
    tensor([1.2500, 1.5000])
    """
    if all(isinstance(t, Tensor) and t._array.dtype.kind != "f" for t in (tensor1, tensor2)):
        raise TypeError("addcdiv: whole numbers are not divided here, as in torch; convert with .float()")
    x, a, b = _three("addcdiv", input, tensor1, tensor2)
    return Add.apply(x, Div.apply(_scaled("addcdiv", a, _as_type_of(a, value)), b))


def lerp(input: Tensor, end: Tensor, weight: Tensor | int | float) -> Tensor:
    """Linear interpolation, ``input + weight * (end - input)``; the weight may be a tensor.

    >>> import minicnn as mc
    >>> mc.lerp(mc.tensor([0.0, 10.0]), mc.tensor([10.0, 20.0]), 0.25)
    tensor([ 2.5000, 12.5000])

    Raises
    ------
    TypeError : where the tensors are not all of one floating-point type.
    """
    one("lerp", input, bools=False, integers=False)
    for name, tensor in (("end", end), ("weight", weight)):
        if name == "weight" and not isinstance(tensor, Tensor):
            continue
        if not isinstance(tensor, Tensor) or tensor._array.dtype != input._array.dtype:
            got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"{name}: lerp expects a tensor of {input.dtype}, as input, got {got}")
    return Lerp.apply(input, end, weight if isinstance(weight, Tensor) else input._array.dtype.type(weight))


def _scaled(what: str, x: Any, alpha: Any) -> Any:
    """``alpha x`` in x's type."""
    kind, given = dtype_of(x).kind, np.asarray(alpha).dtype.kind
    if (given == "f" and kind != "f") or (given == "b" and kind != "b"):
        raise TypeError(f"alpha: {what} of {dtype_of(x)} takes an alpha of that kind, got {alpha!r}")
    if alpha == 1:
        return x
    factor = _as_type_of(x, alpha)
    return Mul.apply(x, factor) if isinstance(x, Tensor) else x * factor


def _as_type_of(x: Any, number: Any) -> Any:
    """A number in x's type: whole numbers cut it off, and unsigned ones wrap around, as in torch."""
    return np.asarray(number).astype(dtype_of(x))[()]


def _divisible(what: str, input: Any, other: Any) -> list[Any]:
    """Operands of one type, without a whole number by zero."""
    a, b = pair(what, input, other, bools=False)
    if dtype_of(a).kind != "f" and np.any(array_of(b) == 0):
        raise ZeroDivisionError(f"{what}: an integer tensor is divided by zero")
    return [a, b]


def _three(what: str, *tensors: Any) -> list[Any]:
    for name, x in zip(("input", "tensor1", "tensor2"), tensors, strict=True):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: {what} expects a Tensor, got {type(x).__name__}")
    operands = promote(*tensors)
    one(what, operands[0], bools=False)
    return operands
