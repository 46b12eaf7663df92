"""The plain values that a pickle of PyTorch's may hold besides tensors, each with its own harmless constructor.

:data:`CALLS` is the table of what ``torch_pickle.py`` calls when a pickle names it: every function here checks that it got
what the standard library writes, and builds a value that can do nothing. What training checkpoints hold is there:
dictionaries and counters (of schedulers), sets, NumPy's numbers and arrays (of histories and random states), dates, paths, a
script's arguments. What is not there is refused.
"""

from __future__ import annotations

import datetime
import math
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from ..autograd import Size
from ..device import device
from .bytes_of import MAX_DIMENSIONS

_SCALARS = (str, bytes, int, float, bool, type(None))
_NUMBERS = re.compile(r"[<|=]?(f[248]|c8|c16|[iu][1248]|b1|[US][1-9][0-9]{0,5})")


class Refused(Exception):
    """What the pickle asks for is not done; the message says why. Becomes a :class:`CheckpointError` with the place."""


class StateDict(OrderedDict[Any, Any]):
    """An ``OrderedDict`` that may carry the ``_metadata`` of a module's state."""

    _metadata: dict[str, dict[str, Any]]


class Namespace:
    """The attributes of an ``argparse.Namespace``, as training scripts save them. ``vars(it)`` gives them."""

    def __repr__(self) -> str:
        return f"Namespace({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Factory:
    """What a ``defaultdict`` makes when a key is missing: only to be handed over, not to be called."""

    def __init__(self, make: type):
        self.make = make


def checked_key(value: Any) -> Any:
    """A dictionary's key or a set's member: plain, so that hashing it can do nothing and takes no time.

    Whole numbers of more than 64 bits are refused: Python hashes them modulo 2**61 - 1, so that a file could hold any number
    of them with one hash, and a dictionary of n takes n**2 steps.
    """
    if type(value) not in _SCALARS:
        raise Refused(f"a dictionary's key or a set's member of type {type(value).__name__}")
    if type(value) is int and value.bit_length() > 64:
        raise Refused(f"a whole number of {value.bit_length()} bits as a dictionary's key or a set's member")
    return value


# ---- containers


def _ordered_dict(*args: Any) -> StateDict:
    if not args:
        return StateDict()
    (pairs,) = args
    if type(pairs) is not list or not all(type(p) in (list, tuple) and len(p) == 2 for p in pairs):
        raise Refused("an OrderedDict of something that is no list of pairs")
    out = StateDict()
    for key, value in pairs:
        out[checked_key(key)] = value
    return out


def _counter(counts: Any = None) -> Counter[Any]:
    found: Counter[Any] = Counter()
    if counts is not None:
        if type(counts) is not dict or not all(type(n) in (int, float) for n in counts.values()):
            raise Refused("a Counter of something that is no dictionary of numbers")
        dict.update(found, counts)
    return found


def _defaultdict(factory: Any = None) -> defaultdict[Any, Any]:
    if factory is not None and type(factory) is not Factory:
        raise Refused(f"a defaultdict that makes a {type(factory).__name__}")
    return defaultdict(None if factory is None else factory.make)


def _deque(items: Any = (), maxlen: Any = None) -> deque[Any]:
    if type(items) not in (list, tuple) or not (maxlen is None or (type(maxlen) is int and 0 <= maxlen < 2**62)):
        raise Refused("a deque of something that is no list, or of a strange length")
    return deque(items, maxlen)


def _set_of(kind: type) -> Callable[..., Any]:
    def make(*args: Any) -> Any:
        if not args:
            return kind()
        (items,) = args
        if type(items) not in (list, tuple):
            raise Refused(f"a {kind.__name__} of something that is no list")
        return kind(checked_key(item) for item in items)

    return make


# ---- numbers and bytes


def _whole_numbers(kind: type) -> Callable[..., Any]:
    def make(*args: Any) -> Any:
        if not 1 <= len(args) <= 3 or not all(type(a) is int or (a is None and kind is slice) for a in args):
            raise Refused(f"a {kind.__name__} of something other than whole numbers")
        return kind(*args)

    return make


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise Refused("a complex number of something that is no pair of numbers")
    return complex(real, imaginary)


