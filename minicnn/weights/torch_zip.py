"""The files of ``torch.save`` since PyTorch 1.6: a zip archive whose entries are stored, never compressed.

::

    NAME/data.pkl       the object, a pickle in which storages are named and not contained (torch_pickle.py)
    NAME/data/KEY       a storage's bytes
    NAME/byteorder      "little" or "big"
    NAME/version        "3"

The standard library reads the archive's table of contents; nothing is extracted, each entry must lie whole in the file
under a name of its own, and its check sum is compared when its bytes are read.
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np

from .bytes_of import FileBytes
from .errors import CheckpointError
from .torch_pickle import Interpreter, opcodes

MAX_PICKLE = 256 * 2**20
_LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")


class Archive:
    """The entries of a zip file that PyTorch could have written.

    Raises
    ------
    CheckpointError : it is no zip file, is damaged, or does what PyTorch's never do.
    """

    def __init__(self, source: FileBytes, check_crc: bool = True):
        path = self.path = source.path
        self.source, self.check_crc = source, check_crc
        try:
            with zipfile.ZipFile(source.file) as archive:
                entries = archive.infolist()
        except (
            zipfile.BadZipFile,
            zipfile.LargeZipFile,
            NotImplementedError,
            ValueError,
            EOFError,
            OverflowError,
        ) as error:
            raise CheckpointError(
                path, "end", f"has no zip archive's table of contents ({error}); is it cut short?"
            ) from None
        except struct.error as error:
            raise CheckpointError(path, "end", f"has a damaged table of contents ({error})") from None
        self.entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            if entry.filename in self.entries:
                raise CheckpointError(path, f"entry {entry.filename[:200]!r}", "is there twice")
            self.entries[entry.filename] = entry
        roots = [
            name.removesuffix("/data.pkl")
            for name in self.entries
            if name.count("/") == 1 and name.endswith("/data.pkl")
        ]
        if len(roots) != 1:
            raise CheckpointError(
                path, "archive", f"has {len(roots)} entries NAME/data.pkl, expected one: torch.save did not write it"
            )
        self.root = roots[0]
        if f"{self.root}/constants.pkl" in self.entries:
            raise CheckpointError(
                path,
                "archive",
                "is a TorchScript program, which is code; save the model's state_dict() with PyTorch and load that",
            )

    def span(self, name: str) -> tuple[int, int]:
        """Where the bytes of ``ROOT/name`` start in the file, and how many there are."""
        entry = self.entries.get(f"{self.root}/{name}")
        place = f"entry {name[:200]!r}"
        if entry is None:
            raise CheckpointError(self.path, place, "is missing")
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise CheckpointError(self.path, place, "is compressed, which PyTorch never does")
        if entry.flag_bits & 1:
            raise CheckpointError(self.path, place, "is encrypted")
        start, size = entry.header_offset, self.source.size
        if start < 0 or start + _LOCAL_HEADER.size > size:
            raise CheckpointError(self.path, place, "starts behind the end of the file")
        magic, *_, name_length, extra_length = _LOCAL_HEADER.unpack(bytes(self.source.piece(start, _LOCAL_HEADER.size)))
        start += _LOCAL_HEADER.size + name_length + extra_length
        if magic != b"PK\x03\x04" or entry.file_size < 0 or start + entry.file_size > size:
            raise CheckpointError(
                self.path, place, f"says it has {entry.file_size} bytes, which the file does not hold there"
            )
        return start, entry.file_size

    def read(self, name: str) -> np.ndarray:
        """The bytes of ``ROOT/name``, with the check sum compared."""
        start, length = self.span(name)
        if not self.check_crc:
            return self.source.piece(start, length)
        data, crc = self.source.piece_and_crc(start, length)
        if crc != self.entries[f"{self.root}/{name}"].CRC:
            raise CheckpointError(
                self.path,
                f"entry {name[:200]!r}",
                "has another check sum than it should: the bytes are damaged. Copy the file again; where the check sum "
                "itself is known to be wrong, check_crc=False skips the comparison",
            )
        return data

    def pickle(self) -> list[tuple[str, Any, int]]:
        """The opcodes of ``data.pkl``."""
        _, length = self.span("data.pkl")
        if length > MAX_PICKLE:
            raise CheckpointError(
                self.path, "data.pkl", f"has {length} bytes, more than the {MAX_PICKLE} that are read"
            )
        return opcodes(io.BytesIO(self.read("data.pkl").tobytes()), self.path, "data.pkl")

    def big_endian(self) -> bool:
        if f"{self.root}/byteorder" not in self.entries:
            return False
        if self.span("byteorder")[1] > 16:
            raise CheckpointError(self.path, "entry 'byteorder'", "is neither 'little' nor 'big'")
        order = self.read("byteorder").tobytes()
        if order not in (b"little", b"big"):
            raise CheckpointError(self.path, "entry 'byteorder'", f"is {order!r}, expected 'little' or 'big'")
        return order == b"big"


def load_zip(source: FileBytes, check_crc: bool = True) -> Any:
    """The object in a file of ``torch.save``: see :func:`minicnn.weights.load`."""
    archive = Archive(source, check_crc)
    reader = Interpreter(source.path, "data.pkl", archive.pickle())
    result = reader.run()
    big_endian = archive.big_endian()
    if sum(storage.nbytes for storage in reader.storages.values()) > source.size:
        raise CheckpointError(source.path, "data.pkl", f"names more bytes of storages than the file's {source.size}")
    for key, storage in reader.storages.items():
        _, length = archive.span(f"data/{key}")
        if length != storage.nbytes:
            place = f"entry {'data/' + key[:200]!r}"
            raise CheckpointError(source.path, place, f"has {length} bytes, but the pickle says {storage.nbytes}")
        storage.decode(archive.read(f"data/{key}"), big_endian)
    reader.bind()
    return result
