"""Turning, shifting and scaling pixels: affine maps of images, n at once.

An output pixel asks where it comes from. With the image's centre as origin, pixel centres at half-integers and the
inverse matrix (m00 m01 m02 / m10 m11 m12), output point (x, y) is read at

    x_in = m00 x + m01 y + m02        y_in = m10 x + m11 y + m12

by the nearest pixel or by bilinear interpolation; what lies outside reads ``fill``. This is torchvision's arithmetic
for tensors (its `grid_sample` with align_corners=False). Read next: `random_geometry.py`, which draws the matrices.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

import numpy as np


class InterpolationMode(enum.Enum):
    """How a pixel between pixels is read. The strings "nearest" and "bilinear" do as well."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"

    @classmethod
    def of(cls, value: InterpolationMode | str) -> InterpolationMode:
        """The mode that ``value`` is or names."""
        try:
            return cls(value)
        except ValueError:
            names = ", ".join(repr(mode.value) for mode in cls)
            raise ValueError(f"interpolation: expected one of {names}, got {value!r}") from None


def inverse_affine_matrix(
    centre: Sequence[float], angle: float, translate: Sequence[float], scale: float, shear: Sequence[float]
) -> list[float]:
    """The six numbers of the inverse of translate . centre . rotate . shear . scale . centre^-1, row by row.

    Angles in degrees, clockwise on the screen (y points down). With R the rotation, S the shears and C, T the shifts,
    M = T C R S scale C^-1; its inverse is C (R S scale)^-1 C^-1 T^-1, written out below.
    """
    rot, shear_x, shear_y = (math.radians(degrees) for degrees in (angle, *shear))
    a = math.cos(rot - shear_y) / math.cos(shear_y)
    b = -math.cos(rot - shear_y) * math.tan(shear_x) / math.cos(shear_y) - math.sin(rot)
    c = math.sin(rot - shear_y) / math.cos(shear_y)
    d = -math.sin(rot - shear_y) * math.tan(shear_x) / math.cos(shear_y) + math.cos(rot)
    m00, m01, m10, m11 = d / scale, -b / scale, -c / scale, a / scale  # a d - b c = 1: the inverse without the division
    back_x, back_y = -centre[0] - translate[0], -centre[1] - translate[1]
    return [
        m00, m01, m00 * back_x + m01 * back_y + centre[0],
        m10, m11, m10 * back_x + m11 * back_y + centre[1],
    ]  # fmt: skip


def warp(images: np.ndarray, matrices: np.ndarray, mode: InterpolationMode, fill: np.ndarray) -> np.ndarray:
    """images (n, c, h, w), matrices (n, 6) inverse, fill (c,) or (1,) -> (n, c, h, w) of the images' dtype."""
    n, _, h, w = images.shape
    x = np.arange(w) - (w - 1) / 2  # (w,)  distance of pixel centres from the image's
    y = np.arange(h) - (h - 1) / 2  # (h,)
    m = matrices.reshape(n, 2, 3, 1, 1)
    x_in = m[:, 0, 0] * x + m[:, 0, 1] * y[:, None] + m[:, 0, 2] + (w - 1) / 2  # (n, h, w), in pixel numbers
    y_in = m[:, 1, 0] * x + m[:, 1, 1] * y[:, None] + m[:, 1, 2] + (h - 1) / 2
    fill = fill.astype(images.dtype).reshape(1, -1, 1, 1)
    if mode is InterpolationMode.NEAREST:
        # rint: halves go to the even pixel, as in grid_sample
        return _read(images, np.rint(y_in).astype(np.int64), np.rint(x_in).astype(np.int64), fill)
    return _bilinear(images, y_in, x_in, fill)


def _bilinear(images: np.ndarray, y: np.ndarray, x: np.ndarray, fill: np.ndarray) -> np.ndarray:
    work = images.dtype if images.dtype.kind == "f" else np.dtype(np.float32)
    top, left = np.floor(y), np.floor(x)
    down, right = (y - top).astype(work), (x - left).astype(work)  # (n, h, w) weights of the lower and right neighbours
    rows, columns = top.astype(np.int64), left.astype(np.int64)
    planes, border = images.astype(work, copy=False), fill.astype(work)
    total = np.zeros((len(x), images.shape[1], *x.shape[1:]), work)
    for row, weight_y in ((0, 1 - down), (1, down)):
        for column, weight_x in ((0, 1 - right), (1, right)):
            total += _read(planes, rows + row, columns + column, border) * (weight_y * weight_x)[:, None]
    if images.dtype.kind == "f":
        return total
    limits = np.iinfo(images.dtype)
    return np.clip(np.rint(total), limits.min, limits.max).astype(images.dtype)


def _read(images: np.ndarray, rows: np.ndarray, columns: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """images (n, c, h, w) at rows, columns (n, h_out, w_out) -> (n, c, h_out, w_out); ``fill`` outside."""
    n, c, h, w = images.shape
    inside = (rows >= 0) & (rows < h) & (columns >= 0) & (columns < w)
    # (n, c, h, w) -> (n, c, h*w), and one gather per plane
    flat = np.ascontiguousarray(images).reshape(n, c, h * w)
    where = (np.clip(rows, 0, h - 1) * w + np.clip(columns, 0, w - 1)).reshape(n, 1, -1)
    values = np.take_along_axis(flat, where, axis=2).reshape(n, c, *rows.shape[1:])
    return np.where(inside[:, None], values, fill)


def fill_values(fill: float | Sequence[float]) -> np.ndarray:
    """``fill`` as (1,) or (c,) float64. Raises TypeError or ValueError for anything else."""
    values = np.atleast_1d(np.asarray(fill, dtype=np.float64))
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"fill: expected a number or one a channel, got {fill!r}")
    return values


def warp_pil(image: Any, matrix: Sequence[float], mode: InterpolationMode, fill: np.ndarray) -> Any:
    """The same map of a PIL image, by Pillow; the matrix has the image's upper left corner as its origin."""
    from PIL import Image

    resample = Image.Resampling.NEAREST if mode is InterpolationMode.NEAREST else Image.Resampling.BILINEAR
    bands = len(image.getbands())
    whole = [float(value) if image.mode == "F" else round(float(value)) for value in fill]
    colour: Any = whole[0] if bands == 1 else tuple(whole * bands if len(whole) == 1 else whole)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample, fillcolor=colour)
