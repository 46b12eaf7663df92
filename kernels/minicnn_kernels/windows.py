"""Where the windows of a pooling lie, along one axis at a time.

A window sees a few places of the input. What lies on the padding, or beyond it, is cut off here, once, so that no kernel
asks whether a place is on the input; and windows of one size, dilated ones and the uneven ones of adaptive pooling are all
alike to a kernel. A window of a volume sees the places that its windows along the three axes see.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .geometry import pool_output_size

Window = Sequence[Sequence[int]]  # kernel size, stride, padding and dilation, a number an axis each


class Windows(NamedTuple):
    """The windows along one axis.

    starts, counts : (n_out,) int64; window o sees ``counts[o]`` places, ``starts[o]``, ``starts[o] + step``, ...
    firsts, stops : (size,) int64; the windows that see place p are among ``firsts[p]`` ... ``stops[p] - 1``. (With
        step 1 they are these; and there are no others at any rate.)
    largest : places of the largest window.
    """

    starts: np.ndarray
    counts: np.ndarray
    step: int
    firsts: np.ndarray
    stops: np.ndarray
    largest: int

    def seen(self, o: int) -> slice:
        """The places that window o sees."""
        return slice(int(self.starts[o]), int(self.starts[o] + self.counts[o] * self.step), self.step)


@lru_cache(maxsize=256)
def axis_windows(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> Windows:
    """Windows of one size, `stride` apart, the first of them `padding` before the input.

    Examples
    --------
    >>> windows = axis_windows(5, kernel=3, stride=2, padding=1, dilation=1, ceil_mode=False)
    >>> windows.starts.tolist(), windows.counts.tolist()
    ([0, 1, 3], [2, 3, 2])
    >>> windows.firsts.tolist(), windows.stops.tolist()  # place 1 is seen by windows 0 and 1, place 2 by window 1 alone
    ([0, 0, 1, 1, 2], [1, 2, 2, 3, 3])
    """
    origins = np.arange(pool_output_size(size, kernel, stride, padding, dilation, ceil_mode)) * stride - padding
    before = np.maximum(0, -(origins // dilation))  # taps that lie before the input
    after = -((origins - size) // dilation)  # the first tap that lies behind it
    counts = np.maximum(0, np.minimum(kernel, after) - before)
    return _with_inverse(
        origins + before * dilation, counts, dilation, origins, origins + (kernel - 1) * dilation, size
    )


@lru_cache(maxsize=256)
def adaptive_windows(size: int, n_out: int) -> Windows:
    """`n_out` windows that cover the input and overlap by at most one place: o sees floor(o s / n) to ceil((o + 1) s / n).

    Examples
    --------
    >>> windows = adaptive_windows(5, 3)
    >>> windows.starts.tolist(), windows.counts.tolist()
    ([0, 1, 3], [2, 3, 2])
    """
    o = np.arange(n_out)
    starts, ends = o * size // max(1, n_out), -(-(o + 1) * size // max(1, n_out))
    return _with_inverse(starts, ends - starts, 1, starts, ends - 1, size)


def _with_inverse(
    starts: np.ndarray, counts: np.ndarray, step: int, origins: np.ndarray, ends: np.ndarray, size: int
) -> Windows:
    """`origins` and `ends`: the first and the last place of each window, on the input or not; both grow."""
    places = np.arange(size)
    firsts = np.searchsorted(ends, places, side="left")
    stops = np.searchsorted(origins, places, side="right")
    return Windows(starts, counts, step, firsts, stops, int(counts.max(initial=0)))


def window_tables(spatial: Sequence[int], window: Window, ceil_mode: bool) -> tuple[Windows, ...]:
    """``axis_windows`` for each of the axes of `spatial`."""
    return tuple(axis_windows(*axis, ceil_mode) for axis in zip(spatial, *window, strict=True))


def pool_divisors(
    spatial: Sequence[int], window: Window, ceil_mode: bool, count_include_pad: bool, divisor_override: int | None
) -> tuple[np.ndarray, ...]:
    """By what the sum over each window is divided, as a product of one factor an axis, (n_out,) int64 each.

    The factor is the number of places that the window sees, with those of the padding or without; the part of a `ceil_mode`
    window that lies beyond even the padding never counts. `divisor_override` takes the place of the whole product.

    Examples
    --------
    >>> window = (2,), (2,), (1,), (1,)
    >>> [axis.tolist() for axis in pool_divisors((3,), window, False, True, None)]
    [[2, 2]]
    >>> [axis.tolist() for axis in pool_divisors((3,), window, False, False, None)]
    [[1, 2]]
    """
    divisors = []
    for size, kernel, stride, padding, dilation in zip(spatial, *window, strict=True):
        windows = axis_windows(size, kernel, stride, padding, dilation, ceil_mode)
        origins = np.arange(windows.starts.size) * stride - padding
        with_padding = np.minimum(origins + kernel, size + padding) - origins
        divisors.append(with_padding if count_include_pad else windows.counts)
    if divisor_override is not None:
        divisors = [np.full_like(axis, divisor_override if i == 0 else 1) for i, axis in enumerate(divisors)]
    return tuple(divisors)


def winners_as_taps(places: np.ndarray, width: int, window: Window) -> np.ndarray:
    """Places y * width + x in an image, one for each window (..., h_out, w_out) -> their numbers i * kw + j within these;
    kh * kw for place -1.
    """
    (kh, kw), _, _, (dh, dw) = window
    y, x = np.divmod(places, width)
    top, left = _origins(places.shape[-2:], window)
    return np.where(places < 0, kh * kw, (y - top) // dh * kw + (x - left) // dw)


def winners_as_places(taps: np.ndarray, width: int, window: Window) -> np.ndarray:
    """The other way round, int32; tap kh * kw, which no window has, becomes place -1."""
    (kh, kw), _, _, (dh, dw) = window
    i, j = np.divmod(taps.astype(np.int64), kw)
    top, left = _origins(taps.shape[-2:], window)
    return np.where(i == kh, -1, (top + i * dh) * width + left + j * dw).astype(np.int32)


def _origins(positions: Sequence[int], window: Window) -> tuple[np.ndarray, np.ndarray]:
    """The first row of each window, (h_out, 1), and its first column, (w_out,)."""
    _, strides, paddings, _ = window
    top, left = (np.arange(n) * s - p for n, s, p in zip(positions, strides, paddings, strict=True))
    return top[:, np.newaxis], left
