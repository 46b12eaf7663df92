"""How plain values are written that a pickle has no opcode for: as a call, of a constructor with its arguments.

The other direction of ``pickled_values.py``, whose table knows each of these names. ``torch.load`` takes sets, complex
numbers, byte arrays, counters, sizes, dtypes and devices as it is; NumPy's arrays, paths, dates and the rest only with
``weights_only=False`` or after ``torch.serialization.add_safe_globals``, exactly as if ``torch.save`` had written them.
"""

from __future__ import annotations

import datetime
import pathlib
import types
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autograd import Size
from ..device import device
from ..dtypes import DType
from .pickled_values import Namespace, is_plain_dtype


class Name(NamedTuple):
    """What a pickle imports, and no value."""

    module: str
    name: str


class Call(NamedTuple):
    """``function(*arguments)``, and then the attributes in ``state``, where it is not None."""

    function: Name
    arguments: tuple[Any, ...]
    state: Any = None


def reduced(x: Any) -> Call | Name | None:
    """The call or the name that stands for ``x``; None where there is none.

    >>> reduced(1 + 2j)
    Call(function=Name(module='__builtin__', name='complex'), arguments=(1.0, 2.0), state=None)
    """
    kind = type(x)
    if kind in _CALLS:
        return _CALLS[kind](x)
    if isinstance(x, np.dtype):
        return _dtype(x)
    if isinstance(x, pathlib.PurePath) and kind.__module__.startswith("pathlib"):
        return Call(Name("pathlib", kind.__name__), x.parts)
    if (kind.__module__, kind.__qualname__) == ("argparse", "Namespace"):  # not imported for its sake
        return _namespace(x)
    return None


def _builtin(name: str, arguments: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], Call]:
    return lambda x: Call(Name("__builtin__", name), arguments(x))  # Python 2's name, which protocol 2 has


def _members(x: Any) -> tuple[list[Any]]:
    return (sorted(x, key=repr),)  # equal objects give equal files


def _date(x: Any) -> Call:
    return Call(Name("datetime", type(x).__name__), x.__reduce_ex__(4)[1])


def _namespace(x: Any) -> Call:
    return Call(Name("argparse", "Namespace"), (), dict(vars(x)))


def _dtype(x: np.dtype) -> Call | None:
    if not is_plain_dtype(x):
        return None
    reduction: Any = x.__reduce__()
    return Call(Name("numpy", "dtype"), reduction[1], reduction[2])


def _array(x: np.ndarray) -> Call | None:
    if not is_plain_dtype(x.dtype):
        return None
    x = np.asarray(x, x.dtype.newbyteorder("="))
    fortran = x.flags.f_contiguous and not x.flags.c_contiguous
    state = (1, x.shape, x.dtype, fortran, x.tobytes("F" if fortran else "C"))
    return Call(Name("numpy._core.multiarray", "_reconstruct"), (Name("numpy", "ndarray"), (0,), b"b"), state)


_CALLS: dict[type, Callable[[Any], Call | Name | None]] = {
    set: _builtin("set", _members),
    frozenset: _builtin("frozenset", _members),
    complex: _builtin("complex", lambda x: (x.real, x.imag)),
    range: _builtin("xrange", lambda x: (x.start, x.stop, x.step)),
    slice: _builtin("slice", lambda x: (x.start, x.stop, x.step)),
    bytearray: _builtin("bytearray", lambda x: (x.decode("latin1"), "latin-1") if x else ()),
    bytes: lambda x: Call(Name("_codecs", "encode"), (x.decode("latin1"), "latin1")),
    deque: lambda x: Call(Name("collections", "deque"), (list(x), x.maxlen)),
    Counter: lambda x: Call(Name("collections", "Counter"), (dict(x),)),
    Size: lambda x: Call(Name("torch", "Size"), (tuple(x),)),
    DType: lambda x: Name("torch", x.name),
    device: lambda x: Call(Name("torch", "device"), (x.type,) if x.index is None else (x.type, x.index)),
    Namespace: _namespace,
    types.SimpleNamespace: lambda x: Call(Name("types", "SimpleNamespace"), (), dict(vars(x))),
    **dict.fromkeys((datetime.datetime, datetime.date, datetime.timedelta, datetime.timezone), _date),
    **dict.fromkeys((np.ndarray, np.memmap), _array),
}
