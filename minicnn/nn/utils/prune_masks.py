"""Masks of ones and zeros for ``prune.py``: zero where something is least."""

from __future__ import annotations

import numbers

import numpy as np

from minicnn.autograd import Tensor

Amount = int | float


def check_amount(amount: Amount) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    if amount < 0 or (not isinstance(amount, numbers.Integral) and amount > 1):
        raise ValueError(f"amount={amount} should either be a float in the range [0, 1] or a non-negative integer")


def _number(amount: Amount, size: int) -> int:
    """How many of ``size``: the amount itself, or, as a float, its share."""
    if not isinstance(amount, numbers.Integral):
        return round(amount * size)
    if amount > size:
        raise ValueError(f"amount={amount} should be smaller than the number of parameters to prune={size}")
    return int(amount)


def checked_dim(t: Tensor, dim: int) -> int:
    if t.ndim <= 1:
        raise ValueError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
            f"{tuple(t.shape)} with {t.ndim} dims"
        )
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(f"Invalid index {dim} for tensor of size {tuple(t.shape)}")
    return dim % t.ndim


def others(ndim: int, dim: int) -> tuple[int, ...]:
    return tuple(i for i in range(ndim) if i != dim)


def without_least(default_mask: Tensor, importance: np.ndarray, amount: Amount) -> Tensor:
    """The mask with zeros where the importance is least."""
    least = np.argsort(importance.reshape(-1), kind="stable")[: _number(amount, importance.size)]
    mask = default_mask._array.copy(order="C")
    mask.reshape(-1)[least] = 0
    return Tensor(mask)


def without_slices(default_mask: Tensor, importance: np.ndarray, amount: Amount, dim: int) -> Tensor:
    """The mask with zeros in the slices along ``dim`` of the least importance."""
    mask = default_mask._array.copy()
    least = np.argsort(importance, kind="stable")[: _number(amount, importance.size)]
    mask[(slice(None),) * dim + (least,)] = 0
    return Tensor(mask)
