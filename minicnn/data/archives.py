"""Copies known files out of an archive of a data set. From an archive come the files of the names expected, written by us.

Paths, links, devices and rights that it holds reach nothing, and what it unpacks to is bounded. Who uses this: `cifar.py`
(a gzipped tar), `nist.py` (a zip).
"""

from __future__ import annotations

import gzip
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from .errors import DatasetError

# CIFAR's archives unpack to 185 MB, and the largest file of EMNIST's to 100 MB, itself gzipped.
_MAX_TOTAL, _MAX_READ, _MAX_MEMBERS = 1 << 30, 1 << 24, 1000


def unpack_zip(archive: Path, folder: Path, members: dict[str, str]) -> None:
    """The same as :func:`unpack_tar`, for a zip."""
    with _explained(archive), zipfile.ZipFile(archive) as zipped:
        held = {member.filename: member for member in zipped.infolist()}
        if missing := [name for name in members if name not in held]:
            raise _Incomplete(missing)
        for name, file in members.items():
            if held[name].file_size > _MAX_TOTAL:
                raise zipfile.BadZipFile(f"{name} of {held[name].file_size} bytes")
            # ZipFile ends a member at the size that its header declares.
            _write(zipped.open(held[name]), folder / file)


def unpack_tar(archive: Path, folder: Path, members: dict[str, str]) -> None:
    """Copies the regular files ``members`` (name in the archive -> name in ``folder``), each whole or not at all.

    Everything else in the archive is passed over: no path, link, device or right in it reaches the disk.

    Raises
    ------
    DatasetError : a damaged archive, one without a file that is asked for, or one that unpacks to absurd sizes.
    """
    missing = dict(members)
    with _explained(archive), gzip.open(archive) as unzipped:
        with tarfile.open(fileobj=_Bounded(unzipped), mode="r:") as tar:  # type: ignore[call-overload]
            for number, member in enumerate(tar):
                if number > _MAX_MEMBERS:
                    raise tarfile.ReadError(f"more than {_MAX_MEMBERS} files")
                file = missing.get(member.name)
                if file is not None and member.isreg():
                    source = tar.extractfile(member)
                    assert source is not None
                    _write(source, folder / file)
                    del missing[member.name]
                if not missing:
                    return
        raise _Incomplete(missing)


class _Incomplete(Exception):
    """Files that are asked for are not there."""


_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    OSError,
    RuntimeError,  # zipfile's, for an encrypted file or an unknown way of compressing
    ValueError,
    zlib.error,
)


@contextmanager
def _explained(archive: Path) -> Iterator[None]:
    """What goes wrong with the archive, as a :class:`DatasetError`; what goes wrong with the disk, as it is."""
    try:
        yield
    except _Incomplete as error:
        raise DatasetError(f"{archive}: holds no {' nor '.join(error.args[0])}; remove it and get it anew") from error
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise DatasetError(
            f"{archive}: a damaged archive ({type(error).__name__}: {error}); remove it and get it anew"
        ) from error


def _write(source: IO[bytes], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with source, open(partial, "wb") as output:
            shutil.copyfileobj(source, output, 1 << 20)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


class _Bounded:
    """What `tarfile` reads from: an unzipped stream that ends with an error instead of filling memory or time."""

    def __init__(self, stream: Any):
        self._stream = stream
        self.tell = stream.tell

    def read(self, n: int = -1) -> bytes:
        if not 0 <= n <= _MAX_READ:  # headers of 512 bytes, names, and our copies; a header may claim anything
            raise tarfile.ReadError(f"a part of {n} bytes")
        return self._stream.read(n)

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or position > _MAX_TOTAL:
            raise tarfile.ReadError(f"more than {_MAX_TOTAL} bytes")
        return self._stream.seek(position)
