"""Opens a data set by name or folder, ready to train on: `open_dataset`, behind ``minicnn train --data``.

    mnist10k                 the digits in the package
    mnist, fashion-mnist,
    kmnist, qmnist,
    emnist-balanced ...,
    cifar10, cifar100        found on this machine, or downloaded
    a folder                 with MNIST's IDX files; or class-named folders of images, which are read as small grey
                             pictures, from its train/ and test/ (or val/) where it has them, else split

Read next: `arrays.py` for what comes back.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import ImageArrayDataset, pixel_statistics
from .cifar import CIFAR10, CIFAR100
from .divided_folder import divide_folder
from .errors import DatasetError, DatasetNotFoundError, ImageReadError
from .images import read_grey
from .labelled_images import LabelledImages
from .mnist import KMNIST, MNIST, FashionMNIST, MNIST10k, has_idx_pair, idx_pair, read_idx_pair
from .nist import EMNIST, QMNIST

_NAMED: dict[str, Callable[..., LabelledImages]] = {
    "mnist": MNIST,
    "fashion-mnist": FashionMNIST,
    "kmnist": KMNIST,
    "qmnist": QMNIST,
    **{f"emnist-{split}": partial(EMNIST, split=split) for split in EMNIST.splits},
    "cifar10": CIFAR10,
    "cifar100": CIFAR100,
}
DATASET_NAMES = ("mnist10k", *_NAMED)
Statistic = float | tuple[float, ...]  # of grey pixels, or of each channel's


@dataclass(frozen=True)
class DatasetPair:
    """A training and a test set that belong together."""

    name: str
    train: ImageArrayDataset
    test: ImageArrayDataset
    classes: tuple[str, ...]
    mean: Statistic  # of the training pixels, scaled to 0..1
    std: Statistic
    source: str  # where the files were, and how they were divided
    skipped: tuple[tuple[str, str], ...] = field(default=())  # (path, reason) of images left out

    def describe(self) -> dict[str, Any]:
        """What a run's files say of its data."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "mean": _plain(self.mean),
            "std": _plain(self.std),
            "train_size": len(self.train),
            "test_size": len(self.test),
        }


def _plain(value: Statistic) -> float | list[float]:
    """As JSON has it."""
    return list(value) if isinstance(value, tuple) else value


def dataset_name(spec: str) -> str | None:
    """The name of :data:`DATASET_NAMES` that ``spec`` is, or is another way of writing; None where it is none.

    >>> dataset_name("FashionMNIST"), dataset_name("cifar-10"), dataset_name("mnits")
    ('fashion-mnist', 'cifar10', None)
    """

    def bare(name: str) -> str:
        return name.lower().replace("-", "").replace("_", "")

    return next((name for name in DATASET_NAMES if bare(name) == bare(spec)), None)


def open_dataset(
    spec: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    download: bool = True,
    on_bad_image: str = "raise",
    image_size: tuple[int, int] = (28, 28),
) -> DatasetPair:
    """Open ``spec`` as two in-memory sets of small images, normalised by the training set's mean and deviation.

    They are grey, but for CIFAR's, which are in colour and normalised channel by channel.

    Parameters
    ----------
    spec : "mnist10k", "mnist", "fashion-mnist", "kmnist", "qmnist", "emnist-" and a split of `EMNIST`'s, "cifar10",
        "cifar100", in capitals or with other dashes too; or a folder (write ./mnist for a folder of that name). EMNIST's
        images are turned upright.
    root : for the named sets: a folder that may hold the files.
    download : for the named sets: fetch what is nowhere on this machine.
    on_bad_image : for folders of images: "raise" at an unreadable image, or "skip" it; ``skipped`` lists those.
    image_size : for folders of images: what they are resized to, (h, w).

    A folder of class-named folders without a test set is split: of each class, every fifth image goes to the test set,
    chosen by a hash of its name. The split is the same on every machine, whatever the seed.

    Raises
    ------
    DatasetNotFoundError : no such name or folder, a folder without images, files that are nowhere.
    DatasetError : files, images or labels that are not what they should be.

    >>> pair = open_dataset("mnist10k")
    >>> len(pair.train), len(pair.test), round(pair.mean, 5), round(pair.std, 5)
    (8300, 1700, 0.13112, 0.30868)
    """
    if on_bad_image not in ("raise", "skip"):
        raise ValueError(f"on_bad_image: expected 'raise' or 'skip', got {on_bad_image!r}")
    name = os.fspath(spec)
    folder = Path(os.path.expanduser(name))  # Path.expanduser raises for a user that there is not
    known = name if name in DATASET_NAMES else None if folder.is_dir() else dataset_name(name)
    if known == "mnist10k":
        return _named(known, MNIST10k(train=True), MNIST10k(train=False))
    if known is not None:
        parts = [_NAMED[known](root, train=train, download=download) for train in (True, False)]
        return _named(known, *parts)
    if not folder.is_dir():
        begun = [known for known in DATASET_NAMES if name and known.startswith(name.lower())]
        close = begun or difflib.get_close_matches(name, DATASET_NAMES, n=1)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise DatasetNotFoundError(f"data: expected {', '.join(DATASET_NAMES)} or a folder, got {name!r}{hint}")
    if has_idx_pair(folder, idx_pair(train=True)):
        return _idx_folder(folder)
    return _image_folder(folder, on_bad_image == "skip", image_size)


