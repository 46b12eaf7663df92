"""Making tensors: of a constant, of a range, like another. From data: ``from_data.py``; at random: ``sampling.py``.

All of them take torch's keywords: ``dtype``, ``device`` (the CPU), ``layout`` (``mc.strided``), ``requires_grad``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import Tensor
from ..device import require_cpu
from ..dtypes import DType, as_dtype
from ..layout import as_format, contiguous_format, memory_format, preserve_format, require_strided
from ..layout import empty as memory_of
from ..layout import empty_like as memory_as
from .promotion import fitted
from .shape import _shape_argument


def require_place(device: Any = None, layout: Any = None, pin_memory: bool | None = False) -> None:
    """Raise for what is not there: another device, another layout, memory for a faster way to another device."""
    require_cpu(device)
    require_strided(layout)
    if pin_memory:
        raise NotImplementedError("pin_memory: there is no other device to copy to; leave it out")


def numpy_dtype(dtype: DType | None) -> np.dtype:
    """The type asked for, or else the default one, in NumPy's terms."""
    return (dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)).numpy


def sizes_of(sizes: tuple, size: Any = None) -> tuple[int, ...]:
    """``f(2, 3)``, ``f((2, 3))`` and ``f(size=(2, 3))`` mean the same. (``f()``, as in ``f(*x.shape)``: one number.)"""
    if size is not None:
        if sizes:
            raise TypeError("size: given twice, by position and by name")
        sizes = (size,)
    shape = _shape_argument(sizes, "size")
    if any(n < 0 for n in shape):
        raise ValueError(f"size: sizes are not negative, got {shape}")
    return shape


# ---- constants


def _constant(fill: Callable[..., np.ndarray], name: str, doc: str) -> Callable[..., Tensor]:
    def make(
        *sizes: Any,
        size: Any = None,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
    ) -> Tensor:
        require_place(device, layout, pin_memory)
        return Tensor(fill(sizes_of(sizes, size), numpy_dtype(dtype)), requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = doc
    return make


zeros = _constant(
    np.zeros,
    "zeros",
    """A tensor of zeros.

    >>> import minicnn as mc
    >>> mc.zeros(2, 3).shape
    minicnn.Size([2, 3])
    """,
)
ones = _constant(np.ones, "ones", "A tensor of ones.")


def empty(
    *sizes: Any,
    size: Any = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: memory_format = contiguous_format,
) -> Tensor:
    """A tensor with whatever was in memory: to be filled."""
    require_place(device, layout, pin_memory)
    shape = sizes_of(sizes, size)
    return Tensor(memory_of(shape, numpy_dtype(dtype), as_format(memory_format, len(shape))), requires_grad)


def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """:func:`empty` with the steps in memory (``stride``, in elements) given for each dimension.

    >>> import minicnn as mc
    >>> mc.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    require_place(device, layout, pin_memory)
    kind, shape, steps = numpy_dtype(dtype), sizes_of((), tuple(size)), _shape_argument((tuple(stride),), "stride")
    if len(shape) != len(steps) or any(step < 0 for step in steps):
        raise ValueError(f"stride: expected {len(shape)} steps that are not negative, got {steps}")
    last = sum((n - 1) * step for n, step in zip(shape, steps, strict=True)) if math.prod(shape) else -1
    array = np.ndarray(shape, kind, np.empty(last + 1, kind), 0, tuple(step * kind.itemsize for step in steps))
    return Tensor(array, requires_grad)


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of one value; its type is the value's unless given.

    Raises
    ------
    OverflowError : for a whole number outside the type.
    """
    require_place(device, layout, pin_memory)
    if isinstance(fill_value, Tensor) and fill_value.ndim:
        raise TypeError(f"fill_value: expected a number, got a tensor of shape {tuple(fill_value.shape)}")
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"size: expected a tuple of whole numbers, got {size!r}")
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    kind = dtypes.scalar_dtype(value) if dtype is None else as_dtype(dtype)
    return Tensor(np.full(sizes_of((), tuple(size)), fitted(value, kind.numpy)), requires_grad)


