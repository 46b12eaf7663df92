"""``x[index]``: integers, slices, None and ... give views; lists, tensors and masks gather copies.

The gradient of a gather is a scatter: elements taken twice get both gradients.

An index that mixes both kinds is taken in two steps, as in torch: first what gives a view, then what gathers. (NumPy
counts an integer beside a list as a list: ``x[0, :, [0, 1]]`` has another shape there.)
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from minicnn_kernels import workspace

from ..autograd import Op, Tensor


class GetItem(Op):
    # y = x[basic], a view: each element is taken at most once
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, basic):
        ctx.shape, ctx.basic = x.shape, basic
        return x[basic]

    @staticmethod
    def backward(ctx, grad_out):
        grad = workspace.zeros(ctx.shape, grad_out.dtype)
        grad[ctx.basic] = grad_out
        return grad


class Gather(Op):
    # y = x[index], a copy. The index arrays are operands, so that changing one before the backward pass is noticed.
    @staticmethod
    def forward(ctx, x, *index):
        ctx.shape = x.shape
        ctx.save(*index)
        return x[index]

    @staticmethod
    def backward(ctx, grad_out):
        grad = workspace.zeros(ctx.shape, grad_out.dtype)
        add_at(grad, ctx.saved, grad_out)
        return grad, *[None] * len(ctx.saved)


class TakeAlong(Op):
    # y[i, j] = x[i, index[i, j]] along a dimension; what is taken twice gets both gradients
    @staticmethod
    def forward(ctx, x, index, *, dim, unique=False):
        ctx.shape, ctx.dim, ctx.unique = x.shape, dim, unique
        ctx.save(index)
        return np.take_along_axis(x[covered(index.shape, dim)], index, dim)

    @staticmethod
    def backward(ctx, grad_out):
        (index,) = ctx.saved
        grad = workspace.zeros(ctx.shape, grad_out.dtype)
        if ctx.unique:
            np.put_along_axis(grad[covered(index.shape, ctx.dim)], index, grad_out, ctx.dim)
        else:
            combine_along(np.add, grad, index, grad_out, ctx.dim)
        return grad, None


class SetItem(Op):
    # x with value written at the index: the value gets the gradient there, x everywhere else
    @staticmethod
    def forward(ctx, x, value, *index, basic):
        ctx.basic, ctx.value_ndim = basic, np.ndim(value)
        ctx.save(*index)
        out = x.copy(order="K")
        write(out, basic, index, value)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        index = ctx.saved
        grad_x = grad_value = None
        if ctx.needs_input_grad[0]:
            grad_x = grad_out.copy(order="K")
            write(grad_x, ctx.basic, index, 0)
        if ctx.needs_input_grad[1]:
            grad_value = np.array(grad_out[ctx.basic][index])
            # A value may have more dimensions than its place, of size 1, in front.
            extra = ctx.value_ndim - grad_value.ndim
            grad_value = grad_value.reshape((1,) * extra + grad_value.shape)
        return grad_x, grad_value, *[None] * len(index)


def covered(shape: tuple[int, ...], dim: int) -> tuple[slice, ...]:
    """The part of an array that an index of this shape speaks of: all along ``dim``, so many elsewhere."""
    return tuple(slice(None) if d == dim else slice(n) for d, n in enumerate(shape))


def combine_along(ufunc: np.ufunc, out: np.ndarray, index: np.ndarray, values: np.ndarray, dim: int) -> None:
    """``out[i, index[i, j]] = ufunc(that, values[i, j])`` along ``dim``, one after the other."""
    assert out.flags.c_contiguous
    flat = out.reshape(-1)
    steps = np.cumprod([1, *out.shape[:0:-1]])[::-1]
    places = np.zeros(index.shape, np.int64)
    for d, n in enumerate(index.shape):
        along = index if d == dim else np.arange(n).reshape(-1, *(1,) * (index.ndim - d - 1))
        places += along * steps[d]
    ufunc.at(flat, places.reshape(-1), np.broadcast_to(values, index.shape).reshape(-1))


def add_at(out: np.ndarray, index: tuple, values: np.ndarray) -> None:
    """``out[index] += values``, where elements named several times get all their values."""
    arrays = [(axis, part) for axis, part in enumerate(index) if isinstance(part, np.ndarray)]
    axis, part = arrays[0]
    if len(arrays) > 1:
        np.add.at(out, index, values)
    elif part.dtype == bool:
        out[index] += values
    else:
        lead, rest = out.shape[:axis], out.shape[axis + 1 :]
        rows = np.broadcast_to(values, (*lead, *part.shape, *rest)).reshape(*lead, part.size, *rest)
        add_rows(out, part.reshape(-1), rows, axis)


def add_rows(out: np.ndarray, index: np.ndarray, rows: np.ndarray, dim: int = 0) -> None:
    """``out[index[i]] += rows[i]`` along ``dim``, where rows of one index add up first (in their order).

    (``np.add.at`` is right too, and many times slower on rows.)
    """
    if not index.size or not rows.size:
        return
    index = np.where(index < 0, index + out.shape[dim], index)
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    rows = np.moveaxis(rows, dim, 0)[order]
    if len(starts) < len(index):
        rows = np.add.reduceat(rows, starts, axis=0, dtype=out.dtype)
    np.moveaxis(out, dim, 0)[ordered[starts]] += rows


def write(array: np.ndarray, basic: tuple, index: tuple, value: Any) -> None:
    """``array[basic][index] = value`` into the array's own memory."""
    while np.ndim(value) and len(value) == 1:  # NumPy takes no leading sizes of 1 for a mask
        value = value[0]
    array[basic][index if index else ...] = value


