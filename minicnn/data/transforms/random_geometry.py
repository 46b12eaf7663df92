"""Random rotations and affine maps, torchvision's, each with one draw from the sample's own generator.

Read next: `warp.py`, the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.random import Generator

from ..randomness import sample_generator
from .pil import pil_fill
from .random_transform import RandomTransform, between
from .warp import InterpolationMode, fill_values, inverse_affine_matrix, rotated_size, warp, warp_pil


class RandomAffine(RandomTransform):
    """A random rotation, shift, scaling and shear about the centre.

    Parameters
    ----------
    degrees : rotations between -degrees and degrees, or between (low, high).
    translate : (a, b): shifts of up to a of the width and b of the height, in whole pixels.
    scale : (low, high) factors.
    shear : like degrees, parallel to the x axis; four numbers (x low, x high, y low, y high) for both.
    interpolation : "nearest" or "bilinear", for PIL images "bicubic" too; or an `InterpolationMode`.
    fill : what comes in from outside; a number or one a channel.
    center : (x, y) in pixels from the upper left corner; None is the middle.

    On tensors the fill is blended by its share of the pixel; torchvision darkens such border pixels twice.

    >>> import minicnn as mc
    >>> RandomAffine((90, 90))(mc.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 1.],
            [4., 2.]])
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | str = InterpolationMode.NEAREST,
        fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ):
        self.degrees = _symmetric("degrees", degrees)
        if translate is not None and (len(translate) != 2 or not all(0 <= part <= 1 for part in translate)):
            raise ValueError(f"translate: expected two fractions between 0 and 1, got {translate!r}")
        if scale is not None and (len(scale) != 2 or not all(factor > 0 for factor in scale)):
            raise ValueError(f"scale: expected two factors above 0, got {scale!r}")
        if center is not None and len(center) != 2:
            raise ValueError(f"center: expected (x, y), got {center!r}")
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else _symmetric("shear", shear, lengths=(2, 4))
        self.interpolation = InterpolationMode.of(interpolation)
        self.fill = fill
        self.center = center
        self._fill = fill_values(fill)

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """A random angle, shift (x, y), scale and shear (x, y), for `functional.affine`; ``img_size`` is (width, height)."""
        w, h = img_size
        drawn = RandomAffine(degrees, translate, scale_ranges, shears)._draw(sample_generator(), h, w).tolist()
        return drawn[0], (int(drawn[1]), int(drawn[2])), drawn[3], (drawn[4], drawn[5])

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        """angle, shift x, shift y, scale, shear x, shear y, height, width"""
        u = generator.uniform((6,), np.float64)
        angle = between(self.degrees, u[0])
        reach_x, reach_y = (self.translate[0] * w, self.translate[1] * h) if self.translate is not None else (0, 0)
        shift = np.rint(between((-reach_x, reach_x), u[1])), np.rint(between((-reach_y, reach_y), u[2]))
        scale = 1.0 if self.scale is None else between(self.scale, u[3])
        shear_x = 0.0 if self.shear is None else between(self.shear[:2], u[4])
        shear_y = between(self.shear[2:], u[5]) if self.shear is not None and len(self.shear) == 4 else 0.0
        return np.array([angle, *shift, scale, shear_x, shear_y, h, w])

    def _matrix(self, parameters: np.ndarray, origin: tuple[float, float]) -> list[float]:
        """The inverse matrix, in coordinates that begin at ``origin`` (x, y)."""
        angle, shift_x, shift_y, scale, shear_x, shear_y, h, w = (float(value) for value in parameters)
        x, y = (w / 2, h / 2) if self.center is None else self.center
        centre = (x - origin[0], y - origin[1])
        return inverse_affine_matrix(centre, angle, (shift_x, shift_y), scale, (shear_x, shear_y))

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        h, w = images.shape[-2:]
        matrices = np.array([self._matrix(one, (w / 2, h / 2)) for one in parameters])
        return warp(images, matrices, self.interpolation, self._fill)

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        return warp_pil(image, self._matrix(parameters, (0, 0)), self.interpolation, self._fill)

    def __repr__(self) -> str:
        parts = [f"degrees={self.degrees}"]
        parts += [f"{name}={value}" for name in ("translate", "scale", "shear") if (value := getattr(self, name))]
        return f"{type(self).__name__}({', '.join(parts)}, interpolation={self.interpolation.value!r})"


class RandomRotation(RandomAffine):
    """A random rotation, counter-clockwise for positive angles, as in torchvision (whose affine map turns clockwise).

    Parameters
    ----------
    degrees : angles between -degrees and degrees, or between (low, high).
    interpolation, center, fill : as in `RandomAffine`.
    expand : make the result so large that it holds the whole turned image; not to be used with ``center``.

    >>> import minicnn as mc
    >>> RandomRotation((90, 90))(mc.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 4.],
            [1., 3.]])
    >>> RandomRotation((90, 90), expand=True)(mc.tensor([[1, 2, 3]])).tolist()
    [[3], [2], [1]]
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode | str = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
    ):
        super().__init__(degrees, interpolation=interpolation, fill=fill, center=center)
        self.expand = expand
        if expand:
            self.batch = None  # type: ignore[assignment, method-assign]  # each image has a size of its own

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:  # type: ignore[override]  # as in torchvision
        """A random angle, for `functional.rotate`."""
        return between(_symmetric("degrees", degrees), sample_generator().uniform((1,), np.float64)[0])

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        parameters = super()._draw(generator, h, w)
        parameters[0] = -parameters[0]
        return parameters

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        if not self.expand:
            return super()._apply(images, parameters)
        h, w = images.shape[-2:]
        matrix = self._matrix(parameters[0], (w / 2, h / 2))  # of one tensor, so all are turned alike
        matrices = np.repeat([matrix], len(images), axis=0)
        return warp(images, matrices, self.interpolation, self._fill, rotated_size(h, w, matrix))

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        from PIL import Image

        return image.rotate(
            -parameters[0],
            Image.Resampling[self.interpolation.name],
            self.expand,
            self.center,
            fillcolor=pil_fill(image, self._fill),
        )


def digit_augmentation(level: str = "light") -> RandomAffine | None:
    """Small random shifts and rotations for 28 x 28 digits in 0..1: what ``--augment`` of the command line means.

    "light" turns by up to 8 degrees and shifts by up to 2 pixels; "strong" turns by up to 15, shifts by up to 3, scales
    by a tenth and slants by up to 8 degrees; "none" is None. The background is 0: apply it before normalising.

    >>> digit_augmentation("light")
    RandomAffine(degrees=(-8, 8), translate=(0.08, 0.08), interpolation='bilinear')
    """
    if level == "none":
        return None
    if level == "light":
        return RandomAffine(8, translate=(0.08, 0.08), interpolation="bilinear")
    if level == "strong":
        return RandomAffine(15, translate=(0.11, 0.11), scale=(0.9, 1.1), shear=8, interpolation="bilinear")
    raise ValueError(f"level: expected 'none', 'light' or 'strong', got {level!r}")


def _symmetric(name: str, value: float | Sequence[float], lengths: tuple[int, ...] = (2,)) -> tuple[float, ...]:
    """A number d as (-d, d); (low, high) as it is."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive, got {value}; or give (low, high)")
        return (-value, value)
    if len(value) not in lengths:
        raise ValueError(f"{name}: expected a number or {' or '.join(map(str, lengths))} of them, got {value!r}")
    return tuple(value)
