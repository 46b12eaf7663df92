"""Pictures of digits, from any camera or paint program, as a network that learnt MNIST expects them.

MNIST's digits are white on black, scaled (keeping their proportions) to fit a box of 20 x 20, and placed in a field of
28 x 28 so that their centre of mass is in the middle (LeCun, Cortes, Burges, "The MNIST database of handwritten
digits"). A network sees only such digits, so a photograph of a 7 must become one: :func:`digit_from_picture` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..data import DATASET_NAMES, ImageReadError, open_image, read_grey

FIELD, BOX = 28, 20
_LIKE_MNIST = [name for name in DATASET_NAMES if name.startswith(("mnist", "qmnist", "emnist"))]
PIXELS = 160  # larger pictures are scaled down to this first: a digit that is an eighth of it still fills the box


class PictureError(ValueError):
    """A picture that cannot be read or has no digit in it; the message names the file."""


def prepare_picture(path: str | Path, data_name: str) -> np.ndarray:
    """A picture file as a network that learnt ``data_name`` expects it: (28, 28) float32 from 0 to 1.

    For the digits and letters of MNIST, QMNIST and EMNIST by :func:`digit_from_picture`; for Fashion-MNIST grey, 28 x 28,
    and inverted when its background is bright; for folders of images as they were read for training, grey and 28 x 28; for
    CIFAR in colour, (32, 32, 3), the middle square.

    Raises
    ------
    PictureError : a file that cannot be read, or no digit in it.
    """
    if data_name in _LIKE_MNIST:
        grey = read_ink(path)
        try:
            return digit_from_picture(grey)
        except ValueError as error:
            raise PictureError(f"{path}: {error}") from None
    try:
        if data_name in ("cifar10", "cifar100"):
            return open_image(path, _small_photo) / np.float32(255)
        grey = read_grey(path, (FIELD, FIELD)) / np.float32(255)
    except ImageReadError as error:
        raise PictureError(str(error)) from None
    return 1 - grey if data_name == "fashion-mnist" and _background(grey) > 0.5 else grey


def read_ink(path: str | Path) -> np.ndarray:
    """An image file, as grey levels: (h, w) float32 from 0 (black) to 1 (white).

    Turned as its EXIF says. 16-bit files keep their precision. What is transparent becomes white under dark ink and
    black under bright ink. (:func:`minicnn.data.read_grey`, by which folders are read, puts everything on white.)

    Raises
    ------
    PictureError : not an image that can be read.
    """
    try:
        return open_image(path, _ink)
    except ImageReadError as error:
        raise PictureError(str(error)) from None


def _small_photo(image: Any) -> np.ndarray:
    from PIL import Image, ImageOps

    upright = ImageOps.exif_transpose(image).convert("RGB")
    return np.asarray(ImageOps.fit(upright, (32, 32), Image.Resampling.BILINEAR))


def _ink(image: Any) -> np.ndarray:
    from PIL import ImageOps

    picture = ImageOps.exif_transpose(image)
    if picture.mode.startswith(("I", "F")):  # more than 8 bits: Pillow's own conversions would clip at 255
        values = np.asarray(picture, dtype=np.float32)
        return np.clip(values / _white_level(picture.mode, float(values.max(initial=0))), 0, 1)
    if "A" in picture.mode or "transparency" in picture.info:
        bands = picture.convert("RGBA").convert("LA").split()
        grey, alpha = (np.asarray(band, dtype=np.float32) / 255 for band in bands)
        ink = float((grey * alpha).sum() / alpha.sum()) if alpha.any() else 0.0
        return grey * alpha + (1 - alpha) * (1.0 if ink < 0.5 else 0.0)
    return np.asarray(picture.convert("L"), dtype=np.float32) / 255


def _white_level(mode: str, highest: float) -> float:
    """What number is white: 65535 for 16-bit files, which Pillow opens as one of several modes; 1 or 255 for floats."""
    if mode.startswith("I"):
        return 65535.0
    return 1.0 if highest <= 1 else 255.0 if highest <= 255 else 65535.0


def digit_from_picture(grey: np.ndarray) -> np.ndarray:
    """A picture of one digit as MNIST has it.

    Freed of noise and of uneven light, inverted when the background is bright, cropped to the ink, scaled to a box of
    20 x 20, and placed by its centre of mass.

    Parameters
    ----------
    grey : (h, w) float, 0 black to 1 white.

    Returns
    -------
    digit : (28, 28) float32, background 0, ink up to 1.

    Raises
    ------
    ValueError : a picture of one single grey.

    >>> picture = np.ones((90, 60)); picture[20:70, 25:30] = 0         # a black bar on white
    >>> digit = digit_from_picture(picture)
    >>> rows, columns = np.nonzero(digit > 0.5)
    >>> int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())    # 20 high, in the middle
    (4, 23, 14, 15)
    """
    grey = np.asarray(grey, dtype=np.float32)
    height, width = _fitting(grey.shape, min(PIXELS, max(grey.shape)))
    grey = _resized(grey, height, width)  # averages a camera's noise away
    background = _lit_background(grey)
    ink = np.clip(background - grey if np.median(background) > 0.5 else grey - background, 0, None)
    if ink.max(initial=0) < 0.05:
        raise ValueError("it has no digit in it: all of it is about the same grey")
    threshold = _otsu(ink)  # paper grain and JPEG's ripples are below it
    ink = np.clip((ink - threshold / 4) / (np.percentile(ink[ink > threshold], 90) - threshold / 4), 0, 1)
    rows, columns = np.nonzero((ink > 0.4).any(axis=1))[0], np.nonzero((ink > 0.4).any(axis=0))[0]
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    small = _resized(cropped, *_fitting(cropped.shape, BOX))
    small = small / small.max()  # a thin pen's line fades when it is scaled down
    return _place(small)


def _fitting(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """(h, w) in the same proportions, the longer one ``side``."""
    height, width = (max(1, round(length * side / max(shape))) for length in shape)
    return height, width


def _resized(grey: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w) -> (height, width), float32 in [0, 1], with smoothing when it gets smaller."""
    from PIL import Image

    small = Image.fromarray(np.ascontiguousarray(grey)).resize((width, height), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(small, dtype=np.float32), 0, 1)


