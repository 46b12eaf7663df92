"""Winograd convolution F(4x4, 3x3): filters of 3x3, or kd x 3 x 3, stride 1, with a quarter of the multiplications.

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

**Volumes.** The sum over a filter's taps in depth is one more sum of products at each point: M[p] at depth z is the sum over
i of V[p] at depth z + i times U[p, i] (so only the two inner axes are transformed; their errors grow no more). V holds the
tiles that lie behind each other side by side: kd tiles from one depth on are then one row of kd * c_in numbers, with the
next depth's beginning a tile later. So it is one product with overlapping rows, and nothing is copied:

    M[p] (depths, c_out) = V[p] (depths, kd * c_in) @ U[p] (kd * c_in, c_out)

A stack is a run of output tiles that lie behind each other, and kd - 1 more of the input's; a block is several stacks. The
rows that begin in one stack and end in the next are nobody's, and are skipped.
Where c_out fills one vector only, half of a register tile (two vectors wide) would be idle: there a row makes two depths,
from kd + 1 tiles, with the filters of the second moved down by one tile (`abreast` = 2).

**Rounding.** B^T and A^T have entries up to 8 and sums that cancel; a result is about 10 times less exact than the
direct sum, with an error of some 30 units in the last place of sum |x| |w|. The test states the bound.
A NaN or an infinity in the input reaches all 16 outputs of the tiles that see it, where the direct sum reaches only its
own neighbours.
A thread works through its tiles block by block (``_run_blocks``): map, product, map back.
Read next: ``winograd_tiles.py`` for the maps, ``gemm.py`` for the product.
"""

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, parallel_for, split
from . import winograd_filters
from .conv_choice import many_filters, round_up
from .conv_shared import GRAIN_FLOPS, Ending, Sizes, Window, ending, opposite_padding, window_of, with_filters
from .gemm import ONE_PRODUCT, ROWS, multiply, pack_rows, tile_scratch
from .jit import ONE, ZERO, jit, jit_inline, jit_part
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical, transposed
from .matmul import pack_panels
from .memory import clear, copy
from .microkernel import ADD_BIAS, ADD_OTHER, RECTIFY, tile_columns
from .simd import lanes
from .winograd_filters import PAD, POINTS
from .winograd_tiles import G, grad_tile, input_tile, output_tile

POINTS_64 = np.int64(POINTS)  # for tuples that compiled functions pass on: a plain 36 would be a type of its own there
MAP_FILTER = np.kron(G, G)  # (36, 9): G g G^T for the filter g written as one column
BIAS_POINT = 7  # (1, 1): column 1 of A^T is all ones, so what is added to this point is added to all 16 outputs
BLOCK_BYTES = 512 * 1024  # of V and M a thread: with one point's filters they fit into a second-level cache
FILTER_BLOCK = 1 << 6  # rows of filters mapped at a time; with 36 points of 32 filters they fit there too
MAX_RUN = 16  # tiles of the output in a stack: kd - 1 more of the input are mapped for it


def forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_forward``; stride, dilation and groups are 1, and filters 3x3, or kd x 3 x 3."""
    arguments = weight.shape, stride, padding, dilation, groups
    d_out = window_of(x.shape, weight.shape[2:], stride, padding, dilation)[4]
    return with_filters(convolve, x, prepare(weight, groups, d_out), bias, *arguments)


def prepare(weight: np.ndarray, groups: int, d_out: int = 1) -> np.ndarray:
    """weight (c_out, c_in, *kernel) -> U, as ``convolve`` takes it for outputs of this depth."""
    c_out, c_in, *kernel = weight.shape
    if many_filters(weight.shape):
        return winograd_filters.mapped(weight, turned=False)
    if len(kernel) == 2:  # row (i, t), column o: weight[o, i, t]
        taps = pack_panels(contiguous(weight).reshape(c_out, 9 * c_in).T)
    else:
        stack = contiguous(weight).reshape(c_out, c_in, kernel[0], 9)
        taps = _packed_stack(stack.transpose(0, 2, 1, 3), d_out)
    return _map_filters(taps, MAP_FILTER)


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
    c_out, c_in, *kernel = weight.shape
    grad_x = empty_channels_last(input_shape, grad_out.dtype)
    if many_filters(weight.shape):
        filters = winograd_filters.mapped(weight, turned=True)
    else:  # row (o, t), column i: weight[o, i, 8 - t]; here still at t, and the map is turned round instead
        if len(kernel) == 2:
            taps = pack_panels(transposed(weight.reshape(c_out, c_in, 9)).reshape(9 * c_out, c_in))
        else:
            stack = weight.reshape(c_out, c_in, kernel[0], 9)[:, :, ::-1]
            taps = _packed_stack(stack.transpose(1, 2, 0, 3), input_shape[2])
        filters = _map_filters(taps, MAP_FILTER[:, ::-1])
    opposite = opposite_padding(tuple(kernel), padding, dilation)
    window = window_of(grad_out.shape, tuple(kernel), stride, opposite, dilation)
    convolve(to_channels_last(grad_out), filters, window, groups, grad_x, ending(grad_x))
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
    c_out, c_in, *kernel = weight_shape
    dtype, wide, columns = x.dtype, lanes(x.dtype), tile_columns(x.dtype)
    c_v, c_sum = round_up(c_in, wide), round_up(c_out, wide)
    v_row = c_v + (PAD if c_v * dtype.itemsize % 1024 == 0 else 0)  # V is read down its columns here: see PAD
    # Each block reads and writes all the sums, c_in x c_out: it should be about as large itself; and its tiles are the depth
    # of the product: for images twice as many as forward are 2 to 8 % faster.
    larger = 2 if len(kernel) == 2 else 1
    wanted = max(larger * _block_tiles(c_v + c_sum, dtype), min(c_in, c_out) // 2)
    window = window_of(x.shape, tuple(kernel), stride, padding, dilation)
    stacks, tiles, abreast = _stacks(x.shape[0], window, c_out, wanted, dtype)
    kd = window[7]
    rows = c_in if kd == 1 else (kd + abreast - 1) * v_row
    c_sum = abreast * c_sum
    chunks = split(stacks, grain=max(ROWS // tiles, GRAIN_FLOPS // (2 * POINTS * tiles * rows * c_out), 1))
    if not chunks:
        return np.zeros(weight_shape, dtype)
    sums = workspace.empty((len(chunks), POINTS, rows * c_sum + PAD), dtype)
    if c_sum > c_out:  # columns that the products do not write, but the map back reads with the others
        sums[:, :, : rows * c_sum].reshape(len(chunks), POINTS, rows, c_sum)[..., c_out:] = 0
    x_flat, grad_flat = to_channels_last(x).reshape(-1), to_channels_last(grad_out).reshape(-1)
    bias_or_none = np.empty(0, dtype)

    # Made here, not where they are used: else how many there are at a time, and so on the shelf, would be up to timing.
    blocks = [_even_blocks(stop - start, max(1, wanted // tiles)) * tiles for start, stop in chunks]
    scratch = [_scratch(block, v_row, round_up(c_out, columns), dtype) for block in blocks]

    def run(index: int, start: int, stop: int) -> None:
        sizes = (c_out, wide, columns, blocks[index], v_row, rows, tiles, abreast)
        span, into = (start * tiles, stop * tiles), sums[index].reshape(-1)
        _run_blocks(*span, True, x_flat, grad_flat, bias_or_none, window, sizes, into, *scratch[index], 0, into)

    parallel_chunks(run, chunks)
    taps = _map_back(sums, rows * c_sum)
    if kd == 1:
        # (9, c_in, c_sum) -> (c_sum, 9, c_in) -> (c_out, c_in, 9)
        by_filter = transposed(taps.reshape(1, 9 * c_in, c_sum))[0, :c_out]
        return workspace.reshaped(transposed(by_filter.reshape(c_out, 9, c_in)), weight_shape)
    stack = taps.reshape(9, -1, v_row, abreast, c_sum // abreast)[:, :, :c_in, :, :c_out]
    by_depth = np.add.reduce([stack[:, i : i + kd, :, i] for i in range(abreast)])  # (9, kd, c_in, c_out)
    return workspace.reshaped(
        workspace.copied(by_depth.transpose(3, 2, 1, 0), "C"), weight_shape
    )  # -> (c_out, c_in, kd, 9)


def _packed_stack(filters: np.ndarray, d_out: int) -> np.ndarray:
    """(c_out, kd, c_in, 9) -> the panels of rows (tap in depth, i, t), with zeros for c_in up to a whole vector."""
    c_out, kd, c_in, _ = filters.shape
    wide = lanes(filters.dtype)
    c_row = c_in if kd == 1 else round_up(c_in, wide)
    abreast = _abreast(d_out, kd, c_out, filters.dtype)
    rows = workspace.zeros((abreast, wide if abreast > 1 else c_out, kd + abreast - 1, c_row, 9), filters.dtype)
    for i in range(abreast):
        rows[i, :c_out, i : i + kd, :c_in] = filters
    return pack_panels(rows.reshape(abreast * rows.shape[1], -1).T)


def _abreast(d_out: int, kd: int, c_out: int, dtype: np.dtype) -> int:
    """How many depths, 1 or 2, a row of the product holds."""
    return 2 if c_out <= lanes(dtype) and kd > 1 and kd % 2 == 1 and d_out > 1 else 1


def _stacks(n: int, window: Window, c_out: int, wanted: int, dtype: np.dtype) -> tuple[int, int, int]:
    """How many stacks of tiles the output is cut into, how many tiles of the input a stack has, and depths a row.

    A stack has as many tiles of the output as make even stacks of at most MAX_RUN, or of `wanted` tiles of the input.
    """
    d_out, h_out, w_out, kd = window[4:8]
    abreast = _abreast(d_out, kd, c_out, dtype)
    run = _even_blocks(d_out, max(4, min(MAX_RUN, wanted - kd + 1))) if d_out > 1 else 1
    run = round_up(run, abreast)
    return n * -(-d_out // run) * -(-h_out // 4) * -(-w_out // 4), run + kd - 1, abreast


def convolve(x: np.ndarray, filters: np.ndarray, window: Window, groups: int, out: np.ndarray, end: Ending) -> None:
    """x (n, *spatial, c_in), mapped filters -> out (n, *spatial, c_out). The bias is added to a point, not at the end."""
    n, c_in, c_out = out.shape[0], x.shape[-1], out.shape[-1]
    dtype, wide, columns = out.dtype, lanes(out.dtype), tile_columns(out.dtype)
    c_v, c_m = round_up(c_in, wide), round_up(c_out, columns)
    kd = window[7]
    # Each block reads all the filters: of many channels they weigh more than a small block's V and M, which then had better
    # not fit into the second-level cache (256 channels, 14x14: 14 tiles to 70 are 13 to 17 % faster).
    wanted = max(_block_tiles(c_v + c_m, dtype), round_up(min(c_in, c_out) // 4, ROWS) if kd == 1 else 0)
    stacks, tiles, abreast = _stacks(n, window, c_out, wanted, dtype)
    rows, unit = c_in if kd == 1 else (kd + abreast - 1) * c_v, max(1, ROWS // tiles)
    x_flat, out_flat = x.reshape(-1), out.reshape(-1)
    bias_or_none = end[1] if end[0] & ADD_BIAS else np.empty(0, dtype)

    units = split(-(-stacks // unit), grain=max(1, GRAIN_FLOPS // (2 * POINTS * unit * tiles * rows * c_out)))
    chunks = [(start * unit, min(stop * unit, stacks)) for start, stop in units]
    blocks = [round_up(_even_blocks(stop - start, max(1, wanted // tiles)), unit) * tiles for start, stop in chunks]
    scratch = [_scratch(block, c_v, c_m, dtype) for block in blocks]  # here, as in backward_weight

    def run(index: int, start: int, stop: int) -> None:
        sizes, span = (c_out, wide, columns, blocks[index], c_v, rows, tiles, abreast), (start * tiles, stop * tiles)
        arrays = x_flat, filters, bias_or_none
        _run_blocks(*span, False, *arrays, window, sizes, out_flat, *scratch[index], end[0], end[2])

    parallel_chunks(run, chunks)


def _scratch(block: int, c_v: int, c_m: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
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
            multiply(
                *(ONE_PRODUCT, *shape, flat, 0, 9, 1, taps, packed_at, filters, at, point, columns, 0, scratch),
                *(0, filters, 0, filters),
            )

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
                    *(ONE_PRODUCT, *shape, matrix, 0, POINTS, 1, packed, 0, taps_flat, first, n, columns, add, scratch),
                    *(0, taps_flat, 0, taps_flat),
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
def _run_blocks(start, stop, summing, x, other, bias, window, sizes, out, v, m, edge, scratch, ending, added):
    """Tiles start .. stop, a block at a time; `other` is U and `out` the pixels, or if `summing` dY and the sums dU.

    Whole stacks; the last kd - 1 tiles of the last stack are none of the output's.
    """
    c, kd = window[3], window[7]
    c_out, wide, columns, block, v_row, rows, stack, abreast = sizes
    c_v, c_m, c_sum = _round_up(c, wide), _round_up(c_out, columns), _round_up(c_out, wide)
    m_row = (columns if summing else c_m) // abreast
    v_point, m_point = v.size // POINTS, m.size // POINTS
    for first in range(start, stop, block):
        n_tiles = min(block, stop - first)
        n_sums = n_tiles - kd + 1
        n_rows = n_sums // abreast
        _map_inputs(first, n_tiles, stack, x, window, c_v, v_row, wide, v, edge)
        # (One call of the product for both: each would be compiled anew.)
        if summing:  # sums[p] += V[p]^T @ dM[p]
            _map_gradients(first, n_sums, stack, other, window, c_out, c_sum, wide, columns, m_row, m, edge)
            height, depth, v_down, v_across = rows, n_rows, ONE, abreast * v_row
            n, target_row = (c_out, c_sum) if abreast == 1 else (c_m, c_m)
            right, right_point, target, target_point = m, m_point, out, out.size // POINTS
        else:  # M[p] = V[p] @ U[p]
            height, n, depth, v_down, v_across, target_row = n_rows, c_m, rows, abreast * v_row, ONE, c_m
            right, right_point, target, target_point = other, other.size // POINTS, m, m_point
        batch, add = (POINTS_64, v_point, right_point, target_point), ONE if summing and first > start else ZERO
        left = (v, ZERO, v_down, v_across)
        multiply(
            *(batch, height, n, depth, *left, right, ZERO, target, ZERO, target_row, columns, add, scratch),
            *(ZERO, target, ZERO, target),
        )
        if not summing:
            _map_outputs(first, n_sums, stack, m, bias, window, c_out, c_m, m_row, wide, out, edge, ending, added)


@jit_inline
def _place(number, stack, window):
    """Image, depth, row and column of the output where the tile with this number begins; the depth is d_out or more where
    the tile is none of the output's."""
    d_out, kd = window[4], window[7]
    down, across = (window[5] + 3) // 4, (window[6] + 3) // 4
    run = stack - kd + 1
    runs = (d_out + run - 1) // run
    which, z = number // stack, number % stack
    rest = which % (down * across)
    image_and_run = which // (down * across)
    image, before = image_and_run // runs, image_and_run % runs * run
    return image, before + z, rest // across * 4, rest % across * 4, z < run and before + z < d_out


