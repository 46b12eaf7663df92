"""Patches of an image as the columns of a matrix, and the way back.

A convolution, and a pooling, looks at the image through a window of kh x kw *taps*. Tap (i, j) of every window
together is just the padded image, shifted by (i, j) and strided: one slice. ``im2col`` stacks these slices,
``col2im`` adds them back where they came from; each is the transpose (the adjoint) of the other as a linear map,
which is why the backward pass of one is the other.

Read next: ``conv.py``.
"""

import numpy as np

from ..geometry import conv_output_size

Pair = tuple[int, int]


def tap_slice(tap: int, stride: int, dilation: int, n_out: int) -> slice:
    """The positions, along one padded axis, at which the windows 0 .. n_out - 1 see their tap number `tap`."""
    start = tap * dilation
    return slice(start, start + stride * (n_out - 1) + 1, stride)


def im2col(x: np.ndarray, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> np.ndarray:
    """(n, c, h, w) -> (n, c*kh*kw, h_out*w_out), zeros outside the image (``torch`` calls it unfold)."""
    n, c, h, w = x.shape
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel_size, stride, padding, dilation
    h_out = conv_output_size(h, kh, sh, ph, dh)
    w_out = conv_output_size(w, kw, sw, pw, dw)
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    cols = np.empty((n, c, kh, kw, h_out, w_out), x.dtype)
    for i in range(kh):
        for j in range(kw):
            cols[:, :, i, j] = padded[:, :, tap_slice(i, sh, dh, h_out), tap_slice(j, sw, dw, w_out)]
    return cols.reshape(n, c * kh * kw, h_out * w_out)  # (n, c, kh, kw, h_out, w_out) -> (n, c*kh*kw, h_out*w_out)


def col2im(
    cols: np.ndarray, output_size: Pair, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    """(n, c*kh*kw, h_out*w_out) -> (n, c, h, w): each entry is added to its pixel (torch's fold)."""
    (h, w), (kh, kw), (sh, sw), (ph, pw), (dh, dw) = output_size, kernel_size, stride, padding, dilation
    h_out = conv_output_size(h, kh, sh, ph, dh)
    w_out = conv_output_size(w, kw, sw, pw, dw)
    n, c = cols.shape[0], cols.shape[1] // (kh * kw)
    taps = cols.reshape(n, c, kh, kw, h_out, w_out)  # (n, c*kh*kw, h_out*w_out) -> (n, c, kh, kw, h_out, w_out)
    padded = np.zeros((n, c, h + 2 * ph, w + 2 * pw), cols.dtype)
    for i in range(kh):
        for j in range(kw):
            padded[:, :, tap_slice(i, sh, dh, h_out), tap_slice(j, sw, dw, w_out)] += taps[:, :, i, j]
    return padded[:, :, ph : ph + h, pw : pw + w]  # (n, c, h + 2 ph, w + 2 pw) -> (n, c, h, w)
