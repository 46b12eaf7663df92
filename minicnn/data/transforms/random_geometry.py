"""Random crops, flips, rotations and affine maps: torchvision's, each with one draw from the sample's own generator.

Every transform here is two steps, which is what makes whole batches possible: `_draw` turns random numbers into the
parameters of one image, `_apply` transforms n images by n parameters. Read next: `warp.py`, the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from ..randomness import sample_generator
from .warp import InterpolationMode, fill_values, inverse_affine_matrix, warp, warp_pil


class RandomTransform:
    """What the transforms below share: where the numbers come from, and PIL image, tensor or batch."""

    def __call__(self, image: Any) -> Any:
        if isinstance(image, Tensor):
            array = image._array
            if array.ndim < 2:
                raise ValueError(f"{type(self).__name__}: expected a tensor (..., h, w), got shape {array.shape}")
            # (..., c, h, w) -> (n, c, h, w): one draw for all of them, as in torchvision
            images = array.reshape(-1, *(array.shape[-3:] if array.ndim > 2 else (1, *array.shape)))
            parameters = self._draw(sample_generator(), *array.shape[-2:])
            result = self._apply(images, np.repeat(parameters[None], len(images), axis=0))
            return Tensor(result.reshape(*array.shape[:-2], *result.shape[-2:]))
        size = getattr(image, "size", None)
        if not isinstance(size, tuple):
            raise TypeError(
                f"{type(self).__name__}: expected a PIL image or a tensor, got {type(image).__name__}; "
                "put ToTensor() before it"
            )
        return self._apply_pil(image, self._draw(sample_generator(), size[1], size[0]))

    def batch(self, images: np.ndarray, generators: Sequence[Generator]) -> np.ndarray:
        """(n, c, h, w) -> (n, c, h_out, w_out), image i as ``generators[i]`` decides."""
        h, w = images.shape[-2:]
        return self._apply(images, np.stack([self._draw(generator, h, w) for generator in generators]))

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        """The parameters (k,) float64 for one image of h x w."""
        raise NotImplementedError

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """images (n, c, h, w), parameters (n, k) -> (n, c, h_out, w_out)"""
        raise NotImplementedError

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        raise NotImplementedError


class RandomHorizontalFlip(RandomTransform):
    """Left and right change places with probability ``p``. (Mirrored digits are other signs: not for MNIST.)

    >>> import minicnn as mc
    >>> RandomHorizontalFlip(p=1)(mc.tensor([[1, 2, 3]]))
    tensor([[3, 2, 1]])
    """

    def __init__(self, p: float = 0.5):
        if not 0 <= p <= 1:
            raise ValueError(f"p: expected a probability between 0 and 1, got {p}")
        self.p = p

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        return generator.uniform((1,), np.float64) < self.p

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        return np.where(parameters.reshape(-1, 1, 1, 1), images[..., ::-1], images)

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        from PIL import Image

        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if parameters[0] else image

    def __repr__(self) -> str:
        return f"RandomHorizontalFlip(p={self.p})"


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
        sides = (size, size) if isinstance(size, int) else tuple(size) * (2 if len(size) == 1 else 1)
        if len(sides) != 2 or any(not isinstance(side, int) or side < 1 for side in sides):
            raise ValueError(f"size: expected a positive integer or (height, width), got {size!r}")
        if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
            raise ValueError(
                f"padding_mode: expected 'constant', 'edge', 'reflect' or 'symmetric', got {padding_mode!r}"
            )
        self.size = sides
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode
        self._fill = fill_values(fill)
        self._sides = _padding_sides(padding)

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
        n, c, h, w = images.shape
        left, top, right, bottom = self._padding_for(h, w)
        if self.padding_mode == "constant":
            padded = np.empty((n, c, h + top + bottom, w + left + right), images.dtype)
            padded[...] = self._fill.reshape(1, -1, 1, 1)
            padded[:, :, top : top + h, left : left + w] = images
        else:
            mode: Any = self.padding_mode
            padded = np.pad(images, ((0, 0), (0, 0), (top, bottom), (left, right)), mode=mode)
        out_h, out_w = self.size
        corners = parameters.astype(np.int64).tolist()
        return np.stack([image[:, y : y + out_h, x : x + out_w] for image, (y, x) in zip(padded, corners, strict=True)])

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        from PIL import Image

        pixels = np.asarray(image)  # (h, w) or (h, w, c)
        planes = pixels[None, None] if pixels.ndim == 2 else np.moveaxis(pixels, 2, 0)[None]
        cropped = self._apply(planes, parameters[None])[0]
        result = Image.fromarray(cropped[0] if pixels.ndim == 2 else np.ascontiguousarray(np.moveaxis(cropped, 0, 2)))
        if image.mode == "P":
            result.putpalette(image.getpalette())
        return result

    def __repr__(self) -> str:
        return f"RandomCrop(size={self.size}, padding={self.padding})"


class RandomAffine(RandomTransform):
    """A random rotation, shift, scaling and shear about the centre.

    Parameters
    ----------
    degrees : rotations between -degrees and degrees, or between (low, high).
    translate : (a, b): shifts of up to a of the width and b of the height, in whole pixels.
    scale : (low, high) factors.
    shear : like degrees, parallel to the x axis; four numbers (x low, x high, y low, y high) for both.
    interpolation : "nearest" or "bilinear", or an `InterpolationMode`.
    fill : what comes in from outside; a number or one a channel.
    center : (x, y) in pixels from the upper left corner; None is the middle.

    On tensors the fill is blended by its share of the pixel; torchvision darkens such border pixels twice.

    >>> import minicnn as mc
    >>> RandomAffine((90, 90))(mc.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 1.],
            [4., 2.]])
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | str = InterpolationMode.NEAREST,
        fill: float | Sequence[float] = 0,
        center: Sequence[float] | None = None,
    ):
        self.degrees = _symmetric("degrees", degrees)
        if translate is not None and (len(translate) != 2 or not all(0 <= part <= 1 for part in translate)):
            raise ValueError(f"translate: expected two fractions between 0 and 1, got {translate!r}")
        if scale is not None and (len(scale) != 2 or not all(factor > 0 for factor in scale)):
            raise ValueError(f"scale: expected two factors above 0, got {scale!r}")
        if center is not None and len(center) != 2:
            raise ValueError(f"center: expected (x, y), got {center!r}")
        self.translate = translate
        self.scale = scale
        self.shear = None if shear is None else _symmetric("shear", shear, lengths=(2, 4))
        self.interpolation = InterpolationMode.of(interpolation)
        self.fill = fill
        self.center = center
        self._fill = fill_values(fill)

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        """angle, shift x, shift y, scale, shear x, shear y, height, width"""
        u = generator.uniform((6,), np.float64)
        angle = _between(self.degrees, u[0])
        reach_x, reach_y = (self.translate[0] * w, self.translate[1] * h) if self.translate is not None else (0, 0)
        shift = np.rint(_between((-reach_x, reach_x), u[1])), np.rint(_between((-reach_y, reach_y), u[2]))
        scale = 1.0 if self.scale is None else _between(self.scale, u[3])
        shear_x = 0.0 if self.shear is None else _between(self.shear[:2], u[4])
        shear_y = _between(self.shear[2:], u[5]) if self.shear is not None and len(self.shear) == 4 else 0.0
        return np.array([angle, *shift, scale, shear_x, shear_y, h, w])

    def _matrix(self, parameters: np.ndarray, origin: tuple[float, float]) -> list[float]:
        """The inverse matrix, in coordinates that begin at ``origin`` (x, y)."""
        angle, shift_x, shift_y, scale, shear_x, shear_y, h, w = (float(value) for value in parameters)
        x, y = (w / 2, h / 2) if self.center is None else self.center
        centre = (x - origin[0], y - origin[1])
        return inverse_affine_matrix(centre, angle, (shift_x, shift_y), scale, (shear_x, shear_y))

    def _apply(self, images: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        h, w = images.shape[-2:]
        matrices = np.array([self._matrix(one, (w / 2, h / 2)) for one in parameters])
        return warp(images, matrices, self.interpolation, self._fill)

    def _apply_pil(self, image: Any, parameters: np.ndarray) -> Any:
        return warp_pil(image, self._matrix(parameters, (0, 0)), self.interpolation, self._fill)

    def __repr__(self) -> str:
        parts = [f"degrees={self.degrees}"]
        parts += [f"{name}={value}" for name in ("translate", "scale", "shear") if (value := getattr(self, name))]
        return f"{type(self).__name__}({', '.join(parts)}, interpolation={self.interpolation.value!r})"


class RandomRotation(RandomAffine):
    """A random rotation, counter-clockwise for positive angles, as in torchvision (whose affine map turns clockwise).

    Parameters
    ----------
    degrees : angles between -degrees and degrees, or between (low, high).
    interpolation, center, fill : as in `RandomAffine`. The image keeps its size.

    >>> import minicnn as mc
    >>> RandomRotation((90, 90))(mc.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 4.],
            [1., 3.]])
    """

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode | str = InterpolationMode.NEAREST,
        *,
        center: Sequence[float] | None = None,
        fill: float | Sequence[float] = 0,
    ):
        super().__init__(degrees, interpolation=interpolation, fill=fill, center=center)

    def _draw(self, generator: Generator, h: int, w: int) -> np.ndarray:
        parameters = super()._draw(generator, h, w)
        parameters[0] = -parameters[0]
        return parameters


