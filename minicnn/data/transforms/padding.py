"""Borders around an image: Pad, and what random crops pad with.

Read next: `cropping.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor

from .pil import by_bands, pil_fill, require_image
from .random_transform import on_tensor
from .warp import fill_values

Sides = tuple[int, int, int, int]  # left, top, right, bottom: Pillow's order


def padding_sides(padding: int | Sequence[int] | None) -> Sides:
    """One number, (left and right, top and bottom) or all four, as all four."""
    if padding is None:
        return (0, 0, 0, 0)
    sides = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(sides) not in (1, 2, 4) or any(not isinstance(side, int) or side < 0 for side in sides):
        raise ValueError(f"padding: expected 1, 2 or 4 integers of at least 0, got {padding!r}")
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom


def check_padding_mode(mode: str) -> str:
    """``mode``, or ValueError where there is no such."""
    if mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError(f"padding_mode: expected 'constant', 'edge', 'reflect' or 'symmetric', got {mode!r}")
    return mode


def pad_arrays(images: np.ndarray, sides: Sides, fill: np.ndarray, mode: str) -> np.ndarray:
    """(n, c, h, w) -> (n, c, h_out, w_out), larger by the borders; fill is (c,) or (1,)."""
    left, top, right, bottom = sides
    n, c, h, w = images.shape
    if mode != "constant":
        return np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)), mode=mode)  # type: ignore[call-overload]
    padded = np.empty((n, c, h + top + bottom, w + left + right), images.dtype)
    padded[...] = fill.reshape(1, -1, 1, 1)
    padded[:, :, top : top + h, left : left + w] = images
    return padded


def pad_pil(image: Any, sides: Sides, fill: np.ndarray, mode: str) -> Any:
    """The same for a PIL image, which keeps its mode and palette."""
    from PIL import ImageOps

    if not any(sides):
        return image
    left, top, right, bottom = sides
    if mode == "constant":
        return ImageOps.expand(image, border=sides, fill=pil_fill(image, fill))
    return by_bands(image, lambda band: np.pad(band, ((top, bottom), (left, right)), mode=mode))  # type: ignore[call-overload]


class Pad:
    """Puts a border around PIL images and tensors (..., h, w).

    Parameters
    ----------
    padding : pixels on every side; or (left and right, top and bottom); or (left, top, right, bottom).
    fill : what "constant" padding adds; a number or one a channel.
    padding_mode : "constant", "edge", "reflect" (without repeating the edge) or "symmetric".

    >>> import minicnn as mc
    >>> Pad((1, 0, 0, 1), fill=7)(mc.tensor([[1, 2]]))
    tensor([[7, 1, 2],
            [7, 7, 7]])
    """

    def __init__(self, padding: int | Sequence[int], fill: float | Sequence[float] = 0, padding_mode: str = "constant"):
        self.padding, self.fill, self.padding_mode = padding, fill, check_padding_mode(padding_mode)
        self._sides, self._fill = padding_sides(padding), fill_values(fill)

    def __call__(self, image: Any) -> Any:
        if not isinstance(image, Tensor):
            require_image(image, "Pad", "or a tensor: put ToTensor() before it")
            return pad_pil(image, self._sides, self._fill, self.padding_mode)
        return on_tensor(image, "Pad", lambda images: pad_arrays(images, self._sides, self._fill, self.padding_mode))

    def __repr__(self) -> str:
        return f"Pad(padding={self.padding}, fill={self.fill}, padding_mode={self.padding_mode})"
