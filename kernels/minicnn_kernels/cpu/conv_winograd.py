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
map, the product and the map back; main memory sees the images once. U, 4 times the filters, is made once a call.
Where 4 does not divide the output's sides, the tiles at the edge are partly wasted: 14x14 takes 16 tiles of 12.25.

**Gradients.** For the input: the same with the filters turned round and their channels exchanged. For the weights,
each map above is linear, so that derivatives go back through its transpose:

    dM = A dY A^T      dU[p] (c_in, c_out) = V[p]^T (c_in, tiles) @ dM[p] (tiles, c_out)      dg = G^T dU G

**Rounding.** B^T and A^T have entries up to 8 and sums that cancel; a result is about 10 times less exact than the
direct sum, with an error of some 30 units in the last place of sum |x| |w|. The test states the bound.
A NaN or an infinity in the input reaches all 16 outputs of the tiles that see it, where the direct sum reaches only its
own neighbours.
Read next: ``winograd_tiles.py`` for the maps, ``gemm.py`` for the product.
"""

import numpy as np

from .. import workspace
from ..geometry import conv_output_size
from ..threads import parallel_chunks, parallel_for, split
from .gemm import ROWS, multiply, tile_scratch
from .jit import ONE, ZERO, jit, jit_inline
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical
from .memory import clear, copy
from .microkernel import tile_columns
from .winograd_tiles import filter_tile, grad_filter_tile, grad_tile, input_tile, lanes, output_tile

Pair = tuple[int, int]

POINTS = 36
BIAS_POINT = 7  # (1, 1): column 1 of A^T is all ones, so what is added to this point is added to all 16 outputs
BLOCK_BYTES = 512 * 1024  # of V and M a thread: with one point's filters they fit into a second-level cache
GRAIN_FLOPS = 2_000_000  # about 25 microseconds: below that, another thread does not pay
PAD = (
    16  # numbers between two points' matrices: at a distance of 4096 bytes they would fight for one place in the cache
)


def forward(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """See ``conv.conv2d_forward``; stride, dilation and groups are 1 and filters 3x3."""
    c_out, c_in, _, _ = weight.shape
    filters = _transform_filters(weight, c_in, c_out, (9, 9 * c_in, 1))
    h_out, w_out = (conv_output_size(size, 3, 1, p, 1) for size, p in zip(x.shape[2:], padding, strict=True))
    out = empty_channels_last((x.shape[0], c_out, h_out, w_out), x.dtype)
    _convolve(to_channels_last(x), filters, bias, padding, out)
    return to_logical(out)


def backward_input(
    grad_out: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv2d_backward_input``."""
    c_out, c_in, _, _ = weight.shape
    filters = _transform_filters(weight, c_out, c_in, (9 * c_in, 9, -1))
    grad_x = empty_channels_last(input_shape, grad_out.dtype)
    _convolve(to_channels_last(grad_out), filters, None, (2 - padding[0], 2 - padding[1]), grad_x)
    return to_logical(grad_x)


