"""Colours, changed at random or taken away: ColorJitter, Grayscale, RandomGrayscale.

Read next: `colour_arithmetic.py`, the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from ..randomness import sample_generator
from .colour_arithmetic import ADJUSTMENTS, grey_of, grey_pil
from .pil import require_image
from .random_transform import RandomTransform, between, check_probability


class ColorJitter(RandomTransform):
    """Changes brightness, contrast, saturation and hue by random factors, in a random order.

    Parameters
    ----------
    brightness, contrast, saturation : a number x draws a factor from max(0, 1 - x) to 1 + x; (low, high) from these;
        0 leaves it as it is.
    hue : a number x turns the hue by -x to x of the circle, x at most 0.5; or (low, high).

    PIL images, and tensors (..., 1 or 3, h, w) of values in 0..1, or uint8. Grey pictures have no saturation and no hue.

    Raises
    ------
    TypeError : neither a number nor two. ValueError : negative factors, a hue outside -0.5 to 0.5; a tensor of other
        channels.

    >>> import minicnn as mc
    >>> ColorJitter(brightness=(2, 2))(mc.tensor([[[0.25, 0.75]]]))
    tensor([[[0.5000, 1.0000]]])
    """

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ):
        self.brightness = _limits("brightness", brightness)
        self.contrast = _limits("contrast", contrast)
        self.saturation = _limits("saturation", saturation)
        self.hue = _limits("hue", hue, centre=0, bounds=(-0.5, 0.5))

    @staticmethod
    def get_params(
        brightness: Sequence[float] | None,
        contrast: Sequence[float] | None,
        saturation: Sequence[float] | None,
        hue: Sequence[float] | None,
    ) -> tuple[Tensor, float | None, float | None, float | None, float | None]:
        """A random order of the four, and their factors, from (low, high) each; None for what stays as it is."""
        drawn = ColorJitter(brightness or 0, contrast or 0, saturation or 0, hue or 0)._draw(sample_generator(), 0, 0)
        b, c, s, h = (None if math.isnan(factor) else factor for factor in drawn[4:].tolist())
        return Tensor(drawn[:4].astype(np.int64)), b, c, s, h

    @property
    def _all_limits(self) -> list[tuple[float, float] | None]:
        return [getattr(self, name) for name in ADJUSTMENTS]

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        """The order of the four, then their factors; NaN for what stays as it is."""
        order = generator.permutation(4)
        u = generator.uniform((4,), np.float64)
        factors = [math.nan if span is None else between(span, x) for span, x in zip(self._all_limits, u, strict=True)]
        return np.array([*order, *factors])

    def _steps(self, parameters: np.ndarray, pil: bool) -> Any:
        """The functions to apply, in order, and their factors."""
        functions = list(ADJUSTMENTS.values())
        for which in parameters[:4].astype(np.int64):
            factor = float(parameters[4 + which])
            if not math.isnan(factor):
                yield functions[which][pil], factor

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        require_colours(images.shape[-3], "ColorJitter")
        changed = []
        for image, numbers in zip(images, parameters, strict=True):
            for function, factor in self._steps(numbers, pil=False):
                image = function(image, factor)
            changed.append(image)
        return np.stack(changed)

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        for function, factor in self._steps(parameters, pil=True):
            image = function(image, factor)
        return image

    def __repr__(self) -> str:
        return f"ColorJitter({', '.join(f'{name}={getattr(self, name)}' for name in ADJUSTMENTS)})"


class Grayscale:
    """Takes the colours away.

    Parameters
    ----------
    num_output_channels : 1, or 3 equal ones.

    PIL images and tensors (..., 1 or 3, h, w).

    >>> import minicnn as mc
    >>> Grayscale()(mc.tensor([[[1.0]], [[0.0]], [[0.0]]]))
    tensor([[[0.2989]]])
    """

    def __init__(self, num_output_channels: int = 1):
        if num_output_channels not in (1, 3):
            raise ValueError(f"num_output_channels should be either 1 or 3, got {num_output_channels!r}")
        self.num_output_channels = num_output_channels

    def __call__(self, image: Any) -> Any:
        if not isinstance(image, Tensor):
            require_image(image, "Grayscale", "or a tensor: put ToTensor() before it")
            return grey_pil(image, self.num_output_channels)
        shape = image.shape
        require_colours(shape[-3] if len(shape) > 2 else 0, "Grayscale")
        # (..., c, h, w) -> (n, c, h, w) -> (n, c_out, h, w)
        grey = np.stack([grey_of(one) for one in image._array.reshape(-1, *shape[-3:])])
        grey = np.repeat(grey, self.num_output_channels, axis=1)
        return Tensor(grey.reshape(*shape[:-3], *grey.shape[1:]))

    def __repr__(self) -> str:
        return f"Grayscale(num_output_channels={self.num_output_channels})"


class RandomGrayscale(RandomTransform):
    """Takes the colours away with probability ``p``; the number of channels stays.

    >>> import minicnn as mc
    >>> RandomGrayscale(p=1)(mc.tensor([[[1.0]], [[0.0]], [[0.0]]])).tolist()
    [[[0.2989...]], [[0.2989...]], [[0.2989...]]]
    """

    def __init__(self, p: float = 0.1):
        self.p = check_probability(p)

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        return generator.uniform((1,), np.float64) < self.p

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        require_colours(images.shape[-3], "RandomGrayscale")
        result = images.copy()
        for i in np.flatnonzero(parameters[:, 0]):
            result[i] = grey_of(images[i])  # (1, h, w) into all channels
        return result

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        return grey_pil(image, len(image.getbands())) if parameters[0] else image

    def __repr__(self) -> str:
        return f"RandomGrayscale(p={self.p})"


def require_colours(channels: int, who: str) -> None:
    """Raises ValueError for any number of channels but 1 and 3."""
    if channels not in (1, 3):
        raise ValueError(f"{who}: expected a tensor (..., 1 or 3, h, w), got {channels} channels")


def _limits(
    name: str, value: float | Sequence[float], centre: float = 1, bounds: tuple[float, float] = (0, math.inf)
) -> tuple[float, float] | None:
    """(low, high), or None where nothing changes."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"{name}: If {name} is a single number, it must be non negative, got {value}")
        low, high = centre - float(value), centre + float(value)
        if centre:
            low = max(low, 0.0)  # no negative factors
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        low, high = map(float, value)
    else:
        raise TypeError(f"{name}: should be a single number or a list/tuple with length 2, got {value!r}")
    if not bounds[0] <= low <= high <= bounds[1]:
        raise ValueError(f"{name}: values should be between {bounds}, but got {(low, high)}")
    return None if low == high == centre else (low, high)
