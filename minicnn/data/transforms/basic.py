"""From images to normalised tensors: Compose, ToTensor, Normalize, LinearTransformation, Lambda.

Read next: `random_geometry.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from .batched import Batched, chain
from .random_transform import in_turn


class Compose:
    """Applies transforms one after the other.

    >>> import numpy as np
    >>> Compose([ToTensor(), Normalize(0.5, 0.5)])(np.array([[0, 255]], np.uint8))
    tensor([[[-1., 1.]]])
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]]):
        self.transforms = transforms

    def __call__(self, *inputs: Any) -> Any:
        return in_turn(self.transforms, inputs)

    @property
    def batch(self) -> Batched | None:
        """All of them on a batch at once, or None if one cannot."""
        return chain(self.transforms)

    def __repr__(self) -> str:
        return "\n".join(["Compose(", *(f"    {transform}" for transform in self.transforms), ")"])


class ToTensor:
    """A PIL image or an ndarray (h, w) or (h, w, c) -> a tensor (c, h, w).

    8-bit values become float32 in 0..1, value / 255, and so do black-and-white PIL images; other dtypes are kept.

    Raises
    ------
    TypeError : neither an image nor an array. ValueError : an array that is not 2- or 3-dimensional.

    >>> import numpy as np
    >>> ToTensor()(np.array([[0, 51, 255]], np.uint8))
    tensor([[[0.0000, 0.2000, 1.0000]]])
    """

    def __call__(self, image: Any) -> Tensor:
        if not isinstance(image, np.ndarray):
            image = _pil_to_array(image)
        if image.ndim not in (2, 3):
            raise ValueError(f"image: expected an array (h, w) or (h, w, c), got shape {image.shape}")
        # (h, w) -> (1, h, w), (h, w, c) -> (c, h, w)
        planes = image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)
        if planes.dtype == np.uint8:
            return Tensor(scale_to_unit(planes))
        return Tensor(np.array(planes, order="C"))  # a copy: the tensor must not change with the image

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    """(x - mean) / std, channel by channel, for float tensors (..., c, h, w).

    Parameters
    ----------
    mean, std : one number for all channels, or one a channel.
    inplace : write into the tensor that comes in.

    Raises
    ------
    TypeError : not a float tensor.
    ValueError : a std of zero, fewer than three dimensions, or another number of channels.

    >>> import minicnn as mc
    >>> Normalize(mean=[1.0], std=[2.0])(mc.tensor([[[1.0, 5.0]]]))
    tensor([[[0., 2.]]])
    """

    def __init__(self, mean: float | Sequence[float], std: float | Sequence[float], inplace: bool = False):
        self.mean = mean
        self.std = std
        self.inplace = inplace
        self._mean = np.atleast_1d(np.asarray(mean, dtype=np.float64))
        self._std = np.atleast_1d(np.asarray(std, dtype=np.float64))
        if self._mean.ndim != 1 or self._std.ndim != 1:
            raise ValueError(f"mean, std: expected a number or one a channel, got {mean!r} and {std!r}")
        if not (self._std > 0).all():
            raise ValueError(f"std: expected numbers above 0, got {std!r}: division by zero")

    def __call__(self, tensor: Tensor) -> Tensor:
        if not isinstance(tensor, Tensor):
            raise TypeError(f"Normalize: expected a tensor, got {type(tensor).__name__}; put ToTensor() before it")
        if not tensor.dtype.is_floating_point:
            raise TypeError(f"Normalize: expected a float tensor, got {tensor.dtype}; put ToTensor() before it")
        result = self._normalised(tensor._array)
        if not self.inplace:
            return Tensor(result)
        tensor._array[...] = result
        tensor._bump_version()
        return tensor

    def batch(self, images: np.ndarray, generators: Sequence[Generator]) -> np.ndarray:
        """(n, c, h, w) -> (n, c, h, w)"""
        return self._normalised(images)

    def _normalised(self, x: np.ndarray) -> np.ndarray:
        if x.ndim < 3:
            raise ValueError(f"Normalize: expected a tensor (..., c, h, w), got shape {x.shape}")
        for name, values in (("mean", self._mean), ("std", self._std)):
            if len(values) not in (1, x.shape[-3]):
                raise ValueError(f"{name}: {len(values)} values for {x.shape[-3]} channels of a tensor {x.shape}")
        # (c,) -> (c, 1, 1), and the arithmetic in x's own dtype, as torchvision does it
        mean, std = (values.astype(x.dtype)[:, None, None] for values in (self._mean, self._std))
        result = x - mean
        result /= std
        return result

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


