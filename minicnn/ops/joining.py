"""Tensors joined (``cat``, ``stack``, ``block_diag`` ...) and taken apart again (``split``, ``chunk``, ``unbind`` ...).

What joins copies, what takes apart gives views. Each is the other's gradient.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels import workspace

from ..autograd import Op, Tensor
from .promotion import promote
from .reduction import normalize_dim
from .shape import also_named, reshape, unsqueeze
from .views import _axis, _several, atleast_1d, atleast_2d, atleast_3d


class Cat(Op):
    @staticmethod
    def forward(ctx, *arrays, dim):
        ctx.dim = dim
        ctx.bounds = np.cumsum([a.shape[dim] for a in arrays])[:-1]
        return np.concatenate(arrays, axis=dim)

    @staticmethod
    def backward(ctx, grad_out):
        return tuple(np.split(grad_out, ctx.bounds, axis=ctx.dim))


class BlockDiag(Op):
    # matrices in a row down the diagonal, zeros elsewhere
    @staticmethod
    def forward(ctx, *arrays):
        ends = np.cumsum([(0, 0), *(a.shape for a in arrays)], axis=0)
        ctx.places = [(slice(r0, r1), slice(c0, c1)) for (r0, c0), (r1, c1) in itertools.pairwise(ends.tolist())]
        out = np.zeros(ends[-1], arrays[0].dtype)
        for place, array in zip(ctx.places, arrays, strict=True):
            out[place] = array
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return tuple(grad_out[place] for place in ctx.places)


class Split(Op):
    # y_i = x[start_i:stop_i] along a dimension; the pieces may overlap
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, bounds, dim):
        ctx.shape = x.shape
        ctx.places = [(*(slice(None),) * dim, slice(start, stop)) for start, stop in bounds]
        return tuple([x[place] for place in ctx.places])

    @staticmethod
    def backward(ctx, *grad_outs):
        grad = workspace.zeros(ctx.shape, grad_outs[0].dtype)
        for place, grad_out in zip(ctx.places, grad_outs, strict=True):
            grad[place] += grad_out
        return grad


class Unbind(Op):
    # y_i = x[i] along a dimension; back: stacked again
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, dim):
        ctx.dim = dim
        lead = (slice(None),) * dim
        return tuple([x[(*lead, i, ...)] for i in range(x.shape[dim])])

    @staticmethod
    def backward(ctx, *grad_outs):
        return np.stack(grad_outs, axis=ctx.dim)


# ---- joining


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors joined along an existing dimension.

    >>> import minicnn as mc
    >>> mc.cat([mc.tensor([1, 2]), mc.tensor([3])])
    tensor([1, 2, 3])

    Raises
    ------
    ValueError : for an empty list, and where the other sizes differ.
    """
    tensors = promote(*_tensor_list(tensors, "cat"))
    # torch lets tensor([]) stand for "nothing yet" beside tensors of any shape, and loops that collect results use it.
    tensors = [x for x in tensors if tuple(x.shape) != (0,)] or tensors[:1]
    axis = normalize_dim(dim, tensors[0].ndim)
    first = tuple(tensors[0].shape)
    for i, x in enumerate(tensors):
        shape = tuple(x.shape)
        if (
            not shape
            or len(shape) != len(first)
            or shape[:axis] + shape[axis + 1 :] != first[:axis] + first[axis + 1 :]
        ):
            raise ValueError(
                f"tensors[{i}]: cat along dim {dim} needs all other sizes equal, got shape {shape} beside {first}"
            )
    return Cat.apply(*tensors, dim=axis)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Tensors of one shape joined along a new dimension.

    Raises
    ------
    ValueError : for an empty list, and where the shapes differ.
    """
    tensors = _tensor_list(tensors, "stack")
    for i, x in enumerate(tensors):
        if tuple(x.shape) != tuple(tensors[0].shape):
            raise ValueError(
                f"tensors[{i}]: stack needs equal shapes, got {tuple(x.shape)} beside {tuple(tensors[0].shape)}"
            )
    return cat([unsqueeze(x, dim) for x in tensors], dim)


def concat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """:func:`cat` under another name."""
    return cat(tensors, dim)


def concatenate(tensors: Sequence[Tensor], axis: int = 0, *, dim: int | None = None) -> Tensor:
    """:func:`cat` under NumPy's name."""
    return cat(tensors, axis if dim is None else dim)


