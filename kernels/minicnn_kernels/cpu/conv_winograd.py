"""Winograd convolution F(4x4, 3x3): 3x3 filters, stride 1, with a quarter of the multiplications.

The output is cut into tiles of 4x4 pixels; each needs 6x6 pixels of the input (neighbours overlap by two). Both the
6x6 tile d and the 3x3 filter g are mapped to 6x6 *points*, where the convolution is a product point by point, summed
over the channels; the result is mapped back (Lavin and Gray 2016, arXiv 1509.09308, eq. 8; the matrices are in
``winograd_tiles.py``):

    U = G g G^T        V = B^T d B        M = sum_c U * V        Y = A^T M A

Summed over channels, each of the 36 points is a matrix product of its own (eq. 9 to 12):

    M[p] (tiles, c_out) = V[p] (tiles, c_in) @ U[p] (c_in, c_out)        p = 0 .. 35

**What it costs.** 36 multiplications for 16 outputs where the direct way takes 9 x 16 = 144: four times fewer. The maps
add some 140 + 100 additions a tile and channel, against 2 x 36 x c_out operations in the product: a tenth with 64
channels, nothing to speak of with 256, the better part with 8. They also move bytes: V and M are 36/16 = 2.25 times as
large as the images. So they are made for a few dozen tiles at a time, which stay in the second-level cache between the
map, the product and the map back; main memory sees the images once. U, 4 times the filters, is made once a call: written
out, G g G^T is a matrix of 36 x 9 times the nine taps of each filter, so it is a matrix product like any other.
Where 4 does not divide the output's sides, the tiles at the edge are partly wasted: 14x14 takes 16 tiles of 12.25.

**Gradients.** For the input: the same with the filters turned round and their channels exchanged. For the weights,
each map above is linear, so that derivatives go back through its transpose:

    dM = A dY A^T      dU[p] (c_in, c_out) = V[p]^T (c_in, tiles) @ dM[p] (tiles, c_out)      dg = G^T dU G

**Rounding.** B^T and A^T have entries up to 8 and sums that cancel; a result is about 10 times less exact than the
direct sum, with an error of some 30 units in the last place of sum |x| |w|. The test states the bound.
A NaN or an infinity in the input reaches all 16 outputs of the tiles that see it, where the direct sum reaches only its
own neighbours.
A thread works through its tiles block by block (``_run_blocks``): map, product, map back.
Read next: ``winograd_tiles.py`` for the maps, ``gemm.py`` for the product.
"""

import numpy as np

from .. import workspace
from ..geometry import conv_output_size
from ..threads import parallel_chunks, parallel_for, split
from .conv_shared import GRAIN_FLOPS, Sizes
from .gemm import ONE_PRODUCT, ROWS, multiply, pack_rows, tile_scratch
from .jit import ONE, ZERO, jit, jit_inline
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical, transposed
from .matmul import pack_panels
from .memory import clear, copy
from .microkernel import tile_columns
from .simd import lanes
from .winograd_tiles import G, grad_tile, input_tile, output_tile

POINTS = 36
POINTS_64 = np.int64(POINTS)  # for tuples that compiled functions pass on: a plain 36 would be a type of its own there
MAP_FILTER = np.kron(G, G)  # (36, 9): G g G^T for the filter g written as one column
BIAS_POINT = 7  # (1, 1): column 1 of A^T is all ones, so what is added to this point is added to all 16 outputs
BLOCK_BYTES = 512 * 1024  # of V and M a thread: with one point's filters they fit into a second-level cache
FILTER_BLOCK = 1 << 6  # rows of filters mapped at a time; with 36 points of 32 filters they fit there too
PAD = 16  # numbers between two points' matrices: 4096 bytes apart they would fight for one place in the cache


def forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_forward``; stride, dilation and groups are 1 and filters 3x3."""
    c_out, c_in, _, _ = weight.shape
    taps = pack_panels(contiguous(weight).reshape(c_out, 9 * c_in).T)  # row (i, t), column o: weight[o, i, t]
    h_out, w_out = (conv_output_size(size, 3, 1, p, 1) for size, p in zip(x.shape[2:], padding, strict=True))
    out = empty_channels_last((x.shape[0], c_out, h_out, w_out), x.dtype)
    _convolve(to_channels_last(x), _map_filters(taps, MAP_FILTER), bias, padding, out)
    return to_logical(out)


def backward_input(
    grad_out: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_backward_input``."""
    c_out, c_in, _, _ = weight.shape
    # Row (o, t), column i: weight[o, i, 8 - t]; here still at t, and the map is turned round instead.
    taps = pack_panels(transposed(weight.reshape(c_out, c_in, 9)).reshape(9 * c_out, c_in))
    grad_x = empty_channels_last(input_shape, grad_out.dtype)
    filters = _map_filters(taps, MAP_FILTER[:, ::-1])
    _convolve(to_channels_last(grad_out), filters, None, (2 - padding[0], 2 - padding[1]), grad_x)
    return to_logical(grad_x)


