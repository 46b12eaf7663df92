"""Making tensors: from data, of a constant, of a range, at random."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..autograd import Tensor
from ..device import require_cpu
from ..dtypes import DType, as_dtype
from ..random import Generator, default_generator
from .shape import _shape_argument


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
    require_cpu(device)
    array = np.array(_to_array(data, None if dtype is None else as_dtype(dtype)), order="C")
    return Tensor(array, requires_grad)


def as_tensor(data: Any, dtype: DType | None = None, device: Any = None) -> Tensor:
    """:func:`tensor` that shares memory where it can: a tensor of that type is returned as it is."""
    require_cpu(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    return _sharing(_to_array(data, None if dtype is None else as_dtype(dtype)))


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
        first = data
        while isinstance(first, (list, tuple)) and first:
            first = first[0]
        try:
            array = np.asarray(_lists(data))
        except ValueError:
            raise ValueError(f"data: nested lists have to be of even lengths, got {data!r:.80}") from None
        typed = isinstance(first, (Tensor, np.ndarray, np.generic))
        if array.dtype.kind == "O":
            raise TypeError(f"data: expected numbers, got {type(first).__name__} in {data!r:.80}")
        if dtype is None and (array.size == 0 or (array.dtype.kind == "f" and not typed)):
            dtype = dtypes.get_default_dtype()
        elif dtype is not None and dtype.category == 1:
            _check_range(array, dtype)
    return array if dtype is None else array.astype(dtype.numpy, copy=False)


def _check_range(array: np.ndarray, dtype: DType) -> None:
    """Python numbers that a whole-number type cannot hold are refused, not wrapped."""
    bounds = np.iinfo(dtype.numpy)
    outside = ~((array >= bounds.min) & (array <= bounds.max))
    if outside.any():
        raise OverflowError(f"data: {array[outside].ravel()[0]} is outside {dtype}, {bounds.min} to {bounds.max}")


def _lists(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data.detach().numpy()
    return [_lists(x) for x in data] if isinstance(data, (list, tuple)) else data


def _dtype(dtype: DType | None) -> np.dtype:
    return (dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)).numpy


def _floating(dtype: DType | None) -> np.dtype:
    kind = _dtype(dtype)
    if kind.kind != "f":
        raise TypeError(
            f"dtype: random fractions need a floating-point type, got {kind}; for whole numbers use randint"
        )
    return kind


def _sizes(sizes: tuple, size: Any = None) -> tuple[int, ...]:
    """``f(2, 3)``, ``f((2, 3))`` and ``f(size=(2, 3))`` mean the same."""
    if size is not None:
        if sizes:
            raise TypeError("size: given twice, by position and by name")
        sizes = (size,)
    shape = _shape_argument(sizes, "size")
    if any(n < 0 for n in shape):
        raise ValueError(f"size: sizes are not negative, got {shape}")
    return shape


def zeros(
    *sizes: Any,
    size: Any = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of zeros.

    >>> import minicnn as mc
    >>> mc.zeros(2, 3).shape
    minicnn.Size([2, 3])
    """
    require_cpu(device)
    return Tensor(np.zeros(_sizes(sizes, size), _dtype(dtype)), requires_grad)


