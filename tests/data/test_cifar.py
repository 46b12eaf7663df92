"""CIFAR: small archives in the official formats, found, unpacked, downloaded; and broken and hostile ones."""

import contextlib
import gzip
import hashlib
import io
import os
import pickle
import random
import struct
import tarfile

import numpy as np
import pytest
from PIL import Image

import minicnn as mc
from minicnn.data import CIFAR10, CIFAR100, DataLoader, DatasetError, DatasetNotFoundError, DownloadError
from minicnn.data import transforms as T
from minicnn.data.plain_pickle import read_plain_pickle

NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def python2(value):
    """A value as Python 2's cPickle wrote the official files, opcode by opcode (protocol 2)."""
    if isinstance(value, str):
        raw = value.encode()
        return b"U" + bytes([len(raw)]) + raw
    if isinstance(value, int):
        return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"](" + b"".join(map(python2, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(python2(k) + python2(v) for k, v in value.items()) + b"u"
    rows, columns = value.shape
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = b"T" + struct.pack("<i", value.size) + value.tobytes()
    return array + b"(K\x01" + python2(rows) + python2(columns) + b"\x86" + dtype + b"\x89" + data + b"tb"


def official(value):
    return b"\x80\x02" + python2(value) + b"."


def modern(protocol):
    """As somebody's Python 3 would write them anew, with bytes for keys as pickle.load(encoding="bytes") gives them."""

    def dump(value):
        return pickle.dumps({key.encode(): item for key, item in value.items()}, protocol=protocol)

    return dump


class Small:
    """A CIFAR of a few images: (data set's class, arrays, {file name: content})."""

    def __init__(self, cls, dump=official, binary=False, n=4):
        rng = np.random.default_rng(0)
        self.cls, self.n_classes = cls, cls.n_classes
        names = NAMES if cls is CIFAR10 else [f"class_{i}" for i in range(100)]
        self.names, self.files, self.arrays = names, {}, {}
        for split, files in ((True, cls.train_files), (False, cls.test_files)):
            pixels = rng.integers(0, 256, (len(files), n, 3072), dtype=np.uint8)
            labels = rng.integers(0, cls.n_classes, (len(files), n))
            self.arrays[split] = pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), labels.reshape(-1).tolist()
            for file, x, y in zip(files, pixels, labels.tolist(), strict=True):
                if binary:
                    coarse = [[7, label] if cls is CIFAR100 else [label] for label in y]
                    self.files[file + ".bin"] = b"".join(bytes(c) + r.tobytes() for c, r in zip(coarse, x, strict=True))
                else:
                    content = {"batch_label": file, cls.labels_key: y, "data": x, "filenames": ["a.png"] * n}
                    self.files[file] = dump(content)
        if binary:
            self.files[cls.binary_names] = "\n".join([*names, ""]).encode()
        else:
            self.files[cls.meta_file] = dump({"num_cases_per_batch": n, cls.meta_key: names})

    def write(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        return folder

    def archive(self, extra=(), leave_out=()):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for member, content in extra:
                tar.addfile(member, io.BytesIO(content))
            for name, content in self.files.items():
                if name not in leave_out:
                    member = tarfile.TarInfo(f"{self.cls.base_folder}/{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    def check(self, root, **options):
        for train in (True, False):
            data = self.cls(root, train, **options)
            images, labels = self.arrays[train]
            np.testing.assert_array_equal(data.data, images)
            assert data.targets == labels
            assert data.classes == self.names
        return data


@pytest.mark.parametrize("cls", [CIFAR10, CIFAR100])
@pytest.mark.parametrize("kind", [official, modern(2), modern(4), "binary"])
def test_all_formats_are_read(cls, kind, tmp_path):
    small = Small(cls, binary=True) if kind == "binary" else Small(cls, kind)
    folder = small.write(tmp_path / (cls.binary_folder if kind == "binary" else cls.base_folder))
    small.check(tmp_path)
    data = small.check(folder)
    assert data.source == folder
    assert data.class_to_idx[small.names[3]] == 3
    assert f"{cls.__name__}(4 images, test split" in repr(data)


def test_the_pickles_of_python_2_are_what_they_are_said_to_be():
    """The tests' own writer, against Python's reader."""
    value = {"a": [1, 2], "data": np.arange(12, dtype=np.uint8).reshape(3, 4)}
    read = pickle.loads(official(value).replace(b"numpy.core", b"numpy._core"), encoding="latin-1")
    assert read["a"] == [1, 2]
    np.testing.assert_array_equal(read["data"], value["data"])


def test_items_transforms_and_batches(tmp_path):
    small = Small(CIFAR10)
    small.write(tmp_path)
    images, labels = small.arrays[True]
    data = CIFAR10(tmp_path)
    image, label = data[7]
    assert isinstance(image, Image.Image)
    assert (image.mode, label) == ("RGB", labels[7])
    np.testing.assert_array_equal(np.asarray(image), images[7])
    assert data.get_batch is None
    assert CIFAR10(tmp_path, target_transform=lambda y: y + 100)[0][1] == labels[0] + 100


@pytest.mark.parametrize(
    "steps",
    [
        [T.ToTensor()],
        [T.RandomCrop(32, padding=4), T.RandomHorizontalFlip(), T.ToTensor(), T.Normalize(CIFAR10.mean, CIFAR10.std)],
        [T.RandomCrop(32, padding=4, padding_mode="reflect"), T.ToTensor(), T.RandomErasing()],
    ],
)
def test_a_batch_at_once_is_the_batch_of_single_images(tmp_path, steps):
    Small(CIFAR10).write(tmp_path)
    fast, slow = CIFAR10(tmp_path, transform=T.Compose(steps)), CIFAR10(tmp_path, transform=T.Compose(steps))
    slow.target_transform = int  # which there is no fast way for
    assert fast.get_batch is not None
    assert slow.get_batch is None
    batches = [
        list(DataLoader(data, 8, shuffle=True, generator=mc.Generator().manual_seed(4))) for data in (fast, slow)
    ]
    for (a, label), (b, other) in zip(*batches, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        np.testing.assert_array_equal(label.numpy(), other.numpy())


def test_other_transforms_have_no_fast_way(tmp_path):
    Small(CIFAR10).write(tmp_path)
    for steps in ([T.ColorJitter(0.1), T.ToTensor()], [T.Resize(40)], [T.ToTensor(), T.Lambda(abs)]):
        assert CIFAR10(tmp_path, transform=T.Compose(steps)).get_batch is None


# ---- archives


@pytest.mark.parametrize("cls", [CIFAR10, CIFAR100])
def test_an_archive_that_is_there_is_unpacked_once(cls, tmp_path):
    small = Small(cls)
    (tmp_path / cls.filename).write_bytes(small.archive())
    small.check(tmp_path)
    (tmp_path / cls.filename).unlink()
    small.check(tmp_path)
    assert sorted(path.name for path in (tmp_path / cls.base_folder).iterdir()) == sorted(small.files)


def test_paths_links_and_devices_in_an_archive_reach_nothing(tmp_path):
    small = Small(CIFAR10)
    root = tmp_path / "root"
    root.mkdir()
    canary = tmp_path / "canary"
    canary.write_text("alive")

    def member(name, **fields):
        info = tarfile.TarInfo(name)
        for key, value in fields.items():
            setattr(info, key, value)
        return info

    base = CIFAR10.base_folder
    extra = [
        (member("../escaped", size=3), b"bad"),
        (member(str(tmp_path / "absolute"), size=3), b"bad"),
        (member(f"{base}/../../escaped", size=3), b"bad"),
        (member(f"{base}/data_batch_1", type=tarfile.SYMTYPE, linkname=str(canary)), b""),
        (member(f"{base}/data_batch_2", type=tarfile.LNKTYPE, linkname=str(canary)), b""),
        (member(f"{base}/fifo", type=tarfile.FIFOTYPE), b""),
        (member(base, type=tarfile.SYMTYPE, linkname=str(tmp_path)), b""),
    ]
    (root / CIFAR10.filename).write_bytes(small.archive(extra))
    small.check(root)
    assert canary.read_text() == "alive"
    assert sorted(os.listdir(tmp_path)) == ["canary", "root"]
    assert sorted(os.listdir(root / base)) == sorted(small.files)
    assert not any((root / base / file).is_symlink() for file in small.files)


def bomb(small):
    """A header that claims a name of four gigabytes."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 4 << 30
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))


def giant(small):
    info = tarfile.TarInfo("something")
    info.size = 1 << 40
    return gzip.compress(info.tobuf() + bytes(1 << 20))


def crowd(small):
    return gzip.compress(tarfile.TarInfo("x").tobuf() * 5000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda small: b"", "damaged archive|holds no"),
        (lambda small: b"not an archive", "damaged archive"),
        (lambda small: gzip.compress(b"not a tar" * 200), "damaged archive"),
        (lambda small: small.archive()[:3000], "damaged archive"),
        (lambda small: small.archive()[:3000] + b"\0\1" * 3000, "damaged archive"),
        (lambda small: small.archive(leave_out=["test_batch"]), "holds no cifar-10-batches-py/test_batch"),
        (bomb, "a part of 4294967296 bytes"),
        (giant, "more than 1073741824 bytes"),
        (crowd, "more than 1000 files"),
    ],
)
def test_a_broken_archive_is_one_clear_error(tmp_path, make, message):
    (tmp_path / CIFAR10.filename).write_bytes(make(Small(CIFAR10)))
    with pytest.raises(DatasetError, match=message) as caught:
        CIFAR10(tmp_path)
    assert str(tmp_path / CIFAR10.filename) in str(caught.value)
    assert "get it anew" in str(caught.value)
    assert not [file for _, _, files in os.walk(tmp_path) for file in files if file.endswith(".part")]


# ---- downloads


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A function that serves an archive as the only mirror, and says what was asked for."""
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.content)))
            self.end_headers()
            self.wfile.write(self.server.content)

        def log_message(self, *args):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def serve(cls, content, md5=None):
            server.content, server.asked = content, []
            monkeypatch.setattr(cls, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
            monkeypatch.setattr(cls, "tgz_md5", md5 or hashlib.md5(content).hexdigest())
            return server.asked

        yield serve
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("cls", [CIFAR10, CIFAR100])
def test_a_download_is_checked_unpacked_and_used_again(cls, tmp_path, served):
    small = Small(cls)
    asked = served(cls, small.archive())
    with pytest.raises(DatasetNotFoundError, match="Pass download=True to fetch them"):
        cls(tmp_path)
    small.check(tmp_path, download=True)
    small.check(tmp_path)
    assert asked == [f"/{cls.filename}"]


def test_without_a_root_it_goes_into_the_cache(own_home, served):
    small = Small(CIFAR10)
    served(CIFAR10, small.archive())
    small.check(None, download=True)
    assert (own_home / "datasets" / "cifar10" / CIFAR10.base_folder / "test_batch").is_file()


def test_a_broken_download_leaves_nothing(tmp_path, served):
    served(CIFAR10, Small(CIFAR10).archive(), md5="c58f30108f718f92721af3b95e74349a")
    with pytest.raises(DownloadError, match="broken transfer"):
        CIFAR10(tmp_path, download=True)
    assert not any(tmp_path.iterdir())


def test_the_published_checksums():
    assert CIFAR10.tgz_md5 == "c58f30108f718f92721af3b95e74349a"
    assert CIFAR100.tgz_md5 == "eb9058c3a382ffc7106e4002c42a8d85"


# ---- what is in the files


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("data_batch_2", lambda c: c | {"data": c["data"][:, :-1]}, r"data_batch_2: 'data' is \(4, 3071\) uint8"),
        ("data_batch_2", lambda c: c | {"data": [1]}, "'data' is list"),
        ("data_batch_2", lambda c: c | {"labels": c["labels"][1:]}, "3 labels for 4 images"),
        ("data_batch_2", lambda c: c | {"labels": ["a"] * 4}, "'labels' is no list of whole numbers"),
        ("data_batch_2", lambda c: c | {"labels": [0, 1, 2, 10]}, "label 10 at position 3, expected 0 to 9"),
        ("data_batch_2", lambda c: {"labels": []}, "'data' is NoneType"),
        ("batches.meta", lambda c: {"label_names": NAMES[1:]}, "expected the names of 10 classes"),
        ("batches.meta", lambda c: {}, "expected the names of 10 classes"),
    ],
)
def test_files_that_are_not_what_they_should_be(tmp_path, name, change, message):
    small = Small(CIFAR10)
    content = pickle.loads(small.files[name].replace(b"numpy.core", b"numpy._core"), encoding="latin-1")
    small.files[name] = official(change(content))
    small.write(tmp_path)
    with pytest.raises(DatasetError, match=message):
        CIFAR10(tmp_path)


