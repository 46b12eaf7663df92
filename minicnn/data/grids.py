"""Many images as one, to look at: make_grid and save_image, torchvision's."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from minicnn.autograd import Tensor


def make_grid(
    tensor: Tensor | Sequence[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Images side by side, in rows: (3, height, width). A single image comes back without a frame.

    Parameters
    ----------
    tensor : (n, c, h, w), one image (c, h, w) or (h, w), or a list of images of one size; grey ones get three channels.
    nrow : images in a row.
    padding, pad_value : pixels between images and around all, and their value.
    normalize : shift and scale to 0..1, from ``value_range`` or from the smallest and the largest value.
    scale_each : by each image's own smallest and largest value.

    Raises
    ------
    TypeError : no tensor, nor a list of them; a ``value_range`` that is no pair. ValueError : another number of dimensions.

    >>> import minicnn as mc
    >>> make_grid(mc.rand(10, 1, 28, 28), nrow=5).shape  # 2 rows of 30 and 2 pixels, 5 columns of 30 and 2
    minicnn.Size([3, 62, 152])
    """
    if isinstance(tensor, (list, tuple)) and all(isinstance(image, Tensor) for image in tensor):
        images = np.stack([image._array for image in tensor])
    elif isinstance(tensor, Tensor):
        images = tensor._array
    else:
        raise TypeError(f"tensor: expected a tensor or a list of tensors, got {type(tensor).__name__}")
    if images.ndim not in (2, 3, 4):
        raise ValueError(f"tensor: expected (n, c, h, w), (c, h, w) or (h, w), got shape {images.shape}")
    if images.ndim == 2:
        images = images[None]  # (h, w) -> (1, h, w)
    if images.ndim == 3:
        images = images[None]  # (c, h, w) -> (1, c, h, w)
    if images.shape[1] == 1:
        images = np.repeat(images, 3, axis=1)  # (n, 1, h, w) -> (n, 3, h, w)
    if normalize:
        if value_range is not None and not (isinstance(value_range, tuple) and len(value_range) == 2):
            raise TypeError(f"value_range: expected (low, high), got {value_range!r}")
        images = _scaled(images, value_range, scale_each)
    n, c, h, w = images.shape
    if n == 1:
        return Tensor(images[0].copy())
    columns = min(nrow, n)
    rows = math.ceil(n / columns)
    grid = np.full((c, rows * (h + padding) + padding, columns * (w + padding) + padding), pad_value, images.dtype)
    for i, image in enumerate(images):
        y, x = (i // columns) * (h + padding) + padding, (i % columns) * (w + padding) + padding
        grid[:, y : y + h, x : x + w] = image
    return Tensor(grid)


def _scaled(images: np.ndarray, value_range: tuple[float, float] | None, scale_each: bool) -> np.ndarray:
    """(n, c, h, w) -> the same, from the range given or found to 0..1."""
    axes = tuple(range(1, 4)) if scale_each else None
    if value_range is not None:
        low, high = (images.dtype.type(limit) for limit in value_range)
    else:
        low, high = images.min(axes, keepdims=True), images.max(axes, keepdims=True)
    return (np.clip(images, low, high) - low) / np.maximum(high - low, images.dtype.type(1e-5))


def save_image(
    tensor: Tensor | Sequence[Tensor], fp: str | os.PathLike[str] | BinaryIO, format: str | None = None, **kwargs: Any
) -> None:
    """Write images with values in 0..1 into one picture: a grid of several.

    Parameters
    ----------
    tensor : as for :func:`make_grid`, which gets ``kwargs`` too.
    fp, format : the file, and what kind where its name does not say.
    """
    from PIL import Image

    grid = make_grid(tensor, **kwargs)._array
    pixels = np.clip(grid * 255 + 0.5, 0, 255).astype(np.uint8)
    Image.fromarray(pixels.transpose(1, 2, 0)).save(fp, format=format)  # (c, h, w) -> (h, w, c)