def _named(name: str, train: LabelledImages, test: LabelledImages) -> DatasetPair:
    digits = isinstance(train, (MNIST10k, QMNIST)) or type(train) is MNIST
    classes = [str(label) for label in range(10)] if digits else train.classes
    return _pair(name, _arrays(train), _arrays(test), classes, str(train.source))


def _arrays(part: LabelledImages) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, h, w) or (n, h, w, 3) uint8, upright, and labels (n,) int64."""
    images, labels = np.asarray(part.data), np.asarray(part.targets, np.int64)
    if isinstance(part, EMNIST):
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
    return images, labels if labels.ndim == 1 else labels[:, 0]


def _idx_folder(folder: Path) -> DatasetPair:
    if not has_idx_pair(folder, idx_pair(train=False)):
        raise DatasetNotFoundError(
            f"{folder}: has MNIST's training files, but not t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte "
            "(gzipped or not), the test set"
        )
    train, test = (read_idx_pair(folder, idx_pair(train), None) for train in (True, False))
    if train[0].shape[1:] != test[0].shape[1:]:
        raise DatasetError(
            f"{folder}: training images of {train[0].shape[1:]} pixels, but test images of {test[0].shape[1:]}"
        )
    classes = [str(label) for label in range(int(train[1].max()) + 1)]
    return _pair(folder.resolve().name, train, test, classes, str(folder))


def _image_folder(folder: Path, skip: bool, size: tuple[int, int]) -> DatasetPair:
    parts = divide_folder(folder)
    classes = parts.classes
    skipped: list[tuple[str, str]] = []
    arrays = [_read_all(part, skip, size, skipped) for part in (parts.train, parts.test)]
    for label, name in enumerate(classes):
        if not (arrays[0][1] == label).any():
            raise DatasetError(f"{parts.train_root / name}: no readable image of this class to train with")
    if not len(arrays[1][1]):
        raise DatasetNotFoundError(
            f"{folder}: no image to test with; put some into {folder / 'test'}/CLASS, or add more"
        )
    return _pair(folder.resolve().name, arrays[0], arrays[1], classes, parts.source, skipped)


def _read_all(
    samples: Sequence[tuple[str, int]], skip: bool, size: tuple[int, int], skipped: list[tuple[str, str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, h, w) uint8 and labels (n,) int64 of what can be read; the rest goes into ``skipped``."""

    def read(sample: tuple[str, int]) -> np.ndarray | ImageReadError:
        try:
            return read_grey(sample[0], size)
        except ImageReadError as error:
            return error

    images = np.empty((len(samples), *size), np.uint8)
    labels = np.empty(len(samples), np.int64)
    n = 0
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        for (path, label), pixels in zip(samples, pool.map(read, samples), strict=True):
            if not isinstance(pixels, ImageReadError):
                images[n], labels[n] = pixels, label
                n += 1
            elif skip:
                skipped.append((path, str(pixels)))
            else:
                raise pixels
    return images[:n], labels[:n]


def _pair(
    name: str,
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    classes: Sequence[str],
    source: str,
    skipped: Sequence[tuple[str, str]] = (),
) -> DatasetPair:
    mean, std = _statistics(train[0])
    parts = [ImageArrayDataset(*arrays, mean=mean, std=std, classes=classes) for arrays in (train, test)]
    return DatasetPair(name, parts[0], parts[1], tuple(classes), mean, std, source, tuple(skipped))


def _statistics(images: np.ndarray) -> tuple[Statistic, Statistic]:
    """Mean and deviation of (n, h, w) uint8, or of each channel of (n, h, w, c)."""
    if images.ndim == 3:
        return pixel_statistics(images)
    channels = [pixel_statistics(images[..., channel]) for channel in range(images.shape[3])]
    return tuple(mean for mean, _ in channels), tuple(std for _, std in channels)
