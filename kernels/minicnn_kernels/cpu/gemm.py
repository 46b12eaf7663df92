"""Matrix products, cut into the register tiles of ``microkernel.py`` (Goto and van de Geijn 2008, "Anatomy of GEMM").

B is packed first: columns in panels as wide as a tile, [panel][k][columns], the last one padded with zeros, so that a
tile reads it straight through. A is read where it lies, by any row and column stride; so A, A.T, and patches in
scratch memory are all the same to it.

    for each block of KC steps of k
        for each group of rows               its part of A, rows x KC, stays in the second-level cache
            for each panel                   its block of B stays there too, and is read from memory once a group
                for each tile of rows        one register tile

``multiply`` takes one product, or several of the same shape at equal distances in memory (Winograd's 36 points): it holds
the unrolled tiles, which take longest of all to compile, so there is one of it.

Everything here is single-threaded and takes ranges of rows and panels; the callers (``matmul.py``, the convolutions)
share these out.
"""

import numpy as np

from .. import workspace
from .jit import ONE, ZERO, jit, jit_part
from .memory import clear, copy
from .microkernel import ADD_BIAS, ADD_OTHER, RECTIFY, SIMD, full_tile, low_tile, tile_columns
from .simd import VECTOR_BYTES, load, load_part, number, store_part, where
from .transpose_tile import transpose_tile

KC = 512
# Of B: it stays in the second-level cache whole, and rows are taken as they come. Processors with AVX-512 have 1 or 2 MB
# of it (products of few steps, as in a linear layer's gradient for its weights, are twice as fast so), others often 256 KB.
FEW_BYTES = (1024 if SIMD.name == "avx512" else 256) * 1024
# Else so many rows at a time: 252 x 512 x 4 bytes are 504 KB; the panel's block of B, 64 KB, is multiplied with 18 tiles.
GROUP = 18 * SIMD.rows
AHEAD = 48  # steps of k: about 250 nanoseconds, so long a shared cache takes
ROWS = SIMD.rows
FEW_ROWS = SIMD.few_rows
ONE_PRODUCT = (ONE, ZERO, ZERO, ZERO)  # ``multiply``'s `batch` for a single product


