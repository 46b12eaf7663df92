"""Batch norm + ReLU + max-pooling over 2x2 windows, side by side: the loops of ``pool_windows.py`` for the window that
nearly every network uses.

Knowing the window, a kernel needs no inner loops, and each pixel belongs to one window at most: the gradient is written
window by window, reading every number once. What is left over where a side is odd, a last row or column that no window
sees, takes part in the statistics alone. Measured on an AVX-512 core beside the general loops: forward 1.6 to 2, sums 3,
gradient 2 times faster.
"""

import numpy as np

from .channels import TILE
from .jit import jit
from .simd import VECTOR_BYTES, integer, load, load_integers, load_wide, number, store, where, widen


def fits(window: tuple[int, ...], ceil_mode: bool, height: int, width: int) -> bool:
    """Whether the windows are 2x2, side by side and all inside the image."""
    return window == (2, 2, 2, 2, 0, 0, 1, 1) and not (ceil_mode and (height % 2 or width % 2))


@jit
def pool_rows(start, stop, x, window, mean, slope, bias, out, saved):
    """Rows start .. stop of all the rows of out (n, h_out, w_out, c)."""
    _, h, w, _ = x.shape
    _, h_out, w_out, c = out.shape
    lanes, width = VECTOR_BYTES // x.itemsize, max(1, TILE // c)
    for row in range(start, stop):
        line = row // h_out * h + row % h_out * 2
        for tile in range(0, w_out, width):
            for block in range(0, c, lanes):
                j = min(block, c - lanes)
                centre, factor, shift = load(mean, j), load(slope, j), load(bias, j)
                zero, nobody = number(0, centre), integer(4, centre)
                for ox in range(tile, min(tile + width, w_out)):
                    place = (line * w + 2 * ox) * c + j
                    best, winner = (load(x, place) - centre) * factor + shift, integer(0, centre)
                    for tap in range(1, 4):  # the larger, or the last NaN
                        y = (load(x, place + (tap // 2 * w + tap % 2) * c) - centre) * factor + shift
                        wins = (y > best) | (y != y)
                        best, winner = where(wins, y, best), where(wins, integer(tap, centre), winner)
                    at = (row * w_out + ox) * c + j
                    store(saved, at, where(best <= zero, nobody, winner))
                    store(out, at, where(best <= zero, zero, best))


@jit
def sum_winners(index, start, stop, grad, saved, x, window, mean, sums):
    """sums[index] = sums over rows start .. stop of windows of grad and grad * (the x that won - mean)."""
    _, h, w, _ = x.shape
    _, h_out, w_out, c = grad.shape
    lanes, width = VECTOR_BYTES // x.itemsize, max(1, TILE // c)
    for row in range(start, stop):
        line = row // h_out * h + row % h_out * 2
        for tile in range(0, w_out, width):
            for block in range(0, c, lanes):
                j = min(block, c - lanes)
                centre = load(mean, j)
                zero = number(0, centre)
                at_g = 2 * index * sums.shape[2] + block
                at_gd = at_g + sums.shape[2]
                sum_g, sum_gd = load_wide(sums, at_g, centre), load_wide(sums, at_gd, centre)
                for ox in range(tile, min(tile + width, w_out)):
                    place, at = (line * w + 2 * ox) * c + j, (row * w_out + ox) * c + j
                    winner = load_integers(saved, at, centre)
                    value = load(x, place)
                    value = where(winner == integer(1, centre), load(x, place + c), value)
                    value = where(winner == integer(2, centre), load(x, place + w * c), value)
                    value = where(winner == integer(3, centre), load(x, place + (w + 1) * c), value)
                    g = where(winner == integer(4, centre), zero, load(grad, at))
                    d = where(
                        winner == integer(4, centre), zero, value - centre
                    )  # (a pixel that did not win may be inf)
                    wide = widen(g)
                    sum_g = sum_g + wide
                    sum_gd = sum_gd + wide * widen(d)
                store(sums, at_g, sum_g)
                store(sums, at_gd, sum_gd)


@jit
def pool_gradient(start, stop, grad, saved, x, window, mean, slope, mean_grad, tilt, grad_x):
    """Rows start .. stop of all the rows of windows: slope * (g - mean_grad - (x - mean) * tilt) of their pixels.

    Those of no window, at odd sides, are left to ``edges_gradient``.
    """
    _, h, w, _ = x.shape
    _, h_out, w_out, c = grad.shape
    lanes, width = VECTOR_BYTES // x.itemsize, max(1, TILE // c)
    for row in range(start, stop):
        line = row // h_out * h + row % h_out * 2
        for tile in range(0, w_out, width):
            for block in range(0, c, lanes):
                j = min(block, c - lanes)
                centre, factor, shift, steep = load(mean, j), load(slope, j), load(mean_grad, j), load(tilt, j)
                zero = number(0, centre)
                for ox in range(tile, min(tile + width, w_out)):
                    place, at = (line * w + 2 * ox) * c + j, (row * w_out + ox) * c + j
                    winner, g = load_integers(saved, at, centre), load(grad, at)
                    for tap in range(4):
                        here = place + (tap // 2 * w + tap % 2) * c
                        kept = where(winner == integer(tap, centre), g, zero)
                        store(grad_x, here, factor * (kept - shift - (load(x, here) - centre) * steep))


def edges_gradient(x: np.ndarray, mean: np.ndarray, factors: tuple[np.ndarray, ...], grad_x: np.ndarray) -> None:
    """The same with g = 0 for the pixels that no window sees: a last row or column where a side of x is odd."""
    slope, mean_grad, tilt = factors
    _, h, w, _ = x.shape
    for edge in (np.s_[:, h - h % 2 :], np.s_[:, : h - h % 2, w - w % 2 :]):
        grad_x[edge] = (x[edge] - mean) * (-slope * tilt) - slope * mean_grad
