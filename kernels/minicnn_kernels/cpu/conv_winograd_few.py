"""Winograd convolution of small images by many filters: the filters are the work, and threads share them out.

``conv_winograd.py`` goes through the tiles of the images block by block, and each block reads all the mapped filters, U. In
the deep layers of a network there is one block, and U outweighs all else: ResNet-18 on 16 images of 64x64 has layers of 256
channels with 16 tiles in all, for which 2.4 MB of filters become 9.4 MB, written to memory, read once, and left. So here
the images are mapped first, all of them:

    V[p] (tiles, c_in)        p = 0 .. 35

and then the columns of the result are gone through panel by panel, each as wide as a register tile (32 filters with
AVX-512). A panel's filters are read where they lie, mapped, multiplied and forgotten, before they leave the second-level
cache:

    U[p] (c_in, panel) = G g G^T        M[p] (tiles, panel) = V[p] @ U[p]        Y (4x4, panel) = A^T M[p] A

The gradient of the weights likewise: dM[p] (tiles, panel), dU[p] (c_in, panel) = V[p]^T @ dM[p], dg = G^T dU G. Main memory
sees each weight once, and no thread adds up what belongs to another: results are the same with any number of threads.

**Images of 2x2** between zeros need 9 points in place of 36, and these are exact to the last digits (``winograd_tiles.py``):
of the 9 taps at each of 4 pixels only 16 products in all are not by zero, of which 9 remain.

Filters lie in memory as [c_out][c_in][9 taps], and the maps work on vectors of filters, tap by tap: squares of numbers are
transposed in registers on the way (``transpose_tile.py``).
"""

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, parallel_for, split
from .conv_choice import PAIR_POINTS, is_pair
from .conv_shared import GRAIN_FLOPS, Sizes, Window, opposite_padding, output_shape, window_of
from .conv_winograd import BIAS_POINT, _find_tile
from .gemm import multiply, n_panels, tile_scratch
from .jit import ONE, ZERO, jit, jit_part
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical
from .memory import clear, copy
from .microkernel import tile_columns
from .simd import lanes
from .winograd_filters import PAD, POINTS, map_filters, map_filters_back, stage
from .winograd_tiles import grad_tile, input_tile, output_tile, pair_grad_tile, pair_input_tile, pair_output_tile

SUMMED = 128  # tiles, added up before they are added to what is there
BLOCK_BYTES = 640 * 1024  # of a panel's mapped filters at a time: with V[p] they fit into a second-level cache

