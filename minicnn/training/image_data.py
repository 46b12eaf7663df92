"""The images to fine-tune with: found, divided, looked at, and what they go through on their way to a batch.

Who uses them: ``finetuning.py``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..data import DatasetError, ImageFiles, ImageReadError, pil_loader
from ..data.divided_folder import divide_folder
from ..data.image_folder import try_all
from ..data.transforms import (
    Compose,
    ImageClassification,
    Normalize,
    RandomHorizontalFlip,
    RandomResizedCrop,
    ToTensor,
)
from .config import FinetuneConfig

SMALLEST_CROP = 0.5  # of an image's area; photographs of things mostly show the thing in the middle, and large
OnProgress = Callable[[str, int, int], None]  # what is done, how many are done, of how many


@dataclass
class ImageData:
    """The images to fine-tune with.

    Attributes
    ----------
    name, source : of the folder, and how it was divided. classes : names, in order.
    train, test : data sets of (image, label), images as tensors (3, h, w) once ``prepare`` has set their transforms.
    skipped : (path, reason) of images that were left out. preprocess : how images are prepared to be judged.
    """

    name: str
    train: ImageFiles
    test: ImageFiles
    classes: tuple[str, ...]
    source: str
    skipped: list[tuple[str, str]] = field(default_factory=list)
    preprocess: ImageClassification | None = None

    def describe(self) -> dict[str, Any]:
        """What a run's files say of its data."""
        assert self.preprocess is not None, "set by prepare"
        names = hashlib.blake2b(digest_size=8)
        for part in (self.train, self.test):
            for path, label in part.samples:
                names.update(f"{label}/{Path(path).name}\0".encode(errors="surrogateescape"))
        return {
            "name": self.name,
            "classes": list(self.classes),
            "preprocess": self.preprocess.settings,
            "train_size": len(self.train),
            "test_size": len(self.test),
            "files": names.hexdigest(),
        }

    def pictures(self, places: Iterable[int]) -> list[np.ndarray]:
        """Some of the images to judge by, small: (h, w, 3) uint8 each."""
        found = []
        for place in places:
            image = pil_loader(self.test.samples[place][0])
            image.thumbnail((128, 128))
            found.append(np.asarray(image))
        return found


def open_images(config: FinetuneConfig, on_progress: OnProgress | None = None) -> ImageData:
    """The images of a configuration. Every file is opened once, so that one that cannot be read shows now.

    Raises
    ------
    DatasetError : folders that are not what they should be, a single class, a class to judge by that is not trained.
    ImageReadError : a file that is no image, unless ``skip_bad_images``; the message names it.
    """
    parts = divide_folder(config.data, config.validation, config.val_split)
    if len(parts.classes) < 2:
        raise DatasetError(
            f"{parts.train_root}: one class only, {parts.classes[0]}; there is nothing to tell apart. Expected two folders "
            "of images or more: root/cat/1.png, root/dog/2.jpg"
        )
    look = _Reader(len(parts.train) + len(parts.test), config.skip_bad_images, on_progress)
    train, test = (ImageFiles(look.readable(samples), parts.classes) for samples in (parts.train, parts.test))
    missing = set(range(len(parts.classes))) - set(train.targets)
    if missing:
        folder = parts.train_root / parts.classes[min(missing)]
        raise DatasetError(f"{folder}: no readable image of this class to train with")
    if not len(test):
        raise DatasetError(
            f"{config.data}: no image is left to judge by; put some into {Path(config.data) / 'val'}/CLASS, or add more"
        )
    if parts.test_root is None:
        source = f"{len(test):,} of {len(train) + len(test):,} images set aside, the same part of each class"
    else:
        source = f"judged by those in {parts.test_root}"
    return ImageData(Path(config.data).resolve().name, train, test, tuple(parts.classes), source, look.skipped)


def open_test_images(config: FinetuneConfig, folder: str | None = None) -> tuple[ImageFiles, str]:
    """The images to judge a finished run by, and the name of their folder: the run's own, or those of another one.

    Parameters
    ----------
    folder : its test/ or val/ where it has one, else all of its images.

    Raises
    ------
    DatasetError, ImageReadError : as in :func:`open_images`.
    """
    if folder is None:
        parts = divide_folder(config.data, config.validation, config.val_split)
        samples, name = parts.test, config.data if config.validation is None else config.validation
    else:
        parts, name = divide_folder(folder), folder
        samples = parts.test if parts.test_root is not None else [*parts.train, *parts.test]
    look = _Reader(len(samples), config.skip_bad_images, None)
    return ImageFiles(look.readable(samples), parts.classes), Path(name).resolve().name


class _Reader:
    """Opens files to see that they are images."""

    def __init__(self, total: int, skip: bool, on_progress: OnProgress | None):
        self.total, self.skip, self.on_progress = total, skip, on_progress
        self.done = 0
        self.skipped: list[tuple[str, str]] = []

    def readable(self, samples: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """Those that can be read; the others are noted, or the first of them is an error."""
        kept = []
        for sample, reason in zip(samples, try_all(pil_loader, samples), strict=True):
            if reason is None:
                kept.append(sample)
            elif self.skip:
                self.skipped.append((sample[0], reason))
            else:
                raise ImageReadError(reason)
            self.done += 1
            if self.on_progress is not None:
                self.on_progress("looking at the images", self.done, self.total)
        return kept


def augmentation(preprocess: ImageClassification, flip: bool = True) -> Compose:
    """What training images go through: a random part of at least half the area, resized; mirrored or not; normalised.

    >>> augmentation(ImageClassification(crop_size=96), flip=False)
    Compose(
        RandomResizedCrop(size=(96, 96), ...
        ToTensor()
        Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    )
    """
    crop = RandomResizedCrop(preprocess.crop_size, (SMALLEST_CROP, 1.0), interpolation=preprocess.interpolation)
    mirror = [RandomHorizontalFlip()] if flip else []
    return Compose([crop, *mirror, ToTensor(), Normalize(preprocess.mean, preprocess.std)])
