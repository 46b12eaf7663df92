"""The files of ``torch.save`` before PyTorch 1.6: pickles one after another, then the storages' bytes.

::

    pickle      the magic number 0x1950a86a20f9469cfc6c
    pickle      the protocol, 1001
    pickle      {"protocol_version": 1001, "little_endian": True, "type_sizes": {...}}
    pickle      the object (torch_pickle.py)
    pickle      the storages' keys, in the order of what follows
    for each    an int64, how many numbers; then their bytes
"""

from __future__ import annotations

from typing import Any

from .bytes_of import FileBytes
from .errors import CheckpointError
from .torch_pickle import Interpreter, opcodes

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def object_program(source: FileBytes) -> tuple[list[tuple[str, Any, int]], bool]:
    """The opcodes of the object's pickle, and whether the bytes that follow are big-endian; the file stands behind it.

    Raises
    ------
    CheckpointError : the file does not start as PyTorch's do.
    """
    path = source.path
    source.file.seek(0)
    start = []
    for place in ("magic number", "protocol", "system information"):
        program = opcodes(source.file, path, place, most=1000)
        start.append(Interpreter(path, place, program).run())
    magic, protocol, system = start
    if magic != MAGIC:
        raise CheckpointError(path, "start", "is a pickle, but not one of PyTorch's: nothing of it was run")
    if protocol != PROTOCOL or type(system) is not dict or type(system.get("little_endian")) is not bool:
        raise CheckpointError(path, "start", "is a version of PyTorch's files that is not known")
    return opcodes(source.file, path, "object"), not system["little_endian"]


def load_legacy(source: FileBytes) -> Any:
    """The object in a file of an old ``torch.save``: see :func:`minicnn.weights.load`."""
    path = source.path
    program, big_endian = object_program(source)
    reader = Interpreter(path, "object", program)
    result = reader.run()
    keys = Interpreter(path, "keys", opcodes(source.file, path, "keys")).run()
    if type(keys) is not list or not all(type(key) is str for key in keys) or len(set(keys)) != len(keys):
        raise CheckpointError(path, "keys", "are no list of different names")
    if missing := sorted(set(reader.storages) - set(keys)):
        raise CheckpointError(path, "keys", f"lack the storage {missing[0][:200]!r}")
    position = source.file.tell()
    for key in keys:
        place = f"storage {key[:200]!r}"
        storage = reader.storages.get(key)
        if storage is None:
            raise CheckpointError(path, place, "belongs to no tensor, so its type is not known")
        if position + 8 + storage.nbytes > source.size:
            raise CheckpointError(
                path, place, f"is cut short: {storage.nbytes} bytes are expected. Copy the file again"
            )
        numel = int.from_bytes(source.piece(position, 8).tobytes(), "big" if big_endian else "little", signed=True)
        if numel != storage.numel:
            raise CheckpointError(path, place, f"has {numel} numbers, but the pickle says {storage.numel}")
        storage.decode(source.piece(position + 8, storage.nbytes), big_endian)
        position += 8 + storage.nbytes
    if position != source.size:
        raise CheckpointError(path, "end", f"has {source.size - position} bytes that belong to nothing")
    reader.bind()
    return result
