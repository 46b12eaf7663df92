"""Shapes: the same elements under other indices. Most of these are views that share memory.

``view`` and ``reshape`` differ as in torch: a view never copies. One thing is ours: the framework is free in the memory
order of its results (convolutions leave channels last), so ``view`` of a tensor whose layout nobody else looks at
re-lays its memory once instead of refusing. ``x.view(n, -1)`` after a pooling works as in every tutorial.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import operator
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from minicnn_kernels import backend_of, workspace

from ..autograd import Op, Tensor
from ..layout import as_format, contiguous_format, empty, memory_format, preserve_format
from .reduction import normalize_dim

F = TypeVar("F", bound=Callable[..., Any])


class Reshape(Op):
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, shape):
        ctx.shape = x.shape
        copies = x.nbytes >= workspace.SMALLEST and not _is_view(x, shape)
        return (backend_of(x).row_major(x) if copies else x).reshape(shape)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out.reshape(ctx.shape)


def _is_view(x: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether ``x.reshape(shape)`` copies nothing: where two axes of x do not join in memory, ``shape`` has a joint too.

    A joint is told by the number of elements before it: of (2, 3, 4) these are 2 and 6.
    """
    axes = [(size, stride) for size, stride in zip(x.shape, x.strides, strict=True) if size > 1]
    before = itertools.accumulate((size for size, _ in axes), operator.mul)
    joints = {n for n, (a, b) in zip(before, itertools.pairwise(axes), strict=False) if a[1] != b[0] * b[1]}
    return joints <= set(itertools.accumulate(shape, operator.mul))


class Permute(Op):
    # y[..., i_k, ...] = x with its dimensions in another order; back by the inverse order
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, dims):
        ctx.dims = dims
        return x.transpose(dims)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out.transpose(np.argsort(ctx.dims))


class Expand(Op):
    # y repeats x without a copy; the engine adds up again what was repeated
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, shape):
        # NumPy guards repeated elements against writing; where nothing is repeated there is nothing to guard.
        return x[...] if x.shape == shape else np.broadcast_to(x, shape)

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out


class Clone(Op):
    @staticmethod
    def forward(ctx, x, *, order):
        if isinstance(order, str):
            return workspace.copied(x, order)
        out = empty(x.shape, x.dtype, order)
        out[...] = x
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out


def _sizes(name: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """For functions of ``*sizes``: ``f(x, 2, 3)``, ``f(x, (2, 3))`` and ``f(x, name=(2, 3))`` mean the same."""

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(function)
        def call(input: Tensor, *sizes: Any, **named: Any) -> Tensor:
            return function(input, *sizes, *([named.pop(name)] if name in named else ()), **named)

        del call.__wrapped__  # the signature says what can be called
        return call

    return decorate


def also_named(**names: str) -> Callable[[F], F]:
    """A function whose arguments go by other names too, as those of torch's overloads: ``also_named(other="name")``."""

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            for other in names.keys() & options.keys():
                options[names[other]] = options.pop(other)
            return function(*args, **options)

        signature = inspect.signature(function)
        others = [inspect.Parameter("other_names", inspect.Parameter.VAR_KEYWORD)]
        call.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *others])  # type: ignore[attr-defined]
        return cast(F, call)

    return decorate


