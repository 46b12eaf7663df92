"""A file is the old one or the new one, whatever goes wrong between."""

import errno
import os

import pytest

from minicnn.weights.atomic import atomic_write_text, atomic_writer


def test_replaces_the_old_file_and_leaves_nothing_beside_it(tmp_path):
    atomic_write_text(tmp_path / "a", "old")
    atomic_write_text(tmp_path / "a", "new é")
    assert (tmp_path / "a").read_text(encoding="utf-8") == "new é"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("failing", ["body", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_names_it(tmp_path, monkeypatch, failing):
    path = tmp_path / "a"
    atomic_write_text(path, "old")

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if failing != "body":
        monkeypatch.setattr(os, failing, full)
    with pytest.raises(OSError, match="No space left") as caught, atomic_writer(path) as file:  # noqa: PT012
        file.write(b"new")
        if failing == "body":
            full()
    assert caught.value.filename == str(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_the_file_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    """fsync of the file, rename, fsync of the folder: in this order, or a power cut can lose both versions."""
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def recorded(*args, name=name, real=real):
            calls.append(name)
            return real(*args)

        monkeypatch.setattr(os, name, recorded)
    atomic_write_text(tmp_path / "a", "x")
    assert calls == ["fsync", "replace", "fsync"]


def test_what_a_killed_writer_left_is_overwritten(tmp_path):
    (tmp_path / "a.partial").write_bytes(b"half of something longer than the text")
    atomic_write_text(tmp_path / "a", "x")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "x"