def _stacking(name: str, at_least: Callable[..., Any], axis: Callable[[Tensor], int], doc: str) -> Any:
    def function(tensors: Sequence[Tensor]) -> Tensor:
        shaped = [at_least(x) for x in _tensor_list(tensors, name)]
        return cat(shaped, axis(shaped[0]))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Tensors joined {doc}."
    return function


hstack = _stacking(
    "hstack", atleast_1d, lambda x: 0 if x.ndim == 1 else 1, "side by side: along dim 1, vectors along dim 0"
)
vstack = _stacking("vstack", atleast_2d, lambda x: 0, "one below the other: along dim 0, vectors as rows")
row_stack = _stacking("row_stack", atleast_2d, lambda x: 0, "one below the other: :func:`vstack` under another name")
dstack = _stacking("dstack", atleast_3d, lambda x: 2, "one behind the other: along dim 2")
column_stack = _stacking(
    "column_stack",
    lambda x: x if x.ndim >= 2 else reshape(x, (x.numel(), 1)),
    lambda x: 1,
    "side by side, vectors as columns",
)


def block_diag(*tensors: Tensor) -> Tensor:
    """The matrices down the diagonal of a larger one, with zeros elsewhere; vectors are rows.

    >>> import minicnn as mc
    >>> mc.block_diag(mc.tensor([[1, 2]]), mc.tensor(3))
    tensor([[1, 2, 0],
            [0, 0, 3]])

    Raises
    ------
    ValueError : for tensors of more than two dimensions.
    """
    if not tensors:
        return Tensor(np.zeros((1, 0), np.float32))
    matrices = [atleast_2d(x) for x in _several(tensors, "block_diag")]
    for i, x in enumerate(matrices):
        if x.ndim > 2:
            raise ValueError(f"tensors[{i}]: block_diag takes at most two dimensions, got shape {tuple(x.shape)}")
    return BlockDiag.apply(*promote(*matrices))


# ---- taking apart


