"""What the convolution algorithms share: the numbers of a window, and filters as the panels of a matrix product."""

import numpy as np

from .. import workspace
from ..geometry import conv_output_size
from ..threads import parallel_for
from .gemm import n_panels
from .jit import jit
from .layout import contiguous
from .microkernel import tile_columns

Pair = tuple[int, int]
Window = tuple[int, ...]  # h, w, c, h_out, w_out, kh, kw, sh, sw, ph, pw, dh, dw; c counts the channels of all groups

GRAIN_FLOPS = 2_000_000  # about 25 microseconds: below that, another thread does not pay


def window_of(x_shape: tuple[int, ...], kernel_size: Pair, stride: Pair, padding: Pair, dilation: Pair) -> Window:
    """What the compiled functions are told about a convolution of images (n, c, h, w)."""
    _, c, h, w = x_shape
    h_out = conv_output_size(h, kernel_size[0], stride[0], padding[0], dilation[0])
    w_out = conv_output_size(w, kernel_size[1], stride[1], padding[1], dilation[1])
    return (h, w, c, h_out, w_out, *kernel_size, *stride, *padding, *dilation)


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
