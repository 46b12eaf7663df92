"""Squeeze-and-excitation's gate, ready to be computed many times: the means of an image's channels through two small layers.

    gate = g(W2 f(W1 mean(x) + b1) + b2)        (Hu, Shen and Sun 2018, equations 2 to 4)

The means come from sums of parts of each image, added in the order of the parts. What the gate is for, x * gate, is done by
the convolution that reads the product (``standing_product.py``).
"""

import numpy as np

from ..launch import Launch
from ..threads import get_num_threads
from .finish import finish, finishing
from .jit import ZERO, jit, jit_allocating, launch
from .layout import contiguous, to_channels_last
from .simd import VECTOR_BYTES, lanes, load, number, store

GRAIN = 1 << 15  # numbers below which another thread does not pay


def gate_launches(
    x: np.ndarray,
    weight_1: np.ndarray,
    bias_1: np.ndarray | None,
    weight_2: np.ndarray,
    bias_2: np.ndarray | None,
    activation: str,
    gate: str,
    out: np.ndarray,
    kept: dict,
) -> list[Launch] | None:
    """See the reference. x is channels-last in memory."""
    n, c, h, w = x.shape
    if not x.transpose(0, 2, 3, 1).flags.carray or not x.size or c < lanes(x.dtype):
        return None
    if "squeeze" not in kept:
        kept["squeeze"] = contiguous(weight_1.reshape(-1, c))
        kept["excite"] = np.ascontiguousarray(weight_2.reshape(c, -1).T)  # (c, squeezed) -> (squeezed, c)
    squeezed = kept["squeeze"].shape[0]
    biases = [np.zeros(size, x.dtype) if b is None else contiguous(b) for b, size in ((bias_1, squeezed), (bias_2, c))]
    parts = min(h * w, get_num_threads()) if x.size >= GRAIN else 1
    sums = np.empty((n, parts, c), x.dtype)
    how = finishing(activation, (), x.dtype), finishing(gate, (), x.dtype)
    flat = to_channels_last(x).reshape(-1)
    grain = max(1, GRAIN * parts * n // x.size)
    weights = kept["squeeze"], biases[0], kept["excite"], biases[1]
    small = max(1, GRAIN // (2 * squeezed * c))
    return [
        launch(_sum_pixels, n * parts, flat, h * w, sums, grain=grain),
        launch(_gates, n, sums, x.dtype.type(1 / (h * w)), *weights, *how, out.reshape(-1), grain=small),
    ]


@jit
def _sum_pixels(start, stop, x, pixels, sums):
    """sums[image, part] = the sum of a part of the image's pixels; start .. stop count the parts."""
    parts, c = sums.shape[1:]
    lanes = VECTOR_BYTES // x.itemsize
    for item in range(start, stop):
        image, part = item // parts, item % parts
        first, last = part * pixels // parts, (part + 1) * pixels // parts
        for block in range(0, c, lanes):
            q = min(block, c - lanes)
            at = (image * pixels + first) * c + q
            sum_0 = number(0, load(x, at))
            sum_1, sum_2, sum_3 = sum_0, sum_0, sum_0
            p = first
            while p + 4 <= last:
                sum_0 = sum_0 + load(x, at)
                sum_1 = sum_1 + load(x, at + c)
                sum_2 = sum_2 + load(x, at + 2 * c)
                sum_3 = sum_3 + load(x, at + 3 * c)
                at += 4 * c
                p += 4
            while p < last:
                sum_0 = sum_0 + load(x, at)
                at += c
                p += 1
            store(sums, item * c + q, (sum_0 + sum_1) + (sum_2 + sum_3))


@jit_allocating
def _gates(start, stop, sums, share, squeeze, bias_1, excite, bias_2, f, g, out):
    """The gates of images start .. stop."""
    parts, c = sums.shape[1:]
    squeezed = squeeze.shape[0]
    mean, hidden, nothing = np.empty(c, out.dtype), np.empty(squeezed, out.dtype), out[:0]
    for image in range(start, stop):
        mean[:] = 0
        for part in range(parts):
            row = sums[image, part]
            for j in range(c):
                mean[j] += row[j]
        for i in range(squeezed):
            row = squeeze[i]
            total = row[0] * mean[0]
            for j in range(1, c):
                total += row[j] * mean[j]
            hidden[i] = total * share + bias_1[i]
        finish(hidden, ZERO, squeezed, nothing, ZERO, f)
        result = out[image * c : (image + 1) * c]
        for j in range(c):
            result[j] = bias_2[j]
        for i in range(squeezed):
            factor, row = hidden[i], excite[i]
            for j in range(c):
                result[j] += factor * row[j]
        finish(out, image * c, c, nothing, ZERO, g)
