"""The transforms as functions, with torchvision's names and arguments: nothing is drawn, everything is said.

>>> import minicnn as mc
>>> from minicnn.data.transforms import functional as TF
>>> TF.hflip(TF.rotate(mc.tensor([[1, 2], [3, 4]]), 90)).tolist()
[[4, 2], [3, 1]]

Each takes a PIL image or a tensor (..., c, h, w) and gives a new one, by the arithmetic of the class of the same purpose,
where what it does is described: `rotate` of `RandomRotation`, `adjust_hue` of `ColorJitter`. ``fill=None`` is black.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn import dtypes
from minicnn.autograd import Tensor

from .basic import Normalize, ToTensor
from .blur import blurred
from .colour import Grayscale, require_colours
from .colour_arithmetic import ADJUSTMENTS
from .conversion import ConvertImageDtype, PILToTensor, ToPILImage
from .cropping import CenterCrop, FiveCrop, TenCrop, height_and_width
from .cropping import crop as _inside
from .distortion import ElasticTransform, RandomPerspective, perspective_coefficients
from .flips import RandomHorizontalFlip, RandomVerticalFlip
from .padding import Pad
from .pil import by_bands, is_image, require_image
from .random_geometry import RandomAffine, RandomRotation
from .random_transform import on_tensor, pair
from .resizing import Resize
from .tones import TONES
from .warp import InterpolationMode

Fill = float | Sequence[float] | None
Interpolation = InterpolationMode | str
_NEAREST, _BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR

# ---- what an image is


def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width].

    >>> import minicnn as mc
    >>> get_dimensions(mc.zeros(3, 4, 5)), get_image_size(mc.zeros(3, 4, 5)), get_image_num_channels(mc.zeros(4, 5))
    ([3, 4, 5], [5, 4], 1)
    """
    h, w = height_and_width(img, "get_dimensions")
    if isinstance(img, Tensor):
        return [img.shape[-3] if img.ndim > 2 else 1, h, w]
    return [len(img.getbands()), h, w]


def get_image_size(img: Any) -> list[int]:
    """[width, height]."""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img: Any) -> int:
    """How many channels it has."""
    return get_dimensions(img)[0]


# ---- between images and tensors


def to_tensor(pic: Any) -> Tensor:
    """`ToTensor`."""
    return ToTensor()(pic)


def pil_to_tensor(pic: Any) -> Tensor:
    """`PILToTensor`."""
    return PILToTensor()(pic)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """`ToPILImage`."""
    return ToPILImage(mode)(pic)


def convert_image_dtype(image: Tensor, dtype: Any = dtypes.float32) -> Tensor:
    """`ConvertImageDtype`."""
    return ConvertImageDtype(dtype)(image)


def normalize(
    tensor: Tensor, mean: float | Sequence[float], std: float | Sequence[float], inplace: bool = False
) -> Tensor:
    """`Normalize`."""
    return Normalize(mean, std, inplace)(tensor)


# ---- sizes and windows


