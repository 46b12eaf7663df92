"""Products of many rows with a fixed matrix: a transformer's linear layers. Beside W, x is packed too.

    out = f(x @ W + bias + other)       x (m, k), W (k, n), out and other (m, n)

``gemm.multiply`` reads x where it lies. In a tall product that costs a quarter of the time: a tile's 14 rows are in as many
pages of memory, often at distances at which they push each other out of the first-level cache, and their addresses do not
fit in registers. So some tiles' rows are copied first into the order in which they are read:

    for each group of tiles of rows          at most 8 of 14 rows; a thread that is done takes the next
        for each block of steps of k         the group's part of x is packed: 450 KB, in the second-level cache
            for each panel of W              its block too: 128 KB, read from memory once a group
                for each tile of the group
            behind the last block            the panel's columns are finished (activation) in the first-level cache

A packed number is used n times, so copying is a hundredth of the work where n is some hundreds. Each number of the result
is added up in the same order however the tiles are shared out.
"""

import numpy as np

from ..launch import Launch
from ..threads import get_num_threads
from .finish import finish_rows
from .gemm import FEW_ROWS, ROWS
from .handing_out import handed_out, take
from .jit import ZERO, jit_allocating, jit_part
from .microkernel import SIMD, low_packed_tile, packed_tile
from .scratch import aligned
from .simd import VECTOR_BYTES
from .transpose_tile import transpose_tile

TILES = 8  # of a group
DEPTH = 1024 if SIMD.name == "avx512" else 512  # at most so many steps of k in a block
GRAIN_FLOPS = 1_000_000
FEWEST_ROWS, FEWEST_COLUMNS, FEWEST_STEPS = TILES * ROWS, 256, 64


def is_tall(m: int, n: int, k: int, columns: int) -> bool:
    """Whether packing x pays, and all panels of W are whole."""
    return m >= FEWEST_ROWS and n >= FEWEST_COLUMNS and k >= FEWEST_STEPS and n % columns == 0


def tall_launches(
    x: np.ndarray, packed: np.ndarray, bias: np.ndarray, other: np.ndarray, sizes: tuple, how: tuple, out: np.ndarray
) -> list[Launch]:
    """All flat; sizes: m, n, k, columns of a panel, and what is done to the sums (``microkernel.py``).

    The groups of rows are handed out to the threads; or where tiles are few beside the panels of W, these are shared out.
    """
    m, n, k, columns, _ = sizes
    tiles, panels = -(-m // ROWS), n // columns
    by_rows = tiles >= min(TILES * get_num_threads(), 4 * panels)
    starts = _group_starts(tiles, get_num_threads() if by_rows else 1)
    arguments = starts, x, packed, bias, other, sizes, by_rows, how, out
    if by_rows:
        return handed_out(_product, starts.size - 1, *arguments)
    return handed_out(_product, panels, *arguments, grain=max(1, GRAIN_FLOPS // (2 * m * columns * k)))


def _group_starts(tiles: int, threads: int) -> np.ndarray:
    """Where the groups begin, and the last one ends: alike for one thread; for several smaller and smaller, so that all are
    done at about the same time."""
    if threads == 1:
        groups = -(-tiles // TILES)
        return np.arange(groups + 1) * tiles // groups
    starts = [0]
    while starts[-1] < tiles:
        rest = tiles - starts[-1]
        starts.append(starts[-1] + min(rest, TILES, max(2, -(-rest // (2 * threads)))))
    return np.array(starts)


@jit_allocating
def _product(start, stop, counter, starts, x, packed, bias, other, sizes, by_rows, how, out):
    """Groups of tiles of all columns, as long as there are any; or panels start .. stop of all rows."""
    m, n, k, columns, ending = sizes
    left, right = (ZERO, n) if by_rows else (start * columns, stop * columns)
    blocks = (k + DEPTH - 1) // DEPTH
    longest = (k + blocks - 1) // blocks
    rows = aligned(TILES * ROWS * longest + VECTOR_BYTES // x.itemsize, x)
    group = take(counter) if by_rows else ZERO
    while group < starts.size - 1:
        begin, end = starts[group], starts[group + 1]
        top, bottom = begin * ROWS, min(end * ROWS, m)
        for p in range(0, k, longest):
            depth = min(longest, k - p)
            is_last = p + depth == k
            pack_tiles(x, top * k + p, k, bottom - top, m - top, depth, rows)
            step = (columns + end - begin - 1) // (end - begin)  # of W's next panel, for each step of k: see gemm.py
            for column in range(left, right, columns):
                w_at = column * k + p * columns
                soon = w_at + columns * k
                for tile in range(begin, end):
                    i, here = tile * ROWS, (tile - begin) * depth * ROWS
                    height, at = min(ROWS, m - i), i * n + column
                    if height <= FEW_ROWS:
                        low_packed_tile(
                            rows, here, packed, w_at, out, at, n, depth, height, p > 0, ending if is_last else ZERO, bias,
                            column, other, soon, step,
                        )  # fmt: skip
                    else:
                        packed_tile(
                            rows, here, packed, w_at, out, at, n, depth, height, p > 0, ending if is_last else ZERO, bias,
                            column, other, soon, step,
                        )  # fmt: skip
                    soon += depth * step
                if is_last and how[0] > 0:
                    finish_rows(out, top * n + column, n, bottom - top, columns, how)
        group = take(counter) if by_rows else group + 1


@jit_part
def pack_tiles(x, at, x_row, n_rows, n_there, depth, out):
    """Tiles of A[i, p] = x[at + i * x_row + p], n_rows rows, n_there in memory -> [tile][p][ROWS]; some numbers behind are
    overwritten. Squares of numbers are transposed in registers, in order: where a vector is longer than a tile is high, its
    rest is overwritten by the next."""
    lanes = VECTOR_BYTES // x.itemsize
    for top in range(0, n_rows, ROWS):
        to = top * depth
        if top + max(ROWS, lanes) <= n_there and depth >= lanes:
            for block in range(0, depth, lanes):
                p = min(block, depth - lanes)
                for row in range(0, ROWS, lanes):
                    i = max(0, min(row, ROWS - lanes))
                    transpose_tile(x, at + (top + i) * x_row + p, x_row, out, to + p * ROWS + i, ROWS)
        else:
            for i in range(ROWS):
                row = at + min(top + i, n_there - 1) * x_row  # of rows that are not there nobody looks at the results
                for p in range(depth):
                    out[to + p * ROWS + i] = x[row + p]
