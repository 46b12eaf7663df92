"""Max and average pooling of sequences, images and volumes, channels-last.

To the loops everything is a volume (n, d, h, w, c), of depth 1 or of depth and height 1; where the windows lie along the
three axes is in their tables (``../windows.py``), conventions (ties, NaN, divisors) are in ``reference/pooling.py``. Rows of
windows are shared out among the threads. In the backward passes, where windows may overlap, it is rows of the input for
averages, whose gradient is gathered from the windows that see a place; and images, or blocks of channels, for maxima, whose
gradient is scattered to the winners.

The loops here take any number of channels. Those of ``pool_lanes.py``, for enough channels to fill a vector, are the same
with what is summed or compared in registers, and two to three times faster.
"""

import math
from collections.abc import Sequence

import numpy as np

from .. import workspace
from ..threads import get_num_threads, parallel_for
from ..windows import Windows, adaptive_windows
from . import pool_lanes
from .channels import fills_a_vector
from .jit import jit, jit_allocating
from .layout import to_channels_last, to_logical
from .memory import clear
from .simd import lanes

GRAIN = 1 << 15  # numbers below which another thread does not pay
MANY = 16  # places of a window, from which on its sum is worth a loop of its own


def max_pool_forward(x: np.ndarray, windows: Sequence[Windows]) -> tuple[np.ndarray, np.ndarray]:
    """x (n, c, *spatial) -> out (n, c, *positions), and the place of the element that won each window, int32."""
    source, axes = _volume(x), _three(windows)
    shape = (x.shape[0], *(axis.starts.size for axis in axes), x.shape[1])
    out, places = workspace.empty(shape, x.dtype), workspace.empty(shape, np.int32)
    loops = pool_lanes.max_rows if fills_a_vector(x) else _max_rows
    _over_rows(loops, out, x.size, source, *_tables(axes), out, places)
    return _logical(out, x.ndim), _logical(places, x.ndim)


