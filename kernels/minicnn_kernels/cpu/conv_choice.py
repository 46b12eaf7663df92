"""Which algorithm computes a convolution, and why. A pure function of shapes: nothing is timed, so results repeat.

Times are estimated in multiply-adds of the matrix product's inner loop, from what the parts took on an AVX-512 core
(``benchmarks/bench_conv.py`` measures again).
"""

import math
from functools import lru_cache
from typing import NamedTuple

from ..geometry import conv_output_size
from .conv_shared import Sizes
from .microkernel import SIMD

# What Winograd's maps cost, in multiply-adds of the product, for one tile or filter of one channel.
INPUT_MAP, OUTPUT_MAP, FILTER_MAP = 400, 220, 600
# What a number of a patch costs im2col to copy, or a number of a tile whose channels fill no vector.
PATCH_COPY = 3
LANES = SIMD.vector_bytes // 4  # of float32; the maps work on whole vectors of channels
# Up to so many channels a group, or numbers of a patch, reading patches where they lie is faster than copying them. (Above,
# the filters no longer stay in the cache from one tile of pixels to the next; im2col goes through them in pieces.)
DIRECT_CHANNELS, DIRECT_PATCH = 128, 1024
# From so many filters on, Winograd maps them by vectors (``winograd_filters.py``), and goes through them panel by panel
# where tiles are few: for each channel up to a quarter; for the gradient of the weights, whose sums are as many as the
# mapped filters, up to 4, if the tiles' numbers are below so many a point: each panel reads them all (19 MB and more took
# up to half as long again). Images of 2x2 pixels have 9 points.
MANY_FILTERS = 1 << 12
FEW_TILES, FEW_TILES_SUMMED, FEW_NUMBERS_SUMMED = 1 / 4, 4, 1 << 17
PAIR_POINTS, PAIR_FILTER_MAP = 9, 110
# Many filters and few pixels: up to so many pixels for each filter (and from so many weights on), it is faster to lay the
# patches out in the filters' order than the filters in the patches'. What that costs, for a number of a patch; and what it
# costs Winograd to map a filter that comes from memory, as so many do, and to bring its 36 points there and back.
FEW_PIXELS, MANY_WEIGHTS = 4, 1 << 14
ORDERED_PATCH, COLD_FILTER_MAP = 35, 2500


class Choice(NamedTuple):
    """An algorithm's name, and the reason in words."""

    algorithm: str
    reason: str


