"""EMNIST and QMNIST: small files and archives in the official formats, found, unpacked, downloaded; and broken ones."""

import gzip
import io
import lzma
import string
import struct
import zipfile

import numpy as np
import pytest

from minicnn.data import (
    EMNIST,
    QMNIST,
    DataLoader,
    DatasetError,
    DatasetNotFoundError,
    IDXFormatError,
    dataset_name,
    open_dataset,
    read_idx,
)
from minicnn.data import transforms as T

RNG = np.random.default_rng(0)


def idx(array, code):
    """An IDX file, from the format's description."""
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype({8: ">u1", 12: ">i4"}[code]).tobytes()


def emnist_files(split, labels, n_test=3):
    """{name: content} of both parts of a split, and the arrays."""
    arrays, files = {}, {}
    for part, n in (("train", len(labels)), ("test", n_test)):
        images, own = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.resize(labels, n)
        arrays[part] = images, own
        files[f"emnist-{split}-{part}-images-idx3-ubyte.gz"] = gzip.compress(idx(images, 8), mtime=0)
        files[f"emnist-{split}-{part}-labels-idx1-ubyte.gz"] = gzip.compress(idx(own, 8), mtime=0)
    return files, arrays


def archive(files, folder="gzip/"):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("../outside", b"?")
        for name, content in files.items():
            zipped.writestr(folder + name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    ("split", "classes"),
    [
        ("byclass", string.digits + string.ascii_uppercase + string.ascii_lowercase),
        ("bymerge", string.digits + string.ascii_uppercase + "abdefghnqrt"),
        ("balanced", string.digits + string.ascii_uppercase + "abdefghnqrt"),
        ("digits", string.digits),
        ("mnist", string.digits),
    ],
)
def test_splits_and_their_classes(tmp_path, split, classes):
    files, arrays = emnist_files(split, [0, len(classes) - 1, 3, 1])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    data = EMNIST(tmp_path, split)
    assert data.classes == list(classes)
    np.testing.assert_array_equal(data.data.numpy(), arrays["train"][0])
    assert data.targets.tolist() == [0, len(classes) - 1, 3, 1]
    image, label = data[1]
    assert (image.mode, image.size, label, type(label)) == ("L", (28, 28), len(classes) - 1, int)
    np.testing.assert_array_equal(np.asarray(image), arrays["train"][0][1])  # transposed, as the files are
    assert len(EMNIST(str(tmp_path), split=split, train=False)) == 3


def test_letters_begin_at_one(tmp_path):
    folder = tmp_path / "EMNIST" / "raw"  # where torchvision unpacks
    folder.mkdir(parents=True)
    files, _ = emnist_files("letters", [1, 26, 2])
    for name, content in files.items():
        (folder / name.removesuffix(".gz")).write_bytes(gzip.decompress(content))
    data = EMNIST(tmp_path, "letters", transform=T.ToTensor())
    assert data.classes == ["N/A", *string.ascii_lowercase]
    assert data.class_to_idx["a"] == 1
    images, labels = next(iter(DataLoader(data, 3)))
    assert (images.shape, labels.tolist()) == ((3, 1, 28, 28), [1, 26, 2])


def test_the_archive_is_unpacked_beside_itself(tmp_path):
    files, _ = emnist_files("digits", [4, 2])
    root = tmp_path / "root"
    root.mkdir()
    (root / "gzip.zip").write_bytes(archive({**files, **emnist_files("mnist", [1])[0]}))
    assert EMNIST(root, "digits").targets.tolist() == [4, 2]
    assert sorted(path.name for path in root.iterdir()) == sorted([*files, "gzip.zip"])  # no other split, nothing else
    assert not (tmp_path / "outside").exists()
    (root / "gzip.zip").unlink()
    assert len(EMNIST(root, "digits", train=False)) == 3


def test_an_archive_unpacked_by_hand(own_home):
    files, _ = emnist_files("digits", [4])
    folder = own_home / "datasets" / "emnist" / "gzip"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert EMNIST(None, "digits").source == folder


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged archive"),
        (archive(emnist_files("digits", [1])[0])[:-30], "damaged archive"),
        (archive({}), "holds no gzip/emnist-digits-train-images-idx3-ubyte.gz nor gzip/emnist-digits-train-labels"),
    ],
)
def test_broken_archives(tmp_path, content, message):
    (tmp_path / "gzip.zip").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        EMNIST(tmp_path, "digits")
    assert [path.name for path in tmp_path.iterdir()] == ["gzip.zip"]


