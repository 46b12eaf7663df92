"""Writing the files that ``torch.load`` reads: the zip archive of ``torch_zip.py``.

The pickle is written opcode by opcode, so that it can name PyTorch's functions without PyTorch being there. Storages
follow at multiples of 64 bytes, as PyTorch lays them, so that it can map the file.
"""

from __future__ import annotations

import struct
import zipfile
from collections import OrderedDict
from typing import Any, BinaryIO

import numpy as np

from ..autograd import Tensor
from .reduced_values import Call, Name, reduced
from .torch_pickle import STORAGES
from .torch_zip import MAX_PICKLE

ALIGNMENT = 64
_TYPES = {
    np.dtype("?" if code == "b1" else code): name for name, code in STORAGES.items() if code not in ("bf16", "f2")
}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal objects give equal files


class _Pickle:
    """Opcodes of protocol 2 for the values that a checkpoint is made of; storages are collected on the way."""

    def __init__(self) -> None:
        self.out = bytearray(b"\x80\x02")
        self.storages: list[np.ndarray] = []
        self._keys: dict[int, int] = {}
        self._open: set[int] = set()

    def value(self, x: Any, place: str) -> None:
        put = self.out.extend
        kind = type(x)
        if x is None:
            put(b"N")
        elif kind is bool:
            put(b"\x88" if x else b"\x89")
        elif kind is int:
            self._integer(x)
        elif kind is float:
            put(b"G" + struct.pack(">d", x))
        elif kind is str:
            data = x.encode("utf-8", "surrogatepass")
            put(b"X" + struct.pack("<I", len(data)) + data)
        elif isinstance(x, Tensor):
            self._tensor(x, place)
        elif isinstance(x, np.generic) and type(x.item()) is not kind:
            self.value(x.item(), place)
        elif kind is Name:
            self._name(*x)
        else:
            self._container(x, kind, place)

    def _container(self, x: Any, kind: type, place: str) -> None:
        if id(x) in self._open:
            raise ValueError(f"{place}: this {kind.__name__} contains itself")
        self._open.add(id(x))
        put = self.out.extend
        if isinstance(x, OrderedDict):
            self._name("collections", "OrderedDict")
            put(b")R")
            self._items(x, place)
            metadata = getattr(x, "_metadata", None)
            if metadata is not None:
                self.value({"_metadata": OrderedDict(metadata)}, f"{place}._metadata")
                put(b"b")
        elif (found := reduced(x)) is not None:
            self._call(found, place)
        elif isinstance(x, dict):
            put(b"}")
            self._items(x, place)
        elif kind is list:
            put(b"](")
            for i, item in enumerate(x):
                self.value(item, f"{place}[{i}]")
            put(b"e")
        elif isinstance(x, tuple):
            put(b"(")
            for i, item in enumerate(x):
                self.value(item, f"{place}[{i}]")
            put(b"t")
        else:
            what = f" of {x.dtype}" if isinstance(x, np.ndarray) else ""
            raise TypeError(
                f"{place}: a {kind.__module__}.{kind.__qualname__}{what} cannot be saved: a file holds tensors, numbers, "
                "text, NumPy's arrays of numbers, dates, paths, and lists, tuples, sets and dictionaries of them. Of a "
                "module save its state_dict()"
            )
        self._open.discard(id(x))

    def _call(self, found: Call | Name, place: str) -> None:
        self._name(*(found if isinstance(found, Name) else found.function))
        if isinstance(found, Call):
            self.value(found.arguments, place)
            self.out.extend(b"R")
            if found.state is not None:
                self.value(found.state, place)
                self.out.extend(b"b")

    def _items(self, x: dict[Any, Any], place: str) -> None:
        self.out.extend(b"(")
        for key, item in x.items():
            key = key.item() if isinstance(key, np.generic) else key  # numpy.unique's, of classes that are counted
            if type(key) not in (str, int, float, bool, bytes, type(None)):
                raise TypeError(f"{place}: a key of type {type(key).__name__}; keys are text or numbers")
            if type(key) is int and key.bit_length() > 64:
                raise TypeError(f"{place}: a whole number of {key.bit_length()} bits as a key, which load refuses")
            self.value(key, place)
            self.value(item, f"{place}[{key!r}]")
        self.out.extend(b"u")

    def _integer(self, x: int) -> None:
        if -(2**31) <= x < 2**31:
            self.out.extend(b"J" + struct.pack("<i", x))
        else:
            data = x.to_bytes(x.bit_length() // 8 + 1, "little", signed=True)
            if len(data) < 256:
                self.out.extend(b"\x8a" + bytes([len(data)]) + data)
            else:
                self.out.extend(b"\x8b" + struct.pack("<i", len(data)) + data)

    def _name(self, module: str, name: str) -> None:
        self.out.extend(f"c{module}\n{name}\n".encode())

    def _tensor(self, x: Tensor, place: str) -> None:
        """``torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, OrderedDict())``."""
        array = x._array
        if (seen := self._seen(array)) is not None:
            base, offset, stride = seen
            key = self._keys[base.ctypes.data]
        else:
            base, offset, stride = _storage_of(array)
            key = len(self.storages)
            self.storages.append(base)
            self._keys.setdefault(base.ctypes.data, key)
        self._name("torch._utils", "_rebuild_tensor_v2")
        self.out.extend(b"((")
        self.value("storage", place)
        self._name("torch", _TYPES[base.dtype])
        self.value(str(key), place)
        self.value("cpu", place)
        self._integer(base.size)
        self.out.extend(b"tQ")
        self._integer(offset)
        self.value(tuple(array.shape), place)
        self.value(stride, place)
        self.value(x.requires_grad, place)
        self._name("collections", "OrderedDict")
        self.out.extend(b")RtR")

    def _seen(self, array: np.ndarray) -> tuple[np.ndarray, int, tuple[int, ...]] | None:
        """The array as a view of a storage that is written already."""
        found = _whole(array)
        key = None if found is None else self._keys.get(found[0].ctypes.data)
        if found is None or key is None:
            return None
        storage = self.storages[key]
        return found if (storage.dtype, storage.size) == (found[0].dtype, found[0].size) else None


def _whole(array: np.ndarray) -> tuple[np.ndarray, int, tuple[int, ...]] | None:
    """The whole memory that an array looks into, as one flat array; where it starts in it, and its strides, in elements.

    None where that memory is not numbers of this one type without gaps.
    """
    base = array
    while isinstance(base.base, np.ndarray) and base.base.dtype == array.dtype:
        base = base.base
    whole = _flat(base)
    if whole is None or array.size == 0 or min(array.strides, default=0) < 0 or not array.dtype.isnative:
        return None
    itemsize = array.itemsize
    offset = (array.ctypes.data - whole.ctypes.data) // itemsize
    return whole, offset, tuple(s // itemsize for s in array.strides)


def _storage_of(array: np.ndarray) -> tuple[np.ndarray, int, tuple[int, ...]]:
    """The storage to write for an array: the memory it shows, or a copy of what it shows where that is less than half."""
    found = _whole(array)
    if found is not None and array.size * 2 >= found[0].size:
        return found
    copy = np.array(array, dtype=array.dtype.newbyteorder("="), order="K", copy=True)
    flat = _flat(copy)
    if flat is None:
        copy = np.ascontiguousarray(copy)
        flat = copy.reshape(-1)
    return flat, 0, tuple(s // copy.itemsize for s in copy.strides)


def _flat(array: np.ndarray) -> np.ndarray | None:
    """The array's elements in the order of memory, as a view; None where there are gaps or repetitions between them."""
    order = sorted(range(array.ndim), key=lambda i: -array.strides[i])
    in_order = array.transpose(order)
    return in_order.reshape(-1) if in_order.flags.c_contiguous else None


def write_zip(obj: Any, file: BinaryIO) -> None:
    """Write ``obj`` as ``torch.save`` would: see :func:`minicnn.weights.save`."""
    pickle = _Pickle()
    pickle.value(obj, "obj")
    pickle.out.extend(b".")
    if len(pickle.out) > MAX_PICKLE:
        raise ValueError(
            f"obj: holds {len(pickle.out)} bytes beside its tensors, more than the {MAX_PICKLE} that load reads; make "
            "tensors of large arrays: from_numpy"
        )
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _entry(archive, file, "archive/data.pkl", bytes(pickle.out))
        _entry(archive, file, "archive/byteorder", b"little")
        for key, storage in enumerate(pickle.storages):
            data = storage.astype(storage.dtype.newbyteorder("<"), copy=False)
            _entry(archive, file, f"archive/data/{key}", data.data.cast("B") if data.size else b"")
        _entry(archive, file, "archive/version", b"3\n")


def _entry(archive: zipfile.ZipFile, file: BinaryIO, name: str, data: bytes | memoryview) -> None:
    """One stored entry whose bytes start at a multiple of 64: the header's extra field (tag "FB") fills the gap."""
    info = zipfile.ZipInfo(name, _EPOCH)
    start = file.tell() + 30 + len(name) + 4
    padding = -start % ALIGNMENT
    info.extra = b"FB" + struct.pack("<H", padding) + b"Z" * padding
    archive.writestr(info, data)
