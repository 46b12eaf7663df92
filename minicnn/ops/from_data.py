"""Making tensors from data: numbers, lists, NumPy's arrays, buffers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import Tensor
from ..device import require_cpu
from ..dtypes import DType, as_dtype
from .creation import require_place


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


def new_tensor(
    self: Tensor, data: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """:func:`minicnn.tensor` in this tensor's type unless given another.

    >>> import minicnn as mc
    >>> mc.ones(1, dtype=mc.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=minicnn.float64)
    """
    return tensor(data, dtype=self.dtype if dtype is None else dtype, device=device, requires_grad=requires_grad)


__all__ = ["as_tensor", "asarray", "from_numpy", "frombuffer", "tensor"]
