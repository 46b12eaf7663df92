"""MNIST, Fashion-MNIST, KMNIST and the 10,000 digits inside the package, as torchvision's classes.

Files are looked for, in this order: in ``root`` (there, in ``root/MNIST`` and in ``root/MNIST/raw``, plain or
gzipped), in the user's cache, in the system's folder (Debian's package dataset-fashion-mnist); only then, and only
when asked, they are downloaded. What is found is checked by shape and content: the same images compressed anew have
another hash.

Read next: `idx.py` for the file format, `nist.py` for EMNIST and QMNIST, `downloads.py`, and `catalogue.py`, which opens
these for training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minicnn.autograd import Tensor

from .arrays import check_labels
from .downloads import datasets_folder, download, mirror_urls
from .errors import DatasetError, DatasetNotFoundError
from .idx import read_idx
from .labelled_images import LabelledImages

_MAX_BYTES = 1 << 30  # MNIST's training images take 47 MB, EMNIST's largest set 547 MB
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


class MNIST(LabelledImages):
    """Handwritten digits (LeCun, Cortes and Burges): 60,000 to train with and 10,000 to test, 28 x 28, in ten classes.

    Item i is (image, label): a PIL image of mode "L", or what ``transform`` makes of it, and an int.

    Parameters
    ----------
    root : a folder with the files, or where torchvision put them; None looks into the cache and the system alone.
    train : the training set, or the test set.
    transform, target_transform : applied to image and label when an item is fetched.
    download : fetch the files if they are nowhere, into ``root/MNIST/raw``, or into the cache where root is None.

    Attributes
    ----------
    data : (n, 28, 28) uint8 tensor. targets : (n,) int64 tensor. classes : names. class_to_idx : name -> label.
    source : the folder the files were read from.

    Raises
    ------
    DatasetNotFoundError : the files are nowhere; the message says where they were looked for and what to do.
    DownloadError : no mirror delivered. DatasetError : a file is not what it should be.
    """

    name: ClassVar[str] = "mnist"
    classes: ClassVar[list[str]] = [f"{digit} - {word}" for digit, word in enumerate(_DIGITS)]
    mirrors: ClassVar[list[str]] = [
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    ]
    # MD5s as torchvision publishes them: against broken transfers only.
    resources: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
    }
    system_folders: ClassVar[list[str]] = []
    remedy: ClassVar[str] = ""

    @property
    def raw_folder(self) -> Path:
        """Where a download goes."""
        if self.root is None:
            return datasets_folder() / self.name
        return self.root / type(self).__name__ / "raw"

    @property
    def _files(self) -> IDXPair:
        """The files of this split."""
        return idx_pair(self.train)

    @property
    def _downloads(self) -> dict[str, str]:
        """What is to be fetched for this split, with its MD5."""
        return {file: md5 for file, md5 in self.resources.items() if file.partition(".")[0] in self._files}

    def _read(self) -> None:
        images, labels = read_idx_pair(self.source, self._files, len(self.classes), size=(28, 28))
        self.data, self.targets = Tensor(images), Tensor(labels)

    def _item(self, index: Any) -> tuple[np.ndarray, int]:
        return self.data._array[index], int(self.targets._array[index])

    def _items(self, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.data._array[where][:, None], self.targets._array[where]  # (n, h, w) -> (k, 1, h, w)

    def _locate(self, may_download: bool) -> Path:
        """The folder that has both files of this split."""
        places = []
        if self.root is not None:
            places += [self.root, self.root / type(self).__name__, self.root / type(self).__name__ / "raw"]
        places += [datasets_folder() / self.name, *map(Path, self.system_folders)]
        found = self._look(places)
        if found is not None:
            return found
        wanted = self._downloads
        by_hand = (
            f"Without a network: get {' and '.join(wanted)} of {self.mirrors[0]} elsewhere and put "
            f"{'them' if len(wanted) > 1 else 'it'} into {self.raw_folder}, or into a folder of your own that you name as "
            f"root.{self.remedy}"
        )
        if not may_download:
            looked = "".join(f"\n  {place}" for place in places)
            raise DatasetNotFoundError(
                f"{self.name}: {self._sought} not found (gzipped or not) in{looked}\n"
                f"Pass download=True to fetch them. {by_hand}"
            )
        for file, md5 in wanted.items():
            download(mirror_urls(self.name, file, self.mirrors), md5, self.raw_folder / file, advice=by_hand)
        found = self._look([self.raw_folder])
        assert found is not None
        return found

    @property
    def _sought(self) -> str:
        return " and ".join(self._downloads)

    def _look(self, places: Sequence[Path]) -> Path | None:
        """The first of these folders that has both files."""
        return next((place for place in places if has_idx_pair(place, self._files)), None)


class FashionMNIST(MNIST):
    """Zalando's article images (Xiao, Rasul and Vollgraf 2017), in MNIST's format: 60,000 and 10,000 in ten classes.

    Parameters, attributes and errors as for `MNIST`.
    """

    name = "fashion-mnist"
    classes: ClassVar[list[str]] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]
    mirrors: ClassVar[list[str]] = [
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ]
    resources: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
    }
    system_folders: ClassVar[list[str]] = ["/usr/share/datasets/fashion-mnist"]
    remedy = " On Debian and Ubuntu the package dataset-fashion-mnist installs them."


class KMNIST(MNIST):
    """Kuzushiji, cursive Japanese characters (Clanuwat et al. 2018), in MNIST's format: 60,000 and 10,000 in ten classes.

    Parameters, attributes and errors as for `MNIST`.
    """

    name = "kmnist"
    classes: ClassVar[list[str]] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
    mirrors: ClassVar[list[str]] = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources: ClassVar[dict[str, str]] = {
        "train-images-idx3-ubyte.gz": "bdb82020997e1d708af4cf47b453dcf7",
        "train-labels-idx1-ubyte.gz": "e144d726b3acfaa3e44228e80efcd344",
        "t10k-images-idx3-ubyte.gz": "5c965bf0a639b31b8f53240b1b52f4d7",
        "t10k-labels-idx1-ubyte.gz": "7320c461ea6c1c855c0b718fb2a4b134",
    }


class MNIST10k(MNIST):
    """The 10,000 real MNIST digits that minicnn carries with it: 8,300 to train with and 1,700 to test.

    The split is this package's own, so scores are not comparable to published ones; see ``mnist10k/README.md``.

    >>> data = MNIST10k(train=False)
    >>> len(data), data.data.shape, data.targets[:5].tolist()
    (1700, minicnn.Size([1700, 28, 28]), [...])
    """

    name = "mnist10k"

    def __init__(
        self,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ):
        super().__init__(None, train, transform, target_transform, download=False)

    def _locate(self, may_download: bool) -> Path:
        return Path(__file__).with_name("mnist10k")


IDXPair = tuple[str, str]  # the names of the files of images and of labels, without .gz


def idx_pair(train: bool) -> IDXPair:
    """MNIST's own names."""
    part = "train" if train else "t10k"
    return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"