def _shape_argument(shape: tuple, name: str) -> tuple[int, ...]:
    """``f(2, 3)`` and ``f((2, 3))`` mean the same."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    for size in shape:
        if isinstance(size, bool) or not isinstance(size, (int, np.integer, Tensor)):
            raise TypeError(f"{name}: expected integers, got {size!r}")
    return tuple(int(size) for size in shape)


def _resolve_shape(numel: int, shape: tuple[int, ...], input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with its -1 worked out, checked against the number of elements."""
    if shape.count(-1) > 1 or any(size < -1 for size in shape):
        raise ValueError(f"shape: sizes are not negative, and one may be -1 (to be worked out), got {shape}")
    known = math.prod(size for size in shape if size != -1)
    if -1 in shape:
        if known == 0 or numel % known:
            raise ValueError(f"shape: {shape} does not divide the {numel} elements of {tuple(input_shape)}")
        shape = tuple(numel // known if size == -1 else size for size in shape)
    elif known != numel:
        raise ValueError(f"shape: {shape} has {known} elements, the input of shape {tuple(input_shape)} has {numel}")
    return shape


@_sizes("shape")
def reshape(input: Tensor, *shape: Any) -> Tensor:
    """The elements in row-major order under another shape; one size may be -1. A view where possible, else a copy.

    >>> import minicnn as mc
    >>> mc.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])

    Raises
    ------
    ValueError : where the number of elements differs.
    """
    sizes = _resolve_shape(input.numel(), _shape_argument(shape, "shape"), input.shape)
    return Reshape.apply(input, shape=sizes)


@_sizes("size")
def view(input: Tensor, *shape: Any) -> Tensor:
    """:func:`reshape` that never copies: the result shares memory.

    Raises
    ------
    RuntimeError : where the memory order does not allow it and others (tensors, NumPy arrays) look at the same memory;
        ``reshape`` copies.
    """
    sizes = _resolve_shape(input.numel(), _shape_argument(shape, "shape"), input.shape)
    array = input._array
    if not array.flags.c_contiguous and not np.may_share_memory(array.reshape(sizes), array):
        if input._version_cell.viewed or input._version_cell.exported:
            raise RuntimeError(
                f"view: shape {sizes} cannot be seen in this memory order (shape {tuple(array.shape)}, strides "
                f"{input.stride()}) without a copy, and others share the memory; use reshape()"
            )
        input._array = np.ascontiguousarray(array)
    return Reshape.apply(input, shape=sizes)


def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Dimensions ``start_dim`` to ``end_dim`` made into one.

    >>> import minicnn as mc
    >>> mc.zeros(8, 64, 7, 7).flatten(1).shape
    minicnn.Size([8, 3136])
    """
    start, end = normalize_dim(start_dim, input.ndim, "start_dim"), normalize_dim(end_dim, input.ndim, "end_dim")
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    shape = tuple(input.shape)
    return reshape(input, (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :]))


@_sizes("dims")
def permute(input: Tensor, *dims: Any) -> Tensor:
    """The dimensions in another order. A view.

    Raises
    ------
    ValueError : where ``dims`` is not each dimension once.
    """
    order = tuple(normalize_dim(d, input.ndim, "dims") for d in _shape_argument(dims, "dims"))
    if sorted(order) != list(range(input.ndim)):
        raise ValueError(f"dims: expected each of the {input.ndim} dimensions once, got {order}")
    return Permute.apply(input, dims=order)


def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """Two dimensions exchanged. A view."""
    order = list(range(input.ndim))
    if input.ndim:
        a, b = normalize_dim(dim0, input.ndim, "dim0"), normalize_dim(dim1, input.ndim, "dim1")
        order[a], order[b] = order[b], order[a]
    return Permute.apply(input, dims=tuple(order))


def t(input: Tensor) -> Tensor:
    """A matrix transposed; vectors and numbers as they are."""
    if input.ndim > 2:
        raise ValueError(f"t: expected at most 2 dimensions, got shape {tuple(input.shape)}; use transpose")
    return transpose(input, 0, -1) if input.ndim == 2 else input


def squeeze(input: Tensor, dim: int | tuple[int, ...] | None = None) -> Tensor:
    """Without its dimensions of size 1: all, or those named (others stay). A view."""
    if dim is None:
        dims = tuple(range(input.ndim))
    else:
        dims = tuple(normalize_dim(d, input.ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,)))
    shape = tuple(n for i, n in enumerate(input.shape) if not (i in dims and n == 1))
    return Reshape.apply(input, shape=shape)


def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """With a new dimension of size 1 at ``dim``. A view."""
    at = normalize_dim(dim, input.ndim + 1)
    shape = tuple(input.shape)
    return Reshape.apply(input, shape=(*shape[:at], 1, *shape[at:]))


@_sizes("size")
def expand(input: Tensor, *sizes: Any) -> Tensor:
    """Dimensions of size 1 repeated without a copy; -1 leaves a size as it is; new dimensions come in front.

    Raises
    ------
    ValueError : where a dimension other than of size 1 would have to grow.
    """
    wanted = _shape_argument(sizes, "sizes")
    extra = len(wanted) - input.ndim
    if extra < 0:
        raise ValueError(f"sizes: {wanted} has fewer dimensions than the input, {tuple(input.shape)}")
    shape = []
    for i, size in enumerate(wanted):
        own = input.shape[i - extra] if i >= extra else None
        if size == -1 and own is not None:
            size = own
        if size < 0 or (own is not None and own not in (1, size)):
            raise ValueError(f"sizes: {wanted} does not fit the input of shape {tuple(input.shape)} in dimension {i}")
        shape.append(size)
    return Expand.apply(input, shape=tuple(shape))


def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """:func:`expand` to the shape of ``other``."""
    return expand(input, tuple(other.shape))


def clone(input: Tensor, *, memory_format: memory_format = preserve_format) -> Tensor:
    """A copy with its own memory, in the same memory order or that asked for; the gradient passes through."""
    return Clone.apply(input, order=_ORDERS.get(as_format(memory_format, input.ndim), memory_format))


def contiguous(input: Tensor, memory_format: memory_format = contiguous_format) -> Tensor:
    """The tensor in row-major memory, or in another memory format: itself where it is so already, else a copy."""
    format = as_format(memory_format, input.ndim)
    if format is preserve_format or input.is_contiguous(format):
        return input
    return clone(input, memory_format=format)


_ORDERS = {preserve_format: "K", contiguous_format: "C"}
