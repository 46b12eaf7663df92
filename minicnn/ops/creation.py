"""Making tensors: from data, of a constant, of a range. At random: ``sampling.py``.

All of them take torch's keywords: ``dtype``, ``device`` (the CPU), ``layout`` (``mc.strided``), ``requires_grad``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes, layout
from ..autograd import Tensor
from ..device import require_cpu
from ..dtypes import DType, as_dtype
from ..layout import as_format, contiguous_format, memory_format, preserve_format, require_strided
from .promotion import fitted
from .shape import _shape_argument


def require_place(device: Any = None, layout: Any = None, pin_memory: bool | None = False) -> None:
    """Raise for what is not there: another device, another layout, memory for a faster way to another device."""
    require_cpu(device)
    require_strided(layout)
    if pin_memory:
        raise NotImplementedError("pin_memory: there is no other device to copy to; leave it out")


def tensor(
    data: Any,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor with a copy of ``data``: numbers, nested lists, a NumPy array, or a tensor.

    NumPy arrays keep their type (float64 stays float64); Python floats become the default type (float32), whole numbers
    int64, truth values bool, as in torch.

    >>> import minicnn as mc, numpy as np
    >>> mc.tensor([1, 2.5]), mc.tensor(np.zeros(1)), mc.tensor([True])
    (tensor([1.0000, 2.5000]), tensor([0.], dtype=minicnn.float64), tensor([True]))

    Raises
    ------
    ValueError : nested lists of uneven lengths. TypeError : a type that tensors do not have. OverflowError : a number
        outside the whole-number type asked for.
    """
    require_place(device, None, pin_memory)
    array = np.array(_to_array(data, None if dtype is None else as_dtype(dtype)), order="C")
    return Tensor(array, requires_grad)


