"""Kernels as nested loops over single numbers, straight from the definitions: the oracle of the reference kernels.

Slow, and independent of them on purpose: nothing here slices, pads or reshapes.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

Pair = tuple[int, int]


def taps(kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, oy: int, ox: int) -> Any:
    """(number of the tap, y, x) for each tap of the window (oy, ox); y and x may lie outside the image."""
    for i, j in itertools.product(range(kernel_size[0]), range(kernel_size[1])):
        yield (
            i * kernel_size[1] + j,
            oy * stride[0] - padding[0] + i * dilation[0],
            ox * stride[1] - padding[1] + j * dilation[1],
        )


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Count the window positions one by one."""
    positions = 0
    while positions * stride + dilation * (kernel - 1) + 1 <= size + 2 * padding:
        positions += 1
    return positions


def pool_size(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """The same; with ceil_mode one more window, if the last did not reach the end and the next starts on the image."""
    positions = output_size(size, kernel, stride, padding, dilation)
    reached = (positions - 1) * stride + dilation * (kernel - 1) + 1
    if ceil_mode and reached < size + 2 * padding and positions * stride < size + padding:
        positions += 1
    return positions


def conv(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, grad_out: np.ndarray | None, *window: Any, groups: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """out, grad_x, grad_weight, each product of the definition visited once. (The gradients for grad_out, or ones.)

    Along any number of axes: a position, a tap, a pixel are tuples.
    """
    n, _, *size = x.shape
    c_out, c_per_group, *kernel = weight.shape
    stride, padding, dilation = window
    positions = [output_size(*numbers) for numbers in zip(size, kernel, stride, padding, dilation, strict=True)]
    out = np.zeros((n, c_out, *positions), x.dtype)
    grad_x, grad_weight = np.zeros_like(x), np.zeros_like(weight)
    for b, o, *position in np.ndindex(out.shape):
        g = 1.0 if grad_out is None else grad_out[b, o, *position]
        if bias is not None:
            out[b, o, *position] = bias[o]
        for tap in np.ndindex(*kernel):
            pixel = [y * s - p + i * d for y, s, p, i, d in zip(position, stride, padding, tap, dilation, strict=True)]
            if not all(0 <= y < h for y, h in zip(pixel, size, strict=True)):
                continue
            for i in range(c_per_group):
                c = o // (c_out // groups) * c_per_group + i
                out[b, o, *position] += weight[o, i, *tap] * x[b, c, *pixel]
                grad_x[b, c, *pixel] += g * weight[o, i, *tap]
                grad_weight[o, i, *tap] += g * x[b, c, *pixel]
    return out, grad_x, grad_weight


def im2col(x: np.ndarray, kernel_size: Pair, *window: Any) -> np.ndarray:
    """(n, c*kh*kw, h_out*w_out)"""
    n, c, h, w = x.shape
    (sh, sw), (ph, pw), (dh, dw) = window
    h_out = output_size(h, kernel_size[0], sh, ph, dh)
    w_out = output_size(w, kernel_size[1], sw, pw, dw)
    cols = np.zeros((n, c * kernel_size[0] * kernel_size[1], h_out * w_out), x.dtype)
    for b, channel, oy, ox in np.ndindex(n, c, h_out, w_out):
        for tap, y, z in taps(kernel_size, *window, oy, ox):
            if 0 <= y < h and 0 <= z < w:
                cols[b, channel * kernel_size[0] * kernel_size[1] + tap, oy * w_out + ox] = x[b, channel, y, z]
    return cols


def window_places(position: tuple[int, ...], window: tuple, shape: tuple[int, ...]) -> Any:
    """For each tap of one window, along any number of axes: its place, and whether that is on the input, whether at least on
    the padding."""
    for tap in itertools.product(*(range(k) for k in window[0])):
        axes = list(zip(position, tap, *window, shape, strict=True))
        place = tuple(o * stride - padding + t * dilation for o, t, _, stride, padding, dilation, _ in axes)
        inside = [0 <= at < size for at, size in zip(place, shape, strict=True)]
        near = [-axis[4] <= at < axis[6] + axis[4] for at, axis in zip(place, axes, strict=True)]
        yield place, all(inside), all(near)


def max_pool(
    x: np.ndarray, grad_out: np.ndarray | None, *window: Any, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """out, the winners' places (-1 where there are none), grad_x; the first maximum wins, and the last NaN over everything.

    window : kernel size, stride, padding, dilation.
    """
    size = x.shape[2:]
    positions = [pool_size(*axis, ceil_mode) for axis in zip(size, *window, strict=True)]
    out, grad_x = np.full((*x.shape[:2], *positions), -np.inf, x.dtype), np.zeros_like(x)
    places = np.full(out.shape, -1)
    for b, channel, *position in np.ndindex(out.shape):
        best, winner = -math.inf, None
        for place, inside, _ in window_places(tuple(position), window, size):
            if inside:
                value = float(x[b, channel, *place])
                if winner is None or value > best or math.isnan(value):
                    best, winner = value, place
        if winner is not None:
            out[b, channel, *position] = best
            number = 0
            for at, extent in zip(winner, size, strict=True):
                number = number * extent + at
            places[b, channel, *position] = number
            grad_x[b, channel, *winner] += 1.0 if grad_out is None else grad_out[b, channel, *position]
    return out, places, grad_x


def avg_pool(
    x: np.ndarray,
    grad_out: np.ndarray | None,
    *window: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> tuple[np.ndarray, np.ndarray]:
    """out, grad_x. window : kernel size, stride, padding."""
    size = x.shape[2:]
    window = (*window, (1,) * len(size))
    positions = [pool_size(*axis, ceil_mode) for axis in zip(size, *window, strict=True)]
    out, grad_x = np.zeros((*x.shape[:2], *positions), x.dtype), np.zeros_like(x)
    for b, channel, *position in np.ndindex(out.shape):
        seen = list(window_places(tuple(position), window, size))
        divisor = sum(near if count_include_pad else inside for _, inside, near in seen)
        divisor = divisor if divisor_override is None else divisor_override
        for place, inside, _ in seen:
            if inside:
                out[b, channel, *position] += x[b, channel, *place] / divisor
                g = 1.0 if grad_out is None else grad_out[b, channel, *position]
                grad_x[b, channel, *place] += g / divisor
    return out, grad_x
