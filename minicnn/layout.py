"""How a tensor lies in memory: torch's memory formats, as objects.

The shape is the same whatever the format: ``(n, c, h, w)`` in ``channels_last`` too, where in memory the channels of a
pixel lie side by side. The framework chooses the order of its own results (``docs/architecture.md``), and understands
any; a format is for what leaves it, and for code written for torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


class memory_format:
    """An order in memory: ``mc.contiguous_format``, ``mc.channels_last``, ``mc.channels_last_3d``, ``mc.preserve_format``.

    >>> import minicnn as mc
    >>> x = mc.ones(2, 3, 4, 5).contiguous(memory_format=mc.channels_last)
    >>> x.shape, x.stride(), x.is_contiguous(memory_format=mc.channels_last)
    (minicnn.Size([2, 3, 4, 5]), (60, 1, 15, 3), True)
    """

    __slots__ = ("name", "ndim")

    def __init__(self, name: str, ndim: int | None = None):
        self.name, self.ndim = name, ndim

    def __repr__(self) -> str:
        return f"minicnn.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last", 4)
channels_last_3d = memory_format("channels_last_3d", 5)


class layout:
    """How a tensor stores its elements. There is one, ``mc.strided``: all of them, at regular steps."""

    __slots__ = ("name",)

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"minicnn.{self.name}"

    def __reduce__(self) -> str:
        return self.name


strided = layout("strided")


def require_strided(wanted: Any) -> None:
    """Raise for any layout but ``strided``."""
    if wanted is not None and wanted is not strided:
        raise NotImplementedError(f"layout: tensors are dense here (mc.strided), got {wanted!r}")


def as_format(wanted: Any, ndim: int) -> memory_format:
    """The format asked for, checked against the number of dimensions.

    Raises
    ------
    TypeError : for what is no format. ValueError : for a channels-last format of another number of dimensions.
    """
    if not isinstance(wanted, memory_format):
        raise TypeError(f"memory_format: expected mc.contiguous_format, mc.channels_last ..., got {wanted!r}")
    if wanted.ndim not in (None, ndim):
        raise ValueError(f"memory_format: {wanted!r} is for {wanted.ndim} dimensions, this tensor has {ndim}")
    return wanted


def lies_in(array: np.ndarray, wanted: Any) -> bool:
    """Whether the elements lie in that order, without gaps."""
    if not isinstance(wanted, memory_format) or wanted is preserve_format:
        raise TypeError(f"memory_format: expected an order, such as mc.contiguous_format, got {wanted!r}")
    if wanted.ndim is None:
        return array.flags.c_contiguous
    return array.ndim == wanted.ndim and np.moveaxis(array, 1, -1).flags.c_contiguous


def empty(shape: Sequence[int], dtype: Any, wanted: memory_format) -> np.ndarray:
    """Uninitialised memory of that shape in that order (row-major for the formats without an order of their own)."""
    if wanted.ndim is None:
        return np.empty(shape, dtype)
    n, c, *spatial = shape
    return np.moveaxis(np.empty((n, *spatial, c), dtype), -1, 1)  # (n, *spatial, c) -> (n, c, *spatial)


def empty_like(array: np.ndarray, dtype: Any, wanted: memory_format = preserve_format) -> np.ndarray:
    """Uninitialised memory of the array's shape: in the format given, or in the array's own order, without its gaps."""
    if wanted is not preserve_format or 0 in array.strides:
        return empty(array.shape, dtype, wanted)
    return np.empty_like(array, dtype)
