"""The MNIST family: the digits in the package, where files are looked for, and what is wrong with wrong ones."""

import gzip
import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minicnn as mc
import minicnn.data
from minicnn.data import MNIST, DataLoader, DatasetError, DatasetNotFoundError, FashionMNIST, MNIST10k, Subset
from minicnn.data.transforms import Compose, Lambda, Normalize, RandomRotation, ToTensor

PACKAGED = Path(minicnn.data.__file__).with_name("mnist10k")

# From the README beside the files.
PER_CLASS = {
    True: [831, 935, 823, 857, 813, 716, 842, 888, 783, 812],
    False: [170, 192, 168, 175, 167, 147, 172, 182, 161, 166],
}
SHA256_UNPACKED = {
    "train-images-idx3-ubyte.gz": "1fbd06f7ed1256cbbd104be5b2d36c8c78ac1c6a31e96ed032acbddd0b3466b2",
    "train-labels-idx1-ubyte.gz": "bbd059a2e1844bb608efa83f4587e40a2a6ae904382f128ef1ff4f4792705b22",
    "t10k-images-idx3-ubyte.gz": "059adafefa6c4b948fc0962c1d4f3b773f2dcdacc50fa33e725e2c48a74d4ccd",
    "t10k-labels-idx1-ubyte.gz": "067a3e89354b199db16434c3fdde2d30f82967b309041315f36b1d33b77cb7da",
}


# ---- the digits in the package


@pytest.mark.parametrize("name", SHA256_UNPACKED)
def test_packaged_files_are_the_documented_ones(name):
    data = gzip.decompress((PACKAGED / name).read_bytes())
    assert hashlib.sha256(data).hexdigest() == SHA256_UNPACKED[name]
    readme = (PACKAGED / "README.md").read_text()
    assert SHA256_UNPACKED[name] in readme
    assert hashlib.sha256((PACKAGED / name).read_bytes()).hexdigest() in readme


def test_the_licence_is_with_them():
    text = (PACKAGED / "LICENSE").read_text()
    assert "CC BY-SA 3.0" in text
    assert "https://creativecommons.org/licenses/by-sa/3.0/" in text


@pytest.mark.parametrize("train", [True, False])
def test_mnist10k_counts(train):
    data = MNIST10k(train=train)
    assert np.bincount(data.targets.numpy()).tolist() == PER_CLASS[train]
    assert len(data) == sum(PER_CLASS[train])
    assert data.data.shape == (len(data), 28, 28)
    assert (data.data.dtype, data.targets.dtype) == (mc.uint8, mc.int64)


def test_mnist10k_pixels():
    pixels = MNIST10k().data.numpy() / 255
    assert (round(pixels.mean(), 5), round(pixels.std(), 5)) == (0.13112, 0.30868)


def test_nearest_class_mean_scores_what_the_readme_says():
    """Images and labels belong together: 80.8 % of the test set is nearest to its own class's mean."""
    train, test = MNIST10k(), MNIST10k(train=False)
    x, y = train.data.numpy().reshape(-1, 784) / 255, train.targets.numpy()
    means = np.stack([x[y == digit].mean(axis=0) for digit in range(10)])
    x = test.data.numpy().reshape(-1, 784) / 255
    nearest = ((means**2).sum(1) - 2 * x @ means.T).argmin(axis=1)
    assert round((nearest == test.targets.numpy()).mean(), 3) == 0.808


# ---- torchvision's interface


def test_items_classes_and_transforms():
    data = MNIST10k()
    image, label = data[3]
    assert isinstance(image, Image.Image)
    assert (image.mode, image.size, type(label)) == ("L", (28, 28), int)
    np.testing.assert_array_equal(np.asarray(image), data.data.numpy()[3])
    assert data.classes[7] == "7 - seven"
    assert data.class_to_idx["0 - zero"] == 0
    assert FashionMNIST.classes[9] == "Ankle boot"
    data = MNIST10k(transform=ToTensor(), target_transform=lambda label: -label)
    assert data[3][0].shape == (1, 28, 28)
    assert data[3][1] == -label
    assert "8300 images, train split" in repr(data)


@pytest.mark.parametrize(
    "transform",
    [
        ToTensor(),
        Compose([ToTensor()]),
        Compose([ToTensor(), Normalize((0.13,), (0.31,))]),
        Compose([ToTensor(), RandomRotation(20), Normalize((0.13,), (0.31,))]),
    ],
)
def test_fast_batches_are_bit_for_bit_the_slow_ones(transform):
    class Slow(MNIST10k):
        def __getitem__(self, index):
            return super().__getitem__(index)

    batches = []
    for family in (MNIST10k, Slow):
        mc.manual_seed(0)
        data = family(train=False, transform=transform)
        (batch,) = DataLoader(Subset(data, range(40, 60)), 20, shuffle=True)
        batches.append(batch)
    assert MNIST10k(transform=transform).get_batch is not None
    for fast, slow in zip(*batches, strict=True):
        assert fast.dtype == slow.dtype
        np.testing.assert_array_equal(fast.numpy(), slow.numpy())


