"""Data types: our own dtype objects, and torch's rules for mixing them.

``mc.float32`` and its siblings are small objects of our own, so that types NumPy does not have (bfloat16) can join them
later. NumPy understands each of them wherever it takes a dtype: ``np.zeros(3, dtype=mc.float32)``.

NumPy and torch disagree about mixed types (``int64 + 2.0`` is float64 in NumPy and float32 in torch; a float32 vector
times a float64 scalar array is float64 in NumPy and float32 in torch). Every operation of the framework therefore asks
:func:`result_type` first, and NumPy only ever sees operands of one type. Next: ``minicnn/ops/promotion.py``, which
applies the answer to tensors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


class DType:
    """A data type, such as ``mc.float32``.

    Attributes
    ----------
    name : the type's name, ``"float32"``.
    numpy : the NumPy dtype of the same bytes. (Also there as ``dtype``, the attribute by which NumPy recognises us.)
    category : 0 for bool, 1 for integers, 2 for floating point: torch promotes between categories first.

    >>> import minicnn as mc, numpy as np
    >>> mc.float32, mc.float32.itemsize, mc.float32.is_floating_point
    (minicnn.float32, 4, True)
    >>> np.zeros(2, dtype=mc.int64).dtype
    dtype('int64')
    """

    __slots__ = ("category", "dtype", "name")

    def __init__(self, name: str, category: int):
        self.name = name
        self.dtype = np.dtype(name)
        self.category = category

    @property
    def numpy(self) -> np.dtype:
        return self.dtype

    @property
    def is_floating_point(self) -> bool:
        return self.category == 2

    @property
    def is_complex(self) -> bool:
        return False

    @property
    def is_signed(self) -> bool:
        return self.dtype.kind in "if"

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    def __repr__(self) -> str:
        return f"minicnn.{self.name}"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, DType):
            return self is other
        if isinstance(other, (np.dtype, type)):
            return self.dtype == other
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.dtype)

    def __reduce__(self) -> tuple:
        return as_dtype, (self.name,)


bool_ = DType("bool", 0)
uint8 = DType("uint8", 1)
int8 = DType("int8", 1)
int16 = DType("int16", 1)
int32 = DType("int32", 1)
int64 = DType("int64", 1)
float32 = DType("float32", 2)
float64 = DType("float64", 2)

ALL = (bool_, uint8, int8, int16, int32, int64, float32, float64)
_BY_NUMPY = {t.dtype: t for t in ALL}
_PYTHON = {bool: bool_, int: int64, float: float64}

_default = float32


def get_default_dtype() -> DType:
    """The floating-point type of Python floats: ``mc.float32`` unless :func:`set_default_dtype` changed it."""
    return _default


def set_default_dtype(d: DType) -> None:
    """Set the type that Python floats, and factories without a ``dtype``, become.

    Raises
    ------
    TypeError : for a type that is not floating point.
    """
    global _default
    dtype = as_dtype(d)
    if not dtype.is_floating_point:
        raise TypeError(f"only floating-point types can be the default type, got {dtype}")
    _default = dtype


def as_dtype(dtype: Any) -> DType:
    """The :class:`DType` that ``dtype`` means: one of ours, a NumPy dtype, a name, or Python's bool, int, float.

    >>> as_dtype("float64"), as_dtype(np.int32), as_dtype(bool)
    (minicnn.float64, minicnn.int32, minicnn.bool)

    Raises
    ------
    TypeError : where there is no such type here; the message lists those there are.
    """
    if isinstance(dtype, DType):
        return dtype
    try:
        if dtype is None:  # NumPy would take it for float64
            raise TypeError
        return _PYTHON[dtype] if dtype in _PYTHON else _BY_NUMPY[np.dtype(dtype)]
    except (KeyError, TypeError):
        names = ", ".join(t.name for t in ALL)
        raise TypeError(f"dtype {dtype!r} is not supported; choose one of {names}") from None


def promote_types(type1: DType, type2: DType) -> DType:
    """The smallest type that holds both, by torch's table (an integer never widens a floating-point type).

    >>> promote_types(int64, float32), promote_types(uint8, int8), promote_types(bool_, uint8)
    (minicnn.float32, minicnn.int16, minicnn.uint8)
    """
    if type1 is type2:
        return type1
    if type1.category != type2.category:
        return type1 if type1.category > type2.category else type2
    return _BY_NUMPY[np.promote_types(type1.dtype, type2.dtype)]


def can_cast(from_: DType, to: DType) -> bool:
    """Whether an operation's result of the first type may be written into a tensor of the second, by torch's rules.

    >>> can_cast(float64, float32), can_cast(float32, int64), can_cast(int64, bool_)
    (True, False, False)
    """
    return as_dtype(from_).category <= as_dtype(to).category


class finfo:
    """The limits of a floating-point type: ``eps``, ``max``, ``min``, ``tiny``, ``smallest_normal``, ``resolution``.

    >>> finfo(float32).eps, finfo(float64).bits
    (1.1920928955078125e-07, 64)

    Raises
    ------
    TypeError : for a type that is not floating point.
    """

    def __init__(self, type: DType | None = None):
        dtype = _default if type is None else as_dtype(type)
        if not dtype.is_floating_point:
            raise TypeError(f"finfo: {dtype} is not floating point; see iinfo")
        limits = np.finfo(dtype.numpy)
        self.dtype, self.bits = dtype.name, int(limits.bits)
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.resolution = 10.0**-limits.precision

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.tiny:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """The limits of a whole-number type: ``min``, ``max``, ``bits``.

    >>> iinfo(uint8)
    iinfo(min=0, max=255, dtype=uint8)

    Raises
    ------
    TypeError : for any other type.
    """

    def __init__(self, type: DType):
        dtype = as_dtype(type)
        if dtype.category != 1:
            raise TypeError(f"iinfo: {dtype} is no whole-number type; see finfo")
        limits = np.iinfo(dtype.numpy)
        self.dtype, self.bits, self.min, self.max = dtype.name, int(limits.bits), int(limits.min), int(limits.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"


def scalar_dtype(value: bool | int | float) -> DType:
    """The type of a Python or NumPy scalar among tensors: bool, int64 or the default floating-point type."""
    if isinstance(value, (bool, np.bool_)):
        return bool_
    return int64 if isinstance(value, (int, np.integer)) else _default


def result_type(dimensioned: Iterable[DType], zero_dim: Iterable[DType] = (), scalars: Iterable[DType] = ()) -> DType:
    """The type of an operation's result.

    torch ranks the operands: tensors with dimensions first, then 0-dimensional tensors, then Python scalars. A lower
    rank counts only where its category (bool < integer < floating point) is higher than what the ranks above give.

    >>> result_type([float32], [float64])        # a float32 vector times a float64 scalar tensor
    minicnn.float32
    >>> result_type([int64], [], [float32])      # an int64 vector plus 2.0
    minicnn.float32
    """
    result: DType | None = None
    for rank in (dimensioned, zero_dim, scalars):
        best: DType | None = None
        for dtype in rank:
            best = dtype if best is None else promote_types(best, dtype)
        if best is not None and (result is None or best.category > result.category):
            result = best
    if result is None:
        raise ValueError("result_type needs at least one operand")
    return result
