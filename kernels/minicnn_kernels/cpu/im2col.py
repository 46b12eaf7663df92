"""Patches as columns, and back: (n, c, h, w) and (n, c*kh*kw, h_out*w_out), row-major as in ``reference/im2col.py``.

For images only: these are the kernels of unfold and fold. The convolutions do not use them (``conv_im2col.py`` gathers
patches as rows, channels-last).
"""

import numpy as np

from .. import workspace
from ..geometry import conv_output_size
from ..threads import parallel_for
from .conv_shared import Sizes
from .jit import jit, jit_part
from .layout import contiguous

GRAIN = 1 << 15  # numbers below which another thread does not pay


def im2col(x: np.ndarray, kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> np.ndarray:
    """(n, c, h, w) -> (n, c*kh*kw, h_out*w_out), zeros outside the image (``torch`` calls it unfold)."""
    n, c, h, w = x.shape
    h_out, w_out = _positions((h, w), kernel_size, stride, padding, dilation)
    taps = kernel_size[0] * kernel_size[1]
    cols = workspace.empty((n * c, taps, h_out, w_out), x.dtype)
    planes = contiguous(x).reshape(n * c, h, w)
    window = (*kernel_size, *stride, *padding, *dilation)
    parallel_for(_gather_planes, n * c, planes, window, cols, grain=max(1, GRAIN // (taps * h_out * w_out)))
    return cols.reshape(n, c * taps, h_out * w_out)  # (n*c, taps, h_out, w_out) -> (n, c*taps, h_out*w_out)


def col2im(
    cols: np.ndarray, output_size: Sizes, kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> np.ndarray:
    """(n, c*kh*kw, h_out*w_out) -> (n, c, h, w): each entry is added to its pixel (torch's fold)."""
    h_out, w_out = _positions(output_size, kernel_size, stride, padding, dilation)
    taps = kernel_size[0] * kernel_size[1]
    n, c = cols.shape[0], cols.shape[1] // taps
    grads = contiguous(cols).reshape(n * c, taps, h_out, w_out)
    planes = workspace.zeros((n * c, *output_size), cols.dtype)
    window = (*kernel_size, *stride, *padding, *dilation)
    parallel_for(_scatter_planes, n * c, grads, window, planes, grain=max(1, GRAIN // (taps * h_out * w_out)))
    return planes.reshape(n, c, *output_size)  # (n*c, h, w) -> (n, c, h, w)


def _positions(size: Sizes, kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Sizes:
    return tuple(map(conv_output_size, size, kernel_size, stride, padding, dilation))


@jit
def _gather_planes(start, stop, planes, window, cols):
    """cols[plane, (i, j), oy, ox] = planes[plane, oy*sh - ph + i*dh, ox*sw - pw + j*dw], or 0 outside."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w = planes.shape
    _, _, h_out, w_out = cols.shape
    for plane in range(start, stop):
        for i in range(kh):
            for j in range(kw):
                first, last, left = _on_image(j * dw - pw, sw, w, w_out)
                for oy in range(h_out):
                    y = oy * sh - ph + i * dh
                    target = cols[plane, i * kw + j, oy]
                    target[:] = 0
                    if 0 <= y < h:
                        middle, source = target[first:last], planes[plane, y, left:]
                        for q in range(middle.size):
                            middle[q] = source[q * sw]


@jit
def _scatter_planes(start, stop, cols, window, planes):
    """The adjoint: planes[plane, ...] += cols[plane, (i, j), oy, ox]."""
    kh, kw, sh, sw, ph, pw, dh, dw = window
    _, h, w = planes.shape
    _, _, h_out, w_out = cols.shape
    for plane in range(start, stop):
        for i in range(kh):
            for j in range(kw):
                first, last, left = _on_image(j * dw - pw, sw, w, w_out)
                for oy in range(h_out):
                    y = oy * sh - ph + i * dh
                    if 0 <= y < h:
                        middle, target = cols[plane, i * kw + j, oy, first:last], planes[plane, y, left:]
                        for q in range(middle.size):
                            target[q * sw] += middle[q]


@jit_part
def _on_image(offset, stride, w, w_out):
    """The positions ox < w_out with 0 <= ox * stride + offset < w, as (first, last + 1), and the first one's x."""
    first = min(max(0, (stride - 1 - offset) // stride), w_out)
    last = min(max(first, (w - 1 - offset) // stride + 1), w_out)
    return first, last, max(0, first * stride + offset)
