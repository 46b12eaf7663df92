"""What random transforms share: numbers from the sample's own generator, for a PIL image, a tensor or a whole batch.

Every transform here is two steps, which is what makes whole batches possible: `_draw` turns random numbers into the
parameters of one image, `_apply` transforms n images by n parameters. Read next: `cropping.py`, `random_geometry.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from ..randomness import sample_generator


class RandomTransform:
    """Base class: subclasses say `_draw`, `_apply` and `_apply_pil`."""

    def __call__(self, image: Any) -> Any:
        return self.with_parameters(image, None)

    def with_parameters(self, image: Any, parameters: np.ndarray | None) -> Any:
        """The image changed as ``parameters``, what `_draw` returns, say; None draws them."""
        if isinstance(image, Tensor):

            def change(images: np.ndarray) -> np.ndarray:
                # one draw for all of them, as in torchvision
                numbers = self._draw(sample_generator(), *images.shape[-2:]) if parameters is None else parameters
                return self._apply(images, np.repeat(numbers[None], len(images), axis=0))

            return on_tensor(image, type(self).__name__, change)
        size = getattr(image, "size", None)
        if not isinstance(size, tuple):
            raise TypeError(
                f"{type(self).__name__}: expected a PIL image or a tensor, got {type(image).__name__}; "
                "put ToTensor() before it"
            )
        if parameters is None:
            parameters = self._draw(sample_generator(), size[1], size[0])
        return self._apply_pil(image, parameters)

    def batch(self, images: np.ndarray, generators: Sequence[Generator]) -> np.ndarray:
        """(n, c, h, w) -> (n, c, h_out, w_out), image i as ``generators[i]`` decides."""
        h, w = images.shape[-2:]
        return self._apply(images, np.stack([self._draw(generator, h, w) for generator in generators]))

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        """The parameters (k,) float64 for one image of h x w."""
        raise NotImplementedError

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """images (n, c, h, w), parameters (n, k) -> (n, c, h_out, w_out)"""
        raise NotImplementedError

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        raise NotImplementedError


def on_tensor(image: Tensor, who: str, change: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    """``change`` of images (n, c, h, w), applied to a tensor (..., h, w), which may come out in another size."""
    shape = tuple(image.shape)
    if len(shape) < 2:
        raise ValueError(f"{who}: expected a tensor (..., h, w), got shape {shape}")
    # (..., c, h, w) -> (n, c, h, w) and back
    result = change(image._array.reshape(-1, *(shape[-3:] if len(shape) > 2 else (1, *shape))))
    return Tensor(result.reshape(*shape[:-2], *result.shape[-2:]))


def in_turn(transforms: Iterable[Callable[..., Any]], inputs: tuple[Any, ...]) -> Any:
    """What transforms, one after the other, make of an input, or of several, as `MixUp` takes images and labels."""
    for transform in transforms:
        result = transform(*inputs)
        inputs = result if len(inputs) > 1 else (result,)
    return inputs if len(inputs) > 1 else inputs[0]


def check_probability(p: float) -> float:
    """``p``, or ValueError where it is none."""
    if not 0 <= p <= 1:
        raise ValueError(f"p: expected a probability between 0 and 1, got {p}")
    return p


def between(limits: Sequence[float], u: float) -> float:
    """The point at the fraction ``u`` of the way from one limit to the other."""
    return limits[0] + (limits[1] - limits[0]) * u


def pair(size: int | Sequence[int], name: str = "size") -> tuple[int, int]:
    """(height, width) of one or two numbers."""
    given = (size,) if isinstance(size, (int, np.integer)) else tuple(size)
    if len(given) not in (1, 2) or not all(isinstance(n, (int, np.integer)) and n > 0 for n in given):
        raise ValueError(f"{name}: expected a positive integer, or height and width, got {size!r}")
    return int(given[0]), int(given[-1])
