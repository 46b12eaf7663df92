"""A file's bytes as arrays: read into memory of their own, or mapped.

Mapped bytes are read from the disk when they are first touched, and a change stays in this process (copy on write). Whoever
maps a file must know that nobody cuts it short meanwhile; a file that is replaced by renaming (``atomic.py``) is safe.
"""

from __future__ import annotations

import math
import mmap
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from minicnn_kernels.threads import get_num_threads

MAX_DIMENSIONS = 64  # NumPy's
CHUNK = 8 << 20  # bytes that are read before their check sum is begun


def _room(length: int) -> np.ndarray:
    """Memory for so many bytes of a file.

    NumPy asks for pages of 2 MB from 4 MB on. The system clears such a page whole before anything is read into it, by
    which time its beginning has left the cache; a page of 4 KB is still there. Loading VGG-16 takes a quarter less time.
    """
    return np.frombuffer(mmap.mmap(-1, length), np.uint8) if length >= 4 << 20 else np.empty(length, np.uint8)


def is_possible(shape: Sequence[int]) -> bool:
    """Whether NumPy can make an array of this shape, in bytes that 63 bits count; it counts them without the zeros.

    >>> is_possible((3, 0, 5)), is_possible((2**61, 0))
    (True, False)
    """
    return len(shape) <= MAX_DIMENSIONS and math.prod(n or 1 for n in shape) < 2**59


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
        out = _room(length)
        self._fill(out, start)
        return out

    def _fill(self, out: np.ndarray, start: int) -> None:
        self.file.seek(start)
        got = self.file.readinto(out.data) if out.size else 0  # type: ignore[attr-defined]
        if got != out.size:
            raise OSError(
                f"the file ended after {start + (got or 0)} bytes while it was read; {start + out.size} were expected"
            )

    def piece_and_crc(self, start: int, length: int) -> tuple[np.ndarray, int]:
        """:meth:`piece`, and the CRC-32 of its bytes.

        A check sum takes about as long as the reading. If minicnn may use two threads, a second one sums the bytes that are
        there while this one reads the next.
        """
        if self._mapping is not None or length <= CHUNK or get_num_threads() == 1:
            data = self.piece(start, length)
            return data, zlib.crc32(data.data)
        assert 0 <= start <= start + length <= self.size
        out, crc = _room(length), 0

        def add(chunk: np.ndarray) -> None:
            nonlocal crc
            crc = zlib.crc32(chunk.data, crc)

        with ThreadPoolExecutor(1) as second:  # one thread: it takes the chunks in their order
            for begin in range(0, length, CHUNK):
                chunk = out[begin : begin + CHUNK]
                self._fill(chunk, start + begin)
                second.submit(add, chunk)
        return out, crc
