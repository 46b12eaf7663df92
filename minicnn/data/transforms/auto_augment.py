"""Augmentation by a few numbers or none: RandAugment and TrivialAugmentWide.

    RandAugment          num_ops operations in turn, all of one strength    Cubuk et al. 2019, arXiv:1909.13719
    TrivialAugmentWide   one operation, of any strength                     Mueller and Hutter 2021, arXiv:2103.10158

The operations and their strengths are torchvision's, for PIL images and uint8 tensors (..., 1 or 3, h, w). They stand in one
table for each class: the strongest magnitude, and whether its sign is drawn. Read next: `auto_augment_policy.py` and
`augmix.py`, which apply the same operations otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from ..randomness import sample_generator
from .colour_arithmetic import ADJUSTMENTS
from .cropping import height_and_width
from .random_geometry import RandomAffine, RandomRotation
from .tones import TONES
from .warp import InterpolationMode

_ADJUSTED = {"Brightness": "brightness", "Color": "saturation", "Contrast": "contrast", "Sharpness": "sharpness"}
_PLAIN = {"AutoContrast": "autocontrast", "Equalize": "equalize"}


def usual_strengths(h: int, w: int) -> dict[str, tuple[float, bool]]:
    """Those of AutoAugment and RandAugment, for images of h x w."""
    return {
        "ShearX": (0.3, True),
        "ShearY": (0.3, True),
        "TranslateX": (150 / 331 * w, True),
        "TranslateY": (150 / 331 * h, True),
        "Rotate": (30.0, True),
        **dict.fromkeys(_ADJUSTED, (0.9, True)),
        "Posterize": (4, False),
        "Solarize": (255.0, False),
        **dict.fromkeys(_PLAIN, (0.0, False)),
    }


class Augment:
    """What all of them share: the operations, and how one is applied."""

    bits = 8  # what the weakest Posterize keeps

    def __init__(
        self,
        num_magnitude_bins: int,
        interpolation: InterpolationMode | str,
        fill: float | Sequence[float] | None,
    ):
        if num_magnitude_bins < 2:
            raise ValueError(f"num_magnitude_bins: expected at least 2, got {num_magnitude_bins}")
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = InterpolationMode.of(interpolation)
        self.fill = fill

    def _strongest(self, h: int, w: int) -> dict[str, tuple[float, bool]]:
        """Operation -> its strongest magnitude, and whether it goes both ways. Their order is part of what is drawn."""
        raise NotImplementedError

    def _magnitude(self, name: str, strongest: float, level: int) -> float:
        """The magnitude of one of the levels 0 .. num_magnitude_bins - 1."""
        last = self.num_magnitude_bins - 1
        if name == "Posterize":
            return self.bits - round(level * strongest / last)  # that are left
        if name == "Solarize":
            return 255.0 - level * strongest / last  # the threshold
        return level * strongest / last

    def _step(self, image: Any, generator: Generator, level: int | None) -> Any:
        """One operation, drawn with its sign, and with its level where that is None."""
        operations = self._strongest(*height_and_width(image, type(self).__name__))
        which, drawn, sign = (
            int(generator.integers(0, n, (1,))[0]) for n in (len(operations), self.num_magnitude_bins, 2)
        )
        name, (strongest, signed) = list(operations.items())[which]
        magnitude = self._magnitude(name, strongest, drawn if level is None else level)
        return self._applied(image, name, -magnitude if signed and sign else magnitude)

    def _applied(self, image: Any, name: str, magnitude: float) -> Any:
        fill = 0 if self.fill is None else self.fill
        if name == "Identity":
            return image
        if name == "Rotate":
            return RandomRotation((magnitude, magnitude), self.interpolation, fill=fill)(image)
        if name.startswith(("Shear", "Translate")):
            h, w = height_and_width(image, type(self).__name__)
            slant = math.degrees(math.atan(magnitude)) if name.startswith("Shear") else 0.0
            shift = 0 if slant else int(magnitude)
            shift_x, shift_y, slant_x, slant_y = (
                (shift, 0, slant, 0.0) if name.endswith("X") else (0, shift, 0.0, slant)
            )
            move = RandomAffine(0, interpolation=self.interpolation, fill=fill, center=(0, 0) if slant else None)
            return move.with_parameters(image, np.array([0.0, shift_x, shift_y, 1.0, slant_x, slant_y, h, w]))
        if name in _ADJUSTED:
            change, value = {**ADJUSTMENTS, **TONES}[_ADJUSTED[name]], 1.0 + magnitude
        else:
            change, value = TONES[_PLAIN.get(name, name.lower())], magnitude
        if not isinstance(image, Tensor):
            return change[1](image, value)
        images = image._array.reshape(-1, *image.shape[-3:])
        return Tensor(np.stack([change[0](one, value) for one in images]).reshape(image.shape))


class RandAugment(Augment):
    """Several random operations, all of the same strength.

    Parameters
    ----------
    num_ops : how many, one after the other.
    magnitude : their strength, 0 to num_magnitude_bins - 1.
    num_magnitude_bins : how many strengths there are.
    interpolation, fill : of what turns and shifts, as in `RandomAffine`; None fills with black.

    >>> from PIL import Image
    >>> RandAugment()(Image.new("RGB", (40, 30))).size
    (40, 30)
    """

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode | str = InterpolationMode.NEAREST,
        fill: float | Sequence[float] | None = None,
    ):
        super().__init__(num_magnitude_bins, interpolation, fill)
        if not 0 <= magnitude < num_magnitude_bins:
            raise ValueError(f"magnitude: expected 0 to {num_magnitude_bins - 1}, got {magnitude}")
        self.num_ops, self.magnitude = num_ops, magnitude

    def _strongest(self, h: int, w: int) -> dict[str, tuple[float, bool]]:
        return {"Identity": (0.0, False), **usual_strengths(h, w)}

    def __call__(self, image: Any) -> Any:
        generator = sample_generator()
        for _ in range(self.num_ops):
            image = self._step(image, generator, self.magnitude)
        return image

    def __repr__(self) -> str:
        return (
            f"RandAugment(num_ops={self.num_ops}, magnitude={self.magnitude}, "
            f"num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, fill={self.fill})"
        )


class TrivialAugmentWide(Augment):
    """One random operation, of a random strength; nothing to tune.

    Parameters
    ----------
    num_magnitude_bins : how many strengths there are.
    interpolation, fill : of what turns and shifts, as in `RandomAffine`; None fills with black.

    >>> from PIL import Image
    >>> TrivialAugmentWide()(Image.new("RGB", (40, 30))).size
    (40, 30)
    """

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode | str = InterpolationMode.NEAREST,
        fill: float | Sequence[float] | None = None,
    ):
        super().__init__(num_magnitude_bins, interpolation, fill)

    def _strongest(self, h: int, w: int) -> dict[str, tuple[float, bool]]:
        return {
            "Identity": (0.0, False),
            "ShearX": (0.99, True),
            "ShearY": (0.99, True),
            "TranslateX": (32.0, True),
            "TranslateY": (32.0, True),
            "Rotate": (135.0, True),
            **dict.fromkeys(_ADJUSTED, (0.99, True)),
            "Posterize": (6, False),
            "Solarize": (255.0, False),
            **dict.fromkeys(_PLAIN, (0.0, False)),
        }

    def __call__(self, image: Any) -> Any:
        return self._step(image, sample_generator(), None)

    def __repr__(self) -> str:
        return (
            f"TrivialAugmentWide(num_magnitude_bins={self.num_magnitude_bins}, interpolation={self.interpolation}, "
            f"fill={self.fill})"
        )