def scalar_tensor(
    s: Any, *, dtype: DType | None = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A 0-dimensional tensor of one number, of the default type unless given another."""
    require_place(device, layout)
    return full((), s, dtype=dtypes.get_default_dtype() if dtype is None else dtype, requires_grad=requires_grad)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The identity matrix, n x n or n x m."""
    require_place(device, layout, pin_memory)
    if n < 0 or (m is not None and m < 0):
        raise ValueError(f"n, m: sizes are not negative, got {n} and {m}")
    return Tensor(np.eye(n, m, dtype=numpy_dtype(dtype)), requires_grad)


# ---- ranges


def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """start, start + step, ... below ``end``; int64 where all three are whole, else the default type.

    >>> import minicnn as mc
    >>> mc.arange(3), mc.arange(1.0, 2.0, 0.5)
    (tensor([0, 1, 2]), tensor([1.0000, 1.5000]))

    Raises
    ------
    ValueError : a step of 0, or one that leads away from the end.
    """
    require_place(device, layout, pin_memory)
    start, end, step = (x.item() if isinstance(x, Tensor) else x for x in (start, end, step))
    if end is None:
        start, end = 0, start
    start = 0 if start is None else start
    if not all(isinstance(x, (int, float, np.integer, np.floating)) and math.isfinite(x) for x in (start, end, step)):
        raise ValueError(f"arange: expected finite numbers, got {start!r}, {end!r}, {step!r}")
    if step == 0 or (end - start) / step < 0:
        raise ValueError(f"step: {step} does not lead from {start} to {end}")
    whole = all(isinstance(x, (int, np.integer)) for x in (start, end, step))
    kind = (dtypes.int64 if whole else dtypes.get_default_dtype()) if dtype is None else as_dtype(dtype)
    _require_numbers(kind, "arange")
    n = math.ceil((end - start) / step)
    if not kind.is_floating_point:
        start, step = int(start), int(step)  # (each by itself, as in torch)
        if step == 0:
            raise ValueError("step: as a whole number it is 0")
        if whole or kind is dtypes.int64:  # counted in whole numbers; for other types torch counts before it cuts off
            n = max(0, -((start - int(end)) // step))
    # From the numbers' places, not by adding up steps: rounding does not pile up.
    number = np.int64 if isinstance(start, (int, np.integer)) and isinstance(step, (int, np.integer)) else np.float64
    return Tensor((start + np.arange(n, dtype=number) * step).astype(kind.numpy), requires_grad)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``steps`` evenly spaced numbers from ``start`` to ``end``, both included.

    >>> import minicnn as mc
    >>> mc.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    require_place(device, layout, pin_memory)
    kind = _require_numbers(dtypes.get_default_dtype() if dtype is None else as_dtype(dtype), "linspace")
    return Tensor(_spaced(start, end, steps, kind).astype(kind.numpy), requires_grad)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """``base`` to the powers that :func:`linspace` gives.

    >>> import minicnn as mc
    >>> mc.logspace(0, 3, 4)
    tensor([   1.,   10.,  100., 1000.])
    """
    require_place(device, layout, pin_memory)
    kind = _require_numbers(dtypes.get_default_dtype() if dtype is None else as_dtype(dtype), "logspace")
    with np.errstate(all="ignore"):
        return Tensor(np.power(np.float64(base), _spaced(start, end, steps, kind)).astype(kind.numpy), requires_grad)


def _spaced(start: Any, end: Any, steps: int, kind: DType) -> np.ndarray:
    """Evenly spaced numbers in float64; between whole numbers where the type is one."""
    if steps < 0:
        raise ValueError(f"steps: expected a number that is not negative, got {steps}")
    ends = []
    for name, x in (("start", start), ("end", end)):
        if isinstance(x, Tensor) and x.ndim:
            raise TypeError(f"{name}: expected a number or a 0-dimensional tensor, got shape {tuple(x.shape)}")
        number = x.item() if isinstance(x, Tensor) else x
        ends.append(number if kind.is_floating_point else int(number))
    return np.linspace(ends[0], ends[1], steps)


def _require_numbers(kind: DType, what: str) -> DType:
    if kind is dtypes.bool_:
        raise TypeError(f"dtype: {what} makes numbers, not bools")
    return kind


# ---- like another tensor


def like(factory: Callable[..., np.ndarray], name: str, doc: str) -> Callable[..., Tensor]:
    """``name_like(input)``: ``factory(array)`` fills memory that lies like the input's."""

    def make(
        input: Tensor,
        *,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        memory_format: memory_format = preserve_format,
        pin_memory: bool = False,
    ) -> Tensor:
        array = memory_like(input, name, dtype, layout, device, memory_format, pin_memory)
        return Tensor(factory(array), requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{doc} of the shape and type of ``input``, in its memory order."
    return make


def memory_like(
    input: Tensor, what: str, dtype: Any, layout_: Any, device: Any, format: memory_format, pin_memory: bool = False
) -> np.ndarray:
    """Uninitialised memory that lies like the input's, or in the format asked for."""
    if not isinstance(input, Tensor):
        raise TypeError(f"input: {what} expected a Tensor, got {type(input).__name__}")
    require_place(device, layout_, pin_memory)
    kind = (input.dtype if dtype is None else as_dtype(dtype)).numpy
    return memory_as(input._array, kind, as_format(format, input.ndim))


def _filled(value: int) -> Callable[[np.ndarray], np.ndarray]:
    def fill(array: np.ndarray) -> np.ndarray:
        array.fill(value)
        return array

    return fill


zeros_like = like(_filled(0), "zeros_like", "Zeros")
ones_like = like(_filled(1), "ones_like", "Ones")
empty_like = like(lambda array: array, "empty_like", "Whatever was in memory,")


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: memory_format = preserve_format,
    pin_memory: bool = False,
) -> Tensor:
    """One value in the shape and type of ``input``, in its memory order."""
    array = memory_like(input, "full_like", dtype, layout, device, memory_format, pin_memory)
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    array.fill(fitted(fill_value, array.dtype))
    return Tensor(array, requires_grad)


# ---- methods of tensors


def _new(factory: Any) -> Any:
    def make(self: Tensor, *size: Any, dtype: DType | None = None, **options: Any) -> Tensor:
        return factory(*size, dtype=self.dtype if dtype is None else dtype, **options)

    make.__name__ = make.__qualname__ = f"new_{factory.__name__}"
    make.__doc__ = f":func:`minicnn.{factory.__name__}` in this tensor's type."
    return make


new_zeros, new_ones, new_empty, new_full = _new(zeros), _new(ones), _new(empty), _new(full)
new_empty_strided = _new(empty_strided)

__all__ = [
    "arange",
    "empty",
    "empty_like",
    "empty_strided",
    "eye",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "scalar_tensor",
    "zeros",
    "zeros_like",
]