def ones(
    *sizes: Any,
    size: Any = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor of ones."""
    require_cpu(device)
    return Tensor(np.ones(_sizes(sizes, size), _dtype(dtype)), requires_grad)


def empty(
    *sizes: Any,
    size: Any = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """A tensor with whatever was in memory: to be filled."""
    require_cpu(device)
    return Tensor(np.empty(_sizes(sizes, size), _dtype(dtype)), requires_grad)


def full(
    size: Any, fill_value: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor of one value; its type is the value's unless given."""
    require_cpu(device)
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    kind = dtypes.scalar_dtype(value) if dtype is None else as_dtype(dtype)
    return Tensor(np.full(_sizes((size,) if isinstance(size, int) else tuple(size)), value, kind.numpy), requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The identity matrix, n x n or n x m."""
    require_cpu(device)
    return Tensor(np.eye(n, m, dtype=_dtype(dtype)), requires_grad)


def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """start, start + step, ... below ``end``; int64 where all three are whole, else the default type.

    >>> import minicnn as mc
    >>> mc.arange(3), mc.arange(1.0, 2.0, 0.5)
    (tensor([0, 1, 2]), tensor([1.0000, 1.5000]))

    Raises
    ------
    ValueError : a step of 0, or one that leads away from the end.
    """
    require_cpu(device)
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) / step < 0:
        raise ValueError(f"step: {step} does not lead from {start} to {end}")
    whole = all(isinstance(x, (int, np.integer)) for x in (start, end, step))
    kind = (dtypes.int64 if whole else dtypes.get_default_dtype()) if dtype is None else as_dtype(dtype)
    return Tensor(np.arange(start, end, step).astype(kind.numpy), requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``steps`` evenly spaced numbers from ``start`` to ``end``, both included."""
    require_cpu(device)
    return Tensor(np.linspace(start, end, steps).astype(_dtype(dtype)), requires_grad)


def rand(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Uniform random numbers in [0, 1)."""
    require_cpu(device)
    return Tensor((generator or default_generator).uniform(_sizes(sizes, size), _floating(dtype)), requires_grad)


def randn(
    *sizes: Any,
    size: Any = None,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Standard normal random numbers.

    >>> import minicnn as mc
    >>> mc.randn(2, 3, generator=mc.Generator().manual_seed(0)).shape
    minicnn.Size([2, 3])
    """
    require_cpu(device)
    return Tensor((generator or default_generator).normal(_sizes(sizes, size), _floating(dtype)), requires_grad)


def randint(
    *bounds_and_size: Any,
    low: int = 0,
    high: int | None = None,
    size: Any = None,
    generator: Generator | None = None,
    dtype: DType | None = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Random whole numbers: ``randint(high, size)`` or ``randint(low, high, size)``, ``high`` excluded. int64.

    >>> import minicnn as mc
    >>> mc.randint(3, 4, size=(2,))
    tensor([3, 3])

    Raises
    ------
    ValueError : where there is no number in between. TypeError : for other arguments.
    """
    require_cpu(device)
    given = list(bounds_and_size)
    if size is None and given and isinstance(given[-1], (tuple, list)):
        size = given.pop()
    if len(given) == 2 and high is None:
        low, high = given
    elif len(given) == 1:
        low, high = (0, given[0]) if high is None else (given[0], high)
    if size is None or high is None or len(given) > 2:
        raise TypeError("randint: expected (high, size) or (low, high, size), with size a tuple")
    low, high = (_whole(bound, name) for bound, name in ((low, "low"), (high, "high")))
    if low >= high:
        raise ValueError(f"high: no whole number from {low} below {high}")
    array = (generator or default_generator).integers(low, high, _sizes((size,)))
    return Tensor(array if dtype is None else array.astype(as_dtype(dtype).numpy), requires_grad)


def _whole(bound: Any, name: str) -> int:
    if isinstance(bound, bool) or not isinstance(bound, (int, np.integer, Tensor)):
        raise TypeError(f"{name}: expected a whole number, got {bound!r}")
    return int(bound)


def randperm(n: int, *, generator: Generator | None = None, dtype: DType | None = None, device: Any = None) -> Tensor:
    """A random order of 0 .. n - 1. int64.

    >>> import minicnn as mc
    >>> sorted(mc.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    require_cpu(device)
    if n < 0:
        raise ValueError(f"n: expected a number that is not negative, got {n}")
    array = (generator or default_generator).permutation(n)
    return Tensor(array if dtype is None else array.astype(as_dtype(dtype).numpy))


def _like(factory: Any, name: str, doc: str):
    def make(input: Tensor, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False) -> Tensor:
        return factory(
            tuple(input.shape),
            dtype=input.dtype if dtype is None else dtype,
            device=device,
            requires_grad=requires_grad,
        )

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{doc} of the shape and type of ``input``."
    return make


zeros_like = _like(zeros, "zeros_like", "Zeros")
ones_like = _like(ones, "ones_like", "Ones")
empty_like = _like(empty, "empty_like", "Whatever was in memory,")
rand_like = _like(rand, "rand_like", "Uniform random numbers in [0, 1)")
randn_like = _like(randn, "randn_like", "Standard normal random numbers")


def full_like(
    input: Tensor, fill_value: Any, *, dtype: DType | None = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value in the shape and type of ``input``."""
    kind = input.dtype if dtype is None else dtype
    return full(tuple(input.shape), fill_value, dtype=kind, device=device, requires_grad=requires_grad)


def randint_like(input: Tensor, *bounds: int, dtype: DType | None = None, device: Any = None) -> Tensor:
    """Random whole numbers (``high``, or ``low, high``) in the shape and type of ``input``."""
    return randint(*bounds, tuple(input.shape), dtype=input.dtype if dtype is None else dtype, device=device)