def encode(text: Any, encoding: Any = "latin1") -> bytes:
    """``_codecs.encode``, as pickle's protocol 2 writes bytes."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise Refused("_codecs.encode of anything but latin1 text")
    return text.encode("latin1")


def _empty_bytes(*args: Any) -> bytes:
    if args:  # bytes(10**12) would be that many zeros
        raise Refused("bytes of something; only empty ones are written so")
    return b""


def _bytearray(*args: Any) -> bytearray:
    if not args:
        return bytearray()
    if len(args) == 1 and type(args[0]) is bytes:
        return bytearray(args[0])
    if len(args) == 2:
        return bytearray(encode(*args))
    raise Refused("a bytearray of something that is no bytes")


# ---- NumPy


def is_plain_dtype(dtype: np.dtype) -> bool:
    """Whether an array of it is numbers or text and nothing else: what is read, and so what is written."""
    return dtype.kind in "fciubSU" and bool(_NUMBERS.fullmatch(dtype.str.lstrip("<>|=")))


def _numpy_dtype(code: Any, *_: Any) -> np.dtype:
    if type(code) is not str or not _NUMBERS.fullmatch(code):
        raise Refused("a NumPy dtype that is no plain number's or text's, but perhaps that of Python's objects")
    return np.dtype(code)


def check_dtype_state(state: Any) -> None:
    """What BUILD gives a dtype: its byte order, which must be this machine's, and nothing more for plain numbers."""
    if type(state) is not tuple or state[1:2] not in (("<",), ("|",), ("=",)):
        raise Refused("a NumPy dtype of another byte order")


def _numpy_scalar(dtype: Any, data: Any) -> Any:
    if not isinstance(dtype, np.dtype) or type(data) is not bytes or len(data) != dtype.itemsize or not data:
        raise Refused("a NumPy scalar whose bytes do not fit its type")
    return np.frombuffer(data, dtype)[0].item()


def _empty_array(kind: Any, shape: Any, _: Any) -> np.ndarray:
    if type(kind) is not Factory or kind.make is not np.ndarray or shape != (0,):
        raise Refused("a NumPy array that begins otherwise than NumPy's own")
    return np.empty((0,), np.uint8)


def fill_array(array: np.ndarray, state: Any) -> None:
    """What BUILD gives an array: ``(version, shape, dtype, Fortran's order, bytes)``, the very bytes that it wants."""
    if type(state) is not tuple or len(state) != 5:
        raise Refused("a NumPy array that is filled otherwise than NumPy's own")
    _, shape, dtype, fortran, data = state
    _check_array(shape, dtype, data)
    if type(fortran) is not bool or array.size:
        raise Refused("a NumPy array that is filled otherwise than NumPy's own, or twice")
    array.__setstate__((1, shape, dtype, fortran, bytes(data)))  # type: ignore[arg-type]


def _array_of_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    _check_array(shape, dtype, data)
    if order not in ("C", "F"):
        raise Refused("a NumPy array of a strange order")
    return np.frombuffer(bytes(data), dtype).reshape(shape, order=order).copy(order)


def _check_array(shape: Any, dtype: Any, data: Any) -> None:
    if not isinstance(dtype, np.dtype):
        raise Refused("a NumPy array whose dtype is none")
    if type(shape) is not tuple or len(shape) > MAX_DIMENSIONS or not all(type(n) is int and n >= 0 for n in shape):
        raise Refused("a NumPy array of a strange shape")
    if type(data) not in (bytes, bytearray) or len(data) != math.prod(shape) * dtype.itemsize:
        raise Refused("a NumPy array whose bytes do not fit its shape and dtype")


# ---- dates, paths, PyTorch's small ones


def _datetime(data: Any, zone: Any = None) -> datetime.datetime:
    if type(data) is not bytes or len(data) != 10 or not (zone is None or type(zone) is datetime.timezone):
        raise Refused("a datetime of something that is not its ten bytes")
    year, month, fold = data[0] << 8 | data[1], data[2] & 127, data[2] >> 7
    microseconds = int.from_bytes(data[7:], "big")
    return datetime.datetime(year, month, data[3], data[4], data[5], data[6], microseconds, zone, fold=fold)