@jit_inline
def _find_tile(x, inside, h, w, c, plane, top, left, side, c_wide, edge):
    """Where the side x side pixels from (top, left) on can be read in whole vectors: an array, place, row and pixel strides.

    They are copied to `edge` where they reach beyond the image (zeros), or the channels do not fill whole vectors.
    `inside`: whether there is an image at that depth.
    """
    source, at, row, pixel = x, ((plane * h + top) * w + left) * c, w * c, c
    if c != c_wide or not inside or top < 0 or left < 0 or top + side > h or left + side > w:
        clear(edge, ZERO, side * side * c_wide)
        first, count = max(0, -left), min(side, w - left) - max(0, -left)
        runs, length = (1, count * c) if c == c_wide else (count, c)  # without gaps a line is one run
        for i in range(max(0, -top), min(side, h - top) if inside else 0):
            for j in range(first, first + runs):
                copy(x, at + (i * w + j) * c, edge, (i * side + j) * c_wide, length)
        source, at, row, pixel = edge, ZERO, side * c_wide, c_wide
    return source, at, row, pixel


@jit_part
def _map_inputs(first, n_tiles, stack, x, window, c_wide, v_row, wide, v, edge):
    """V[p, t] = point p of B^T d B for the tile d with number first + t."""
    d, h, w, c = window[:4]
    pd, ph, pw = window[13:16]
    point, stacks = v.size // POINTS, n_tiles // stack
    for step in range(n_tiles):
        t = step % stacks * stack + step // stacks
        image, z, top, left, _ = _place(first + t, stack, window)
        z -= pd
        plane, inside = image * d + z, 0 <= z < d
        source, at, row, pixel = _find_tile(x, inside, h, w, c, plane, top - ph, left - pw, 6, c_wide, edge)
        for j in range(0, c_wide, wide):
            input_tile(source, at + j, row, pixel, v, t * v_row + j, 6 * point, point)


