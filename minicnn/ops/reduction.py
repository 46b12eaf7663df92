"""Reductions: many elements to one, over all dimensions or some.

``dim`` is None (all), an integer or a tuple, negative ones counting from the end; ``keepdim`` leaves the reduced
dimensions in with size 1. The gradient of a reduction spreads back over what was reduced.
"""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..autograd import Op, Tensor
from ..dtypes import DType
from .elementwise import maximum, minimum
from .indexing import TakeAlong
from .promotion import cast, require_floating

Dim: TypeAlias = int | tuple[int, ...] | None

_LONG_SUM = 512  # elements


class ValuesAndIndices(NamedTuple):
    """What ``max(dim)`` and ``min(dim)`` return."""

    values: Tensor
    indices: Tensor


def normalize_dim(dim: int, ndim: int, name: str = "dim") -> int:
    """A dimension counted from the front. Raises IndexError, naming the range, where there is no such dimension."""
    if isinstance(dim, bool) or not isinstance(dim, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {type(dim).__name__}")
    size = builtins.max(ndim, 1)  # a 0-dimensional tensor takes dim 0 and -1, as in torch
    if not -size <= dim < size:
        raise IndexError(f"{name}: expected {-size} to {size - 1} for a tensor of {ndim} dimensions, got {dim}")
    return int(dim) % size


def normalize_dims(dim: Dim, ndim: int) -> tuple[int, ...]:
    """The dimensions to reduce, counted from the front. Raises ValueError where one comes twice."""
    if dim is None or (isinstance(dim, (tuple, list)) and not dim):
        return tuple(range(ndim))
    dims = tuple(normalize_dim(d, ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))
    if len(set(dims)) != len(dims):
        raise ValueError(f"dim: each dimension may be named once, got {dim}")
    return dims if ndim else ()


def _spread(grad: np.ndarray, shape: tuple[int, ...], dims: tuple[int, ...]) -> np.ndarray:
    """A reduced array seen in the shape before the reduction (a view that repeats)."""
    kept = [1 if i in dims else n for i, n in enumerate(shape)]
    return np.broadcast_to(grad.reshape(kept), shape)


def _total(x: np.ndarray, dims: tuple[int, ...], keepdim: bool) -> np.ndarray:
    """The sum over ``dims`` in x's own type (NumPy would widen int32).

    NumPy adds pairwise, which keeps the digits, only along the fastest dimension; elsewhere a long float32 sum drifts,
    and is added up in float64.
    """
    wide = x.dtype == np.float32 and _count(x.shape, dims) > _LONG_SUM
    return x.sum(axis=dims, keepdims=keepdim, dtype=np.float64 if wide else x.dtype).astype(x.dtype, copy=False)


class Sum(Op):
    # y = sum of x over dims,  dy/dx = 1
    @staticmethod
    def forward(ctx, x, *, dims, keepdim):
        ctx.shape, ctx.dims = x.shape, dims
        return _total(x, dims, keepdim)

    @staticmethod
    def backward(ctx, grad_out):
        return _spread(grad_out, ctx.shape, ctx.dims)


class Mean(Op):
    # y = sum of x / m over the m elements of dims,  dy/dx = 1 / m
    @staticmethod
    def forward(ctx, x, *, dims, keepdim):
        ctx.shape, ctx.dims = x.shape, dims
        ctx.count = _count(x.shape, dims)
        return _total(x, dims, keepdim) / x.dtype.type(ctx.count)

    @staticmethod
    def backward(ctx, grad_out):
        return _spread(grad_out / grad_out.dtype.type(ctx.count), ctx.shape, ctx.dims)


class Var(Op):
    # y = sum (x - mean)^2 / (m - correction),  dy/dx = 2 (x - mean) / (m - correction)
    @staticmethod
    def forward(ctx, x, *, dims, keepdim, correction):
        ctx.dims = dims
        count = _count(x.shape, dims)
        ctx.divisor = x.dtype.type(builtins.max(count - correction, 0))
        mean = _total(x, dims, True) / x.dtype.type(count)
        ctx.save(x, mean)
        return _total(np.square(x - mean), dims, keepdim) / ctx.divisor

    @staticmethod
    def backward(ctx, grad_out):
        x, mean = ctx.saved
        return _spread(grad_out * (2 / ctx.divisor), x.shape, ctx.dims) * (x - mean)


class Std(Op):
    # y = sqrt(var x),  dy/dx = (x - mean) / (y (m - correction)), and 0 where y = 0
    @staticmethod
    def forward(ctx, x, *, dims, keepdim, correction):
        var = Var.forward(ctx, x, dims=dims, keepdim=keepdim, correction=correction)
        x, mean = ctx._saved
        out = np.sqrt(var)
        ctx.save(x, mean, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, mean, out = ctx.saved
        slope = np.where(out == 0, out, grad_out / (out * ctx.divisor))
        return _spread(slope, x.shape, ctx.dims) * (x - mean)


class Extremum(Op):
    # y = the largest (or smallest) x over dims; equal ones share the gradient evenly
    @staticmethod
    def forward(ctx, x, *, dims, keepdim, largest):
        out = (np.max if largest else np.min)(x, axis=dims, keepdims=keepdim)
        ctx.save(x, np.array(out))
        ctx.dims = dims
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, out = ctx.saved
        top = _spread(out, x.shape, ctx.dims)
        winners = (x == top) | (np.isnan(x) & np.isnan(top))
        share = winners / winners.sum(axis=ctx.dims, keepdims=True, dtype=x.dtype)
        return _spread(grad_out, x.shape, ctx.dims) * share.astype(x.dtype, copy=False)


# ---- the public functions


def sum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """The sum over ``dim``. Whole numbers and bools add up in int64.

    >>> import minicnn as mc
    >>> mc.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(dim=0)
    tensor([4., 6.])
    """
    if dtype is not None:
        input = cast(input, dtype)
    elif input._array.dtype.kind != "f":
        return Tensor(
            np.asarray(input._array.sum(axis=normalize_dims(dim, input.ndim), keepdims=keepdim, dtype=np.int64))
        )
    return Sum.apply(input, dims=normalize_dims(dim, input.ndim), keepdim=keepdim)


def mean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """The mean over ``dim``; NaN where there is nothing to average.

    Raises
    ------
    TypeError : for whole numbers; give ``dtype`` or convert with ``.float()``.
    """
    if dtype is not None:
        input = cast(input, dtype)
    require_floating(input, "input", "mean")
    return Mean.apply(input, dims=normalize_dims(dim, input.ndim), keepdim=keepdim)


def var(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | float | None = None,
) -> Tensor:
    """The variance over ``dim``: ``sum (x - mean)^2 / (m - correction)``.

    ``correction`` is 1 by default (Bessel's, the unbiased estimate); 0 gives the biased variance. ``unbiased`` is torch's
    older name for the same choice.

    >>> import minicnn as mc
    >>> x = mc.tensor([1.0, 2.0, 3.0, 4.0])
    >>> x.var(), x.var(correction=0)
    (tensor(1.6667), tensor(1.2500))
    """
    return _spread_of(Var, input, dim, unbiased, keepdim, correction)


def std(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | float | None = None,
) -> Tensor:
    """The standard deviation over ``dim``: the square root of :func:`var`, with the same arguments.

    The gradient is 0 where the standard deviation is.

    >>> import minicnn as mc
    >>> mc.tensor([1.0, 2.0, 3.0]).std()
    tensor(1.)
    """
    return _spread_of(Std, input, dim, unbiased, keepdim, correction)


def amax(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The largest element over ``dim``; equal ones share the gradient."""
    return _extremum(input, dim, keepdim, largest=True)


def amin(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The smallest element over ``dim``; equal ones share the gradient."""
    return _extremum(input, dim, keepdim, largest=False)


def max(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False) -> Any:
    """The largest element; with ``dim``, the largest along it and their indices; with a tensor, :func:`maximum`.

    Of equal elements the first wins and, with ``dim``, gets the gradient; without, they share it, as in torch.

    >>> import minicnn as mc
    >>> x = mc.tensor([[1.0, 5.0], [7.0, 3.0]])
    >>> x.max()
    tensor(7.)
    >>> x.max(dim=1).indices
    tensor([1, 0])
    """
    _require_tensor(input)
    if isinstance(dim, Tensor):
        return maximum(input, dim)
    return _max_or_min(input, dim, keepdim, largest=True)


def min(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False) -> Any:
    """The smallest element; the same forms as :func:`max`."""
    _require_tensor(input)
    if isinstance(dim, Tensor):
        return minimum(input, dim)
    return _max_or_min(input, dim, keepdim, largest=False)


def argmax(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the largest element (the first of equal ones), in the flattened tensor or along ``dim``. int64."""
    return _arg(np.argmax, input, dim, keepdim)


def argmin(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor:
    """The index of the smallest element (the first of equal ones), in the flattened tensor or along ``dim``. int64."""
    return _arg(np.argmin, input, dim, keepdim)


def any(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether any element is nonzero: a bool tensor (uint8 for uint8, as in torch)."""
    return _truth(np.any, input, dim, keepdim)


def all(input: Tensor, dim: Dim = None, keepdim: bool = False) -> Tensor:
    """Whether all elements are nonzero: a bool tensor (uint8 for uint8, as in torch)."""
    return _truth(np.all, input, dim, keepdim)


def _extremum(input: Tensor, dim: Dim, keepdim: bool, largest: bool) -> Tensor:
    dims = normalize_dims(dim, input.ndim)
    _refuse_empty(input, dims, "max" if largest else "min")
    return Extremum.apply(input, dims=dims, keepdim=keepdim, largest=largest)


def _spread_of(
    op: type[Op],
    input: Tensor,
    dim: Dim | bool,
    unbiased: bool | None,
    keepdim: bool,
    correction: int | float | None,
) -> Tensor:
    name = op.__name__.lower()
    if isinstance(dim, bool):  # torch's var(unbiased)
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}: give correction or unbiased, not both")
    if correction is None:
        correction = 1 if unbiased in (None, True) else 0
    require_floating(input, "input", name)
    return op.apply(input, dims=normalize_dims(dim, input.ndim), keepdim=keepdim, correction=correction)


def _require_tensor(input: Any) -> None:
    if not isinstance(input, Tensor):
        raise TypeError(f"input: expected a Tensor, got {type(input).__name__}")


def _max_or_min(input: Tensor, dim: int | None, keepdim: bool, largest: bool) -> Any:
    if dim is None:
        return _extremum(input, None, keepdim, largest)
    axis = normalize_dim(dim, input.ndim)
    _refuse_empty(input, (axis,) if input.ndim else (), "max" if largest else "min")
    if input.ndim == 0:
        return ValuesAndIndices(Sum.apply(input, dims=(), keepdim=False), Tensor(np.zeros((), np.int64)))
    indices = Tensor((np.argmax if largest else np.argmin)(input._array, axis=axis, keepdims=True))
    values = TakeAlong.apply(input, indices, dim=axis, unique=True)
    if not keepdim:
        values, indices = values.squeeze(axis), indices.squeeze(axis)
    return ValuesAndIndices(values, indices)


def _arg(find: Any, input: Tensor, dim: int | None, keepdim: bool) -> Tensor:
    axis = None if dim is None or input.ndim == 0 else normalize_dim(dim, input.ndim)
    _refuse_empty(input, normalize_dims(dim, input.ndim), find.__name__)
    return Tensor(np.asarray(find(input._array, axis=axis, keepdims=keepdim), dtype=np.int64))


def _truth(reduce: Any, input: Tensor, dim: Dim, keepdim: bool) -> Tensor:
    out = np.asarray(reduce(input._array, axis=normalize_dims(dim, input.ndim), keepdims=keepdim))
    return Tensor(out.astype(np.uint8) if input._array.dtype == np.uint8 else out)


def _refuse_empty(input: Tensor, dims: tuple[int, ...], name: str) -> None:
    if _count(input.shape, dims) == 0:
        raise ValueError(f"{name}: nothing to choose from, input has shape {tuple(input.shape)}")


def _count(shape: tuple[int, ...], dims: tuple[int, ...]) -> int:
    count = 1
    for d in dims:
        count *= shape[d]
    return count
