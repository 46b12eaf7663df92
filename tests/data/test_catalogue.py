"""open_dataset: names, folders with IDX files, folders of images, and how they are divided."""

import numpy as np
import pytest

import minicnn as mc
from minicnn.data import (
    DataLoader,
    DatasetError,
    DatasetNotFoundError,
    ImageArrayDataset,
    ImageReadError,
    open_dataset,
)
from minicnn.data.arrays import pixel_statistics


def test_the_digits_in_the_package():
    pair = open_dataset("mnist10k")
    assert (pair.name, len(pair.train), len(pair.test), pair.skipped) == ("mnist10k", 8300, 1700, ())
    assert pair.classes == pair.train.classes == tuple("0123456789")
    image, label = pair.train[0]
    assert (image.shape, image.dtype, type(label)) == ((1, 28, 28), mc.float32, int)
    images, labels = next(iter(DataLoader(pair.train, 8300)))
    assert (images.shape, labels.dtype) == ((8300, 1, 28, 28), mc.int64)
    # float32 sums of 6.5 million numbers of size one
    assert abs(images.numpy().mean(dtype=np.float64)) < 1e-6
    assert abs(images.numpy().std(dtype=np.float64) - 1) < 1e-6
    assert pair.test.mean == pair.train.mean == pair.mean


def test_named_sets_in_a_given_folder(tmp_path, write_idx_set):
    arrays = write_idx_set(tmp_path, n_train=20)
    pair = open_dataset("mnist", root=tmp_path, download=False)
    np.testing.assert_array_equal(pair.train.images, arrays["train"][0])
    np.testing.assert_array_equal(pair.test.labels, arrays["t10k"][1])
    assert pair.mean == pytest.approx((arrays["train"][0] / 255).mean(), rel=1e-12)
    assert pair.std == pytest.approx((arrays["train"][0] / 255).std(), rel=1e-12)
    fashion = open_dataset("fashion-mnist", root=tmp_path, download=False)
    assert fashion.classes[0] == "T-shirt/top"
    assert open_dataset("kmnist", root=tmp_path, download=False).classes[1] == "ki"


def test_a_folder_of_idx_files_of_any_size(tmp_path, write_idx_set):
    write_idx_set(tmp_path / "signs", n_train=9, size=(5, 6), labels=[0, 1, 2, 3, 2, 1, 0, 1, 2])
    pair = open_dataset(tmp_path / "signs")
    assert (pair.name, pair.classes, pair.train.images.shape) == ("signs", ("0", "1", "2", "3"), (9, 5, 6))
    (tmp_path / "signs" / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DatasetNotFoundError, match="signs: has MNIST's training files, but not t10k-images"):
        open_dataset(tmp_path / "signs")


def test_idx_splits_must_fit(tmp_path, write_idx_set):
    write_idx_set(tmp_path, labels=[0, 1, 0, 1, 0, 1])
    write_idx_set(tmp_path / "b", size=(5, 6))
    for kind in ("images-idx3", "labels-idx1"):
        (tmp_path / f"t10k-{kind}-ubyte.gz").write_bytes((tmp_path / "b" / f"t10k-{kind}-ubyte.gz").read_bytes())
    with pytest.raises(DatasetError, match=r"training images of \(28, 28\) pixels, but test images of \(5, 6\)"):
        open_dataset(tmp_path)


def shapes(n):
    return {f"{name}/{i}.png": 10 * i + j for j, name in enumerate(("circle", "square")) for i in range(n)}


def test_image_folders_are_split_by_class_and_always_alike(tmp_path, write_images):
    root = write_images(tmp_path / "shapes", shapes(15))
    pair = open_dataset(str(root))
    assert pair.classes == ("circle", "square")
    assert pair.train.images.shape == (24, 28, 28)
    assert np.bincount(pair.train.labels).tolist() == [12, 12]
    assert np.bincount(pair.test.labels).tolist() == [3, 3]
    assert "6 of 30 images set aside" in pair.source
    values = sorted(image[0, 0] for part in (pair.train, pair.test) for image in part.images)
    assert values == sorted(shapes(15).values())
    mc.manual_seed(1)
    again = open_dataset(write_images(tmp_path / "elsewhere" / "copy", shapes(15)))
    np.testing.assert_array_equal(again.test.images, pair.test.images)


