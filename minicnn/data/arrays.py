"""Small images that live in memory as 8-bit arrays, and how they become batches of float tensors.

A batch is one gather; where there is a random transform, its batched form runs on the whole of it. Read next:
`catalogue.py`, which opens data sets as these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from .dataset import BatchGetter, Dataset, as_index_array
from .errors import DatasetError
from .transforms.basic import Compose, ToTensor, scale_to_unit
from .transforms.batched import Batched, batched, chain
from .transforms.cropping import RandomCrop
from .transforms.flips import RandomHorizontalFlip, RandomVerticalFlip

MOVING_PIXELS = (RandomCrop, RandomHorizontalFlip, RandomVerticalFlip)


class ImageArrayDataset(Dataset[tuple[Tensor, int]]):
    """Images in memory, grey or in colour: item i is (image (c, h, w) float32, label int), normalised.

        image = (transform(pixels / 255) - mean) / std

    Parameters
    ----------
    images : (n, h, w) or (n, h, w, c) uint8.
    labels : (n,) integers from 0 to ``len(classes) - 1``.
    transform : an augmentation of float tensors (c, h, w) in 0..1, before normalising (so that 0 is the background);
        None leaves the images as they are. May be set later.
    mean, std : of the training pixels in 0..1, one number or one a channel; see `pixel_statistics`.
    classes : names; None numbers them.

    Raises
    ------
    ValueError : shapes or dtypes other than those, a label without a class, a std of 0.

    >>> data = ImageArrayDataset(np.full((2, 1, 1), 255, np.uint8), np.array([1, 0]), mean=0.5, std=0.25)
    >>> data[0]
    (tensor([[[2.]]]), 1)
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        transform: Callable[[Tensor], Tensor] | None = None,
        *,
        mean: float | Sequence[float] = 0.0,
        std: float | Sequence[float] = 1.0,
        classes: Sequence[str] | None = None,
    ):
        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim not in (3, 4) or images.dtype != np.uint8:
            raise ValueError(f"images: expected (n, h, w) or (n, h, w, c) uint8, got {images.shape} {images.dtype}")
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise ValueError(f"labels: expected ({len(images)},) integers, got {labels.shape} {labels.dtype}")
        if classes is None:
            classes = [str(number) for number in range(int(labels.max()) + 1 if len(labels) else 0)]
        check_labels(labels, len(classes), "labels")
        # (n, h, w) -> (n, 1, h, w), (n, h, w, c) -> (n, c, h, w): a view
        self._planes = images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1)
        self._mean, self._std = (np.asarray(value, np.float32).reshape(-1, 1, 1) for value in (mean, std))
        for name, given, value in (("mean", mean, self._mean), ("std", std, self._std)):
            if len(value) not in (1, self._planes.shape[1]):
                raise ValueError(f"{name}: expected one number or {self._planes.shape[1]}, got {given!r}")
        if not (self._std > 0).all():
            raise ValueError(f"std: expected a number above 0, got {std}")
        self.images = images
        self.labels = labels.astype(np.int64)
        self.transform = transform
        self.mean, self.std = (tuple(map(float, v)) if np.ndim(v) else float(v) for v in (mean, std))  # type: ignore[arg-type]
        self.classes = tuple(classes)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: Any) -> tuple[Tensor, int]:
        image = scale_to_unit(self._planes[index])
        if self.transform is not None:
            image = self.transform(Tensor(image))._array
        return Tensor(self._normalised(image)), int(self.labels[index])

    @property
    def get_batch(self) -> BatchGetter | None:
        """The same, many at a time; None where the transform only takes single images."""
        transform = None if self.transform is None else batched(self.transform)
        if self.transform is not None and transform is None:
            return None
        return lambda indices, generators: self._batch(as_index_array(indices), generators, transform)

    def _batch(self, where: np.ndarray, generators: Sequence[Generator], transform: Batched | None) -> list[Tensor]:
        images = scale_to_unit(self._planes[where])
        if transform is not None:
            images = transform(images, generators)
        return [Tensor(self._normalised(images)), Tensor(self.labels[where])]

    def _normalised(self, x: np.ndarray) -> np.ndarray:
        result = x - self._mean
        result /= self._std
        return result


def pixel_statistics(images: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation of uint8 pixels scaled to 0..1, exactly, from how often each value occurs.

    Raises
    ------
    DatasetError : no pixels, or all of one value: there is nothing to normalise by, and nothing to learn.

    >>> pixel_statistics(np.array([0, 255], np.uint8))
    (0.5, 0.5)
    """
    counts = np.bincount(images.reshape(-1), minlength=256)
    if (counts > 0).sum() < 2:
        raise DatasetError(f"images: expected pixels of different values, got {images.size} of one; are they blank?")
    values = np.arange(256) / 255
    mean = float((counts * values).sum() / counts.sum())
    return mean, float(np.sqrt((counts * (values - mean) ** 2).sum() / counts.sum()))


def check_labels(labels: np.ndarray, n_classes: int, name: str) -> None:
    """Raises DatasetError unless every label names a class."""
    outside = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if len(outside):
        raise DatasetError(
            f"{name}: label {labels[outside[0]]} at position {outside[0]}, expected 0 to {n_classes - 1}"
        )


def after_to_tensor(transform: Any) -> Batched | None:
    """``transform`` on a whole batch of pixels (n, c, h, w) uint8, if it is ToTensor, or Compose of it and batchable ones.

    Before ToTensor may be what only moves pixels, which is the same for a PIL image and for its array.
    """
    if type(transform) is ToTensor:
        return lambda images, generators: scale_to_unit(images)
    if type(transform) is not Compose:
        return None
    steps = list(transform.transforms)
    where = next((i for i, step in enumerate(steps) if type(step) is ToTensor), None)
    if where is None or any(type(step) not in MOVING_PIXELS for step in steps[:where]):
        return None
    before, rest = chain(steps[:where]), chain(steps[where + 1 :])
    if before is None or rest is None:
        return None
    return lambda images, generators: rest(scale_to_unit(before(images, generators)), generators)
