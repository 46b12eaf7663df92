"""What sets of small images share that are read as a whole: MNIST's family (`mnist.py`) and CIFAR (`cifar.py`)."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from .arrays import after_to_tensor
from .dataset import BatchGetter, Dataset, as_index_array
from .transforms.batched import Batched


class LabelledImages(Dataset[tuple[Any, Any]], ABC):
    """Images and labels in memory, with torchvision's arguments: item i is (image, label).

    A subclass says where its files are and what is in them.
    """

    classes: ClassVar[list[str]]
    data: Any
    targets: Any

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ):
        self.root = None if root is None else Path(os.path.expanduser(root))
        self.train = train
        self.transform = transform
        self.target_transform = target_transform
        self.source = self._locate(download)
        self._read()

    @abstractmethod
    def _locate(self, may_download: bool) -> Path:
        """The folder that has this split's files."""

    @abstractmethod
    def _read(self) -> None:
        """Set ``data`` and ``targets`` (and ``classes``, where the files name them)."""

    @abstractmethod
    def _item(self, index: Any) -> tuple[np.ndarray, int]:
        """One image as Pillow takes it, (h, w) or (h, w, c) uint8, and its label."""

    @abstractmethod
    def _items(self, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Some images, (k, c, h, w) uint8, and their labels, (k,) int64."""

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Class name -> label."""
        return {name: label for label, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        from PIL import Image

        pixels, target = self._item(index)
        image: Any = Image.fromarray(pixels)
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    @property
    def get_batch(self) -> BatchGetter | None:
        """Batches at once where ``transform`` has ToTensor, after crops and flips at most; None elsewhere."""
        rest = after_to_tensor(self.transform)
        if rest is None or self.target_transform is not None:
            return None
        return lambda indices, generators: self._batch(as_index_array(indices), generators, rest)

    def _batch(self, where: np.ndarray, generators: Sequence[Generator], rest: Batched) -> list[Tensor]:
        images, labels = self._items(where)
        return [Tensor(rest(images, generators)), Tensor(labels)]

    def __repr__(self) -> str:
        split = "train" if self.train else "test"
        return f"{type(self).__name__}({len(self)} images, {split} split, from {self.source})"