class LinearTransformation:
    """(x - mean_vector) times a matrix, x being all numbers of a tensor (..., c, h, w) in a row: whitening.

    Parameters
    ----------
    transformation_matrix : (d, d) float tensor, d = c h w.
    mean_vector : (d,) float tensor.

    Raises
    ------
    ValueError : shapes other than those. TypeError : something that is no tensor.

    >>> import minicnn as mc
    >>> LinearTransformation(2 * mc.eye(2), mc.ones(2))(mc.tensor([[[1.0, 3.0]]]))
    tensor([[[0., 4.]]])
    """

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor):
        matrix, mean = transformation_matrix, mean_vector
        for name, value in (("transformation_matrix", matrix), ("mean_vector", mean)):
            if not isinstance(value, Tensor):
                raise TypeError(f"{name}: expected a tensor, got {type(value).__name__}")
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"transformation_matrix should be square. Got {tuple(matrix.shape)} rectangular matrix.")
        if tuple(mean.shape) != tuple(matrix.shape[:1]):
            raise ValueError(
                f"mean_vector should have the same length {tuple(mean.shape)} as any one of the dimensions of the "
                f"transformation_matrix [{tuple(matrix.shape)}]"
            )
        self.transformation_matrix, self.mean_vector = matrix, mean

    def __call__(self, tensor: Tensor) -> Tensor:
        return Tensor(self._applied(tensor._array))

    def batch(self, images: np.ndarray, generators: Sequence[Generator]) -> np.ndarray:
        """(n, c, h, w) -> (n, c, h, w), one by one: a product of many rows adds in another order."""
        return np.stack([self._applied(image) for image in images]) if len(images) else images

    def _applied(self, x: np.ndarray) -> np.ndarray:
        n = len(self.mean_vector)
        if x.ndim < 3 or x.shape[-3] * x.shape[-2] * x.shape[-1] != n:
            raise ValueError(
                f"Input tensor and transformation matrix have incompatible shape: {tuple(x.shape)} and {n} numbers "
                "in an image (..., c, h, w)"
            )
        centred = x.reshape(-1, n) - self.mean_vector._array
        return (centred @ self.transformation_matrix._array.astype(centred.dtype)).reshape(x.shape)

    def __repr__(self) -> str:
        matrix, mean = self.transformation_matrix.tolist(), self.mean_vector.tolist()
        return f"LinearTransformation(transformation_matrix={matrix}, mean_vector={mean})"


class Lambda:
    """A function of your own as a transform. For random ones, draw from :func:`minicnn.data.sample_generator`."""

    def __init__(self, lambd: Callable[[Any], Any]):
        if not callable(lambd):
            raise TypeError(f"lambd: expected a function, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, image: Any) -> Any:
        return self.lambd(image)

    def __repr__(self) -> str:
        return "Lambda()"


def scale_to_unit(pixels: np.ndarray) -> np.ndarray:
    """uint8 -> float32 in 0..1, C-contiguous: value / 255, rounded once."""
    return np.divide(pixels, np.float32(255), dtype=np.float32, order="C")


def _pil_to_array(image: Any) -> np.ndarray:
    """(h, w) or (h, w, c), uint8 for images of 8 bits and less."""
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise TypeError(f"image: expected a PIL image or an ndarray, got {type(image).__name__}")
    if image.mode == "1":
        return np.asarray(image, dtype=np.uint8) * np.uint8(255)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.int16)  # as torchvision, which has no unsigned 16-bit tensor either
    return np.asarray(image)
