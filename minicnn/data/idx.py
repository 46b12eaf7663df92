"""Reads IDX files, the format of MNIST: a big-endian header, then one array in C order.

    offset 0   0x00 0x00         always zero
    offset 2   type code         0x08 uint8, 0x09 int8, 0x0B int16, 0x0C int32, 0x0D float32, 0x0E float64
    offset 3   d                 number of dimensions
    offset 4   d x uint32        the dimensions
    offset 4 + 4 d               the values

A header is a claim, not a fact: nothing is allocated from it. Values are read a chunk at a time, so a short file that
declares 4 GB costs a short file's memory, and a gzip bomb is left as soon as it exceeds what its header declares.

Read next: `mnist.py`, which gives these arrays their names and classes.
"""

from __future__ import annotations

import gzip
import lzma
import math
import os
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import DTypeLike

from .errors import IDXFormatError

_TYPE_CODES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC, _XZ_MAGIC = b"\x1f\x8b", b"\xfd7zXZ\0"
_XZ_MEMORY = 1 << 27  # what unpacking may take; xz -9 needs half of it
_CHUNK = 1 << 20
_MAX_DIMENSIONS = 8  # far above any data set, far below NumPy's limit


def read_idx(
    source: str | os.PathLike[str] | BinaryIO,
    *,
    ndim: int | None = None,
    dtype: DTypeLike | None = None,
    max_bytes: int = 1 << 30,
) -> np.ndarray:
    """Read one IDX file, plain or compressed with gzip or xz (told apart by content, not by name).

    Parameters
    ----------
    source : a path, or a seekable binary file.
    ndim : the number of dimensions the file must have; None accepts 1 to 8.
    dtype : the type its values must have; None accepts any of IDX's six.
    max_bytes : refuse files whose values take more than this, unpacked.

    Returns
    -------
    array of the declared shape, in native byte order, writable and C-contiguous.

    Raises
    ------
    IDXFormatError : wrong magic, type code or number of dimensions, an absurd size, too few or too many bytes, or a
        damaged gzip stream. The message names the file, the byte offset, what is there and what was expected.
    OSError : the file cannot be opened or read.

    >>> import io
    >>> read_idx(io.BytesIO(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9])))
    array([7, 8, 9], dtype=uint8)
    >>> read_idx(io.BytesIO(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8])))
    Traceback (most recent call last):
    minicnn.data.errors.IDXFormatError: <stream>: truncated at byte 10: the header declares shape (3,), 3 bytes ...
    """
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            return _read(file, str(Path(source)), ndim, dtype, max_bytes)
    return _read(source, str(getattr(source, "name", "<stream>")), ndim, dtype, max_bytes)


def _read(file: BinaryIO, name: str, ndim: int | None, dtype: DTypeLike | None, max_bytes: int) -> np.ndarray:
    start = file.tell()
    magic = file.read(len(_XZ_MAGIC))
    file.seek(start)
    kind = "gz" if magic.startswith(_GZIP_MAGIC) else "xz" if magic == _XZ_MAGIC else None
    if kind is None:
        return _parse(file, name, ndim, dtype, max_bytes)
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") if kind == "gz" else nullcontext(_Unxz(file)) as unpacked:
            return _parse(unpacked, name, ndim, dtype, max_bytes)
    except (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError) as error:
        raise IDXFormatError(
            f"{name}: damaged {'gzip' if kind == 'gz' else kind} stream ({error}); expected a whole .{kind} file. "
            "Fetch the file again"
        ) from error


class _Unxz:
    """An unpacked .xz file, read from the front with bounded memory, which `lzma.open` does not offer."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)

    def read(self, n: int) -> bytes:
        found = b""
        while len(found) < n and not self._unpacker.eof:
            packed = self._file.read(_CHUNK) if self._unpacker.needs_input else b""
            if self._unpacker.needs_input and not packed:
                raise EOFError("it ends before its end")
            found += self._unpacker.decompress(packed, n - len(found))
        return found


def _parse(stream: Any, name: str, ndim: int | None, dtype: DTypeLike | None, max_bytes: int) -> np.ndarray:
    head = stream.read(4)
    if len(head) < 4:
        raise IDXFormatError(f"{name}: truncated at byte {len(head)}: an IDX file begins with a header of 4 bytes")
    if head[:2] != b"\0\0":
        raise IDXFormatError(
            f"{name}: wrong magic {head[:2].hex(' ')} at byte 0: an IDX file begins with 00 00. Is it one?"
        )
    stored = _stored_dtype(head[2], name, dtype)
    n_dims = head[3]
    if ndim is not None and n_dims != ndim:
        raise IDXFormatError(f"{name}: {n_dims} dimensions declared at byte 3, expected {ndim}")
    if not 1 <= n_dims <= _MAX_DIMENSIONS:
        raise IDXFormatError(f"{name}: {n_dims} dimensions declared at byte 3, expected 1 to {_MAX_DIMENSIONS}")

    sizes = stream.read(4 * n_dims)
    if len(sizes) < 4 * n_dims:
        raise IDXFormatError(
            f"{name}: truncated at byte {4 + len(sizes)}: {n_dims} dimensions take a header of {4 + 4 * n_dims} bytes"
        )
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, len(sizes), 4))
    # A zero among huge dimensions makes an empty product that NumPy still refuses: count it as one here.
    if math.prod(max(size, 1) for size in shape) * stored.itemsize > max_bytes:
        raise IDXFormatError(f"{name}: shape {shape} declared at byte 4 takes more than the {max_bytes} bytes allowed")

    n_bytes = math.prod(shape) * stored.itemsize
    data = _read_at_most(stream, n_bytes + 1)  # one byte more: to see trailing ones, and to reach gzip's checksum
    header = 4 + 4 * n_dims
    if len(data) < n_bytes:
        raise IDXFormatError(
            f"{name}: truncated at byte {header + len(data)}: the header declares shape {shape}, {n_bytes} bytes after "
            f"the first {header}. Fetch the file again"
        )
    if len(data) > n_bytes:
        raise IDXFormatError(
            f"{name}: trailing bytes from byte {header + n_bytes} on: the header declares shape {shape}, no more"
        )
    array = np.frombuffer(data, dtype=stored).reshape(shape)
    return array.astype(stored.newbyteorder("="), copy=False)


def _stored_dtype(code: int, name: str, expected: DTypeLike | None) -> np.dtype:
    if code not in _TYPE_CODES:
        known = ", ".join(f"0x{known:02x}" for known in _TYPE_CODES)
        raise IDXFormatError(f"{name}: unknown type code 0x{code:02x} at byte 2: expected one of {known}")
    stored = np.dtype(_TYPE_CODES[code])
    if expected is not None and stored != np.dtype(expected).newbyteorder(">"):
        raise IDXFormatError(
            f"{name}: type code 0x{code:02x} ({stored.newbyteorder('=')}) at byte 2, expected {np.dtype(expected)}"
        )
    return stored


def _read_at_most(stream: Any, limit: int) -> bytearray:
    """Up to ``limit`` bytes, taking memory only for those that really come."""
    data = bytearray()
    while len(data) < limit:
        chunk = stream.read(min(_CHUNK, limit - len(data)))
        if not chunk:
            break
        data += chunk
    return data