@pytest.mark.parametrize("transform", [None, Compose([]), Compose([RandomRotation(3), ToTensor()]), Lambda(ToTensor())])
def test_no_fast_batches_where_images_come_first(transform):
    assert MNIST10k(train=False, transform=transform).get_batch is None


def test_no_fast_batches_with_a_target_transform():
    assert MNIST10k(train=False, transform=ToTensor(), target_transform=str).get_batch is None


def test_it_can_be_pickled():
    data = pickle.loads(pickle.dumps(MNIST10k(train=False)))
    assert len(data) == 1700


# ---- where files are looked for


@pytest.mark.parametrize("below", ["", "MNIST", "MNIST/raw"])
@pytest.mark.parametrize(("suffix", "separator"), [(".gz", "-"), ("", "-"), ("", "."), (".gz", ".")])
def test_found_in_a_given_folder(tmp_path, write_idx_set, below, suffix, separator):
    arrays = write_idx_set(tmp_path / below, suffix=suffix, separator=separator)
    for train, split in ((True, "train"), (False, "t10k")):
        data = MNIST(tmp_path, train=train)
        np.testing.assert_array_equal(data.data.numpy(), arrays[split][0])
        np.testing.assert_array_equal(data.targets.numpy(), arrays[split][1])
        assert data.source == tmp_path / below


def test_found_in_the_cache_after_the_given_folder(tmp_path, own_home, write_idx_set):
    write_idx_set(own_home / "datasets" / "fashion-mnist", n_train=3)
    assert len(FashionMNIST()) == 3
    assert len(FashionMNIST(tmp_path)) == 3
    write_idx_set(tmp_path / "FashionMNIST" / "raw", n_train=5)
    assert len(FashionMNIST(str(tmp_path))) == 5


def test_found_where_the_system_puts_it(tmp_path, monkeypatch, write_idx_set):
    assert FashionMNIST.system_folders == ["/usr/share/datasets/fashion-mnist"]
    monkeypatch.setattr(FashionMNIST, "system_folders", [str(tmp_path)])
    write_idx_set(tmp_path)
    assert FashionMNIST().source == tmp_path


def test_not_found_says_where_and_what_to_do(tmp_path, monkeypatch, write_idx_set):
    monkeypatch.setattr(FashionMNIST, "system_folders", ["/nowhere"])
    write_idx_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()  # half a pair is none
    assert len(FashionMNIST(tmp_path)) == 6
    with pytest.raises(DatasetNotFoundError) as caught:
        FashionMNIST(tmp_path, train=False)
    message = str(caught.value)
    for part in (
        "fashion-mnist: t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz not found",
        f"\n  {tmp_path}\n",
        "/nowhere",
        "download=True",
        str(tmp_path / "FashionMNIST" / "raw"),
        "root",
        "dataset-fashion-mnist",
    ):
        assert part in message
    assert isinstance(caught.value, FileNotFoundError)


# ---- what is wrong with them


def test_wrong_files_are_named(tmp_path, write_idx_set):
    def fails(message):
        with pytest.raises(DatasetError, match=message):
            MNIST(tmp_path)

    write_idx_set(tmp_path, n_train=6)
    other = tmp_path / "other"
    write_idx_set(other, n_train=5)
    labels = "train-labels-idx1-ubyte.gz"
    (tmp_path / labels).write_bytes((other / labels).read_bytes())
    fails(r"train-labels-idx1-ubyte.gz: 5 labels, but 6 images in train-images-idx3-ubyte.gz; do the two")
    write_idx_set(tmp_path, labels=[0, 1, 10, 3, 4, 5])
    fails("train-labels-idx1-ubyte.gz: label 10 at position 2, expected 0 to 9")
    write_idx_set(tmp_path, size=(28, 27))
    fails(r"train-images-idx3-ubyte.gz: images of \(28, 27\) pixels, expected \(28, 28\)")
    write_idx_set(tmp_path, n_train=0)
    fails("train-images-idx3-ubyte.gz: holds no images")
    write_idx_set(tmp_path)
    (tmp_path / labels).write_bytes((tmp_path / "train-images-idx3-ubyte.gz").read_bytes())
    fails("train-labels-idx1-ubyte.gz: 3 dimensions declared at byte 3, expected 1")
    (tmp_path / labels).write_bytes(b"<html>not found</html>")
    fails("train-labels-idx1-ubyte.gz: wrong magic 3c 68")
