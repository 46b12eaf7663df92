"""What the transforms ask Pillow for. It is imported when the first image comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor


def is_image(image: Any) -> bool:
    """Whether this is a PIL image: has ``size`` as (width, height). Does not import Pillow."""
    return not isinstance(image, (Tensor, np.ndarray)) and isinstance(getattr(image, "size", None), tuple)


def require_image(image: Any, who: str, remedy: str = "put it before ToTensor()") -> None:
    """Raises TypeError for anything but a PIL image."""
    if not is_image(image):
        raise TypeError(f"{who}: expected a PIL image, got {type(image).__name__}; {remedy}")


def pil_fill(image: Any, fill: Sequence[float] | np.ndarray) -> Any:
    """``fill``, one number or one a band, as the colour that Pillow wants for the image's mode; fractions are cut off.

    Raises
    ------
    ValueError : another number of values than the image has bands.
    """
    bands = len(image.getbands())
    values = [float(value) if image.mode == "F" else int(value) for value in fill]
    if len(values) not in (1, bands):
        raise ValueError(f"fill: {len(values)} values for an image of mode {image.mode}, which has {bands} bands")
    if bands == 1:
        return values[0]
    return tuple(values * bands if len(values) == 1 else values)


def by_bands(image: Any, change: Any) -> Any:
    """``change`` applied to each band's pixels (h, w), in an image of the same mode and palette."""
    from PIL import Image

    if image.mode == "P":
        result = Image.fromarray(change(np.asarray(image)))
        result.putpalette(image.getpalette())
        return result
    bands = [Image.fromarray(change(np.asarray(band))) for band in image.split()]
    return bands[0] if len(bands) == 1 else Image.merge(image.mode, bands)