def test_the_first_images_of_a_folder_are_of_all_classes(tmp_path, write_images):
    """So that a limit takes a sample, and not the first class alone."""
    files = {f"{name}/{i}.png": 2 * i + j for j, name in enumerate(("circle", "square")) for i in range(40)}
    for folder in ("split", "given/train", "given/test"):
        write_images(tmp_path / folder, files)
    for name in ("split", "given"):
        pair = open_dataset(tmp_path / name)
        for part in (pair.train, pair.test):
            half = len(part) // 2
            assert 0.2 < part.labels[:half].mean() < 0.8


@pytest.mark.parametrize("name", ["test", "val", "valid", "validation"])
def test_given_test_folders_are_used(tmp_path, write_images, name):
    write_images(tmp_path / "train", shapes(3))
    write_images(tmp_path / name, {"square/1.png": 77})
    pair = open_dataset(tmp_path)
    assert (len(pair.train), pair.test.images[0, 0, 0], pair.test.labels.tolist()) == (6, 77, [1])
    write_images(tmp_path / name, {"triangle/1.png": 77})
    with pytest.raises(DatasetError, match=f"{name}: classes triangle that .*train does not have"):
        open_dataset(tmp_path)


def test_only_a_train_folder_is_split(tmp_path, write_images):
    write_images(tmp_path / "train", shapes(5))
    assert (len(open_dataset(tmp_path).train), len(open_dataset(tmp_path).test)) == (8, 2)


def test_a_class_may_be_called_train(tmp_path, write_images):
    write_images(tmp_path, {f"{name}/{i}.png": 9 * i for name in ("train", "bus", "test") for i in range(3)})
    assert open_dataset(tmp_path).classes == ("bus", "test", "train")


def test_unreadable_images(tmp_path, write_images):
    write_images(tmp_path, shapes(6))
    (tmp_path / "square" / "bad.png").write_text("?")
    with pytest.raises(ImageReadError, match=r"bad\.png"):
        open_dataset(tmp_path)
    pair = open_dataset(tmp_path, on_bad_image="skip")
    assert len(pair.train) + len(pair.test) == 12
    ((path, reason),) = pair.skipped
    assert path == str(tmp_path / "square" / "bad.png")
    assert "not a readable image" in reason
    with pytest.raises(ValueError, match="on_bad_image: expected 'raise' or 'skip', got 'no'"):
        open_dataset(tmp_path, on_bad_image="no")


def test_folders_that_cannot_be_trained_on(tmp_path, write_images):
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetNotFoundError, match="none: couldn't find any class folder"):
        open_dataset(tmp_path / "none")
    write_images(tmp_path / "one", {"a/1.png": 3, "b/1.png": 4})
    with pytest.raises(DatasetNotFoundError, match="no image to test with"):
        open_dataset(tmp_path / "one")
    write_images(tmp_path / "blank", {f"a/{i}.png": 3 for i in range(5)})
    with pytest.raises(DatasetError, match="pixels of different values"):
        open_dataset(tmp_path / "blank")
    write_images(tmp_path / "lost", shapes(2))
    for i in range(2):
        (tmp_path / "lost" / "circle" / f"{i}.png").write_text("?")
    with pytest.raises(DatasetError, match="circle: no readable image of this class to train with"):
        open_dataset(tmp_path / "lost", on_bad_image="skip")


def test_unknown_names():
    with pytest.raises(DatasetNotFoundError, match="got 'mnits'; did you mean 'mnist'"):
        open_dataset("mnits")
    with pytest.raises(DatasetNotFoundError, match="got 'cifar'; did you mean 'cifar10' or 'cifar100'"):
        open_dataset("cifar")
    with pytest.raises(DatasetNotFoundError, match="got '~nobody-of-that-name'"):
        open_dataset("~nobody-of-that-name")
    with pytest.raises(
        DatasetNotFoundError, match=r"expected mnist10k, mnist, .*, cifar100 or a folder, got '/no/such'"
    ):
        open_dataset("/no/such")


def test_images_are_resized(tmp_path, write_images):
    wide = np.tile(np.array([0, 255], np.uint8).repeat(40), (20, 1))
    write_images(tmp_path, {f"{name}/{i}.png": wide for name in "ab" for i in range(3)})
    pair = open_dataset(tmp_path, image_size=(10, 8))
    assert pair.train.images.shape[1:] == (10, 8)
    assert pair.train.images[0, 0, [0, 7]].tolist() == [0, 255]


# ---- ImageArrayDataset


