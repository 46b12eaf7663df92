"""A file's bytes as arrays: read into memory of their own, or mapped.

Mapped bytes are read from the disk when they are first touched, and a change stays in this process (copy on write). Whoever
maps a file must know that nobody cuts it short meanwhile; a file that is replaced by renaming (``atomic.py``) is safe.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np


class FileBytes:
    """Pieces of a file, as arrays of uint8 that may be written to. A context manager.

    Parameters
    ----------
    source : the file, by name or open (binary, seekable; it is left open).
    mapped : map it, rather than read the pieces. Only for a name.
    """

    def __init__(self, source: str | os.PathLike[str] | BinaryIO, mapped: bool = False):
        self._mapping = None
        self.named = isinstance(source, (str, os.PathLike))
        if isinstance(source, (str, os.PathLike)):
            self.path = Path(source)
            self.file: BinaryIO = open(source, "rb")  # noqa: SIM115  closed by __exit__
            self.size = os.fstat(self.file.fileno()).st_size
            if mapped and self.size:
                self._mapping = mmap.mmap(self.file.fileno(), 0, access=mmap.ACCESS_COPY)
        else:
            self.path = Path(str(getattr(source, "name", "the stream")))
            self.file = source
            self.size = source.seek(0, os.SEEK_END)
            source.seek(0)

    def __enter__(self) -> FileBytes:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.named:
            self.file.close()  # a mapping lives on while an array shows it

    def piece(self, start: int, length: int) -> np.ndarray:
        """``length`` bytes from ``start``. The caller has checked that the file has them."""
        assert 0 <= start <= start + length <= self.size
        if self._mapping is not None:
            return np.frombuffer(self._mapping, np.uint8, length, start)
        out = np.empty(length, np.uint8)
        self.file.seek(start)
        got = self.file.readinto(out.data) if length else 0  # type: ignore[attr-defined]
        if got != length:
            raise OSError(
                f"the file ended after {start + (got or 0)} bytes while it was read; {start + length} were expected"
            )
        return out
