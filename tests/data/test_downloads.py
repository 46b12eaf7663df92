"""Downloads, from a server on this machine that serves right, truncated, corrupt, missing and slow files."""

import hashlib
import http.server
import io
import threading
import time
import zipfile

import pytest

from minicnn.data import EMNIST, MNIST, DatasetNotFoundError, DownloadError, FashionMNIST, downloads, open_dataset
from minicnn.data.downloads import download, mirror_urls

CONTENT = bytes(range(256)) * 300
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        kind, _, rest = self.path[1:].partition("/")
        content = self.server.files.get(rest, CONTENT)
        if kind == "missing":
            self.send_error(404)
            return
        self.send_response(200)
        if kind not in ("unsized", "endless"):
            self.send_header("Content-Length", str(len(content)))
        if kind == "gzipped":  # a server that means the file's own compression by it
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if kind == "truncated":
            content = content[: len(content) // 2]
        elif kind == "corrupt":
            content = content[:-1] + b"?"
        elif kind == "slow":
            for i in range(0, len(content), 16):
                if self.server.stop.wait(0.02):
                    return
                self.wfile.write(content[i : i + 16])
                self.wfile.flush()
        elif kind == "endless":
            while not self.server.stop.is_set():
                self.wfile.write(content)
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    class Quiet(http.server.ThreadingHTTPServer):
        def handle_error(self, request, client_address):
            pass  # a client that hangs up is what some tests are about

    with Quiet(("127.0.0.1", 0), Handler) as server:
        server.asked, server.files, server.stop = [], {}, threading.Event()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.stop.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def get(server, kinds, target, **options):
    urls = [f"{server.url}/{kind}/file.bin" for kind in kinds]
    return download(urls, MD5, target, advice="Do this instead.", **options)


@pytest.mark.parametrize("kind", ["right", "unsized", "gzipped"])
def test_a_right_file_arrives_whole(server, tmp_path, kind):
    target = tmp_path / "new" / "file.bin"
    assert get(server, [kind], target) == target
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["file.bin"]


def test_mirrors_are_tried_in_order_until_one_delivers(server, tmp_path):
    kinds = ["missing", "truncated", "corrupt", "right", "never"]
    assert get(server, kinds, tmp_path / "file.bin").read_bytes() == CONTENT
    assert [path.split("/")[1] for path in server.asked] == kinds[:4]


def test_when_none_delivers_each_reason_is_given_and_nothing_is_left(server, tmp_path):
    closed = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    nobody = f"http://127.0.0.1:{closed.server_port}/file.bin"
    closed.server_close()
    urls = [f"{server.url}/{kind}/file.bin" for kind in ("missing", "truncated", "corrupt")] + [nobody]
    with pytest.raises(DownloadError) as caught:
        download(urls, MD5, tmp_path / "file.bin", advice="Do this instead.")
    lines = str(caught.value).splitlines()
    assert lines[0] == "file.bin: no mirror delivered it:"
    assert lines[1].endswith("/missing/file.bin: HTTP 404 Not Found")
    assert lines[2].endswith(f"the transfer broke off after {len(CONTENT) // 2} of {len(CONTENT)} bytes")
    assert lines[3].endswith(f"broken transfer: the file's MD5 is not {MD5}")
    assert "refused" in lines[4]
    assert lines[5] == "Do this instead."
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_drips_is_given_up(server, tmp_path):
    start = time.monotonic()
    with pytest.raises(DownloadError, match=r"too slow: \d+ bytes in"):
        get(server, ["slow"], tmp_path / "file.bin", stall_seconds=0.3)
    assert time.monotonic() - start < 10
    assert list(tmp_path.iterdir()) == []
    assert get(server, ["slow", "right"], tmp_path / "file.bin", stall_seconds=2).read_bytes() == CONTENT


def test_an_endless_file_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "_MAX_BYTES", 200_000)
    with pytest.raises(DownloadError, match="sends more than 200000 bytes"):
        get(server, ["endless"], tmp_path / "file.bin")
    assert list(tmp_path.iterdir()) == []


def test_addresses_that_are_none(tmp_path):
    with pytest.raises(DownloadError, match="unknown url type"):
        download(["nonsense"], MD5, tmp_path / "f", advice="")


