"""Sorted along a dimension: ``sort``, ``topk``, ``kthvalue``, ``median``, ``mode``, ``unique`` and their kin.

NaN is larger than everything, as in torch. Of equal elements the one that comes first in the tensor comes first in the
result, in descending order too (torch promises that for ``stable=True`` only). ``topk`` and ``kthvalue`` select
without sorting all, and take those of equal elements that PyTorch takes. The gradient goes to what was taken.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels import backend_of

from ..autograd import Tensor
from .indexing import TakeAlong
from .reduction import ValuesAndIndices, normalize_dim
from .shape import flatten, reshape, squeeze


def _order(x: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    """The indices that sort along an axis; equal elements stay in their order."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    # Sorted backwards and read backwards: descending, with equal elements in their order, NaN first.
    backwards = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(backwards, axis)


def _rows_along(x: np.ndarray, axis: int) -> np.ndarray:
    """The array as rows along an axis, floating point or int64: (..., n, ...) -> (rows, n)."""
    rows = np.moveaxis(x, axis, -1).reshape(math.prod(x.shape[:axis] + x.shape[axis + 1 :]), x.shape[axis])
    return rows if x.dtype.kind == "f" else rows.astype(np.int64, copy=False)


def _back_along(places: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """Places found in each row, (rows, k) or (rows,), along the axis of an array of that shape: (..., k, ...)."""
    lead = shape[:axis] + shape[axis + 1 :]
    return np.moveaxis(places.reshape(*lead, places.shape[1] if places.ndim > 1 else 1), -1, axis)


def _taken(input: Tensor, order: np.ndarray, axis: int) -> ValuesAndIndices:
    """The elements that ``order`` names along an axis, each at most once."""
    indices = Tensor(np.ascontiguousarray(order, dtype=np.int64))
    return ValuesAndIndices(TakeAlong.apply(input, indices, dim=axis, unique=True), indices)


def _along(input: Tensor, dim: int) -> tuple[Tensor, int]:
    """The input with at least one dimension, and the dimension counted from the front."""
    axis = normalize_dim(dim, input.ndim)
    return (input if input.ndim else reshape(input, (1,))), axis


def sort(input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> ValuesAndIndices:
    """The elements in ascending order along ``dim``, and their indices before.

    >>> import minicnn as mc
    >>> values, indices = mc.sort(mc.tensor([3.0, 1.0, 2.0]), descending=True)
    >>> values, indices
    (tensor([3., 2., 1.]), tensor([0, 2, 1]))
    """
    x, axis = _along(input, dim)
    values, indices = _taken(x, _order(x._array, axis, descending), axis)
    return ValuesAndIndices(values, indices) if input.ndim else ValuesAndIndices(values[0], indices[0])


def argsort(input: Tensor, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Tensor:
    """The indices of :func:`sort`.

    >>> import minicnn as mc
    >>> mc.argsort(mc.tensor([3.0, 1.0, 2.0]))
    tensor([1, 2, 0])
    """
    return sort(input.detach(), dim, descending, stable).indices


def msort(input: Tensor) -> Tensor:
    """Sorted along dim 0: the values of :func:`sort`."""
    return sort(input, 0).values


def topk(input: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> ValuesAndIndices:
    """The ``k`` largest (or smallest) elements along ``dim``, in order, and their indices.

    >>> import minicnn as mc
    >>> mc.topk(mc.tensor([1.0, 5.0, 3.0]), 2).indices
    tensor([1, 2])

    Raises
    ------
    ValueError : where there are fewer than ``k``.
    """
    x, axis = _along(input, dim)
    k = int(k)
    if not 0 <= k <= x.shape[axis]:
        raise ValueError(f"k: expected 0 to {x.shape[axis]}, the size along dim {dim}, got {k}")
    if x._array.dtype == bool:
        raise TypeError("input: topk is not defined on bool tensors")
    rows = _rows_along(x._array, axis)
    order = backend_of(rows).topk_forward(rows, k, bool(largest), bool(sorted))
    values, indices = _taken(x, _back_along(order, x.shape, axis), axis)
    if input.ndim == 0 and k == 1:
        return ValuesAndIndices(reshape(values, ()), reshape(indices, ()))
    return ValuesAndIndices(values, indices)


def _one(input: Tensor, order: np.ndarray, axis: int, keepdim: bool, was_number: bool) -> ValuesAndIndices:
    """The one element that ``order`` (of size 1 along the axis) names."""
    values, indices = _taken(input, order, axis)
    if keepdim and not was_number:
        return ValuesAndIndices(values, indices)
    return ValuesAndIndices(squeeze(values, axis), squeeze(indices, axis))


def kthvalue(input: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The ``k``-th smallest element along ``dim``, counted from 1, and its index.

    >>> import minicnn as mc
    >>> mc.kthvalue(mc.tensor([4.0, 1.0, 3.0]), 2)
    ValuesAndIndices(values=tensor(3.), indices=tensor(2))

    Raises
    ------
    ValueError : where there are fewer than ``k``.
    """
    x, axis = _along(input, dim)
    if not 1 <= k <= x.shape[axis]:
        raise ValueError(f"k: expected 1 to {x.shape[axis]}, the size along dim {dim}, got {k}")
    if x._array.dtype == bool:
        raise TypeError("input: kthvalue is not defined on bool tensors")
    rows = _rows_along(x._array, axis)
    order = backend_of(rows).kthvalue_forward(rows, k)
    return _one(x, _back_along(order, x.shape, axis), axis, keepdim, input.ndim == 0)


def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element; of an even number the lower of the two. With ``dim``: along it, and its index.

    NaN where there is one; :func:`nanmedian` leaves them out.

    >>> import minicnn as mc
    >>> mc.median(mc.tensor([3.0, 1.0, 2.0, 4.0]))
    tensor(2.)
    """
    return _median(input, dim, keepdim, ignore_nan=False)


def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """:func:`median` of what is not NaN; NaN where there is nothing else.

    >>> import minicnn as mc
    >>> mc.nanmedian(mc.tensor([3.0, float("nan"), 2.0]))
    tensor(2.)
    """
    return _median(input, dim, keepdim, ignore_nan=True)


def _median(input: Tensor, dim: int | None, keepdim: bool, ignore_nan: bool) -> Any:
    name = "nanmedian" if ignore_nan else "median"
    if dim is None:
        flat = flatten(input)
        if flat.numel() == 0:
            if input._array.dtype.kind != "f":
                return Tensor(np.asarray(np.iinfo(input._array.dtype).min, input._array.dtype))
            return Tensor(np.asarray(np.nan, input._array.dtype))
        return _median(flat, 0, False, ignore_nan).values
    x, axis = _along(input, dim)
    size = x.shape[axis]
    if size == 0:
        raise ValueError(f"input: {name} along a dimension of size 0, of shape {tuple(input.shape)}")
    order = _order(x._array, axis, False)
    nan = np.isnan(x._array) if x._array.dtype.kind == "f" else np.zeros(x.shape, bool)
    count = size - nan.sum(axis=axis, keepdims=True)  # NaNs are sorted to the end
    if ignore_nan:
        place = np.maximum(count - 1, 0) // 2
    else:
        place = np.where(count < size, count, (size - 1) // 2)
    return _one(x, np.take_along_axis(order, place, axis), axis, keepdim, input.ndim == 0)


def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> ValuesAndIndices:
    """The most frequent element along ``dim`` (the smallest of several), and the last place where it is.

    >>> import minicnn as mc
    >>> mc.mode(mc.tensor([3, 1, 3, 2]))
    ValuesAndIndices(values=tensor(3), indices=tensor(2))
    """
    x, axis = _along(input, dim)
    size = x.shape[axis]
    if size == 0:
        raise ValueError(f"input: mode along a dimension of size 0, of shape {tuple(input.shape)}")
    order = np.moveaxis(_order(x._array, axis, False), axis, -1)
    ordered = np.take_along_axis(np.moveaxis(x._array, axis, -1), order, -1)
    # The run of equal elements that ends at each place: its length grows until the next element differs.
    places = np.arange(size)
    starts = np.concatenate([np.ones((*ordered.shape[:-1], 1), bool), ordered[..., 1:] != ordered[..., :-1]], -1)
    length = places - np.maximum.accumulate(np.where(starts, places, 0), -1)
    best = length.argmax(-1)[..., None]
    return _one(x, np.moveaxis(np.take_along_axis(order, best, -1), -1, axis), axis, keepdim, input.ndim == 0)


# ---- without gradients


def unique(
    input: Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements (or, with ``dim``, the different slices along it), in ascending order.

    With ``return_inverse`` also where each element of the input is among them, with ``return_counts`` how often each occurs.
    The result is sorted whatever ``sorted`` says. Every NaN counts as different.

    >>> import minicnn as mc
    >>> mc.unique(mc.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    if dim is None:
        flat = np.ascontiguousarray(input._array).reshape(-1)
        order = np.argsort(flat, kind="stable")
        return _runs(input, flat, order, None, return_inverse, return_counts)
    axis = normalize_dim(dim, input.ndim)
    rows = _rows(input, axis)
    # By the first column, then by the second ...: lexsort's last key counts most.
    order = np.lexsort(rows.T[::-1]) if rows.shape[1] else np.arange(len(rows))
    return _runs(input, rows, order, axis, return_inverse, return_counts)


def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """Each run of equal elements (or, with ``dim``, of equal slices) once. The other results as :func:`unique`.

    >>> import minicnn as mc
    >>> mc.unique_consecutive(mc.tensor([1, 1, 2, 1]))
    tensor([1, 2, 1])
    """
    if dim is None:
        flat = np.ascontiguousarray(input._array).reshape(-1)
        return _runs(input, flat, np.arange(flat.size), None, return_inverse, return_counts)
    axis = normalize_dim(dim, input.ndim)
    rows = _rows(input, axis)
    return _runs(input, rows, np.arange(len(rows)), axis, return_inverse, return_counts)


def _rows(input: Tensor, axis: int) -> np.ndarray:
    """The slices along an axis as rows of a matrix."""
    moved = np.moveaxis(input._array, axis, 0) if input.ndim else input._array.reshape(1)
    if moved.size == 0 and len(moved):
        raise ValueError(f"input: there are no slices to compare along dim {axis} of shape {tuple(input.shape)}")
    return np.ascontiguousarray(moved).reshape(len(moved), -1 if moved.size else 1)


def _runs(
    input: Tensor, elements: np.ndarray, order: np.ndarray, axis: int | None, return_inverse: bool, return_counts: bool
) -> Any:
    """What ``unique`` returns, of elements (or rows) in an order in which equal ones are neighbours."""
    ordered = elements[order]
    differs = ordered[1:] != ordered[:-1]
    first = np.concatenate([[True], differs.any(-1) if differs.ndim > 1 else differs])[: len(ordered)]
    kept = order[first]
    if axis is None or input.ndim == 0:
        results = [Tensor(elements[kept].reshape(-1))]
    else:
        results = [Tensor(np.ascontiguousarray(np.take(input._array, kept, axis)))]
    if return_inverse:
        inverse = np.empty(len(order), np.int64)
        inverse[order] = np.cumsum(first) - 1
        results.append(Tensor(inverse.reshape(input.shape) if axis is None else inverse))
    if return_counts:
        ends = np.append(np.flatnonzero(first), len(order))
        results.append(Tensor(np.diff(ends).astype(np.int64)))
    return results[0] if len(results) == 1 else tuple(results)
