"""Convolution of small images by many filters: im2col with the filters where they lie.

Deep layers have a few dozen pixels and millions of weights: in ResNet-18 on images of 64x64, 256 channels meet 512 filters
of 3x3 at 16 x 2x2 pixels. There the filters are the work. To lay them out anew, as the other algorithms do, takes longer
than to multiply by them (5 MB read and written, number by number). (3x3 filters without stride: ``conv_winograd_few.py``.)
So the patches are laid out in the filters' order instead, [channel][tap], and the three products are those of the textbook,
with the weights as the plain matrix (c_out, k), k = c_in * taps, that they are in memory:

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
from .conv_shared import GRAIN_FLOPS, Ending, Sizes, Window, ending, output_shape, window_of
from .gemm import KC, ONE_PRODUCT, multiply, n_panels, pack_columns, pack_rows, tile_scratch
from .jit import ONE, ZERO, jit
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical, transposed
from .memory import copy
from .microkernel import tile_columns
from .simd import VECTOR_BYTES, lanes
from .transpose_tile import transpose_tile

# Of weights or patches packed at a time: 8 x 32 columns x KC numbers are 512 KB, half of a second-level cache.
PANELS = 8
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
    c_out, k = out.shape[-1], weight[0].size
    shape = out.size // c_out, c_out, k
    _product(shape, patches, row, contiguous(weight).reshape(-1), k, True, out.reshape(-1), c_out, ending(out, bias))
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
    pixels, pointwise = grad.size // c_out, _is_pointwise(window)
    row = k if pointwise else _row(k, dtype)
    patches = workspace.empty((pixels * row,), dtype)
    filters = contiguous(weight).reshape(-1)
    _product((pixels, k, c_out), grad.reshape(-1), c_out, filters, k, False, patches, row, (0, patches, patches))
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
    grad = to_channels_last(grad_out)
    patches, row = _patches(to_channels_last(x), window, grad)
    c_out, k = weight_shape[0], math.prod(weight_shape[1:])
    pixels = grad.size // c_out
    by_filter = transposed(grad.reshape(1, pixels, c_out)).reshape(-1)  # (pixels, c_out) -> (c_out, pixels)
    grad_weight = workspace.empty((c_out, k), x.dtype)
    flat = grad_weight.reshape(-1)
    _product((c_out, k, pixels), by_filter, pixels, patches, row, False, flat, k, (0, flat, flat))
    return workspace.reshaped(grad_weight, weight_shape)


def _product(
    shape: tuple[int, int, int],
    a: np.ndarray,
    a_row: int,
    b: np.ndarray,
    b_step: int,
    by_columns: bool,
    out: np.ndarray,
    out_row: int,
    end: Ending,
) -> None:
    """out = a @ b, ended: (m, k) @ (k, n) -> (m, n), shape being (m, n, k); all flat, and a_row, b_step and out_row from one
    row to the next. Where b lies `by_columns`, b_step is from one column to the next.
    """
    m, n, k = shape
    columns, (flags, bias, other) = tile_columns(a.dtype), end

    def run(start: int, stop: int) -> None:
        scratch, packed = tile_scratch(a.dtype), workspace.empty((PANELS * KC * columns,), a.dtype)
        for panel in range(start, stop, PANELS):
            panels, left = min(PANELS, stop - panel), panel * columns
            width = min(panels * columns, n - left)
            for p in range(0, k, KC):
                depth, last = min(KC, k - p), p + KC >= k
                if by_columns:
                    pack_columns(0, panels, b, left * b_step + p, b_step, depth, width, columns, packed)
                else:
                    pack_rows(0, panels, b, p * b_step + left, b_step, depth, width, columns, packed)
                multiply(
                    *(ONE_PRODUCT, m, width, depth, a, p, a_row, 1, packed, 0, out, left, out_row, columns),
                    *(int(p > 0), scratch, flags if last else 0, bias, left, other),
                )

    parallel_for(run, n_panels(n, a.dtype), grain=max(1, GRAIN_FLOPS // (2 * m * k * columns)))


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