def test_a_full_disk_is_not_blamed_on_the_mirror(server, tmp_path, monkeypatch):
    def full(response, output, *args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads, "_copy", full)
    with pytest.raises(OSError, match="No space left") as caught:
        get(server, ["right", "right"], tmp_path / "file.bin")
    assert not isinstance(caught.value, DownloadError)


def test_a_terminal_gets_a_bar(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    get(server, ["right"], tmp_path / "file.bin")
    assert "\x1b[" in capsys.readouterr().err  # drawn, not only logged


def test_mirror_urls(monkeypatch):
    assert mirror_urls("mnist", "f.gz", ["http://a/", "http://b/"]) == ["http://a/f.gz", "http://b/f.gz"]
    monkeypatch.setenv("MINICNN_DATASET_MIRROR", "http://own/base/")
    assert mirror_urls("mnist", "f.gz", ["http://a/"]) == ["http://own/base/mnist/f.gz", "http://a/f.gz"]


@pytest.fixture
def served_set(server, tmp_path, write_idx_set, monkeypatch):
    """A small set on the server, whose MD5s stand for the published ones."""
    served = tmp_path / "served"
    write_idx_set(served)
    files = {path.name: path.read_bytes() for path in served.iterdir()}
    for family in (MNIST, FashionMNIST):
        monkeypatch.setattr(family, "mirrors", [f"{server.url}/right/"])
        monkeypatch.setattr(family, "system_folders", [])
        monkeypatch.setattr(family, "resources", {name: hashlib.md5(data).hexdigest() for name, data in files.items()})
    for name, data in files.items():
        server.files[name] = server.files[f"mnist/{name}"] = data
    return server


def test_mnist_downloads_what_it_needs_and_only_once(served_set, tmp_path):
    data = MNIST(tmp_path / "mine", train=False, download=True)
    assert len(data) == 4
    assert sorted(path.name for path in (tmp_path / "mine/MNIST/raw").iterdir()) == [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]
    n = len(served_set.asked)
    MNIST(tmp_path / "mine", train=False, download=True)
    assert len(served_set.asked) == n == 2


def test_an_archive_is_downloaded_unpacked_and_used_again(server, tmp_path, write_idx_set, monkeypatch):
    write_idx_set(tmp_path / "served", n_train=5, n_test=2)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for path in (tmp_path / "served").iterdir():
            name = path.name.replace("t10k", "test").replace("train", "emnist-mnist-train")
            zipped.write(path, f"gzip/{name.replace('test-', 'emnist-mnist-test-')}")
    server.files["gzip.zip"] = packed.getvalue()
    monkeypatch.setattr(EMNIST, "mirrors", [f"{server.url}/right/"])
    monkeypatch.setattr(EMNIST, "resources", {"gzip.zip": hashlib.md5(packed.getvalue()).hexdigest()})
    root = tmp_path / "mine"
    assert len(EMNIST(root, "mnist", download=True)) == 5
    assert len(EMNIST(root, "mnist", train=False, download=True)) == 2
    assert server.asked == ["/right/gzip.zip"]
    assert (root / "EMNIST" / "raw" / "gzip.zip").is_file()


def test_open_dataset_downloads_into_the_cache(served_set, own_home):
    with pytest.raises(DatasetNotFoundError, match="download=True"):
        open_dataset("fashion-mnist", download=False)
    pair = open_dataset("fashion-mnist")
    assert (len(pair.train), len(pair.test)) == (6, 4)
    assert pair.source == str(own_home / "datasets" / "fashion-mnist")
    assert len(open_dataset("fashion-mnist", download=False).train) == 6


def test_ones_own_mirror_is_asked_first(served_set, tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_DATASET_MIRROR", f"{served_set.url}/mirror")
    MNIST(tmp_path / "mine", download=True)
    assert [path.split("/")[1:3] for path in served_set.asked] == [["mirror", "mnist"]] * 2


def test_offline_says_which_files_go_where(tmp_path, monkeypatch):
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(DownloadError) as caught:
        MNIST(tmp_path, download=True)
    message = str(caught.value)
    assert "127.0.0.1:9/train-images-idx3-ubyte.gz" in message
    assert f"put them into {tmp_path / 'MNIST' / 'raw'}" in message