def backward_weight(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_backward_weight``."""
    c_out, c_in, _, _ = weight_shape
    dtype, wide, columns = x.dtype, lanes(x.dtype), tile_columns(x.dtype)
    grad, x = to_channels_last(grad_out), to_channels_last(x)
    _, h_out, w_out, _ = grad.shape
    tiles = x.shape[0] * -(-h_out // 4) * -(-w_out // 4)
    c_v, c_sum = _round_up(c_in, wide), _round_up(c_out, wide)
    v_row = c_v + (PAD if c_v * dtype.itemsize % 1024 == 0 else 0)  # V is read down its columns here: see PAD
    chunks = split(tiles, grain=max(ROWS, GRAIN_FLOPS // (2 * POINTS * c_in * c_out)))
    if not chunks:
        return np.zeros(weight_shape, dtype)
    sums = workspace.empty((len(chunks), POINTS, c_in * c_sum + PAD), dtype)
    if c_sum > c_out:  # columns that the products do not write, but the map back reads with the others
        sums[:, :, : c_in * c_sum].reshape(len(chunks), POINTS, c_in, c_sum)[..., c_out:] = 0
    x_flat, grad_flat, window = x.reshape(-1), grad.reshape(-1), (*x.shape[1:], h_out, w_out, *padding)
    bias_or_none = np.empty(0, dtype)
    # Each block reads and writes all the sums, c_in x c_out: it should be about as large itself.
    wanted = max(_block_tiles(c_v + c_sum, dtype), min(c_in, c_out) // 2)

    def run(index: int, start: int, stop: int) -> None:
        block = _even_blocks(stop - start, wanted)
        sizes = (c_out, wide, columns, block, v_row)
        arrays = _scratch(block, v_row, _round_up(c_out, columns), dtype)
        _run_blocks(start, stop, True, x_flat, grad_flat, bias_or_none, window, sizes, sums[index].reshape(-1), *arrays)

    parallel_chunks(run, chunks)
    taps = _map_back(sums, c_in * c_sum)
    # (9, c_in, c_sum) -> (c_sum, 9, c_in) -> (c_out, c_in, 9)
    by_filter = transposed(taps.reshape(1, 9 * c_in, c_sum))[0, :c_out]
    return transposed(by_filter.reshape(c_out, 9, c_in)).reshape(weight_shape)


def _convolve(x: np.ndarray, filters: np.ndarray, bias: np.ndarray | None, padding: Sizes, out: np.ndarray) -> None:
    """x (n, h, w, c_in), mapped filters -> out (n, h_out, w_out, c_out)."""
    n, h_out, w_out, c_out = out.shape
    dtype, wide, columns = out.dtype, lanes(out.dtype), tile_columns(out.dtype)
    c_in = x.shape[3]
    tiles = n * -(-h_out // 4) * -(-w_out // 4)
    c_v, c_m = _round_up(c_in, wide), _round_up(c_out, columns)
    wanted = _block_tiles(c_v + c_m, dtype)
    x_flat, out_flat, window = x.reshape(-1), out.reshape(-1), (*x.shape[1:], h_out, w_out, *padding)
    bias_or_none = np.empty(0, dtype) if bias is None else np.ascontiguousarray(bias)

    def run(start: int, stop: int) -> None:
        start, stop = start * ROWS, min(stop * ROWS, tiles)
        block = _round_up(_even_blocks(stop - start, wanted), ROWS)
        sizes = (c_out, wide, columns, block, c_v)
        arrays = _scratch(block, c_v, c_m, dtype)
        _run_blocks(start, stop, False, x_flat, filters, bias_or_none, window, sizes, out_flat, *arrays)

    parallel_for(run, -(-tiles // ROWS), grain=max(1, GRAIN_FLOPS // (2 * POINTS * ROWS * c_in * c_out)))


def _scratch(block: int, c_v: int, c_m: int, dtype: np.dtype) -> tuple[np.ndarray, ...]:
    """What a thread needs to itself: V and M of a block, a tile at the image's edge, a register tile."""
    v, m = (workspace.empty((POINTS * (block * c + PAD),), dtype) for c in (c_v, c_m))
    return v, m, workspace.empty((POINTS * max(c_v, c_m),), dtype), tile_scratch(dtype)


def _map_filters(taps: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Rows of filters as panels, [row of a panel][9 taps][columns] -> U: 36 times [row of a panel][columns] and PAD."""
    columns = tile_columns(taps.dtype)
    rows = taps.size // (9 * columns)
    filters = workspace.empty((POINTS * (rows * columns + PAD),), taps.dtype)
    point, flat = filters.size // POINTS, matrix.astype(taps.dtype).reshape(-1)

    def run(start: int, stop: int) -> None:
        scratch = tile_scratch(taps.dtype)
        for first in range(start, stop, FILTER_BLOCK):
            shape = (POINTS, min(FILTER_BLOCK, stop - first) * columns, 9)
            packed_at, at = 9 * columns * first, columns * first
            multiply(ONE_PRODUCT, *shape, flat, 0, 9, 1, taps, packed_at, filters, at, point, columns, 0, scratch)

    parallel_for(run, rows, grain=1 << 5)
    return filters


def _map_back(sums: np.ndarray, n: int) -> np.ndarray:
    """36 points of n filters and PAD, for each chunk -> the gradient of their 9 taps: G^T (sum over the chunks) G."""
    n_chunks, _, point = sums.shape
    dtype, columns = sums.dtype, tile_columns(sums.dtype)
    taps = workspace.empty((9, n), dtype)
    matrix = MAP_FILTER.T.astype(dtype).reshape(-1)  # (9, 36)
    flat, taps_flat = sums.reshape(-1), taps.reshape(-1)

    def run(start: int, stop: int) -> None:
        packed, scratch = workspace.empty((POINTS * FILTER_BLOCK * columns,), dtype), tile_scratch(dtype)
        for panel in range(start, stop, FILTER_BLOCK):
            panels, first = min(FILTER_BLOCK, stop - panel), panel * columns
            width = min(panels * columns, n - first)
            for chunk in range(n_chunks):
                pack_rows(0, panels, flat, chunk * POINTS * point + first, point, POINTS, width, columns, packed)
                shape, add = (9, width, POINTS), int(chunk > 0)
                multiply(
                    ONE_PRODUCT, *shape, matrix, 0, POINTS, 1, packed, 0, taps_flat, first, n, columns, add, scratch
                )

    parallel_for(run, -(-n // columns), grain=1 << 4)
    return taps


@jit_inline
def _round_up(count, step):
    return (count + step - 1) // step * step


def _block_tiles(channels: int, dtype: np.dtype) -> int:
    """Tiles of a block, a multiple of the register tile's rows."""
    return max(1, BLOCK_BYTES // (POINTS * channels * dtype.itemsize) // ROWS) * ROWS


def _even_blocks(tiles: int, wanted: int) -> int:
    """The size of blocks of at most `wanted` tiles, all about equal."""
    n_blocks = -(-tiles // wanted)
    return -(-tiles // n_blocks)


@jit
def _run_blocks(start, stop, summing, x, other, bias, window, sizes, out, v, m, edge, scratch):
    """Tiles start .. stop, a block at a time; `other` is U and `out` the pixels, or if `summing` dY and the sums dU."""
    c = window[2]
    c_out, wide, columns, block, v_row = sizes
    c_v, c_m, c_sum = _round_up(c, wide), _round_up(c_out, columns), _round_up(c_out, wide)
    v_point, m_point = v.size // POINTS, m.size // POINTS
    for first in range(start, stop, block):
        n_tiles = min(block, stop - first)
        _map_inputs(first, n_tiles, x, window, c_v, v_row, wide, v, edge)
        # (One call of the product for both: each would be compiled anew.)
        if summing:  # sums[p] += V[p]^T @ dM[p]
            _map_gradients(first, n_tiles, other, window, c_out, c_sum, wide, columns, m, edge)
            height, n, depth, v_down, v_across, target_row = c, c_out, n_tiles, ONE, v_row, c_sum
            right, right_point, target, target_point = m, m_point, out, out.size // POINTS
        else:  # M[p] = V[p] @ U[p]
            height, n, depth, v_down, v_across, target_row = n_tiles, c_m, c, v_row, ONE, c_m
            right, right_point, target, target_point = other, other.size // POINTS, m, m_point
        batch, add = (POINTS_64, v_point, right_point, target_point), ONE if summing and first > start else ZERO
        left = (v, ZERO, v_down, v_across)
        multiply(batch, height, n, depth, *left, right, ZERO, target, ZERO, target_row, columns, add, scratch)
        if not summing:
            _map_outputs(first, n_tiles, m, bias, window, c_out, c_m, wide, out, edge)


@jit_inline
def _place(number, window):
    """Image, row and column of the output where the tile with this number begins."""
    down, across = (window[3] + 3) // 4, (window[4] + 3) // 4
    image, rest = number // (down * across), number % (down * across)
    return image, rest // across * 4, rest % across * 4


@jit_inline
def _find_tile(x, h, w, c, image, top, left, side, c_wide, edge):
    """Where the side x side pixels from (top, left) on can be read in whole vectors: an array, place, row and pixel strides.

    They are copied to `edge` where they reach beyond the image (zeros), or the channels do not fill whole vectors.
    """
    source, at, row, pixel = x, ((image * h + top) * w + left) * c, w * c, c
    if c != c_wide or top < 0 or left < 0 or top + side > h or left + side > w:
        clear(edge, ZERO, side * side * c_wide)
        first, count = max(0, -left), min(side, w - left) - max(0, -left)
        runs, length = (1, count * c) if c == c_wide else (count, c)  # without gaps a line is one run
        for i in range(max(0, -top), min(side, h - top)):
            for j in range(first, first + runs):
                copy(x, at + (i * w + j) * c, edge, (i * side + j) * c_wide, length)
        source, at, row, pixel = edge, ZERO, side * c_wide, c_wide
    return source, at, row, pixel


@jit_inline
def _map_inputs(first, n_tiles, x, window, c_wide, v_row, wide, v, edge):
    """V[p, t] = point p of B^T d B for the tile d with number first + t."""
    h, w, c, _, _, ph, pw = window
    point = v.size // POINTS
    for t in range(n_tiles):
        image, top, left = _place(first + t, window)
        source, at, row, pixel = _find_tile(x, h, w, c, image, top - ph, left - pw, 6, c_wide, edge)
        for j in range(0, c_wide, wide):
            input_tile(source, at + j, row, pixel, v, t * v_row + j, 6 * point, point)


@jit_inline
def _map_outputs(first, n_tiles, m, bias, window, c_out, c_m, wide, out, edge):
    """The pixels of the tiles first .. first + n_tiles: A^T M A from M[p, t]."""
    _, _, _, h_out, w_out, _, _ = window
    point = m.size // POINTS
    for t in range(n_tiles):
        image, top, left = _place(first + t, window)
        out_at = ((image * h_out + top) * w_out + left) * c_out
        height, width = min(4, h_out - top), min(4, w_out - left)
        for j in range(bias.size):
            m[BIAS_POINT * point + t * c_m + j] += bias[j]
        whole = height == 4 and width == 4 and c_out % wide == 0
        target, at = (out, out_at) if whole else (edge, ZERO)
        dense = c_out % wide == 0
        row, pixel = (w_out * c_out, c_out) if whole else (4 * c_m, c_out if dense else c_m)
        for j in range(0, c_out, wide):
            output_tile(m, t * c_m + j, 6 * point, point, target, at + j, row, pixel)
        if not whole:
            runs, length = (1, width * c_out) if dense else (width, c_out)
            for i in range(height):
                for j in range(runs):
                    copy(edge, i * row + j * pixel, out, out_at + (i * w_out + j) * c_out, length)


@jit_inline
def _map_gradients(first, n_tiles, grad, window, c_out, c_wide, wide, columns, m, edge):
    """dM[p, t] = point p of A dY A^T for the tile dY with number first + t, written as the panels of a matrix product."""
    _, _, _, h_out, w_out, _, _ = window
    point = m.size // POINTS
    for t in range(n_tiles):
        image, top, left = _place(first + t, window)
        source, at, row, pixel = _find_tile(grad, h_out, w_out, c_out, image, top, left, 4, c_wide, edge)
        for j in range(0, c_wide, wide):
            m_at = (j // columns * n_tiles + t) * columns + j % columns
            grad_tile(source, at + j, row, pixel, m, m_at, 6 * point, point)
