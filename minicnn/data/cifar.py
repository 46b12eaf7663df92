"""CIFAR-10 and CIFAR-100: 60,000 colour photographs of 32 x 32 pixels, as torchvision's classes.

Files are looked for in ``root`` (there, and in the folders that the archives hold), then in the user's cache: the
official batches for Python, or the binary ones, or the archive itself, which is then unpacked beside it. Only then, and
only when asked, the archive is downloaded. What is found is checked by shape and content.

Nothing in a file is run: the pickles are read by `plain_pickle.py`, and `archives.py` unpacks. Read next: `catalogue.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .archives import unpack_tar
from .arrays import check_labels
from .downloads import datasets_folder, download, mirror_urls
from .errors import DatasetError, DatasetNotFoundError
from .labelled_images import LabelledImages
from .plain_pickle import read_plain_pickle

_PIXELS = 3 * 32 * 32
_MAX_FILE = 1 << 28  # CIFAR-100's training file takes 155 MB


class CIFAR10(LabelledImages):
    """Ten classes (Krizhevsky 2009, "Learning multiple layers of features from tiny images"): 50,000 and 10,000.

    Item i is (image, label): a PIL image of mode "RGB", or what ``transform`` makes of it, and an int.

    Parameters
    ----------
    root : a folder with the files, or where torchvision put them; None looks into the cache alone.
    train : the training set, or the test set.
    transform, target_transform : applied to image and label when an item is fetched.
    download : fetch the archive if the files are nowhere, and unpack it in ``root``, or in the cache where root is None.

    Attributes
    ----------
    data : (n, 32, 32, 3) uint8 array. targets : list of n ints. classes : names. class_to_idx : name -> label.
    source : the folder the files were read from.

    Raises
    ------
    DatasetNotFoundError : the files are nowhere; the message says where they were looked for and what to do.
    DownloadError : no mirror delivered. DatasetError : a file or an archive is not what it should be.
    """

    name: ClassVar[str] = "cifar10"
    base_folder: ClassVar[str] = "cifar-10-batches-py"
    binary_folder: ClassVar[str] = "cifar-10-batches-bin"
    filename: ClassVar[str] = "cifar-10-python.tar.gz"
    mirrors: ClassVar[list[str]] = ["https://www.cs.toronto.edu/~kriz/"]
    tgz_md5: ClassVar[str] = "c58f30108f718f92721af3b95e74349a"  # as published: against broken transfers only
    train_files: ClassVar[list[str]] = [f"data_batch_{i}" for i in range(1, 6)]
    test_files: ClassVar[list[str]] = ["test_batch"]
    meta_file: ClassVar[str] = "batches.meta"
    meta_key: ClassVar[str] = "label_names"
    labels_key: ClassVar[str] = "labels"
    binary_names: ClassVar[str] = "batches.meta.txt"
    label_bytes: ClassVar[int] = 1  # before each image of the binary files; the last of them counts
    n_classes: ClassVar[int] = 10
    # Of the training pixels in 0..1, channel by channel: what Normalize is usually given.
    mean: ClassVar[tuple[float, float, float]] = (0.4914, 0.4822, 0.4465)
    std: ClassVar[tuple[float, float, float]] = (0.2470, 0.2435, 0.2616)

    def _item(self, index: Any) -> tuple[np.ndarray, int]:
        return self.data[index], self.targets[index]

    def _items(self, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        # (n, h, w, c) -> (k, c, h, w)
        return np.moveaxis(self.data[where], 3, 1), np.array([self.targets[i] for i in where], np.int64)

    @property
    def _files(self) -> list[str]:
        return self.train_files if self.train else self.test_files

    # ---- where the files are

    def _locate(self, may_download: bool) -> Path:
        """The folder that has this split's files, unpacked or downloaded first if need be."""
        bases = [base for base in (self.root, datasets_folder() / self.name) if base is not None]
        places = [base / part for base in bases for part in ("", self.base_folder, self.binary_folder)]
        for place in places:
            if any(all((place / (file + end)).is_file() for file in self._files) for end in ("", ".bin")):
                return place
        for base in bases:
            if (base / self.filename).is_file():
                return self._unpacked(base / self.filename)
        target = bases[0] / self.filename
        by_hand = (
            f"Without a network: get {self.mirrors[0]}{self.filename} elsewhere and put it into {bases[0]}, or into a "
            "folder of your own that you name as root."
        )
        if not may_download:
            looked = "".join(f"\n  {place}" for place in places)
            raise DatasetNotFoundError(
                f"{self.name}: {' and '.join(self._files)} not found, nor {self.filename}, in{looked}\n"
                f"Pass download=True to fetch them. {by_hand}"
            )
        download(mirror_urls(self.name, self.filename, self.mirrors), self.tgz_md5, target, advice=by_hand)
        return self._unpacked(target)

    def _unpacked(self, archive: Path) -> Path:
        folder = archive.parent / self.base_folder
        wanted = [*self.train_files, *self.test_files, self.meta_file]
        unpack_tar(archive, folder, {f"{self.base_folder}/{file}": file for file in wanted})
        return folder

    # ---- what is in them

    def _read(self) -> None:
        binary = not (self.source / self._files[0]).is_file()
        self.data, labels = self._read_binary() if binary else self._read_pickles()
        self.targets = labels.tolist()
        self.classes = self._class_names(binary)  # type: ignore[misc]  # of each archive its own

    def _read_pickles(self) -> tuple[np.ndarray, np.ndarray]:
        """Images (n, 32, 32, 3) uint8 and labels (n,) int64."""
        images, labels = [], []
        for file in self._files:
            path = self.source / file
            content = read_plain_pickle(path)
            data, numbers = content.get("data"), content.get(self.labels_key)
            if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (_PIXELS,):
                found = f"{data.shape} {data.dtype}" if isinstance(data, np.ndarray) else type(data).__name__
                raise DatasetError(f"{path}: 'data' is {found}, expected an array (n, {_PIXELS}) uint8")
            if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
                raise DatasetError(f"{path}: {self.labels_key!r} is no list of whole numbers")
            images.append(data)
            labels.append(self._checked_labels(path, np.array(numbers, np.int64), len(data)))
        return _photographs(images), np.concatenate(labels)

    def _read_binary(self) -> tuple[np.ndarray, np.ndarray]:
        """The same from records of label bytes and 3072 pixels."""
        images, labels = [], []
        for file in self._files:
            path = self.source / f"{file}.bin"
            content = np.fromfile(path, np.uint8, count=_MAX_FILE)
            record = self.label_bytes + _PIXELS
            if not len(content) or len(content) % record:
                raise DatasetError(f"{path}: {path.stat().st_size} bytes, expected records of {record}")
            records = content.reshape(-1, record)
            images.append(records[:, self.label_bytes :])
            labels.append(self._checked_labels(path, records[:, self.label_bytes - 1].astype(np.int64), len(records)))
        return _photographs(images), np.concatenate(labels)

    def _checked_labels(self, path: Path, labels: np.ndarray, n: int) -> np.ndarray:
        if len(labels) != n or n == 0:
            raise DatasetError(f"{path}: {len(labels)} labels for {n} images")
        check_labels(labels, self.n_classes, str(path))
        return labels

    def _class_names(self, binary: bool) -> list[str]:
        path = self.source / (self.binary_names if binary else self.meta_file)
        if not path.is_file():
            raise DatasetError(f"{path}: there is no such file, which names the classes; get the archive anew")
        if binary:
            names: Any = path.read_text(encoding="ascii", errors="replace").split()
        else:
            names = read_plain_pickle(path).get(self.meta_key)
            if isinstance(names, list):
                names = [name.decode("latin-1") if isinstance(name, bytes) else name for name in names]
        if not isinstance(names, list) or len(names) != self.n_classes or not all(isinstance(n, str) for n in names):
            raise DatasetError(f"{path}: expected the names of {self.n_classes} classes")
        return names


class CIFAR100(CIFAR10):
    """A hundred classes, of 500 and 100 images each. Labels are the fine ones.

    Parameters, attributes and errors as for `CIFAR10`.
    """

    name = "cifar100"
    base_folder = "cifar-100-python"
    binary_folder = "cifar-100-binary"
    filename = "cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_files: ClassVar[list[str]] = ["train"]
    test_files: ClassVar[list[str]] = ["test"]
    meta_file = "meta"
    meta_key = "fine_label_names"
    labels_key = "fine_labels"
    binary_names = "fine_label_names.txt"
    label_bytes = 2  # coarse, fine
    n_classes = 100
    mean = (0.5071, 0.4865, 0.4409)
    std = (0.2673, 0.2564, 0.2762)


def _photographs(batches: Iterable[np.ndarray]) -> np.ndarray:
    """Rows of 1024 red, green and blue pixels each -> (n, 32, 32, 3), contiguous."""
    rows = np.concatenate(list(batches))
    return np.ascontiguousarray(np.moveaxis(rows.reshape(-1, 3, 32, 32), 1, 3))