def _date(data: Any) -> datetime.date:
    if type(data) is not bytes or len(data) != 4:
        raise Refused("a date of something that is not its four bytes")
    return datetime.date(data[0] << 8 | data[1], data[2], data[3])


def _timedelta(*args: Any) -> datetime.timedelta:
    if len(args) > 3 or not all(type(a) is int for a in args):
        raise Refused("a timedelta of something other than days, seconds and microseconds")
    return datetime.timedelta(*args)


def _timezone(*args: Any) -> datetime.timezone:
    types = (datetime.timedelta, str)
    if not 1 <= len(args) <= 2 or not all(type(a) is kind for a, kind in zip(args, types, strict=False)):
        raise Refused("a timezone of something other than an offset")
    return datetime.timezone(*args)


def _path_of(kind: type) -> Callable[..., Any]:
    def make(*parts: Any) -> Any:
        if not all(type(part) is str for part in parts):
            raise Refused("a path of something that is no text")
        return kind(*parts)  # a pure one: it cannot touch the disk, and Path(it) can

    return make


def _size(items: Any) -> Size:
    if type(items) not in (list, tuple) or not all(type(n) is int and n >= 0 for n in items):
        raise Refused("a torch.Size of something that is no list of sizes")
    return Size(items)


def _device(*args: Any) -> device | str:
    """A device, or the name of one of a kind that there is not here."""
    if not all(type(a) in (str, int) for a in args):
        raise Refused("a torch.device of something that is no name")
    name = ":".join(map(str, args))
    try:
        return device(name)
    except ValueError:
        return name


def _both(*names: str) -> list[str]:
    """Python 2's and Python 3's name of a builtin."""
    return [f"{module}.{name}" for name in names for module in ("builtins", "__builtin__")]


_posix, _windows = _path_of(PurePosixPath), _path_of(PureWindowsPath)
CALLS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "collections.defaultdict": _defaultdict,
    "collections.deque": _deque,
    **dict.fromkeys(_both("set"), _set_of(set)),
    **dict.fromkeys(_both("frozenset"), _set_of(frozenset)),
    **dict.fromkeys(_both("range", "xrange"), _whole_numbers(range)),
    **dict.fromkeys(_both("slice"), _whole_numbers(slice)),
    **dict.fromkeys(_both("complex"), _complex),
    **dict.fromkeys(_both("bytearray"), _bytearray),
    **dict.fromkeys(_both("bytes"), _empty_bytes),
    "_codecs.encode": encode,
    "numpy.dtype": _numpy_dtype,
    "numpy.core.multiarray.scalar": _numpy_scalar,
    "numpy._core.multiarray.scalar": _numpy_scalar,
    "numpy.core.multiarray._reconstruct": _empty_array,
    "numpy._core.multiarray._reconstruct": _empty_array,
    "numpy.core.numeric._frombuffer": _array_of_buffer,
    "numpy._core.numeric._frombuffer": _array_of_buffer,
    "datetime.datetime": _datetime,
    "datetime.date": _date,
    "datetime.timedelta": _timedelta,
    "datetime.timezone": _timezone,
    **{
        f"{module}.{name}": _posix
        for module in ("pathlib", "pathlib._local")
        for name in ("PosixPath", "PurePosixPath")
    },
    **{
        f"{module}.{name}": _windows
        for module in ("pathlib", "pathlib._local")
        for name in ("WindowsPath", "PureWindowsPath")
    },
    "argparse.Namespace": Namespace,
    "types.SimpleNamespace": Namespace,
    "torch.Size": _size,
    "torch.device": _device,
}
# Named as an argument only: of a defaultdict, of an array that is to be rebuilt.
FACTORIES: dict[str, type] = {
    **{name: kind for kind in (dict, float, int, list, str) for name in _both(kind.__name__)},
    "numpy.ndarray": np.ndarray,
}
