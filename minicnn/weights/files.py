"""``mc.load`` and ``mc.save``: the formats of weights, told apart by their first bytes. A file never runs code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from ..autograd import Tensor
from ..device import require_cpu
from .atomic import atomic_writer
from .bytes_of import FileBytes
from .errors import CheckpointError
from .safetensors import arrays_of, save_state_dict
from .torch_legacy import load_legacy
from .torch_save import write_zip
from .torch_zip import load_zip

FileLike: TypeAlias = str | os.PathLike[str] | BinaryIO


def load(
    f: FileLike,
    map_location: Any = None,
    pickle_module: None = None,
    *,
    weights_only: bool = True,
    mmap: bool | None = None,
    check_crc: bool = True,
) -> Any:
    """Read what ``mc.save``, ``torch.save`` (of any version since 0.1.10) or safetensors wrote. **Nothing in it is run.**

    Parameters
    ----------
    f : the file's name, or a binary file that can seek.
    map_location : where the tensors go: ``"cpu"``, the only device, whatever they were saved on. ``{"cuda:0": "cpu"}`` and
        ``lambda storage, location: storage`` of older programs mean the same, and the function is not called.
    weights_only : False allows the file to run code, which none does here either way: the result is the same.
    mmap : show the file's bytes rather than read them, so that they take memory only when they are used. The file must
        not be cut short meanwhile; what is written to the tensors stays in this process.
    check_crc : compare the check sums of a zip archive.

    Returns
    -------
    The object that was saved: most often a dictionary of tensors by name. bfloat16 and half precision come as float32. What
    else training checkpoints hold comes too: numbers, text, containers, NumPy's arrays of numbers, dates, paths (as pure
    ones), the attributes of a script's arguments.

    >>> import io, minicnn as mc
    >>> file = io.BytesIO()
    >>> mc.save({"w": mc.ones(2), "epoch": 3}, file)
    >>> mc.load(file)
    {'w': tensor([1., 1.]), 'epoch': 3}

    Raises
    ------
    FileNotFoundError : no such file.
    CheckpointError : a file that is cut short, damaged or hostile, that holds whole models (code), or is of another kind;
        the message says where, why, and what to do.
    """
    if pickle_module is not None:
        raise NotImplementedError(
            "pickle_module would run code from the file, which minicnn never does; leave it out, or save the model's "
            "state_dict() and load that"
        )
    if map_location is not None:
        for device in map_location.values() if isinstance(map_location, dict) else [map_location]:
            if not callable(device):
                require_cpu(device)
    with FileBytes(f, bool(mmap)) as source:
        kind = kind_of(source)
        if kind == "zip":
            return load_zip(source, check_crc)
        if kind == "legacy":
            return load_legacy(source)
        arrays, _ = arrays_of(source)
        return {name: Tensor(array) for name, array in arrays.items()}


def kind_of(source: FileBytes) -> str:
    """``"zip"``, ``"legacy"`` or ``"safetensors"``, by the first bytes.

    Raises
    ------
    CheckpointError : none of them; the message says what it seems to be.
    """
    start = source.piece(0, min(source.size, 512)).tobytes()
    if start[:4] == b"PK\x03\x04":
        return "zip"
    if start[:1] == b"\x80":
        return "legacy"
    if start[8:9] == b"{" or (len(start) >= 8 and 8 + int.from_bytes(start[:8], "little") <= source.size):
        return "safetensors"
    raise CheckpointError(source.path, "start", _guess(start))


def _guess(start: bytes) -> str:
    text = start.lstrip().lower()
    if not start:
        return "is empty"
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page: the download gave an error or asks for a login; open the address in a browser"
    if text.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS and not the file itself; run 'git lfs pull'"
    if start[257:262] == b"ustar":
        return "is a tar archive, as PyTorch wrote before 0.1.10; load and save it again with an old PyTorch"
    if start[:2] == b"\x1f\x8b":
        return "is compressed with gzip; unpack it first"
    if start[:4] == b"\x89HDF":
        return "is an HDF5 file, of Keras perhaps; convert it to safetensors"
    return "is neither a file of torch.save nor of safetensors (or it is cut short)"


def save(obj: Any, f: FileLike, pickle_protocol: int = 2, _use_new_zipfile_serialization: bool = True) -> None:
    """Write an object so that ``torch.load`` reads it; ``NAME.safetensors`` is written as safetensors.

    A file that exists is replaced once the new one is whole (:mod:`minicnn.weights.atomic`); equal objects give equal files.

    Parameters
    ----------
    obj : tensors, numbers, text, and lists, tuples, sets and dictionaries of them: a ``state_dict()``, or a training
        checkpoint such as ``{"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}``. Tensors that
        share memory share it in the file. NumPy's arrays of numbers, dates, paths and a script's arguments come back from
        :func:`load`; ``torch.load`` takes those only with ``weights_only=False``, as if ``torch.save`` had written them.
        NumPy's numbers are saved as Python's, subclasses of dictionaries and tuples as plain ones.
    f : the file's name, or a binary file that can seek.

    Raises
    ------
    TypeError : something else is in it (the message says where), such as a whole module: save its ``state_dict()``.
    ValueError : something contains itself, or far more is there beside the tensors than ``load`` reads.
    OSError : the disk is full or the folder cannot be written.
    """
    if pickle_protocol != 2 or not _use_new_zipfile_serialization:
        raise NotImplementedError(
            "save writes PyTorch's zip files with pickle protocol 2, the default; leave both arguments out"
        )
    if not isinstance(f, (str, os.PathLike)):
        write_zip(obj, f)
        return
    path = Path(f)
    if path.suffix == ".safetensors":
        if not isinstance(obj, dict):
            raise TypeError(f"obj: a .safetensors file holds a dictionary of tensors, got {type(obj).__name__}")
        save_state_dict(obj, path)
        return
    with atomic_writer(path) as file:
        write_zip(obj, file)
