"""Pictures seen from aside, and as through water: RandomPerspective and ElasticTransform, torchvision's.

Both say for each output pixel where it is read, and `warp.py` reads there. PIL images are seen from aside by Pillow itself;
the other takes the way of tensors for them too, as in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.random import Generator

from ..randomness import sample_generator
from .blur import blurred
from .pil import pil_fill
from .random_transform import RandomTransform, check_probability
from .warp import InterpolationMode, fill_values, sample_at


class RandomPerspective(RandomTransform):
    """Moves the four corners inwards, each by its own random step, with probability ``p``.

    Parameters
    ----------
    distortion_scale : how far, 0 to 1: up to this part of half the width and half the height.
    p : how often.
    interpolation : "nearest" or "bilinear", for PIL images "bicubic" too; or an `InterpolationMode`.
    fill : what comes in from outside; a number or one a channel.

    On tensors the fill is blended by its share of the pixel; torchvision darkens such border pixels twice.

    >>> import minicnn as mc
    >>> RandomPerspective(0.5, p=1)(mc.rand(3, 24, 32)).shape
    minicnn.Size([3, 24, 32])
    """

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        fill: float | Sequence[float] = 0,
    ):
        if not 0 <= distortion_scale <= 1:
            raise ValueError(f"distortion_scale: expected a number between 0 and 1, got {distortion_scale}")
        self.distortion_scale = distortion_scale
        self.p = check_probability(p)
        self.interpolation = InterpolationMode.of(interpolation)
        self.fill = fill
        self._fill = fill_values(fill)

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        """Whether, and the eight coefficients."""
        u = generator.uniform((9,), np.float64)
        if not u[0] < self.p:
            return np.zeros(9)
        return np.concatenate([[1.0], perspective_coefficients(*_corners(u[1:], w, h, self.distortion_scale))])

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list[list[int]], list[list[int]]]:
        """The four corners, and where they go at random, as (x, y): for `functional.perspective`."""
        starts, ends = _corners(sample_generator().uniform((8,), np.float64), width, height, distortion_scale)
        return [list(map(int, corner)) for corner in starts], [list(map(int, corner)) for corner in ends]

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        if self.interpolation is InterpolationMode.BICUBIC:
            raise ValueError("interpolation: 'bicubic' is for PIL images only; for tensors 'nearest' or 'bilinear'")
        h, w = images.shape[-2:]
        x, y = np.arange(w) + 0.5, np.arange(h)[:, None] + 0.5  # middles of pixels, from the upper left corner
        out = np.array(images, order="C")
        for i, (chosen, a, b, c, d, e, f, g, k) in enumerate(parameters.tolist()):
            if chosen:
                depth = g * x + k * y + 1
                x_in, y_in = (a * x + b * y + c) / depth - 0.5, (d * x + e * y + f) / depth - 0.5
                out[i] = sample_at(images[i : i + 1], y_in[None], x_in[None], self.interpolation, self._fill)[0]
        return out

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        from PIL import Image

        if not parameters[0]:
            return image
        return image.transform(
            image.size,
            Image.Transform.PERSPECTIVE,
            parameters[1:].tolist(),
            Image.Resampling[self.interpolation.name],
            fillcolor=pil_fill(image, self._fill),
        )

    def __repr__(self) -> str:
        return f"RandomPerspective(p={self.p})"


def perspective_coefficients(starts: Sequence[Sequence[float]], ends: Sequence[Sequence[float]]) -> np.ndarray:
    """(8,) a .. h of the map that takes the four points ``ends`` back to ``starts``, all as (x, y):

        x_in = (a x + b y + c) / (g x + h y + 1)        y_in = (d x + e y + f) / (g x + h y + 1)

    >>> a, *_ = perspective_coefficients([(0, 0), (4, 0), (4, 4), (0, 4)], [(0, 0), (2, 0), (2, 2), (0, 2)])
    >>> round(float(a), 6)  # twice the distance in the old image
    2.0
    """
    rows, right = [], []
    for (x_in, y_in), (x, y) in zip(starts, ends, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -x_in * x, -x_in * y], [0, 0, 0, x, y, 1, -y_in * x, -y_in * y]]
        right += [x_in, y_in]
    # Least squares, since corners that meet leave more than one solution.
    return np.linalg.lstsq(np.array(rows, np.float64), np.array(right, np.float64), rcond=None)[0]


def _corners(u: np.ndarray, w: int, h: int, distortion_scale: float) -> tuple[Any, Any]:
    """The corners of an image and where eight random numbers move them, (x, y) each, clockwise from the upper left."""
    reach_x, reach_y = (int(distortion_scale * (size // 2)) for size in (w, h))
    # whole pixels: left and top from 0 on, right and bottom up to the last one
    left, right = np.floor(u[0:2] * (reach_x + 1)), w - 1 - np.floor(u[2:4] * (reach_x + 1))
    top, bottom = np.floor(u[4:6] * (reach_y + 1)), h - 1 - np.floor(u[6:8] * (reach_y + 1))
    ends = [(left[0], top[0]), (right[0], top[1]), (right[1], bottom[0]), (left[1], bottom[1])]
    return [(0, 0), (w - 1, 0), (w - 1, h - 1), (0, h - 1)], ends


class ElasticTransform(RandomTransform):
    """Moves each pixel by a smooth random field (Simard, Steinkraus and Platt 2003).

    Parameters
    ----------
    alpha : how far: a number, or along x and along y. torchvision's measure: a field of numbers in -1 .. 1, smoothed, times
        alpha / 2, in pixels (times w / h, or h / w, where an image is not square).
    sigma : how smooth: the bell curve's width in pixels; the image must be larger than four of them.
    interpolation : "nearest" or "bilinear"; or an `InterpolationMode`.
    fill : what comes in from outside; a number or one a channel.

    >>> import minicnn as mc
    >>> ElasticTransform(alpha=34.0, sigma=4.0)(mc.rand(1, 28, 28)).shape
    minicnn.Size([1, 28, 28])
    """

    def __init__(
        self,
        alpha: float | Sequence[float] = 50.0,
        sigma: float | Sequence[float] = 5.0,
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        fill: float | Sequence[float] = 0,
    ):
        self.alpha, self.sigma = _two("alpha", alpha), _two("sigma", sigma)
        if min(self.sigma) < 0:
            raise ValueError(f"sigma: expected widths of at least 0, got {sigma!r}")
        self.interpolation = InterpolationMode.of(interpolation)
        if self.interpolation is InterpolationMode.BICUBIC:
            raise ValueError("interpolation: expected 'nearest' or 'bilinear', got 'bicubic'")
        self.fill = fill
        self._fill = fill_values(fill)

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        """How far each pixel is moved, along x and then along y: (2 h w,)"""
        moves = []
        for i, (size, other) in enumerate(((h, w), (w, h))):  # alpha / h in units of half the width, as in torchvision
            field = generator.uniform((1, h, w), np.float64) * 2 - 1
            if self.sigma[i] > 0:
                taps = int(8 * self.sigma[i] + 1) | 1
                field = blurred(field, (taps, taps), self.sigma, "ElasticTransform")
            moves.append(field.reshape(-1) * (self.alpha[i] / size * other / 2))
        return np.concatenate(moves)

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        n, _, h, w = images.shape
        moves = parameters.reshape(n, 2, h, w)
        x_in, y_in = np.arange(w) + moves[:, 0], np.arange(h)[:, None] + moves[:, 1]
        return sample_at(images, y_in, x_in, self.interpolation, self._fill)

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        from PIL import Image

        bands = np.stack([np.asarray(band) for band in image.split()])
        moved = [Image.fromarray(band) for band in self._apply(bands[None], parameters[None])[0]]
        return moved[0] if len(moved) == 1 else Image.merge(image.mode, moved)

    def __repr__(self) -> str:
        return (
            f"ElasticTransform(alpha={list(self.alpha)}, sigma={list(self.sigma)}, interpolation={self.interpolation}, "
            f"fill={self.fill})"
        )


def _two(name: str, value: float | Sequence[float]) -> tuple[float, float]:
    values = (value,) if isinstance(value, (int, float)) else tuple(value)
    if len(values) not in (1, 2):
        raise ValueError(f"{name}: expected a number or two, got {value!r}")
    return float(values[0]), float(values[-1])