def digit_augmentation(level: str = "light") -> RandomAffine | None:
    """Small random shifts and rotations for 28 x 28 digits in 0..1: what ``--augment`` of the command line means.

    "light" turns by up to 8 degrees and shifts by up to 2 pixels; "strong" turns by up to 15, shifts by up to 3, scales
    by a tenth and slants by up to 8 degrees; "none" is None. The background is 0: apply it before normalising.

    >>> digit_augmentation("light")
    RandomAffine(degrees=(-8, 8), translate=(0.08, 0.08), interpolation='bilinear')
    """
    if level == "none":
        return None
    if level == "light":
        return RandomAffine(8, translate=(0.08, 0.08), interpolation="bilinear")
    if level == "strong":
        return RandomAffine(15, translate=(0.11, 0.11), scale=(0.9, 1.1), shear=8, interpolation="bilinear")
    raise ValueError(f"level: expected 'none', 'light' or 'strong', got {level!r}")


def _between(limits: Sequence[float], u: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * u


def _symmetric(name: str, value: float | Sequence[float], lengths: tuple[int, ...] = (2,)) -> tuple[float, ...]:
    """A number d as (-d, d); (low, high) as it is."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive, got {value}; or give (low, high)")
        return (-value, value)
    if len(value) not in lengths:
        raise ValueError(f"{name}: expected a number or {' or '.join(map(str, lengths))} of them, got {value!r}")
    return tuple(value)


def _padding_sides(padding: int | Sequence[int] | None) -> tuple[int, int, int, int]:
    """left, top, right, bottom"""
    if padding is None:
        return (0, 0, 0, 0)
    sides = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(sides) not in (1, 2, 4) or any(not isinstance(side, int) or side < 0 for side in sides):
        raise ValueError(f"padding: expected 1, 2 or 4 integers of at least 0, got {padding!r}")
    left, top, right, bottom = sides * (4 // len(sides))
    return left, top, right, bottom