def has_idx_pair(folder: Path, files: IDXPair) -> bool:
    """Whether ``folder`` has both files, gzipped or not."""
    return all(_find(folder, file) is not None for file in files)


def read_idx_pair(
    folder: Path, files: IDXPair, n_classes: int | None, size: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, h, w) uint8 and labels (n,) or (n, k) int64 of one split in ``folder``, checked against each other.

    Parameters
    ----------
    n_classes : labels must be below it; None allows all. size : what the images must measure; None allows all.
    """
    images_path, labels_path = (_find(folder, file) for file in files)
    assert images_path is not None
    assert labels_path is not None
    images = read_idx(images_path, ndim=3, dtype=np.uint8, max_bytes=_MAX_BYTES)
    several = files[1].endswith("idx2-int")  # QMNIST's: the class, and where the digit comes from
    labels = read_idx(
        labels_path, ndim=2 if several else 1, dtype=np.int32 if several else np.uint8, max_bytes=_MAX_BYTES
    ).astype(np.int64)
    if len(images) == 0:
        raise DatasetError(f"{images_path}: holds no images")
    if size is not None and images.shape[1:] != size:
        raise DatasetError(f"{images_path}: images of {images.shape[1:]} pixels, expected {size}")
    if len(images) != len(labels):
        raise DatasetError(
            f"{labels_path}: {len(labels)} labels, but {len(images)} images in {images_path.name}; "
            "do the two files belong together?"
        )
    if several and labels.shape[1] < 1:
        raise DatasetError(f"{labels_path}: rows of no numbers, expected the class in the first of 8")
    if n_classes is not None:
        check_labels(labels[:, 0] if several else labels, n_classes, str(labels_path))
    return images, labels


def _find(folder: Path, file: str) -> Path | None:
    """MNIST's own file name, or the variant with a dot that unpacking tools make; compressed or not."""
    for name in (file, file.replace("-idx", ".idx")):
        for suffix in (".gz", ".xz", ""):
            path = folder / (name + suffix)
            if path.is_file():
                return path
    return None
