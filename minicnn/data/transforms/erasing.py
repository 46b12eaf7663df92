"""RandomErasing: a random rectangle of the image is painted over (Zhong et al. 2017, "Random erasing data augmentation").

It is applied to normalised tensors, after everything else, so that 0 is the mean colour.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from ..randomness import sample_generator
from .random_transform import RandomTransform, between, check_probability


class RandomErasing(RandomTransform):
    """Paints a rectangle over, with probability ``p``.

    Parameters
    ----------
    p : how often.
    scale : (low, high) of the rectangle's area, as a share of the image's.
    ratio : (low, high) of height / width; its logarithm is drawn uniformly.
    value : what it is painted with: a number, one a channel, or "random" for normal noise.
    inplace : write into the tensor that comes in.

    Tensors (..., c, h, w) only. A rectangle that does not fit is drawn again, ten times at most; then nothing is erased.

    Raises
    ------
    TypeError : a PIL image, a value of another kind. ValueError : a probability, scale, ratio or value out of range.

    >>> import minicnn as mc
    >>> _ = mc.manual_seed(0)
    >>> image = RandomErasing(p=1, scale=(0.25, 0.25), ratio=(1, 1), value=7)(mc.zeros(1, 4, 4))
    >>> (image == 7).sum().item()
    4
    """

    attempts = 10

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: float | str | Sequence[float] = 0,
        inplace: bool = False,
    ):
        self.p = check_probability(p)
        for name, limits in (("scale", scale), ("ratio", ratio)):
            if not isinstance(limits, Sequence) or len(limits) != 2:
                raise TypeError(f"{name}: expected two numbers (low, high), got {limits!r}")
            if limits[0] > limits[1]:
                warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=2)
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError(f"scale: expected shares between 0 and 1, got {scale!r}")
        if not min(ratio) > 0:
            raise ValueError(f"ratio: expected numbers above 0, got {ratio!r}")
        if isinstance(value, str):
            if value != "random":
                raise ValueError(f"value: expected a number, one a channel or 'random', got {value!r}")
        elif not isinstance(value, (int, float, list, tuple)):
            raise TypeError(f"value: expected a number, one a channel or 'random', got {type(value).__name__}")
        self.scale, self.ratio, self.value, self.inplace = scale, ratio, value, inplace

    def __call__(self, image: Any) -> Any:
        if not isinstance(image, Tensor):
            raise TypeError(f"RandomErasing: expected a tensor, got {type(image).__name__}; put ToTensor() before it")
        if not self.inplace:
            return super().__call__(image)
        if image.ndim < 3:
            raise ValueError(f"RandomErasing: expected a tensor (..., c, h, w), got shape {tuple(image.shape)}")
        parameters = self._draw(sample_generator(), *image.shape[-2:])
        self._erase(image._array, parameters)
        image._bump_version()
        return image

    @staticmethod
    def get_params(
        img: Tensor, scale: Sequence[float], ratio: Sequence[float], value: Sequence[float] | None = None
    ) -> tuple[int, int, int, int, Tensor]:
        """A random rectangle (top, left, height, width) and its paint, for `functional.erase`; normal noise for None.

        Where none fits, the whole image, painted as it is.
        """
        paint: Any = "random" if value is None else value
        h, w = img.shape[-2:]
        drawn = RandomErasing(1, scale, ratio, paint)._draw(sample_generator(), h, w).astype(np.int64).tolist()
        top, left, height, width = drawn[:4]
        if height == 0:
            return 0, 0, h, w, img
        if value is None:
            return top, left, height, width, Tensor(_noise(drawn[4:], (img.shape[-3], height, width)))
        return top, left, height, width, Tensor(np.array(value, np.float32).reshape(-1, 1, 1))

    batch = RandomTransform.batch  # beside this __call__ too

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        """top, left, height, width (0 where nothing is erased), and a seed for noise in two halves of 32 bits"""
        u = generator.uniform((1 + 4 * self.attempts,), np.float64).tolist()
        seed = generator.words(2).tolist() if self.value == "random" else [0, 0]
        logarithms = math.log(self.ratio[0]), math.log(self.ratio[1])
        for i in range(self.attempts if u[0] < self.p else 0):
            share, proportion, down, right = u[1 + 4 * i : 5 + 4 * i]
            area = h * w * between(self.scale, share)
            ratio = math.exp(between(logarithms, proportion))
            height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if height < h and width < w:
                return np.array([int(down * (h - height + 1)), int(right * (w - width + 1)), height, width, *seed])
        return np.zeros(6)

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        result = images.copy()
        for image, numbers in zip(result, parameters, strict=True):
            self._erase(image, numbers)
        return result

    def _erase(self, image: np.ndarray, parameters: np.ndarray) -> None:
        """Paints over one image (..., c, h, w)."""
        top, left, height, width, low, high = parameters.astype(np.int64).tolist()
        channels = image.shape[-3]
        if isinstance(self.value, str):
            paint = _noise((low, high), (channels, height, width))
        else:
            paint = np.reshape(self.value, (-1, 1, 1))
            if len(paint) not in (1, channels):
                raise ValueError(f"value: {len(paint)} numbers for an image of {channels} channels")
        image[..., top : top + height, left : left + width] = paint

    def __repr__(self) -> str:
        return (
            f"RandomErasing(p={self.p}, scale={self.scale}, ratio={self.ratio}, value={self.value}, "
            f"inplace={self.inplace})"
        )


def _noise(seed: Sequence[int], shape: tuple[int, ...]) -> np.ndarray:
    """Normal numbers of a generator of their own, whose seed is drawn in two halves of 32 bits."""
    return Generator().manual_seed(seed[0] | seed[1] << 32).normal(shape, np.float32)
