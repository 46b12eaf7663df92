"""What a tensor is, as functions: ``mc.is_tensor(x)``, ``mc.numel(x)`` ..."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor


def is_tensor(obj: Any) -> bool:
    """Whether it is a tensor."""
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floating-point numbers."""
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """False: there are no complex numbers here."""
    return input.is_complex()


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not 0.

    Raises
    ------
    RuntimeError : for a tensor of any other number of elements.
    """
    return bool(input)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape."""
    return input.shape == other.shape


def numel(input: Tensor) -> int:
    """How many elements."""
    return input.numel()


def get_device(input: Tensor) -> int:
    """-1: the CPU, which has no number."""
    return input.get_device()


def is_signed(input: Tensor) -> bool:
    """Whether the type has negative numbers."""
    return input.is_signed()


def is_conj(input: Tensor) -> bool:
    """False: there are no complex numbers here."""
    return input.is_conj()


def is_neg(input: Tensor) -> bool:
    """False: nothing is negated lazily."""
    return input.is_neg()


def detach(input: Tensor) -> Tensor:
    """The same memory, out of the graph."""
    return input.detach()


def real(input: Tensor) -> Tensor:
    """The tensor itself: all numbers are real."""
    return input


def conj(input: Tensor) -> Tensor:
    """The tensor itself: all numbers are real."""
    return input


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: nothing is conjugated lazily."""
    return input


def resolve_neg(input: Tensor) -> Tensor:
    """The tensor itself: nothing is negated lazily."""
    return input


__all__ = [
    "conj", "detach", "get_device", "is_complex", "is_conj", "is_floating_point", "is_neg", "is_nonzero", "is_same_size",
    "is_signed", "is_tensor", "numel", "real", "resolve_conj", "resolve_neg",
]  # fmt: skip