def resize(
    img: Any,
    size: int | Sequence[int],
    interpolation: Interpolation = _BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """`Resize`."""
    return Resize(size, interpolation, max_size, antialias)(img)


def pad(
    img: Any, padding: int | Sequence[int], fill: float | Sequence[float] = 0, padding_mode: str = "constant"
) -> Any:
    """`Pad`."""
    return Pad(padding, fill, padding_mode)(img)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """The window whose upper left corner is at (``top``, ``left``); what lies outside the image is black.

    >>> import minicnn as mc
    >>> crop(mc.tensor([[1, 2], [3, 4]]), 1, -1, 1, 2)
    tensor([[0, 3]])
    """
    h, w = height_and_width(img, "crop")
    if not isinstance(img, Tensor):
        return _inside(img, top, left, height, width)  # Pillow adds the black
    sides = max(-left, 0), max(-top, 0), max(left + width - w, 0), max(top + height - h, 0)
    return _inside(pad(img, sides), top + sides[1], left + sides[0], height, width)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """`CenterCrop`."""
    return CenterCrop(output_size)(img)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: int | Sequence[int],
    interpolation: Interpolation = _BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """`crop`, then `resize`: what `RandomResizedCrop` does."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, ...]:
    """`FiveCrop`."""
    return FiveCrop(size)(img)


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple[Any, ...]:
    """`TenCrop`."""
    return TenCrop(size, vertical_flip)(img)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """A tensor with ``v``, a number or a tensor (c, h, w), in the window (h, w) at row ``i`` and column ``j``.

    >>> import minicnn as mc
    >>> erase(mc.zeros(1, 2, 3), 0, 1, 1, 2, 7)
    tensor([[[0., 7., 7.],
             [0., 0., 0.]]])
    """
    if not isinstance(img, Tensor):
        raise TypeError(f"img: expected a tensor, got {type(img).__name__}; put ToTensor() before it")
    result = img if inplace else img.clone()
    result[..., i : i + h, j : j + w] = v
    return result


# ---- turned, mirrored, bent


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    return RandomHorizontalFlip(p=1)(img)


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    return RandomVerticalFlip(p=1)(img)


def rotate(
    img: Any,
    angle: float,
    interpolation: Interpolation = _NEAREST,
    expand: bool = False,
    center: Sequence[float] | None = None,
    fill: Fill = None,
) -> Any:
    """Turned by ``angle`` degrees, counter-clockwise: `RandomRotation`."""
    return RandomRotation((angle, angle), interpolation, expand, center, _colour(fill))(img)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[float],
    scale: float,
    shear: float | Sequence[float],
    interpolation: Interpolation = _NEAREST,
    fill: Fill = None,
    center: Sequence[float] | None = None,
) -> Any:
    """Turned clockwise by ``angle`` degrees, shifted by (x, y) pixels, scaled and slanted: `RandomAffine`.

    ``shear`` is an angle along x, or two, along x and y.
    """
    h, w = height_and_width(img, "affine")
    if not scale > 0:
        raise ValueError(f"scale: expected a positive number, got {scale}")
    slants = (shear, 0.0) if isinstance(shear, (int, float)) else (*shear, 0.0)[:2]
    move = RandomAffine(0, interpolation=interpolation, fill=_colour(fill), center=center)
    return move.with_parameters(img, np.array([angle, *translate, scale, *slants, h, w], np.float64))


def perspective(
    img: Any,
    startpoints: Sequence[Sequence[float]],
    endpoints: Sequence[Sequence[float]],
    interpolation: Interpolation = _BILINEAR,
    fill: Fill = None,
) -> Any:
    """Seen so that the four points (x, y) ``startpoints`` come to lie at ``endpoints``: `RandomPerspective`."""
    move = RandomPerspective(interpolation=interpolation, fill=_colour(fill))
    return move.with_parameters(img, np.concatenate([[1.0], perspective_coefficients(startpoints, endpoints)]))


def elastic_transform(
    img: Any, displacement: Tensor, interpolation: Interpolation = _BILINEAR, fill: Fill = None
) -> Any:
    """Each pixel read elsewhere: `ElasticTransform`.

    ``displacement`` is a float tensor (1, h, w, 2) of how far, along x and along y, in units of half the image's size.
    """
    h, w = height_and_width(img, "elastic_transform")
    if tuple(displacement.shape) != (1, h, w, 2):
        raise ValueError(f"displacement: expected a tensor {(1, h, w, 2)}, got {tuple(displacement.shape)}")
    moves = np.moveaxis(displacement._array[0], 2, 0) * np.array([w / 2, h / 2]).reshape(2, 1, 1)
    return ElasticTransform(interpolation=interpolation, fill=_colour(fill)).with_parameters(img, moves.reshape(-1))


def _colour(fill: Fill) -> float | Sequence[float]:
    return 0 if fill is None else fill


# ---- colours


def _changed(
    img: Any,
    who: str,
    table: tuple[Callable[[np.ndarray, float], np.ndarray], Callable[[Any, float], Any]],
    value: float,
) -> Any:
    """One line of `ADJUSTMENTS` or `TONES`, for a PIL image or for each image of a tensor."""
    if not isinstance(img, Tensor):
        require_image(img, who, "or a tensor: put ToTensor() before it")
        return table[1](img, value)

    def each(images: np.ndarray) -> np.ndarray:
        require_colours(images.shape[1], who)
        return np.stack([table[0](image, value) for image in images])

    return on_tensor(img, who, each)


def _factor(name: str, value: float) -> float:
    if value < 0:
        raise ValueError(f"{name}: expected a number of at least 0, got {value}")
    return value


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """0 is black, 1 the image itself, 2 twice as bright: `ColorJitter`.

    >>> import minicnn as mc
    >>> adjust_brightness(mc.tensor([[[0.25, 0.75]]]), 2)
    tensor([[[0.5000, 1.0000]]])
    """
    return _changed(
        img, "adjust_brightness", ADJUSTMENTS["brightness"], _factor("brightness_factor", brightness_factor)
    )


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """0 is all of one grey, 1 the image itself: `ColorJitter`."""
    return _changed(img, "adjust_contrast", ADJUSTMENTS["contrast"], _factor("contrast_factor", contrast_factor))


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """0 is grey, 1 the image itself: `ColorJitter`."""
    return _changed(
        img, "adjust_saturation", ADJUSTMENTS["saturation"], _factor("saturation_factor", saturation_factor)
    )


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Hues turned by -0.5 to 0.5 of the circle: `ColorJitter`."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor: expected a number from -0.5 to 0.5, got {hue_factor}")
    return _changed(img, "adjust_hue", ADJUSTMENTS["hue"], hue_factor)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """0 is blurred, 1 the image itself, 2 sharper: `RandomAdjustSharpness`."""
    return _changed(img, "adjust_sharpness", TONES["sharpness"], _factor("sharpness_factor", sharpness_factor))


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """``gain * x ** gamma`` of values in 0..1: above 1 shadows are darker, below 1 brighter.

    >>> import minicnn as mc
    >>> adjust_gamma(mc.tensor([[[0.25, 0.5]]]), 2)
    tensor([[[0.0625, 0.2500]]])
    """
    _factor("gamma", gamma)
    if isinstance(img, Tensor):
        floats = img._array if img.is_floating_point() else convert_image_dtype(img)._array
        result = Tensor(np.clip(gain * floats**gamma, 0, 1).astype(floats.dtype))
        return result if img.is_floating_point() else convert_image_dtype(result, img.dtype)
    require_image(img, "adjust_gamma", "or a tensor: put ToTensor() before it")
    table = [(255 + 1 - 1e-3) * gain * (value / 255.0) ** gamma for value in range(256)] * 3
    return img.convert("RGB").point([min(int(value), 255) for value in table]).convert(img.mode)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """`Grayscale`."""
    return Grayscale(num_output_channels)(img)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """`Grayscale`, for PIL images."""
    require_image(img, "to_grayscale", "use rgb_to_grayscale for tensors")
    return Grayscale(num_output_channels)(img)


def invert(img: Any) -> Any:
    """`RandomInvert`."""
    return _changed(img, "invert", TONES["invert"], 0)


def posterize(img: Any, bits: int) -> Any:
    """`RandomPosterize`."""
    return _changed(img, "posterize", TONES["posterize"], bits)


def solarize(img: Any, threshold: float) -> Any:
    """`RandomSolarize`."""
    return _changed(img, "solarize", TONES["solarize"], threshold)


def autocontrast(img: Any) -> Any:
    """`RandomAutocontrast`."""
    return _changed(img, "autocontrast", TONES["autocontrast"], 0)


def equalize(img: Any) -> Any:
    """`RandomEqualize`."""
    return _changed(img, "equalize", TONES["equalize"], 0)


def gaussian_blur(img: Any, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None) -> Any:
    """`GaussianBlur` of one width, or one along x and one along y; None takes 0.15 times the kernel's size and 0.35 more."""
    taps = pair(kernel_size, "kernel_size")
    if any(n % 2 == 0 for n in taps):
        raise ValueError(f"kernel_size: expected odd numbers, with a middle, got {kernel_size!r}")
    if sigma is None:
        sigma = [0.15 * n + 0.35 for n in taps]
    given = (sigma,) if isinstance(sigma, (int, float)) else tuple(sigma)
    if len(given) not in (1, 2) or not min(given) > 0:
        raise ValueError(f"sigma: expected a number above 0, or two, got {sigma!r}")
    sigmas = float(given[0]), float(given[-1])
    if is_image(img):
        return by_bands(img, lambda band: blurred(band[None], taps, sigmas, "gaussian_blur")[0])
    return on_tensor(
        img,
        "gaussian_blur",
        lambda images: np.stack([blurred(image, taps, sigmas, "gaussian_blur") for image in images]),
    )
