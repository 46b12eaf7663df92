"""Max and average pooling over windows of kh x kw taps.

The image is padded so that every window lies inside it, and tap (i, j) of all windows is one strided slice (see
``im2col.py``): stack the taps and reduce over them. With `ceil_mode` the last window may hang over the right or lower
edge.

Conventions are PyTorch's. Max: padding counts as minus infinity; of equal taps the first in row-major order wins and
receives the whole gradient; a NaN wins over everything. Average: padding counts as zero, and whether it counts in the
divisor is `count_include_pad`; the part of a `ceil_mode` window that lies beyond even the padding never counts.
"""

import numpy as np

from ..geometry import Pair, pool_output_size
from .im2col import tap_slice


def max_pool2d_forward(
    x: np.ndarray, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool
) -> tuple[np.ndarray, np.ndarray]:
    """x (n, c, h, w) -> out (n, c, h_out, w_out) and the winning tap's number i * kw + j of each window, int32."""
    taps = _taps(x, kernel_size, stride, padding, dilation, ceil_mode, fill=-np.inf)  # (kh*kw, n, c, h_out, w_out)
    out = taps.max(axis=0)  # (kh*kw, n, c, h_out, w_out) -> (n, c, h_out, w_out); NaN wins
    saved = taps.argmax(
        axis=0
    )  # (kh*kw, n, c, h_out, w_out) -> (n, c, h_out, w_out); the first NaN, or the first maximum
    # A window of nothing but -inf: the winner is its first tap on the image, never one on the padding.
    on_image = _taps(np.ones((1, 1, *x.shape[2:]), bool), kernel_size, stride, padding, dilation, ceil_mode, fill=False)
    saved = np.where(out == -np.inf, on_image.argmax(axis=0), saved)
    return out, saved.astype(np.int32)


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
    numbers = np.arange(kernel_size[0] * kernel_size[1]).reshape(-1, 1, 1, 1, 1)
    grad_taps = np.where(saved == numbers, grad_out, 0)  # (n, c, h_out, w_out) -> (kh*kw, n, c, h_out, w_out)
    return _add_taps(grad_taps.astype(grad_out.dtype), input_shape, kernel_size, stride, padding, dilation)


def avg_pool2d_forward(
    x: np.ndarray,
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """x (n, c, h, w) -> (n, c, h_out, w_out): the sum over each window, divided by its number of taps that count."""
    taps = _taps(x, kernel_size, stride, padding, (1, 1), ceil_mode, fill=0)  # (kh*kw, n, c, h_out, w_out)
    divisor = _divisor(x.shape[2:], kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    return taps.sum(axis=0) / divisor.astype(x.dtype)  # (kh*kw, n, c, h_out, w_out) -> (n, c, h_out, w_out)


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
    divisor = _divisor(input_shape[2:], kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
    share = grad_out / divisor.astype(grad_out.dtype)
    grad_taps = np.broadcast_to(share, (kernel_size[0] * kernel_size[1], *share.shape))
    return _add_taps(grad_taps, input_shape, kernel_size, stride, padding, (1, 1))


def _taps(
    x: np.ndarray, kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair, ceil_mode: bool, fill: float
) -> np.ndarray:
    """(n, c, h, w) -> (kh*kw, n, c, h_out, w_out): what each tap of each window sees, `fill` outside the image."""
    n, c, h, w = x.shape
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel_size, stride, padding, dilation
    h_out = pool_output_size(h, kh, sh, ph, dh, ceil_mode)
    w_out = pool_output_size(w, kw, sw, pw, dw, ceil_mode)
    h_padded = max(h + ph, (h_out - 1) * sh + (kh - 1) * dh + 1)
    w_padded = max(w + pw, (w_out - 1) * sw + (kw - 1) * dw + 1)
    padded = np.full((n, c, h_padded + ph, w_padded + pw), fill, x.dtype)
    padded[:, :, ph : ph + h, pw : pw + w] = x
    return np.stack(
        [padded[:, :, tap_slice(i, sh, dh, h_out), tap_slice(j, sw, dw, w_out)] for i in range(kh) for j in range(kw)]
    )


def _add_taps(
    grad_taps: np.ndarray, input_shape: tuple[int, ...], kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> np.ndarray:
    """The adjoint of ``_taps``: (kh*kw, n, c, h_out, w_out) -> (n, c, h, w), adding; padding is dropped."""
    n, c, h, w = input_shape
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel_size, stride, padding, dilation
    h_out, w_out = grad_taps.shape[3:]
    h_padded = max(h + ph, (h_out - 1) * sh + (kh - 1) * dh + 1)
    w_padded = max(w + pw, (w_out - 1) * sw + (kw - 1) * dw + 1)
    padded = np.zeros((n, c, h_padded, w_padded), grad_taps.dtype)
    for number, grad in enumerate(grad_taps):
        i, j = divmod(number, kw)
        padded[:, :, tap_slice(i, sh, dh, h_out), tap_slice(j, sw, dw, w_out)] += grad
    return padded[:, :, ph : ph + h, pw : pw + w]  # (n, c, h_padded, w_padded) -> (n, c, h, w)


def _divisor(
    size: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None,
) -> np.ndarray:
    """(h_out, w_out): by what each window's sum is divided, float64."""
    counts = []
    for axis in range(2):
        extent, k, s, p = size[axis], kernel_size[axis], stride[axis], padding[axis]
        start = np.arange(pool_output_size(extent, k, s, p, 1, ceil_mode)) * s - p
        stop = np.minimum(start + k, extent + p)  # a window that hangs over the padding is cut there
        if not count_include_pad:
            start, stop = np.maximum(start, 0), np.minimum(stop, extent)
        counts.append(stop - start)
    taps_that_count = np.multiply.outer(*counts)  # (h_out,), (w_out,) -> (h_out, w_out)
    if divisor_override is not None:
        taps_that_count = np.full_like(taps_that_count, divisor_override)
    return taps_that_count.astype(np.float64)
