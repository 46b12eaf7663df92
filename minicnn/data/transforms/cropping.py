"""Windows of an image: in the middle, in the corners, at random, and random ones that are resized.

`RandomResizedCrop` is how networks for photographs are trained: each epoch sees another part of each picture, at
another size. Read next: `resizing.py`.
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
from .padding import check_padding_mode, pad_arrays, pad_pil, padding_sides
from .pil import require_image
from .random_transform import RandomTransform, between, pair
from .resizing import check_antialias, resize_arrays, resize_pil
from .warp import InterpolationMode, fill_values


class CenterCrop:
    """The middle of an image; what lies outside is black.

    Parameters
    ----------
    size : the side of a square, or (height, width).

    >>> import minicnn as mc
    >>> CenterCrop((1, 2))(mc.tensor([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]))
    tensor([[5, 6]])
    """

    def __init__(self, size: int | Sequence[int]):
        self.size = pair(size)

    def __call__(self, image: Any) -> Any:
        if not isinstance(image, Tensor):
            require_image(image, "CenterCrop", "or a tensor: put ToTensor() before it")
        return center_crop(image, *self.size)

    def __repr__(self) -> str:
        return f"CenterCrop(size={self.size})"


class FiveCrop:
    """The four corners and the middle, as a tuple of five: to be classified each, and averaged.

    Parameters
    ----------
    size : of each window, one number or (height, width).

    Raises
    ------
    ValueError : an image smaller than the window.

    >>> import minicnn as mc
    >>> [part.item() for part in FiveCrop(1)(mc.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]]))]
    [1, 3, 7, 9, 5]
    """

    def __init__(self, size: int | Sequence[int]):
        self.size = pair(size)

    def __call__(self, image: Any) -> tuple[Any, ...]:
        height, width = self.size
        h, w = height_and_width(image, type(self).__name__)
        if height > h or width > w:
            raise ValueError(
                f"{type(self).__name__}: requested crop size {self.size} is bigger than input size {(h, w)}; "
                "resize the image first"
            )
        corners = [(y, x) for y in (0, h - height) for x in (0, w - width)]
        return (*(crop(image, y, x, height, width) for y, x in corners), center_crop(image, height, width))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class TenCrop(FiveCrop):
    """`FiveCrop`, and the same of the mirror image, as a tuple of ten.

    Parameters
    ----------
    size : of each window.
    vertical_flip : mirror top and bottom, not left and right.

    >>> import minicnn as mc
    >>> [part.item() for part in TenCrop(1)(mc.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]]))]
    [1, 3, 7, 9, 5, 3, 1, 9, 7, 5]
    """

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False):
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def __call__(self, image: Any) -> tuple[Any, ...]:
        from .flips import RandomHorizontalFlip, RandomVerticalFlip

        mirror = (RandomVerticalFlip if self.vertical_flip else RandomHorizontalFlip)(p=1)
        return super().__call__(image) + super().__call__(mirror(image))

    def __repr__(self) -> str:
        return f"TenCrop(size={self.size}, vertical_flip={self.vertical_flip})"


class RandomCrop(RandomTransform):
    """Cuts out a random window of ``size``, after padding; a shift, where size is the image's own.

    Parameters
    ----------
    size : the window's side, or (height, width).
    padding : pixels added on every side; or (left and right, top and bottom); or (left, top, right, bottom).
    pad_if_needed : pad an image that is smaller than the window on both sides, instead of raising.
    fill : what "constant" padding adds; a number or one a channel.
    padding_mode : "constant", "edge", "reflect" (without repeating the edge) or "symmetric".

    Raises
    ------
    ValueError : an image smaller than the window; arguments out of range.

    >>> import minicnn as mc
    >>> RandomCrop(3, padding=1)(mc.ones(1, 3, 3)).shape
    minicnn.Size([1, 3, 3])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: float | Sequence[float] = 0,
        padding_mode: str = "constant",
    ):
        self.size = pair(size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = check_padding_mode(padding_mode)
        self._fill = fill_values(fill)
        self._sides = padding_sides(padding)

    @staticmethod
    def get_params(img: Any, output_size: Sequence[int]) -> tuple[int, int, int, int]:
        """A random window (top, left, height, width): with `functional.crop` it cuts an image and its mask alike."""
        crop = RandomCrop(output_size)
        top, left = crop._draw(sample_generator(), *height_and_width(img, "RandomCrop")).tolist()
        return int(top), int(left), *crop.size

    def _padding_for(self, h: int, w: int) -> tuple[int, int, int, int]:
        """left, top, right, bottom for an image of h x w."""
        left, top, right, bottom = self._sides
        if self.pad_if_needed:
            extra_x = max(self.size[1] - (w + left + right), 0)
            extra_y = max(self.size[0] - (h + top + bottom), 0)
            left, right, top, bottom = left + extra_x, right + extra_x, top + extra_y, bottom + extra_y
        return left, top, right, bottom

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        left, top, right, bottom = self._padding_for(h, w)
        choices = np.array([h + top + bottom - self.size[0] + 1, w + left + right - self.size[1] + 1])
        if (choices < 1).any():
            raise ValueError(
                f"RandomCrop: required crop size {self.size} is larger than input image size "
                f"{(h + top + bottom, w + left + right)}; pad it (padding=, or pad_if_needed=True)"
            )
        return np.floor(generator.uniform((2,), np.float64) * choices)

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        padded = pad_arrays(images, self._padding_for(*images.shape[-2:]), self._fill, self.padding_mode)
        out_h, out_w = self.size
        corners = parameters.astype(np.int64).tolist()
        return np.stack([image[:, y : y + out_h, x : x + out_w] for image, (y, x) in zip(padded, corners, strict=True)])

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        padded = pad_pil(image, self._padding_for(image.height, image.width), self._fill, self.padding_mode)
        return crop(padded, int(parameters[0]), int(parameters[1]), *self.size)

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomResizedCrop(RandomTransform):
    """A random part of the image, of random area and proportions, resized to ``size`` (Szegedy et al. 2015, section 6).

    Area and proportions are drawn up to ten times until the window fits into the image; if it never does, it is the
    middle of the image, in the nearest proportions that are allowed.

    Parameters
    ----------
    size : of the result, one number (a square) or (height, width).
    scale : (low, high) of the window's area, as a share of the image's; drawn uniformly.
    ratio : (low, high) of width / height; its logarithm is drawn uniformly.
    interpolation : how pixels are mixed, as in `Resize`.
    antialias : for tensors; Pillow always does.

    Raises
    ------
    ValueError : a size that is not positive, a scale or a ratio that is not two positive numbers.

    >>> from PIL import Image
    >>> RandomResizedCrop(224)(Image.new("RGB", (640, 480))).size
    (224, 224)
    """

    attempts = 10

    def __init__(
        self,
        size: int | Sequence[int],
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3 / 4, 4 / 3),
        interpolation: InterpolationMode | str = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ):
        self.size = pair(size)
        for name, value in (("scale", scale), ("ratio", ratio)):
            if isinstance(value, (int, float)) or len(value) != 2 or not all(number > 0 for number in value):
                raise ValueError(f"{name}: expected two numbers above 0, (low, high), got {value!r}")
            if value[0] > value[1]:
                warnings.warn("Scale and ratio should be of kind (min, max)", stacklevel=2)
        self.scale, self.ratio = scale, ratio
        self.interpolation = InterpolationMode(interpolation)
        self.antialias = check_antialias(antialias)

    @staticmethod
    def get_params(img: Any, scale: Sequence[float], ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """A random window (top, left, height, width), for `functional.resized_crop`."""
        crop = RandomResizedCrop(1, scale, ratio)
        top, left, height, width = crop._draw(sample_generator(), *height_and_width(img, "RandomResizedCrop")).tolist()
        return int(top), int(left), int(height), int(width)

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        """top, left, height, width of the window"""
        # All numbers of all attempts in one draw: the generator then stands where it does whatever was tried.
        u = generator.uniform((self.attempts, 4), np.float64)
        logarithms = math.log(self.ratio[0]), math.log(self.ratio[1])
        for share, proportion, down, right in u.tolist():
            area = h * w * between(self.scale, share)
            ratio = math.exp(between(logarithms, proportion))
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= w and 0 < height <= h:
                return np.array([int(down * (h - height + 1)), int(right * (w - width + 1)), height, width])
        low, high = min(self.ratio), max(self.ratio)
        height, width = h, w
        if w / h < low:
            height = round(w / low)
        elif w / h > high:
            width = round(h * high)
        return np.array([(h - height) // 2, (w - width) // 2, height, width])

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        windows = [
            image[None, :, y : y + height, x : x + width]
            for image, (y, x, height, width) in zip(images, parameters.astype(np.int64).tolist(), strict=True)
        ]
        resized = [resize_arrays(window, self.size, self.interpolation, self.antialias) for window in windows]
        return np.concatenate(resized)

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        window = crop(image, *(int(number) for number in parameters))
        return resize_pil(window, self.size, self.interpolation)

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(number, 4) for number in value) for value in (self.scale, self.ratio))
        return (
            f"RandomResizedCrop(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


def height_and_width(image: Any, who: str) -> tuple[int, int]:
    """Of a tensor (..., h, w) or a PIL image. Raises TypeError for anything else."""
    if isinstance(image, Tensor):
        if image.ndim < 2:
            raise ValueError(f"{who}: expected a tensor (..., h, w), got shape {tuple(image.shape)}")
        return image.shape[-2], image.shape[-1]
    require_image(image, who, "or a tensor: put ToTensor() before it")
    return image.size[1], image.size[0]


def crop(image: Any, top: int, left: int, height: int, width: int) -> Any:
    """The window of a PIL image, or of a tensor (..., h, w), where it must lie inside."""
    if isinstance(image, Tensor):
        return image[..., top : top + height, left : left + width]
    return image.crop((left, top, left + width, top + height))


def center_crop(image: Any, height: int, width: int) -> Any:
    """The middle. Too small an image is padded first, its odd pixel after; torchvision rounds half to even when it crops."""
    h, w = height_and_width(image, "CenterCrop")
    missing_x, missing_y = max(width - w, 0), max(height - h, 0)
    sides = (missing_x // 2, missing_y // 2, (missing_x + 1) // 2, (missing_y + 1) // 2)
    y, x = round(max(h - height, 0) / 2), round(max(w - width, 0) / 2)
    if not isinstance(image, Tensor):
        return crop(image, y - sides[1], x - sides[0], height, width)  # Pillow reads black outside
    if any(sides):
        from .padding import Pad

        image = Pad(sides)(image)
    return crop(image, y, x, height, width)