@also_named(split_size="split_size_or_sections")
def split(tensor: Tensor, split_size_or_sections: int | Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of a size each (the last may be smaller), or of the sizes given, along ``dim``. Views.

    >>> import minicnn as mc
    >>> mc.split(mc.arange(5), 2), mc.split(mc.arange(5), [1, 4])
    ((tensor([0, 1]), tensor([2, 3]), tensor([4])), (tensor([0]), tensor([1, 2, 3, 4])))

    Raises
    ------
    ValueError : for a size that is not positive, and sizes that do not add up.
    """
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    axis, step = _axis(tensor, dim, "split"), split_size_or_sections
    size = tensor.shape[axis]
    if step < 0 or (step == 0 and size):
        raise ValueError(f"split_size_or_sections: expected a positive size, got {step}")
    return _pieces(tensor, [(start, min(start + step, size)) for start in range(0, size, step or 1)] or [(0, 0)], axis)


def split_with_sizes(input: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces of the sizes given along ``dim``, which together make up the whole. Views.

    Raises
    ------
    ValueError : where the sizes do not add up.
    """
    axis, sections = _axis(input, dim, "split"), [int(n) for n in split_sizes]
    if sum(sections) != input.shape[axis] or min(sections, default=0) < 0:
        raise ValueError(f"split_sizes: {sections} does not add up to the {input.shape[axis]} along dim {dim}")
    return _pieces(input, list(itertools.pairwise(itertools.accumulate(sections, initial=0))), axis)


def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size (the last may be smaller) along ``dim``. Views."""
    if chunks <= 0:
        raise ValueError(f"chunks: expected a positive number, got {chunks}")
    size = input.shape[_axis(input, dim, "chunk")]
    return split(input, -(-size // chunks), dim) if size else split_with_sizes(input, [0] * chunks, dim)


@also_named(
    sections="indices_or_sections", indices="indices_or_sections", tensor_indices_or_sections="indices_or_sections"
)
def tensor_split(input: Tensor, indices_or_sections: int | Sequence[int] | Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """As many pieces as asked for, as equal as possible; or the pieces between the indices given. Views.

    >>> import minicnn as mc
    >>> mc.tensor_split(mc.arange(5), 2), mc.tensor_split(mc.arange(5), (1, 3))
    ((tensor([0, 1, 2]), tensor([3, 4])), (tensor([0]), tensor([1, 2]), tensor([3, 4])))

    Raises
    ------
    ValueError : for a number of sections that is not positive.
    """
    axis, where = _axis(input, dim, "tensor_split"), indices_or_sections
    size = input.shape[axis]
    if isinstance(where, Tensor):
        if where.ndim > 1 or where.dtype.numpy != np.int64:
            raise TypeError(
                f"indices_or_sections: expected an int64 tensor of at most one dimension, got {where.dtype} of shape "
                f"{tuple(where.shape)}"
            )
        where = where.tolist()
    if isinstance(where, int):
        if where <= 0:
            raise ValueError(f"indices_or_sections: expected a positive number of sections, got {where}")
        bounds = [size // where * i + min(i, size % where) for i in range(where + 1)]
    else:
        bounds = [0, *(slice(int(i), None).indices(size)[0] for i in where), size]
    return _pieces(input, [(start, max(start, stop)) for start, stop in itertools.pairwise(bounds)], axis)


def _splitting(name: str, least: int, axis: Callable[[Tensor], int], doc: str) -> Any:
    @also_named(sections="indices_or_sections", indices="indices_or_sections")
    def function(input: Tensor, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
        if input.ndim < least:
            raise ValueError(f"input: {name} needs at least {least} dimensions, got shape {tuple(input.shape)}")
        dim = axis(input)
        if isinstance(indices_or_sections, int):
            if indices_or_sections <= 0 or input.shape[dim] % indices_or_sections:
                raise ValueError(
                    f"indices_or_sections: {name} needs a number that divides the {input.shape[dim]} along dim {dim}, "
                    f"got {indices_or_sections}"
                )
        return tensor_split(input, indices_or_sections, dim)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Equal pieces, or the pieces between the indices given, along {doc}. Views."
    return function


hsplit = _splitting("hsplit", 1, lambda x: 0 if x.ndim == 1 else 1, "dim 1 (dim 0 of a vector)")
vsplit = _splitting("vsplit", 2, lambda x: 0, "dim 0")
dsplit = _splitting("dsplit", 3, lambda x: 2, "dim 2")


def unbind(input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """All slices along ``dim``, without that dimension. Views.

    >>> import minicnn as mc
    >>> mc.unbind(mc.tensor([[1, 2], [3, 4]]), 1)
    (tensor([1, 3]), tensor([2, 4]))
    """
    axis = _axis(input, dim, "unbind")
    return Unbind.apply(input, dim=axis) if input.shape[axis] else ()


def _pieces(input: Tensor, bounds: list[tuple[int, int]], axis: int) -> tuple[Tensor, ...]:
    return Split.apply(input, bounds=tuple(bounds), dim=axis) if bounds else ()


def _tensor_list(tensors: Any, what: str) -> list[Tensor]:
    if not isinstance(tensors, (list, tuple)) or not all(isinstance(x, Tensor) for x in tensors):
        raise TypeError(f"tensors: {what} takes a list or tuple of tensors")
    if not len(tensors):
        raise ValueError(f"tensors: {what} needs at least one")
    return list(tensors)
