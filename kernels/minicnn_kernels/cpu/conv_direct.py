"""Direct convolution: the sum over taps and channels, read from the image itself, without building patches.

In the matrix product of ``conv_im2col.py``, element (pixel, tap and channel) of the matrix of patches is

    patches[p, q] = image[at + row_at[p] + step_at[q]]

a sum of where the pixel's window begins and where the tap lies in the window. So the matrix need not exist: the register
tile looks up its rows and columns in two short tables (Dukhan 2019, "The Indirect Convolution Algorithm", arXiv
1907.02129). Stride and dilation only change the tables. Padding needs a copy of a band of a few image rows between zeros, in
scratch memory that stays in the cache; an image without padding is read where it lies.

The gradient of the weights is the product the other way round, patches.T @ grad_out: the tables change places.

It pays most where copying patches takes long beside multiplying them, that is with few channels: an im2col copy moves runs
of c_in/groups numbers, and each run has a price of its own. Measured beside im2col on an AVX-512 core, forward and weight
gradient: 1 channel 3x3 5 to 8 times faster, 3 channels 7x7 1.3 to 1.9, 4 groups of 16 channels 1.9 to 2.3, 64 channels 5x5
1.2 to 1.4, sequences of 64 channels 1.2, 128 channels 1.0 to 1.2, 256 channels 0.7 to 0.9: there im2col multiplies a part
of the filters with many pixels, while it stays in the cache. ``conv_choice.py`` draws the line. (Where Winograd can, it is
faster from 8 channels on: 1.3 times there, 1.5 to 1.7 with 16 to 32; for 3 channels forward 0.7 times.)

The sums of the weights' gradient run over the pixels of a block that fits into the cache, however long the rows are.
Read next: ``_indirect_product`` in ``microkernel.py``.
"""

import math
from functools import lru_cache

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, parallel_for, split
from . import conv_im2col
from .conv_shared import GRAIN_FLOPS, Sizes, Window, opposite_padding, output_shape, pack_filters, window_of
from .gemm import ROWS, pack_rows, tile_scratch
from .jit import ONE, ZERO, jit
from .layout import empty_channels_last, to_channels_last, to_logical
from .memory import clear, copy
from .microkernel import indirect_tile, tile_columns

MIN_BLOCK = 64  # pixels of a block of sums: those are read and written for each
BAND_BYTES = (
    128 * 1024
)  # of an image's rows and the output's: with a panel of filters they fit into a second-level cache


def forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_forward``."""
    c_out, c_per_group, *kernel = weight.shape
    taps = math.prod(kernel)
    window = window_of(x.shape, tuple(kernel), stride, padding, dilation)
    # filters[t, i, o] = weight[o, i, t]
    filters = pack_filters(weight, groups, (taps, c_per_group, c_out // groups), (1, taps, c_per_group * taps))
    out = empty_channels_last(output_shape(x.shape[0], c_out, window, len(kernel)), x.dtype)
    _convolve(to_channels_last(x), filters, bias, window, groups, out)
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
    """See ``conv.conv_backward_input``.

    With stride 1 it is a convolution of grad_out again. With another stride patches have to be added up, as in im2col;
    so too in the rare case that the padding is larger than the filter's reach.
    """
    c_out, c_per_group, *kernel = weight.shape
    taps, opposite = math.prod(kernel), opposite_padding(tuple(kernel), padding, dilation)
    if max(stride) == 1 and min(opposite) >= 0:
        # filters[t, o, i] = weight[o, i, taps - 1 - t]
        filters = pack_filters(weight, groups, (taps, c_out // groups, c_per_group), (-1, c_per_group * taps, taps))
        grad_x = empty_channels_last(input_shape, grad_out.dtype)
        window = window_of(grad_out.shape, tuple(kernel), stride, opposite, dilation)
        _convolve(to_channels_last(grad_out), filters, None, window, groups, grad_x)
        return to_logical(grad_x)
    return conv_im2col.backward_input(grad_out, weight, input_shape, stride, padding, dilation, groups)


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
    c_out, c_per_group, *kernel = weight_shape
    taps, o, dtype = math.prod(kernel), c_out // groups, x.dtype
    k = taps * c_per_group
    window = window_of(x.shape, tuple(kernel), stride, padding, dilation)
    x_flat, grad_flat = to_channels_last(x).reshape(-1), to_channels_last(grad_out).reshape(-1)
    lines, pixel_at, tap_at = _tables(window, groups, c_out, dtype)
    rows, w_out = x.shape[0] * window[4] * window[5], window[6]
    block = min(lines * w_out, max(MIN_BLOCK, BAND_BYTES // ((window[3] + c_out) * dtype.itemsize)))
    chunks = split(rows, grain=max(lines, GRAIN_FLOPS // (2 * w_out * k * c_out)))
    sums = workspace.zeros((max(1, len(chunks)), groups, k, o), dtype)

    def run(index: int, start: int, stop: int) -> None:
        packed, scratch = workspace.empty((block * tile_columns(dtype),), dtype), tile_scratch(dtype)
        sizes, band = (groups, o, tile_columns(dtype), lines, block), _band(window, lines, dtype)
        flat = sums[index].reshape(-1)
        _sum_bands(start, stop, x_flat, grad_flat, window, sizes, pixel_at, tap_at, flat, band, packed, scratch)

    parallel_chunks(run, chunks)
    # (chunks, groups, taps * c_per_group, o) -> (groups, taps, c_per_group, o) -> (groups, o, c_per_group, taps)
    grad_weight = sums.sum(axis=0).reshape(groups, taps, c_per_group, o).transpose(0, 3, 2, 1)
    return np.ascontiguousarray(grad_weight).reshape(weight_shape)


def _convolve(
    x: np.ndarray, filters: np.ndarray, bias: np.ndarray | None, window: Window, groups: int, out: np.ndarray
) -> None:
    """x (n, *spatial, c), filters packed a group -> out (n, *spatial, c_out)."""
    c_out, w_out = out.shape[-1], window[6]
    rows = out.shape[0] * window[4] * window[5]
    dtype = out.dtype
    lines, pixel_at, tap_at = _tables(window, groups, c_out, dtype)
    x_flat, out_flat = x.reshape(-1), out.reshape(-1)
    bias_or_none = np.empty(0, dtype) if bias is None else np.tile(bias, ROWS)  # for a tile's rows
    sizes = (groups, c_out // groups, tile_columns(dtype), lines)

    def run(start: int, stop: int) -> None:
        band, scratch = _band(window, lines, dtype), tile_scratch(dtype)
        arrays = (x_flat, filters.reshape(-1), bias_or_none)
        _multiply_bands(start, stop, *arrays, window, sizes, pixel_at, tap_at, out_flat, band, scratch)

    parallel_for(run, rows, grain=max(1, GRAIN_FLOPS // (2 * w_out * tap_at.size * c_out)))


@lru_cache(maxsize=256)  # what it returns is shared by all calls: only to be read
def _tables(window: Window, groups: int, c_out: int, dtype: np.dtype) -> tuple[int, np.ndarray, np.ndarray]:
    """Output rows of a band; where each pixel's window begins in it, and where each tap and channel lies in a window."""
    _, h, w, c, _, h_out, w_out, kd, kh, kw, _, sh, sw, _, _, pw, dd, dh, dw = window
    row = (w + 2 * pw) * c
    lines = max(1, min(h_out, BAND_BYTES // ((row * sh * kd + w_out * c_out) * dtype.itemsize)))
    slab = _band_rows(window, lines) * row if _is_padded(window) else dd * h * row  # from one tap to the next in depth
    pixel_at = np.add.outer(np.arange(lines) * sh * row, np.arange(w_out) * sw * c)  # (lines, w_out)
    taps = np.add.outer(np.arange(kd) * slab, np.arange(kh) * dh * row)  # (kd, kh)
    tap_at = np.add.outer(np.add.outer(taps, np.arange(kw) * dw * c), np.arange(c // groups))  # (kd, kh, kw, c/groups)
    return lines, pixel_at.reshape(-1).astype(np.int64), tap_at.reshape(-1).astype(np.int64)


def _band(window: Window, lines: int, dtype: np.dtype) -> np.ndarray:
    """Memory for the padded image rows under `lines` output rows, for each tap in depth; none without padding."""
    w, c, kd, pw = window[2], window[3], window[7], window[15]
    rows = kd * _band_rows(window, lines)
    return workspace.zeros((rows * (w + 2 * pw) * c if _is_padded(window) else 0,), dtype)


def _is_padded(window: Window) -> bool:
    return max(window[13:16]) > 0


def _band_rows(window: Window, lines: int) -> int:
    """Image rows under `lines` output rows."""
    kh, sh, dh = window[8], window[11], window[17]
    return (lines - 1) * sh + (kh - 1) * dh + 1


@jit
def _fill_band(x, image, oz, first, n_lines, window, band):
    """The image rows under the output rows first .. first + n_lines, between zeros. (The zeros at the sides are there.)"""
    d, h, w, c, _d_out, _h_out, _w_out, kd, kh, _kw, sd, sh, _sw, pd, ph, pw, dd, dh, _dw = window
    row = (w + 2 * pw) * c
    slab = band.size // kd
    for tap in range(kd):
        z = oz * sd - pd + tap * dd
        for i in range((n_lines - 1) * sh + (kh - 1) * dh + 1):
            y = first * sh - ph + i
            if 0 <= z < d and 0 <= y < h:
                copy(x, ((image * d + z) * h + y) * w * c, band, tap * slab + i * row + pw * c, w * c)
            else:
                clear(band, tap * slab + i * row + pw * c, w * c)


@jit
def _multiply_bands(start, stop, x, filters, bias, window, sizes, pixel_at, tap_at, out, band, scratch):
    """Rows start .. stop of all the rows of out, a band at a time."""
    d, h, w, c, d_out, h_out, w_out, _kd, _kh, _kw, sd, sh, _sw, _pd, _ph, _pw, _dd, _dh, _dw = window
    groups, o, columns, lines = sizes
    c_out, k = groups * o, tap_at.size
    size = filters.size // groups
    line = start
    while line < stop:
        image, oz, first = line // (h_out * d_out), line // h_out % d_out, line % h_out
        n_lines = min(lines, stop - line, h_out - first)
        source, source_at = x, ((image * d + oz * sd) * h + first * sh) * w * c
        if band.size > 0:
            _fill_band(x, image, oz, first, n_lines, window, band)
            source, source_at = band, ZERO
        for p in range(0, n_lines * w_out, ROWS):
            n_rows = min(ROWS, n_lines * w_out - p)
            out_at = (line * w_out + p) * c_out
            if bias.size > 0:
                copy(bias, ZERO, out, out_at, n_rows * c_out)
            for group in range(groups):
                at = source_at + group * (c // groups)
                for j in range(0, o, columns):
                    # A tile is always stored whole: at the right edge into scratch memory, from which it is added.
                    whole = o - j >= columns
                    target = out if whole else scratch
                    to = out_at + group * o + j if whole else ZERO
                    row = c_out if whole else columns
                    f_at = group * size + j * k
                    add = whole and bias.size > 0
                    indirect_tile(
                        source, at, pixel_at, p, tap_at, ZERO, filters, f_at, columns, target, to, row, k, n_rows, add
                    )
                    if not whole:
                        for i in range(n_rows):
                            for q in range(o - j):
                                value = scratch[i * columns + q]
                                there = out_at + i * c_out + group * o + j + q
                                out[there] = value + out[there] if bias.size > 0 else value
        line += n_lines


@jit
def _sum_bands(start, stop, x, grad, window, sizes, pixel_at, tap_at, sums, band, packed, scratch):
    """sums[group] += patches.T @ grad over rows start .. stop of all the rows of grad."""
    d, h, w, c, d_out, h_out, w_out, _kd, _kh, _kw, sd, sh, _sw, _pd, _ph, _pw, _dd, _dh, _dw = window
    groups, o, columns, lines, block = sizes
    c_out, k = groups * o, tap_at.size
    line = start
    while line < stop:
        image, oz, first = line // (h_out * d_out), line // h_out % d_out, line % h_out
        n_lines = min(lines, stop - line, h_out - first)
        n_pixels = n_lines * w_out
        source, source_at = x, ((image * d + oz * sd) * h + first * sh) * w * c
        if band.size > 0:
            _fill_band(x, image, oz, first, n_lines, window, band)
            source, source_at = band, ZERO
        blocks = (n_pixels + block - 1) // block
        for number in range(groups * blocks):
            group, p = number // blocks, number % blocks * block
            at = source_at + group * (c // groups)
            count = min(block, n_pixels - p)
            for j in range(0, o, columns):
                whole = o - j >= columns
                right, right_at, right_row = grad, (line * w_out + p) * c_out + group * o + j, c_out
                if not whole:
                    pack_rows(ZERO, ONE, grad, right_at, c_out, count, o - j, columns, packed)
                    right, right_at, right_row = packed, ZERO, columns
                for q in range(0, k, ROWS):
                    n_rows = min(ROWS, k - q)
                    target = sums if whole else scratch
                    to = (group * k + q) * o + j if whole else ZERO
                    row = o if whole else columns
                    indirect_tile(
                        *(source, at, tap_at, q, pixel_at, p, right, right_at, right_row),
                        *(target, to, row, count, n_rows, whole),
                    )
                    if not whole:
                        for i in range(n_rows):
                            for r in range(o - j):
                                sums[(group * k + q + i) * o + j + r] += scratch[i * columns + r]
        line += n_lines