Scratch = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_forward``; 3x3 filters, stride, dilation and groups 1, whole vectors of channels."""
    window = window_of(x.shape, weight.shape[2:], stride, padding, dilation)
    out = empty_channels_last(output_shape(x.shape[0], weight.shape[0], window, 2), x.dtype)
    _convolve(to_channels_last(x), weight, False, window, out, bias)
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
    opposite = opposite_padding(weight.shape[2:], padding, dilation)
    window = window_of(grad_out.shape, weight.shape[2:], stride, opposite, dilation)
    grad_x = empty_channels_last(input_shape, grad_out.dtype)
    _convolve(to_channels_last(grad_out), weight, True, window, grad_x, None)
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
    window = window_of(x.shape, weight_shape[2:], stride, padding, dilation)
    c_out, c_in = weight_shape[:2]
    dtype, columns, grad = x.dtype, tile_columns(x.dtype), to_channels_last(grad_out).reshape(-1)
    points, tiles, v_row, v = _mapped_images(to_channels_last(x), window)
    block = _block(points, c_in, dtype)
    grad_weight = workspace.empty(weight_shape, dtype)
    chunks = _panel_chunks(points, tiles, c_in, c_out, dtype)
    scratch = [_scratch(points, tiles, block, c_out, dtype) for _ in chunks]
    sizes = (points, tiles, c_out, columns, lanes(dtype), v_row, block)

    def run(index: int, start: int, stop: int) -> None:
        _sum_panels(start, stop, window, sizes, v, grad, grad_weight.reshape(-1), *scratch[index])

    parallel_chunks(run, chunks)
    return grad_weight


def _convolve(
    x: np.ndarray, weight: np.ndarray, turned: bool, window: Window, out: np.ndarray, bias: np.ndarray | None
) -> None:
    """x (n, h, w, c), weight -> out (n, h_out, w_out, c_out). If `turned`, the filters are turned round and their channels
    exchanged: x is the gradient of their result, and out that of their input."""
    rows, channels, dtype = x.shape[-1], out.shape[-1], out.dtype
    points, tiles, v_row, v = _mapped_images(x, window)
    block = _block(points, rows, dtype)
    chunks = _panel_chunks(points, tiles, rows, channels, dtype)
    scratch = [_scratch(points, tiles, block, channels, dtype) for _ in chunks]
    sizes = (points, tiles, channels, tile_columns(dtype), lanes(dtype), v_row, block)
    flat, out_flat = contiguous(weight).reshape(-1), out.reshape(-1)
    added = np.empty(0, dtype) if bias is None else contiguous(bias)

    def run(index: int, start: int, stop: int) -> None:
        _multiply_panels(start, stop, turned, window, sizes, v, flat, out_flat, *scratch[index], added)

    parallel_chunks(run, chunks)


def _panel_chunks(points: int, tiles: int, c_in: int, c_out: int, dtype: np.dtype) -> list[tuple[int, int]]:
    """Who gets which panels."""
    flops = 2 * points * c_in * tile_columns(dtype) * (tiles + 8)  # the maps of its filters take as long as some tiles
    return split(n_panels(c_out, dtype), grain=max(1, GRAIN_FLOPS // flops))


def _mapped_images(x: np.ndarray, window: Window) -> tuple[int, int, int, np.ndarray]:
    """x (n, h, w, c) -> points, tiles, from one tile of V to the next, V: for each point [tile][c] and PAD."""
    h_out, w_out, c, dtype = *window[5:7], window[3], x.dtype
    pair = is_pair((x.shape[0], c, *window[1:3]), window[14:16])
    points, tiles = (PAIR_POINTS, x.shape[0]) if pair else (POINTS, x.shape[0] * -(-h_out // 4) * -(-w_out // 4))
    v_row = c + (PAD if c * dtype.itemsize % 1024 == 0 else 0)  # it is read down its columns, too
    v = workspace.empty((points * (tiles * v_row + PAD),), dtype)
    flat = x.reshape(-1)

    def run(start: int, stop: int) -> None:
        edge = workspace.empty((0 if pair else POINTS * c,), dtype)
        _map_images(start, stop, window, points, v_row, lanes(dtype), flat, v, edge)

    parallel_for(run, tiles, grain=max(1, (1 << 16) // (points * c)))
    return points, tiles, v_row, v


def _block(points: int, rows: int, dtype: np.dtype) -> int:
    """Rows of a panel's U at a time, whole vectors of them."""
    wide = lanes(dtype)
    return min(rows, max(wide, BLOCK_BYTES // (points * tile_columns(dtype) * dtype.itemsize) // wide * wide))


def _scratch(points: int, tiles: int, block: int, channels: int, dtype: np.dtype) -> Scratch:
    """What a thread needs to itself: U (or dU) of a block of rows, M (or dM) of a panel, a tile at the image's edge,
    filters on their way, a register tile."""
    columns = tile_columns(dtype)
    # Columns beyond the channels are multiplied like the others, and nobody looks at them.
    memory = workspace.zeros if channels % columns else workspace.empty
    u, m = (memory((points * (rows * columns + PAD),), dtype) for rows in (block, tiles))
    return u, m, workspace.empty((16 * columns,), dtype), stage(dtype), tile_scratch(dtype)


@jit
def _map_images(start, stop, window, points, v_row, wide, x, v, edge):
    """V[p, t] for the tiles start .. stop."""
    h, w, c = window[1:4]
    down, across = (window[5] + 3) // 4, (window[6] + 3) // 4
    ph, pw = window[14:16]
    point = v.size // points
    for t in range(start, stop):
        if points == PAIR_POINTS:
            for j in range(0, c, wide):
                pair_input_tile(x, t * 4 * c + j, 2 * c, c, v, t * v_row + j, 3 * point, point)
        else:
            image, top, left = t // (down * across), t // across % down * 4 - ph, t % across * 4 - pw
            source, at, row, pixel = _find_tile(x, True, h, w, c, image, top, left, 6, c, edge)
            for j in range(0, c, wide):
                input_tile(source, at + j, row, pixel, v, t * v_row + j, 6 * point, point)


@jit
def _multiply_panels(
    start, stop, turned, window, sizes, v, weight, out, u, m, edge, stage, scratch, bias
):  # fmt: skip
    """Panels start .. stop of the result: out = A^T (sum_c U * V) A, plus the bias where there is one."""
    points, tiles, channels, columns, wide, v_row, block = sizes
    rows = window[3]
    v_point, u_point, m_point = v.size // points, u.size // points, m.size // points
    batch = (points, v_point, u_point, m_point)
    for panel in range(start, stop):
        first = panel * columns
        width = min(columns, channels - first)
        for row in range(0, rows, block):
            depth = min(block, rows - row)
            shape = depth, rows, first, width, channels
            map_filters(weight, turned, row, *shape, points, columns, wide, u, ZERO, stage)
            add = ONE if row > 0 else ZERO
            multiply(
                *(batch, tiles, columns, depth, v, row, v_row, ONE, u, ZERO, m, ZERO, columns, columns, add, scratch),
                *(ZERO, m, ZERO, m),
            )
        _map_outputs(m, window, points, tiles, columns, wide, first, width, channels, out, edge, bias)


@jit_part
def _map_outputs(m, window, points, tiles, columns, wide, first, width, channels, out, edge, bias):
    """The pixels of all tiles, for the channels first .. first + width: A^T M A, with the bias."""
    h_out, w_out = window[5:7]
    down, across = (h_out + 3) // 4, (w_out + 3) // 4
    point = m.size // points
    bias_point = 0 if points == PAIR_POINTS else BIAS_POINT
    for t in range(tiles):
        image, top, left = t // (down * across), t // across % down * 4, t % across * 4
        out_at = ((image * h_out + top) * w_out + left) * channels + first
        height, breadth = min(4, h_out - top), min(4, w_out - left)
        for j in range(width if bias.size > 0 else 0):
            m[bias_point * point + t * columns + j] += bias[first + j]
        if points == PAIR_POINTS:
            for j in range(0, width, wide):
                pair_output_tile(m, t * columns + j, 3 * point, point, out, out_at + j, 2 * channels, channels)
        else:
            whole = height == 4 and breadth == 4
            target, at = (out, out_at) if whole else (edge, ZERO)
            row, pixel = (w_out * channels, channels) if whole else (4 * columns, columns)
            for j in range(0, width, wide):
                output_tile(m, t * columns + j, 6 * point, point, target, at + j, row, pixel)
            for i in range(0 if whole else height):
                for j in range(breadth):
                    copy(edge, (4 * i + j) * columns, out, out_at + (i * w_out + j) * channels, width)


@jit
def _sum_panels(start, stop, window, sizes, v, grad, grad_weight, u, m, edge, stage, scratch):
    """The gradient of the filters in the panels start .. stop: G^T (V^T dM) G."""
    points, tiles, channels, columns, wide, v_row, block = sizes
    rows = window[3]
    v_point, u_point, m_point = v.size // points, u.size // points, m.size // points
    batch = (points, v_point, m_point, u_point)
    for panel in range(start, stop):
        first = panel * columns
        width = min(columns, channels - first)
        _map_gradients(grad, window, points, tiles, columns, wide, first, width, channels, m, edge)
        for row in range(0, rows, block):
            height = min(block, rows - row)
            for t in range(0, max(tiles, 1), SUMMED):  # one sum over them all would be less exact
                depth, add = min(SUMMED, tiles - t), ONE if t > 0 else ZERO
                left, right = (v, t * v_row + row, ONE, v_row), (m, t * columns)
                multiply(
                    *(batch, height, columns, depth, *left, *right, u, ZERO, columns, columns, add, scratch),
                    *(ZERO, u, ZERO, u),
                )
            map_filters_back(u, height, width, points, columns, wide, grad_weight, row, rows, first, stage)


@jit_part
def _map_gradients(grad, window, points, tiles, columns, wide, first, width, channels, m, edge):
    """dM[p, t] = A dY A^T of all tiles, for the channels first .. first + width."""
    h_out, w_out = window[5:7]
    down, across = (h_out + 3) // 4, (w_out + 3) // 4
    point = m.size // points
    for t in range(tiles):
        image, top, left = t // (down * across), t // across % down * 4, t % across * 4
        at = ((image * h_out + top) * w_out + left) * channels + first
        if points == PAIR_POINTS:
            for j in range(0, width, wide):
                pair_grad_tile(grad, at + j, 2 * channels, channels, m, t * columns + j, 3 * point, point)
        else:
            height, breadth = min(4, h_out - top), min(4, w_out - left)
            source, row, pixel = grad, w_out * channels, channels
            if height < 4 or breadth < 4:
                clear(edge, ZERO, 16 * columns)
                for i in range(height):
                    for j in range(breadth):
                        copy(grad, at + (i * w_out + j) * channels, edge, (4 * i + j) * columns, width)
                source, at, row, pixel = edge, ZERO, 4 * columns, columns
            for j in range(0, width, wide):
                grad_tile(source, at + j, row, pixel, m, t * columns + j, 6 * point, point)
