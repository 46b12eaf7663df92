"""Batch norm + ReLU + max-pooling: the loops, for windows of every kind. (``pool_quarters.py`` has those for 2x2.)

Rows of windows, or of the image in ``pool_gradient``, are shared out among the threads; a vector of channels at a time.
``fused.py`` says what is computed; arrays are (n, h, w, c).
"""

import numpy as np

from .channels import TILE
from .jit import jit, jit_allocating, jit_part
from .simd import VECTOR_BYTES, integer, load, load_integers, load_wide, number, store, where, widen


@jit_part
def _inside(origin, step, count, size):
    """Which of origin, origin + step, ... (count of them) lie in 0 .. size - 1: from number first to before stop."""
    first = 0 if origin >= 0 else (step - 1 - origin) // step
    stop = count if origin + (count - 1) * step < size else (size - origin + step - 1) // step
    return first, stop


@jit
def pool_rows(start, stop, x, window, mean, slope, bias, out, saved):
    """Rows start .. stop of all the rows of out (n, h_out, w_out, c)."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w, _ = x.shape
    _, h_out, w_out, c = out.shape
    lanes, width = VECTOR_BYTES // x.itemsize, max(1, TILE // c)
    for row in range(start, stop):
        image, oy = row // h_out, row % h_out
        top = oy * sh - ph
        first_i, stop_i = _inside(top, dh, kh, h)
        for tile in range(0, w_out, width):
            for block in range(0, c, lanes):
                j = min(block, c - lanes)
                centre, factor, shift = load(mean, j), load(slope, j), load(bias, j)
                zero, lowest, nobody = number(0, centre), number(-np.inf, centre), integer(kh * kw, centre)
                for ox in range(tile, min(tile + width, w_out)):
                    left = ox * sw - pw
                    first_j, stop_j = _inside(left, dw, kw, w)
                    best, winner = lowest, nobody
                    for i in range(first_i, stop_i):
                        line = ((image * h + top + i * dh) * w + left) * c + j
                        for tap in range(first_j, stop_j):
                            y = (load(x, line + tap * dw * c) - centre) * factor + shift
                            wins = (y > best) | (y != y)  # larger, or a NaN
                            best = where(wins, y, best)
                            winner = where(wins, integer(i * kw + tap, centre), winner)
                    at = (row * w_out + ox) * c + j
                    store(saved, at, where(best <= zero, nobody, winner))
                    if first_i < stop_i and first_j < stop_j:
                        store(out, at, where(best <= zero, zero, best))
                    else:  # a dilated window that lies around a tiny image: the largest of nothing
                        store(out, at, lowest)


@jit
def sum_winners(index, start, stop, grad, saved, x, window, mean, sums):
    """sums[index] = sums over rows start .. stop of windows of grad and grad * (the x that won - mean)."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w, _ = x.shape
    _, h_out, w_out, c = grad.shape
    lanes, width = VECTOR_BYTES // x.itemsize, max(1, TILE // c)
    for row in range(start, stop):
        image, oy = row // h_out, row % h_out
        top = oy * sh - ph
        first_i, stop_i = _inside(top, dh, kh, h)
        for tile in range(0, w_out, width):
            for block in range(0, c, lanes):
                j = min(block, c - lanes)
                centre = load(mean, j)
                zero, nobody = number(0, centre), integer(kh * kw, centre)
                at_g = 2 * index * sums.shape[2] + block
                at_gd = at_g + sums.shape[2]
                sum_g, sum_gd = load_wide(sums, at_g, centre), load_wide(sums, at_gd, centre)
                for ox in range(tile, min(tile + width, w_out)):
                    left = ox * sw - pw
                    first_j, stop_j = _inside(left, dw, kw, w)
                    at = (row * w_out + ox) * c + j
                    winner = load_integers(saved, at, centre)
                    value = centre
                    for i in range(first_i, stop_i):
                        line = ((image * h + top + i * dh) * w + left) * c + j
                        for tap in range(first_j, stop_j):
                            won = winner == integer(i * kw + tap, centre)
                            value = where(won, load(x, line + tap * dw * c), value)
                    g = widen(where(winner == nobody, zero, load(grad, at)))
                    sum_g = sum_g + g
                    sum_gd = sum_gd + g * widen(value - centre)
                store(sums, at_g, sum_g)
                store(sums, at_gd, sum_gd)


@jit_allocating
def pool_gradient(start, stop, grad, saved, x, window, mean, slope, mean_grad, tilt, grad_x):
    """Rows start .. stop of all the rows of grad_x (n, h, w, c): slope * (g - mean_grad - (x - mean) * tilt).

    g is the sum of the gradients of the windows that the pixel won.
    """
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w, _ = x.shape
    _, h_out, w_out, c = grad.shape
    lanes, width = VECTOR_BYTES // x.itemsize, max(1, TILE // c)
    n_above, above, above_tap = _windows_over(h, kh, sh, ph, dh, h_out)
    n_across, across, across_tap = _windows_over(w, kw, sw, pw, dw, w_out)
    for row in range(start, stop):
        image, y = row // h, row % h
        line, line_tap = (image * h_out + above[y * kh]) * w_out, above_tap[y * kh] * kw
        for tile in range(0, w, width):
            for block in range(0, c, lanes):
                j = min(block, c - lanes)
                centre, factor, shift, steep = load(mean, j), load(slope, j), load(mean_grad, j), load(tilt, j)
                zero = number(0, centre)
                for z in range(tile, min(tile + width, w)):
                    if n_above[y] == 1 and n_across[z] == 1:  # by far the most frequent case, and as fast as can be
                        place = (line + across[z * kw]) * c + j
                        won = load_integers(saved, place, centre) == integer(line_tap + across_tap[z * kw], centre)
                        g = where(won, load(grad, place), zero)
                    else:
                        g = zero
                        for a in range(y * kh, y * kh + n_above[y]):
                            for b in range(z * kw, z * kw + n_across[z]):
                                place = ((image * h_out + above[a]) * w_out + across[b]) * c + j
                                tap = integer(above_tap[a] * kw + across_tap[b], centre)
                                won = load_integers(saved, place, centre) == tap
                                g = g + where(won, load(grad, place), zero)
                    at = (row * w + z) * c + j
                    store(grad_x, at, factor * (g - shift - (load(x, at) - centre) * steep))


@jit_allocating
def _windows_over(size, count, stride, padding, dilation, n_out):
    """Along one axis: how many windows see each place, and which with which tap, (size,) and twice (size * count,)."""
    n_over = np.zeros(size, np.int64)
    windows, taps = np.zeros(size * count, np.int64), np.zeros(size * count, np.int64)
    for window in range(n_out):
        for tap in range(count):
            place = window * stride - padding + tap * dilation
            if 0 <= place < size:
                at = place * count + n_over[place]
                windows[at], taps[at] = window, tap
                n_over[place] += 1
    return n_over, windows, taps