def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """:func:`tensor` that shares memory where it can: a tensor of that type is returned as it is."""
    require_cpu(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    return _sharing(_to_array(data, None if dtype is None else as_dtype(dtype)))


def asarray(
    obj: Any,
    *,
    dtype: DType | None = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """:func:`as_tensor` that can be told to copy (``copy=True``), or to refuse to (``copy=False``).

    >>> import minicnn as mc, numpy as np
    >>> a = np.zeros(2)
    >>> mc.asarray(a).numpy() is a, mc.asarray(a, copy=True).numpy() is a
    (True, False)

    Raises
    ------
    ValueError : where ``copy=False`` and the data has to be copied.
    """
    out = as_tensor(obj, dtype, device)
    given = obj._array if isinstance(obj, Tensor) else obj
    shares = isinstance(given, np.ndarray) and np.may_share_memory(given, out._array)
    if copy is False and not shares:
        raise ValueError(f"copy: a {type(obj).__name__} cannot become this tensor without a copy")
    if copy and shares:
        out = Tensor(out._array.copy())
    return out.requires_grad_() if requires_grad and not out.requires_grad else out


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor that shares the array's memory: changes in one show in the other.

    >>> import minicnn as mc, numpy as np
    >>> a = np.zeros(2)
    >>> t = mc.from_numpy(a)
    >>> a[0] = 7
    >>> t
    tensor([7., 0.], dtype=minicnn.float64)

    Raises
    ------
    TypeError : for anything but an array, or a type that tensors do not have.
    """
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"ndarray: expected a NumPy array, got {type(ndarray).__name__}")
    return _sharing(ndarray)


def frombuffer(buffer: Any, *, dtype: DType, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A tensor of one dimension that shares the memory of a ``bytearray``, an ``array.array``, a ``memoryview`` ...

    ``count`` elements (-1: all there are) from byte ``offset`` on.

    >>> import minicnn as mc
    >>> mc.frombuffer(bytearray([1, 0, 2, 0]), dtype=mc.int16)
    tensor([1, 2], dtype=minicnn.int16)

    Raises
    ------
    ValueError : where the buffer has no such elements.
    """
    kind = as_dtype(dtype)
    length = memoryview(buffer).nbytes
    if length == 0 or count == 0:
        raise ValueError(f"buffer: of {length} bytes, {count} elements: nothing to make a tensor of")
    if not 0 <= offset < length:
        raise ValueError(f"offset: expected a byte of the buffer, 0 to {length - 1}, got {offset}")
    if count < 0 and (length - offset) % kind.itemsize:
        raise ValueError(
            f"buffer: the {length - offset} bytes from {offset} on are no multiple of {kind.itemsize}, an element's size"
        )
    if count > 0 and offset + count * kind.itemsize > length:
        raise ValueError(f"count: {count} elements of {kind.itemsize} bytes from byte {offset} on, of {length}")
    out = _sharing(np.frombuffer(buffer, kind.numpy, count, offset))
    return out.requires_grad_() if requires_grad else out


def scalar_tensor(
    s: Any, *, dtype: DType | None = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A 0-dimensional tensor of one number, of the default type unless given another."""
    require_place(device, layout)
    return full((), s, dtype=dtypes.get_default_dtype() if dtype is None else dtype, requires_grad=requires_grad)


def _sharing(array: np.ndarray) -> Tensor:
    out = Tensor(array)
    out._version_cell.exported = True  # the memory is not the framework's own: it cannot re-lay it
    return out


def _to_array(data: Any, dtype: DType | None) -> np.ndarray:
    if isinstance(data, Tensor):
        array = data._array
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    else:
        floats: set[np.dtype] = set()
        try:
            array = np.asarray(_lists(data, floats))
        except ValueError:
            raise ValueError(f"data: nested lists have to be of even lengths, got {data!r:.80}") from None
        if array.dtype.kind == "O":
            raise TypeError(f"data: expected numbers, got {data!r:.80}")
        if dtype is None and (array.size == 0 or array.dtype.kind == "f"):
            # Python's floats are of the default type; NumPy's, and tensors', keep theirs.
            dtype = as_dtype(np.result_type(*floats)) if floats else dtypes.get_default_dtype()
        elif dtype is not None and dtype.category == 1:
            _check_range(array, dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # too large is infinite
        return array if dtype is None else array.astype(dtype.numpy, copy=False)


def _check_range(array: np.ndarray, dtype: DType) -> None:
    """Python numbers that a whole-number type cannot hold are refused, not wrapped (but -1 may be unsigned)."""
    bounds = np.iinfo(dtype.numpy)
    lowest = bounds.min - (bounds.max if bounds.min == 0 else 0)
    outside = ~((array >= lowest) & (array <= bounds.max))
    if outside.any():
        raise OverflowError(f"data: {array[outside].ravel()[0]} is outside {dtype}, {bounds.min} to {bounds.max}")


def _lists(data: Any, floats: set[np.dtype]) -> Any:
    """Nested lists that NumPy takes; the floating-point types in them, other than Python's, go into ``floats``."""
    if isinstance(data, (list, tuple)):
        return [_lists(x, floats) for x in data]
    if isinstance(data, Tensor):
        data = data._array
    if isinstance(data, (np.ndarray, np.generic)) and data.dtype.kind == "f":
        floats.add(data.dtype)
    return data


def numpy_dtype(dtype: DType | None) -> np.dtype:
    """The type asked for, or else the default one, in NumPy's terms."""
    return (dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)).numpy


def sizes_of(sizes: tuple, size: Any = None, what: str = "size") -> tuple[int, ...]:
    """``f(2, 3)``, ``f((2, 3))`` and ``f(size=(2, 3))`` mean the same."""
    if size is not None:
        if sizes:
            raise TypeError("size: given twice, by position and by name")
        sizes = (size,)
    elif not sizes:
        raise TypeError(f"{what}: missing; () makes a tensor of one number")
    shape = _shape_argument(sizes, "size")
    if any(n < 0 for n in shape):
        raise ValueError(f"size: sizes are not negative, got {shape}")
    return shape


# ---- constants


def zeros(
    *sizes: Any,
    size: Any = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of zeros.

    >>> import minicnn as mc
    >>> mc.zeros(2, 3).shape
    minicnn.Size([2, 3])
    """
    require_place(device, layout, pin_memory)
    return Tensor(np.zeros(sizes_of(sizes, size), numpy_dtype(dtype)), requires_grad)


def ones(
    *sizes: Any,
    size: Any = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of ones."""
    require_place(device, layout, pin_memory)
    return Tensor(np.ones(sizes_of(sizes, size), numpy_dtype(dtype)), requires_grad)


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
    return Tensor(_empty(shape, numpy_dtype(dtype), as_format(memory_format, len(shape))), requires_grad)


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
    return layout.empty_like(input._array, kind, as_format(format, input.ndim))


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


def _empty(shape: tuple[int, ...], dtype: np.dtype, format: memory_format) -> np.ndarray:
    return layout.empty(shape, dtype, format)


# ---- methods of tensors


def new_tensor(
    self: Tensor, data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """:func:`minicnn.tensor` in this tensor's type unless given another.

    >>> import minicnn as mc
    >>> mc.ones(1, dtype=mc.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=minicnn.float64)
    """
    return tensor(data, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)


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
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "empty_strided",
    "eye",
    "from_numpy",
    "frombuffer",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "scalar_tensor",
    "tensor",
    "zeros",
    "zeros_like",
]
