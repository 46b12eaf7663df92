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
        np.add.at(grad, ctx.saved, grad_out)
        return grad, *[None] * len(ctx.saved)


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


def write(array: np.ndarray, basic: tuple, index: tuple, value: Any) -> None:
    """``array[basic][index] = value`` into the array's own memory."""
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
