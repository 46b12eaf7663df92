"""Resizing and cropping of PIL images, and the presets that published weights are used with.

Pillow resizes, with antialiasing, as torchvision does with PIL images; sizes are rounded as there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor

from .basic import Normalize, ToTensor
from .warp import InterpolationMode


def pil_filter(interpolation: InterpolationMode | str) -> Any:
    """Pillow's constant for a way to interpolate."""
    from PIL import Image

    return Image.Resampling[InterpolationMode(interpolation).name]


def _require_image(image: Any, who: str) -> None:
    if isinstance(image, Tensor) or not isinstance(getattr(image, "size", None), tuple):
        raise TypeError(
            f"{who}: expected a PIL image, got {type(image).__name__}; put it before ToTensor() (tensors can be resized "
            "with nn.functional.interpolate)"
        )


def pair(size: int | Sequence[int], name: str) -> tuple[int, int]:
    """(height, width) of one or two numbers."""
    given = (size,) if isinstance(size, int) else tuple(size)
    if len(given) not in (1, 2) or not all(isinstance(n, (int, np.integer)) and n > 0 for n in given):
        raise ValueError(f"{name}: expected a positive integer, or height and width, got {size!r}")
    return int(given[0]), int(given[-1])


class Resize:
    """To a given size: one number is the length of the shorter side, two are height and width.

    Parameters
    ----------
    size : an integer or a sequence of one: the shorter side; or (height, width).
    interpolation : Pillow's filter.
    max_size : the longer side is at most this; with one number only.
    antialias : Pillow always does; False is refused.

    >>> from PIL import Image
    >>> Resize(50)(Image.new("RGB", (200, 100))).size  # (width, height)
    (100, 50)
    """

    def __init__(
        self,
        size: int | Sequence[int],
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool = True,
    ):
        self.exact = not isinstance(size, int) and len(tuple(size)) == 2
        self.size = pair(size, "size")
        if self.exact and max_size is not None:
            raise ValueError("max_size: only where size is the length of the shorter side")
        if antialias is False:
            raise NotImplementedError("antialias=False: Pillow resizes with antialiasing; leave the argument out")
        self.interpolation, self.max_size = InterpolationMode(interpolation), max_size
        pil_filter(self.interpolation)

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
        _require_image(image, "Resize")
        target = self.target(*image.size)
        return image if target == image.size else image.resize(target, pil_filter(self.interpolation))

    def __repr__(self) -> str:
        size = self.size if self.exact else self.size[0]
        return (
            f"Resize(size={size}, interpolation={self.interpolation.value}, max_size={self.max_size}, antialias=True)"
        )


class CenterCrop:
    """The middle of an image; what lies outside is black.

    Parameters
    ----------
    size : the side of a square, or (height, width).
    """

    def __init__(self, size: int | Sequence[int]):
        self.size = pair(size, "size")

    def __call__(self, image: Any) -> Any:
        height, width = self.size
        if isinstance(image, Tensor):
            return self._tensor(image)
        _require_image(image, "CenterCrop")
        w, h = image.size
        # Too small an image is padded first, its odd pixel after; torchvision rounds half to even when it crops.
        left, top = (width - w) // 2 if width > w else 0, (height - h) // 2 if height > h else 0
        w, h = max(w, width), max(h, height)
        x, y = round((w - width) / 2), round((h - height) / 2)
        return image.crop((x - left, y - top, x - left + width, y - top + height))

    def _tensor(self, image: Tensor) -> Tensor:
        height, width = self.size
        h, w = image.shape[-2:]
        if h < height or w < width:
            raise ValueError(
                f"CenterCrop: a tensor of {h} x {w} is smaller than {height} x {width}; resize or pad it first"
            )
        y, x = round((h - height) / 2), round((w - width) / 2)
        return image[..., y : y + height, x : x + width]

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class ImageClassification:
    """The preprocessing of published weights: resize, crop the middle, scale to 0..1, normalise.

    Parameters
    ----------
    crop_size, resize_size : one number (a square; the shorter side), or height and width.
    mean, std : for each channel.
    interpolation : of the resizing.

    >>> from PIL import Image
    >>> preprocess = ImageClassification(crop_size=224)
    >>> preprocess(Image.new("RGB", (640, 480))).shape
    minicnn.Size([3, 224, 224])
    """

    def __init__(
        self,
        *,
        crop_size: int | Sequence[int],
        resize_size: int | Sequence[int] = 256,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
    ):
        self.crop_size = pair(crop_size, "crop_size")
        self.resize_size = resize_size
        self.mean, self.std, self.interpolation = tuple(mean), tuple(std), InterpolationMode(interpolation)
        self._resize, self._crop = Resize(resize_size, self.interpolation), CenterCrop(self.crop_size)
        self._to_tensor, self._normalize = ToTensor(), Normalize(self.mean, self.std)

    def __call__(self, image: Any) -> Tensor:
        _require_image(image, "ImageClassification")
        if image.mode != "RGB":
            image = image.convert("RGB")
        return self._normalize(self._to_tensor(self._crop(self._resize(image))))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(\n    crop_size={self.crop_size}\n    resize_size={self.resize_size}\n"
            f"    mean={self.mean}\n    std={self.std}\n    interpolation={self.interpolation.value}\n)"
        )


class VideoClassification(ImageClassification):
    """The same for a clip, a sequence of PIL images: -> (3, frames, height, width)."""

    def __call__(self, clip: Any) -> Tensor:
        frames = [super(VideoClassification, self).__call__(frame)._array for frame in clip]
        if not frames:
            raise ValueError("VideoClassification: expected at least one frame")
        return Tensor(np.stack(frames, 1))  # t times (3, h, w) -> (3, t, h, w)
