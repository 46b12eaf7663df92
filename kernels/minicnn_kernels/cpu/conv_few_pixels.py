"""Convolution of small images by many filters: im2col with the filters where they lie.

Deep layers have a few dozen pixels and millions of weights: in ResNet-18 on images of 64x64, 512 channels meet 512 filters
of 3x3 at 16 x 2x2 pixels. There the filters are the work. To lay them out anew, as the other algorithms do, takes longer
than to multiply by them (9 MB read and written, number by number). So the patches are laid out in the filters' order
instead, [channel][tap], and the three products are those of the textbook, with the weights as the plain matrix
(c_out, k), k = c_in * taps, that they are in memory:

    out (pixels, c_out)      = patches (pixels, k) @ weight.T
    grad_patches (pixels, k) = grad_out (pixels, c_out) @ weight       each is then added to the pixel it was copied from
    grad_weight (c_out, k)   = grad_out.T @ patches

A block of the weights is packed into panels just before it is used, while it is in the cache; main memory sees each weight
once. The patches are copied twice, [tap][channel] first, in runs as in ``conv_im2col.py``, then a tap and a vector of
channels at a time through registers (``transpose_tile.py``). Their price is that of k numbers a pixel, the other way's is
that of k numbers a filter: ``conv_choice.py`` compares.

Threads share out columns of the results; so each reads its own weights alone.
"""

import math

import numpy as np

from .. import workspace
from ..threads import parallel_for
from .conv_im2col import _gather, _is_pointwise
from .conv_shared import GRAIN_FLOPS, Sizes, Window, ending, output_shape, window_of
from .gemm import KC, ONE_PRODUCT, multiply, n_panels, pack_columns, pack_rows, tile_scratch
from .jit import ONE, ZERO, jit
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical, transposed
from .memory import copy
from .microkernel import tile_columns
from .simd import VECTOR_BYTES, lanes
from .transpose_tile import transpose_tile

PANELS = (
    8  # of weights or patches packed at a time: 8 x 32 columns x KC numbers are 512 KB, half of a second-level cache
)
GRAIN = 1 << 14  # numbers of patches below which another thread does not pay


def forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_forward``; groups is 1, and there is at least one pixel."""
    window = window_of(x.shape, weight.shape[2:], stride, padding, dilation)
    out = empty_channels_last(output_shape(x.shape[0], weight.shape[0], window, len(stride)), x.dtype)
    patches, row = _patches(to_channels_last(x), window, out)
    flags, bias_or_out, other = ending(out, bias)
    c_out, dtype = out.shape[-1], out.dtype
    pixels, k = out.size // c_out, weight[0].size
    filters, out_flat, columns = contiguous(weight).reshape(-1), out.reshape(-1), tile_columns(dtype)

    def run(start: int, stop: int) -> None:
        scratch, packed = tile_scratch(dtype), workspace.empty((PANELS * KC * columns,), dtype)
        for panel in range(start, stop, PANELS):
            panels, left = min(PANELS, stop - panel), panel * columns
            n = min(panels * columns, c_out - left)
            for p in range(0, k, KC):  # B[p, j] = weight[left + j, p]
                depth, end = min(KC, k - p), flags if p + KC >= k else 0
                pack_columns(0, panels, filters, left * k + p, k, depth, n, columns, packed)
                multiply(
                    *(ONE_PRODUCT, pixels, n, depth, patches, p, row, 1, packed, 0, out_flat, left, c_out, columns),
                    *(int(p > 0), scratch, end, bias_or_out, left, other),
                )

    parallel_for(run, n_panels(c_out, dtype), grain=max(1, GRAIN_FLOPS // (2 * pixels * k * columns)))
    return to_logical(out)


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
    grad, dtype = to_channels_last(grad_out), grad_out.dtype
    c_out, k = weight.shape[0], weight[0].size
    pixels, columns = grad.size // c_out, tile_columns(dtype)
    pointwise = _is_pointwise(window)
    row = k if pointwise else _row(k, dtype)
    patches = workspace.empty((pixels * row,), dtype)
    grad_flat, filters = grad.reshape(-1), contiguous(weight).reshape(-1)

    def run(start: int, stop: int) -> None:
        scratch, packed = tile_scratch(dtype), workspace.empty((PANELS * KC * columns,), dtype)
        for panel in range(start, stop, PANELS):
            panels, left = min(PANELS, stop - panel), panel * columns
            n = min(panels * columns, k - left)
            for p in range(0, c_out, KC):  # B[p, j] = weight[p, left + j]
                depth = min(KC, c_out - p)
                pack_rows(0, panels, filters, p * k + left, k, depth, n, columns, packed)
                multiply(
                    *(ONE_PRODUCT, pixels, n, depth, grad_flat, p, c_out, 1, packed, 0, patches, left, row, columns),
                    *(int(p > 0), scratch, 0, patches, 0, patches),
                )

    parallel_for(run, n_panels(k, dtype), grain=max(1, GRAIN_FLOPS // (2 * pixels * c_out * columns)))
    if pointwise:
        return to_logical(patches.reshape(input_shape[0], *input_shape[2:], input_shape[1]))
    grad_x = workspace.zeros((input_shape[0], *input_shape[2:], input_shape[1]), dtype)
    images, numbers = input_shape[0], grad[:1].size // c_out * k

    def add(start: int, stop: int) -> None:
        turned = workspace.empty((_turned(window, dtype),), dtype)
        _scatter_by_channel(start, stop, patches, row, window, turned, grad_x.reshape(-1))

    parallel_for(add, images, grain=max(1, GRAIN // numbers))
    return to_logical(grad_x)


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
    window = window_of(x.shape, weight_shape[2:], stride, padding, dilation)
    grad, dtype, columns = to_channels_last(grad_out), x.dtype, tile_columns(x.dtype)
    patches, row = _patches(to_channels_last(x), window, grad)
    c_out, k = weight_shape[0], math.prod(weight_shape[1:])
    pixels = grad.size // c_out
    by_filter = transposed(grad.reshape(1, pixels, c_out)).reshape(-1)  # (pixels, c_out) -> (c_out, pixels)
    grad_weight = workspace.empty((c_out, k), dtype)
    weight_flat = grad_weight.reshape(-1)

    def run(start: int, stop: int) -> None:
        scratch, packed = tile_scratch(dtype), workspace.empty((PANELS * KC * columns,), dtype)
        for panel in range(start, stop, PANELS):
            panels, left = min(PANELS, stop - panel), panel * columns
            n = min(panels * columns, k - left)
            for p in range(0, pixels, KC):
                depth = min(KC, pixels - p)
                pack_rows(0, panels, patches, p * row + left, row, depth, n, columns, packed)
                multiply(
                    *(ONE_PRODUCT, c_out, n, depth, by_filter, p, pixels, 1, packed, 0, weight_flat, left, k, columns),
                    *(int(p > 0), scratch, 0, weight_flat, 0, weight_flat),
                )

    parallel_for(run, n_panels(k, dtype), grain=max(1, GRAIN_FLOPS // (2 * pixels * c_out * columns)))
    return workspace.reshaped(grad_weight, weight_shape)


def _taps(window: Window) -> int:
    return math.prod(window[7:10])


def _row(k: int, dtype: np.dtype) -> int:
    """From one patch to the next: vectors that are stored whole may reach into the gap."""
    return k + lanes(dtype)


def _turned(window: Window, dtype: np.dtype) -> int:
    """Numbers of a patch [tap][channel], and of the rows behind it that a square of registers reads or writes with it."""
    return (_taps(window) + lanes(dtype)) * window[3]


def _patches(x: np.ndarray, window: Window, out: np.ndarray) -> tuple[np.ndarray, int]:
    """x (n, *spatial, c) -> the patches of out's pixels, flat, each [channel][tap]; and from one to the next."""
    if _is_pointwise(window):
        return x.reshape(-1), window[3]
    pixels, k = out.size // out.shape[-1], _taps(window) * window[3]
    row = _row(k, x.dtype)
    patches = workspace.empty((pixels * row,), x.dtype)
    x_flat = x.reshape(-1)

    def run(start: int, stop: int) -> None:
        turned = workspace.zeros((_turned(window, x.dtype),), x.dtype)
        _gather_by_channel(start, stop, x_flat, window, turned, row, patches)

    parallel_for(run, pixels, grain=max(1, GRAIN // k))
    return patches, row


@jit
def _gather_by_channel(start, stop, x, window, turned, row, patches):
    """patches[p, i, t] = x at tap t of the window of output pixel p, channel i; zero outside the image.

    With fewer taps than lanes, a vector of a channel's taps reaches over the channels behind, which are written later.
    """
    c = window[3]
    taps = window[7] * window[8] * window[9]
    size = VECTOR_BYTES // x.itemsize
    for pixel in range(start, stop):
        at = pixel * row
        _gather(x, ZERO, c, window, pixel, ONE, turned)
        if taps == 1:
            copy(turned, ZERO, patches, at, c)
        elif c >= size:
            for first in range(0, c, size):
                i = min(first, c - size)
                for top in range(0, taps, size):
                    t = max(min(top, taps - size), 0)
                    transpose_tile(turned, t * c + i, c, patches, at + i * taps + t, taps)
        else:
            for i in range(c):
                for t in range(taps):
                    patches[at + i * taps + t] = turned[t * c + i]


@jit
def _scatter_by_channel(start, stop, patches, row, window, turned, grad_x):
    """The adjoint for the images start .. stop: grad_x at tap t of the window of output pixel p += patches[p, i, t]."""
    d, h, w, c, d_out, h_out, w_out, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = window
    taps = kd * kh * kw
    size = VECTOR_BYTES // grad_x.itemsize
    for image in range(start, stop):
        for position in range(d_out * h_out * w_out):
            at = (image * (d_out * h_out * w_out) + position) * row
            if c >= size:
                for top in range(0, taps, size):
                    t = max(min(top, taps - size), 0)
                    for first in range(0, c, size):
                        i = min(first, c - size)
                        transpose_tile(patches, at + i * taps + t, taps, turned, t * c + i, c)
            else:
                for i in range(c):
                    for t in range(taps):
                        turned[t * c + i] = patches[at + i * taps + t]
            oz, oy, ox = position // (h_out * w_out), position // w_out % h_out, position % w_out
            for t in range(taps):
                z = oz * sd - pd + t // (kh * kw) * dd
                y = oy * sh - ph + t // kw % kh * dh
                left = ox * sw - pw + t % kw * dw
                if 0 <= z < d and 0 <= y < h and 0 <= left < w:
                    there = (((image * d + z) * h + y) * w + left) * c
                    pixel, part = grad_x[there : there + c], turned[t * c : t * c + c]
                    for q in range(c):
                        pixel[q] += part[q]
