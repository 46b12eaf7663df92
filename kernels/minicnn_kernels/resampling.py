"""Resampling along one axis is a product with a banded matrix: each new element is a weighted sum of a few old ones.

The rows of the matrix are the new elements, kept as lists of taps: which old element, with what weight. The gradient is the
product with the transposed matrix. Images are resampled along their height, then along their width.

Element o of n lies, seen from s old ones, at

    (o + 1/2) scale - 1/2     where elements are small areas, scale = s / n
    o scale                   where the corners are to stay (``align_corners``), scale = (s - 1) / (n - 1)

and takes its taps from there: the nearest; the two around it, by distance (linear); four, by the cubic of Keys 1981,
"Cubic convolution interpolation for digital image processing", equation 4 with a = -3/4. An antialiased resampling to fewer
elements stretches these weights over as many old ones as fall to a new one, and scales them to the sum 1.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np


class AxisMatrix(NamedTuple):
    """An (n_out, size) matrix. Row o has the taps offsets[o] ... offsets[o + 1] - 1.

    offsets : (n_out + 1,) int64. columns : which old element, int64. weights : floating point.
    """

    offsets: np.ndarray
    columns: np.ndarray
    weights: np.ndarray

    def dense(self, size: int) -> np.ndarray:
        """All of its (n_out, size) numbers."""
        rows = np.repeat(np.arange(self.offsets.size - 1), np.diff(self.offsets))
        out = np.zeros((self.offsets.size - 1, size), self.weights.dtype)
        np.add.at(out, (rows, self.columns), self.weights)
        return out

    def transposed(self, size: int) -> "AxisMatrix":
        """The same as a (size, n_out) matrix."""
        rows = np.repeat(np.arange(self.offsets.size - 1), np.diff(self.offsets))
        order = np.argsort(self.columns, kind="stable")
        offsets = np.searchsorted(self.columns[order], np.arange(size + 1))
        return AxisMatrix(offsets, rows[order], self.weights[order])


def keys_cubic(x: np.ndarray, a: float) -> np.ndarray:
    """The weight of an element at distance x.

    Examples
    --------
    >>> keys_cubic(np.array([0.0, 0.5, 1.0, 1.5, 2.0]), -0.5).tolist()
    [1.0, 0.5625, 0.0, -0.0625, 0.0]
    """
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def _triangle(x: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - np.abs(x))


def _lanczos(x: np.ndarray) -> np.ndarray:
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


# Antialiased: the weight by distance, and how far it reaches. (The cubic has a = -1/2 here, as in Pillow.)
FILTERS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {
    "linear": (_triangle, 1),
    "cubic": (lambda x: keys_cubic(x, -0.5), 2),
    "lanczos": (_lanczos, 3),
}


@lru_cache(maxsize=256)
def axis_matrix(
    size: int, n_out: int, method: str, scale_factor: float | None, align_corners: bool, antialias: bool, dtype: Any
) -> tuple[AxisMatrix, AxisMatrix]:
    """The matrix from `size` to `n_out` elements, and the transposed one.

    method : ``"nearest"``, ``"nearest-exact"``, ``"linear"``, ``"cubic"``, and antialiased ``"lanczos"``.
    scale_factor : what the step between new elements follows from; None for the two sizes.

    Examples
    --------
    >>> matrix, _ = axis_matrix(2, 4, "linear", None, False, False, np.float64)
    >>> matrix.columns.reshape(4, 2).tolist()
    [[0, 1], [0, 1], [0, 1], [1, 1]]
    >>> matrix.weights.reshape(4, 2).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.75, 0.25]]
    """
    dtype = np.dtype(dtype)
    if align_corners and method != "nearest":
        scale = dtype.type((size - 1) / (n_out - 1) if n_out > 1 else 0)
    else:
        scale = dtype.type(1 / scale_factor if scale_factor else size / n_out)
    o = np.arange(n_out).astype(dtype)
    if antialias:
        matrix = _antialiased(size, o, scale, method)
    elif method.startswith("nearest"):
        place = np.floor((o + dtype.type(0.5)) * scale if method == "nearest-exact" else o * scale)
        matrix = _fixed(np.minimum(place, size - 1)[:, np.newaxis], np.ones((n_out, 1), dtype))
    else:
        place = o * scale if align_corners else (o + dtype.type(0.5)) * scale - dtype.type(0.5)
        if method == "linear":
            place = np.maximum(place, 0)
            first = np.minimum(np.floor(place), size - 1)
            part = np.clip(place - first, 0, 1)
            matrix = _fixed(np.stack([first, np.minimum(first + 1, size - 1)], 1), np.stack([1 - part, part], 1))
        else:
            first = np.floor(place)
            taps = np.arange(-1, 3)
            columns = np.clip(first[:, np.newaxis] + taps, 0, size - 1)
            weights = keys_cubic((place - first)[:, np.newaxis] - taps.astype(dtype), -0.75)
            matrix = _fixed(columns, weights.astype(dtype))
    return matrix, matrix.transposed(size)


def _fixed(columns: np.ndarray, weights: np.ndarray) -> AxisMatrix:
    """Rows of equally many taps: columns and weights (n_out, taps)."""
    n_out, taps = columns.shape
    return AxisMatrix(np.arange(n_out + 1) * taps, columns.astype(np.int64).reshape(-1), weights.reshape(-1))


def _antialiased(size: int, o: np.ndarray, scale: np.floating, method: str) -> AxisMatrix:
    weight_at, reach = FILTERS[method]
    stretch = max(float(scale), 1.0)
    centres = float(scale) * (o.astype(np.float64) + 0.5)  # with aligned corners too: so torch has it
    firsts = np.maximum((centres - reach * stretch + 0.5).astype(np.int64), 0)
    stops = np.minimum((centres + reach * stretch + 0.5).astype(np.int64), size)
    columns = [np.arange(first, stop) for first, stop in zip(firsts, stops, strict=True)]
    weights = [weight_at((own + 0.5 - centre) / stretch) for own, centre in zip(columns, centres, strict=True)]
    weights = [own / own.sum() for own in weights]
    offsets = np.concatenate([[0], np.cumsum(stops - firsts)])
    return AxisMatrix(offsets, np.concatenate(columns), np.concatenate(weights).astype(o.dtype))
