"""Images in another size: Pillow resizes its own, with antialiasing; tensors go through `nn.functional.interpolate`.

Sizes are rounded as torchvision rounds them. Read next: `presets.py`, what published weights are used with.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.ops.resampling import interpolate

from .pil import require_image
from .random_transform import on_tensor, pair
from .warp import InterpolationMode

TENSOR_MODES = (
    InterpolationMode.NEAREST,
    InterpolationMode.NEAREST_EXACT,
    InterpolationMode.BILINEAR,
    InterpolationMode.BICUBIC,
)


def pil_filter(interpolation: InterpolationMode | str) -> Any:
    """Pillow's constant for a way to interpolate."""
    from PIL import Image

    name = InterpolationMode(interpolation).name
    return Image.Resampling["NEAREST" if name == "NEAREST_EXACT" else name]


def check_antialias(antialias: Any) -> bool:
    """None is True, as in torchvision."""
    return True if antialias is None else bool(antialias)


def resize_pil(image: Any, size: tuple[int, int], interpolation: InterpolationMode) -> Any:
    """A PIL image as ``size`` = (height, width), by Pillow; itself where it has that size."""
    target = size[1], size[0]
    return image if image.size == target else image.resize(target, pil_filter(interpolation))


def resize_arrays(images: np.ndarray, size: tuple[int, int], mode: InterpolationMode, antialias: bool) -> np.ndarray:
    """(n, c, h, w) -> (n, c, *size) of the same dtype, by `interpolate`; whole numbers are rounded."""
    if mode not in TENSOR_MODES:
        names = ", ".join(repr(known.value) for known in TENSOR_MODES)
        raise ValueError(f"interpolation: tensors are resized with one of {names}, got {mode.value!r}")
    if images.shape[-2:] == size:
        return images
    floats = images if images.dtype.kind == "f" else images.astype(np.float32)
    smooth = mode in (InterpolationMode.BILINEAR, InterpolationMode.BICUBIC)
    result = interpolate(Tensor(floats), size, mode=mode.value, antialias=antialias and smooth)._array
    if images.dtype == result.dtype:
        return result
    limits = np.iinfo(images.dtype)
    return np.clip(np.rint(result), limits.min, limits.max).astype(images.dtype)


class Resize:
    """To a given size: one number is the length of the shorter side, two are height and width.

    Parameters
    ----------
    size : an integer or a sequence of one: the shorter side; or (height, width).
    interpolation : how pixels are mixed; Pillow's filters for its images, the first four modes for tensors.
    max_size : the longer side is at most this; with one number only.
    antialias : for tensors: whether all old pixels count in a smaller image. Pillow always does so.

    PIL images and tensors (..., h, w). Whole numbers in tensors are computed in float32 and rounded.

    >>> from PIL import Image
    >>> Resize(50)(Image.new("RGB", (200, 100))).size  # (width, height)
    (100, 50)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ):
        self.exact = not isinstance(size, int) and len(tuple(size)) == 2
        self.size = pair(size, "size")
        if self.exact and max_size is not None:
            raise ValueError("max_size: only where size is the length of the shorter side")
        self.interpolation, self.max_size = InterpolationMode(interpolation), max_size
        self.antialias = check_antialias(antialias)

    def target(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the result."""
        if self.exact:
            return self.size[1], self.size[0]
        short, long = (width, height) if width <= height else (height, width)
        new_short, new_long = self.size[0], int(self.size[0] * long / short)
        if self.max_size is not None:
            if self.max_size <= self.size[0]:
                raise ValueError(f"max_size: expected more than size {self.size[0]}, got {self.max_size}")
            if new_long > self.max_size:
                new_short, new_long = int(self.max_size * new_short / new_long), self.max_size
        return (new_short, new_long) if width <= height else (new_long, new_short)

    def __call__(self, image: Any) -> Any:
        if not isinstance(image, Tensor):
            require_image(image, "Resize", "or a tensor: put ToTensor() before it")
            width, height = self.target(*image.size)
            return resize_pil(image, (height, width), self.interpolation)

        def resize(images: np.ndarray) -> np.ndarray:
            width, height = self.target(images.shape[3], images.shape[2])
            return resize_arrays(images, (height, width), self.interpolation, self.antialias)

        return on_tensor(image, "Resize", resize)

    def __repr__(self) -> str:
        size = self.size if self.exact else self.size[0]
        return (
            f"Resize(size={size}, interpolation={self.interpolation.value}, max_size={self.max_size}, "
            f"antialias={self.antialias})"
        )
