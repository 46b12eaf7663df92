"""The pickle inside a PyTorch file, read without running anything.

A pickle is a program for a small stack machine, and Python's own ``pickle`` runs it: ``GLOBAL`` imports whatever it names
and ``REDUCE`` calls it, so a file can do what its writer likes. Here the program is *interpreted*: the standard library's
``pickletools`` cuts it into opcodes (it executes none), and :class:`Interpreter` builds plain values from them. What
``GLOBAL`` names is looked up in one exact table, :data:`HARMLESS`, of constructors written here and in
``pickled_values.py``; a name that is not in it ends the reading. There is no fallback.

What PyTorch puts there: dictionaries of tensors, numbers, strings, lists. A tensor is
``torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)``, its storage a *persistent id*
``("storage", torch.FloatStorage, key, location, numel)`` whose bytes are elsewhere in the file (``torch_zip.py``,
``torch_legacy.py``). The interpreter notes tensors as it meets them; :meth:`Interpreter.bind` gives them their memory once
the bytes are there, after every offset, size and stride has been checked against the storage.
"""

from __future__ import annotations

import pickletools
import struct
from collections import defaultdict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .. import dtypes
from ..autograd import Size, Tensor
from . import pickled_values as values
from .bytes_of import is_possible
from .errors import CheckpointError
from .pickled_values import Factory, Namespace, Refused, StateDict, checked_key

MAX_OPCODES = 1_000_000  # a file of 10,000 tensors has some 400,000
MAX_EXPANSION = 2**24  # elements that a tensor may have beyond its storage's (expanded ones have strides of 0)

# PyTorch's storage types and the bytes in them. What is half as wide comes out as float32, which holds all its values.
STORAGES: dict[str, str] = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bf16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "b1",
}
OTHER_DTYPES = ("float16", "bfloat16", "complex64", "complex128", "uint16", "uint32", "uint64")
ITEMSIZE = {code: 2 if code == "bf16" else np.dtype(code).itemsize for code in STORAGES.values()}


