"""Max and average pooling, channels-last: windows outside, a plain loop over the channels of a pixel inside.

Conventions (ties, NaN, padding, divisors) are in ``reference/pooling.py``. Rows of windows are shared out among the
threads; in the backward passes, where windows may overlap, whole images are.
"""

import numpy as np

from .. import workspace
from ..geometry import pool_output_size
from ..threads import parallel_for
from .jit import jit
from .layout import empty_channels_last, to_channels_last, to_logical

Pair = tuple[int, int]
GRAIN = 1 << 15  # numbers below which another thread does not pay


def max_pool2d_forward(
    x: np.ndarray, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    """x (n, c, h, w) -> out (n, c, h_out, w_out) and the winning tap's number i * kw + j of each window, int32."""
    shape = _output_shape(x.shape, kernel_size, stride, padding, dilation, ceil_mode)
    out = empty_channels_last(shape, x.dtype)
    saved = empty_channels_last(shape, np.dtype(np.int32))
    window = (*kernel_size, *stride, *padding, *dilation)
    grain = _grain(x, shape[2])
    parallel_for(_max_rows, shape[0] * shape[2], to_channels_last(x), window, out, saved, grain=grain)
    return to_logical(out), to_logical(saved)


def max_pool2d_backward_input(
    grad_out: np.ndarray,
    saved: np.ndarray,
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
) -> np.ndarray:
    """grad_out (n, c, h_out, w_out) -> grad_x (n, c, h, w): each gradient goes to the pixel that won its window."""
    n, c, h, w = input_shape
    grad_x = workspace.zeros((n, h, w, c), grad_out.dtype)
    window = (*kernel_size, *stride, *padding, *dilation)
    grain = _grain(grad_x, n)
    parallel_for(_max_images, n, to_channels_last(grad_out), to_channels_last(saved), window, grad_x, grain=grain)
    return to_logical(grad_x)


def avg_pool2d_forward(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """x (n, c, h, w) -> (n, c, h_out, w_out)."""
    shape = _output_shape(x.shape, kernel_size, stride, padding, (1, 1), ceil_mode)
    out = empty_channels_last(shape, x.dtype)
    window = (*kernel_size, *stride, *padding)
    divisor = divisor_override or 0
    grain = _grain(x, shape[2])
    parallel_for(
        _avg_rows, shape[0] * shape[2], to_channels_last(x), window, count_include_pad, divisor, out, grain=grain
    )
    return to_logical(out)


def avg_pool2d_backward_input(
    grad_out: np.ndarray,
    input_shape: tuple[int, int, int, int],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """grad_out (n, c, h_out, w_out) -> grad_x (n, c, h, w): every tap of a window receives the same share."""
    n, c, h, w = input_shape
    grad_x = workspace.zeros((n, h, w, c), grad_out.dtype)
    window = (*kernel_size, *stride, *padding)
    divisor = divisor_override or 0
    grain = _grain(grad_x, n)
    parallel_for(_avg_images, n, to_channels_last(grad_out), window, count_include_pad, divisor, grad_x, grain=grain)
    return to_logical(grad_x)


def _output_shape(
    shape: tuple[int, ...], kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[int, int, int, int]:
    n, c, h, w = shape
    h_out = pool_output_size(h, kernel_size[0], stride[0], padding[0], dilation[0], ceil_mode)
    w_out = pool_output_size(w, kernel_size[1], stride[1], padding[1], dilation[1], ceil_mode)
    return n, c, h_out, w_out


def _grain(x: np.ndarray, items_an_image: int) -> int:
    return max(1, GRAIN * items_an_image * x.shape[0] // max(1, x.size))


@jit
def _max_rows(start, stop, x, window, out, saved):
    """Rows start .. stop of all the rows of out (n, h_out, w_out, c)."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w, _ = x.shape
    _, h_out, w_out, c = out.shape
    for row in range(start, stop):
        image, oy = row // h_out, row % h_out
        for ox in range(w_out):
            best, winner = out[image, oy, ox], saved[image, oy, ox]
            first = True
            for i in range(kh):
                y = oy * sh - ph + i * dh
                for j in range(kw):
                    left = ox * sw - pw + j * dw
                    if 0 <= y < h and 0 <= left < w:
                        pixel = x[image, y, left]
                        tap = np.int32(i * kw + j)
                        if first:
                            for q in range(c):
                                best[q] = pixel[q]
                                winner[q] = tap
                        else:
                            for q in range(c):
                                value, old = pixel[q], best[q]
                                # larger, or the first NaN
                                wins = (value > old) | ((value != value) & (old == old))
                                best[q] = value if wins else old
                                winner[q] = tap if wins else winner[q]
                        first = False
            if first:  # a dilated window that lies around a tiny image
                for q in range(c):
                    best[q] = -np.inf
                    winner[q] = 0


@jit
def _max_images(start, stop, grad, saved, window, grad_x):
    """Images start .. stop of grad_x (n, h, w, c)."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w, c = grad_x.shape
    _, h_out, w_out, _ = grad.shape
    for image in range(start, stop):
        for oy in range(h_out):
            for ox in range(w_out):
                value, winner = grad[image, oy, ox], saved[image, oy, ox]
                for i in range(kh):
                    y = oy * sh - ph + i * dh
                    for j in range(kw):
                        left = ox * sw - pw + j * dw
                        if 0 <= y < h and 0 <= left < w:
                            pixel = grad_x[image, y, left]
                            tap = np.int32(i * kw + j)
                            for q in range(c):
                                old = pixel[q]
                                pixel[q] = old + value[q] if winner[q] == tap else old


@jit
def _avg_rows(start, stop, x, window, count_include_pad, divisor_override, out):
    """Rows start .. stop of all the rows of out (n, h_out, w_out, c)."""
    _, h, w, _ = x.shape
    _, h_out, w_out, c = out.shape
    for row in range(start, stop):
        image, oy = row // h_out, row % h_out
        for ox in range(w_out):
            total = out[image, oy, ox]
            for q in range(c):
                total[q] = 0
            top, bottom, left, right, divisor = _extent(oy, ox, window, h, w, count_include_pad, divisor_override)
            for y in range(top, bottom):
                for z in range(left, right):
                    pixel = x[image, y, z]
                    for q in range(c):
                        total[q] += pixel[q]
            for q in range(c):
                total[q] /= divisor


@jit
def _avg_images(start, stop, grad, window, count_include_pad, divisor_override, grad_x):
    """Images start .. stop of grad_x (n, h, w, c)."""
    _, h, w, c = grad_x.shape
    _, h_out, w_out, _ = grad.shape
    for image in range(start, stop):
        for oy in range(h_out):
            for ox in range(w_out):
                value = grad[image, oy, ox]
                top, bottom, left, right, divisor = _extent(oy, ox, window, h, w, count_include_pad, divisor_override)
                for y in range(top, bottom):
                    for z in range(left, right):
                        pixel = grad_x[image, y, z]
                        for q in range(c):
                            pixel[q] += value[q] / divisor


@jit
def _extent(oy, ox, window, h, w, count_include_pad, divisor_override):
    """The part of a window that lies on the image (top, bottom, left, right), and the divisor of its sum."""
    kh, kw, sh, sw, ph, pw = window
    top, left = oy * sh - ph, ox * sw - pw
    bottom, right = min(top + kh, h + ph), min(left + kw, w + pw)
    area = (bottom - top) * (right - left)  # before cutting off the padding
    top, left, bottom, right = max(top, 0), max(left, 0), min(bottom, h), min(right, w)
    if not count_include_pad:
        area = (bottom - top) * (right - left)
    if divisor_override != 0:
        area = divisor_override
    return top, bottom, left, right, area
