"""Depthwise convolution, ready to be made many times (for one call see ``conv_depthwise.py``).

A tile, some channels wide and some pixels, goes down the image. The rows of the image under one row of windows lie in
scratch memory, as a ring that stays in the first-level cache: as the windows move on, the next rows take the places of those
that are left behind. There every load is aligned, and around the rows there are zeros, so nothing asks where the image ends.
With a horizontal stride s the pixels 0, s, 2 s, ... of a row come first, then 1, s + 1, ...: so the inputs of neighbouring
results are neighbours, whatever the stride. Seven of these are summed up in registers (7 divides the 7, 14, 28, 56 and 112
pixels of common networks); each number of the filter is loaded once for them. Finished rows lie in scratch memory as well,
where the activation is applied. The image is read, and the result written, many channels at a time: in runs, as memory
likes it.
"""

import numpy as np

from ..launch import Launch
from ..threads import get_num_threads
from .conv_shared import Window
from .finish import finish, finishing
from .jit import ZERO, jit_allocating, jit_part, launch
from .layout import contiguous
from .memory import clear
from .scratch import aligned
from .simd import VECTOR_BYTES, lanes, load, prefetch, store

STRIP = 7
RING_BYTES = 28 * 1024  # the rest of a first-level cache is for finished rows and what passes through
GROUP = 8  # vectors of channels that a tile is wide, if there are
AHEAD = 2  # rows of the image that are asked for before they are due: their runs are too short for a processor to see
GRAIN = 1 << 17  # multiplications below which another thread does not pay


