"""Reads image files: as torchvision's loader does, and as the small grey pictures that a digit classifier sees.

Read next: `image_folder.py`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from minicnn.autograd import Tensor

from .errors import ImageReadError

T = TypeVar("T")

_MODES = {"UNCHANGED": None, "GRAY": "L", "GRAY_ALPHA": "LA", "RGB": "RGB", "RGB_ALPHA": "RGBA"}  # Pillow's names

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
# Pillow goes by content, not by name, and knows formats (EPS) that it hands to another program: these it decodes itself.
_FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")


def pil_loader(path: str | os.PathLike[str]) -> Any:
    """The file as a PIL image of mode "RGB", as torchvision's default loader gives it.

    Raises
    ------
    ImageReadError : the file cannot be opened or decoded; the message names it.
    """
    return open_image(path, lambda image: image.convert("RGB"))


def decode_image(input: str | os.PathLike[str], mode: str = "UNCHANGED") -> Tensor:
    """The pixels of a file as a tensor (c, h, w) uint8: torchvision.io's ``decode_image`` of a path, and ``read_image``.

    Parameters
    ----------
    input : the file.
    mode : "RGB", "GRAY", "RGB_ALPHA" or "GRAY_ALPHA" convert; "UNCHANGED" has as many channels as the file (a palette's
        colours come as RGB).

    Raises
    ------
    ImageReadError : the file cannot be opened or decoded; the message names it. ValueError : another mode.
    """
    if mode not in _MODES:
        raise ValueError(f"mode: expected one of {', '.join(_MODES)}, got {mode!r}")

    def pixels(image: Any) -> np.ndarray:
        kept = image.mode if image.mode in ("L", "LA", "RGB", "RGBA") else "L" if image.mode == "1" else "RGB"
        return np.array(image.convert(_MODES[mode] or kept))

    found = open_image(input, pixels)
    return Tensor(
        np.ascontiguousarray(found.reshape(*found.shape[:2], -1).transpose(2, 0, 1))
    )  # (h, w, c) -> (c, h, w)


read_image = decode_image


def read_grey(path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> np.ndarray:
    """The file as grey pixels (h, w) uint8, upright, on white where it is transparent, resized to ``size`` (h, w).

    Resizing averages (Pillow's bilinear filter widens with the factor), so thin strokes fade but do not vanish. The
    picture is squeezed to ``size``; its proportions are not kept.

    Raises
    ------
    ImageReadError : the file cannot be opened or decoded; the message names it.
    """
    return open_image(path, lambda image: np.asarray(_resized(to_grey(image), size)))


def to_grey(image: Any) -> Any:
    """A PIL image of any mode as mode "L": upright by its EXIF tag, 16-bit values scaled, transparency over white."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        # convert("L") would clip at 255. Mode I is what 16-bit PNGs open as.
        values = np.asarray(image).astype(np.float64)
        return Image.fromarray(np.clip(np.rint(values / 257), 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return image.convert("L")


def _resized(image: Any, size: tuple[int, int] | None) -> Any:
    from PIL import Image

    if size is None or image.size == (size[1], size[0]):
        return image
    return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)


def open_image(path: str | os.PathLike[str], convert: Callable[[Any], T]) -> T:
    """``convert(image)`` of the PIL image in a file: JPEG, PNG, PPM, PGM, BMP, TIFF, WebP or GIF.

    Raises
    ------
    ImageReadError : the file cannot be opened or decoded; the message names it.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=_FORMATS) as image:
            return convert(image)
    except FileNotFoundError as error:
        raise ImageReadError(f"{os.fspath(path)}: there is no such file") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly anything on a damaged file
        raise ImageReadError(f"{os.fspath(path)}: not a readable image ({type(error).__name__}: {error})") from error
