"""Files that are whole or absent, whatever happens while they are written.

The bytes go to ``NAME.partial`` beside the file, are forced to the disk (``fsync``), and only then take the file's
name: a rename is atomic. At last the folder itself is forced to the disk, so that the new name survives a power cut.
Whoever reads the file sees the old bytes or the new ones, never a part. What a killed writer left as ``.partial`` is
overwritten by the next.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_writer(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write to, that becomes ``path`` when the block ends, and vanishes when it raises.

    Raises
    ------
    OSError : when the disk is full or the folder cannot be written; ``filename`` is ``path``, which is as it was.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with atomic_writer(folder / "a.txt") as file:
    ...     _ = file.write(b"whole")
    >>> [p.name for p in folder.iterdir()]
    ['a.txt']
    """
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with open(partial, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        fsync_folder(path.parent)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None:
            error.filename, error.filename2 = str(path), None  # a failed write() names no file of its own
        raise


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replace ``path`` by ``text`` in UTF-8, wholly or not at all."""
    with atomic_writer(path) as file:
        file.write(text.encode())


def fsync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk (not possible on Windows, where a rename needs no such help)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
