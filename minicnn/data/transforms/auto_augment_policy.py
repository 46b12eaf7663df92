"""AutoAugment: pairs of operations that a search found to help on a data set (Cubuk et al. 2018, arXiv:1805.09501).

A policy is 25 pairs, of which one is drawn for each image; each of its operations happens with its own probability. The
tables are those of the paper's appendix, as torchvision has them: operation, probability, strength 0 to 9.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..randomness import sample_generator
from .auto_augment import Augment, usual_strengths
from .cropping import height_and_width
from .warp import InterpolationMode


class AutoAugmentPolicy(enum.Enum):
    """Which data set a policy was found on. The strings, such as "imagenet", do as well."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


_TABLES = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize 0.4 8     Rotate 0.6 9
        Solarize 0.6 5      AutoContrast 0.6 -
        Equalize 0.8 -      Equalize 0.6 -
        Posterize 0.6 7     Posterize 0.6 6
        Equalize 0.4 -      Solarize 0.2 4
        Equalize 0.4 -      Rotate 0.8 8
        Solarize 0.6 3      Equalize 0.6 -
        Posterize 0.8 5     Equalize 1.0 -
        Rotate 0.2 3        Solarize 0.6 8
        Equalize 0.6 -      Posterize 0.4 6
        Rotate 0.8 8        Color 0.4 0
        Rotate 0.4 9        Equalize 0.6 -
        Equalize 0.0 -      Equalize 0.8 -
        Invert 0.6 -        Equalize 1.0 -
        Color 0.6 4         Contrast 1.0 8
        Rotate 0.8 8        Color 1.0 2
        Color 0.8 8         Solarize 0.8 7
        Sharpness 0.4 7     Invert 0.6 -
        ShearX 0.6 5        Equalize 1.0 -
        Color 0.4 0         Equalize 0.6 -
        Equalize 0.4 -      Solarize 0.2 4
        Solarize 0.6 5      AutoContrast 0.6 -
        Invert 0.6 -        Equalize 1.0 -
        Color 0.6 4         Contrast 1.0 8
        Equalize 0.8 -      Equalize 0.6 -""",
    AutoAugmentPolicy.CIFAR10: """
        Invert 0.1 -        Contrast 0.2 6
        Rotate 0.7 2        TranslateX 0.3 9
        Sharpness 0.8 1     Sharpness 0.9 3
        ShearY 0.5 8        TranslateY 0.7 9
        AutoContrast 0.5 -  Equalize 0.9 -
        ShearY 0.2 7        Posterize 0.3 7
        Color 0.4 3         Brightness 0.6 7
        Sharpness 0.3 9     Brightness 0.7 9
        Equalize 0.6 -      Equalize 0.5 -
        Contrast 0.6 7      Sharpness 0.6 5
        Color 0.7 7         TranslateX 0.5 8
        Equalize 0.3 -      AutoContrast 0.4 -
        TranslateY 0.4 3    Sharpness 0.2 6
        Brightness 0.9 6    Color 0.2 8
        Solarize 0.5 2      Invert 0.0 -
        Equalize 0.2 -      AutoContrast 0.6 -
        Equalize 0.2 -      Equalize 0.6 -
        Color 0.9 9         Equalize 0.6 -
        AutoContrast 0.8 -  Solarize 0.2 8
        Brightness 0.1 3    Color 0.7 0
        Solarize 0.4 5      AutoContrast 0.9 -
        TranslateY 0.9 9    TranslateY 0.7 9
        AutoContrast 0.9 -  Solarize 0.8 3
        Equalize 0.8 -      Invert 0.1 -
        TranslateY 0.7 9    AutoContrast 0.9 -""",
    AutoAugmentPolicy.SVHN: """
        ShearX 0.9 4        Invert 0.2 -
        ShearY 0.9 8        Invert 0.7 -
        Equalize 0.6 -      Solarize 0.6 6
        Invert 0.9 -        Equalize 0.6 -
        Equalize 0.6 -      Rotate 0.9 3
        ShearX 0.9 4        AutoContrast 0.8 -
        ShearY 0.9 8        Invert 0.4 -
        ShearY 0.9 5        Solarize 0.2 6
        Invert 0.9 -        AutoContrast 0.8 -
        Equalize 0.6 -      Rotate 0.9 3
        ShearX 0.9 4        Solarize 0.3 3
        ShearY 0.8 8        Invert 0.7 -
        Equalize 0.9 -      TranslateY 0.6 6
        Invert 0.9 -        Equalize 0.6 -
        Contrast 0.3 3      Rotate 0.8 4
        Invert 0.8 -        TranslateY 0.0 2
        ShearY 0.7 6        Solarize 0.4 8
        Invert 0.6 -        Rotate 0.8 4
        ShearY 0.3 7        TranslateX 0.9 3
        ShearX 0.1 6        Invert 0.6 -
        Solarize 0.7 2      TranslateY 0.6 7
        ShearY 0.8 4        Invert 0.8 -
        ShearX 0.7 9        TranslateY 0.8 3
        ShearY 0.8 5        AutoContrast 0.7 -
        ShearX 0.7 2        Invert 0.1 -""",
}
Operation = tuple[str, float, int]  # name, probability, strength


class AutoAugment(Augment):
    """One pair of a policy's operations, each with its probability.

    Parameters
    ----------
    policy : an `AutoAugmentPolicy`, or "imagenet", "cifar10" or "svhn".
    interpolation, fill : of what turns and shifts, as in `RandomAffine`; None fills with black.

    >>> from PIL import Image
    >>> AutoAugment()(Image.new("RGB", (40, 30))).size
    (40, 30)
    """

    def __init__(
        self,
        policy: AutoAugmentPolicy | str = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode | str = InterpolationMode.NEAREST,
        fill: float | Sequence[float] | None = None,
    ):
        super().__init__(10, interpolation, fill)
        try:
            self.policy = AutoAugmentPolicy(policy)
        except ValueError:
            names = ", ".join(repr(known.value) for known in AutoAugmentPolicy)
            raise ValueError(f"policy: expected one of {names}, got {policy!r}") from None
        self.policies = [_pair(line.split()) for line in _TABLES[self.policy].strip().splitlines()]

    def _strongest(self, h: int, w: int) -> dict[str, tuple[float, bool]]:
        return {**usual_strengths(h, w), "Invert": (0.0, False)}

    def __call__(self, image: Any) -> Any:
        generator = sample_generator()
        operations = self._strongest(*height_and_width(image, "AutoAugment"))
        which = int(generator.integers(0, len(self.policies), (1,))[0])
        chances, signs = generator.uniform((2,), np.float64), generator.integers(0, 2, (2,))
        for (name, probability, level), chance, sign in zip(self.policies[which], chances, signs, strict=True):
            if chance < probability:
                strongest, signed = operations[name]
                magnitude = self._magnitude(name, strongest, level)
                image = self._applied(image, name, -magnitude if signed and sign else magnitude)
        return image

    def __repr__(self) -> str:
        return f"AutoAugment(policy={self.policy}, fill={self.fill})"


def _pair(words: Sequence[str]) -> tuple[Operation, Operation]:
    first, second = (
        (name, float(probability), 0 if level == "-" else int(level))
        for name, probability, level in (words[:3], words[3:])
    )
    return first, second