@lru_cache(maxsize=1024)
def choose(
    x_shape: Sizes,
    weight_shape: Sizes,
    stride: Sizes = (1, 1),
    padding: Sizes = (0, 0),
    dilation: Sizes = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    standing: bool = False,
) -> Choice:
    """The algorithm for a convolution and its gradients: ``"im2col"``, ``"direct"`` or ``"winograd"``.

    `standing` says that the filters stay as they are, and were laid out, or mapped, before.

    Raises
    ------
    ValueError
        If the algorithm asked for cannot compute this convolution, or is unknown.

    Examples
    --------
    >>> choose((8, 64, 56, 56), (64, 64, 3, 3), padding=(1, 1)).algorithm
    'winograd'
    >>> choose((64, 1, 28, 28), (32, 1, 3, 3), padding=(1, 1)).algorithm
    'direct'
    >>> choose((8, 64, 56, 56), (64, 64, 3, 3), padding=(1, 1), algorithm="exact")
    Choice(algorithm='direct', reason='64 channels a group: patches are read where they lie')
    """
    impossible = _no_winograd(weight_shape, stride, dilation, groups)
    if algorithm == "winograd" and impossible:
        raise ValueError(
            f"conv_algorithm('winograd'): it computes 3x3 filters with stride, dilation and groups 1, but {impossible}; "
            "use 'auto', which takes Winograd where it can"
        )
    if algorithm in ("im2col", "direct", "winograd"):
        return Choice(algorithm, "asked for")
    if algorithm not in ("auto", "exact"):
        raise ValueError(f"there is no convolution algorithm {algorithm!r}")
    c_out, c_per_group, *kernel = weight_shape
    if is_depthwise(weight_shape, groups):
        return Choice("direct", "depthwise: one filter a channel, no matrix to multiply")
    in_place = not standing and few_pixels(x_shape, weight_shape, stride, padding, dilation, groups)
    if max(*kernel, *stride) == 1 and max(padding) == 0:
        return Choice("im2col", "1x1: the image is the matrix of patches")
    few = c_per_group <= DIRECT_CHANNELS or c_per_group * math.prod(kernel) <= DIRECT_PATCH
    if algorithm == "auto" and not impossible:
        n, c_in, *size = x_shape
        *depth, h_out, w_out = map(conv_output_size, size, kernel, stride, padding, dilation)
        kd, d_out = (kernel[0], depth[0]) if depth else (1, 1)
        pixels = n * d_out * h_out * w_out
        tiles = n * d_out * -(-h_out // 4) * -(-w_out // 4)
        runs = -(-d_out // 16)
        mapped = tiles * (d_out + runs * (kd - 1)) // d_out  # more of the input than of the output, in depth
        columns = round_up(c_out, 2 * LANES)  # a register tile multiplies them all, needed or not
        product = 36 * mapped * kd * c_in * columns
        maps = mapped * INPUT_MAP * round_up(c_in, LANES) + tiles * OUTPUT_MAP * round_up(c_out, LANES)
        maps += 36 * mapped * c_in * PATCH_COPY if c_in % LANES else 0
        filter_map = COLD_FILTER_MAP if in_place else FILTER_MAP
        if few_tiles(x_shape, weight_shape, padding):
            filter_map = FILTER_MAP
            if is_pair(x_shape, padding):
                product, filter_map = product * PAIR_POINTS // 36, PAIR_FILTER_MAP
        maps += filter_map * kd * c_in * c_out
        other, copies = ("direct", 0) if few else ("im2col", PATCH_COPY)
        if in_place:
            other, copies = "im2col", ORDERED_PATCH
        plain = 9 * kd * pixels * c_in * (columns + copies)
        if product + maps < plain:
            name = "x".join(map(str, kernel))
            return Choice(
                "winograd", f"{name}, stride 1: an estimated {plain / (product + maps):.1f} times faster than {other}"
            )
    if in_place:
        return Choice("im2col", "few pixels for many filters: these are multiplied by where they lie")
    if few:
        return Choice("direct", f"{c_per_group} channels a group: patches are read where they lie")
    return Choice(
        "im2col", f"{c_per_group} channels: the filters are many, and patches are copied for a part at a time"
    )


def few_pixels(
    x_shape: Sizes, weight_shape: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, groups: int
) -> bool:
    """Whether im2col had better leave the filters where they lie (``conv_few_pixels.py``)."""
    sizes = zip(x_shape[2:], weight_shape[2:], stride, padding, dilation, strict=True)
    pixels = x_shape[0] * math.prod(conv_output_size(*axis) for axis in sizes)
    return groups == 1 and 0 < pixels <= FEW_PIXELS * weight_shape[0] and math.prod(weight_shape) >= MANY_WEIGHTS


def many_filters(weight_shape: Sizes) -> bool:
    """Whether Winograd has filters of 3x3 enough, in whole vectors, to map them by vectors."""
    c_out, c_in, *kernel = weight_shape
    return kernel == [3, 3] and c_out * c_in >= MANY_FILTERS and c_out % LANES == 0 and c_in % LANES == 0


def few_tiles(x_shape: Sizes, weight_shape: Sizes, padding: Sizes, summing: bool = False) -> bool:
    """Whether Winograd had better go through the filters, panel by panel (``conv_winograd_few.py``); `summing` says that it
    is for their gradient."""
    if not many_filters(weight_shape):
        return False
    n, _, h, w = x_shape
    h_out, w_out = h + 2 * padding[0] - 2, w + 2 * padding[1] - 2
    tiles = n * -(-h_out // 4) * -(-w_out // 4)
    if summing:
        return 0 < tiles <= FEW_TILES_SUMMED * min(weight_shape[:2]) and tiles * weight_shape[1] < FEW_NUMBERS_SUMMED
    return 0 < tiles <= FEW_TILES * min(weight_shape[:2])


def is_pair(x_shape: Sizes, padding: Sizes) -> bool:
    """Whether images are of two by two pixels between zeros."""
    return tuple(x_shape[2:]) == (2, 2) and tuple(padding) == (1, 1)


def round_up(count: int, step: int) -> int:
    return -(-count // step) * step


def is_depthwise(weight_shape: tuple[int, ...], groups: int) -> bool:
    """Whether each channel has a filter of its own."""
    return groups > 1 and weight_shape[0] == groups and weight_shape[1] == 1


def _no_winograd(weight_shape: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> str:
    """Why Winograd cannot compute this, or nothing."""
    if tuple(weight_shape[2:][-2:]) != (3, 3):
        return f"the filters are {'x'.join(map(str, weight_shape[2:]))}"
    for name, value in (("stride", stride), ("dilation", dilation)):
        if max(value) > 1:
            return f"{name} is {value}"
    if groups > 1:
        return f"groups is {groups}"
    return ""
