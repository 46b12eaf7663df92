"""Convolution by im2col, blocked: the patches of a few hundred pixels at a time, in scratch memory that stays in the cache.

Images are channels-last here (so are sequences and volumes: see ``conv_shared.py``), so the output (n, h_out, w_out,
c_out) is a matrix with one row a pixel, and so is the matrix of patches:

    out (pixels, o) = patches (pixels, k) @ filters (k, o)         o = c_out/groups, k = taps * c_in/groups

A patch is laid out [tap][channel]. The filters are packed once a call; then each thread walks through its range of
pixels block by block: gather the patches (``_gather``), multiply (``gemm.py``). A 1x1 convolution with stride 1 needs
no gathering: the image itself is the matrix of patches.

The gradient of the input: with stride 1 again a convolution, of grad_out with the filters flipped and their channels
exchanged; with other strides grad_out @ filters.T gives the gradients of the patches, which are added back to where
they came from. The gradient of the weights is patches.T @ grad_out, summed over the blocks of a thread, then over
threads in order.
"""

import math

import numpy as np

from .. import workspace
from ..threads import get_num_threads, parallel_chunks, parallel_for, split
from .conv_shared import (
    GRAIN_FLOPS,
    Ending,
    Sizes,
    Window,
    ending,
    opposite_padding,
    pack_filters,
    window_of,
    with_filters,
)
from .gemm import GROUP, ONE_PRODUCT, ROWS, empty_panels, multiply, pack_rows, tile_scratch
from .jit import ONE, ZERO, jit
from .layout import empty_channels_last, to_channels_last, to_logical, transposed
from .microkernel import tile_columns

# What the compiled functions are told: `window` (``conv_shared.py``); `sizes`: groups, o, tile columns, block pixels.
BLOCK_BYTES = 256 * 1024  # of patches; with the packed filters they fit into a second-level cache
MIN_BLOCK = GROUP  # pixels: each block reads all the filters once
PATCH_GRAIN = 1 << 16  # numbers of patches below which a thread of its own does not pay


def forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_forward``."""
    arguments = weight.shape, stride, padding, dilation, groups
    return with_filters(convolve, x, prepare(weight, groups), bias, *arguments)


def prepare(weight: np.ndarray, groups: int, d_out: int = 1) -> np.ndarray:
    """weight (c_out, c_in/groups, *kernel) -> the filters as ``convolve`` takes them; how deep the output is, is the
    same to it."""
    c_out, c_per_group, *kernel = weight.shape
    taps = math.prod(kernel)
    # filters[t, i, o] = weight[o, i, t]
    return pack_filters(weight, groups, (taps, c_per_group, c_out // groups), (1, taps, c_per_group * taps))


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
    c_out, c_per_group, *kernel = weight.shape
    out_per_group, taps = c_out // groups, math.prod(kernel)
    grad = to_channels_last(grad_out)
    if max(stride) == 1:
        # filters[t, o, i] = weight[o, i, taps - 1 - t]; with padding reach - p the result has the size of x
        filters = pack_filters(weight, groups, (taps, out_per_group, c_per_group), (-1, c_per_group * taps, taps))
        opposite = opposite_padding(tuple(kernel), padding, dilation)
        window = window_of(grad_out.shape, tuple(kernel), stride, opposite, dilation)
        grad_x = empty_channels_last(input_shape, grad.dtype)
        convolve(grad, filters, window, groups, grad_x, ending(grad_x))
        return to_logical(grad_x)
    # The patches' gradients as one product: filters[o, (t, i)] = weight[o, i, t]
    k = taps * c_per_group
    by_tap = transposed(weight.reshape(c_out, c_per_group, taps))
    filters = pack_filters(by_tap, groups, (1, out_per_group, k), (0, k, 1))
    grad_x = workspace.zeros((input_shape[0], *input_shape[2:], input_shape[1]), grad.dtype)
    window = window_of(input_shape, tuple(kernel), stride, padding, dilation)
    block = min(_block_pixels(k, grad.dtype), math.prod(window[4:7]))
    sizes = (groups, out_per_group, tile_columns(grad.dtype), block)

    def run(start: int, stop: int) -> None:
        patches, scratch = workspace.empty((block * k,), grad.dtype), tile_scratch(grad.dtype)
        arrays = grad.reshape(-1), filters.reshape(-1)
        _scatter_images(start, stop, *arrays, window, sizes, grad_x.reshape(-1), patches, scratch)

    flops = 2 * grad.size // max(1, grad.shape[0]) * k
    parallel_for(run, grad.shape[0], grain=max(1, GRAIN_FLOPS // max(1, flops)))
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
    c_out, c_per_group, *kernel = weight_shape
    taps, out_per_group = math.prod(kernel), c_out // groups
    k = taps * c_per_group
    x_last, grad = to_channels_last(x), to_channels_last(grad_out)
    window = window_of(x.shape, tuple(kernel), stride, padding, dilation)
    x_flat, grad_flat, dtype = x_last.reshape(-1), grad.reshape(-1), grad.dtype
    pixels = grad.size // c_out
    block = min(_block_pixels(k, dtype), pixels)
    sizes = (groups, out_per_group, tile_columns(dtype), block)
    chunks = split(pixels, grain=max(MIN_BLOCK, GRAIN_FLOPS // (2 * k * c_out)))
    sums = workspace.zeros((max(1, len(chunks)), groups, k, out_per_group), dtype)

    def run(index: int, start: int, stop: int) -> None:
        patches = workspace.empty((0 if _is_pointwise(window) else block * k,), dtype)
        packed, scratch = empty_panels(block, out_per_group, dtype), tile_scratch(dtype)
        _sum_blocks(start, stop, x_flat, grad_flat, window, sizes, sums[index].reshape(-1), patches, packed, scratch)

    parallel_chunks(run, chunks)
    grad_weight = workspace.empty((groups, out_per_group, c_per_group, taps), dtype)
    parallel_for(_collect_weights, groups * -(-out_per_group // 16), sums, grad_weight, grain=max(1, (1 << 12) // k))
    return workspace.reshaped(grad_weight, weight_shape)  # (groups, o, i, taps) -> (c_out, c_in/groups, *kernel)


def convolve(x: np.ndarray, filters: np.ndarray, window: Window, groups: int, out: np.ndarray, end: Ending) -> None:
    """x (n, *spatial, c), filters packed a group -> out (n, *spatial, c_out).

    Threads share out the pixels; where these are few and the filters many, the columns of the output, so that each thread
    reads its own filters alone.
    """
    c_out = out.shape[-1]
    k = math.prod(window[7:10]) * (window[3] // groups)
    pixels = out.size // c_out
    tiles = -(-pixels // ROWS)
    x_flat, out_flat, dtype = x.reshape(-1), out.reshape(-1), out.dtype
    pointwise, columns = _is_pointwise(window), tile_columns(dtype)
    grain = GRAIN_FLOPS // (2 * k)
    if get_num_threads() > 1 and pixels <= GROUP and groups == 1 and c_out >= 8 * columns and pixels * c_out > grain:
        patches = x_flat
        if not pointwise:
            patches = workspace.empty((pixels * k,), dtype)
            parallel_for(_gather_range, pixels, x_flat, window, patches, grain=max(1, PATCH_GRAIN // k))

        def run_columns(start: int, stop: int) -> None:
            left, right = start * columns, min(stop * columns, c_out)
            sizes = (
                pixels,
                right - left,
                k,
                patches,
                0,
                k,
                1,
                filters.reshape(-1),
                left * k,
                out_flat,
                left,
                c_out,
                columns,
            )
            flags, bias, other = end
            multiply(ONE_PRODUCT, *sizes, 0, tile_scratch(dtype), flags, bias, left, other)

        parallel_for(run_columns, -(-c_out // columns), grain=max(1, grain // (pixels * columns)))
        return
    block = min(_block_pixels(k, dtype), tiles * ROWS)
    sizes = (groups, c_out // groups, columns, block)

    def run(start: int, stop: int) -> None:
        patches = workspace.empty((0 if pointwise else block * k,), dtype)
        rows = (start * ROWS, min(stop * ROWS, pixels))
        arrays = x_flat, filters.reshape(-1)
        _multiply_blocks(*rows, *arrays, window, sizes, out_flat, patches, tile_scratch(dtype), *end)

    parallel_for(run, tiles, grain=max(1, grain // (ROWS * c_out)))


def _is_pointwise(window: Window) -> bool:
    return window[7:16] == (1, 1, 1, 1, 1, 1, 0, 0, 0)  # kernel size 1, stride 1, no padding


def _block_pixels(k: int, dtype: np.dtype) -> int:
    """Pixels of a block, a multiple of the tile's rows."""
    return max(MIN_BLOCK, BLOCK_BYTES // (k * dtype.itemsize) // ROWS * ROWS)


@jit
def _gather(x, c_at, channels, window, first, n_pixels, patches):
    """patches[p, t, i] = x at tap t of the window of output pixel first + p, channel c_at + i; zero outside the image.

    Taps that lie side by side in memory (all channels, no dilation along the row) are copied as one run.
    """
    d, h, w, c, d_out, h_out, w_out, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = window
    run = kw if dw == 1 and channels == c else 1
    ox = first % w_out
    oy = first // w_out % h_out
    oz = first // (w_out * h_out) % d_out
    image = first // (w_out * h_out * d_out)
    at = 0
    for _ in range(n_pixels):
        for line in range(kd * kh):  # rows of taps
            z = oz * sd - pd + line // kh * dd
            y = oy * sh - ph + line % kh * dh
            inside = 0 <= z < d and 0 <= y < h
            for j in range(0, kw, run):
                left = ox * sw - pw + j * dw
                # Of the taps j .. j + run - 1, those from `begin` to `end` lie on the image.
                begin = min(max(-left, 0), run)
                end = max(min(w - left, run), begin) if inside else begin
                if end - begin < run:
                    target = patches[at : at + run * channels]
                    for q in range(target.size):
                        target[q] = 0
                if end > begin:
                    target = patches[at + begin * channels : at + end * channels]
                    source = x[(((image * d + z) * h + y) * w + left + begin) * c + c_at :]
                    for q in range(target.size):
                        target[q] = source[q]
                at += run * channels
        ox += 1
        if ox == w_out:
            ox = 0
            oy += 1
            if oy == h_out:
                oy = 0
                oz += 1
                if oz == d_out:
                    oz = 0
                    image += 1


@jit
def _gather_range(start, stop, x, window, patches):
    """The patches of all channels of the output pixels start .. stop."""
    k = window[7] * window[8] * window[9] * window[3]
    _gather(x, ZERO, window[3], window, start, stop - start, patches[start * k : stop * k])


@jit
def _multiply_blocks(start, stop, x, filters, window, sizes, out, patches, scratch, ending, bias, other):
    """Output pixels start .. stop of a convolution, a block at a time. An empty `patches` says that x is the matrix."""
    groups, o, columns, block = sizes
    c, c_out = window[3], groups * o
    channels = c // groups
    k = window[7] * window[8] * window[9] * channels
    size = filters.size // groups
    for first in range(start, stop, block):
        n_pixels = min(block, stop - first)
        for group in range(groups):
            if patches.size == 0:
                source, source_at, row = x, first * c + group * channels, c
            else:
                _gather(x, group * channels, channels, window, first, n_pixels, patches)
                source, source_at, row = patches, ZERO, k
            packed_at, out_at = group * size, first * c_out + group * o
            multiply(
                *(ONE_PRODUCT, n_pixels, o, k, source, source_at, row, ONE, filters, packed_at),
                *(out, out_at, c_out, columns, ZERO, scratch, ending, bias, group * o, other),
            )


@jit
def _sum_blocks(start, stop, x, grad, window, sizes, sums, patches, packed, scratch):
    """sums[group] += patches.T @ grad over the output pixels start .. stop."""
    groups, o, columns, block = sizes
    c = window[3]
    channels = c // groups
    k = window[7] * window[8] * window[9] * channels
    panels = (o + columns - 1) // columns
    for first in range(start, stop, block):
        n_pixels = min(block, stop - first)
        for group in range(groups):
            if patches.size == 0:
                source, source_at, row = x, first * c + group * channels, c
            else:
                _gather(x, group * channels, channels, window, first, n_pixels, patches)
                source, source_at, row = patches, ZERO, k
            grad_at, sums_at = (first * groups + group) * o, group * k * o
            pack_rows(ZERO, panels, grad, grad_at, groups * o, n_pixels, o, columns, packed)
            multiply(
                ONE_PRODUCT,
                k,
                o,
                n_pixels,
                source,
                source_at,
                ONE,
                row,
                packed,
                ZERO,
                sums,
                sums_at,
                o,
                columns,
                ONE,
                scratch,
                ZERO,
                sums,
                ZERO,
                sums,
            )


@jit
def _collect_weights(start, stop, sums, grad_weight):
    """grad_weight[group, o, i, t] = sum over chunks of sums[chunk, group, (t, i), o]; start .. stop count blocks of o.

    A transposition: in blocks of 16 o x 16 i, so that neither side leaves the first-level cache.
    """
    n_chunks = sums.shape[0]
    _, n_o, n_i, taps = grad_weight.shape
    n_blocks = (n_o + 15) // 16
    for number in range(start, stop):
        group, first = number // n_blocks, number % n_blocks * 16
        last = min(first + 16, n_o)
        for block in range(0, n_i, 16):
            for t in range(taps):
                for i in range(block, min(block + 16, n_i)):
                    for o in range(first, last):
                        total = sums[0, group, t * n_i + i, o]
                        for chunk in range(1, n_chunks):
                            total += sums[chunk, group, t * n_i + i, o]
                        grad_weight[group, o, i, t] = total


@jit
def _scatter_images(start, stop, grad, filters, window, sizes, grad_x, patches, scratch):
    """Images start .. stop of grad_x: the gradients of a block of patches, added to the pixels under their taps."""
    d, h, w, c, d_out, h_out, w_out, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = window
    groups, o, columns, block = sizes
    channels = c // groups
    c_out = groups * o
    n_positions = d_out * h_out * w_out
    k = kd * kh * kw * channels
    size = filters.size // groups
    run = kw if dw == 1 and channels == c else 1  # taps that lie side by side
    for image in range(start, stop):
        for first in range(0, n_positions, block):
            n_pixels = min(block, n_positions - first)
            for group in range(groups):
                grad_at = (image * n_positions + first) * c_out + group * o
                for at in range(
                    0, k, 8 * columns
                ):  # so many filters stay in the cache from one tile of pixels to the next
                    shape, left = (n_pixels, min(8 * columns, k - at), o), (grad, grad_at, c_out, ONE)
                    packed_at = group * size + at * o
                    multiply(
                        *(ONE_PRODUCT, *shape, *left, filters, packed_at, patches, at, k, columns, ZERO, scratch),
                        *(ZERO, patches, ZERO, patches),
                    )
                for p in range(n_pixels):
                    oz, oy, ox = (first + p) // (h_out * w_out), (first + p) // w_out % h_out, (first + p) % w_out
                    for line in range(kd * kh):  # rows of taps
                        z = oz * sd - pd + line // kh * dd
                        y = oy * sh - ph + line % kh * dh
                        if not (0 <= z < d and 0 <= y < h):
                            continue
                        for j in range(0, kw, run):
                            left = ox * sw - pw + j * dw
                            # Of the taps j .. j + run - 1, those from `begin` to `end` lie on the image.
                            begin = min(max(-left, 0), run)
                            end = max(min(w - left, run), begin)
                            there = (((image * d + z) * h + y) * w + left + begin) * c + group * channels
                            at = p * k + (line * kw + j + begin) * channels
                            n = (end - begin) * channels
                            pixels, part = grad_x[there : there + n], patches[at : at + n]
                            for q in range(n):
                                pixels[q] += part[q]
