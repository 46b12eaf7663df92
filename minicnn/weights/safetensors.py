"""State dicts as safetensors files: named arrays and nothing that could run.

The format (https://github.com/huggingface/safetensors) is three things in a row::

    8 bytes      n, the length of the header, little-endian
    n bytes      JSON: {"__metadata__": {text: text}, name: {"dtype": "F32", "shape": [..], "data_offsets": [a, b]}, ..}
    the rest     the arrays' bytes, little-endian, row-major, one after another without gaps

Reading goes through the safetensors library, which knows the rules of the header; its errors come out as
:class:`CheckpointError`. Writing is done here: the library puts metadata in a random order, and equal weights should
give equal files, byte for byte.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..autograd import Tensor
from .atomic import atomic_writer
from .bytes_of import FileBytes, is_possible
from .errors import CheckpointError

# In the order that the arrays have in a file: widest first, so that each starts at a multiple of its item size. (Among
# types of one width the order is the library's.)
_CODES: dict[str, np.dtype[Any]] = {
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: code for code, dtype in _CODES.items()}
_ORDER = list(_CODES)
_MAX_HEADER = 100_000_000  # the library's own limit


def save_state_dict(
    state_dict: Mapping[str, Tensor], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a state dict as a safetensors file, which ``safetensors.torch.load_file`` reads too.

    Parameters
    ----------
    state_dict : what ``module.state_dict()`` returns: names and tensors.
    path : the file; one that exists is replaced once the new one is whole (see :mod:`minicnn.weights.atomic`).
    metadata : text by name, kept in the header.

    Raises
    ------
    TypeError : a value that is not a tensor, a dtype that the format lacks, or metadata that is not text.
    OSError : the disk is full or the folder cannot be written.

    >>> import tempfile, minicnn as mc
    >>> path = Path(tempfile.mkdtemp()) / "weights.safetensors"
    >>> save_state_dict({"w": mc.ones(2, 3)}, path, {"model": "mine"})
    >>> load_state_dict_file(path)["w"].shape, read_metadata(path)
    (minicnn.Size([2, 3]), {'model': 'mine'})
    """
    for name, value in state_dict.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"state_dict[{name!r}]: expected a tensor, got {type(value).__name__}")
    save_arrays({name: value.detach().numpy() for name, value in state_dict.items()}, path, metadata)


def load_state_dict_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a safetensors file into a dict of tensors, ready for ``module.load_state_dict``.

    Half-precision arrays (F16, BF16) come out as float32, which holds every one of their values.

    Raises
    ------
    FileNotFoundError : no such file.
    CheckpointError : a file that is cut short, malformed, or holds a type that minicnn lacks.
    """
    arrays, _ = load_arrays(path)
    return {name: Tensor(array) for name, array in arrays.items()}


def save_arrays(
    arrays: Mapping[str, np.ndarray], path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """:func:`save_state_dict` for NumPy arrays of any strides."""
    codes = {}
    for name, array in arrays.items():
        code = _NAMES.get(array.dtype.newbyteorder("<"))
        if code is None:
            known = ", ".join(str(dtype) for dtype in _NAMES)
            raise TypeError(f"{name!r}: a safetensors file from minicnn holds {known}, not {array.dtype}")
        codes[name] = code
    for key, value in (metadata or {}).items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(
                f"metadata[{key!r}]: expected text, got {type(value).__name__}; json.dumps makes text of it"
            )

    names = sorted(arrays, key=lambda name: (_ORDER.index(codes[name]), name))
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    offset = 0
    for name in names:
        end = offset + arrays[name].nbytes
        header[name] = {"dtype": codes[name], "shape": list(arrays[name].shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with atomic_writer(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in names:
            array = arrays[name]
            file.write(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes())  # row-major, any strides


def load_arrays(
    path: str | os.PathLike[str] | BinaryIO, mapped: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a safetensors file: (arrays by name, metadata). The arrays may be written to; the file stays as it is.

    Parameters
    ----------
    path : the file, or one that is open.
    mapped : show the file's own bytes (see :mod:`minicnn.weights.bytes_of`) where they need no conversion.

    Raises
    ------
    FileNotFoundError : no such file.
    CheckpointError : a file that is cut short, malformed, or holds a type that minicnn lacks.
    """
    with FileBytes(path, mapped) as source:
        return arrays_of(source)


def arrays_of(source: FileBytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """:func:`load_arrays` of a file that is open."""
    header, start = _read_header(source)
    metadata = header.pop("__metadata__")
    _check_rules(source)
    arrays = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        arrays[name] = _decode(source.path, name, entry, source.piece(start + begin, end - begin))
    return arrays, metadata


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata of a safetensors file, without reading its arrays.

    Raises
    ------
    FileNotFoundError : no such file.
    CheckpointError : a header that is cut short or malformed.
    """
    with FileBytes(path) as source:
        return _read_header(source)[0]["__metadata__"]


def _read_header(source: FileBytes) -> tuple[dict[str, Any], int]:
    """The header's JSON object, and where the arrays' bytes start."""
    path, size = source.path, source.size
    if size < 8:
        raise CheckpointError(path, "start", f"has {size} bytes, fewer than the 8 that give the header's length")
    length = int.from_bytes(source.piece(0, 8).tobytes(), "little")
    if length > _MAX_HEADER:
        raise CheckpointError(path, "start", f"announces a header of {length} bytes: this is no safetensors file")
    if 8 + length > size:
        raise CheckpointError(
            path, "header", f"is cut short: {length} bytes announced, {size - 8} there. Copy the file again"
        )
    try:
        header = json.loads(source.piece(8, length).tobytes(), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, "header", f"is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise CheckpointError(path, "header", f"is a JSON {type(header).__name__}, not an object")
    if not isinstance(header.setdefault("__metadata__", {}), dict):
        raise CheckpointError(path, "header", "has metadata that is not a JSON object")
    return header, 8 + length


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(names := dict(pairs)) != len(pairs):
        raise ValueError("a name is there twice")
    return names


def _check_rules(source: FileBytes) -> None:
    """The format's rules (offsets without gaps, sizes that fit the shapes, ...), checked by its own library."""
    from safetensors import SafetensorError, deserialize, safe_open

    try:
        if source.named:
            with safe_open(source.path, framework="np"):
                pass
        else:
            deserialize(source.piece(0, source.size).tobytes())
    except SafetensorError as error:
        raise CheckpointError(source.path, "header", f"is not what a safetensors file has ({error})") from None


def _decode(path: Path, name: str, entry: Mapping[str, Any], data: np.ndarray) -> np.ndarray:
    code, shape = entry["dtype"], entry["shape"]
    if not is_possible(shape):
        raise CheckpointError(
            path, f"tensor {name[:200]!r}", f"has a shape of {len(shape)} dimensions that NumPy cannot make"
        )
    if code == "BF16":  # the upper half of a float32
        return (data.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(shape)
    if code == "F16":
        return data.view("<f2").astype(np.float32).reshape(shape)
    if code not in _CODES:
        known = ", ".join((*_CODES, "F16", "BF16"))
        raise CheckpointError(path, f"tensor {name!r}", f"has type {code}; minicnn reads {known}")
    if code == "BOOL":
        return (data != 0).reshape(shape)
    array = data.view(_CODES[code])
    if not array.flags.aligned:
        array = array.copy()
    return array.astype(array.dtype.newbyteorder("="), copy=False).reshape(shape)
