"""Turning, shifting and scaling pixels: affine maps of images, n at once.

An output pixel asks where it comes from. With the image's centre as origin, pixel centres at half-integers and the
inverse matrix (m00 m01 m02 / m10 m11 m12), output point (x, y) is read at

    x_in = m00 x + m01 y + m02        y_in = m10 x + m11 y + m12

by the nearest pixel or by bilinear interpolation; what lies outside reads ``fill``. This is torchvision's arithmetic
for tensors (its `grid_sample` with align_corners=False). Read next: `random_geometry.py`, which draws the matrices, and
`distortion.py`, for what is not affine.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .pil import pil_fill

_BLOCK_PIXELS = 1 << 13


class InterpolationMode(enum.Enum):
    """How a pixel between pixels is read. The strings, such as "nearest" and "bilinear", do as well.

    Resizing knows all of them for PIL images and the first four for tensors; turning and shifting (`RandomAffine`,
    `RandomRotation`) know "nearest" and "bilinear", and "bicubic" for PIL images. "nearest-exact" counts from the middles
    of pixels, as Pillow's "nearest" does; "nearest" is for tensors what old programs did.
    """

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"

    @classmethod
    def _missing_(cls, value: object) -> InterpolationMode | None:
        """Pillow's numbers, such as ``Image.Resampling.BILINEAR``, as torchvision takes them too."""
        numbers = {0: cls.NEAREST, 1: cls.LANCZOS, 2: cls.BILINEAR, 3: cls.BICUBIC, 4: cls.BOX, 5: cls.HAMMING}
        return numbers.get(value) if isinstance(value, int) else None

    @classmethod
    def of(cls, value: InterpolationMode | str) -> InterpolationMode:
        """The mode that ``value`` is or names, of those that images are turned and shifted with."""
        known = (cls.NEAREST, cls.BILINEAR, cls.BICUBIC)
        try:
            mode = cls(value)
            if mode not in known:
                raise ValueError
            return mode
        except ValueError:
            names = ", ".join(repr(mode.value) for mode in known)
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


