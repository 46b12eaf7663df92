"""EMNIST and QMNIST: more of NIST's handwriting, from which MNIST was taken, as torchvision's classes.

Where files are looked for, and what is checked: as for `mnist.py`.
"""

from __future__ import annotations

import os
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from minicnn.autograd import Tensor

from .archives import unpack_zip
from .mnist import MNIST, IDXPair, has_idx_pair, read_idx_pair

# Of these letters capitals and small ones look alike, and have one class in "bymerge" and "balanced".
_MERGED = set("cijklmopsuvwxyz")
_EVERY = string.digits + string.ascii_uppercase + string.ascii_lowercase
_FEWER = [character for character in _EVERY if character not in _MERGED]


class EMNIST(MNIST):
    """Handwritten digits and letters (Cohen et al. 2017, https://arxiv.org/abs/1702.05373), in MNIST's format.

    ==========  =======  ===============================================================================
    split       classes  what is in it: images to train with and to test
    ==========  =======  ===============================================================================
    byclass     62       all 697,932 and 116,323: digits, capitals, small letters
    bymerge     47       the same, with capitals and small letters that look alike in one class
    balanced    47       the same classes, with equally many images of each: 112,800 and 18,800
    letters     26       both cases in one class: 124,800 and 20,800; **labels begin at 1**, class 0 is "N/A"
    digits      10       240,000 and 40,000
    mnist       10       60,000 and 10,000: MNIST, cut out of the same pages anew
    ==========  =======  ===============================================================================

    As the files hold them, and as torchvision gives them, **images are transposed**: rows and columns are exchanged.
    Networks do not mind; for people ``image.transpose(Image.Transpose.TRANSPOSE)`` or ``tensor.mT`` turns them upright.

    Parameters
    ----------
    root, train, transform, target_transform, download : as for `MNIST`. The archive of 0.5 GB has all splits; the one
        that is asked for is unpacked.
    split : one of those above.

    Attributes and errors as for `MNIST`. ``classes`` are the split's.
    """

    name = "emnist"
    splits: ClassVar[tuple[str, ...]] = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    classes_split_dict: ClassVar[dict[str, list[str]]] = {
        "byclass": list(_EVERY),
        "bymerge": _FEWER,
        "balanced": _FEWER,
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }
    archive: ClassVar[str] = "gzip.zip"
    mirrors: ClassVar[list[str]] = ["https://biometrics.nist.gov/cs_links/EMNIST/"]
    resources: ClassVar[dict[str, str]] = {"gzip.zip": "58c8d27c78d21e728a6bc7b3cc06412e"}

    def __init__(
        self,
        root: str | os.PathLike[str] | None,
        split: str,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ):
        if split not in self.splits:
            raise ValueError(f"split: expected one of {', '.join(self.splits)}, got {split!r}")
        self.split = split
        self.classes = self.classes_split_dict[split]  # type: ignore[misc]  # of each split its own
        super().__init__(root, train, transform, target_transform, download)

    @property
    def _files(self) -> IDXPair:
        return self._pair(self.train)

    def _pair(self, train: bool) -> IDXPair:
        prefix = f"emnist-{self.split}-{'train' if train else 'test'}"
        return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"

    @property
    def _downloads(self) -> dict[str, str]:
        return self.resources

    @property
    def _sought(self) -> str:
        return f"{' and '.join(self._files)}, or {self.archive} with them,"

    def _look(self, places: Sequence[Path]) -> Path | None:
        """A folder that has both files; where only the archive is found, they are unpacked beside it."""
        inside = [folder for place in places for folder in (place, place / "gzip")]  # as the archive unpacks by hand
        found = next((folder for folder in inside if has_idx_pair(folder, self._files)), None)
        packed = next((place for place in places if (place / self.archive).is_file()), None)
        if found is not None or packed is None:
            return found
        files = [f"{file}.gz" for train in (True, False) for file in self._pair(train)]
        unpack_zip(packed / self.archive, packed, {f"gzip/{file}": file for file in files})
        return packed


class QMNIST(MNIST):
    """MNIST's digits, found again in NIST's files with who wrote them, and the 50,000 test digits that MNIST left out.

    (Yadav and Bottou 2019, https://arxiv.org/abs/1905.10498)

    ========  ======================================================================================
    what      which digits
    ========  ======================================================================================
    train     60,000, MNIST's training set, digit by digit
    test      60,000: test10k, MNIST's test set, and test50k, the others
    nist      all 402,953 of NIST's special database 19
    ========  ======================================================================================

    Parameters
    ----------
    root, transform, target_transform, download : as for `MNIST`.
    what : "train", "test", "test10k", "test50k" or "nist"; None for what ``train`` says.
    compat : whether the target is the class, an int; else all that is known of the digit, an int64 tensor (8,): class,
        NIST's series, writer, place in the writer's sheet, class by NIST, place in its files, and two that are not used.
    train : the training set, or the test set.

    Attributes and errors as for `MNIST`, but ``targets`` is (n, 8).
    """

    name = "qmnist"
    mirrors: ClassVar[list[str]] = ["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"]
    resources: ClassVar[dict[str, str]] = {
        "qmnist-train-images-idx3-ubyte.gz": "ed72d4157d28c017586c42bc6afe6370",
        "qmnist-train-labels-idx2-int.gz": "0058f8dd561b90ffdd0f734c6a30e5e4",
        "qmnist-test-images-idx3-ubyte.gz": "1394631089c404de565df7b7aeaf9412",
        "qmnist-test-labels-idx2-int.gz": "5b5b05890a5e13444e108efe57b788aa",
        "xnist-images-idx3-ubyte.xz": "7f124b3b8ab81486c9d8c2749c17f834",
        "xnist-labels-idx2-int.xz": "5ed0e788978e45d4a8bd4b7caec3d79d",
    }
    subsets: ClassVar[dict[str, str]] = {
        "train": "train",
        "test": "test",
        "test10k": "test",
        "test50k": "test",
        "nist": "nist",
    }
    _parts: ClassVar[dict[str, slice]] = {"test10k": slice(10000), "test50k": slice(10000, None)}

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        what: str | None = None,
        compat: bool = True,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ):
        self.what = ("train" if train else "test") if what is None else what
        if self.what not in self.subsets:
            raise ValueError(f"what: expected one of {', '.join(self.subsets)}, got {what!r}")
        self.compat = compat
        super().__init__(root, train, transform, target_transform, download)

    @property
    def _files(self) -> IDXPair:
        subset = self.subsets[self.what]
        prefix = "xnist" if subset == "nist" else f"qmnist-{subset}"
        return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx2-int"

    def _read(self) -> None:
        images, labels = read_idx_pair(self.source, self._files, len(self.classes), size=(28, 28))
        part = self._parts.get(self.what, slice(None))
        self.data, self.targets = Tensor(images[part]), Tensor(labels[part])

    def _item(self, index: Any) -> tuple[np.ndarray, Any]:
        target = self.targets._array[index]
        return self.data._array[index], int(target[0]) if self.compat else Tensor(target.copy())

    def _items(self, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images, targets = super()._items(where)
        return images, targets[:, 0] if self.compat else targets

    def __repr__(self) -> str:
        return f"QMNIST({len(self)} images, {self.what}, from {self.source})"
