"""Functions of one operand from a line each: a formula with its derivative.

:func:`unary` makes an ``Op`` and its public function of such a line. The derivative is written as what it does to the
gradient ``g`` that arrives, with ``x`` for the operand and ``y`` for the result; what it names is what is kept for the
backward pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.workspace import SMALLEST, elementwise

from ...autograd import Op, Tensor
from ..promotion import to_floating
from .operands import one

Function = Callable[[Any], Any]
Unary = Callable[[Tensor], Tensor]


class UnaryOp(Op):
    """``y = function(x)``; ``gradient(g, x and/or y)`` is ``g dy/dx``, and None where the function is flat."""

    function: Function
    gradient: Callable[..., Any] | None
    keeps: str  # "x", "y", "xy" or nothing

    @classmethod
    def forward(cls, ctx, x):
        out = cls.function(x)
        if ctx.needs_input_grad[0] and cls.keeps:
            ctx.save(*({"x": (x,), "y": (out,), "xy": (x, out)}[cls.keeps]))
        return out

    @classmethod
    def backward(cls, ctx, grad_out):
        return np.zeros_like(grad_out) if cls.gradient is None else cls.gradient(grad_out, *ctx.saved)


def unary_op(name: str, function: Function, gradient: Callable[..., Any] | None) -> type[UnaryOp]:
    """The ``Op`` called ``name``."""
    keeps = "" if gradient is None else "".join(gradient.__code__.co_varnames[1 : gradient.__code__.co_argcount])
    assert keeps in ("", "x", "y", "xy")
    members = {
        "function": staticmethod(_recycling(function) if isinstance(function, np.ufunc) else function),
        "gradient": None if gradient is None else staticmethod(gradient),
        "keeps": keeps,
    }
    return type(name, (UnaryOp,), members)


def _recycling(ufunc: np.ufunc) -> Function:
    """The function, with large results in recycled memory."""
    return lambda x: ufunc(x) if x.nbytes < SMALLEST else elementwise(ufunc, x)


def unary(
    name: str,
    function: Function,
    gradient: Callable[..., Any] | None,
    doc: str,
    *,
    bools: bool = True,
    integers: bool = True,
) -> tuple[type[UnaryOp], Unary]:
    """An ``Op`` and its public function. Whole numbers become floating point; ``bools``, ``integers``: or are refused."""
    op = unary_op(name.capitalize(), function, gradient)

    def compute(input: Tensor) -> Tensor:
        x = one(name, input, bools=bools, integers=integers)
        return op.apply(x if x._array.dtype.kind == "f" else to_floating(x))

    return op, _named(compute, name, doc)


def _named(function: Any, name: str, doc: str) -> Any:
    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function
