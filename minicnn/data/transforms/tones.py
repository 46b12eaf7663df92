"""Pictures made poorer or richer, with a probability: inverted, posterized, solarized, sharpened, stretched, equalized.

What each does stands in one table, `TONES`: for PIL images by Pillow, for arrays by torchvision's arithmetic for tensors.
Read next: `auto_augment.py`, which chooses among them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.random import Generator

from .colour_arithmetic import largest, mixed
from .random_transform import RandomTransform, check_probability

# ---- arrays (c, h, w)


def _invert(x: np.ndarray, _: float = 0) -> np.ndarray:
    return largest(x.dtype) - x


def _posterize(x: np.ndarray, bits: float) -> np.ndarray:
    return _bytes("posterize", x) & np.uint8(256 - (1 << 8 - int(bits)))


def _solarize(x: np.ndarray, threshold: float) -> np.ndarray:
    if threshold > largest(x.dtype):
        raise TypeError(f"threshold: {threshold} is above {largest(x.dtype)}, the brightest of {x.dtype}")
    return np.where(x >= threshold, _invert(x), x)


def _sharpen(x: np.ndarray, factor: float) -> np.ndarray:
    """Away from the image smoothed by (1 1 1, 1 5 1, 1 1 1) / 13, whose border is the image's own."""
    if min(x.shape[-2:]) <= 2:
        return x
    floats = x if x.dtype.kind == "f" else x.astype(np.float32)
    h, w = x.shape[-2:]
    total = 4 * floats[:, 1:-1, 1:-1]
    for i in range(3):
        for j in range(3):
            total += floats[:, i : h - 2 + i, j : w - 2 + j]
    total /= 13
    smooth = x.copy()
    smooth[:, 1:-1, 1:-1] = total if x.dtype.kind == "f" else np.rint(total)
    return mixed(x, smooth, factor)


def _autocontrast(x: np.ndarray, _: float = 0) -> np.ndarray:
    white = largest(x.dtype)
    floats = x if x.dtype.kind == "f" else x.astype(np.float32)
    low, high = (reach(floats, axis=(1, 2), keepdims=True) for reach in (np.min, np.max))
    flat = high == low  # stays as it is
    scale = white / np.where(flat, 1, high - low)
    stretched = np.clip((floats - low) * scale, 0, white)
    return np.where(flat, floats, stretched).astype(x.dtype)


def _equalize(x: np.ndarray, _: float = 0) -> np.ndarray:
    return np.stack([_equalized(plane) for plane in _bytes("equalize", x)])