class Storage:
    """A run of numbers that tensors look into: its key in the file, the code of its type, how many numbers."""

    def __init__(self, key: str, code: str, numel: int):
        self.key, self.code, self.numel = key, code, numel
        self.array: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return self.numel * ITEMSIZE[self.code]

    def decode(self, data: np.ndarray, big_endian: bool) -> None:
        """Take the bytes (uint8, writable) as numbers; a copy only where type or byte order are not this machine's."""
        order = ">" if big_endian else "<"
        if data.ctypes.data % 8:
            data = data.copy()  # a mapped file's bytes may lie anywhere; loops want numbers at whole addresses
        if self.code == "bf16":  # the upper half of a float32
            self.array = (data.view(order + "u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
        elif self.code == "f2":
            self.array = data.view(order + "f2").astype(np.float32)
        elif self.code == "b1":
            self.array = data != 0  # any other byte than 0 and 1 is no bool that NumPy could hold
        else:
            dtype = np.dtype(order + self.code)
            self.array = data.view(dtype).astype(dtype.newbyteorder("="), copy=False)


class Parked(NamedTuple):
    """A tensor whose storage has no bytes yet."""

    tensor: Tensor
    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class _StorageType(NamedTuple):
    code: str


class _Global(NamedTuple):
    """What a name of the table stands for: a function to call, or what :meth:`Interpreter.call` does itself, as a text."""

    name: str
    make: Any


class _Mark:
    pass


_MARK = _Mark()


# ---- the table: what GLOBAL may name, and the constructor of ours that stands for it

# What a tensor subclass's pickle names: its attributes are left out, and it comes as a plain tensor.
_TENSORS = ("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")
_CALLS: dict[str, Any] = {
    **values.CALLS,
    "torch._utils._rebuild_tensor_v2": "tensor",
    "torch._utils._rebuild_parameter": "parameter",
    "torch._utils._rebuild_parameter_with_state": "parameter",
    "torch._tensor._rebuild_from_type_v2": "subclass",
    **dict.fromkeys(_TENSORS, "type"),
}
HARMLESS: dict[str, Any] = {
    **{name: _Global(name, make) for name, make in _CALLS.items()},
    **{name: Factory(kind) for name, kind in values.FACTORIES.items()},
    **{f"torch.{name}": _StorageType(code) for name, code in STORAGES.items()},
    **{f"torch.{dtype.name}": dtype for dtype in dtypes.ALL},
    **{f"torch.{name}": f"torch.{name}" for name in OTHER_DTYPES},  # in a script's settings, say; as text
}


class _Arguments(tuple[Any, ...]):
    """A tuple with a name of the table in it, such as a type: for a call, and for nothing else."""


# What a call takes and no container holds.
_NO_VALUES = (_Global, Factory, _Arguments, _StorageType, Storage)


def _value(value: Any) -> Any:
    """What may stand in a container: anything but names of the table, and storages that no tensor shows."""
    if type(value) in _NO_VALUES:
        what = value.name if type(value) is _Global else "a storage" if type(value) is Storage else "a type"
        raise Refused(f"{what} as a value, which is to be called or handed over only")
    return value


def _tuple(items: list[Any]) -> tuple[Any, ...]:
    if any(type(item) in _NO_VALUES for item in items):
        return _Arguments(items)
    return tuple(_value(item) for item in items)


def opcodes(stream: BinaryIO, path: Path, place: str, most: int = MAX_OPCODES) -> list[tuple[str, Any, int]]:
    """One pickle of the stream as ``(opcode, argument, position)``; the stream then stands behind it. Runs nothing.

    Raises
    ------
    CheckpointError : it is cut short, no pickle, or too long.
    """
    found: list[tuple[str, Any, int]] = []
    try:
        for opcode, argument, position in pickletools.genops(stream):
            found.append((opcode.name, argument, position or 0))
            if len(found) > most:
                raise CheckpointError(path, place, f"has more than {most} opcodes: this is no file of weights")
    except CheckpointError:
        raise
    except (ValueError, EOFError, IndexError, OverflowError, MemoryError, struct.error) as error:
        raise CheckpointError(path, place, f"is no complete pickle ({error})") from None
    return found


def globals_of(program: list[tuple[str, Any, int]]) -> list[str]:
    """The names that a pickle would import, in order of appearance, without interpreting it."""
    names: dict[str, None] = {}
    texts: list[str] = []
    for opcode, argument, _ in program:
        if opcode in ("GLOBAL", "INST"):
            names[str(argument).replace(" ", ".", 1)] = None
        elif opcode == "STACK_GLOBAL" and len(texts) >= 2:
            names[f"{texts[-2]}.{texts[-1]}"] = None
        elif isinstance(argument, str):
            texts.append(argument)
    return list(names)


class Interpreter:
    """Runs one pickle's program on values of plain types.

    Parameters
    ----------
    path, place : what an error names.
    program : from :func:`opcodes`.
    """

    def __init__(self, path: Path, place: str, program: list[tuple[str, Any, int]]):
        self.path, self.place, self.program = path, place, program
        self.storages: dict[str, Storage] = {}
        self.parked: list[Parked] = []
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The value that the program builds. Its tensors are empty until :meth:`bind`.

        Raises
        ------
        CheckpointError : the program asks for anything that a file of weights does not need, or makes no sense.
        """
        for opcode, argument, position in self.program:
            if opcode == "STOP":
                break
            try:
                step = _STEPS.get(opcode)
                if step is None:
                    raise Refused(f"the opcode {opcode}, which PyTorch does not write")
                step(self, argument)
            except Refused as error:
                raise self.error(f"asks for {error}", position) from None
            except (IndexError, KeyError, ValueError, TypeError, OverflowError, UnicodeError) as error:
                raise self.error(f"makes no sense ({type(error).__name__}: {error})", position) from None
        if len(self.stack) != 1 or self.stack[0] is _MARK or type(self.stack[0]) in _NO_VALUES:
            raise self.error(f"leaves {len(self.stack)} values, expected one", len(self.program))
        return self.stack[0]

    def error(self, reason: str, position: int) -> CheckpointError:
        return CheckpointError(self.path, f"{self.place}, byte {position}", reason)

    def bind(self) -> None:
        """Give every tensor its memory: a view of its storage, which has its array by now."""
        first: dict[str, Tensor] = {}
        for tensor, storage, offset, size, stride in self.parked:
            assert storage.array is not None
            itemsize = storage.array.itemsize
            strides = tuple(s * itemsize for s in stride)
            tensor._array = np.lib.stride_tricks.as_strided(storage.array[offset:], size, strides)
            if storage.key in first:
                tensor._share_storage(first[storage.key])
            else:
                first[storage.key] = tensor

    # ---- the stack

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise Refused("a value where the stack has a mark")
        return value

    def pop_to_mark(self) -> list[Any]:
        return [_value(item) for item in self.arguments()]

    def arguments(self) -> list[Any]:
        """The same, with names of the table among them perhaps."""
        items = []
        while (value := self.stack.pop()) is not _MARK:
            items.append(value)
        return items[::-1]

    def top(self, *types: type) -> Any:
        value = self.stack[-1]
        if type(value) not in types:
            raise Refused(f"filling a {type(value).__name__}")
        return value

    def set_items(self, pairs: list[Any]) -> None:
        if len(pairs) % 2:
            raise Refused("a dictionary with a key and no value")
        target = self.top(dict, StateDict, defaultdict)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[checked_key(key)] = value

    def find(self, name: str) -> None:
        if name not in HARMLESS:
            raise Refused(_why_not(name))
        self.stack.append(HARMLESS[name])

    def call(self, arguments: Any) -> None:
        function = self.pop()
        if type(arguments) not in (tuple, _Arguments) or type(function) is not _Global or function.make == "type":
            raise Refused(f"a call of a {type(function).__name__}")
        if function.make == "tensor":
            self.stack.append(self.rebuild_tensor(*arguments))
        elif function.make == "parameter":
            tensor, requires_grad, *_ = arguments
            if type(tensor) is not Tensor or type(requires_grad) is not bool:
                raise Refused("a parameter of something that is no tensor")
            tensor._leaf_requires_grad = requires_grad and tensor.is_floating_point()
            self.stack.append(tensor)
        elif function.make == "subclass":
            rebuild, kind, parts, _ = arguments
            if type(rebuild) is not _Global or rebuild.make not in ("tensor", "parameter"):
                raise Refused("a tensor that is rebuilt by something else")
            if type(kind) is not _Global or kind.make != "type":
                raise Refused("a tensor of a type of its own")
            self.stack.append(rebuild)
            self.call(parts)
        else:
            self.stack.append(function.make(*arguments))

    def build(self, state: Any) -> None:
        """BUILD: attributes for the top of the stack. Only what real files have, on exactly the types made here."""
        target = self.stack[-1]
        if type(target) is StateDict and type(state) is dict and state.keys() <= {"_metadata"}:
            if state:
                target._metadata = _checked_metadata(state["_metadata"])
        elif type(target) is Namespace and type(state) is dict and all(type(k) is str for k in state):
            vars(target).update(state)
        elif isinstance(target, np.dtype):
            values.check_dtype_state(state)
        elif type(target) is np.ndarray:
            values.fill_array(target, state)
        else:
            raise Refused(f"attributes for a {type(target).__name__}")

    # ---- tensors

    def persistent(self, identity: Any) -> None:
        if type(identity) not in (tuple, _Arguments) or len(identity) not in (5, 6) or identity[0] != "storage":
            raise Refused("something outside the pickle that is no storage")
        _, kind, key, _, numel, *view = identity
        if type(kind) is not _StorageType or type(key) is not str or type(numel) is not int or numel < 0:
            raise Refused("a storage with a strange type, key or length")
        if view and view[0] is not None:
            raise Refused(
                "a view of a storage, as only PyTorch before 0.4 wrote them; load and save it again with PyTorch"
            )
        known = self.storages.setdefault(key, Storage(key, kind.code, numel))
        if (known.code, known.numel) != (kind.code, numel):
            raise Refused(f"storage {key!r} as two different types or lengths")
        self.stack.append(known)

    def rebuild_tensor(self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, *_: Any) -> Tensor:
        if type(storage) is not Storage:
            raise Refused(f"a tensor whose storage is a {type(storage).__name__}")
        if type(size) not in (tuple, Size) or type(stride) is not tuple or len(size) != len(stride):
            raise Refused("a tensor whose sizes and strides do not fit each other")
        if not all(type(n) is int and 0 <= n < 2**59 for n in (offset, *size, *stride)):
            raise Refused("a tensor with a negative or strange offset, size or stride")
        if not is_possible(size):
            raise Refused(f"a tensor of {len(size)} dimensions, or of more numbers than can be counted")
        count, last = 1, offset
        for n, step in zip(size, stride, strict=True):
            count *= n
            last += (n - 1) * step
        if (count and last >= storage.numel) or offset > storage.numel:
            raise Refused(
                f"a tensor of shape {tuple(size)} that reaches element {last} of a storage of {storage.numel}"
            )
        if count > storage.numel + MAX_EXPANSION:
            raise Refused(f"a tensor of {count} elements over a storage of {storage.numel}")
        tensor = Tensor(np.empty(0, _loaded_dtype(storage.code)))
        tensor._leaf_requires_grad = requires_grad is True and tensor.is_floating_point()
        self.parked.append(Parked(tensor, storage, offset, tuple(size), stride))
        return tensor


def _loaded_dtype(code: str) -> np.dtype:
    return np.dtype("f4" if code in ("bf16", "f2") else code)


def _checked_metadata(metadata: Any) -> dict[str, dict[str, Any]]:
    """``_metadata``: the version of each module's state, by prefix."""
    if type(metadata) not in (dict, StateDict):
        raise Refused("_metadata that is no dictionary")
    for prefix, entry in metadata.items():
        if type(prefix) is not str or type(entry) is not dict or type(entry.get("version", 1)) is not int:
            raise Refused("_metadata that is no dictionary of versions")
    return dict(metadata)


def _why_not(name: str) -> str:
    name = name[:200]
    module = name.rpartition(".")[0]
    remedy = "save model.state_dict() with the program that wrote it, and load that"
    if name.startswith(("torch.nn.", "torchvision.", "timm.", "__main__.")) or ".models." in name or module == "models":
        return f"{name}: this is a whole pickled model, which is code and not only weights. Remedy: {remedy}"
    if name.startswith("torch._utils._rebuild_") or name == "torch.storage.UntypedStorage" or "Complex" in name:
        return (
            f"{name}: a tensor of a kind that there is not here (sparse, quantized, complex, without data, 8-bit floats). "
            f"Remedy: convert it, then {remedy}"
        )
    return f"{name}, which no file of weights needs. Nothing was run. Remedy: {remedy}"


# ---- one line an opcode: what it does to the interpreter's stack


def _push(make: Callable[[Any], Any]) -> Callable[[Interpreter, Any], None]:
    return lambda self, argument: self.stack.append(make(argument))


def _tuple_of(n: int) -> Callable[[Interpreter, Any], None]:
    def step(self: Interpreter, _: Any) -> None:
        items = [self.pop() for _ in range(n)]
        self.stack.append(_tuple(items[::-1]))

    return step


def _append(self: Interpreter, _: Any) -> None:
    value = _value(self.pop())
    self.top(list, deque).append(value)


def _appends(self: Interpreter, _: Any) -> None:
    items = self.pop_to_mark()
    self.top(list, deque).extend(items)


def _add_items(self: Interpreter, _: Any) -> None:
    items = [checked_key(item) for item in self.pop_to_mark()]
    self.top(set).update(items)


def _frozenset(self: Interpreter, _: Any) -> None:
    self.stack.append(frozenset(checked_key(item) for item in self.pop_to_mark()))


def _set_item(self: Interpreter, _: Any) -> None:
    value, key = _value(self.pop()), self.pop()
    self.set_items([key, value])


def _set_items(self: Interpreter, _: Any) -> None:
    items = self.pop_to_mark()
    self.set_items(items)


def _dict(self: Interpreter, _: Any) -> None:
    items = self.pop_to_mark()
    self.stack.append({})
    self.set_items(items)


def _stack_global(self: Interpreter, _: Any) -> None:
    name, module = self.pop(), self.pop()
    if type(name) is not str or type(module) is not str:
        raise Refused("a global whose name is no text")
    self.find(f"{module}.{name}")


def _memoize(self: Interpreter, _: Any) -> None:
    self.memo[len(self.memo)] = self.stack[-1]


def _put(self: Interpreter, index: Any) -> None:
    if self.stack[-1] is _MARK:
        raise Refused("to remember a mark")
    self.memo[index] = self.stack[-1]


_STEPS: dict[str, Callable[[Interpreter, Any], Any]] = {
    "PROTO": lambda self, _: None,
    "FRAME": lambda self, _: None,
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        _push(lambda value: value),
    ),
    **dict.fromkeys(("SHORT_BINSTRING", "BINSTRING"), _push(lambda value: value)),  # text of Python 2
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), _push(lambda value: value)),
    "NONE": _push(lambda _: None),
    "NEWTRUE": _push(lambda _: True),
    "NEWFALSE": _push(lambda _: False),
    "EMPTY_TUPLE": _push(lambda _: ()),
    "EMPTY_LIST": _push(lambda _: []),
    "EMPTY_DICT": _push(lambda _: {}),
    "EMPTY_SET": _push(lambda _: set()),
    "FROZENSET": _frozenset,
    "BYTEARRAY8": _push(lambda value: value),
    "MARK": _push(lambda _: _MARK),
    "TUPLE": lambda self, _: self.stack.append(_tuple(self.arguments())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "LIST": lambda self, _: self.stack.append(self.pop_to_mark()),
    "DICT": _dict,
    "APPEND": _append,
    "APPENDS": _appends,
    "ADDITEMS": _add_items,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
    "POP": lambda self, _: self.stack.pop(),
    "POP_MARK": lambda self, _: self.pop_to_mark(),
    "BINGET": lambda self, index: self.stack.append(self.memo[index]),
    "LONG_BINGET": lambda self, index: self.stack.append(self.memo[index]),
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "MEMOIZE": _memoize,
    "GLOBAL": lambda self, name: self.find(name.replace(" ", ".", 1)),
    "STACK_GLOBAL": _stack_global,
    "REDUCE": lambda self, _: self.call(self.pop()),
    "NEWOBJ": lambda self, _: self.call(self.pop()),
    "BUILD": lambda self, _: self.build(self.pop()),
    "BINPERSID": lambda self, _: self.persistent(self.pop()),
}
