"""How a folder of class-named folders is divided into images to train with and images to judge by.

    root/train/cat/1.png  root/val/cat/2.png      its own division: test/, val/, valid/ or validation/ beside train/
    root/cat/1.png  root/cat/2.png                split: of each class a part is set aside

The split is a hash of the names: the same on every machine, whatever the seed. Read next: `catalogue.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .errors import DatasetError
from .image_folder import find_classes, find_images

TEST_FOLDERS = ("test", "val", "valid", "validation")
TEST_FRACTION = 0.2

Samples = list[tuple[str, int]]


class DividedFolder(NamedTuple):
    """The two parts of a folder of images.

    ``train`` and ``test`` are lists of (path, label), in an order that mixes the classes and is the same everywhere: the
    first n images are a sample of all. ``train_root`` holds the class folders; ``test_root`` the other ones,
    where the images to judge by have a folder of their own. ``source`` says how it was divided.
    """

    train: Samples
    test: Samples
    classes: list[str]
    train_root: Path
    test_root: Path | None
    source: str


def divide_folder(
    folder: str | os.PathLike[str],
    test_folder: str | os.PathLike[str] | None = None,
    fraction: float | None = None,
) -> DividedFolder:
    """The images of ``folder``, divided.

    Parameters
    ----------
    folder : of class-named folders, or with such folders in train/, and maybe in test/ or val/.
    test_folder : class-named folders of the images to judge by, instead of the folder's own.
    fraction : set this part of the training images aside, whatever other folders there are. Without it that is done, with
        a fifth, only where there is no other folder.

    Raises
    ------
    ValueError : a fraction that is not between 0 and 1, or that comes with a ``test_folder``.
    DatasetNotFoundError : no such folder, or a class without images.
    DatasetError : a class to judge by that is not among those to train with.
    """
    if fraction is not None and test_folder is not None:
        raise ValueError("fraction: sets images aside, and test_folder names others; give one of them")
    if fraction is not None and not 0 < fraction < 1:
        raise ValueError(f"fraction: expected a number between 0 and 1, got {fraction}")
    folder = Path(folder)
    train_root = folder / "train"
    if not _holds_folders(train_root):
        train_root = folder
    classes, _ = find_classes(train_root)
    samples = find_images(train_root, classes)
    named_from = folder  # what the names that decide the order are relative to
    if test_folder is not None:
        test_root: Path | None = Path(test_folder)
        named_from = Path(test_folder)
    elif fraction is None and train_root is not folder:
        test_root = next((folder / name for name in TEST_FOLDERS if _holds_folders(folder / name)), None)
    else:
        test_root = None
    if test_root is None:
        train, test = _split(train_root, samples, TEST_FRACTION if fraction is None else fraction)
        source = f"{train_root}, {len(test)} of {len(samples)} images set aside for the test"
    else:
        unknown = sorted(set(find_classes(test_root)[0]) - set(classes))
        if unknown:
            raise DatasetError(f"{test_root}: classes {', '.join(unknown)} that {train_root} does not have")
        train, test = samples, find_images(test_root, classes, allow_empty=True)
        source = f"{train_root} and {test_root}"
    train.sort(key=lambda sample: _name_hash(folder, sample[0]))
    test.sort(key=lambda sample: _name_hash(named_from, sample[0]))
    return DividedFolder(train, test, classes, train_root, test_root, source)


def _holds_folders(folder: Path) -> bool:
    """Whether ``folder`` is one part of a divided data set, and not a class that is called "train"."""
    return folder.is_dir() and any(entry.is_dir() and not entry.name.startswith(".") for entry in folder.iterdir())


def _split(root: Path, samples: Sequence[tuple[str, int]], fraction: float) -> tuple[Samples, Samples]:
    """Of each class, a part by order of the names' hashes for the test: one at least where there are two."""
    by_class: dict[int, Samples] = {}
    for sample in samples:
        by_class.setdefault(sample[1], []).append(sample)
    train, test = [], []
    for members in by_class.values():
        members = sorted(members, key=lambda sample: _name_hash(root, sample[0]))
        n_test = min(max(round(fraction * len(members)), 1), len(members) - 1)
        test += members[:n_test]
        train += members[n_test:]
    return train, test


def _name_hash(root: Path, path: str) -> bytes:
    return hashlib.blake2b(Path(path).relative_to(root).as_posix().encode(errors="surrogateescape")).digest()