def getitem(input: Tensor, index: Any) -> Tensor:
    """``input[index]``.

    >>> import minicnn as mc
    >>> x = mc.arange(6).reshape(2, 3)
    >>> x[1, ::2], x[:, [0, 0]], x[x > 3]
    (tensor([3, 5]), tensor([[0, 0],
            [3, 3]]), tensor([4, 5]))

    Raises
    ------
    IndexError : too many indices, one outside its dimension, or a mask of another shape.
    TypeError : for what cannot be an index.
    ValueError : for a negative step, as in torch.
    """
    basic, gather = as_index(index, input.ndim)
    if not gather:
        return GetItem.apply(input, basic=basic)
    viewed = GetItem.apply(input, basic=basic) if any(p != slice(None) for p in basic[:-1]) else input
    return Gather.apply(viewed, *gather)


def as_index(index: Any, ndim: int) -> tuple[tuple, tuple]:
    """A user's index in two steps, ``x[basic][gather]``: integers, slices and None; then arrays (none: an empty tuple).

    ``basic`` ends in ``...``, so that NumPy gives a view even where one element is left.
    """
    parts = [_one(part) for part in (index if isinstance(index, tuple) else (index,))]
    free = ndim - builtins.sum(_consumed(part) for part in parts)
    if free < 0:
        raise IndexError(f"index: {ndim - free} indices for a tensor of {ndim} dimensions")
    at = [i for i, part in enumerate(parts) if part is Ellipsis]
    if len(at) > 1:
        raise IndexError("index: '...' may come only once")
    where = at[0] if at else len(parts)
    parts[where : where + 1] = [slice(None)] * free
    basic: list = []
    gather: list = []
    for part in parts:
        if isinstance(part, (np.ndarray, Tensor)):
            basic += [slice(None)] * _consumed(part)
            gather.append(part)
        else:
            basic.append(part)
            if not isinstance(part, int):
                gather.append(slice(None))
    while gather and isinstance(gather[-1], slice):
        gather.pop()
    return (*basic, Ellipsis), tuple(gather)


def _consumed(part: Any) -> int:
    """How many dimensions of the tensor one part of an index speaks of."""
    if part is None or part is Ellipsis:
        return 0
    if isinstance(part, (np.ndarray, Tensor)) and part.dtype == bool:
        return part.ndim
    return 1


def _one(index: Any) -> Any:
    """One part of an index: an int, a slice, None, ..., or an array or tensor of whole numbers or bools."""
    if isinstance(index, (list, range)):
        index = np.asarray([i.item() if isinstance(i, Tensor) else i for i in index])
        if index.size == 0:
            index = index.astype(np.int64)
    elif isinstance(index, (bool, np.bool_)):
        return np.asarray(index)
    if isinstance(index, (np.ndarray, Tensor)):
        dtype = index.numpy().dtype if isinstance(index, Tensor) else index.dtype
        if dtype.kind not in "iub":
            raise TypeError(f"index: expected whole numbers or bools, got {dtype}; convert with .long()")
        if dtype == np.uint8:
            raise TypeError("index: uint8 could mean a mask or positions; convert with .bool() or .long()")
        return int(index.item()) if index.ndim == 0 and dtype.kind != "b" else index
    if isinstance(index, np.integer):
        return int(index)
    if isinstance(index, slice):
        if index.step is not None and int(index.step) < 0:
            raise ValueError("index: a slice step has to be positive, as in torch")
        return slice(*(None if i is None else int(i) for i in (index.start, index.stop, index.step)))
    if index is None or index is Ellipsis or isinstance(index, int):
        return index
    raise TypeError(f"index: expected integers, slices, None, ..., lists or tensors, got {type(index).__name__}")
