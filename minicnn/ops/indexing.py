"""``x[index]``: integers, slices, None and ... give views; lists, tensors and masks gather copies.

The gradient of a gather is a scatter: elements taken twice get both gradients.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Op, Tensor


class GetItem(Op):
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, index):
        ctx.shape, ctx.index = x.shape, index
        return x[index]

    @staticmethod
    def backward(ctx, grad_out):
        grad = np.zeros(ctx.shape, grad_out.dtype)
        if _is_basic(ctx.index):
            grad[ctx.index] = grad_out  # each element was taken at most once
        else:
            np.add.at(grad, ctx.index, grad_out)
        return grad


class SetItem(Op):
    """x with value written at the index: the value gets the gradient there, x everywhere else."""

    @staticmethod
    def forward(ctx, x, value, *, index):
        ctx.index = index
        out = x.copy()
        out[index] = value
        return out

    @staticmethod
    def backward(ctx, grad_out):
        grad_x = grad_out.copy()
        grad_x[ctx.index] = 0
        return grad_x, np.array(grad_out[ctx.index])


def getitem(input: Tensor, index: Any) -> Tensor:
    """``input[index]``.

    Raises
    ------
    IndexError : too many indices, or one outside its dimension.
    TypeError : for what cannot be an index.
    """
    return GetItem.apply(input, index=as_index(index))


def as_index(index: Any) -> Any:
    """A user's index as NumPy takes it: tensors become arrays, lists become arrays of integers or bools."""
    if isinstance(index, tuple):
        return tuple(_one(i) for i in index)
    return _one(index)


def _one(index: Any) -> Any:
    if isinstance(index, Tensor):
        index = index._array
    elif isinstance(index, (list, range)):
        index = np.asarray([int(i) if isinstance(i, Tensor) else i for i in index])
        if index.size == 0:
            index = index.astype(np.int64)
    if isinstance(index, np.ndarray):
        if index.dtype.kind not in "iub":
            raise TypeError(f"index: expected whole numbers or bools, got {index.dtype}; convert with .long()")
        return index
    if index is None or index is Ellipsis or isinstance(index, (slice, int, np.integer, np.bool_)):
        if isinstance(index, slice) and index.step is not None and int(index.step) < 0:
            raise ValueError("index: a slice step has to be positive, as in torch")
        return index
    raise TypeError(f"index: expected integers, slices, None, ..., lists or tensors, got {type(index).__name__}")


def _is_basic(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return not any(isinstance(p, (np.ndarray, bool, np.bool_)) for p in parts)
