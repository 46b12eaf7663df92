"""Operands of one type: torch's promotion rules (``minicnn/dtypes.py``) applied to tensors and numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import Op, Tensor
from ..dtypes import DType, as_dtype

NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)


class Cast(Op):
    """y = x in another type; the engine casts the gradient back."""

    @staticmethod
    def forward(ctx, x, *, dtype):
        return x.astype(dtype)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out


def cast(x: Tensor, dtype: DType) -> Tensor:
    """``x`` in another type, or ``x`` itself where it has it already."""
    dtype = as_dtype(dtype)
    return x if x._array.dtype == dtype.numpy else Cast.apply(x, dtype=dtype.numpy)


def result_type(*operands: Tensor | bool | int | float) -> DType:
    """The type that an operation on these operands computes in, by torch's rules.

    >>> import minicnn as mc
    >>> mc.result_type(mc.tensor([1, 2]), 1.5)
    minicnn.float32
    >>> mc.result_type(mc.tensor([1.0]), mc.tensor(2.0, dtype=mc.float64))
    minicnn.float32

    Raises
    ------
    TypeError : for an operand that is neither a tensor nor a number.
    """
    ranks: tuple[list, list, list] = ([], [], [])
    for x in operands:
        if isinstance(x, Tensor):
            ranks[0 if x._array.ndim else 1].append(x.dtype)
        elif isinstance(x, NUMBERS):
            ranks[2].append(dtypes.scalar_dtype(x))
        else:
            hint = "; wrap it with mc.from_numpy" if isinstance(x, np.ndarray) else ""
            raise TypeError(f"expected a Tensor or a number, got {type(x).__name__}{hint}")
    return dtypes.result_type(*ranks)


def promote(*operands: Any, floating: bool = False) -> list[Any]:
    """The operands in their common type: tensors cast where needed, numbers as NumPy scalars.

    ``floating``: whole numbers become the default floating-point type, as for division and ``exp``.
    """
    first = operands[0]
    if isinstance(first, Tensor) and (not floating or first._array.dtype.kind == "f"):
        if all(isinstance(x, Tensor) and x._array.dtype == first._array.dtype for x in operands):
            return list(operands)
    dtype = result_type(*operands)
    if floating and not dtype.is_floating_point:
        dtype = dtypes.get_default_dtype()
    with np.errstate(over="ignore"):  # a number too large for the type is infinite there
        return [cast(x, dtype) if isinstance(x, Tensor) else np.asarray(x).astype(dtype.numpy)[()] for x in operands]


def to_floating(x: Tensor) -> Tensor:
    """``x``, or whole numbers as the default floating-point type."""
    if not isinstance(x, Tensor):
        raise TypeError(f"input: expected a Tensor, got {type(x).__name__}")
    return x if x._array.dtype.kind == "f" else cast(x, dtypes.get_default_dtype())


def require_floating(x: Any, name: str, what: str) -> Tensor:
    """``x``, if it is a floating-point tensor; an error naming the argument otherwise."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: {what} needs a Tensor, got {type(x).__name__}")
    if x._array.dtype.kind != "f":
        raise TypeError(f"{name}: {what} needs floating point, got {x.dtype}; convert with .float()")
    return x


def require_same_dtype(what: str, **tensors: Any) -> None:
    """Raise where the tensors given are not all of one floating-point type."""
    first_name, first = next(iter(tensors.items()))
    for name, x in tensors.items():
        if x is None:
            continue
        require_floating(x, name, what)
        if x._array.dtype != first._array.dtype:
            raise TypeError(
                f"{name}: {what} needs one type for all its tensors, got {x.dtype} where {first_name} has {first.dtype}; "
                f"convert with .to({first.dtype})"
            )


def fitted(value: Any, dtype: np.dtype) -> Any:
    """A number in this type: cut off to a whole number where the type wants one.

    Negative numbers wrap around in unsigned types, as in torch; what has more digits than the type is an error.
    """
    if dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        whole = int(value)
        if not bounds.min - (bounds.max + 1 if dtype.kind == "u" else 0) <= whole <= bounds.max:
            raise OverflowError(f"value: {value} is outside {dtype}, {bounds.min} to {bounds.max}")
        return np.asarray(whole).astype(dtype)[()]
    return np.asarray(value).astype(dtype)[()]
