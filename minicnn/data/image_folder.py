"""ImageFolder: a folder of class-named folders of images, as torchvision's.

    root/cat/1.png  root/cat/2.jpg  root/dog/3.png      classes: cat 0, dog 1, in alphabetical order

Read next: `catalogue.py`, which turns such a folder into arrays for small images.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .dataset import Dataset
from .errors import DatasetNotFoundError, ImageReadError
from .images import IMAGE_EXTENSIONS, pil_loader

_LAYOUT = "expected one folder a class with images in it: root/cat/1.png, root/dog/2.jpg"


class ImageFiles(Dataset[tuple[Any, Any]]):
    """Item i is (image, label): what ``loader`` and ``transform`` make of the i-th file, and its class's number.

    Parameters
    ----------
    samples : (path, label) of each image.
    classes : names, in the order of the labels.
    transform, target_transform : applied to image and label when an item is fetched.
    loader : path -> image; None opens a PIL image of mode "RGB".

    Raises
    ------
    ImageReadError : when an item is fetched whose file is no readable image.
    """

    def __init__(
        self,
        samples: Sequence[tuple[str, int]],
        classes: Sequence[str],
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] | None = None,
    ):
        self.transform = transform
        self.target_transform = target_transform
        self.loader = loader or pil_loader
        self.classes = list(classes)
        self.samples = list(samples)
        self.targets = [label for _, label in self.samples]

    @property
    def imgs(self) -> list[tuple[str, int]]:
        """torchvision's other name for ``samples``."""
        return self.samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        path, target = self.samples[index]
        image = self.loader(path)
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} images in {len(self.classes)} classes)"


class ImageFolder(ImageFiles):
    """Item i is (image, label): what ``loader`` and ``transform`` make of the file, and its class's number.

    Hidden files and folders (.name) are ignored; folders below a class's are searched too.

    Parameters
    ----------
    root : the folder of class folders.
    transform, target_transform : applied to image and label when an item is fetched.
    loader : path -> image; None opens a PIL image of mode "RGB".
    is_valid_file : path -> bool, instead of the extensions .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp.
    allow_empty : accept a class folder without images.
    on_error : "raise" raises `ImageReadError` when an unreadable image is fetched; "skip" opens every image at once,
        here, leaves unreadable ones out, lists them in ``skipped`` and warns with their number.

    Attributes
    ----------
    classes : names, sorted. class_to_idx : name -> label. samples (imgs) : [(path, label)]. targets : [label].
    skipped : [(path, reason)].

    Raises
    ------
    DatasetNotFoundError : (a FileNotFoundError) no such folder, no class folders, or a class without images.
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
        *,
        on_error: str = "raise",
    ):
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error: expected 'raise' or 'skip', got {on_error!r}")
        self.root = os.fspath(root)
        classes, self.class_to_idx = self.find_classes(self.root)
        samples = find_images(root, self.class_to_idx, is_valid_file, allow_empty)
        super().__init__(samples, classes, transform, target_transform, loader)
        self.skipped: list[tuple[str, str]] = []
        if on_error == "skip":
            self._leave_out_unreadable()

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        try:
            return super().__getitem__(index)
        except ImageReadError as error:
            error.add_note("ImageFolder(..., on_error='skip') leaves such files out and counts them")
            raise

    def find_classes(self, directory: str | os.PathLike[str]) -> tuple[list[str], dict[str, int]]:
        """:func:`find_classes`; a subclass may choose or number them otherwise: the folders' names, and each one's label."""
        return find_classes(directory)

    def _leave_out_unreadable(self) -> None:
        readable = []
        for sample, reason in zip(self.samples, try_all(self.loader, self.samples), strict=True):
            if reason is None:
                readable.append(sample)
            else:
                self.skipped.append((sample[0], reason))
        if self.skipped:
            warnings.warn(
                f"{self.root}: {len(self.skipped)} of {len(self.samples)} images are unreadable and left out; "
                f"the first: {self.skipped[0][1]}",
                stacklevel=3,
            )
        if not readable:
            raise DatasetNotFoundError(f"{self.root}: none of its {len(self.samples)} images can be read")
        self.samples = readable
        self.targets = [label for _, label in readable]

    def __repr__(self) -> str:
        return f"ImageFolder({len(self)} images in {len(self.classes)} classes, from {self.root})"


def find_classes(root: str | os.PathLike[str]) -> tuple[list[str], dict[str, int]]:
    """The class folders of ``root``, sorted by name, and each one's number.

    Raises
    ------
    DatasetNotFoundError : ``root`` is no folder, or has none in it.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise DatasetNotFoundError(f"{folder}: no such folder; {_LAYOUT}")
    classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DatasetNotFoundError(f"{folder}: couldn't find any class folder; {_LAYOUT}")
    return classes, {name: label for label, name in enumerate(classes)}


def find_images(
    root: str | os.PathLike[str],
    classes: Sequence[str] | Mapping[str, int],
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """(path, label) of every image below ``root/class``, class by class, each in alphabetical order.

    Labels are the classes' places, or what a mapping says.

    Links to folders are followed, but no folder is entered twice for one class, so that links in a circle end.

    Raises
    ------
    DatasetNotFoundError : a class has no image, unless ``allow_empty``.
    """
    valid = is_valid_file or _has_image_extension
    samples: list[tuple[str, int]] = []
    empty = []
    labels = sorted(classes.items()) if isinstance(classes, Mapping) else [(name, i) for i, name in enumerate(classes)]
    for name, label in labels:
        before = len(samples)
        for folder, files in sorted(_walk(os.path.join(root, name))):
            paths = (os.path.join(folder, file) for file in sorted(files) if not file.startswith("."))
            samples += [(path, label) for path in paths if valid(path)]
        if len(samples) == before:
            empty.append(name)
    if empty and not allow_empty:
        endings = "" if is_valid_file else f" Supported extensions are: {', '.join(IMAGE_EXTENSIONS)}."
        raise DatasetNotFoundError(
            f"{os.fspath(root)}: found no valid file for the classes {', '.join(empty)}; {_LAYOUT}.{endings}"
        )
    return samples


def _walk(top: str) -> Iterator[tuple[str, list[str]]]:
    """(folder, its files) for ``top`` and the visible folders below it, each real folder once."""
    entered = {os.path.realpath(top)}
    for folder, subfolders, files in os.walk(top, followlinks=True):
        yield folder, files
        below = []
        for name in sorted(subfolders):
            real = os.path.realpath(os.path.join(folder, name))
            if not name.startswith(".") and real not in entered:
                entered.add(real)
                below.append(name)
        subfolders[:] = below  # what os.walk goes on with


def _has_image_extension(path: str) -> bool:
    return path.lower().endswith(IMAGE_EXTENSIONS)


def try_all(loader: Callable[[str], Any], samples: Sequence[tuple[str, int]]) -> Iterator[str | None]:
    """For each sample, in order, None or why its file cannot be read."""

    def problem(sample: tuple[str, int]) -> str | None:
        try:
            loader(sample[0])
        except (ImageReadError, OSError) as error:  # not what a loader's own bug may raise
            return str(error)
        return None

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(problem, samples)
