"""Changing what a tensor holds without regard to what it held: other sizes, a diagonal of one value."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import Tensor, tracing
from ..layout import as_format, contiguous_format, memory_format
from .elementwise import where
from .inplace import in_place
from .shape import _shape_argument


def resize_(self: Tensor, *sizes: Any, memory_format: memory_format = contiguous_format) -> Tensor:
    """Other sizes in place: the elements in the order of memory, as far as they go; beyond, whatever was in memory.

    >>> import minicnn as mc
    >>> mc.arange(6).resize_(2, 2)
    tensor([[0, 1],
            [2, 3]])

    Raises
    ------
    RuntimeError : for a tensor that requires grad, or whose memory others look at.
    """
    shape = _shape_argument(sizes, "sizes")
    if self.requires_grad:
        raise RuntimeError("resize_: a tensor that requires grad keeps its sizes; use reshape, or detach() it")
    if shape == self._array.shape:
        return self
    if self._version_cell.viewed or self._version_cell.exported:
        raise RuntimeError("resize_: others look at this tensor's memory; clone() it first")
    if as_format(memory_format, len(shape)).ndim:
        raise NotImplementedError("resize_: only to row-major memory; use contiguous(memory_format=...) afterwards")
    tracing.note_effect("resize_()")
    elements = self._array.ravel(order="K")[: math.prod(shape)]
    array = np.empty(math.prod(shape), self._array.dtype)
    array[: elements.size] = elements
    self._array = array.reshape(shape)
    self._bump_version("resize_")
    return self


def resize_as_(self: Tensor, the_template: Tensor, memory_format: memory_format = contiguous_format) -> Tensor:
    """:func:`resize_` to the sizes of another tensor."""
    return resize_(self, tuple(the_template.shape), memory_format=memory_format)


def fill_diagonal_(self: Tensor, fill_value: float, wrap: bool = False) -> Tensor:
    """The diagonal, where all indices are equal, set to one value. ``wrap``: again and again below a tall matrix's end.

    >>> import minicnn as mc
    >>> mc.zeros(2, 3).fill_diagonal_(7)
    tensor([[7., 0., 0.],
            [0., 7., 0.]])

    Raises
    ------
    ValueError : fewer than two dimensions; more than two of different sizes.
    """
    if self.ndim < 2 or (self.ndim > 2 and len(set(self.shape)) > 1):
        raise ValueError(f"fill_diagonal_: expected a matrix, or dimensions of one size, got shape {tuple(self.shape)}")

    def compute(x: Tensor) -> Tensor:
        on = np.zeros(x.shape, bool)
        np.fill_diagonal(on, True, wrap=wrap)
        return where(Tensor(on), fill_value, x)

    return in_place(self, compute, "fill_diagonal_")
