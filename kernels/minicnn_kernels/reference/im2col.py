"""Patches of an image as the columns of a matrix, and the way back, in one, two or three dimensions.

A convolution, and a pooling, looks at the image through a window of kh x kw *taps* (of kw along a sequence, of kd x kh x
kw in a volume). Tap (i, j) of every window together is just the padded image, shifted by (i, j) and strided: one slice.
``im2col`` stacks these slices, ``col2im`` adds them back where they came from; each is the transpose (the adjoint) of the
other as a linear map, which is why the backward pass of one is the other.

Read next: ``conv.py``.
"""

import itertools
import math
from collections.abc import Iterator, Sequence

import numpy as np

from ..geometry import conv_output_size

Sizes = tuple[int, ...]  # one number for each spatial axis


def tap_slice(tap: int, stride: int, dilation: int, n_out: int) -> slice:
    """The positions, along one padded axis, at which the windows 0 .. n_out - 1 see their tap number `tap`."""
    start = tap * dilation
    return slice(start, start + stride * (n_out - 1) + 1, stride)


def im2col(x: np.ndarray, kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> np.ndarray:
    """(n, c, *spatial) -> (n, c*taps, windows), zeros outside the image (``torch`` calls it unfold)."""
    n, c, *size = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding)))
    positions = tuple(map(conv_output_size, size, kernel_size, stride, padding, dilation))
    taps = math.prod(kernel_size)
    cols = np.empty((n, c, taps, *positions), x.dtype)
    for tap, place in enumerate(_places(kernel_size, stride, dilation, positions)):
        cols[:, :, tap] = padded[place]
    return cols.reshape(n, c * taps, math.prod(positions))  # (n, c, taps, *positions) -> (n, c*taps, windows)


def col2im(
    cols: np.ndarray, output_size: Sizes, kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes
) -> np.ndarray:
    """(n, c*taps, windows) -> (n, c, *spatial): each entry is added to its pixel (torch's fold)."""
    positions = tuple(map(conv_output_size, output_size, kernel_size, stride, padding, dilation))
    taps = math.prod(kernel_size)
    n, c = cols.shape[0], cols.shape[1] // taps
    parts = cols.reshape(n, c, taps, *positions)  # (n, c*taps, windows) -> (n, c, taps, *positions)
    padded = np.zeros((n, c, *(size + 2 * p for size, p in zip(output_size, padding, strict=True))), cols.dtype)
    for tap, place in enumerate(_places(kernel_size, stride, dilation, positions)):
        padded[place] += parts[:, :, tap]
    inside = tuple(slice(p, p + size) for size, p in zip(output_size, padding, strict=True))
    return padded[(slice(None), slice(None), *inside)]  # without the padding: (n, c, *spatial)


def _places(kernel_size: Sizes, stride: Sizes, dilation: Sizes, positions: Sequence[int]) -> Iterator[tuple]:
    """Tap after tap, in row-major order: where all windows see it in the padded images."""
    for tap in itertools.product(*map(range, kernel_size)):
        yield (slice(None), slice(None), *map(tap_slice, tap, stride, dilation, positions))