def depthwise_launches(
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
    """x and out flat, (n, h, w, c); weight (c, 1, kh, kw); the window of one image."""
    c, size = window[3], lanes(out.dtype)
    h_out, w_out, kh, kw, sw, dh, dw = (window[i] for i in (5, 6, 8, 9, 12, 17, 18))
    blocks, height, reach = -(-c // size), (kh - 1) * dh + 1, (kw - 1) * dw // sw + 1
    group = -(-blocks // -(-blocks // GROUP))
    most = RING_BYTES // (height * group * VECTOR_BYTES * sw) - reach
    strips = max(1, min(-(-w_out // STRIP), most // STRIP))
    tiles = -(-w_out // (strips * STRIP))
    strips = -(-w_out // (tiles * STRIP))
    phase = strips * STRIP + reach  # pixels of a row that belong to one remainder of the stride
    row, lines = phase * sw, h_out  # lines of the result that are computed in one go
    groups = -(-blocks // group)
    while lines > 1 and images * tiles * groups * -(-h_out // lines) < 2 * get_num_threads() > 2:
        lines = (lines + 1) // 2
    if "filters" not in kept:
        kept["filters"], kept["bias"] = by_block(weight, bias, size)
    across, slots = np.arange(kw) * dw, np.arange(height)[:, None, None]
    # Where the taps of pixel 0 lie, if the ring's top row is in slot 0, 1, ...: (slots, kh, kw) -> (slots, taps)
    tap_at = (slots + (np.arange(kh) * dh)[:, None]) % height * row + across % sw * phase + across // sw
    sizes = (blocks, group, lines, tiles, strips, phase)
    items = images * -(-h_out // lines) * tiles * groups
    arrays = x, kept["filters"], kept["bias"], window, sizes, (tap_at.reshape(height, -1) * size).astype(np.int64)
    grain = max(1, GRAIN // (lines * strips * STRIP * kh * kw * group * size))
    return [launch(_tiles, items, *arrays, finishing(activation, numbers, out.dtype), out, grain=grain)]


def by_block(weight: np.ndarray, bias: np.ndarray | None, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The filters as (blocks, taps, size) and the bias as (blocks, size), flat; the last block overlaps the one before."""
    c = weight.shape[0]
    filters = weight.reshape(c, -1)
    bias = np.zeros(c, weight.dtype) if bias is None else bias
    firsts = [min(first, c - size) for first in range(0, c, size)]
    return (
        np.concatenate([filters[q : q + size].T.reshape(-1) for q in firsts]),
        contiguous(np.concatenate([bias[q : q + size] for q in firsts])),
    )


@jit_allocating
def _tiles(start, stop, x, filters, bias, window, sizes, tap_at, how, out):
    """Items start .. stop: (image, some rows of the result, some pixels of a row, some vectors of channels)."""
    _, h, w, c, _, h_out, w_out, _, _, _, _, sh, sw, _, ph, pw, _, _, _ = window
    blocks, group, lines, tiles, strips, phase = sizes
    lanes = VECTOR_BYTES // x.itemsize
    height, taps = tap_at.shape
    row, width, groups = phase * sw * lanes, strips * 7 * lanes, (blocks + group - 1) // group
    ring, sums = aligned(group * height * row, x), aligned(group * width, x)
    nothing = x[:0]
    for item in range(start, stop):
        first_block, tile = item % groups * group, item // groups % tiles
        part = item // (groups * tiles)
        parts = (h_out + lines - 1) // lines
        image, part = part // parts, part % parts
        n_blocks, left = min(group, blocks - first_block), tile * strips * 7
        n_pixels = min(strips * 7, w_out - left)
        y = part * lines * sh - ph  # the next row of the image to come into the ring, at its slot
        slot = 0
        for line in range(part * lines, min((part + 1) * lines, h_out)):
            while y < line * sh - ph + height:
                source = (image * h + y) * w * c
                place = left * sw - pw, w, c, sw, phase, first_block, n_blocks, height * row
                _fill_row(x, source, 0 <= y < h, place, ring, slot * row)
                y += 1
                slot = slot + 1 if slot + 1 < height else 0
            top = slot  # what came in last is the lowest row, so the next slot has the highest
            for block in range(n_blocks):
                filter_at = (first_block + block) * taps * lanes
                for strip in range(strips):
                    at = block * height * row + strip * 7 * lanes
                    sum_0 = load(bias, (first_block + block) * lanes)
                    sum_1, sum_2, sum_3, sum_4, sum_5, sum_6 = sum_0, sum_0, sum_0, sum_0, sum_0, sum_0
                    for t in range(taps):
                        factor, here = load(filters, filter_at + t * lanes), at + tap_at[top, t]
                        sum_0 = sum_0 + load(ring, here) * factor
                        sum_1 = sum_1 + load(ring, here + lanes) * factor
                        sum_2 = sum_2 + load(ring, here + 2 * lanes) * factor
                        sum_3 = sum_3 + load(ring, here + 3 * lanes) * factor
                        sum_4 = sum_4 + load(ring, here + 4 * lanes) * factor
                        sum_5 = sum_5 + load(ring, here + 5 * lanes) * factor
                        sum_6 = sum_6 + load(ring, here + 6 * lanes) * factor
                    to = block * width + strip * 7 * lanes
                    store(sums, to, sum_0)
                    store(sums, to + lanes, sum_1)
                    store(sums, to + 2 * lanes, sum_2)
                    store(sums, to + 3 * lanes, sum_3)
                    store(sums, to + 4 * lanes, sum_4)
                    store(sums, to + 5 * lanes, sum_5)
                    store(sums, to + 6 * lanes, sum_6)
            finish(sums, ZERO, n_blocks * width, nothing, ZERO, how)
            to = ((image * h_out + line) * w_out + left) * c
            for p in range(n_pixels):
                for block in range(n_blocks):
                    q = min((first_block + block) * lanes, c - lanes)
                    store(out, to + p * c + q, load(sums, block * width + p * lanes))


@jit_part
def _fill_row(x, x_at, there, place, ring, at):
    """A row of the image between zeros: pixel left + p goes to place p % sw * phase + p // sw. Zeros where none is there."""
    left, w, c, sw, phase, first_block, n_blocks, block_step = place
    lanes = VECTOR_BYTES // x.itemsize
    for rest in range(sw):
        first = min(phase, max(0, (sw - 1 - left - rest) // sw))  # of the places: those on the image
        last = max(first, min(phase, (w - left - rest + sw - 1) // sw))
        if not there:
            first, last = 0, 0
        row, source = at + rest * phase * lanes, x_at + ((first * sw + rest) + left) * c
        for block in range(n_blocks):
            clear(ring, row + block * block_step, first * lanes)
            clear(ring, row + block * block_step + last * lanes, (phase - last) * lanes)
        for i in range(last - first):
            for block in range(n_blocks):
                q = min((first_block + block) * lanes, c - lanes)
                here = source + i * sw * c + q
                store(ring, row + block * block_step + (first + i) * lanes, load(x, here))
                prefetch(x, here + AHEAD * w * c)
