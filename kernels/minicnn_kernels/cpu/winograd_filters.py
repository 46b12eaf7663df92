"""Winograd's maps of many filters, G g G^T, and back, by vectors of filters: from the weights as they lie in memory.

The weights are [c_out][c_in][9 taps]; the maps (``winograd_tiles.py``) take the nine taps of as many filters as a vector has
lanes, tap by tap. So squares of numbers are transposed in registers on the way (``transpose_tile.py``), into a few
kilobytes of scratch memory. For a few thousand filters and more that is quicker than the matrix product in
``conv_winograd.py``, which needs them laid out in panels before; fewer are not worth compiling it.
"""

import numpy as np

from .. import workspace
from ..threads import parallel_for
from .conv_choice import PAIR_POINTS
from .gemm import n_panels
from .jit import jit, jit_part
from .layout import contiguous
from .memory import copy
from .microkernel import tile_columns
from .simd import lanes
from .transpose_tile import transpose_tile
from .winograd_tiles import filter_back_tile, filter_tile, pair_filter_back_tile, pair_filter_tile

POINTS = 36
PAD = 16  # numbers between two points' matrices: 4096 bytes apart they would fight for one place in the cache
GRAIN = 1 << 12  # filters that are worth a thread


def mapped(weight: np.ndarray, turned: bool) -> np.ndarray:
    """weight (c_out, c_in, 3, 3) -> U: 36 times the panels of a matrix (c_in, c_out), and PAD; if `turned`, of a matrix
    (c_out, c_in), from the filters turned round."""
    c_out, c_in = weight.shape[:2]
    rows, channels = (c_out, c_in) if turned else (c_in, c_out)
    dtype, columns, wide = weight.dtype, tile_columns(weight.dtype), lanes(weight.dtype)
    panels = n_panels(channels, dtype)
    memory = workspace.zeros if channels % columns else workspace.empty
    u = memory((POINTS * (panels * rows * columns + PAD),), dtype)
    flat, strips = contiguous(weight).reshape(-1), rows // wide

    def run(start: int, stop: int) -> None:
        _map_strips(start, stop, flat, turned, rows, channels, columns, wide, u, stage(dtype))

    parallel_for(run, panels * strips, grain=max(1, GRAIN // (wide * columns)))
    return u


def stage(dtype: np.dtype) -> np.ndarray:
    """Memory for filters on their way."""
    return workspace.zeros((20 * lanes(dtype) ** 2,), dtype)


@jit
def _map_strips(start, stop, weight, turned, rows, channels, columns, wide, u, stage):
    """A strip is as many rows of a panel of U as a vector has lanes."""
    strips = rows // wide
    for strip in range(start, stop):
        panel, row = strip // strips, strip % strips * wide
        first = panel * columns
        width, u_at = min(columns, channels - first), (panel * rows + row) * columns
        map_filters(weight, turned, row, wide, rows, first, width, channels, POINTS, columns, wide, u, u_at, stage)


@jit_part
def map_filters(weight, turned, row, depth, rows, first, width, channels, points, columns, wide, u, u_at, stage):
    """U[p, r, j] of the filters from row + r to first + j, for r < depth and j < width, which begins at u_at for p = 0.

    Filters are taken a vector at a time, [tap][filter] in `stage`; behind is what is copied there before.
    """
    point, behind = u.size // points, 10 * wide * wide
    for r in range(0, depth, wide):
        for j in range(0, width, wide):
            if not turned:  # a vector of filters is one of output channels: a square is wide of them by wide numbers
                for q in range(0, 9 * wide, wide):
                    at = ((first + j) * rows + row + r) * 9 + q
                    transpose_tile(weight, at, 9 * rows, stage, q * wide, wide)
            for i in range(wide):
                at, down, across = i * 9 * wide, 3 * wide, wide
                if turned:  # one of input channels, which lie side by side, nine numbers each; and read from its end
                    copy(weight, ((row + r + i) * channels + first + j) * 9, stage, behind, 9 * wide)
                    for top in range(0, 9, wide):
                        transpose_tile(stage, behind + top, 9, stage, top * wide, wide)
                    at, down, across = 8 * wide, -3 * wide, -wide
                there = u_at + (r + i) * columns + j
                if points == PAIR_POINTS:
                    pair_filter_tile(stage, at, down, across, u, there, 3 * point, point)
                else:
                    filter_tile(stage, at, down, across, u, there, 6 * point, point)


@jit_part
def map_filters_back(u, height, width, points, columns, wide, weight, row, rows, first, stage):
    """The transpose: G^T u G of u[p, r, j], r < height and j < width, into the weights from row + r to first + j."""
    point = u.size // points
    for r in range(0, height, wide):
        for j in range(0, width, wide):
            for i in range(wide):
                u_at, at = (r + i) * columns + j, i * 9 * wide
                if points == PAIR_POINTS:
                    pair_filter_back_tile(u, u_at, 3 * point, point, stage, at, 3 * wide, wide)
                else:
                    filter_back_tile(u, u_at, 6 * point, point, stage, at, 3 * wide, wide)
            for q in range(0, 9 * wide, wide):
                transpose_tile(stage, q * wide, wide, weight, ((first + j) * rows + row + r) * 9 + q, 9 * rows)
