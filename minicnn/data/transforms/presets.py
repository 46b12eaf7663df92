"""The preprocessing that published weights are used with. PIL images of any mode become RGB first.

`weights.transforms()` returns one of these with the weights' own numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor

from .basic import Normalize, ToTensor
from .conversion import ConvertImageDtype
from .cropping import CenterCrop
from .pil import require_image
from .random_transform import pair
from .resizing import Resize
from .warp import InterpolationMode


class ImageClassification:
    """The preprocessing of published weights: resize, crop the middle, scale to 0..1, normalise.

    Parameters
    ----------
    crop_size, resize_size : one number (a square; the shorter side), or height and width.
    mean, std : for each channel.
    interpolation : of the resizing.
    antialias : of the resizing of tensors; Pillow always does so.

    PIL images, and tensors (..., 3, h, w) of uint8 or of floats in 0..1: one image, or a batch.

    >>> import minicnn as mc
    >>> from PIL import Image
    >>> preprocess = ImageClassification(crop_size=224)
    >>> preprocess(Image.new("RGB", (640, 480))).shape, preprocess(mc.zeros(2, 3, 480, 640, dtype=mc.uint8)).shape
    (minicnn.Size([3, 224, 224]), minicnn.Size([2, 3, 224, 224]))
    """

    def __init__(
        self,
        *,
        crop_size: int | Sequence[int],
        resize_size: int | Sequence[int] = 256,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ):
        self.crop_size = pair(crop_size, "crop_size")
        self.resize_size = resize_size
        self.mean, self.std, self.interpolation = tuple(mean), tuple(std), InterpolationMode(interpolation)
        self.antialias = antialias
        self._resize = Resize(resize_size, self.interpolation, antialias=antialias)
        self._crop, self._to_float = CenterCrop(self.crop_size), ConvertImageDtype()
        self._to_tensor, self._normalize = ToTensor(), Normalize(self.mean, self.std)

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that make an equal one, as JSON can hold them."""
        resize_size = self.resize_size if isinstance(self.resize_size, int) else list(self.resize_size)
        return {
            "crop_size": list(self.crop_size),
            "resize_size": resize_size,
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": self.interpolation.value,
        }

    def __call__(self, image: Any) -> Tensor:
        if isinstance(image, Tensor):
            return self._normalize(self._to_float(self._crop(self._resize(image))))
        require_image(image, type(self).__name__, "or a tensor")
        if image.mode != "RGB":
            image = image.convert("RGB")
        return self._normalize(self._to_tensor(self._crop(self._resize(image))))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(\n    crop_size={self.crop_size}\n    resize_size={self.resize_size}\n"
            f"    mean={self.mean}\n    std={self.std}\n    interpolation={self.interpolation.value}\n)"
        )


class VideoClassification(ImageClassification):
    """The same for a clip: a sequence of PIL images, or a tensor (..., frames, 3, h, w) -> (..., 3, frames, h, w)."""

    def __call__(self, clip: Any) -> Tensor:
        if isinstance(clip, Tensor):
            if clip.ndim < 4:
                raise ValueError(
                    f"{type(self).__name__}: expected (..., frames, 3, h, w), got shape {tuple(clip.shape)}"
                )
            return super().__call__(clip).transpose(-4, -3)
        frames = [super(VideoClassification, self).__call__(frame)._array for frame in clip]
        if not frames:
            raise ValueError("VideoClassification: expected at least one frame")
        return Tensor(np.stack(frames, 1))  # t times (3, h, w) -> (3, t, h, w)
