"""A convolution with its activation, ready to be made many times on the same memory (``launch.py``).

1x1 convolutions are products of a fixed matrix (``standing_product.py``); depthwise ones and those of few channels have
loops of their own (``standing_depthwise.py``, ``standing_stem.py``); the rest is direct convolution, finished band by band.
"""

import math

import numpy as np

from ..launch import Launch
from .conv_choice import choose, is_depthwise
from .conv_direct import _band, _run_bands, _tables
from .conv_shared import GRAIN_FLOPS, Sizes, ending, pack_filters, window_of
from .finish import finish, finishing
from .gemm import ROWS
from .jit import ZERO, jit_allocating, launch
from .layout import to_channels_last
from .microkernel import tile_columns
from .simd import lanes
from .standing_depthwise import depthwise_launches
from .standing_product import product_launches
from .standing_stem import is_stem, stem_launches


def conv_launches(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    other: np.ndarray | None,
    gate: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str,
    activation: str,
    numbers: tuple[float, ...],
    out: np.ndarray,
    kept: dict,
) -> list[Launch] | None:
    """See the reference. x, other and out are channels-last in memory."""
    images, c_out = out.shape[:2]
    if x.ndim != 4 or not x.size or not out.size or not _is_last(x) or not _is_last(out):
        return None
    if other is not None and not _is_last(other):
        return None
    window = window_of(x.shape, weight.shape[2:], stride, padding, dilation)
    flat_x, flat_out = to_channels_last(x).reshape(-1), to_channels_last(out).reshape(-1)
    flat_other = None if other is None else to_channels_last(other).reshape(-1)
    choice = choose(x.shape, weight.shape, stride, padding, dilation, groups, algorithm, standing=True)
    if groups == 1 and choice.algorithm == "im2col" and window[7:16] == (1, 1, 1, 1, 1, 1, 0, 0, 0):
        matrix = weight.reshape(c_out, -1)
        flat_gate = None if gate is None else gate.reshape(-1)
        pixels = out.shape[2] * out.shape[3]
        return product_launches(
            flat_x, matrix, bias, flat_other, flat_gate, pixels, activation, numbers, flat_out, kept
        )
    if gate is not None or choice.algorithm != "direct":
        return None
    if is_depthwise(weight.shape, groups):
        if other is not None or c_out < lanes(out.dtype):
            return None
        return depthwise_launches(flat_x, weight, bias, window, images, activation, numbers, flat_out, kept)
    if groups == 1 and other is None and is_stem(window, c_out, out.dtype):
        return stem_launches(flat_x, weight, bias, window, images, activation, numbers, flat_out, kept)
    c_per_group, taps = weight.shape[1], math.prod(weight.shape[2:])
    if "filters" not in kept:
        shape, strides = (taps, c_per_group, c_out // groups), (1, taps, c_per_group * taps)
        kept["filters"] = pack_filters(weight, groups, shape, strides).reshape(-1)
    lines, pixel_at, tap_at = _tables(window, groups, c_out, out.dtype)
    sizes = (groups, c_out // groups, tile_columns(out.dtype), lines, 1)
    arrays = flat_x, kept["filters"], window, sizes, pixel_at, tap_at
    end = ending(to_channels_last(out), bias, other, activation == "relu")
    how = finishing("" if activation == "relu" else activation, numbers, out.dtype)
    tail = _band(window, lines, out.dtype).size, end, how, flat_out
    rows, w_out = images * window[4] * window[5], window[6]
    grain = max(1, GRAIN_FLOPS // (2 * w_out * tap_at.size * c_out))
    return [launch(_finished_bands, rows, *arrays, *tail, grain=grain)]


def _is_last(x: np.ndarray) -> bool:
    """Whether an image is channels-last in memory, without gaps."""
    return x.ndim == 4 and x.transpose(0, 2, 3, 1).flags.carray


@jit_allocating
def _finished_bands(start, stop, x, filters, window, sizes, pixel_at, tap_at, band_size, end, how, out):
    """Rows start .. stop of all the rows of out: some at a time, finished while they are in the cache."""
    groups, o, columns, lines, _ = sizes
    row = window[6] * groups * o
    band, scratch = np.zeros(band_size, x.dtype), np.empty(ROWS * columns, x.dtype)
    for line in range(start, stop, lines):
        last = min(line + lines, stop)
        place = pixel_at, tap_at, out, band, out[:0], scratch
        _run_bands(line, last, False, x, filters, window, sizes, *place, *end)
        finish(out, line * row, (last - line) * row, out[:0], ZERO, how)
