"""IDX files and image folders to test with, and a home of its own for each test."""

import gzip

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch):
    """No test sees the user's cache or mirror, nor writes there."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("MINICNN_HOME", str(home))
    monkeypatch.delenv("MINICNN_DATASET_MIRROR", raising=False)
    return home


def idx_file(array):
    """The bytes of an IDX file of uint8, from the format's description."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def write_idx_set():
    """A function that writes the four files of a small set in MNIST's format, and returns its arrays."""

    def write(folder, n_train=6, n_test=4, *, size=(28, 28), suffix=".gz", separator="-", labels=None, seed=0):
        rng = np.random.default_rng(seed)
        folder.mkdir(parents=True, exist_ok=True)
        arrays = {}
        for split, n in (("train", n_train), ("t10k", n_test)):
            arrays[split] = rng.integers(0, 256, (n, *size), dtype=np.uint8), np.arange(n) % 10
            if labels is not None:
                arrays[split] = arrays[split][0], np.asarray(labels)[:n]
            for kind, ndim, array in zip(("images", "labels"), (3, 1), arrays[split], strict=True):
                data = idx_file(array)
                path = folder / f"{split}-{kind}{separator}idx{ndim}-ubyte{suffix}"
                path.write_bytes(gzip.compress(data, mtime=0) if suffix == ".gz" else data)
        return arrays

    return write


@pytest.fixture
def write_images():
    """A function that writes grey PNGs: {"class/name.png": value or array} below a folder."""

    def write(root, files):
        for name, pixels in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            array = np.full((4, 4), pixels, np.uint8) if np.isscalar(pixels) else pixels
            Image.fromarray(array).save(path)
        return root

    return write
