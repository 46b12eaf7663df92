"""Depthwise convolution (groups = c_in = c_out): each channel has one filter of its own, and there is no matrix to multiply.

Channels-last, the filters become rows (taps, c), and each tap adds the product of two rows of c numbers, a vector of
channels at a time (``simd.py``). What is read most are the images, so a vector of a filter is loaded once for a strip of
four pixels, whose sums stay in registers over all taps.

Which taps a pixel has, and where they lie, is looked up in a table for each axis: at the border, those that lie on the
image. So nothing is padded, and the gradient of the input is the same loop with other tables: the pixel y of grad_x was
seen by the window oy through tap i where y = oy s - p + i d, that is for those i for which s divides y + p - i d. With
stride s neighbours see different taps, and every s-th pixel the same: strips are made of these.

The gradient of the weights is, for each tap, a sum over pixels: of a row in registers, then in float64.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, parallel_for, split
from .conv_shared import Sizes, Window, output_shape, window_of
from .jit import jit, jit_part
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical
from .simd import VECTOR_BYTES, lanes, load, load_wide, number, store, widen

GRAIN = 1 << 17  # multiplications below which another thread does not pay


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
    window = window_of(x.shape, weight.shape[2:], stride, padding, dilation)
    out_shape = output_shape(x.shape[0], x.shape[1], window, x.ndim - 2)
    return _convolve(x, weight, bias, window, out_shape, backwards=False)


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
    window = window_of(input_shape, weight.shape[2:], stride, padding, dilation)
    return _convolve(grad_out, weight, None, window, input_shape, backwards=True)


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
    c, _, *kernel = weight_shape
    window = window_of(x.shape, tuple(kernel), stride, padding, dilation)
    x_rows, grad_rows = _wide(to_channels_last(x)), _wide(to_channels_last(grad_out))
    c_wide, size = x_rows.shape[-1], lanes(x.dtype)
    rows, taps, blocks = x.shape[0] * window[4] * window[5], math.prod(kernel), -(-c_wide // size)
    chunks = split(rows, grain=max(1, GRAIN // (window[6] * c * taps + 1)))
    sums = np.zeros((max(1, len(chunks)), taps, blocks * size))
    arrays = grad_rows.reshape(-1), x_rows.reshape(-1)
    parallel_chunks(_sum_products, chunks, *arrays, (*window[:3], c_wide, *window[4:]), sums)
    whole = c_wide - c_wide % size  # behind these, the last block repeats some channels of the one before
    total = np.delete(sums.sum(axis=0), slice(whole, whole + -c_wide % size), axis=1)
    return np.ascontiguousarray(total[:, :c].T, x.dtype).reshape(weight_shape)  # (taps, c) -> (c, 1, *kernel)


class _Taps(NamedTuple):
    """Along one axis: a row (first tap, how many, where the first lies) for each position; steps from tap to tap."""

    table: np.ndarray
    step: int
    source_step: int


@lru_cache(maxsize=512)  # what it returns is shared by all calls: only to be read
def _taps_along(n: int, kernel: int, size: int, stride: int, padding: int, dilation: int, backwards: bool) -> _Taps:
    """The taps through which n positions see a source of `size`, those that lie on it."""
    position, tap = np.arange(n)[:, None], np.arange(kernel)
    step, source_step = 1, dilation
    if backwards:
        seen_from = position + padding - tap * dilation
        source, fits = seen_from // stride, seen_from % stride == 0
        step = stride // math.gcd(stride, dilation)
        source_step = -dilation * step // stride
    else:
        source = position * stride - padding + tap * dilation
        fits = np.ones_like(source, bool)
    fits &= (source >= 0) & (source < size)
    first = fits.argmax(axis=1)
    table = np.stack([first, fits.sum(axis=1), source[position[:, 0], first]], axis=1)
    return _Taps(np.ascontiguousarray(table, np.int64), step, source_step)


def _convolve(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    window: Window,
    out_shape: tuple[int, ...],
    backwards: bool,
) -> np.ndarray:
    """x (n, c, *spatial) -> (n, c, *spatial) of `out_shape`."""
    n, c = out_shape[:2]
    size, size_out = window[:3], window[4:7]
    source, target = (size_out, size) if backwards else (size, size_out)
    axes = [_taps_along(t, k, s, *numbers, backwards) for t, s, k, *numbers in zip(
        target, source, window[7:10], window[10:13], window[13:16], window[16:19], strict=True
    )]  # fmt: skip
    phases, across = (window[12], 1) if backwards else (1, window[12])
    x_rows = _wide(to_channels_last(x))
    c_wide = x_rows.shape[-1]
    filters = _wide(np.ascontiguousarray(weight.reshape(c, -1).T))  # (c, 1, *kernel) -> (taps, c)
    start = _wide(np.zeros(c, x.dtype) if bias is None else contiguous(bias))
    out = empty_channels_last((n, c_wide, *out_shape[2:]), x.dtype)
    steps = tuple(number for axis in axes for number in (axis.step, axis.source_step))
    sizes = (*source, c_wide, *target, *window[8:10], phases, across)
    taps_z, taps_y, taps_x = (axis.table for axis in axes)
    arrays = x_rows.reshape(-1), filters.reshape(-1), start, sizes, steps, taps_z, taps_y, taps_x
    taps, out_flat = len(filters), out.reshape(-1)

    def run(first: int, last: int) -> None:
        _sum_taps(first, last, *arrays, np.empty((2, taps), np.int64), out_flat)

    parallel_for(run, n * target[0] * target[1], grain=max(1, GRAIN // (target[2] * filters.size + 1)))
    return to_logical(out if c_wide == c else contiguous(out[..., :c]))


def _wide(rows: np.ndarray) -> np.ndarray:
    """(..., c) with zeros in further channels where c does not fill a vector."""
    c, size = rows.shape[-1], lanes(rows.dtype)
    if c >= size:
        return rows
    wide = workspace.zeros((*rows.shape[:-1], size), rows.dtype)
    wide[..., :c] = rows
    return wide


@jit
def _sum_taps(start, stop, x, filters, bias, sizes, steps, taps_z, taps_y, taps_x, places, out):
    """Rows start .. stop of all the rows of out (n, d_out, h_out, w_out, c)."""
    d, h, w, c, d_out, h_out, w_out, kh, kw, phases, across = sizes
    lanes = VECTOR_BYTES // x.itemsize
    next_pixel, next_out = across * c, phases * c
    for row in range(start, stop):
        image, oz, oy = row // (h_out * d_out), row // h_out % d_out, row % h_out
        for phase in range(min(phases, w_out)):
            ox = phase
            while ox < w_out:
                # Pixels with the same taps, ox .. end: where these lie from the first one on is noted once.
                end = ox
                while end < w_out and taps_x[end, 0] == taps_x[ox, 0] and taps_x[end, 1] == taps_x[ox, 1]:
                    end += phases
                n_taps = _note_places(image, taps_z[oz], taps_y[oy], taps_x[ox], d, h, w, c, kh, kw, steps, places)
                count = (end - ox) // phases
                p = 0
                while p < count:
                    strip = count >= 4
                    first = min(p, count - 4) if strip else p  # the last strip overlaps the one before
                    shift, out_at = first * next_pixel, (row * w_out + ox) * c + first * next_out
                    for block in range(0, c, lanes):
                        q = min(block, c - lanes)
                        sum_0 = load(bias, q)
                        if strip:
                            sum_1, sum_2, sum_3 = sum_0, sum_0, sum_0
                            for t in range(n_taps):
                                factor, at = load(filters, places[0, t] + q), places[1, t] + shift + q
                                sum_0 = sum_0 + load(x, at) * factor
                                sum_1 = sum_1 + load(x, at + next_pixel) * factor
                                sum_2 = sum_2 + load(x, at + 2 * next_pixel) * factor
                                sum_3 = sum_3 + load(x, at + 3 * next_pixel) * factor
                            store(out, out_at + next_out + q, sum_1)
                            store(out, out_at + 2 * next_out + q, sum_2)
                            store(out, out_at + 3 * next_out + q, sum_3)
                        else:
                            for t in range(n_taps):
                                sum_0 = sum_0 + load(x, places[1, t] + shift + q) * load(filters, places[0, t] + q)
                        store(out, out_at + q, sum_0)
                    p = first + 4 if strip else p + 1
                ox = end


@jit_part
def _note_places(image, in_z, in_y, in_x, d, h, w, c, kh, kw, steps, places):
    """Where the taps of a pixel lie, in the filters and in the images: places[0] and [1]. How many there are."""
    step_z, source_z, step_y, source_y, step_x, source_x = steps
    n_taps = 0
    for k in range(in_z[1]):
        for i in range(in_y[1]):
            tap = (in_z[0] + k * step_z) * kh + in_y[0] + i * step_y
            line = ((image * d + in_z[2] + k * source_z) * h + in_y[2] + i * source_y) * w
            for j in range(in_x[1]):
                places[0, n_taps] = (tap * kw + in_x[0] + j * step_x) * c
                places[1, n_taps] = (line + in_x[2] + j * source_x) * c
                n_taps += 1
    return n_taps


@jit
def _sum_products(index, start, stop, grad, x, window, sums):
    """sums[index, t] = sum over output rows start .. stop of grad * (x at tap t): a row in float32, rows in float64."""
    d, h, w, c, d_out, h_out, w_out, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = window
    lanes = VECTOR_BYTES // x.itemsize
    blocks = (c + lanes - 1) // lanes
    for row in range(start, stop):
        image, oz, oy = row // (h_out * d_out), row // h_out % d_out, row % h_out
        for line in range(kd * kh):  # rows of taps
            z = oz * sd - pd + line // kh * dd
            y = oy * sh - ph + line % kh * dh
            if not (0 <= z < d and 0 <= y < h):
                continue
            for j in range(kw):
                offset = j * dw - pw
                first = min(max(0, (sw - 1 - offset) // sw), w_out)  # the positions that see the tap on the image
                last = max(first, min(w_out, (w - 1 - offset) // sw + 1))
                x_first = (((image * d + z) * h + y) * w + first * sw + offset) * c
                grad_first = (row * w_out + first) * c
                for block in range(blocks):
                    q = min(block * lanes, c - lanes)
                    grad_at, x_at = grad_first + q, x_first + q
                    zero = number(0, load(grad, q))
                    sum_0, sum_1, sum_2, sum_3 = zero, zero, zero, zero
                    ox = first
                    while ox + 4 <= last:
                        sum_0 = sum_0 + load(grad, grad_at) * load(x, x_at)
                        sum_1 = sum_1 + load(grad, grad_at + c) * load(x, x_at + sw * c)
                        sum_2 = sum_2 + load(grad, grad_at + 2 * c) * load(x, x_at + 2 * sw * c)
                        sum_3 = sum_3 + load(grad, grad_at + 3 * c) * load(x, x_at + 3 * sw * c)
                        grad_at += 4 * c
                        x_at += 4 * sw * c
                        ox += 4
                    while ox < last:
                        sum_0 = sum_0 + load(grad, grad_at) * load(x, x_at)
                        grad_at += c
                        x_at += sw * c
                        ox += 1
                    total = widen((sum_0 + sum_1) + (sum_2 + sum_3))
                    at = ((index * kd * kh + line) * kw + j) * blocks * lanes + block * lanes
                    store(sums, at, load_wide(sums, at, total) + total)