def warp(
    images: np.ndarray,
    matrices: np.ndarray,
    mode: InterpolationMode,
    fill: np.ndarray,
    size: tuple[int, int] | None = None,
) -> np.ndarray:
    """images (n, c, h, w), matrices (n, 6) inverse, fill (c,) or (1,) -> (n, c, h, w) or (n, c, *size), of their dtype.

    The middle of the result reads at the middle of the image, before the matrix moves it.
    """
    if mode is InterpolationMode.BICUBIC:
        raise ValueError("interpolation: 'bicubic' turns PIL images only; for tensors 'nearest' or 'bilinear'")
    size = images.shape[-2:] if size is None else size
    out = np.empty((*images.shape[:2], *size), images.dtype)
    # A few at a time: some twenty temporaries of their size then stay in the cache (three times as fast for 64 digits).
    step = max(_BLOCK_PIXELS // max(images[0].size, out[0].size, 1), 1) if len(images) else 1
    for first in range(0, len(images), step):
        part = slice(first, first + step)
        out[part] = _warp_block(images[part], matrices[part], mode, fill, size)
    return out


def _warp_block(
    images: np.ndarray, matrices: np.ndarray, mode: InterpolationMode, fill: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """`warp` for so few images that memory does not matter."""
    h, w = images.shape[-2:]
    h_out, w_out = size
    x = np.arange(w_out) - (w_out - 1) / 2  # (w_out,)  distance of pixel centres from the result's
    y = np.arange(h_out) - (h_out - 1) / 2  # (h_out,)
    m = matrices.reshape(-1, 2, 3, 1, 1)
    x_in = (m[:, 0, 0] * x + (m[:, 0, 2] + (w - 1) / 2)) + m[:, 0, 1] * y[:, None]  # (n, h_out, w_out), pixel numbers
    y_in = (m[:, 1, 0] * x + (m[:, 1, 2] + (h - 1) / 2)) + m[:, 1, 1] * y[:, None]
    return sample_at(images, y_in, x_in, mode, fill)


def sample_at(
    images: np.ndarray, y_in: np.ndarray, x_in: np.ndarray, mode: InterpolationMode, fill: np.ndarray
) -> np.ndarray:
    """images (n, c, h, w) read at the places (n, h_out, w_out), pixel numbers, which it clips -> (n, c, h_out, w_out)."""
    h, w = images.shape[-2:]
    # All that lies a pixel or more outside is as good as pixel -1 or h, which the border below makes fill.
    np.clip(x_in, -1, w, out=x_in)
    np.clip(y_in, -1, h, out=y_in)
    if mode is InterpolationMode.NEAREST:
        # rint: halves go to the even pixel, as in grid_sample
        return _Framed(images, fill).read(np.rint(y_in), np.rint(x_in))
    work = images if images.dtype.kind == "f" else images.astype(np.float32)
    mixed = _bilinear(_Framed(work, fill), y_in, x_in)
    if mixed.dtype == images.dtype:
        return mixed
    limits = np.iinfo(images.dtype)
    return np.clip(np.rint(mixed), limits.min, limits.max).astype(images.dtype)


class _Framed:
    """Images in a frame of ``fill``, one pixel wide above and left, two below and right, ready to be gathered from."""

    def __init__(self, images: np.ndarray, fill: np.ndarray):
        n, c, h, w = images.shape
        framed = np.empty((n, c, h + 3, w + 3), images.dtype)
        framed[...] = fill.reshape(1, -1, 1, 1)
        framed[:, :, 1 : h + 1, 1 : w + 1] = images
        self.width = w + 3
        self.dtype = images.dtype
        self._flat = framed.reshape(-1)
        self._planes = (np.arange(n * c) * ((h + 3) * (w + 3))).reshape(n, c, 1, 1)

    def where(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Whole numbers (n, h, w) from -1 to the image's size -> places (n, c, h, w) in the flat array."""
        return self._planes + ((rows + 1) * self.width + (columns + 1)).astype(np.int64)[:, None]

    def read(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """The pixels there, (n, c, h, w)."""
        return self.take(self.where(rows, columns))

    def take(self, where: np.ndarray) -> np.ndarray:
        """The values at these places. mode="clip" only spares NumPy a check: none is outside."""
        return self._flat.take(where, mode="clip")


def _bilinear(images: _Framed, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    top, left = np.floor(y), np.floor(x)
    down, right = (part.astype(images.dtype)[:, None] for part in (y - top, x - left))  # (n, 1, h, w) weights
    where = images.where(top, left)
    rows = []
    for offset in (0, images.width):
        a, b = images.take(where + offset), images.take(where + (offset + 1))
        rows.append(a + (b - a) * right)
    return rows[0] + (rows[1] - rows[0]) * down


def rotated_size(h: int, w: int, matrix: Sequence[float]) -> tuple[int, int]:
    """(height, width) that hold all of an image of h x w after the map whose inverse is ``matrix``, about its middle.

    As torchvision counts them for tensors: a pixel that is covered by less than 1e-4 does not count.
    """
    corners = np.array([(x, y, 1) for x in (-w / 2, w / 2) for y in (-h / 2, h / 2)], np.float32)
    # The inverse turns the other way; the box around the image is the same up to a mirror. In float32 right angles
    # give whole numbers.
    moved = corners @ np.reshape(matrix, (2, 3)).T.astype(np.float32) + np.array([w / 2, h / 2], np.float32)
    low, high = (np.trunc(reach(moved, axis=0) / np.float32(1e-4)) * np.float32(1e-4) for reach in (np.min, np.max))
    width, height = (np.ceil(high) - np.floor(low)).astype(int).tolist()
    return height, width


def fill_values(fill: float | Sequence[float]) -> np.ndarray:
    """``fill`` as (1,) or (c,) float64. Raises TypeError or ValueError for anything else."""
    values = np.atleast_1d(np.asarray(fill, dtype=np.float64))
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"fill: expected a number or one a channel, got {fill!r}")
    return values


def warp_pil(image: Any, matrix: Sequence[float], mode: InterpolationMode, fill: np.ndarray) -> Any:
    """The same map of a PIL image, by Pillow; the matrix has the image's upper left corner as its origin."""
    from PIL import Image

    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling[mode.name], fillcolor=pil_fill(image, fill)
    )
