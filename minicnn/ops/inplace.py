"""In-place operations: right, or an error.

Each computes its result out of place, writes it into the tensor's memory, and bumps the storage's version, so that a
backward pass that still needs the old numbers says so instead of using the new ones. Where the result has a history the
tensor takes it over, and with it whatever shares its memory as a view (``minicnn/autograd/views.py``), as in torch.
An error, as in torch: changing a leaf that requires grad (a parameter, say) while recording.

Every element-wise function with an in-place form in torch has it here, from the list below. Next: ``filling.py``, what
fills a tensor with random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..autograd import Op, Tensor, is_grad_enabled, tracing, views
from . import elementwise
from .indexing import SetItem, as_index, write
from .promotion import NUMBERS, cast, fitted
from .shape import clone


class Overwrite(Op):
    # y = value, whatever x was: x stays in the graph, with a gradient of 0, as in torch
    @staticmethod
    def forward(ctx, x, value):
        return np.broadcast_to(value, x.shape).copy(order="K")

    @staticmethod
    def backward(ctx, grad_out):
        return np.zeros_like(grad_out), grad_out


def in_place(
    target: Tensor, compute: Callable[[Tensor], Tensor], name: str, *sources: Any, kept: bool = True
) -> Tensor:
    """Write ``compute(target)`` into ``target``'s memory. Returns ``target``.

    ``sources`` are the other operands: with the target they decide whether this is recorded. ``kept``: whether the rule may
    keep its operand.

    Raises
    ------
    RuntimeError : for a leaf that requires grad, and for a result of another shape or
        of a type that cannot be written here.
    """
    if tracing.state.tracer is not None:
        return tracing.state.tracer.in_place(target, compute, name, sources, partial(_write, kept=kept))
    return _write(target, compute, name, *sources, kept=kept)


def _write(target: Tensor, compute: Callable[[Tensor], Tensor], name: str, *sources: Any, kept: bool = True) -> Tensor:
    recorded = is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in (target, *sources))
    before = target
    if recorded:
        views.require_changeable(target, name)
        # A rule that keeps its operand gets a copy, which the write below does not touch.
        before = Tensor(target._array.copy(order="K") if kept else target._array)
        before._node, before._output_number = target._node, target._output_number
    result = compute(before)
    if result._array.shape != target._array.shape:
        raise RuntimeError(
            f"{name}: the result has shape {tuple(result.shape)}, which does not fit into {tuple(target.shape)}"
        )
    if result.dtype.category > target.dtype.category:
        raise RuntimeError(f"{name}: a {result.dtype} result cannot be written into a {target.dtype} tensor")
    require_writeable(target, name)
    if recorded:
        result = cast(result, target.dtype)
        if not result.requires_grad:
            result = Overwrite.apply(before, result)
    with np.errstate(invalid="ignore"):
        np.copyto(target._array, result._array, casting="unsafe")
    target._bump_version(name)
    if recorded:
        views.follow(target, result)
    return target


def require_writeable(target: Tensor, name: str) -> None:
    """Raise where elements share their memory (an expanded tensor), or the memory is somebody's constant."""
    if not target._array.flags.writeable:
        raise ValueError(
            f"{name}: several elements of this tensor share their memory (it is expanded), or the memory is read-only; "
            "clone() it first"
        )