@jit_part
def _map_outputs(first, n_tiles, stack, m, bias, window, c_out, c_m, m_row, wide, out, edge, ending, added):
    """The pixels of the tiles first .. first + n_tiles: A^T M A from M[p, t], ended."""
    d_out, h_out, w_out = window[4:7]
    point, stacks = m.size // POINTS, (n_tiles + stack - 1) // stack
    for step in range(stacks * stack):  # side by side first, as they lie in memory, then one behind the other
        t = step % stacks * stack + step // stacks
        if t >= n_tiles:
            continue
        image, z, top, left, there = _place(first + t, stack, window)
        if not there:
            continue
        out_at = (((image * d_out + z) * h_out + top) * w_out + left) * c_out
        height, width = min(4, h_out - top), min(4, w_out - left)
        for j in range(bias.size):
            m[BIAS_POINT * point + t * m_row + j] += bias[j]
        whole = height == 4 and width == 4 and c_out % wide == 0
        target, at = (out, out_at) if whole else (edge, ZERO)
        dense = c_out % wide == 0
        row, pixel = (w_out * c_out, c_out) if whole else (4 * c_m, c_out if dense else c_m)
        for j in range(0, c_out, wide):
            output_tile(m, t * m_row + j, 6 * point, point, target, at + j, row, pixel)
        if not whole:
            runs, length = (1, width * c_out) if dense else (width, c_out)
            for i in range(height):
                for j in range(runs):
                    copy(edge, i * row + j * pixel, out, out_at + (i * w_out + j) * c_out, length)
        for i in range(height if ending > 0 else 0):
            begin = out_at + i * w_out * c_out
            pixels, addends = out[begin : begin + width * c_out], added[begin : begin + width * c_out]
            if ending & ADD_OTHER:
                for q in range(pixels.size):
                    pixels[q] += addends[q]
            if ending & RECTIFY:
                for q in range(pixels.size):
                    if pixels[q] < 0:  # a NaN is not, and stays
                        pixels[q] = 0


@jit_part
def _map_gradients(first, n_tiles, stack, grad, window, c_out, c_wide, wide, columns, m_row, m, edge):
    """dM[p, t] = point p of A dY A^T for the tile dY with number first + t, written as the panels of a matrix product.

    Zero where the tile is none of the output's.
    """
    d_out, h_out, w_out = window[4:7]
    point, stacks = m.size // POINTS, (n_tiles + stack - 1) // stack
    for step in range(stacks * stack):  # side by side first, as they lie in memory, then one behind the other
        t = step % stacks * stack + step // stacks
        if t >= n_tiles:
            continue
        image, z, top, left, there = _place(first + t, stack, window)
        plane = image * d_out + z
        source, at, row, pixel = _find_tile(grad, there, h_out, w_out, c_out, plane, top, left, 4, c_wide, edge)
        for j in range(0, c_wide, wide):
            m_at = (j // columns * n_tiles + t) * m_row + j % columns
            grad_tile(source, at + j, row, pixel, m, m_at, 6 * point, point)