def _equalized(plane: np.ndarray) -> np.ndarray:
    """(h, w) uint8: each value goes to the share of pixels that are darker."""
    counts = np.bincount(plane.reshape(-1), minlength=256)
    present = counts[counts > 0]
    step = int(present[:-1].sum()) // 255
    if step == 0:
        return plane
    table = np.concatenate([[0], (np.cumsum(counts)[:-1] + step // 2) // step])
    return np.clip(table, 0, 255).astype(np.uint8)[plane]


def _bytes(what: str, x: np.ndarray) -> np.ndarray:
    if x.dtype != np.uint8:
        raise TypeError(f"{what}: only uint8 tensors have the 256 values that this is about, got {x.dtype}")
    return x


# ---- PIL images


def _by_pillow(name: str, *, whole: bool = False, number: bool = True) -> Callable[[Any, float], Any]:
    def change(image: Any, value: float = 0) -> Any:
        from PIL import ImageOps

        return getattr(ImageOps, name)(image, *([int(value) if whole else value] if number else []))

    return change


def _sharpen_pil(image: Any, factor: float) -> Any:
    from PIL import ImageEnhance

    return ImageEnhance.Sharpness(image).enhance(factor)


# name -> for arrays, for PIL images; both take the image and a number, which some ignore
TONES: dict[str, tuple[Callable[[np.ndarray, float], np.ndarray], Callable[[Any, float], Any]]] = {
    "invert": (_invert, _by_pillow("invert", number=False)),
    "posterize": (_posterize, _by_pillow("posterize", whole=True)),
    "solarize": (_solarize, _by_pillow("solarize")),
    "sharpness": (_sharpen, _sharpen_pil),
    "autocontrast": (_autocontrast, _by_pillow("autocontrast", number=False)),
    "equalize": (_equalize, _by_pillow("equalize", number=False)),
}


class _RandomTone(RandomTransform):
    """One line of the table, with probability ``p``."""

    tone: str
    argument = ""

    def __init__(self, value: float = 0, p: float = 0.5):
        self._value = value
        self.p = check_probability(p)
        if self.argument:
            setattr(self, self.argument, value)

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        return generator.uniform((1,), np.float64) < self.p

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        change = TONES[self.tone][0]
        chosen = parameters[:, 0]
        return np.stack(
            [change(image, self._value) if yes else image for image, yes in zip(images, chosen, strict=True)]
        )

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        return TONES[self.tone][1](image, self._value) if parameters[0] else image

    def __repr__(self) -> str:
        own = f"{self.argument}={self._value}, " if self.argument else ""
        return f"{type(self).__name__}({own}p={self.p})"


class RandomInvert(_RandomTone):
    """Bright becomes dark, with probability ``p``.

    >>> import minicnn as mc
    >>> RandomInvert(p=1)(mc.tensor([[[0.0, 0.25]]]))
    tensor([[[1.0000, 0.7500]]])
    """

    tone = "invert"

    def __init__(self, p: float = 0.5):
        super().__init__(p=p)


class RandomPosterize(_RandomTone):
    """Keeps the upper ``bits`` of 8, with probability ``p``: fewer colours. PIL images and uint8 tensors.

    >>> import minicnn as mc
    >>> RandomPosterize(bits=1, p=1)(mc.tensor([[[100, 200]]], dtype=mc.uint8)).tolist()
    [[[0, 128]]]
    """

    tone, argument = "posterize", "bits"

    def __init__(self, bits: int, p: float = 0.5):
        if not 0 <= bits <= 8:
            raise ValueError(f"bits: expected 0 to 8, got {bits}")
        super().__init__(bits, p)


class RandomSolarize(_RandomTone):
    """Inverts what is at least as bright as ``threshold``, with probability ``p``.

    >>> import minicnn as mc
    >>> RandomSolarize(0.5, p=1)(mc.tensor([[[0.25, 0.75]]]))
    tensor([[[0.2500, 0.2500]]])
    """

    tone, argument = "solarize", "threshold"

    def __init__(self, threshold: float, p: float = 0.5):
        super().__init__(threshold, p)


class RandomAdjustSharpness(_RandomTone):
    """Sharper by a factor above 1, blurred by one below, with probability ``p``.

    >>> import minicnn as mc
    >>> RandomAdjustSharpness(0, p=1)(mc.eye(3)[None])[0, 1, 1].item()
    0.538...
    """

    tone, argument = "sharpness", "sharpness_factor"

    def __init__(self, sharpness_factor: float, p: float = 0.5):
        if sharpness_factor < 0:
            raise ValueError(f"sharpness_factor: expected a number of at least 0, got {sharpness_factor}")
        super().__init__(sharpness_factor, p)


class RandomAutocontrast(_RandomTone):
    """Stretches each channel from black to white, with probability ``p``.

    >>> import minicnn as mc
    >>> RandomAutocontrast(p=1)(mc.tensor([[[0.25, 0.5, 0.75]]]))
    tensor([[[0.0000, 0.5000, 1.0000]]])
    """

    tone = "autocontrast"

    def __init__(self, p: float = 0.5):
        super().__init__(p=p)


class RandomEqualize(_RandomTone):
    """Spreads each channel's values evenly, with probability ``p``. PIL images and uint8 tensors."""

    tone = "equalize"

    def __init__(self, p: float = 0.5):
        super().__init__(p=p)
