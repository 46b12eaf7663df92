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
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, parallel_for, split
from . import conv_im2col
from .conv_shared import (
    GRAIN_FLOPS,
    Ending,
    Sizes,
    Watch,
    Window,
    ending,
    images_at_a_time,
    opposite_padding,
    pack_filters,
    watched,
    window_of,
    with_filters,
)
from .gemm import ROWS, pack_rows, store_edge, tile_scratch
from .jit import ONE, ZERO, jit, jit_part
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
    watch: Watch | None = None,
) -> np.ndarray:
    """See ``conv.conv_forward``; and ``conv_shared.Watch``."""
    arguments = weight.shape, stride, padding, dilation, groups
    return with_filters(partial(convolve, watch=watch), x, prepare(weight, groups), bias, *arguments)


prepare = conv_im2col.prepare  # the matrix of filters is the same


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
        convolve(to_channels_last(grad_out), filters, window, groups, grad_x, ending(grad_x))
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
    sums = _WeightSums(x, weight_shape, stride, padding, dilation, groups)
    grad_flat = to_channels_last(grad_out).reshape(-1)
    chunks = split(x.shape[0] * sums.rows, grain=sums.grain)
    totals = sums.zeros(len(chunks))
    parallel_chunks(lambda index, start, stop: sums.adder(totals[index])(start, stop, sums.x, grad_flat), chunks)
    return sums.gradient(totals)


