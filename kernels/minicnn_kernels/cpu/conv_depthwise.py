"""Depthwise convolution (groups = c_in = c_out): each channel has one filter of its own, and there is no matrix to multiply.

Channels-last, the filters become rows (taps, c), and each tap adds the product of two rows of c numbers: a plain loop
over channels that the compiler turns into vector instructions. Output rows are shared out among the threads; for the
gradient of the input, which adds to overlapping windows, whole images are.
"""

import math

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, parallel_for, split
from .conv_shared import Sizes, output_shape, window_of
from .jit import jit
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical

GRAIN = 1 << 17  # multiplications below which another thread does not pay


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
    n, c, *size = x.shape
    window = window_of(x.shape, weight.shape[2:], stride, padding, dilation)
    out = empty_channels_last(output_shape(n, c, window, len(size)), x.dtype)
    start = np.zeros(c, x.dtype) if bias is None else contiguous(bias)
    arrays = _volumes(x), _rows(weight), start, window, out.reshape(n, *window[4:7], c)
    grain = max(1, GRAIN // (window[6] * weight.size + 1))
    parallel_for(_forward_rows, n * window[4] * window[5], *arrays, grain=grain)
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
    n, c, *size = input_shape
    grad_x = workspace.zeros((n, *size, c), grad_out.dtype)
    window = window_of(input_shape, weight.shape[2:], stride, padding, dilation)
    grain = max(1, GRAIN // (grad_out[:1].size * weight[0].size + 1))
    arrays = _volumes(grad_out), _rows(weight), window, grad_x.reshape(n, *window[:3], c)
    parallel_for(_backward_images, n, *arrays, grain=grain)
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
    c, _, *kernel = weight_shape
    window = window_of(x.shape, tuple(kernel), stride, padding, dilation)
    rows, taps = x.shape[0] * window[4] * window[5], math.prod(kernel)
    chunks = split(rows, grain=max(1, GRAIN // (window[6] * c * taps + 1)))
    sums = np.zeros((len(chunks), taps, c))
    parallel_chunks(_sum_products, chunks, _volumes(grad_out), _volumes(x), window, sums)
    return np.ascontiguousarray(sums.sum(axis=0).T, x.dtype).reshape(weight_shape)  # (taps, c) -> (c, 1, *kernel)


def _volumes(x: np.ndarray) -> np.ndarray:
    """(n, c, *spatial) -> (n, d, h, w, c)."""
    n, c, *size = x.shape
    return to_channels_last(x).reshape(n, *(1,) * (3 - len(size)), *size, c)


def _rows(weight: np.ndarray) -> np.ndarray:
    """(c, 1, *kernel) -> (taps, c)."""
    return np.ascontiguousarray(weight.reshape(weight.shape[0], -1).T)


@jit
def _forward_rows(start, stop, x, filters, bias, window, out):
    """Rows start .. stop of all the rows of out (n, d_out, h_out, w_out, c)."""
    d, h, w, c, d_out, h_out, w_out, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = window
    for row in range(start, stop):
        image, oz, oy = row // (h_out * d_out), row // h_out % d_out, row % h_out
        for ox in range(w_out):
            total = out[image, oz, oy, ox]
            for q in range(c):
                total[q] = bias[q]
            for line in range(kd * kh):  # rows of taps
                z = oz * sd - pd + line // kh * dd
                y = oy * sh - ph + line % kh * dh
                for j in range(kw):
                    left = ox * sw - pw + j * dw
                    if 0 <= z < d and 0 <= y < h and 0 <= left < w:
                        pixel = x[image, z, y, left]
                        factor = filters[line * kw + j]
                        for q in range(c):
                            total[q] += pixel[q] * factor[q]


@jit
def _backward_images(start, stop, grad, filters, window, grad_x):
    """Images start .. stop of grad_x (n, d, h, w, c): each window's gradient times the filter, added where it came from."""
    d, h, w, c, d_out, h_out, w_out, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = window
    for image in range(start, stop):
        for row in range(d_out * h_out):
            oz, oy = row // h_out, row % h_out
            for ox in range(w_out):
                value = grad[image, oz, oy, ox]
                for line in range(kd * kh):  # rows of taps
                    z = oz * sd - pd + line // kh * dd
                    y = oy * sh - ph + line % kh * dh
                    for j in range(kw):
                        left = ox * sw - pw + j * dw
                        if 0 <= z < d and 0 <= y < h and 0 <= left < w:
                            pixel = grad_x[image, z, y, left]
                            factor = filters[line * kw + j]
                            for q in range(c):
                                pixel[q] += value[q] * factor[q]


@jit
def _sum_products(index, start, stop, grad, x, window, sums):
    """sums[index, t] = sum over output rows start .. stop of grad * (x at tap t), in float64."""
    d, h, w, c, d_out, h_out, w_out, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw = window
    for row in range(start, stop):
        image, oz, oy = row // (h_out * d_out), row // h_out % d_out, row % h_out
        for ox in range(w_out):
            value = grad[image, oz, oy, ox]
            for line in range(kd * kh):  # rows of taps
                z = oz * sd - pd + line // kh * dd
                y = oy * sh - ph + line % kh * dh
                for j in range(kw):
                    left = ox * sw - pw + j * dw
                    if 0 <= z < d and 0 <= y < h and 0 <= left < w:
                        pixel = x[image, z, y, left]
                        total = sums[index, line * kw + j]
                        for q in range(c):
                            total[q] += value[q] * pixel[q]
