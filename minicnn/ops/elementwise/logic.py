"""Logic on truth values, on bits, and on divisors: whole numbers and bools, without gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd import Tensor
from .operands import Operand, array_of, dtype_of, one, pair, plain
from .table import _named


def _logical(name: str, ufunc: np.ufunc, doc: str):
    def combine(input: Tensor, other: Tensor) -> Tensor:
        for argument, x in (("input", input), ("other", other)):
            if not isinstance(x, Tensor):
                raise TypeError(f"{argument}: {name} expects a Tensor, got {type(x).__name__}")
        return plain(ufunc, input, other)

    return _named(combine, name, f"{doc} Any number but 0 counts as true.")


logical_and = _logical("logical_and", np.logical_and, "Where both operands are true.")
logical_or = _logical("logical_or", np.logical_or, "Where one operand or both are true.")
logical_xor = _logical("logical_xor", np.logical_xor, "Where one operand is true and the other is not.")


def logical_not(input: Tensor) -> Tensor:
    """Where the operand is false, which is to say 0."""
    return plain(np.logical_not, one("logical_not", input))


def _bitwise(name: str, ufunc: np.ufunc, symbol: str):
    def combine(input: Operand, other: Operand) -> Tensor:
        return plain(ufunc, *_whole(name, input, other))

    return _named(combine, name, f"``input {symbol} other``: logic on bool tensors, bit by bit on whole numbers.")


def _whole(name: str, input: Any, other: Any, *, bools: bool = True, numbers: bool = True) -> list[Any]:
    a, b = pair(name, input, other, bools=bools, numbers=numbers)
    if dtype_of(a).kind == "f":
        raise TypeError(f"{name}: only bool and whole numbers have bits, got {dtype_of(a)}")
    return [a, b]


bitwise_and = _bitwise("bitwise_and", np.bitwise_and, "&")
bitwise_or = _bitwise("bitwise_or", np.bitwise_or, "|")
bitwise_xor = _bitwise("bitwise_xor", np.bitwise_xor, "^")


def bitwise_not(input: Tensor) -> Tensor:
    """``~input``: not, on bool tensors; the bits turned round on whole numbers."""
    if one("bitwise_not", input)._array.dtype.kind == "f":
        raise TypeError(f"bitwise_not: only bool and whole numbers have bits, got {input.dtype}")
    return plain(np.invert, input)


def bitwise_left_shift(input: Operand, other: Operand) -> Tensor:
    """``input << other``: times 2 to that power, as far as the type reaches; 0 for shifts beyond its bits.

    >>> import minicnn as mc
    >>> mc.tensor([1, 3]) << mc.tensor([4, 1])
    tensor([16,  6])
    """
    return plain(lambda a, b: np.where(_shifts(a, b), np.left_shift(a, b), 0).astype(a.dtype), *_shift(input, other))


def bitwise_right_shift(input: Operand, other: Operand) -> Tensor:
    """``input >> other``: divided by 2 to that power, rounded down; the sign for shifts beyond the bits of the type."""
    return plain(
        lambda a, b: np.where(_shifts(a, b), np.right_shift(a, b), np.where(a < 0, -1, 0)).astype(a.dtype),
        *_shift(input, other),
    )


def _shift(input: Any, other: Any) -> list[Any]:
    return [np.asarray(array_of(x)) for x in _whole("a shift", input, other, bools=False)]


def _shifts(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (b >= 0) & (b < 8 * a.dtype.itemsize)


def gcd(input: Tensor, other: Tensor) -> Tensor:
    """The greatest common divisor, not negative; of 0 and a number, that number.

    >>> import minicnn as mc
    >>> mc.gcd(mc.tensor([-4, 0]), mc.tensor([6, 5])), mc.lcm(mc.tensor([4]), mc.tensor([6]))
    (tensor([2, 5]), tensor([12]))
    """
    return plain(np.gcd, *_whole("gcd", input, other, bools=False, numbers=False))


def lcm(input: Tensor, other: Tensor) -> Tensor:
    """The least common multiple, not negative."""
    return plain(np.lcm, *_whole("lcm", input, other, bools=False, numbers=False))
