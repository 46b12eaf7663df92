"""What the element-wise functions share: their operands brought to one type, and the types that they refuse."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from minicnn_kernels.workspace import elementwise

from ...autograd import Tensor
from ..promotion import NUMBERS, promote

Operand: TypeAlias = Tensor | bool | int | float


def pair(
    what: str, input: Any, other: Any, *, floating: bool = False, bools: bool = True, numbers: bool = True
) -> list[Any]:
    """Two operands in their common type, of which one is a tensor.

    ``bools``: whether the common type may be bool. ``numbers``: whether an operand may be a plain number.
    """
    tensors = isinstance(input, Tensor), isinstance(other, Tensor)
    if tensors == (True, True) and input._array.dtype == other._array.dtype:
        kind = input._array.dtype.kind
        if kind == "f" or (kind in "iu" and not floating):  # nothing to bring to one type: the usual case
            return [input, other]
    if not all(tensors) and not (numbers and any(tensors)):
        name, wrong = ("other", other) if tensors[0] else ("input", input)
        kind = "a Tensor or a number" if numbers and not isinstance(wrong, NUMBERS) else "a Tensor"
        raise TypeError(f"{name}: {what} expected {kind}, got {type(wrong).__name__}; wrap it with mc.tensor")
    a, b = promote(input, other, floating=floating)
    if not bools:
        refuse_bool(dtype_of(a), what)
    return [a, b]


def one(what: str, input: Any, *, bools: bool = True, integers: bool = True) -> Tensor:
    """The operand of a function of one tensor, of a type that the function has."""
    if not isinstance(input, Tensor):
        raise TypeError(f"input: {what} expected a Tensor, got {type(input).__name__}; wrap it with mc.tensor")
    kind = input._array.dtype.kind
    if kind == "f":
        return input
    if not bools:
        refuse_bool(input._array.dtype, what)
    if not integers and kind != "b":
        raise TypeError(f"input: {what} is for floating point, got {input.dtype}; convert with .float()")
    return input


def dtype_of(x: Any) -> np.dtype:
    return x._array.dtype if isinstance(x, Tensor) else x.dtype


def array_of(x: Any) -> Any:
    return x._array if isinstance(x, Tensor) else x


def refuse_bool(dtype: np.dtype, what: str) -> None:
    if dtype.kind == "b":
        raise TypeError(f"input: {what} is not defined on bool tensors; convert with .long() or .float()")


def plain(function: Any, *operands: Any) -> Tensor:
    """``function`` of the operands' arrays, as a tensor without a history: for results that have no gradient."""
    return Tensor(np.asarray(function(*map(array_of, operands))))


def times(a: Any, b: Any) -> np.ndarray:
    """``a * b`` of arrays, into recycled memory where it is large."""
    return elementwise(np.multiply, a, b)
