"""Max and average pooling: the loops of ``pooling.py`` for at least as many channels as a vector has lanes.

What is compared or summed over a window stays in registers, a vector of channels at a time (``simd.py``). A few windows
are taken together for one vector of channels after the other, so that memory is still read and written nearly in order.
(Numbers from the tables are put into variables early: the compiler must expect every store to change an array.)
"""

import numpy as np

from .channels import TILE
from .jit import jit
from .simd import VECTOR_BYTES, integer, load, number, store, where

FOUR = 4  # vectors taken side by side


@jit
def max_rows(start, stop, x, starts, counts, steps, out, places):
    """Rows start .. stop of all the rows of out (n, d_out, h_out, w_out, c)."""
    _, d, h, w, c = x.shape
    _, d_out, h_out, w_out, _ = out.shape
    lanes, width = VECTOR_BYTES // x.itemsize, max(1, TILE // c)
    for row in range(start, stop):
        image, oz, oy = row // (d_out * h_out), row // h_out % d_out, row % h_out
        front, n_z, top, n_y = starts[0][oz], counts[0][oz], starts[1][oy], counts[1][oy]
        for tile in range(0, w_out, width):
            for block in range(0, c, lanes):
                channel = min(block, c - lanes)
                lowest = number(-np.inf, load(x, channel))
                for ox in range(tile, min(tile + width, w_out)):
                    left, n_x = starts[2][ox], counts[2][ox]
                    first = (front * h + top) * w + left if n_z * n_y * n_x > 0 else -1
                    best, winner = lowest, integer(first, lowest)
                    for i in range(n_z):
                        for j in range(n_y):
                            place = ((front + i * steps[0]) * h + top + j * steps[1]) * w + left
                            for _ in range(n_x):
                                value = load(x, (image * d * h * w + place) * c + channel)
                                wins = (value > best) | (value != value)  # larger, or a NaN
                                best, winner = where(wins, value, best), where(wins, integer(place, best), winner)
                                place += steps[2]
                    at = (row * w_out + ox) * c + channel
                    store(out, at, best)
                    store(places, at, winner)


@jit
def avg_rows(start, stop, x, starts, counts, divisors, out):
    """Rows start .. stop of all the rows of out (n, d_out, h_out, w_out, c)."""
    _, d, h, w, c = x.shape
    _, d_out, h_out, w_out, _ = out.shape
    lanes, width = VECTOR_BYTES // x.itemsize, max(1, TILE // c)
    for row in range(start, stop):
        image, oz, oy = row // (d_out * h_out), row // h_out % d_out, row % h_out
        front, n_z, top, n_y = starts[0][oz], counts[0][oz], starts[1][oy], counts[1][oy]
        for tile in range(0, w_out, width):
            for block in range(0, c, lanes):
                channel = min(block, c - lanes)
                zero = number(0, load(x, channel))
                for ox in range(tile, min(tile + width, w_out)):
                    left, n_x = starts[2][ox], counts[2][ox]
                    total = zero
                    for z in range(front, front + n_z):
                        for y in range(top, top + n_y):
                            at = (((image * d + z) * h + y) * w + left) * c + channel
                            line = zero
                            for k in range(n_x):
                                line = line + load(x, at + k * c)
                            total = total + line
                    divisor = number(divisors[0][oz] * divisors[1][oy] * divisors[2][ox], zero)
                    store(out, (row * w_out + ox) * c + channel, total / divisor)


@jit
def avg_large_rows(start, stop, x, starts, counts, divisors, out):
    """The same for windows of many places and at least FOUR vectors of channels: these are summed side by side, so that no
    addition waits for the one before, and memory is read in longer runs.
    """
    _, d, h, w, c = x.shape
    _, d_out, h_out, w_out, _ = out.shape
    lanes = VECTOR_BYTES // x.itemsize
    for row in range(start, stop):
        image, oz, oy = row // (d_out * h_out), row // h_out % d_out, row % h_out
        front, n_z, top, n_y = starts[0][oz], counts[0][oz], starts[1][oy], counts[1][oy]
        for ox in range(w_out):
            left, n_x = starts[2][ox], counts[2][ox]
            for block in range(0, c, FOUR * lanes):
                channel = min(block, c - FOUR * lanes)
                zero = number(0, load(x, channel))
                total_0, total_1, total_2, total_3 = zero, zero, zero, zero
                for z in range(front, front + n_z):
                    for y in range(top, top + n_y):
                        at = (((image * d + z) * h + y) * w + left) * c + channel
                        line_0, line_1, line_2, line_3 = zero, zero, zero, zero
                        for _ in range(n_x):
                            line_0 = line_0 + load(x, at)
                            line_1 = line_1 + load(x, at + lanes)
                            line_2 = line_2 + load(x, at + 2 * lanes)
                            line_3 = line_3 + load(x, at + 3 * lanes)
                            at += c
                        total_0, total_1 = total_0 + line_0, total_1 + line_1
                        total_2, total_3 = total_2 + line_2, total_3 + line_3
                divisor = number(divisors[0][oz] * divisors[1][oy] * divisors[2][ox], zero)
                at = (row * w_out + ox) * c + channel
                store(out, at, total_0 / divisor)
                store(out, at + lanes, total_1 / divisor)
                store(out, at + 2 * lanes, total_2 / divisor)
                store(out, at + 3 * lanes, total_3 / divisor)


@jit
def avg_gradient(start, stop, shares, firsts, stops, grad_x):
    """Rows start .. stop of all the rows of grad_x (n, d, h, w, c)."""
    _, d, h, w, c = grad_x.shape
    _, d_out, h_out, w_out, _ = shares.shape
    lanes, width = VECTOR_BYTES // grad_x.itemsize, max(1, TILE // c)
    for row in range(start, stop):
        image, z, y = row // (d * h), row // h % d, row % h
        first_z, stop_z, first_y, stop_y = firsts[0][z], stops[0][z], firsts[1][y], stops[1][y]
        alone = stop_z - first_z == 1 and stop_y - first_y == 1
        for tile in range(0, w, width):
            for block in range(0, c, lanes):
                channel = min(block, c - lanes)
                zero = number(0, load(grad_x, channel))
                for left in range(tile, min(tile + width, w)):
                    first_x, stop_x = firsts[2][left], stops[2][left]
                    if alone and stop_x - first_x == 1:  # by far the most frequent case, and as fast as can be
                        line = ((image * d_out + first_z) * h_out + first_y) * w_out
                        total = load(shares, (line + first_x) * c + channel)
                    else:
                        total = zero
                        for oz in range(first_z, stop_z):
                            for oy in range(first_y, stop_y):
                                line = ((image * d_out + oz) * h_out + oy) * w_out
                                for ox in range(first_x, stop_x):
                                    total = total + load(shares, (line + ox) * c + channel)
                    store(grad_x, (row * w + left) * c + channel, total)