def test_mutated_archives_give_data_or_one_error(tmp_path):
    whole = archive(emnist_files("digits", [1, 2])[0])
    for position in range(0, len(whole), len(whole) // 60):
        folder = tmp_path / str(position)
        folder.mkdir()
        changed = bytearray(whole)
        changed[position] ^= 0x41
        (folder / "gzip.zip").write_bytes(bytes(changed))
        try:
            EMNIST(folder, "digits")
        except DatasetError as error:
            assert str(folder) in str(error)  # noqa: PT017


def test_not_found_and_wrong_names(tmp_path):
    with pytest.raises(DatasetNotFoundError) as caught:
        EMNIST(tmp_path, "letters")
    for part in ("emnist-letters-train-images-idx3-ubyte and ", "or gzip.zip with them, not found", "download=True"):
        assert part in str(caught.value)
    assert f"put it into {tmp_path / 'EMNIST' / 'raw'}" in str(caught.value)
    with pytest.raises(ValueError, match=r"split: expected one of byclass, .*, mnist, got 'caps'"):
        EMNIST(tmp_path, "caps")
    with pytest.raises(ValueError, match=r"what: expected one of train, test, .*, got 'all'"):
        QMNIST(tmp_path, "all")
    files, _ = emnist_files("letters", [27])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match="label 27 at position 0, expected 0 to 26"):
        EMNIST(tmp_path, "letters")


def test_for_training_upright_and_by_name(tmp_path):
    files, arrays = emnist_files("letters", [1, 26, 2])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    pair = open_dataset("emnist-letters", root=tmp_path, download=False)
    np.testing.assert_array_equal(pair.train.images, arrays["train"][0].transpose(0, 2, 1))
    assert (pair.name, pair.classes[1], pair.train.labels.tolist()) == ("emnist-letters", "a", [1, 26, 2])
    assert dataset_name("EMNIST_Letters") == "emnist-letters"


# ---- QMNIST


def write_qmnist(folder, n_train=4, n_test=6):
    rows = {}
    for name, n in (("qmnist-train", n_train), ("qmnist-test", n_test), ("xnist", 5)):
        images = RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        rows[name] = RNG.integers(0, 10, (n, 8))
        rows[name][:, 2] += 70000  # a writer, beyond 16 bits
        pack, end = (lzma.compress, "xz") if name == "xnist" else (gzip.compress, "gz")
        (folder / f"{name}-images-idx3-ubyte.{end}").write_bytes(pack(idx(images, 8)))
        (folder / f"{name}-labels-idx2-int.{end}").write_bytes(pack(idx(rows[name], 12)))
    return rows


def test_qmnist(tmp_path, monkeypatch):
    monkeypatch.setattr(QMNIST, "_parts", {"test10k": slice(2), "test50k": slice(2, None)})
    rows = write_qmnist(tmp_path)
    sizes = {"train": 4, "test": 6, "test10k": 2, "test50k": 4, "nist": 5}
    assert {what: len(QMNIST(tmp_path, what)) for what in sizes} == sizes
    assert QMNIST(tmp_path, "test50k").targets.tolist() == rows["qmnist-test"][2:].tolist()
    data = QMNIST(tmp_path, train=False)
    assert (data.what, data[3][1]) == ("test", rows["qmnist-test"][3, 0])
    everything = QMNIST(tmp_path, compat=False, transform=T.ToTensor())
    assert everything[1][1].tolist() == rows["qmnist-train"][1].tolist()
    for set_, wanted in ((everything, rows["qmnist-train"]), (QMNIST(tmp_path, transform=T.ToTensor()), None)):
        labels = next(iter(DataLoader(set_, 4)))[1]
        assert labels.tolist() == (rows["qmnist-train"][:, 0] if wanted is None else wanted).tolist()
    assert open_dataset("qmnist", root=tmp_path).train.labels.tolist() == rows["qmnist-train"][:, 0].tolist()


def test_the_published_parts_of_qmnist():
    assert len(range(60000)[QMNIST._parts["test10k"]]) == 10000
    assert len(range(60000)[QMNIST._parts["test50k"]]) == 50000


def test_xz_files_are_read_whole_and_bounded():
    array = RNG.integers(0, 256, (3, 5), dtype=np.uint8)
    packed = lzma.compress(idx(array, 8))
    np.testing.assert_array_equal(read_idx(io.BytesIO(packed)), array)
    with pytest.raises(IDXFormatError, match="damaged xz stream"):
        read_idx(io.BytesIO(packed[:-9]))
    bomb = lzma.compress(idx(np.zeros((2,)), 8) + bytes(1 << 24))
    with pytest.raises(IDXFormatError, match="trailing bytes from byte 10"):
        read_idx(io.BytesIO(bomb))
    greedy = lzma.compress(idx(array, 8), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}])
    with pytest.raises(IDXFormatError, match=r"damaged xz stream .*[Mm]emory"):
        read_idx(io.BytesIO(greedy))
