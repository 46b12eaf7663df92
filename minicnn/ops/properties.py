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


__all__ = ["get_device", "is_complex", "is_floating_point", "is_nonzero", "is_same_size", "is_tensor", "numel"]
