"""What is in a file of weights: its tensors, what its pickle names, what else it holds. Nothing in it is run."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..autograd import Size, Tensor
from .bytes_of import FileBytes
from .errors import CheckpointError
from .files import kind_of, load
from .pickled_values import Namespace
from .safetensors import read_metadata
from .torch_legacy import object_program
from .torch_pickle import globals_of
from .torch_zip import Archive

MAX_DEPTH = 20  # dictionaries in dictionaries


@dataclass
class FileDescription:
    """What :func:`describe` found.

    Attributes
    ----------
    kind : ``"zip"`` or ``"legacy"`` (PyTorch), or ``"safetensors"``.
    globals : the names that the pickle refers to, in order; an unpickler would import them.
    tensors : by dotted name, for nested dictionaries joined by ``/``.
    others : text for whatever else it holds, by name.
    metadata : of a safetensors file.
    error : why the file cannot be loaded, or None.
    """

    path: Path
    kind: str
    size: int
    globals: list[str] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    error: CheckpointError | None = None

    def state_dict(self) -> dict[str, Tensor]:
        """The largest dictionary of tensors: the weights, without optimizer state and the like."""
        groups: dict[str, dict[str, Tensor]] = {}
        for name, tensor in self.tensors.items():
            place, _, key = name.rpartition("/")
            groups.setdefault(place, {})[key] = tensor
        return max(groups.values(), key=lambda g: sum(t.numel() for t in g.values()), default={})


def describe(path: str | os.PathLike[str], check_crc: bool = True) -> FileDescription:
    """Look into a file of weights. A file that :func:`minicnn.weights.load` refuses is described as far as it goes.

    Raises
    ------
    FileNotFoundError : no such file.
    CheckpointError : a file of another kind altogether.
    """
    path = Path(path)
    with FileBytes(path) as source:
        found = FileDescription(path, kind_of(source), source.size)
        try:
            if found.kind == "zip":
                found.globals = globals_of(Archive(source, check_crc).pickle())
            elif found.kind == "legacy":
                found.globals = globals_of(object_program(source)[0])
            else:
                found.metadata = read_metadata(path)
        except CheckpointError as error:
            found.error = error
            return found
    try:
        for name, value in _leaves(load(path, mmap=True, check_crc=check_crc), "", set()):
            if isinstance(value, Tensor):
                found.tensors[name] = value
            else:
                found.others[name] = _short(value)
    except CheckpointError as error:
        found.error = error
    return found


def worth_reading(found: FileDescription) -> bool:
    """Whether the tensors have about as many numbers as the file can hold; a hostile one shows a few many times over."""
    return sum(t.numel() for t in found.tensors.values()) <= 4 * found.size + (1 << 24)


def norm(tensor: Tensor) -> float:
    """The L2 norm, computed in float64 a block at a time."""
    flat = tensor._array.reshape(-1)
    total = 0.0
    for start in range(0, flat.size, 1 << 20):
        block = flat[start : start + (1 << 20)].astype(np.float64)
        total += float(np.dot(block, block))
    return float(np.sqrt(total))


def _leaves(value: Any, name: str, seen: set[int], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """What is not a dictionary, with its name. One that is met again, in itself perhaps, is not gone into again."""
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        if id(value) in seen:
            yield name, _Again()
            return
        seen.add(id(value))
        for key, item in value.items():
            yield from _leaves(item, f"{name}/{key}" if name else str(key), seen, depth + 1)
    else:
        yield name or "(the whole file)", value


class _Again:
    def __repr__(self) -> str:
        return "a dictionary that was there already"


def _short(value: Any) -> str:
    """A plain value as text, whatever its size and nesting."""
    if isinstance(value, (str, bytes, bytearray)):
        return repr(value[:60]) + ("..." if len(value) > 60 else "")
    if isinstance(value, np.ndarray):
        return f"NumPy array {value.shape} {value.dtype}"
    if isinstance(value, (list, tuple, set, frozenset, deque, Mapping)) and not isinstance(value, Size):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, Namespace):
        return f"Namespace of {', '.join(vars(value))}"[:80]
    if isinstance(value, int) and abs(value) >= 2**64:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)[:80]
