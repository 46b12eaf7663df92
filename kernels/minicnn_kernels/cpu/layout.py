"""Memory order inside this package: channels last.

An image array has the logical shape (n, c, h, w), as in PyTorch, but the kernels work on (n, h, w, c): the channels
of a pixel lie side by side, one vector instruction takes 16 of them, and a window's pixels are whole runs of memory.
An array that a kernel returned is such memory already, seen through a transposed view, and the conversion below is
free; the first layer's input is copied once. (With one channel, or 1x1 images, both orders are the same bytes, and
NumPy's flags know it.)
"""

import numpy as np

from .. import workspace
from ..threads import parallel_for
from .jit import jit
from .simd import VECTOR_BYTES, lanes
from .transpose_tile import transpose_tile

GRAIN = 1 << 15  # numbers below which a second thread does not pay


def contiguous(array: np.ndarray) -> np.ndarray:
    """`array` itself if it is row-major, aligned and writeable, else a copy that is: what compiled functions expect.

    (Numba would compile a function once more for read-only or unaligned arrays.)
    """
    return array if array.flags.carray else workspace.copied(array, "C")


def to_channels_last(x: np.ndarray) -> np.ndarray:
    """(n, c, *spatial) -> (n, *spatial, c), contiguous; a view where possible."""
    view = np.moveaxis(x, 1, -1) if x.ndim != 4 else x.transpose(0, 2, 3, 1)
    if view.flags.carray:
        return view
    n, c = x.shape[:2]
    if x.ndim > 2 and x.flags.carray and x.size:
        return transposed(x.reshape(n, c, -1)).reshape(
            view.shape
        )  # (n, c, pixels) -> (n, pixels, c) -> (n, *spatial, c)
    return contiguous(view)


def copy_into(x: np.ndarray, out: np.ndarray) -> None:
    """See the reference; images from row-major to channels-last by whole squares."""
    last = out.transpose(0, *range(2, out.ndim), 1) if out.ndim > 2 else out
    if (
        out.ndim > 2
        and x.size
        and x.dtype == out.dtype
        and x.dtype.kind == "f"
        and x.flags.carray
        and last.flags.carray
    ):
        n, c = x.shape[:2]
        transpose_into(x.reshape(n, c, -1), last.reshape(n, -1, c))  # (n, c, pixels) -> (n, pixels, c)
    else:
        np.copyto(out, x)


def row_major(x: np.ndarray) -> np.ndarray:
    """x of any shape and memory order -> a copy, row-major."""
    if x.ndim > 2 and x.size and x.dtype.kind == "f":
        n, c = x.shape[:2]
        last = np.moveaxis(x, 1, -1)
        if last.flags.carray:
            return transposed(last.reshape(n, -1, c)).reshape(
                x.shape
            )  # (n, pixels, c) -> (n, c, pixels) -> (n, c, *spatial)
    return workspace.copied(x, "C")


def empty_channels_last(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Uninitialised (n, *spatial, c) memory for a result of logical shape (n, c, *spatial)."""
    n, c, *spatial = shape
    return workspace.empty((n, *spatial, c), dtype)


def to_logical(x: np.ndarray) -> np.ndarray:
    """A fresh result (n, *spatial, c) -> its view (n, c, *spatial)."""
    return workspace.transposed(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))


def transposed(x: np.ndarray) -> np.ndarray:
    """(batch, rows, columns) -> (batch, columns, rows), a copy, made square by square."""
    x = contiguous(x)
    out = workspace.empty((x.shape[0], x.shape[2], x.shape[1]), x.dtype)
    transpose_into(x, out)
    return out


def transpose_into(x: np.ndarray, out: np.ndarray) -> None:
    """The same into `out`; both contiguous."""
    batch, rows, columns = x.shape
    strips = -(-columns // lanes(x.dtype))
    grain = max(1, GRAIN // max(1, rows * lanes(x.dtype)))
    parallel_for(_transpose, batch * strips, x.reshape(-1), rows, columns, out.reshape(-1), grain=grain)


@jit
def _transpose(start, stop, x, rows, columns, out):
    """Strips of columns, as wide as a vector, become rows of the result; strip s belongs to matrix s // (strips a matrix).

    Where vectors do not divide a side, the last square overlaps the one before.
    """
    size = VECTOR_BYTES // x.itemsize
    strips = (columns + size - 1) // size
    for strip in range(start, stop):
        matrix = strip // strips * rows * columns
        first = strip % strips * size
        if rows >= size and columns >= size:
            left = min(first, columns - size)
            for block in range(0, rows, size):
                top = min(block, rows - size)
                transpose_tile(x, matrix + top * columns + left, columns, out, matrix + left * rows + top, rows)
        else:
            for j in range(first, min(first + size, columns)):
                for i in range(rows):
                    out[matrix + j * rows + i] = x[matrix + i * columns + j]
