"""Convolutions of few channels (an image's three colours), ready to be made many times.

The first layer of a network has the largest images and the shortest sums, 3x3x3 say. A strip of neighbouring results is
summed up in registers, one vector of output channels wide:

    out[p, :] = f(sum_t band[p * sw * c + tap_at[t]] * filters[t, :] + bias)       t: row, column and channel of the window

Each step loads one vector of the filter and spreads one number of the image for each of the strip's pixels. The rows of the
image under a row of results lie in scratch memory, between zeros. A strip's channels lie next to each other in the result;
so once all are there, the activation is applied, in the first-level cache.
"""

import numpy as np

from ..launch import Launch
from .conv_shared import GRAIN_FLOPS, Window
from .finish import finish, finishing
from .jit import ZERO, jit_allocating, launch
from .memory import clear, copy
from .scratch import aligned
from .simd import VECTOR_BYTES, lanes, load, spread_from, store
from .standing_depthwise import by_block

STRIP = 14  # as many sums as keep two units for multiply-adds busy, with registers to spare
MOST_CHANNELS, MOST_TAPS = 4, 256  # a block's filters stay in the first-level cache


def is_stem(window: Window, c_out: int, dtype: np.dtype) -> bool:
    """Whether the strips pay: of an image (depth 1) with few channels."""
    c, kh, kw = window[3], window[8], window[9]
    return c <= MOST_CHANNELS and c * kh * kw <= MOST_TAPS and c_out >= lanes(dtype)


def stem_launches(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    window: Window,
    images: int,
    activation: str,
    numbers: tuple[float, ...],
    out: np.ndarray,
    kept: dict,
) -> list[Launch]:
    """x and out flat, (n, h, w, c); weight (c_out, c, kh, kw); the window of one image."""
    w, c, h_out, w_out, kh, kw, sw, pw, dw = (window[i] for i in (2, 3, 5, 6, 8, 9, 12, 15, 18))
    c_out, size = weight.shape[0], lanes(out.dtype)
    if "filters" not in kept:
        kept["filters"], kept["bias"] = by_block(weight.transpose(0, 2, 3, 1), bias, size)  # (c_out, kh, kw, c)
    # A strip at the right edge may reach beyond the padding: it reads zeros there, and its results are not stored.
    strips = -(-w_out // STRIP)
    row = max(w + 2 * pw, (strips * STRIP - 1) * sw + (kw - 1) * dw + 1) * c
    tap_at = np.add.outer(np.add.outer(np.arange(kh) * row, np.arange(kw) * dw * c), np.arange(c)).reshape(-1)
    arrays = x, kept["filters"], kept["bias"], window, (c_out, row), tap_at.astype(np.int64)
    grain = max(1, GRAIN_FLOPS // (2 * w_out * c_out * tap_at.size))
    return [launch(_rows, images * h_out, *arrays, finishing(activation, numbers, out.dtype), out, grain=grain)]


@jit_allocating
def _rows(start, stop, x, filters, bias, window, sizes, tap_at, how, out):
    """Rows start .. stop of the results of all images."""
    _, h, w, c, _, h_out, w_out, _, kh, _, _, sh, sw, _, ph, pw, _, dh, _ = window
    c_out, row = sizes
    lanes, taps, step = VECTOR_BYTES // x.itemsize, tap_at.size, sw * c
    sums, band, nothing = aligned(14 * lanes, x), np.zeros(kh * row, x.dtype), x[:0]
    for line in range(start, stop):
        image, first = line // h_out, line % h_out * sh - ph
        for i in range(kh):
            y = first + i * dh
            if 0 <= y < h:
                copy(x, (image * h + y) * w * c, band, i * row + pw * c, w * c)
            else:
                clear(band, i * row + pw * c, w * c)
        for left in range(0, w_out, 14):
            n_pixels, to = min(14, w_out - left), (line * w_out + left) * c_out
            for block in range((c_out + lanes - 1) // lanes):
                at, filter_at = left * step, block * taps * lanes
                sum_0 = load(bias, block * lanes)
                sum_1, sum_2, sum_3, sum_4, sum_5, sum_6 = sum_0, sum_0, sum_0, sum_0, sum_0, sum_0
                sum_7, sum_8, sum_9, sum_10, sum_11, sum_12, sum_13 = sum_0, sum_0, sum_0, sum_0, sum_0, sum_0, sum_0
                for t in range(taps):
                    factor, here = load(filters, filter_at + t * lanes), at + tap_at[t]
                    sum_0 = sum_0 + spread_from(band, here) * factor
                    sum_1 = sum_1 + spread_from(band, here + step) * factor
                    sum_2 = sum_2 + spread_from(band, here + 2 * step) * factor
                    sum_3 = sum_3 + spread_from(band, here + 3 * step) * factor
                    sum_4 = sum_4 + spread_from(band, here + 4 * step) * factor
                    sum_5 = sum_5 + spread_from(band, here + 5 * step) * factor
                    sum_6 = sum_6 + spread_from(band, here + 6 * step) * factor
                    sum_7 = sum_7 + spread_from(band, here + 7 * step) * factor
                    sum_8 = sum_8 + spread_from(band, here + 8 * step) * factor
                    sum_9 = sum_9 + spread_from(band, here + 9 * step) * factor
                    sum_10 = sum_10 + spread_from(band, here + 10 * step) * factor
                    sum_11 = sum_11 + spread_from(band, here + 11 * step) * factor
                    sum_12 = sum_12 + spread_from(band, here + 12 * step) * factor
                    sum_13 = sum_13 + spread_from(band, here + 13 * step) * factor
                store(sums, ZERO, sum_0)
                store(sums, lanes, sum_1)
                store(sums, 2 * lanes, sum_2)
                store(sums, 3 * lanes, sum_3)
                store(sums, 4 * lanes, sum_4)
                store(sums, 5 * lanes, sum_5)
                store(sums, 6 * lanes, sum_6)
                store(sums, 7 * lanes, sum_7)
                store(sums, 8 * lanes, sum_8)
                store(sums, 9 * lanes, sum_9)
                store(sums, 10 * lanes, sum_10)
                store(sums, 11 * lanes, sum_11)
                store(sums, 12 * lanes, sum_12)
                store(sums, 13 * lanes, sum_13)
                q = min(block * lanes, c_out - lanes)
                for p in range(n_pixels):
                    store(out, to + p * c_out + q, load(sums, p * lanes))
            finish(out, to, n_pixels * c_out, nothing, ZERO, how)
