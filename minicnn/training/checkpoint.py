"""Training checkpoints: nested state in one file, written so that a kill leaves the old one or the new one whole.

The file is a safetensors file. The tensors of the state are its tensors; everything else (numbers, text, lists, dicts)
is JSON in the header's metadata, with a marker where each tensor belongs. JSON keeps Python's floats and integers
exactly, and a file of numbers and text cannot run code, as a pickle could. A CRC-32 over all of it finds bits that
flipped on the way. The loop that saves and loads: :mod:`minicnn.training.trainer`.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autograd import Tensor
from ..weights import CheckpointError, load_arrays, save_arrays

_FORMAT = "minicnn checkpoint 1"


def save_checkpoint(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write ``state`` to ``path``, replacing what was there only when the new file is whole and on the disk.

    Parameters
    ----------
    state : dicts, lists and tuples of tensors, NumPy arrays, numbers, text, booleans and None, nested at will. Keys of
        dicts may be text or integers.

    Raises
    ------
    TypeError : something else in the state; the message says where.
    OSError : the disk is full or the folder cannot be written. The old file is untouched.

    >>> import tempfile, minicnn as mc
    >>> path = os.path.join(tempfile.mkdtemp(), "checkpoint.safetensors")
    >>> save_checkpoint(path, {"step": 3, "betas": (0.9, 0.999), "state": {0: {"m": mc.ones(2)}}})
    >>> load_checkpoint(path)
    {'step': 3, 'betas': (0.9, 0.999), 'state': {0: {'m': tensor([1., 1.])}}}
    """
    arrays: dict[str, np.ndarray] = {}
    text = json.dumps(_encode(state, "", arrays), separators=(",", ":"))
    metadata = {"format": _FORMAT, "state": text, "crc32": str(_crc(text, arrays))}
    save_arrays(arrays, path, metadata)


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read what :func:`save_checkpoint` wrote: equal values, tensors and arrays in fresh memory.

    Raises
    ------
    FileNotFoundError : no such file.
    CheckpointError : a file that is cut short, changed, or no checkpoint of minicnn.
    """
    arrays, metadata = load_arrays(path)
    if metadata.get("format") != _FORMAT:
        found = metadata.get("format", "none")
        raise CheckpointError(
            path, "header", f"is not a training checkpoint of this version (format {found!r}, expected {_FORMAT!r})"
        )
    text = metadata.get("state", "")
    if metadata.get("crc32") != str(_crc(text, arrays)):
        raise CheckpointError(
            path, "contents", "do not match their checksum: the file was damaged after it was written"
        )
    try:
        state = _decode(json.loads(text), arrays)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise CheckpointError(path, "state", f"cannot be understood ({type(error).__name__}: {error})") from None
    if not isinstance(state, dict):
        raise CheckpointError(path, "state", f"is a {type(state).__name__}, not a dict")
    return state


def _crc(text: str, arrays: Mapping[str, np.ndarray]) -> int:
    crc = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), crc)
        crc = zlib.crc32(array.tobytes(), crc)
    return crc


def _encode(value: Any, place: str, arrays: dict[str, np.ndarray]) -> Any:
    """``value`` as JSON; tensors go to ``arrays`` under their place, such as ``optimizer/state/0/step``."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        arrays[place] = value.detach().numpy()
        return {"$tensor": place}
    if isinstance(value, np.ndarray):
        arrays[place] = value
        return {"$array": place}
    if isinstance(value, Mapping):
        items = [(key, _encode(item, f"{place}/{key}" if place else str(key), arrays)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key, _ in items):
            return dict(items)
        for key, _ in items:
            if isinstance(key, bool) or not isinstance(key, (int, str)):
                raise TypeError(f"state[{place!r}]: keys must be text or integers, got {key!r}")
        return {"$dict": items}  # JSON's own keys are text only; the optimisers' are integers
    if isinstance(value, (list, tuple)):
        items = [_encode(item, f"{place}/{i}", arrays) for i, item in enumerate(value)]
        return {"$tuple": items} if isinstance(value, tuple) else items
    raise TypeError(
        f"state[{place!r}]: a checkpoint holds tensors, arrays, numbers, text, lists, tuples and dicts, "
        f"not {type(value).__name__}"
    )


def _decode(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("$tensor", place)]:
            return Tensor(arrays[place])
        case [("$array", place)]:
            return arrays[place]
        case [("$tuple", items)]:
            return tuple(_decode(item, arrays) for item in items)
        case [("$dict", items)]:
            return {key: _decode(item, arrays) for key, item in items}
    return {key: _decode(item, arrays) for key, item in value.items()}
