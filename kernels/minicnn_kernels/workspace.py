"""Recycled memory for large results.

The operating system hands out fresh memory page by page, and zeroes each page at its first touch: for a result of several
megabytes that takes longer than computing it (a quarter of a training step of a small network went there). A training step
asks for the same sizes again and again, so the blocks of results that have died are kept and lent again.

Nobody has to give anything back: an array from :func:`empty` looks at its block through a *lease*, views of the array keep
the array alive, and when the last of them is gone the lease is too, and its block returns to the shelf. A block that anybody
can still see is therefore never reused.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

SMALLEST = 1 << 18  # bytes; below, the C library recycles by itself
ALIGNMENT = (
    64  # bytes: a cache line, and the widest vector. One that lies across two lines takes twice as long to store
)
ALIGNED = 1 << 10  # bytes; what is smaller lies where the C library puts it, at a multiple of 16


class _Block(np.ndarray):
    """Memory of one size class. A type of its own: NumPy lets a view skip bases of plain arrays, and so skip the lease."""


class _Loose(np.ndarray):
    """Memory of no block, which the C library takes back."""


class _Lease(np.ndarray):
    """One use of a block; its end returns the block."""

    def __del__(self) -> None:
        if type(self.base) is _Block:
            _keep(self.base)


_shelf: dict[int, list[_Block]] = {}  # size -> blocks nobody uses. No lock: list.append and list.pop are atomic


def empty(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """`np.empty`, from recycled memory where the result is large.

    Examples
    --------
    >>> first = empty((512, 512), np.float32)
    >>> address = first.ctypes.data
    >>> view = first[1:]
    >>> del first
    >>> empty((512, 512), np.float32).ctypes.data == address  # the view is still there
    False
    >>> del view
    >>> empty((512, 512), np.float32).ctypes.data == address
    True
    """
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    if size < ALIGNED:
        return np.empty(shape, dtype)
    if size < SMALLEST:
        return np.ndarray(shape, dtype, buffer=_aligned(size).view(_Loose).view(_Lease))
    size = _size_class(size)
    try:
        block = _shelf[size].pop()
    except (KeyError, IndexError):
        block = _new_block(size)
    else:
        _note_kept(-size)
    return np.ndarray(shape, dtype, buffer=block.view(_Lease))


def zeros(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """`np.zeros`, from recycled memory where the result is large."""
    out = empty(shape, dtype)
    out.fill(0)
    return out


def copied(array: np.ndarray, order: str = "K") -> np.ndarray:
    """`np.array(array, order=order)`, into recycled memory where it is large."""
    if array.nbytes < SMALLEST:
        return np.array(array, order=order)  # type: ignore[call-overload]
    out = empty(array.shape, array.dtype) if order == "C" else empty_like(array)
    np.copyto(out, array)
    return out


def elementwise(ufunc: np.ufunc, *operands: Any) -> np.ndarray:
    """`ufunc(*operands)` for operands of one type, into recycled memory where the result is large.

    Examples
    --------
    >>> elementwise(np.add, np.ones((2, 1)), np.ones(3)).shape
    (2, 3)
    """
    largest = max((a for a in operands if isinstance(a, np.ndarray)), key=np.size, default=None)
    if largest is None or largest.nbytes < SMALLEST:
        return ufunc(*operands)
    shape = np.broadcast_shapes(*map(np.shape, operands))
    out = empty_like(largest) if largest.shape == shape else empty(shape, largest.dtype)
    return ufunc(*operands, out=out)


def empty_like(array: np.ndarray, shape: Sequence[int] | None = None) -> np.ndarray:
    """Uninitialised memory in the memory order of `array`, without its gaps and repeats; of its shape, or of another with
    as many axes.

    Examples
    --------
    >>> channels_last = np.ones((2, 5, 5, 3)).transpose(0, 3, 1, 2)
    >>> empty_like(channels_last, (2, 3, 7, 7)).strides == np.ones((2, 7, 7, 3)).transpose(0, 3, 1, 2).strides
    True
    """
    shape = array.shape if shape is None else shape
    if array.flags.c_contiguous or 0 in array.strides:
        return empty(shape, array.dtype)
    order = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    back = sorted(range(array.ndim), key=order.__getitem__)
    return transposed(empty([shape[axis] for axis in order], array.dtype), back)


def transposed(array: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    """`array.transpose(axes)`, for a fresh result of which only this view goes on: it takes over the lease.

    (A plain view would hold `array`, which holds the lease, and so would not seem to own anything.)
    """
    view = array.transpose(axes)
    lease = array.base
    if type(lease) is np.ndarray:  # `array` may be a reshaped result, or a part of one
        lease = lease.base if lease.ctypes.data == array.ctypes.data else None
    if type(lease) is not _Lease:
        return view
    return np.ndarray(view.shape, view.dtype, buffer=lease, strides=view.strides)


def reshaped(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """`array.reshape(shape)`, for a fresh row-major result of which only this view goes on: it takes over the lease.

    Examples
    --------
    >>> owns(empty((512, 512), np.float32).reshape(-1)), owns(reshaped(empty((512, 512), np.float32), (-1,)))
    (False, True)
    """
    view = array.reshape(shape)
    return transposed(view, range(view.ndim))


def owns(array: np.ndarray) -> bool:
    """Whether `array` is not a view of another array: it owns its memory, or holds the only lease on it."""
    return array.base is None or type(array.base) is _Lease


def kept_bytes() -> int:
    """How much memory is on the shelf."""
    return sum(size * len(blocks) for size, blocks in list(_shelf.items()))


def clear() -> None:
    """Give the memory on the shelf back to the operating system."""
    _shelf.clear()
    _note_kept(-_kept)


def _size_class(size: int) -> int:
    """`size` rounded up by at most an eighth, so that nearly equal sizes share blocks."""
    step = 1 << (size.bit_length() - 4)
    return -(-size // step) * step


def _new_block(size: int) -> _Block:
    return _aligned(size).view(_Block)


def _aligned(size: int) -> np.ndarray:
    """So many bytes from the C library."""
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -ctypes.addressof(ctypes.c_char.from_buffer(raw)) % ALIGNMENT  # type: ignore[arg-type]
    return raw[start : start + size]


def _keep(block: _Block) -> None:
    """Put a block back. Where the shelf is full, what lies there is of sizes no longer asked for: let it all go."""
    size = block.nbytes
    if _kept + size > _limit and kept_bytes() + size > _limit:
        clear()
    _shelf.setdefault(size, []).append(block)
    _note_kept(size)


def _note_kept(change: int) -> None:
    """Keep the sum of what is on the shelf: about, since two threads may do so at once. ``kept_bytes`` counts."""
    global _kept
    _kept += change


def _memory_limit() -> int:
    """A quarter of the machine's memory, at most 4 GiB."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        memory = 4 << 30
    return min(memory // 4, 4 << 30)


_limit = _memory_limit()
_kept = 0
