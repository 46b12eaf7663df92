"""Depthwise convolution (groups = c_in = c_out): each channel has one filter of its own, and there is no matrix to multiply.

Channels-last, the filters become rows (taps, c), and each tap adds the product of two rows of c numbers: a plain loop
over channels that the compiler turns into vector instructions. Output rows are shared out among the threads; for the
gradient of the input, which adds to overlapping windows, whole images are.
"""

import numpy as np

from .. import workspace
from ..geometry import conv_output_size
from ..threads import parallel_chunks, parallel_for, split
from .jit import jit
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical

Pair = tuple[int, int]
GRAIN = 1 << 17  # multiplications below which another thread does not pay


def forward(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, stride: Pair, padding: Pair, dilation: Pair, groups: int
) -> np.ndarray:
    """See ``conv.conv_forward``."""
    n, c, h, w = x.shape
    h_out = conv_output_size(h, weight.shape[2], stride[0], padding[0], dilation[0])
    w_out = conv_output_size(w, weight.shape[3], stride[1], padding[1], dilation[1])
    out = empty_channels_last((n, c, h_out, w_out), x.dtype)
    start = np.zeros(c, x.dtype) if bias is None else contiguous(bias)
    window = (*weight.shape[2:], *stride, *padding, *dilation)
    grain = max(1, GRAIN // (out[:1, :1].size * weight[0].size + 1))
    parallel_for(_forward_rows, n * h_out, to_channels_last(x), _rows(weight), start, window, out, grain=grain)
    return to_logical(out)


def backward_input(
    grad_out: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_backward_input``."""
    n, c, h, w = input_shape
    grad_x = workspace.zeros((n, h, w, c), grad_out.dtype)
    window = (*weight.shape[2:], *stride, *padding, *dilation)
    grain = max(1, GRAIN // (grad_out[:1].size * weight[0].size + 1))
    parallel_for(_backward_images, n, to_channels_last(grad_out), _rows(weight), window, grad_x, grain=grain)
    return to_logical(grad_x)


def backward_weight(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> np.ndarray:
    """See ``conv.conv_backward_weight``."""
    c, _, kh, kw = weight_shape
    grad = to_channels_last(grad_out)
    chunks = split(grad.shape[0] * grad.shape[1], grain=max(1, GRAIN // (grad[:1, :1].size * kh * kw + 1)))
    sums = np.zeros((len(chunks), kh * kw, c))
    parallel_chunks(_sum_products, chunks, grad, to_channels_last(x), (kh, kw, *stride, *padding, *dilation), sums)
    return np.ascontiguousarray(sums.sum(axis=0).T, grad.dtype).reshape(weight_shape)  # (taps, c) -> (c, 1, kh, kw)


def _rows(weight: np.ndarray) -> np.ndarray:
    """(c, 1, kh, kw) -> (taps, c)."""
    return np.ascontiguousarray(weight.reshape(weight.shape[0], -1).T)


@jit
def _forward_rows(start, stop, x, filters, bias, window, out):
    """Rows start .. stop of all the rows of out (n, h_out, w_out, c)."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w, _ = x.shape
    _, h_out, w_out, c = out.shape
    for row in range(start, stop):
        image, oy = row // h_out, row % h_out
        for ox in range(w_out):
            total = out[image, oy, ox]
            for q in range(c):
                total[q] = bias[q]
            for i in range(kh):
                y = oy * sh - ph + i * dh
                for j in range(kw):
                    left = ox * sw - pw + j * dw
                    if 0 <= y < h and 0 <= left < w:
                        pixel = x[image, y, left]
                        factor = filters[i * kw + j]
                        for q in range(c):
                            total[q] += pixel[q] * factor[q]


@jit
def _backward_images(start, stop, grad, filters, window, grad_x):
    """Images start .. stop of grad_x (n, h, w, c): each window's gradient times the filter, added where it came from."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w, c = grad_x.shape
    _, h_out, w_out, _ = grad.shape
    for image in range(start, stop):
        for oy in range(h_out):
            for ox in range(w_out):
                value = grad[image, oy, ox]
                for i in range(kh):
                    y = oy * sh - ph + i * dh
                    for j in range(kw):
                        left = ox * sw - pw + j * dw
                        if 0 <= y < h and 0 <= left < w:
                            pixel = grad_x[image, y, left]
                            factor = filters[i * kw + j]
                            for q in range(c):
                                pixel[q] += value[q] * factor[q]


@jit
def _sum_products(index, start, stop, grad, x, window, sums):
    """sums[index, t] = sum over output rows start .. stop of grad * (x at tap t), in float64."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w, _ = x.shape
    _, h_out, w_out, c = grad.shape
    for row in range(start, stop):
        image, oy = row // h_out, row % h_out
        for ox in range(w_out):
            value = grad[image, oy, ox]
            for i in range(kh):
                y = oy * sh - ph + i * dh
                for j in range(kw):
                    left = ox * sw - pw + j * dw
                    if 0 <= y < h and 0 <= left < w:
                        pixel = x[image, y, left]
                        total = sums[index, i * kw + j]
                        for q in range(c):
                            total[q] += value[q] * pixel[q]