def backward_weight_by_images(
    make_grad: Callable[[int, int, np.ndarray], None],
    x: np.ndarray,
    weight_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """The same for a gradient that is made where it is used: ``make_grad(first, last, out)`` writes that of the images first
    .. last - 1 into out (last - first, *spatial, c_out). It never leaves the cache.
    """
    sums = _WeightSums(x, weight_shape, stride, padding, dilation, groups)
    shape = (sums.window[4], *sums.window[5:7], weight_shape[0])
    images = images_at_a_time(math.prod(shape) * x.itemsize)
    chunks = split(x.shape[0])
    totals = sums.zeros(len(chunks))
    grads = [workspace.empty((images, *shape), x.dtype) for _ in chunks]

    def run(index: int, start: int, stop: int) -> None:
        add, grad = sums.adder(totals[index]), grads[index]
        for first in range(start, stop, images):
            last = min(first + images, stop)
            make_grad(first, last, grad)
            add(0, (last - first) * sums.rows, sums.x[first * sums.size : last * sums.size], grad.reshape(-1))

    parallel_chunks(run, chunks)
    return sums.gradient(totals)


class _WeightSums:
    """What adds up patches.T @ grad_out.

    Attributes
    ----------
    x : the image's numbers, size of them an image. rows : rows of grad_out, an image. grain : rows that are worth a thread.
    """

    def __init__(
        self,
        x: np.ndarray,
        weight_shape: tuple[int, ...],
        stride: Sizes,
        padding: Sizes,
        dilation: Sizes,
        groups: int,
    ):
        c_out, c_per_group, *kernel = weight_shape
        self.weight_shape, self.groups, self.dtype = weight_shape, groups, x.dtype
        self.taps, self.o = math.prod(kernel), c_out // groups
        k = self.taps * c_per_group
        self.window = window_of(x.shape, tuple(kernel), stride, padding, dilation)
        self.x, self.size = to_channels_last(x).reshape(-1), x[:1].size
        self.lines, self.pixel_at, self.tap_at = _tables(self.window, groups, c_out, x.dtype)
        w_out, numbers = self.window[6], self.window[3] + c_out
        self.rows = self.window[4] * self.window[5]
        self.block = min(self.lines * w_out, max(MIN_BLOCK, BAND_BYTES // (numbers * x.itemsize)))
        self.grain = max(self.lines, GRAIN_FLOPS // (2 * w_out * k * c_out))

    def zeros(self, n_chunks: int) -> np.ndarray:
        """Where each chunk adds up."""
        k = self.taps * self.weight_shape[1]
        return workspace.zeros((max(1, n_chunks), self.groups, k, self.o), self.dtype)

    def adder(self, total: np.ndarray) -> Callable[[int, int, np.ndarray, np.ndarray], None]:
        """A function (start, stop, x, grad) that adds rows start .. stop to a chunk's sums, with memory of its own."""
        columns = tile_columns(self.dtype)
        packed, scratch = workspace.empty((self.block * columns,), self.dtype), tile_scratch(self.dtype)
        sizes, band = (self.groups, self.o, columns, self.lines, self.block), _band(self.window, self.lines, self.dtype)
        flat, tables = total.reshape(-1), (self.pixel_at, self.tap_at)
        constants = self.window, sizes, *tables, flat, band, packed, scratch, 0, flat, flat
        return lambda start, stop, x, grad: _run_bands(start, stop, True, x, grad, *constants)

    def gradient(self, totals: np.ndarray) -> np.ndarray:
        """The chunks' sums together, in the shape of the weights."""
        # (chunks, groups, taps * c_per_group, o) -> (groups, taps, c_per_group, o) -> (groups, o, c_per_group, taps)
        summed = totals.sum(axis=0).reshape(self.groups, self.taps, self.weight_shape[1], self.o).transpose(0, 3, 2, 1)
        return workspace.reshaped(workspace.copied(summed, "C"), self.weight_shape)


def convolve(
    x: np.ndarray,
    filters: np.ndarray,
    window: Window,
    groups: int,
    out: np.ndarray,
    end: Ending,
    watch: Watch | None = None,
) -> None:
    """x (n, *spatial, c), filters packed a group -> out (n, *spatial, c_out)."""
    c_out, w_out = out.shape[-1], window[6]
    rows = out.shape[0] * window[4] * window[5]
    dtype = out.dtype
    lines, pixel_at, tap_at = _tables(window, groups, c_out, dtype)
    x_flat, out_flat = x.reshape(-1), out.reshape(-1)
    sizes, nothing = (groups, c_out // groups, tile_columns(dtype), lines, 1), np.empty(0, dtype)

    def run(start: int, stop: int) -> None:
        band, scratch = _band(window, lines, dtype), tile_scratch(dtype)
        arrays = (x_flat, filters.reshape(-1))
        _run_bands(start, stop, False, *arrays, window, sizes, pixel_at, tap_at, out_flat, band, nothing, scratch, *end)

    if watch is None:
        parallel_for(run, rows, grain=max(1, GRAIN_FLOPS // (2 * w_out * tap_at.size * c_out)))
    else:
        watched(watch, out, window, run)


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


@jit_part
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
def _run_bands(
    start, stop, summing, x, other, window, sizes, pixel_at, tap_at, out, band, packed, scratch, ending, bias, added
):  # fmt: skip
    """Rows start .. stop of all the rows of the convolution's result, a band at a time.

    `other` is the filters and `out` the result; or if `summing` the gradient and the sums, out[group] += patches.T @ grad.
    (One call of the register tile for both: it takes longest of all to compile.)
    """
    d, h, w, c, d_out, h_out, w_out, _kd, _kh, _kw, sd, sh, _sw, _pd, _ph, _pw, _dd, _dh, _dw = window
    groups, o, columns, lines, block = sizes
    c_out, k = groups * o, tap_at.size
    filters = other.size // groups
    line = start
    while line < stop:
        image, oz, first = line // (h_out * d_out), line // h_out % d_out, line % h_out
        n_lines = min(lines, stop - line, h_out - first)
        n_pixels = n_lines * w_out
        source, source_at = x, ((image * d + oz * sd) * h + first * sh) * w * c
        if band.size > 0:
            _fill_band(x, image, oz, first, n_lines, window, band)
            source, source_at = band, ZERO
        # Pixels are gone through in blocks of sums, group by group; or by the rows of a tile, for all groups.
        step = block if summing else ROWS
        blocks = (n_pixels + step - 1) // step
        for number in range(groups * blocks):
            group, p = (
                (number // blocks, number % blocks * step) if summing else (number % groups, number // groups * step)
            )
            count = min(step, n_pixels - p)
            at = source_at + group * (c // groups)
            pixels_at = (line * w_out + p) * c_out
            rows_at, steps_at, step_first, depth, height = pixel_at, tap_at, ZERO, k, count
            if summing:
                rows_at, steps_at, step_first, depth, height = tap_at, pixel_at, p, count, k
            for j in range(0, o, columns):
                # A tile is always stored whole: at the right edge into scratch memory, from which it is copied.
                whole = o - j >= columns
                right, right_at, right_row = other, group * filters + j * k, columns
                if summing:
                    right_at, right_row = pixels_at + group * o + j, c_out
                    if not whole:
                        pack_rows(ZERO, ONE, other, right_at, c_out, count, o - j, columns, packed)
                        right, right_at, right_row = packed, ZERO, columns
                onto, end, bias_at = summing and whole, ending if whole else ZERO, group * o + j
                for q in range(0, height, ROWS):
                    n_rows = min(ROWS, height - q)
                    row_first = q if summing else p
                    to = (group * k + q) * o + j if summing else pixels_at + group * o + j
                    row = o if summing else c_out
                    target, t_at, t_row = (out, to, row) if whole else (scratch, ZERO, columns)
                    indirect_tile(
                        *(source, at, rows_at, row_first, steps_at, step_first, right, right_at, right_row),
                        *(target, t_at, t_row, depth, n_rows, onto, end, bias, bias_at, added),
                    )
                    if not whole:
                        shape = n_rows, o - j, columns
                        store_edge(scratch, shape, out, to, row, summing, ending, bias, bias_at, added)
        line += n_lines