def test_binary_files_that_are_not_what_they_should_be(tmp_path):
    small = Small(CIFAR10, binary=True)
    small.write(tmp_path)
    (tmp_path / "test_batch.bin").write_bytes(bytes(3000))
    with pytest.raises(DatasetError, match=r"test_batch.bin: 3000 bytes, expected records of 3073"):
        CIFAR10(tmp_path, train=False)
    (tmp_path / "batches.meta.txt").unlink()
    with pytest.raises(DatasetError, match=r"batches.meta.txt: there is no such file"):
        CIFAR10(tmp_path)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("canary",)


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"data": Evil()}, 2), r"posix\.mkdir, which CIFAR's files do not hold. Nothing of it was run"),
        (pickle.dumps({"data": Evil()}, 4), r"asks for posix\.mkdir"),
        (b"cos\nsystem\n(S'mkdir canary'\ntR.", r"asks for os\.system"),
        (b"(ios\nsystem\n.", "the step INST"),
        (b"\x80\x02}U\x01acnumpy\ndtype\nU\x01O\x85Rs.", "an array of a strange type"),
        (b"\x80\x02}U\x01a" + ARRAY + b"(K\x01K\x05\x85cnumpy\ndtype\nU\x02u1\x85R\x89U\x02abtbs.", r"shape \(5,\) with 2"),
        (b"\x80\x02}U\x01a" + ARRAY + b"(K\x01(" + b"K\x05" * 9 + b"tcnumpy\ndtype\nU\x02u1\x85R\x89U\x02abtbs.", "shape"),
        (b"\x80\x02}U\x01a" + ARRAY + b"K\x01\x85bs.", "changes of a _Array"),
        (b"\x80\x02}}b.", "a dict where a tuple belongs"),
        (b"\x80\x02](K\x01e.", "something else than one dictionary"),
        (b"\x80\x02}(K\x01K\x02u.", "a int where a str belongs"),
        (b"\x80\x02}(U\x01au.", "damaged one"),
        (b"\x80\x02}h\x05.", "damaged one"),
        (b"\x80\x02.", "damaged one|one dictionary"),
        (b"", "damaged one"),
        (b"GIF89a", "not a pickle"),
        (b"\x80\x02}(U\x01aT\xff\xff\xff\x7fabc", "not a pickle"),
        (b"\x80\x02}U\x01a" + b"]" * 100_000 + b"a" * 99_999 + b"s.", None),  # deep, and harmless
        (b"\x80\x02X\x40\x42\x0f\x00" + b"a" * 1_000_000 + b"q\x000" , "the step POP"),
        (
            b"\x80\x02X\x40\x42\x0f\x00" + b"a" * 1_000_000 + b"q\x00c_codecs\nencode\nq\x01h\x00U\x06latin1\x86R"
            + b"h\x01h\x00U\x06latin1\x86R" * 100 + b".",
            "the same bytes many times",
        ),
    ],
)  # fmt: skip
def test_a_hostile_pickle_runs_nothing(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data_batch_1"
    path.write_bytes(content)
    if message is None:
        assert list(read_plain_pickle(path)) == ["a"]
    else:
        with pytest.raises(DatasetError, match=message):
            read_plain_pickle(path)
    assert os.listdir(tmp_path) == ["data_batch_1"]


def test_mutated_files_give_data_or_one_error(tmp_path):
    good = Small(CIFAR10, n=1).files["data_batch_1"]
    path = tmp_path / "batch"
    rng = random.Random(0)
    for _ in range(400):
        broken = bytearray(good[:-3072])  # what is not pixels
        for _ in range(rng.randrange(1, 4)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        path.write_bytes(bytes(broken) + good[-3072:])
        with contextlib.suppress(DatasetError):  # and no other
            read_plain_pickle(path)