def backward_weight(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv2d_backward_weight``."""
    c_out, c_in, _, _ = weight_shape
    dtype, wide, columns = x.dtype, lanes(x.dtype), tile_columns(x.dtype)
    grad, x = to_channels_last(grad_out), to_channels_last(x)
    _, h_out, w_out, _ = grad.shape
    tiles = x.shape[0] * -(-h_out // 4) * -(-w_out // 4)
    c_v, c_sum = _round_up(c_in, wide), _round_up(c_out, wide)
    chunks = split(tiles, grain=max(ROWS, GRAIN_FLOPS // (2 * POINTS * c_in * c_out)))
    if not chunks:
        return np.zeros(weight_shape, dtype)
    sums = workspace.empty((len(chunks), POINTS, c_in, c_sum), dtype)
    x_flat, grad_flat, window = x.reshape(-1), grad.reshape(-1), (*x.shape[1:], h_out, w_out, *padding)
    # Each block reads and writes all the sums, c_in x c_out: it should be about as large itself.
    wanted = max(_block_tiles(c_v + c_sum, dtype), min(c_in, c_out) // 2)

    def run(index: int, start: int, stop: int) -> None:
        block = _even_blocks(stop - start, wanted)
        v = workspace.empty((POINTS * (block * c_v + PAD),), dtype)
        m = workspace.empty((POINTS * (block * _round_up(c_out, columns) + PAD),), dtype)
        edge, scratch = np.empty(POINTS * max(c_v, c_sum), dtype), tile_scratch(dtype)
        sizes = (c_out, wide, columns, block)
        _sum_blocks(start, stop, x_flat, grad_flat, window, sizes, v, m, sums[index].reshape(-1), edge, scratch)

    parallel_chunks(run, chunks)
    grad_weight = np.empty(weight_shape, dtype)
    grain = max(1, (1 << 14) // c_out)
    parallel_for(_collect_weights, c_in, sums, wide, np.empty(0, dtype), grad_weight.reshape(-1, 9), grain=grain)
    return grad_weight


def _convolve(x: np.ndarray, filters: np.ndarray, bias: np.ndarray | None, padding: Pair, out: np.ndarray) -> None:
    """x (n, h, w, c_in), transformed filters -> out (n, h_out, w_out, c_out)."""
    n, h_out, w_out, c_out = out.shape
    dtype, wide, columns = out.dtype, lanes(out.dtype), tile_columns(out.dtype)
    c_in = x.shape[3]
    tiles = n * -(-h_out // 4) * -(-w_out // 4)
    c_v, c_m = _round_up(c_in, wide), _round_up(c_out, columns)
    wanted = _block_tiles(c_v + c_m, dtype)
    x_flat, out_flat, window = x.reshape(-1), out.reshape(-1), (*x.shape[1:], h_out, w_out, *padding)
    bias_or_none = np.zeros(0 if bias is None else c_m, dtype)
    if bias is not None:
        bias_or_none[:c_out] = bias

    def run(start: int, stop: int) -> None:
        first, last = start * ROWS, min(stop * ROWS, tiles)
        block = _round_up(_even_blocks(last - first, wanted), ROWS)
        v = workspace.empty((POINTS * (block * c_v + PAD),), dtype)
        m = workspace.empty((POINTS * (block * c_m + PAD),), dtype)
        edge, scratch, sizes = (
            np.empty(POINTS * max(c_v, c_m), dtype),
            tile_scratch(dtype),
            (c_out, wide, columns, block),
        )
        _convolve_blocks(first, last, x_flat, filters, bias_or_none, window, sizes, v, m, out_flat, edge, scratch)

    parallel_for(run, -(-tiles // ROWS), grain=max(1, GRAIN_FLOPS // (2 * POINTS * ROWS * c_in * c_out)))


def _transform_filters(weight: np.ndarray, rows: int, n: int, strides: tuple[int, int, int]) -> np.ndarray:
    """U[p] (rows, n) as panels, from g[i, j, t] = weight.flat[strides . (i, j, t)], t from its end if negative."""
    columns = tile_columns(weight.dtype)
    panels = -(-n // columns)
    filters = workspace.empty((POINTS * (panels * columns * rows + PAD),), weight.dtype)
    flat = contiguous(weight).reshape(-1)
    parallel_for(_filter_rows, panels * rows, flat, rows, n, *strides, columns, lanes(weight.dtype), filters, grain=512)
    return filters


def _round_up(count: int, step: int) -> int:
    return -(-count // step) * step


def _block_tiles(channels: int, dtype: np.dtype) -> int:
    """Tiles of a block, a multiple of the register tile's rows."""
    return max(1, BLOCK_BYTES // (POINTS * channels * dtype.itemsize) // ROWS) * ROWS


def _even_blocks(tiles: int, wanted: int) -> int:
    """The size of blocks of at most `wanted` tiles, all about equal."""
    n_blocks = -(-tiles // wanted)
    return -(-tiles // n_blocks)


@jit
def _filter_rows(start, stop, w, rows, n, row_stride, stride, tap_stride, columns, wide, filters):
    """Rows start .. stop of all rows of all panels: U[p, panel, i, j] for j in the panel, zero from n on."""
    point = filters.size // POINTS
    taps = np.zeros(9 * columns, w.dtype)
    for index in range(start, stop):
        panel, i = index // rows, index % rows
        first = panel * columns
        width = min(columns, n - first)
        if width < columns:
            clear(taps, ZERO, taps.size)
        at = i * row_stride + first * stride + (8 if tap_stride < 0 else 0)
        for t in range(9):
            for j in range(width):
                taps[t * columns + j] = w[at + j * stride + t * tap_stride]
        for j in range(0, columns, wide):
            filter_tile(taps, j, 3 * columns, columns, filters, index * columns + j, 6 * point, point)


@jit_inline
def _find_tile(x, h, w, c, image, top, left, side, c_wide, edge):
    """Where the side x side pixels from (top, left) on can be read in whole vectors: at this place of x, or if -1 in `edge`.

    They are copied there where they reach beyond the image (zeros), or the channels do not fill whole vectors.
    """
    at = ((image * h + top) * w + left) * c
    if c != c_wide or top < 0 or left < 0 or top + side > h or left + side > w:
        clear(edge, ZERO, side * side * c_wide)
        for i in range(max(0, -top), min(side, h - top)):
            for j in range(max(0, -left), min(side, w - left)):
                copy(x, at + (i * w + j) * c, edge, (i * side + j) * c_wide, c)
        at = -1
    return at


@jit
def _transform_inputs(first, n_tiles, x, window, c_wide, wide, v, edge):
    """V[p, t] = point p of the tile first + t."""
    h, w, c, h_out, w_out, ph, pw = window
    down, across = (h_out + 3) // 4, (w_out + 3) // 4
    point = v.size // POINTS
    for t in range(n_tiles):
        image, rest = (first + t) // (down * across), (first + t) % (down * across)
        top, left = rest // across * 4 - ph, rest % across * 4 - pw
        at = _find_tile(x, h, w, c, image, top, left, 6, c_wide, edge)
        if at < 0:
            for j in range(0, c_wide, wide):
                input_tile(edge, j, 6 * c_wide, c_wide, v, t * c_wide + j, 6 * point, point)
        else:
            for j in range(0, c_wide, wide):
                input_tile(x, at + j, w * c, c, v, t * c_wide + j, 6 * point, point)


@jit
def _convolve_blocks(start, stop, x, filters, bias, window, sizes, v, m, out, edge, scratch):
    """Tiles start .. stop of the output, a block at a time."""
    c = window[2]
    c_out, wide, columns, block = sizes
    c_v, c_m = (c + wide - 1) // wide * wide, (c_out + columns - 1) // columns * columns
    v_point, m_point, filters_point = v.size // POINTS, m.size // POINTS, filters.size // POINTS
    for first in range(start, stop, block):
        n_tiles = min(block, stop - first)
        _transform_inputs(first, n_tiles, x, window, c_v, wide, v, edge)
        if bias.size > 0:
            for t in range(n_tiles):
                copy(bias, ZERO, m, BIAS_POINT * m_point + t * c_m, c_m)
        for p in range(POINTS):
            v_at, m_at, f_at = p * v_point, p * m_point, p * filters_point
            add = ONE if bias.size > 0 and p == BIAS_POINT else ZERO
            multiply(n_tiles, c_m, c, v, v_at, c_v, ONE, filters, f_at, m, m_at, c_m, columns, add, scratch)
        _transform_outputs(first, n_tiles, m, window, c_out, c_m, wide, out, edge)


@jit
def _transform_outputs(first, n_tiles, m, window, c_out, c_m, wide, out, edge):
    """The pixels of the tiles first .. first + n_tiles, from M[p, t]."""
    _, _, _, h_out, w_out, _, _ = window
    down, across = (h_out + 3) // 4, (w_out + 3) // 4
    point = m.size // POINTS
    for t in range(n_tiles):
        image, rest = (first + t) // (down * across), (first + t) % (down * across)
        top, left = rest // across * 4, rest % across * 4
        out_at = ((image * h_out + top) * w_out + left) * c_out
        height, width = min(4, h_out - top), min(4, w_out - left)
        if height == 4 and width == 4 and c_out % wide == 0:
            for j in range(0, c_out, wide):
                output_tile(m, t * c_m + j, 6 * point, point, out, out_at + j, w_out * c_out, c_out)
            continue
        for j in range(0, c_out, wide):
            output_tile(m, t * c_m + j, 6 * point, point, edge, j, 4 * c_m, c_m)
        for i in range(height):
            for j in range(width):
                copy(edge, (i * 4 + j) * c_m, out, out_at + (i * w_out + j) * c_out, c_out)


@jit
def _sum_blocks(start, stop, x, grad, window, sizes, v, m, sums, edge, scratch):
    """sums[p] = V[p]^T @ dM[p] over the tiles start .. stop; dM is written as the panels of a matrix product."""
    _, _, c, h_out, w_out, _, _ = window
    c_out, wide, columns, block = sizes
    c_v, c_sum = (c + wide - 1) // wide * wide, (c_out + wide - 1) // wide * wide
    down, across = (h_out + 3) // 4, (w_out + 3) // 4
    v_point, m_point, sums_point = v.size // POINTS, m.size // POINTS, sums.size // POINTS
    for first in range(start, stop, block):
        n_tiles = min(block, stop - first)
        _transform_inputs(first, n_tiles, x, window, c_v, wide, v, edge)
        for t in range(n_tiles):
            image, rest = (first + t) // (down * across), (first + t) % (down * across)
            top, left = rest // across * 4, rest % across * 4
            at = _find_tile(grad, h_out, w_out, c_out, image, top, left, 4, c_sum, edge)
            for j in range(0, c_sum, wide):
                m_at = (j // columns * n_tiles + t) * columns + j % columns
                if at < 0:
                    grad_tile(edge, j, 4 * c_sum, c_sum, m, m_at, 6 * m_point, m_point)
                else:
                    grad_tile(grad, at + j, w_out * c_out, c_out, m, m_at, 6 * m_point, m_point)
        for p in range(POINTS):
            v_at, m_at, s_at = p * v_point, p * m_point, p * sums_point
            add = ONE if first > start else ZERO
            multiply(c, c_out, n_tiles, v, v_at, ONE, c_v, m, m_at, sums, s_at, c_sum, columns, add, scratch)


@jit
def _collect_weights(start, stop, sums, wide, like, grad_weight):
    """grad_weight[o, i] = G^T (sum of sums[chunk, :, i, o]) G for rows start .. stop of i; grad_weight (c_out * c_in, 9)."""
    n_chunks, _, c_in, c_sum = sums.shape
    c_out = grad_weight.shape[0] // c_in
    flat = sums.reshape(-1)
    point = c_in * c_sum
    part = np.empty(9 * wide, like.dtype)
    for i in range(start, stop):
        for first in range(0, c_out, wide):
            for chunk in range(n_chunks):
                at = chunk * POINTS * point + i * c_sum + first
                grad_filter_tile(flat, at, 6 * point, point, part, ZERO, 3 * wide, wide)
                for j in range(min(wide, c_out - first)):
                    target = grad_weight[(first + j) * c_in + i]
                    for t in range(9):
                        target[t] = part[t * wide + j] + (target[t] if chunk > 0 else 0)