def _edge(grey: np.ndarray) -> np.ndarray:
    return np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])


def _background(grey: np.ndarray) -> float:
    """The grey of the picture's edge."""
    return float(np.median(_edge(grey)))


def _lit_background(grey: np.ndarray) -> np.ndarray:
    """What the picture would be without ink, (h, w): paper that is brighter nearer to the lamp.

    A parabola a + b x + c y + d x^2 + e x y + f y^2 through the pixels that are not ink, fitted by least squares. Which
    these are is known better after each fit: those whose distance from it is below Otsu's threshold.
    """
    surface = np.full_like(grey, _background(grey))
    if np.ptp(np.percentile(_edge(grey), [5, 95])) < 0.05:
        return surface  # evenly lit, as every drawing is
    h, w = grey.shape
    y, x = np.mgrid[-1 : 1 : h * 1j, -1 : 1 : w * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1).reshape(h * w, 6)
    for _ in range(4):
        distance = np.abs(grey - surface)
        paper = (distance < _otsu(distance)).ravel()
        coefficients = np.linalg.lstsq(terms[paper], grey.ravel()[paper], rcond=None)[0]
        surface = (terms @ coefficients).reshape(h, w)
    return surface


def _otsu(ink: np.ndarray) -> float:
    """The threshold that parts the values into two groups with the least variance within them (Otsu 1979)."""
    counts, edges = np.histogram(ink, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    sum_below = np.cumsum(counts * centres)
    mean_below = sum_below / np.maximum(below, 1)
    mean_above = (sum_below[-1] - sum_below) / np.maximum(above, 1)
    return float(centres[np.argmax(below * above * (mean_above - mean_below) ** 2)])


def _place(small: np.ndarray) -> np.ndarray:
    """(at most 20, at most 20) -> (28, 28), the centre of mass as near the middle as fits."""
    field = np.zeros((FIELD, FIELD), dtype=np.float32)
    corner = []
    for axis in (0, 1):
        weights = small.sum(axis=1 - axis)
        # In MNIST itself the centre of mass is at pixel number 14, half a pixel off the middle of 28: measured.
        centre = float((weights * np.arange(len(weights))).sum() / weights.sum())
        corner.append(int(np.clip(round(FIELD / 2 - centre), 0, FIELD - len(weights))))
    field[corner[0] : corner[0] + small.shape[0], corner[1] : corner[1] + small.shape[1]] = small
    return field
