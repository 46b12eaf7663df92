"""Reads CIFAR's pickles without running anything: dictionaries of texts, numbers, lists and arrays.

A pickle is a program for a stack machine. Python's own ``pickle`` imports and calls whatever the program names, so a
file can do what its writer likes. Here `pickletools` cuts it into opcodes, which executes nothing, and the few that
CIFAR's files are made of build plain values; five harmless names are known, and any other ends the reading.

Texts of Python 2, which wrote the official files, and of Python 3 both come out as `str`. (Weights have an interpreter
of their own, ``minicnn/weights/torch_pickle.py``: their values are tensors in other files.) Read next: `cifar.py`.
"""

from __future__ import annotations

import math
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DatasetError

_MAX_BYTES = 1 << 28  # CIFAR-100's training file takes 155 MB
_MAX_OPCODES = 2_000_000  # and some 400,000 opcodes
_MARK = object()

# What a file may name, and what this means here. NumPy moved its module in version 2.
_NAMES = {
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
    "numpy ndarray": "type",
    "numpy dtype": "dtype",
    "_codecs encode": "encode",  # how Python 3 writes bytes for Python 2
}
_DTYPES = ("u1", "i1", "i2", "i4", "i8")


class _Refused(Exception):
    """The pickle asks for something that CIFAR's do not hold."""


class _Name(str):
    """One of the meanings in `_NAMES`, on the stack."""


class _DType:
    """An array's number type."""

    def __init__(self, code: Any):
        if type(code) is not str or code not in _DTYPES:
            raise _Refused("an array of a strange type")
        self.numpy = np.dtype(code).newbyteorder("<")


class _Array:
    """An array that is made empty and filled later."""

    values: np.ndarray | None = None


def read_plain_pickle(path: Path) -> dict[str, Any]:
    """The dictionary in a pickle file: its values are str, bytes, int, None, bool, lists, tuples, dicts and arrays.

    Raises
    ------
    DatasetError : not a pickle, a damaged one, or one that asks for anything else. Nothing of it is run.
    """
    size = path.stat().st_size
    if size > _MAX_BYTES:
        raise DatasetError(f"{path}: {size} bytes, expected at most {_MAX_BYTES}")
    reader = _Reader(size)
    position = 0
    try:
        for number, (opcode, argument, at) in enumerate(pickletools.genops(path.read_bytes())):
            position = at or 0
            if number > _MAX_OPCODES:
                raise _Refused(f"more than {_MAX_OPCODES} steps")
            reader.step(opcode.name, argument)
        return reader.result()
    except _Refused as error:
        raise DatasetError(
            f"{path}: byte {position} asks for {error}, which CIFAR's files do not hold. Nothing of it was run; get the "
            "file anew"
        ) from None
    except (IndexError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise DatasetError(
            f"{path}: not a pickle, or a damaged one (byte {position}: {type(error).__name__}: {error})"
        ) from None


class _Reader:
    """The stack machine."""

    def __init__(self, n_bytes: int):
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.bytes_left = n_bytes  # each text is turned into bytes once; a file must not do so again and again

    def result(self) -> dict[str, Any]:
        if len(self.stack) != 1 or type(self.stack[0]) is not dict:
            raise _Refused("something else than one dictionary")
        return {key: value.values if type(value) is _Array else value for key, value in self.stack[0].items()}

    def step(self, opcode: str, argument: Any) -> None:
        """Carries one opcode out."""
        stack = self.stack
        match opcode:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                stack.append(_MARK)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode])
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8":
                stack.append(argument)
            case "BINSTRING" | "SHORT_BINSTRING" | "BINUNICODE" | "SHORT_BINUNICODE":
                stack.append(argument)
            case "EMPTY_LIST" | "EMPTY_DICT" | "EMPTY_TUPLE":
                stack.append({"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}[opcode]())
            case "TUPLE":
                stack.append(tuple(self.pop_to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple([self.pop() for _ in range(int(opcode[-1]))][::-1]))
            case "APPEND":
                value = self.pop()
                _of_type(stack[-1], list).append(value)
            case "APPENDS":
                values = self.pop_to_mark()
                _of_type(stack[-1], list).extend(values)
            case "SETITEM" | "SETITEMS":
                pairs = self.pop_to_mark() if opcode == "SETITEMS" else [self.pop(), self.pop()][::-1]
                _of_type(stack[-1], dict).update(zip(map(_text, pairs[::2]), pairs[1::2], strict=True))
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "GLOBAL":
                stack.append(_named(argument))
            case "STACK_GLOBAL":
                name, module = self.pop(), self.pop()
                stack.append(_named(f"{_text(module)} {_text(name)}"))
            case "REDUCE":
                arguments = self.pop(tuple)
                stack.append(self.called(self.pop(_Name), arguments))
            case "BUILD":
                self.build(stack[-2], self.pop(tuple))
            case _:
                raise _Refused(f"the step {opcode}")

    def pop(self, kind: type | None = None) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise _Refused("a value where there is none")
        return value if kind is None else _of_type(value, kind)

    def pop_to_mark(self) -> list[Any]:
        items = []
        while (value := self.stack.pop()) is not _MARK:
            items.append(value)
        return items[::-1]

    def called(self, name: _Name, arguments: tuple[Any, ...]) -> Any:
        """REDUCE: what the call of a known name gives."""
        if name == "array":
            return _Array()
        if name == "dtype":
            return _DType(arguments[0])
        if (
            name == "encode"
            and [type(part) for part in arguments] == [str, str]
            and arguments[1] in ("latin1", "latin-1")
        ):
            return self.to_bytes(arguments[0])
        raise _Refused(f"a call of {name}")

    def build(self, target: Any, state: tuple[Any, ...]) -> None:
        """BUILD: the state of a number type, which is ignored, or of an array, as NumPy writes it."""
        if type(target) is _DType and state[1:2] in (("<",), ("|",)):
            return
        if type(target) is not _Array or len(state) != 5:
            raise _Refused(f"changes of a {type(target).__name__}")
        _, shape, dtype, columns_first, data = state
        if type(shape) is not tuple or len(shape) > 4 or not all(type(n) is int and 0 <= n < 2**40 for n in shape):
            raise _Refused("an array of a strange shape")
        number_type = _of_type(dtype, _DType).numpy
        raw = self.to_bytes(data) if type(data) is str else _of_type(data, bytes)
        if len(raw) != math.prod(shape) * number_type.itemsize:
            raise _Refused(f"an array of shape {shape} with {len(raw)} bytes in it")
        target.values = np.frombuffer(raw, number_type).reshape(shape, order="F" if columns_first else "C")

    def to_bytes(self, text: str) -> bytes:
        self.bytes_left -= len(text)
        if self.bytes_left < 0:
            raise _Refused("the same bytes many times")
        return text.encode("latin-1")


def _named(name: str) -> _Name:
    if name not in _NAMES:
        raise _Refused(name[:200].replace(" ", ".", 1))
    return _Name(_NAMES[name])


def _of_type(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise _Refused(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _text(value: Any) -> str:
    return value.decode("latin-1") if type(value) is bytes else _of_type(value, str)
