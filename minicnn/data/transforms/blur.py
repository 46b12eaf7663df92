"""GaussianBlur: each pixel a weighted mean of those around it.

    weight(d) = exp(-d^2 / (2 sigma^2)) / sum,    d = -k .. k pixels, along y and then along x

Beyond the edges the image is mirrored. PIL images take the same way, as in torchvision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.random import Generator

from ..randomness import sample_generator
from .pil import by_bands
from .random_transform import RandomTransform, between, pair


class GaussianBlur(RandomTransform):
    """Blurs with a random width.

    Parameters
    ----------
    kernel_size : how many pixels are mixed, an odd number or (along x, along y), as in torchvision.
    sigma : the bell curve's width in pixels, drawn from (low, high); or one number.

    Raises
    ------
    ValueError : an even kernel, a width that is not positive; an image that is half the kernel or smaller.

    >>> import minicnn as mc
    >>> GaussianBlur((3, 1), sigma=1.0)(mc.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]]))
    tensor([[0.0000, 0.2741, 0.4519, 0.2741, 0.0000]])
    """

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)):
        self.kernel_size = pair(kernel_size, "kernel_size")
        if any(taps % 2 == 0 for taps in self.kernel_size):
            raise ValueError(f"kernel_size: expected odd numbers, with a middle, got {kernel_size!r}")
        limits = (sigma, sigma) if isinstance(sigma, (int, float)) else tuple(sigma)
        if len(limits) != 2 or not 0 < limits[0] <= limits[1]:
            raise ValueError(f"sigma: expected a number above 0, or (low, high), got {sigma!r}")
        self.sigma = (float(limits[0]), float(limits[1]))

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """A random width, for `functional.gaussian_blur`."""
        return float(GaussianBlur(1, (sigma_min, sigma_max))._draw(sample_generator(), 0, 0)[0])

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        return np.array([between(self.sigma, generator.uniform((1,), np.float64)[0])])

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        return np.stack([self._blurred(image, sigma) for image, (sigma,) in zip(images, parameters, strict=True)])

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        return by_bands(image, lambda band: self._blurred(band[None], parameters[0])[0])

    def _blurred(self, image: np.ndarray, sigma: float) -> np.ndarray:
        return blurred(image, self.kernel_size, (float(sigma), float(sigma)))

    def __repr__(self) -> str:
        return f"GaussianBlur(kernel_size={self.kernel_size}, sigma={self.sigma})"


def blurred(
    image: np.ndarray, kernel_size: tuple[int, int], sigmas: tuple[float, float], who: str = "GaussianBlur"
) -> np.ndarray:
    """(c, h, w) -> (c, h, w); whole numbers in float32, and rounded. Sizes and widths are along x and along y."""
    result = image if image.dtype.kind == "f" else image.astype(np.float32)
    for axis, taps, sigma in zip((-1, -2), kernel_size, sigmas, strict=True):
        reach, size = taps // 2, image.shape[axis]
        if reach >= size:
            raise ValueError(f"{who}: kernel_size {kernel_size} for an image of {image.shape[-2:]} pixels")
        where = np.abs(np.arange(-reach, size + reach))
        where = np.where(where < size, where, 2 * (size - 1) - where)  # mirrored at the last pixel too
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        weights /= weights.sum()
        mirrored = np.take(result, where, axis)
        window = np.moveaxis(mirrored, axis, 0)
        mixed = sum(weights[i].astype(result.dtype) * window[i : i + size] for i in range(taps))
        result = np.moveaxis(np.asarray(mixed), 0, axis)
    return np.ascontiguousarray(result if image.dtype.kind == "f" else np.rint(result).astype(image.dtype))
