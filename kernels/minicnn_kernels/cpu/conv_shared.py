"""What the convolution algorithms share: the numbers of a window, and filters as the panels of a matrix product.

The loops of all algorithms are three-dimensional: depth, height, width. A sequence is a volume of depth and height 1, an
image one of depth 1; channels-last, they are the same bytes. So nothing is converted: ``window_of`` puts ones in front.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from .. import workspace
from ..geometry import conv_output_size
from ..threads import parallel_chunks, parallel_for, split
from .gemm import n_panels
from .jit import jit
from .layout import contiguous, empty_channels_last, to_channels_last, to_logical
from .microkernel import ADD_BIAS, ADD_OTHER, RECTIFY, tile_columns

Sizes = tuple[int, ...]  # one number for each spatial axis
# d, h, w, c, d_out, h_out, w_out, kd, kh, kw, sd, sh, sw, pd, ph, pw, dd, dh, dw; c counts the channels of all groups
Window = tuple[int, ...]

GRAIN_FLOPS = 2_000_000  # about 25 microseconds: below that, another thread does not pay


IMAGES_BYTES = 1 << 19  # of images that stay in the cache from one step of the work to the next


class Watch(Protocol):
    """Somebody who looks at a convolution's result while it is in the cache, a few images at a time."""

    def begin(self, out: np.ndarray, n_chunks: int) -> None:
        """Before the first: out (n, *spatial, c), and among how many threads its images are shared out."""

    def see(self, index: int, first: int, last: int) -> None:
        """The images first .. last - 1 are there; they belong to the thread of that index."""


def images_at_a_time(image_bytes: int) -> int:
    """How many images stay in the cache."""
    return max(1, IMAGES_BYTES // max(1, image_bytes))


def watched(watch: Watch, out: np.ndarray, window: Window, compute: Callable[[int, int], None]) -> None:
    """All of out (n, *spatial, c), by ``compute(start, stop)`` for rows of it, with somebody watching."""
    rows, chunks = window[4] * window[5], split(out.shape[0])
    images = images_at_a_time(out[:1].nbytes)
    watch.begin(out, len(chunks))

    def run(index: int, start: int, stop: int) -> None:
        for first in range(start, stop, images):
            last = min(first + images, stop)
            compute(first * rows, last * rows)
            watch.see(index, first, last)

    parallel_chunks(run, chunks)


def window_of(x_shape: Sizes, kernel_size: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes) -> Window:
    """What the compiled functions are told about a convolution of x (n, c, *spatial)."""
    _, c, *size = x_shape
    axes = tuple(zip(size, kernel_size, stride, padding, dilation, strict=True))
    sizes, kernels, strides, paddings, dilations = zip(*((1, 1, 1, 0, 1),) * (3 - len(axes)), *axes, strict=True)
    out = map(conv_output_size, sizes, kernels, strides, paddings, dilations)
    return (*sizes, c, *out, *kernels, *strides, *paddings, *dilations)


# What is done to a sum before it is stored (``microkernel.py``): which of it; the bias; what is added, laid out as out is.
Ending = tuple[int, np.ndarray, np.ndarray]


def ending(
    out: np.ndarray, bias: np.ndarray | None = None, other: np.ndarray | None = None, rectify: bool = False
) -> Ending:
    """Of a convolution with the result out (n, *spatial, c_out): bias (c_out,), other (n, c_out, *spatial)."""
    flat = out.reshape(-1)  # stands for what there is not
    flags = ADD_BIAS * (bias is not None) + ADD_OTHER * (other is not None) + RECTIFY * rectify
    added = flat if other is None else to_channels_last(other).reshape(-1)
    return flags, flat if bias is None else contiguous(bias), added


def output_shape(n: int, c_out: int, window: Window, axes: int) -> tuple[int, ...]:
    """(n, c_out, *spatial) of what a convolution over so many axes results in."""
    return (n, c_out, *window[7 - axes : 7])


def with_filters(
    convolve: Callable[..., None],
    x: np.ndarray,
    filters: np.ndarray,
    bias: np.ndarray | None,
    weight_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    other: np.ndarray | None = None,
    rectify: bool = False,
) -> np.ndarray:
    """A convolution by what an algorithm's ``prepare`` made, with its ``convolve``; then plus other, and rectified."""
    window = window_of(x.shape, weight_shape[2:], stride, padding, dilation)
    out = empty_channels_last(output_shape(x.shape[0], weight_shape[0], window, len(stride)), x.dtype)
    convolve(to_channels_last(x), filters, window, groups, out, ending(out, bias, other, rectify))
    return to_logical(out)


def opposite_padding(kernel_size: Sizes, padding: Sizes, dilation: Sizes) -> Sizes:
    """With it, the convolution of grad_out by the flipped filters has the size of x. Negative where x was padded by more
    than the filter's reach."""
    return tuple(d * (k - 1) - p for k, p, d in zip(kernel_size, padding, dilation, strict=True))


def pack_filters(
    weight: np.ndarray, groups: int, shape: tuple[int, int, int], strides: tuple[int, int, int]
) -> np.ndarray:
    """filters[t, i, j] of `shape`, taken from each group's weights by `strides`, as panels: (groups, panels' size).

    A negative stride of t counts from the last tap.
    """
    taps, rows, n = shape
    packed = workspace.empty(
        (groups, n_panels(n, weight.dtype) * tile_columns(weight.dtype) * taps * rows), weight.dtype
    )
    for group in range(groups):
        at = group * taps * rows * n + (taps - 1 if strides[0] < 0 else 0)
        pack_into(weight, at, shape, strides, packed[group])
    return packed


def pack_into(
    weight: np.ndarray, at: int, shape: tuple[int, int, int], strides: tuple[int, int, int], packed: np.ndarray
) -> None:
    """The same for one group, from element `at` of the weights on, into `packed`."""
    flat = contiguous(weight).reshape(-1)
    columns = tile_columns(flat.dtype)
    grain = max(1, (1 << 15) // (shape[0] * shape[1] * columns))
    parallel_for(_pack_panels, n_panels(shape[2], flat.dtype), flat, at, *shape, *strides, columns, packed, grain=grain)


@jit
def _pack_panels(start, stop, w, at, taps, rows, n, tap_stride, row_stride, stride, columns, packed):
    """packed[panel][t][i][j] = w[at + t * tap_stride + i * row_stride + (panel * columns + j) * stride], zero from n on.

    In blocks of 16 rows, whose lines of `packed` stay in the cache while w is read in its own order.
    """
    for panel in range(start, stop):
        first = panel * columns
        for block in range(0, rows, 16):
            for j in range(columns):
                for i in range(block, min(block + 16, rows)):
                    for t in range(taps):
                        value = w[0]
                        value = (
                            w[at + t * tap_stride + i * row_stride + (first + j) * stride]
                            if first + j < n
                            else 0 * value
                        )
                        packed[((panel * taps + t) * rows + i) * columns + j] = value