def test_array_data_set_is_scaled_transformed_then_normalised():
    images = np.array([[[0, 51]], [[102, 255]]], np.uint8)
    data = ImageArrayDataset(images, np.array([0, 2]), lambda x: x + 1, mean=0.5, std=0.25)
    np.testing.assert_allclose(data[1][0].numpy(), [[[(0.4 + 1 - 0.5) / 0.25, 6]]], rtol=1e-6)
    assert data.classes == ("0", "1", "2")
    assert data.get_batch is None
    batch = next(iter(DataLoader(data, 2)))
    np.testing.assert_array_equal(batch[0].numpy()[1], data[1][0].numpy())


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.zeros((2, 3)), np.zeros(2, int)), {}, r"images: expected .* uint8, got \(2, 3\) float64"),
        ((np.zeros((2, 3, 3), np.uint8), np.zeros(3, int)), {}, r"labels: expected \(2,\) integers, got \(3,\)"),
        ((np.zeros((2, 3, 3), np.uint8), np.zeros(2)), {}, "labels: expected .* float64"),
        ((np.zeros((1, 3, 3), np.uint8), np.array([2])), {"classes": "ab"}, "label 2 at position 0, expected 0 to 1"),
        ((np.zeros((1, 3, 3), np.uint8), np.array([-1])), {"classes": "ab"}, "label -1 at position 0"),
        ((np.zeros((1, 3, 3), np.uint8), np.array([0])), {"std": 0}, "std: expected a number above 0"),
        ((np.zeros((1, 2, 2, 3), np.uint8), np.array([0])), {"mean": (1, 2)}, "mean: expected one number or 3, got"),
    ],
)
def test_array_data_set_errors(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        ImageArrayDataset(*arguments, **options)


def test_an_empty_array_data_set():
    assert len(ImageArrayDataset(np.zeros((0, 2, 2), np.uint8), np.zeros(0, int))) == 0


def test_pixel_statistics_are_exact():
    images = np.random.default_rng(0).integers(0, 256, (50, 7, 3), dtype=np.uint8)
    mean, std = pixel_statistics(images)
    assert mean == pytest.approx((images / 255).mean(), rel=1e-14)
    assert std == pytest.approx((images / 255).std(), rel=1e-14)
    with pytest.raises(DatasetError, match="expected pixels of different values, got 0 of one"):
        pixel_statistics(images[:0])


def write_cifar10(folder):
    """CIFAR-10 in its binary format, two images a file."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 2, 3, 32, 32), dtype=np.uint8), rng.integers(0, 10, (6, 2))
    images[:, :, 0] //= 4  # little red: each channel has a mean of its own
    folder.mkdir()
    for name, x, y in zip([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"], images, labels, strict=True):
        records = (bytes([label]) + pixels.tobytes() for label, pixels in zip(y.tolist(), x, strict=True))
        (folder / f"{name}.bin").write_bytes(b"".join(records))
    (folder / "batches.meta.txt").write_text("\n".join(f"class{i}" for i in range(10)))
    return images.reshape(12, 3, 32, 32), labels.reshape(12)


def test_cifar_is_in_colour_and_normalised_by_channel(tmp_path):
    images, labels = write_cifar10(tmp_path / "files")
    for name in ("cifar10", "CIFAR-10"):
        pair = open_dataset(name, root=tmp_path / "files", download=False)
        assert (pair.name, pair.train.images.shape, pair.test.labels.tolist()) == (
            "cifar10",
            (10, 32, 32, 3),
            labels[10:].tolist(),
        )
    scaled = images[:10].astype(np.float64) / 255
    np.testing.assert_allclose(pair.mean, scaled.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(pair.std, scaled.std((0, 2, 3)), rtol=1e-12)
    assert pair.describe()["mean"] == list(pair.mean)  # as it comes back from JSON
    expected = (scaled - scaled.mean((0, 2, 3))[:, None, None]) / scaled.std((0, 2, 3))[:, None, None]
    batch, _ = next(iter(DataLoader(pair.train, 10)))
    np.testing.assert_allclose(batch.numpy(), expected, atol=1e-6)  # float32
    np.testing.assert_array_equal(pair.train[3][0].numpy(), batch.numpy()[3])


def test_a_folder_is_not_taken_for_another_way_of_writing_a_name(tmp_path, monkeypatch, write_images):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "MNIST_10k", shapes(5))
    assert open_dataset("MNIST_10k").classes == ("circle", "square")
    assert len(open_dataset("Mnist-10k").train) == 8300
