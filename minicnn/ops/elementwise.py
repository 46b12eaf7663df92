"""Element-wise arithmetic, comparison and functions, each rule beside its derivative.

Operands broadcast; the engine adds up again what broadcasting repeated. ``minicnn/ops/promotion.py`` brings both to one
type first. Activations with kernels of their own are in ``activation.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

import numpy as np

from minicnn_kernels import backend_of
from minicnn_kernels.workspace import elementwise

from ..autograd import Op, Tensor, tracing
from .promotion import promote, to_floating

Operand: TypeAlias = Tensor | bool | int | float


class Add(Op):
    # y = a + b
    @staticmethod
    def forward(ctx, a, b):
        return elementwise(np.add, a, b)

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
        grad_a = None if b is None else elementwise(np.multiply, grad_out, b)
        return grad_a, None if a is None else elementwise(np.multiply, grad_out, a)


class Div(Op):
    # y = a / b,  dy/da = 1 / b,  dy/db = -a / b^2
    @staticmethod
    def forward(ctx, a, b):
        ctx.save(a if ctx.needs_input_grad[1] else None, b)
        return elementwise(np.true_divide, a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        grad_a = elementwise(np.true_divide, grad_out, b)
        return grad_a, None if a is None else -grad_out * (a / b / b)


class Pow(Op):
    # y = a^b,  dy/da = b a^(b-1),  dy/db = a^b ln a (0 where a = 0 and b >= 0)
    @staticmethod
    def forward(ctx, a, b):
        if np.ndim(b) == 0 and b == 2:
            out = np.square(a)
        else:
            out = np.power(a, b)
        ctx.save(a, b, out if ctx.needs_input_grad[1] else None)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        a, b, out = ctx.saved
        grad_a = grad_b = None
        if ctx.needs_input_grad[0]:
            if np.ndim(b) == 0 and b == 2:
                grad_a = grad_out * (a + a)
            else:
                # The first factor is 0 where b = 0, and there a^(b-1) may be infinite: 0, not NaN.
                grad_a = np.where(b == 0, 0, grad_out * (b * np.power(a, b - 1))).astype(grad_out.dtype, copy=False)
        if out is not None:
            grad_b = grad_out * np.where((a == 0) & (b >= 0), 0, out * np.log(a)).astype(grad_out.dtype, copy=False)
        return grad_a, grad_b


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


class Neg(Op):
    # y = -x
    @staticmethod
    def forward(ctx, x):
        return elementwise(np.negative, x)

    @staticmethod
    def backward(ctx, grad_out):
        return -grad_out


class Abs(Op):
    # y = |x|,  dy/dx = sign(x), 0 at 0 (and at NaN, as in torch)
    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return np.absolute(x)

    @staticmethod
    def backward(ctx, grad_out):
        (x,) = ctx.saved
        return grad_out * ((x > 0).astype(x.dtype) - (x < 0))


class Exp(Op):
    # y = e^x,  dy/dx = y
    @staticmethod
    def forward(ctx, x):
        out = np.exp(x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        return grad_out * out


class Log(Op):
    # y = ln x,  dy/dx = 1 / x
    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return np.log(x)

    @staticmethod
    def backward(ctx, grad_out):
        (x,) = ctx.saved
        return grad_out / x


class Sqrt(Op):
    # y = sqrt(x),  dy/dx = 1 / (2 y)
    @staticmethod
    def forward(ctx, x):
        out = np.sqrt(x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        return grad_out / (out + out)


class Tanh(Op):
    # y = tanh x,  dy/dx = 1 - y^2
    @staticmethod
    def forward(ctx, x):
        out = elementwise(np.tanh, x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        slope = elementwise(np.subtract, 1, elementwise(np.multiply, out, out))
        return elementwise(np.multiply, grad_out, slope)


class Sigmoid(Op):
    # y = 1 / (1 + e^-x),  dy/dx = y (1 - y)
    @staticmethod
    def forward(ctx, x):
        ctx.kernels = backend_of(x)
        out = ctx.kernels.activation_forward("sigmoid", x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        return ctx.kernels.activation_backward_input("sigmoid", grad_out, out)


# ---- the public functions


def add(input: Operand, other: Operand, *, alpha: int | float = 1) -> Tensor:
    """``input + alpha * other``, broadcasting.

    >>> import minicnn as mc
    >>> mc.add(mc.tensor([1.0, 2.0]), mc.tensor([[10.0], [20.0]]))
    tensor([[11., 12.],
            [21., 22.]])
    """
    return Add.apply(*promote(input, other if alpha == 1 else _scaled(other, alpha)))


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
    a, b = promote(input, other if alpha == 1 else _scaled(other, alpha))
    return Sub.apply(a, b)


def mul(input: Operand, other: Operand) -> Tensor:
    """``input * other``, broadcasting."""
    return Mul.apply(*promote(input, other))


def div(input: Operand, other: Operand, *, rounding_mode: str | None = None) -> Tensor:
    """``input / other``, broadcasting. Whole numbers are divided as floating point.

    ``rounding_mode``: None, ``"floor"`` or ``"trunc"``; the rounded forms keep whole numbers whole and have no gradient.

    >>> import minicnn as mc
    >>> mc.div(mc.tensor([7, -7]), 2), mc.div(mc.tensor([7, -7]), 2, rounding_mode="floor")
    (tensor([ 3.5000, -3.5000]), tensor([ 3, -4]))
    """
    if rounding_mode is None:
        return Div.apply(*promote(input, other, floating=True))
    if rounding_mode not in ("floor", "trunc"):
        raise ValueError(f"rounding_mode: expected None, 'floor' or 'trunc', got {rounding_mode!r}")
    a, b = (_array_of(x) for x in promote(input, other))
    _refuse_bool(a.dtype, "div with a rounding_mode")
    if a.dtype.kind != "f" and np.any(b == 0):
        raise ZeroDivisionError("div: an integer tensor is divided by zero")
    with np.errstate(all="ignore"):
        if rounding_mode == "floor":
            return Tensor(np.asarray(np.floor_divide(a, b)))
        if a.dtype.kind == "f":
            return Tensor(np.asarray(np.trunc(a / b)))
        return Tensor(np.asarray(np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))).astype(a.dtype))


def floor_divide(input: Operand, other: Operand) -> Tensor:
    """``floor(input / other)``; no gradient."""
    return div(input, other, rounding_mode="floor")


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


def remainder(input: Operand, other: Operand) -> Tensor:
    """``input - other * floor(input / other)``: Python's ``%``, with the sign of ``other``.

    Raises
    ------
    ZeroDivisionError : where whole numbers are divided by zero.
    """
    a, b = promote(input, other)
    _refuse_bool(_dtype_of(a), "remainder")
    if _dtype_of(a).kind != "f" and np.any(_array_of(b) == 0):
        raise ZeroDivisionError("remainder: an integer tensor is divided by zero")
    return Remainder.apply(a, b)


def pow(input: Operand, exponent: Operand) -> Tensor:
    """``input ** exponent``, broadcasting.

    Raises
    ------
    ValueError : for whole numbers with a negative exponent, as in torch.
    """
    a, b = promote(input, exponent)
    _refuse_bool(_dtype_of(a), "pow")
    if _dtype_of(a).kind in "iu" and np.any(_array_of(b) < 0):
        raise ValueError("exponent: whole numbers to negative whole powers are not whole; convert with .float()")
    return Pow.apply(a, b)


def maximum(input: Tensor, other: Tensor) -> Tensor:
    """The larger of two, element by element; NaN wins; a tie shares the gradient."""
    return Maximum.apply(*promote(input, other))


def minimum(input: Tensor, other: Tensor) -> Tensor:
    """The smaller of two, element by element; NaN wins; a tie shares the gradient."""
    return Minimum.apply(*promote(input, other))


def where(condition: Tensor, input: Operand | None = None, other: Operand | None = None) -> Any:
    """``input`` where ``condition`` holds and ``other`` elsewhere; with the condition alone, the indices where it holds.

    >>> import minicnn as mc
    >>> x = mc.tensor([-1.0, 2.0])
    >>> mc.where(x > 0, x, 0.0)
    tensor([0., 2.])

    Raises
    ------
    TypeError : where the condition is not bool.
    """
    if not isinstance(condition, Tensor) or condition._array.dtype not in (np.bool_, np.uint8):
        got = condition.dtype if isinstance(condition, Tensor) else type(condition).__name__
        raise TypeError(f"condition: expected a bool tensor, got {got}")
    if input is None and other is None:
        return tuple(Tensor(i) for i in np.nonzero(condition._array))
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
    x, *bounds = promote(input, *[bound for bound in (min, max) if bound is not None])
    low = bounds.pop(0) if min is not None else None
    high = bounds.pop(0) if max is not None else None
    return Clamp.apply(x, low, high)


def neg(input: Tensor) -> Tensor:
    """``-input``."""
    if input._array.dtype == bool:
        raise TypeError("neg: a bool tensor has no negative; use ~x")
    return Neg.apply(input)


def abs(input: Tensor) -> Tensor:
    """``|input|``; the derivative at 0 is 0."""
    _refuse_bool(input._array.dtype, "abs")
    return Abs.apply(input)


def exp(input: Tensor) -> Tensor:
    """``e ** input``.

    >>> import minicnn as mc
    >>> mc.exp(mc.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return Exp.apply(to_floating(input))


def log(input: Tensor) -> Tensor:
    """The natural logarithm; NaN below 0, -inf at 0."""
    return Log.apply(to_floating(input))


def sqrt(input: Tensor) -> Tensor:
    """The square root; NaN below 0."""
    return Sqrt.apply(to_floating(input))


def square(input: Tensor) -> Tensor:
    """``input ** 2``."""
    return pow(input, 2)


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return Tanh.apply(to_floating(input))


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + e^-input)``.

    >>> import minicnn as mc
    >>> mc.sigmoid(mc.tensor([-1.0, 0.0, 1.0]))
    tensor([0.2689, 0.5000, 0.7311])
    """
    return Sigmoid.apply(to_floating(input))


# ---- comparison and logic: no gradients


def _comparison(name: str, ufunc: np.ufunc, symbol: str):
    def compare(input: Operand, other: Operand) -> Tensor:
        a, b = promote(input, other)
        return Tensor(np.asarray(ufunc(_array_of(a), _array_of(b))))

    compare.__name__ = compare.__qualname__ = name
    compare.__doc__ = f"``input {symbol} other``, element by element, as a bool tensor."
    return compare


eq = _comparison("eq", np.equal, "==")
ne = _comparison("ne", np.not_equal, "!=")
lt = _comparison("lt", np.less, "<")
le = _comparison("le", np.less_equal, "<=")
gt = _comparison("gt", np.greater, ">")
ge = _comparison("ge", np.greater_equal, ">=")


def _bitwise(name: str, ufunc: np.ufunc, symbol: str):
    def combine(input: Operand, other: Operand) -> Tensor:
        a, b = promote(input, other)
        if _dtype_of(a).kind == "f":
            raise TypeError(f"{name}: only bool and whole numbers have bits, got {_dtype_of(a)}")
        return Tensor(np.asarray(ufunc(_array_of(a), _array_of(b))))

    combine.__name__ = combine.__qualname__ = name
    combine.__doc__ = f"``input {symbol} other``: logic on bool tensors, bit by bit on whole numbers."
    return combine


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "&")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "|")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "^")


def bitwise_not(input: Tensor) -> Tensor:
    """``~input``: not, on bool tensors; the bits turned round on whole numbers."""
    if input._array.dtype.kind == "f":
        raise TypeError(f"bitwise_not: only bool and whole numbers have bits, got {input.dtype}")
    return Tensor(np.asarray(np.invert(input._array)))


def isnan(input: Tensor) -> Tensor:
    """Where the elements are NaN."""
    return Tensor(np.asarray(np.isnan(input._array)))


def isfinite(input: Tensor) -> Tensor:
    """Where the elements are neither NaN nor infinite."""
    return Tensor(np.asarray(np.isfinite(input._array)))


def isinf(input: Tensor) -> Tensor:
    """Where the elements are infinite."""
    return Tensor(np.asarray(np.isinf(input._array)))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements."""
    tracing.note_effect("equal()")
    return input._array.shape == other._array.shape and bool((input._array == other._array).all())


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether ``|input - other| <= atol + rtol * |other|`` everywhere.

    Raises
    ------
    TypeError : where the types differ, as in torch.
    """
    if input._array.dtype != other._array.dtype:
        raise TypeError(f"allclose: both tensors need one type, got {input.dtype} and {other.dtype}")
    tracing.note_effect("allclose()")
    return bool(np.allclose(input._array, other._array, rtol=rtol, atol=atol, equal_nan=equal_nan))


def _dtype_of(x: Any) -> np.dtype:
    return x._array.dtype if isinstance(x, Tensor) else x.dtype


def _array_of(x: Any) -> Any:
    return x._array if isinstance(x, Tensor) else x


def _refuse_bool(dtype: np.dtype, what: str) -> None:
    if dtype.kind == "b":
        raise TypeError(f"input: {what} is not defined on bool tensors; convert with .long() or .float()")


def _scaled(x: Operand, alpha: int | float) -> Operand:
    return mul(x, alpha) if isinstance(x, Tensor) else x * alpha