def max_pool_backward_input(
    grad_out: np.ndarray, places: np.ndarray, input_shape: tuple[int, ...], windows: Sequence[Windows]
) -> np.ndarray:
    """grad_out (n, c, *positions) -> grad_x (n, c, *spatial): each gradient goes to the element that won its window."""
    n, c = input_shape[:2]
    grad_x = _empty_volume(input_shape, grad_out.dtype)
    grad, winners, target = (
        a.reshape(n, math.prod(a.shape[1:-1]), c) for a in (_volume(grad_out), _volume(places), grad_x)
    )  # (n, d, h, w, c) -> (n, pixels, c)
    blocks = max(
        1, min(-(-get_num_threads() // max(1, n)), c // 16)
    )  # of channels, where images are fewer than threads
    grain = max(1, GRAIN * n * blocks // max(1, grad_x.size))
    parallel_for(_max_blocks, n * blocks, grad, winners, blocks, target, grain=grain)
    return _logical(grad_x, len(input_shape))


def avg_pool_forward(x: np.ndarray, windows: Sequence[Windows], divisors: Sequence[np.ndarray]) -> np.ndarray:
    """x (n, c, *spatial) -> (n, c, *positions): the sum over each window, divided."""
    source, axes = _volume(x), _three(windows)
    out = workspace.empty((x.shape[0], *(axis.starts.size for axis in axes), x.shape[1]), x.dtype)
    loops = _avg_rows
    if fills_a_vector(x):
        large = math.prod(axis.largest for axis in axes) >= MANY and x.shape[1] >= pool_lanes.FOUR * lanes(x.dtype)
        loops = pool_lanes.avg_large_rows if large else pool_lanes.avg_rows
    _over_rows(loops, out, x.size, source, *_tables(axes)[:2], _three_divisors(divisors, x.dtype), out)
    return _logical(out, x.ndim)


def avg_pool_backward_input(
    grad_out: np.ndarray, input_shape: tuple[int, ...], windows: Sequence[Windows], divisors: Sequence[np.ndarray]
) -> np.ndarray:
    """grad_out (n, c, *positions) -> grad_x (n, c, *spatial): every place of a window receives the same share."""
    grad_x = _empty_volume(input_shape, grad_out.dtype)
    d, h, w = _three_divisors(divisors, grad_out.dtype)
    shares = workspace.elementwise(
        np.divide, _volume(grad_out), np.multiply.outer(np.multiply.outer(d, h), w)[..., None]
    )
    loops = pool_lanes.avg_gradient if fills_a_vector(grad_out) else _avg_gradient
    _over_rows(loops, grad_x, grad_x.size, shares, *_inverse(_three(windows)), grad_x)
    return _logical(grad_x, len(input_shape))


def _over_rows(loops, result: np.ndarray, work: int, *args) -> None:
    """Call the loops for all rows of a volume, (n, d, h), in chunks worth a thread."""
    rows = math.prod(result.shape[:3])
    parallel_for(loops, rows, *args, grain=max(1, GRAIN * rows // max(1, work)))


def _volume(x: np.ndarray) -> np.ndarray:
    """(n, c, *spatial) -> (n, d, h, w, c), contiguous; a view where possible."""
    last = to_channels_last(x)
    return last.reshape(last.shape[0], *(1,) * (5 - last.ndim), *last.shape[1:])


def _empty_volume(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Memory for a result of logical shape (n, c, *spatial), as (n, d, h, w, c)."""
    n, c, *spatial = shape
    return workspace.empty((n, *(1,) * (3 - len(spatial)), *spatial, c), dtype)


def _logical(volume: np.ndarray, ndim: int) -> np.ndarray:
    """A fresh result (n, d, h, w, c) -> its view (n, c, *spatial) with `ndim` axes."""
    n, *spatial, c = volume.shape
    return to_logical(volume.reshape(n, *spatial[5 - ndim :], c))


def _three(windows: Sequence[Windows]) -> tuple[Windows, ...]:
    """The windows along depth, height and width: one window that sees everything where an axis is missing."""
    return (*(adaptive_windows(1, 1),) * (3 - len(windows)), *windows)


def _tables(axes: Sequence[Windows]) -> tuple[tuple, tuple, tuple]:
    return tuple(a.starts for a in axes), tuple(a.counts for a in axes), tuple(a.step for a in axes)


def _inverse(axes: Sequence[Windows]) -> tuple[tuple, tuple]:
    return tuple(a.firsts for a in axes), tuple(a.stops for a in axes)


def _three_divisors(divisors: Sequence[np.ndarray], dtype: np.dtype) -> tuple[np.ndarray, ...]:
    return (*(np.ones(1, dtype),) * (3 - len(divisors)), *(axis.astype(dtype) for axis in divisors))


@jit
def _max_rows(start, stop, x, starts, counts, steps, out, places):
    """Rows start .. stop of all the rows of out (n, d_out, h_out, w_out, c)."""
    _, _, h, w, c = x.shape
    _, d_out, h_out, w_out, _ = out.shape
    for row in range(start, stop):
        image, oz, oy = row // (d_out * h_out), row // h_out % d_out, row % h_out
        for ox in range(w_out):
            best, winner = out[image, oz, oy, ox], places[image, oz, oy, ox]
            first = np.int32((starts[0][oz] * h + starts[1][oy]) * w + starts[2][ox])
            if counts[0][oz] * counts[1][oy] * counts[2][ox] == 0:
                first = np.int32(-1)
            for q in range(c):
                best[q] = -np.inf
                winner[q] = first
            for i in range(counts[0][oz]):
                z = starts[0][oz] + i * steps[0]
                for j in range(counts[1][oy]):
                    y = starts[1][oy] + j * steps[1]
                    for k in range(counts[2][ox]):
                        left = starts[2][ox] + k * steps[2]
                        place, pixel = np.int32((z * h + y) * w + left), x[image, z, y, left]
                        for q in range(c):
                            value, old = pixel[q], best[q]
                            wins = (value > old) | (value != value)  # larger, or a NaN
                            best[q] = value if wins else old
                            winner[q] = place if wins else winner[q]


@jit
def _max_blocks(start, stop, grad, places, blocks, grad_x):
    """Blocks start .. stop of all the blocks of channels of grad_x (n, pixels, c), `blocks` of them an image; the other two
    are (n, windows, c).
    """
    _, pixels, c = grad_x.shape
    for item in range(start, stop):
        image, first, last = item // blocks, item % blocks * c // blocks, (item % blocks + 1) * c // blocks
        if blocks == 1:
            clear(grad_x, image * pixels * c, pixels * c)
        else:
            for pixel in range(pixels):
                clear(grad_x, (image * pixels + pixel) * c + first, last - first)
        target = grad_x[image].reshape(pixels * c)[first:]
        for window in range(grad.shape[1]):
            gradient, winner = grad[image, window, first:last], places[image, window, first:last]
            for q in range(gradient.size):
                place = winner[q]
                if place >= 0:
                    target[place * c + q] += gradient[q]


@jit_allocating
def _avg_rows(start, stop, x, starts, counts, divisors, out):
    """Rows start .. stop of all the rows of out (n, d_out, h_out, w_out, c).

    A row of the window is summed by itself first: a long sum of float32 loses digits.
    """
    _, d_out, h_out, w_out, c = out.shape
    line = np.empty(c, x.dtype)
    for row in range(start, stop):
        image, oz, oy = row // (d_out * h_out), row // h_out % d_out, row % h_out
        for ox in range(w_out):
            total = out[image, oz, oy, ox]
            for q in range(c):
                total[q] = 0
            for z in range(starts[0][oz], starts[0][oz] + counts[0][oz]):
                for y in range(starts[1][oy], starts[1][oy] + counts[1][oy]):
                    for q in range(c):
                        line[q] = 0
                    for left in range(starts[2][ox], starts[2][ox] + counts[2][ox]):
                        pixel = x[image, z, y, left]
                        for q in range(c):
                            line[q] += pixel[q]
                    for q in range(c):
                        total[q] += line[q]
            divisor = divisors[0][oz] * divisors[1][oy] * divisors[2][ox]
            for q in range(c):
                total[q] /= divisor


@jit
def _avg_gradient(start, stop, shares, firsts, stops, grad_x):
    """Rows start .. stop of all the rows of grad_x (n, d, h, w, c)."""
    _, d, h, w, c = grad_x.shape
    for row in range(start, stop):
        image, z, y = row // (d * h), row // h % d, row % h
        for left in range(w):
            pixel = grad_x[image, z, y, left]
            for q in range(c):
                pixel[q] = 0
            for oz in range(firsts[0][z], stops[0][z]):
                for oy in range(firsts[1][y], stops[1][y]):
                    for ox in range(firsts[2][left], stops[2][left]):
                        share = shares[image, oz, oy, ox]
                        for q in range(c):
                            pixel[q] += share[q]
