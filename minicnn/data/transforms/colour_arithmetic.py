"""The arithmetic of colours: brightness, contrast, saturation, hue and grey, for PIL images and for arrays.

The first three mix an image with a duller one d, and a factor above 1 moves away from it:

    factor x + (1 - factor) d        d = black | the mean of the grey image | the grey image

Pillow does so on 8 bits, rounding as it does. Arrays are torchvision's arithmetic for tensors: in float32 for whole
numbers, cut off at 0 and 1 (255 for uint8), and fractions cut off, not rounded. Read next: `colour.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

# ---- arrays (c, h, w) of 1 or 3 channels


def largest(dtype: np.dtype) -> int:
    """White: 1 for floating point, the largest number of an integer type."""
    return 1 if dtype.kind == "f" else int(np.iinfo(dtype).max)


def grey_of(x: np.ndarray) -> np.ndarray:
    """(3, h, w) -> (1, h, w), by the weights of the ITU-R 601 luma; (1, h, w) as it is."""
    if x.shape[0] == 1:
        return x
    red, green, blue = _floating(x)
    grey = 0.2989 * red + 0.587 * green + 0.114 * blue
    return grey.astype(x.dtype)[None]


def brightness(x: np.ndarray, factor: float) -> np.ndarray:
    return mixed(x, np.zeros_like(x), factor)


def contrast(x: np.ndarray, factor: float) -> np.ndarray:
    return mixed(x, _floating(grey_of(x)).mean(keepdims=True), factor)


def saturation(x: np.ndarray, factor: float) -> np.ndarray:
    return x if x.shape[0] == 1 else mixed(x, grey_of(x), factor)


def hue(x: np.ndarray, shift: float) -> np.ndarray:
    """Turns the hue by ``shift`` of the whole circle."""
    if x.shape[0] == 1:
        return x
    white = largest(x.dtype)
    scaled = x if x.dtype.kind == "f" else x.astype(np.float32) / np.float32(white)
    h, s, v = _to_hsv(scaled)
    turned = _from_hsv((h + shift) % 1.0, s, v)
    if x.dtype.kind == "f":
        return turned
    return np.floor(turned * (white + 1 - 1e-3)).astype(x.dtype)  # torchvision's way to give each number an equal share


def _floating(x: np.ndarray) -> np.ndarray:
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def mixed(x: np.ndarray, dull: np.ndarray, factor: float) -> np.ndarray:
    """factor x + (1 - factor) dull, between black and white"""
    result = factor * _floating(x)
    result += (1.0 - factor) * _floating(dull)
    return np.clip(result, 0, largest(x.dtype), out=result).astype(x.dtype, copy=False)


def _to_hsv(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(3, h, w) red, green, blue in 0..1 -> hue, saturation, value (h, w), each in 0..1 (Smith 1978)."""
    red, green, blue = x
    high, low = x.max(0), x.min(0)
    spread = high - low
    grey = spread == 0
    divisor = np.where(grey, x.dtype.type(1), spread)
    saturation_ = spread / np.where(grey, x.dtype.type(1), high)
    # how far each channel is from the brightest, in units of the spread
    r, g, b = ((high - channel) / divisor for channel in (red, green, blue))
    sector = np.where(high == red, b - g, np.where(high == green, 2 + r - b, 4 + g - r))
    return (sector / 6 + 1) % 1.0, saturation_, high


def _from_hsv(h: np.ndarray, s: np.ndarray, v: np.ndarray) -> np.ndarray:
    """hue, saturation, value (h, w) -> (3, h, w)"""
    six = h * 6
    sector = np.floor(six)
    f = six - sector
    low, down, up = (np.clip(value, 0, 1) for value in (v * (1 - s), v * (1 - s * f), v * (1 - s * (1 - f))))
    which = sector.astype(np.int32) % 6
    return np.stack(
        [
            np.choose(which, [v, down, low, low, up, v]),
            np.choose(which, [up, v, v, down, low, low]),
            np.choose(which, [low, low, up, v, v, down]),
        ]
    )


# ---- PIL images


def _enhanced(kind: str) -> Callable[[Any, float], Any]:
    def enhance(image: Any, factor: float) -> Any:
        from PIL import ImageEnhance

        return getattr(ImageEnhance, kind)(image).enhance(factor)

    return enhance


def hue_pil(image: Any, shift: float) -> Any:
    """Adds ``shift`` x 255 to the band of hues, which is 8 bits wide and so begins again at 0."""
    from PIL import Image

    if image.mode in ("L", "1", "I", "F"):
        return image
    h, s, v = image.convert("HSV").split()
    turned = np.asarray(h) + np.int32(shift * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned), s, v)).convert(image.mode)


def grey_pil(image: Any, channels: int) -> Any:
    """Mode "L", or "RGB" with three equal bands."""
    from PIL import Image

    if channels not in (1, 3):
        raise ValueError(
            f"num_output_channels should be either 1 or 3, got {channels!r}; convert the image to RGB first"
        )
    grey = image.convert("L")
    return grey if channels == 1 else Image.merge("RGB", (grey, grey, grey))


# What ColorJitter does, in the order of its arguments: for arrays, and for PIL images.
ADJUSTMENTS: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], Callable[[Any, float], Any]]] = {
    "brightness": (brightness, _enhanced("Brightness")),
    "contrast": (contrast, _enhanced("Contrast")),
    "saturation": (saturation, _enhanced("Color")),
    "hue": (hue, hue_pil),
}