def _broadcasts_to(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    ends = zip(shape[::-1], wanted[::-1], strict=False)
    return len(shape) <= len(wanted) and all(size in (1, target) for size, target in ends)


def _is_bool(x: Any) -> bool:
    return x._array.dtype.kind == "b" if isinstance(x, Tensor) else isinstance(x, (bool, np.bool_))


def _arithmetic(name: str, ufunc: np.ufunc, function: Callable[..., Tensor], signature: str):
    def operate(self: Tensor, other: Any, **options: Any) -> Tensor:  # (of all these, only methods exist in torch)
        simple = not options and isinstance(other, (Tensor, *NUMBERS)) and not _is_bool(other)
        needs = is_grad_enabled() and (self.requires_grad or (isinstance(other, Tensor) and other.requires_grad))
        counts = type(other) is int and self._array.dtype == np.int64 and ufunc in (np.add, np.subtract, np.multiply)
        if simple and not needs and (self._array.dtype.kind == "f" or counts) and tracing.state.tracer is None:
            # Floating point takes any other type, and a counter whole numbers: one pass, straight into the memory.
            with np.errstate(all="ignore"):
                value = other._array if isinstance(other, Tensor) else other
                if not _broadcasts_to(np.shape(value), self._array.shape):
                    raise RuntimeError(
                        f"{name}: other of shape {np.shape(value)} does not broadcast to {tuple(self.shape)}"
                    )
                require_writeable(self, name)
                ufunc(self._array, value, out=self._array, casting="same_kind")
            self._bump_version(name)
            return self
        return in_place(self, lambda x: function(x, other, **options), name, other)

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = f"``{signature}`` written into ``self``. Returns it."
    return operate


add_ = _arithmetic("add_", np.add, elementwise.add, "self + alpha * other")
sub_ = _arithmetic("sub_", np.subtract, elementwise.sub, "self - alpha * other")
mul_ = _arithmetic("mul_", np.multiply, elementwise.mul, "self * other")
div_ = _arithmetic("div_", np.true_divide, elementwise.div, "self / other")
_pow = _arithmetic("pow_", np.power, elementwise.pow, "self ** exponent")


def pow_(self: Tensor, exponent: Any) -> Tensor:
    """``self ** exponent`` written into ``self``. Returns it."""
    return _pow(self, exponent)


def in_place_form(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``x.function_(...)``: ``function(x, ...)`` written into x."""
    name = f"{function.__name__}_"

    def operate(input: Tensor, *args: Any, **options: Any) -> Tensor:
        if not isinstance(input, Tensor):
            raise TypeError(f"input: {name} expects a Tensor, got {type(input).__name__}")
        return in_place(input, lambda x: function(x, *args, **options), name, *args, *options.values())

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = f":func:`minicnn.{function.__name__}` written into ``input``. Returns it."
    return operate


_FORMS = """
    abs acos acosh addcdiv addcmul asin asinh atan atan2 atanh bitwise_and bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min copysign cos cosh deg2rad digamma
    eq erf erfc erfinv exp exp2 expm1 floor floor_divide fmod frac gcd ge gt heaviside hypot lcm ldexp le lerp
    lgamma log log10 log1p log2 logical_and logical_not logical_or logical_xor logit lt nan_to_num ne neg
    nextafter rad2deg reciprocal remainder round rsqrt sgn sigmoid sign sin sinc sinh sqrt square tan tanh trunc
    xlogy
"""
FORMS = {f"{name}_": in_place_form(getattr(elementwise, name)) for name in _FORMS.split()}


def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """:func:`minicnn.float_power` written into ``self``, which has to be of float64. Returns it."""
    if self._array.dtype != np.float64:
        raise RuntimeError(f"float_power_: the result is float64, and is not written into {self.dtype}")
    return in_place(self, lambda x: elementwise.float_power(x, exponent), "float_power_", exponent)


FORMS |= {"add_": add_, "sub_": sub_, "mul_": mul_, "div_": div_, "pow_": pow_, "float_power_": float_power_}
# torch's second names
_SECOND_NAMES = """
    absolute=abs arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctan2=atan2 arctanh=atanh clip=clamp
    divide=div true_divide=div fix=trunc greater=gt greater_equal=ge less=lt less_equal=le multiply=mul negative=neg
    not_equal=ne subtract=sub
"""
FORMS |= {f"{second}_": FORMS[f"{first}_"] for second, _, first in (p.partition("=") for p in _SECOND_NAMES.split())}


def copy_(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """``src``'s elements written into ``self``, broadcast and cast. Returns it."""
    if isinstance(src, NUMBERS):
        return fill_(self, src)
    if not isinstance(src, Tensor):
        raise TypeError(f"src: copy_ takes a Tensor, got {type(src).__name__}")
    if not _broadcasts_to(src._array.shape, self._array.shape):
        raise RuntimeError(f"src: copy_ into shape {tuple(self.shape)}: {tuple(src.shape)} does not broadcast to it")
    return in_place(self, lambda x: Overwrite.apply(x, cast(src, self.dtype)), "copy_", src)


def fill_(input: Tensor, value: Any) -> Tensor:
    """Every element set to ``value``, a number or a 0-dimensional tensor. Returns the tensor.

    Raises
    ------
    OverflowError : for a whole number outside the tensor's type.
    """
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(f"value: fill_ takes a number or a 0-dimensional tensor, got shape {tuple(value.shape)}")
        return in_place(input, lambda x: Overwrite.apply(x, cast(value, input.dtype)), "fill_", value)
    if not isinstance(value, NUMBERS):
        raise TypeError(f"value: fill_ takes a number, got {type(value).__name__}")
    if tracing.state.tracer is None and not (input.requires_grad and is_grad_enabled()):
        require_writeable(input, "fill_")
        input._array.fill(fitted(value, input._array.dtype))
        input._bump_version("fill_")
        return input
    return in_place(input, lambda x: Tensor(np.full(x.shape, fitted(value, x._array.dtype))), "fill_")


def zero_(input: Tensor) -> Tensor:
    """Every element set to 0. Returns the tensor."""
    return fill_(input, 0)


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like ``input`` with every element set to ``value``, a number or a 0-dimensional tensor.

    >>> import minicnn as mc
    >>> mc.fill(mc.zeros(2), 3)
    tensor([3., 3.])
    """
    return fill_(clone(input), value)


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """``self[index] = value``, broadcast and cast.

    Raises
    ------
    RuntimeError : as the other in-place operations. IndexError, ValueError : where index or value do not fit.
    """
    basic, gather = as_index(index, self.ndim)
    if is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in (self, value)):
        source = value.to(self.dtype) if isinstance(value, Tensor) else value
        in_place(self, lambda x: SetItem.apply(x, source, *gather, basic=basic), "x[index] = value", value)
        return
    if tracing.state.tracer is not None:
        tracing.state.tracer.opaque("x[index] = value")
    index_arrays = tuple(part._array if isinstance(part, Tensor) else part for part in gather)
    with np.errstate(all="ignore"):  # a NaN written into whole numbers is no warning, as in torch
        write(self._array, basic, index_arrays, value._array if isinstance(value, Tensor) else value)
    self._bump_version("x[index] = value")


# Those that torch has as functions too: ``mc.exp_(x)``.
_FUNCTIONS = """
    abs acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil clamp clamp_max clamp_min clip cos
    cosh deg2rad erf erfc exp exp2 expm1 fix floor frac gcd lcm ldexp log log10 log1p log2 logit nan_to_num neg negative
    rad2deg reciprocal round rsqrt sigmoid sin sinc sinh sqrt square tan tanh trunc xlogy
"""
FUNCTIONS = {"fill_": fill_, "zero_": zero_} | {f"{name}_": FORMS[f"{name}_"] for name in _FUNCTIONS.split()}
