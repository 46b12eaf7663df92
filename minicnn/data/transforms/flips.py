"""Mirror images, by chance: RandomHorizontalFlip and RandomVerticalFlip.

Read next: `cropping.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn.random import Generator

from .random_transform import RandomTransform, check_probability


class _RandomFlip(RandomTransform):
    """One of the two: ``axis`` of a tensor (..., h, w), and what Pillow calls it."""

    axis: int
    pil_name: str

    def __init__(self, p: float = 0.5):
        self.p = check_probability(p)

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        return generator.uniform((1,), np.float64) < self.p

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        return np.where(parameters.reshape(-1, 1, 1, 1), np.flip(images, self.axis), images)

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        from PIL import Image

        return image.transpose(Image.Transpose[self.pil_name]) if parameters[0] else image

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_RandomFlip):
    """Left and right change places with probability ``p``. (Mirrored digits are other signs: not for MNIST.)

    >>> import minicnn as mc
    >>> RandomHorizontalFlip(p=1)(mc.tensor([[1, 2, 3]]))
    tensor([[3, 2, 1]])
    """

    axis, pil_name = -1, "FLIP_LEFT_RIGHT"


class RandomVerticalFlip(_RandomFlip):
    """Top and bottom change places with probability ``p``: for pictures from above, such as cells and satellite images.

    >>> import minicnn as mc
    >>> RandomVerticalFlip(p=1)(mc.tensor([[1, 2], [3, 4]]))
    tensor([[3, 4],
            [1, 2]])
    """

    axis, pil_name = -2, "FLIP_TOP_BOTTOM"
