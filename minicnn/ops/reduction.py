"""Reductions: many elements to one, over all dimensions or some.

``dim`` is None (all), an integer or a tuple, negative ones counting from the end; ``keepdim`` leaves the reduced
dimensions in with size 1. The gradient of a reduction spreads back over what was reduced.
"""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..autograd import Op, Tensor
from ..dtypes import DType, int64
from .elementwise import isnan, logical_not, maximum, minimum, where
from .indexing import TakeAlong
from .promotion import cast, require_floating, to_floating

Dim: TypeAlias = int | tuple[int, ...] | None

_LONG_SUM = 512  # elements


class MinAndMax(NamedTuple):
    """What ``aminmax`` returns."""

    min: Tensor
    max: Tensor


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


class Prod(Op):
    # y = product of x along a dimension,  dy/dx_i = the product of the others: of those before it times those after it
    # (y / x_i would be 0 / 0 where an element is 0)
    @staticmethod
    def forward(ctx, x, *, dim, keepdim):
        ctx.dim, ctx.keepdim = dim, keepdim
        ctx.save(x)
        return np.prod(x, axis=dim, keepdims=keepdim, dtype=x.dtype)

    @staticmethod
    def backward(ctx, grad_out):
        (x,) = ctx.saved
        if x.size == 0:
            return np.zeros_like(x)
        x = np.moveaxis(x, ctx.dim, -1)
        one = np.ones((*x.shape[:-1], 1), x.dtype)
        before = np.concatenate([one, np.cumprod(x[..., :-1], -1)], -1)
        after = np.concatenate([one, np.cumprod(x[..., :0:-1], -1)], -1)[..., ::-1]
        grad_out = grad_out if ctx.keepdim else np.expand_dims(grad_out, ctx.dim)
        return grad_out * np.moveaxis(before * after, -1, ctx.dim)


class LogSumExp(Op):
    # y = ln sum e^x = m + ln sum e^(x - m) with m the largest x, so that nothing overflows;  dy/dx = e^(x - y)
    @staticmethod
    def forward(ctx, x, *, dims, keepdim):
        largest = np.max(x, axis=dims, keepdims=True, initial=-np.inf)
        shift = np.where(np.isfinite(largest), largest, 0).astype(x.dtype, copy=False)
        out = np.log(_total(np.exp(x - shift), dims, True)) + shift
        ctx.dims = dims
        ctx.save(x, out)
        return out if keepdim else np.array(out.reshape([n for d, n in enumerate(x.shape) if d not in dims]))

    @staticmethod
    def backward(ctx, grad_out):
        x, out = ctx.saved
        finite = np.where(out == -np.inf, 0, out)  # e^(-inf - -inf) is 0 here: nothing was added
        return _spread(grad_out, x.shape, ctx.dims) * np.exp(x - finite)


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


def prod(input: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """The product of all elements, or along ``dim``. Whole numbers and bools are multiplied in int64.

    >>> import minicnn as mc
    >>> mc.prod(mc.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([ 2., 12.])
    """
    if dtype is not None:
        input = cast(input, dtype)
    elif input._array.dtype.kind != "f":
        input = cast(input, int64)
    if dim is None:
        return Prod.apply(input.reshape(-1 if input.numel() else 0), dim=0, keepdim=False)
    axis = normalize_dim(dim, input.ndim)
    if input.ndim == 0:
        return Prod.apply(input.reshape(1), dim=0, keepdim=False)
    return Prod.apply(input, dim=axis, keepdim=keepdim)


def nansum(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """:func:`sum` in which NaN counts as 0.

    >>> import minicnn as mc
    >>> mc.nansum(mc.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    input = input if dtype is None else cast(input, dtype)
    if input._array.dtype.kind == "f":
        input = where(isnan(input), Tensor(np.zeros((), input._array.dtype)), input)
    return sum(input, dim, keepdim)


def nanmean(input: Tensor, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None) -> Tensor:
    """:func:`mean` of what is not NaN; NaN where there is nothing else.

    >>> import minicnn as mc
    >>> mc.nanmean(mc.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)

    Raises
    ------
    TypeError : for whole numbers.
    """
    require_floating(input, "input", "nanmean")
    counts = sum(logical_not(isnan(input.detach())), dim, keepdim)
    return nansum(input, dim, keepdim, dtype=dtype) / counts


def logsumexp(input: Tensor, dim: int | tuple[int, ...], keepdim: bool = False) -> Tensor:
    """``ln sum e^x`` over ``dim``, computed so that nothing overflows; -inf over nothing.

    >>> import minicnn as mc
    >>> mc.logsumexp(mc.tensor([100.0, 100.0]), 0)
    tensor(100.6931)
    """
    if dim is None:
        raise TypeError("dim: logsumexp needs a dimension or several; () for all")
    return LogSumExp.apply(to_floating(input), dims=normalize_dims(dim, input.ndim), keepdim=keepdim)


def count_nonzero(input: Tensor, dim: Dim = None) -> Tensor:
    """How many elements are not zero, in all or over ``dim``. int64.

    >>> import minicnn as mc
    >>> mc.count_nonzero(mc.tensor([[0, 1], [2, 3]]), 0)
    tensor([1, 2])
    """
    return sum(Tensor(np.not_equal(input._array, 0)), dim)


def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinAndMax:
    """:func:`amin` and :func:`amax` together.

    >>> import minicnn as mc
    >>> mc.aminmax(mc.tensor([1, 3, 2]))
    MinAndMax(min=tensor(1), max=tensor(3))
    """
    if dim is not None:
        dim = normalize_dim(dim, input.ndim)
    return MinAndMax(amin(input, dim, keepdim), amax(input, dim, keepdim))


def amax(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The largest element over ``dim``; equal ones share the gradient."""
    return _extremum(input, dim, keepdim, largest=True)


def amin(input: Tensor, dim: Dim = (), keepdim: bool = False) -> Tensor:
    """The smallest element over ``dim``; equal ones share the gradient."""
    return _extremum(input, dim, keepdim, largest=False)


def max(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
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
        dim, other = None, dim
    if other is not None:
        return maximum(input, other)
    return _max_or_min(input, dim, keepdim, largest=True)


def min(input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False, *, other: Tensor | None = None) -> Any:
    """The smallest element; the same forms as :func:`max`."""
    _require_tensor(input)
    if isinstance(dim, Tensor):
        dim, other = None, dim
    if other is not None:
        return minimum(input, other)
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
