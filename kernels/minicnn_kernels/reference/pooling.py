"""Max and average pooling over the windows of a sequence, an image or a volume, one window after the other.

Where the windows lie is in their tables, one for each spatial axis (``../windows.py``): a window never reaches over the
edge, so that what padding counts for is settled there. ``fused.py`` shows who else pools.

Conventions are PyTorch's. Max: of equal elements the first in row-major order wins and receives the whole gradient; a NaN
wins over everything, the last of several. Average: the sum over a window is divided by the product of its divisors, one
for each axis.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..windows import Windows


def max_pool_forward(x: np.ndarray, windows: Sequence[Windows]) -> tuple[np.ndarray, np.ndarray]:
    """x (n, c, *spatial) -> out (n, c, *positions), and the place of the element that won each window, int32.

    A place is the element's number among those of its channel, row-major. Where a window is empty (a dilated one around a
    tiny image), out is the smallest number there is, and the place -1.
    """
    n, c, *spatial = x.shape
    positions = [axis.starts.size for axis in windows]
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    out = np.full((n, c, *positions), lowest, x.dtype)
    places = np.full(out.shape, -1, np.int32)
    numbers = np.arange(math.prod(spatial), dtype=np.int32).reshape(spatial)
    for position, seen in _each(windows):
        candidates = x[seen]
        taps = math.prod(candidates.shape[2:])
        if taps:
            candidates = candidates.reshape(n, c, taps)  # (n, c, *places) -> (n, c, taps)
            winner = _last_nan_or_first_maximum(candidates)  # (n, c, taps) -> (n, c)
            out[position] = np.take_along_axis(candidates, winner[..., np.newaxis], axis=2)[..., 0]
            places[position] = numbers[seen].reshape(-1)[winner]
    return out, places


def max_pool_backward_input(
    grad_out: np.ndarray, places: np.ndarray, input_shape: tuple[int, ...], windows: Sequence[Windows]
) -> np.ndarray:
    """grad_out (n, c, *positions) -> grad_x (n, c, *spatial): each gradient goes to the element that won its window."""
    n, c, *spatial = input_shape
    grad_x = np.zeros((n, c, math.prod(spatial)), grad_out.dtype)
    image, channel = np.ogrid[:n, :c]
    for position, _ in _each(windows):
        place = places[position]  # (n, c, *positions) -> (n, c)
        grad_x[image, channel, place] += np.where(place >= 0, grad_out[position], 0)
    return grad_x.reshape(input_shape)  # (n, c, places) -> (n, c, *spatial)


def avg_pool_forward(x: np.ndarray, windows: Sequence[Windows], divisors: Sequence[np.ndarray]) -> np.ndarray:
    """x (n, c, *spatial) -> (n, c, *positions): the sum over each window, divided. Of integers the quotient is cut off."""
    out = np.empty((*x.shape[:2], *(axis.starts.size for axis in windows)), x.dtype)
    axes = tuple(range(2, x.ndim))
    wide = np.float64 if x.dtype.kind == "f" else x.dtype
    for position, seen in _each(windows):
        total = x[seen].sum(axis=axes, dtype=wide)  # (n, c, *places) -> (n, c)
        divisor = _divisor(divisors, position)
        if x.dtype.kind == "f":
            out[position] = total / divisor
        else:
            out[position] = np.abs(total) // abs(divisor) * np.sign(total) * np.sign(divisor)
    return out


def avg_pool_backward_input(
    grad_out: np.ndarray, input_shape: tuple[int, ...], windows: Sequence[Windows], divisors: Sequence[np.ndarray]
) -> np.ndarray:
    """grad_out (n, c, *positions) -> grad_x (n, c, *spatial): every place of a window receives the same share."""
    grad_x = np.zeros(input_shape, grad_out.dtype)
    for position, seen in _each(windows):
        share = grad_out[position] / _divisor(divisors, position)
        grad_x[seen] += np.expand_dims(share, tuple(range(2, grad_x.ndim)))
    return grad_x


def _each(windows: Sequence[Windows]) -> Iterator[tuple[Any, Any]]:
    """For each window the index of its place in a result, and of what it sees, for all images and channels."""
    for position in np.ndindex(*(axis.starts.size for axis in windows)):
        yield (..., *position), (..., *(axis.seen(o) for axis, o in zip(windows, position, strict=True)))


def _last_nan_or_first_maximum(candidates: np.ndarray) -> np.ndarray:
    """(n, c, taps) -> (n, c), the number of the tap that wins."""
    is_nan = candidates != candidates
    last = candidates.shape[2] - 1 - is_nan[..., ::-1].argmax(axis=2)
    return np.where(is_nan.any(axis=2), last, candidates.argmax(axis=2))


def _divisor(divisors: Sequence[np.ndarray], position: Any) -> int:
    return math.prod(int(axis[o]) for axis, o in zip(divisors, position[1:], strict=True))