def n_panels(n: int, dtype: np.dtype) -> int:
    """Panels of a matrix with n columns."""
    return -(-n // tile_columns(dtype))


def empty_panels(k: int, n: int, dtype: np.dtype) -> np.ndarray:
    """Memory for a packed (k, n) matrix."""
    return workspace.empty((n_panels(n, dtype) * k * tile_columns(dtype),), dtype)


def tile_scratch(dtype: np.dtype) -> np.ndarray:
    """Memory for the tile that ``multiply`` needs at the right edge of C: one a thread."""
    return workspace.empty((ROWS * tile_columns(dtype),), dtype)


@jit
def pack_rows(start, stop, b, b_at, b_row, k, n, columns, packed):
    """Pack the panels start .. stop of B[p, j] = b[b_at + p * b_row + j]."""
    for panel in range(start, stop):
        first = panel * columns
        width = min(columns, n - first)
        for p in range(k):
            to = (panel * k + p) * columns
            copy(b, b_at + p * b_row + first, packed, to, width)
            clear(packed, to + width, columns - width)


@jit
def pack_columns(start, stop, b, b_at, b_col, k, n, columns, packed):
    """Pack the panels start .. stop of B[p, j] = b[b_at + p + j * b_col]: squares of numbers, transposed in registers."""
    size = VECTOR_BYTES // b.itemsize
    for panel in range(start, stop):
        first = panel * columns
        width = min(columns, n - first)
        squares = width // size * size if k >= size else 0
        for block in range(0, k, size):
            top = min(block, k - size)  # where vectors do not divide k, the last square overlaps the one before
            for j in range(0, squares, size):
                at, to = b_at + top + (first + j) * b_col, (panel * k + top) * columns + j
                transpose_tile(b, at, b_col, packed, to, columns)
        for j in range(squares, columns):
            at = b_at + (first + j) * b_col
            for p in range(k):
                packed[(panel * k + p) * columns + j] = b[at + p] if j < width else 0


@jit
def multiply(
    batch, m, n, k, a, a_at, a_row, a_col, packed, packed_at, c, c_at, c_row, columns, accumulate, scratch, ending, bias,
    bias_at, other,
):  # fmt: skip
    """C = A @ B, or with accumulate = 1 C += A @ B: (m, k) @ (k, n) -> (m, n), for each product of a batch.

    A[i, p] = a[a_at + i * a_row + p * a_col]; C[i, j] = c[c_at + i * c_row + j]; B's panels start at packed[packed_at].
    `batch` is how many products there are, and how far the next one's A, B and C lie behind. `ending` is what is done to a
    sum at last (``microkernel.py``): add bias[bias_at + j], add what lies in `other` where it lies in c, rectify.
    """
    count, a_step, packed_step, c_step = batch
    for product in range(count):
        a_first, packed_first, c_first = (
            a_at + product * a_step,
            packed_at + product * packed_step,
            c_at + product * c_step,
        )
        for p in range(0, max(k, 1), KC):  # (of k = 0 the tiles are zero: one round for their ends)
            depth = min(KC, k - p)
            add = accumulate > 0 or p > 0
            end = ending if p + KC >= k else ZERO
            rows = ROWS if depth * n * a.itemsize <= FEW_BYTES else GROUP
            for group in range(0, m, rows):
                bottom = min(group + rows, m)
                for first in range(0, n, columns):
                    b_here = packed_first + first * k + p * columns
                    width = min(columns, n - first)
                    # A tile is always stored whole: at the right edge into scratch memory; its columns are copied.
                    whole = width == columns
                    # What of B is asked for meanwhile: the next panel's block, by the tiles of this one. Where B is gone
                    # through for each tile, what the first one comes to soon.
                    tiles = (bottom - group + ROWS - 1) // ROWS
                    step, soon = (columns + tiles - 1) // tiles, b_here + columns * k
                    if rows == ROWS:
                        step, soon = columns if group == 0 else ZERO, b_here + AHEAD * columns
                    i = group
                    while i < bottom:
                        # What is left over goes to the low tile, unless that takes longer than a full tile with idle rows.
                        low = (bottom - i + FEW_ROWS - 1) // FEW_ROWS * FEW_ROWS < ROWS
                        height = min(bottom - i, FEW_ROWS if low else ROWS)
                        a_here = a_first + i * a_row + p * a_col
                        c_here = c_first + i * c_row + first
                        target = c if whole else scratch
                        at = c_here if whole else 0
                        row = c_row if whole else columns
                        tile_end = end if whole else ZERO
                        there = bias_at + first
                        if low:
                            low_tile(
                                a, a_here, a_row, a_col, packed, b_here, target, at, row, depth, height, add and whole,
                                tile_end, bias, there, other, soon, step,
                            )  # fmt: skip
                        else:
                            full_tile(
                                a, a_here, a_row, a_col, packed, b_here, target, at, row, depth, height, add and whole,
                                tile_end, bias, there, other, soon, step,
                            )  # fmt: skip
                        if not whole:
                            shape = height, width, columns
                            store_edge(scratch, shape, c, c_here, c_row, add, end, bias, there, other)
                        i += height
                        soon += depth * step


@jit_part
def store_edge(scratch, shape, c, at, c_row, add, ending, bias, bias_at, other):
    """The first `width` columns of the tile in scratch memory, ended, into c; added to what is there, if `add`."""
    height, width, columns = shape
    lanes = VECTOR_BYTES // c.itemsize
    for first in range(0, width, lanes):
        count = min(lanes, width - first)
        zero = number(0, load(scratch, first))
        lowest = zero if ending & RECTIFY else number(-np.inf, zero)
        shift = load_part(bias, bias_at + first, count) if ending & ADD_BIAS else zero
        for r in range(height):
            here = at + r * c_row + first
            y = load(scratch, r * columns + first)
            if add:
                y = y + load_part(c, here, count)
            y = y + shift
            if ending & ADD_OTHER:
                y = y + load_part(other, here, count)
            store_part(c, here, count, where(lowest > y, lowest, y))  # a NaN is not, and stays
