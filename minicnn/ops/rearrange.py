"""Elements in other places, as copies: flipped, rolled, repeated, cut to triangles, laid on diagonals, paired up.

Where the result is as good these are compositions of views and a copy; what shows memory without copying is in ``views.py``.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import workspace

from ..autograd import Op, Tensor
from ..dtypes import DType, as_dtype
from .joining import stack
from .reduction import normalize_dim
from .shape import _shape_argument, _sizes, clone, expand, flatten, permute, reshape, unsqueeze
from .views import _several
from .views import diagonal as _diagonal


class Flip(Op):
    # the dimensions backwards; back: once more
    @staticmethod
    def forward(ctx, x, *, dims):
        ctx.dims = dims
        return workspace.copied(np.flip(x, dims), "C")

    @staticmethod
    def backward(ctx, grad_out):
        return np.flip(grad_out, ctx.dims)


class Roll(Op):
    # what leaves at one end comes in at the other; back: the other way round
    @staticmethod
    def forward(ctx, x, *, shifts, dims):
        ctx.shifts, ctx.dims = shifts, dims
        return np.roll(x, shifts, dims)

    @staticmethod
    def backward(ctx, grad_out):
        return np.roll(grad_out, [-n for n in ctx.shifts], ctx.dims)


class Triangle(Op):
    # x on one side of a diagonal and on it, 0 elsewhere
    @staticmethod
    def forward(ctx, x, *, cut, diagonal):
        ctx.cut, ctx.diagonal = cut, diagonal
        return cut(x, diagonal)

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.cut(grad_out, ctx.diagonal)


class DiagEmbed(Op):
    # y[..., i, i + offset] = x[..., i], 0 elsewhere: the reverse of Diagonal
    @staticmethod
    def forward(ctx, x, *, shape, offset, dim1, dim2):
        ctx.where = (offset, dim1, dim2)
        out = np.zeros(shape, x.dtype)
        place = np.diagonal(out, *ctx.where)
        place.flags.writeable = True
        place[...] = x
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return np.diagonal(grad_out, *ctx.where)


# ---- turned round


@_sizes("dims")
def flip(input: Tensor, *dims: Any) -> Tensor:
    """The order of the elements along ``dims`` reversed. A copy, as in torch.

    >>> import minicnn as mc
    >>> mc.flip(mc.tensor([[1, 2], [3, 4]]), (1,))
    tensor([[2, 1],
            [4, 3]])

    Raises
    ------
    ValueError : where a dimension is named twice.
    """
    axes = tuple(normalize_dim(d, input.ndim, "dims") for d in _shape_argument(dims, "dims"))
    if len(set(axes)) != len(axes):
        raise ValueError(f"dims: each dimension may be named once, got {axes}")
    return Flip.apply(input, dims=axes if input.ndim else ())


def fliplr(input: Tensor) -> Tensor:
    """:func:`flip` along dim 1: left and right exchanged."""
    if input.ndim < 2:
        raise ValueError(f"input: fliplr needs at least 2 dimensions, got shape {tuple(input.shape)}")
    return flip(input, (1,))


def flipud(input: Tensor) -> Tensor:
    """:func:`flip` along dim 0: up and down exchanged."""
    if input.ndim < 1:
        raise ValueError(f"input: flipud needs at least 1 dimension, got shape {tuple(input.shape)}")
    return flip(input, (0,))


def rot90(input: Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned by ``k`` times 90 degrees, from the first of ``dims`` towards the second.

    >>> import minicnn as mc
    >>> mc.rot90(mc.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])

    Raises
    ------
    ValueError : where ``dims`` are not two different dimensions.
    """
    if len(dims) != 2 or input.ndim < 2:
        raise ValueError(
            f"dims: rot90 needs two dimensions, got {tuple(dims)} of a tensor of shape {tuple(input.shape)}"
        )
    a, b = (normalize_dim(d, input.ndim, "dims") for d in dims)
    if a == b:
        raise ValueError(f"dims: expected two different dimensions, got {tuple(dims)}")
    order = list(range(input.ndim))
    order[a], order[b] = b, a
    if k % 4 == 0:
        return clone(input)
    if k % 4 == 2:
        return flip(input, (a, b))
    return permute(flip(input, (b,)), order) if k % 4 == 1 else flip(permute(input, order), (b,))


def roll(input: Tensor, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Tensor:
    """Moved along ``dims``; what leaves at one end comes in at the other. Without ``dims``: over all elements in a row.

    >>> import minicnn as mc
    >>> mc.roll(mc.arange(5), 2)
    tensor([3, 4, 0, 1, 2])

    Raises
    ------
    ValueError : where there are not as many shifts as dimensions.
    """
    moves = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    axes = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not axes and len(moves) == 1:
        return reshape(Roll.apply(flatten(input), shifts=moves, dims=(0,)), tuple(input.shape))
    if not moves or len(moves) != len(axes):
        raise ValueError(f"shifts: expected one for each of dims, got {shifts} and {dims}")
    if input.ndim == 0:
        raise IndexError(f"dims: a 0-dimensional tensor has none, got {dims}")
    return Roll.apply(input, shifts=moves, dims=tuple(normalize_dim(d, input.ndim, "dims") for d in axes))


# ---- repeated


@_sizes("repeats")
def repeat(input: Tensor, *repeats: Any) -> Tensor:
    """The whole tensor, so many times along each dimension; more numbers than dimensions add dimensions in front.

    >>> import minicnn as mc
    >>> mc.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])

    Raises
    ------
    ValueError : for fewer numbers than dimensions, and negative ones.
    """
    times = _shape_argument(repeats, "repeats")
    if len(times) < input.ndim or min(times, default=0) < 0:
        raise ValueError(f"repeats: expected {input.ndim} or more numbers, none negative, got {times}")
    sizes = (1,) * (len(times) - input.ndim) + tuple(input.shape)
    once = [n for size in sizes for n in (1, size)]
    often = [n for pair in zip(times, sizes, strict=True) for n in pair]
    # (n0, n1, ...) -> (r0, n0, r1, n1, ...) -> (r0 n0, r1 n1, ...)
    spread = expand(reshape(input, tuple(once)), tuple(often))
    out = reshape(spread, tuple(r * n for r, n in zip(times, sizes, strict=True)))
    return clone(out) if out._version_cell is input._version_cell else out


@_sizes("dims")
def tile(input: Tensor, *dims: Any) -> Tensor:
    """:func:`repeat` in which fewer numbers than dimensions are taken for the last ones."""
    times = _shape_argument(dims, "dims")
    return repeat(input, (1,) * (input.ndim - len(times)) + times)


def repeat_interleave(
    input: Tensor | None = None,
    repeats: int | Tensor | None = None,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Tensor:
    """Each element so many times in a row, over the flattened tensor or along ``dim``.

    ``repeats`` is a number, or a tensor of one for each element. With a tensor of repeats alone: the indices.

    >>> import minicnn as mc
    >>> mc.repeat_interleave(mc.tensor([5, 6]), mc.tensor([1, 2]))
    tensor([5, 6, 6])

    Raises
    ------
    ValueError : for repeats that are negative, or not one for each element.
    """
    if input is None and isinstance(repeats, Tensor):
        input, repeats = repeats, None
    if not isinstance(input, Tensor):
        raise TypeError(f"input: expected a Tensor, got {type(input).__name__}")
    if repeats is None:
        return Tensor(np.repeat(np.arange(len(input)), _repeats(input, len(input))))
    if dim is None:
        input, dim = flatten(input), 0
    axis = normalize_dim(dim, input.ndim)
    if input.ndim == 0:
        input = reshape(input, (1,))
    size = input.shape[axis]
    if isinstance(repeats, Tensor):
        index = np.repeat(np.arange(size), _repeats(repeats, size))
        if output_size is not None and output_size != index.size:
            raise ValueError(f"output_size: the repeats add up to {index.size}, got {output_size}")
        return input[(*(slice(None),) * axis, Tensor(index))]
    if repeats < 0:
        raise ValueError(f"repeats: expected a number that is not negative, got {repeats}")
    shape = tuple(input.shape)
    spread = expand(unsqueeze(input, axis + 1), (*shape[: axis + 1], repeats, *shape[axis + 1 :]))
    out = reshape(spread, (*shape[:axis], size * repeats, *shape[axis + 1 :]))
    return clone(out) if out._version_cell is input._version_cell else out


def _repeats(repeats: Tensor, size: int) -> np.ndarray:
    counts = repeats.numpy()
    if counts.dtype not in (np.int32, np.int64):
        raise TypeError(f"repeats: expected int32 or int64, got {repeats.dtype}")
    if counts.ndim > 1 or counts.size not in (1, size):
        raise ValueError(f"repeats: expected one number, or one for each of {size}, got shape {tuple(counts.shape)}")
    if counts.size and counts.min() < 0:
        raise ValueError("repeats: expected numbers that are not negative")
    return counts


# ---- triangles and diagonals


def _triangle(name: str, cut: Any, doc: str) -> Any:
    def function(input: Tensor, diagonal: int = 0) -> Tensor:
        if input.ndim < 2:
            raise ValueError(f"input: {name} needs at least 2 dimensions, got shape {tuple(input.shape)}")
        return Triangle.apply(input, cut=cut, diagonal=int(diagonal))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"""The part of each matrix {doc} diagonal number ``diagonal`` (counted upwards), zeros elsewhere.

    Raises
    ------
    ValueError : for fewer than two dimensions.
    """
    return function


tril = _triangle("tril", np.tril, "on and below")
triu = _triangle("triu", np.triu, "on and above")


def _triangle_indices(name: str, indices: Any, doc: str) -> Any:
    def function(row: int, col: int, offset: int = 0, *, dtype: DType | None = None, device: Any = None) -> Tensor:
        if row < 0 or col < 0:
            raise ValueError(f"row, col: expected sizes that are not negative, got {row} and {col}")
        places = np.stack(indices(row, offset, col))
        return Tensor(places.astype(np.int64 if dtype is None else as_dtype(dtype).numpy))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The rows and columns of what :func:`{doc}` keeps, as a (2, n) tensor."
    return function


tril_indices = _triangle_indices("tril_indices", np.tril_indices, "tril")
triu_indices = _triangle_indices("triu_indices", np.triu_indices, "triu")


def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The last dimension laid on the diagonals of new matrices, in dimensions ``dim1`` and ``dim2`` of the result.

    >>> import minicnn as mc
    >>> mc.diag_embed(mc.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    if input.ndim == 0:
        raise ValueError("input: diag_embed needs at least one dimension")
    axis1, axis2 = normalize_dim(dim1, input.ndim + 1, "dim1"), normalize_dim(dim2, input.ndim + 1, "dim2")
    if axis1 == axis2:
        raise ValueError(f"dim2: diag_embed needs two different dimensions, got {dim1} and {dim2}")
    shape = list(input.shape[:-1])
    for axis in sorted((axis1, axis2)):
        shape.insert(axis, input.shape[-1] + abs(offset))
    return DiagEmbed.apply(input, shape=tuple(shape), offset=int(offset), dim1=axis1, dim2=axis2)


def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A vector as a diagonal matrix; a matrix's diagonal as a vector (a copy).

    >>> import minicnn as mc
    >>> mc.diag(mc.tensor([1, 2])), mc.diag(mc.tensor([[1, 2], [3, 4]]), 1)
    (tensor([[1, 0],
            [0, 2]]), tensor([2]))

    Raises
    ------
    ValueError : for other numbers of dimensions.
    """
    if input.ndim not in (1, 2):
        raise ValueError(f"input: diag takes a vector or a matrix, got shape {tuple(input.shape)}")
    return diag_embed(input, diagonal) if input.ndim == 1 else clone(_diagonal(input, diagonal))


def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """All elements, in row-major order, as a diagonal matrix."""
    return diag_embed(flatten(input), offset)


# ---- grids and pairs


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """The coordinates of a grid: for each vector a tensor of the grid's shape. Views.

    ``indexing``: ``"ij"`` (the default: one dimension for each vector, in order) or ``"xy"`` (the first two exchanged).

    >>> import minicnn as mc
    >>> rows, columns = mc.meshgrid(mc.arange(2), mc.arange(3), indexing="ij")
    >>> rows
    tensor([[0, 0, 0],
            [1, 1, 1]])

    Raises
    ------
    ValueError : for tensors of more than one dimension. TypeError : for different types.
    """
    vectors = _several(tensors, "meshgrid")
    if indexing not in (None, "ij", "xy"):
        raise ValueError(f"indexing: expected 'ij' or 'xy', got {indexing!r}")
    if not vectors:
        raise ValueError("tensors: meshgrid needs at least one")
    for i, x in enumerate(vectors):
        if x.ndim > 1:
            raise ValueError(f"tensors[{i}]: meshgrid takes vectors, got shape {tuple(x.shape)}")
        if x.dtype is not vectors[0].dtype:
            raise TypeError(f"tensors[{i}]: meshgrid needs one type, got {x.dtype} beside {vectors[0].dtype}")
    order = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        order[:2] = [1, 0]
    shape = [0] * len(vectors)
    for axis, x in zip(order, vectors, strict=True):
        shape[axis] = x.numel()
    return tuple(
        expand(reshape(x, tuple(x.numel() if d == axis else 1 for d in range(len(vectors)))), tuple(shape))
        for axis, x in zip(order, vectors, strict=True)
    )


def cartesian_prod(*tensors: Any) -> Tensor:
    """All combinations of one element of each vector, as rows.

    >>> import minicnn as mc
    >>> mc.cartesian_prod(mc.tensor([1, 2]), mc.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    vectors = _several(tensors, "cartesian_prod")
    for i, x in enumerate(vectors):
        if x.ndim != 1:
            raise ValueError(f"tensors[{i}]: cartesian_prod takes vectors, got shape {tuple(x.shape)}")
    return vectors[0] if len(vectors) == 1 else stack([flatten(x) for x in meshgrid(vectors, indexing="ij")], 1)


def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector, as rows, in the order of their positions.

    >>> import minicnn as mc
    >>> mc.combinations(mc.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if input.ndim != 1 or r < 0:
        raise ValueError(f"input: combinations takes a vector and r >= 0, got shape {tuple(input.shape)} and r = {r}")
    if r == 0:
        return Tensor(np.empty(0, input._array.dtype))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return input[Tensor(places)]


def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector as columns: ``x^(N-1) ... x 1``, or the other way round.

    >>> import minicnn as mc
    >>> mc.vander(mc.tensor([2, 3]))
    tensor([[2, 1],
            [3, 1]])
    """
    if x.ndim != 1:
        raise ValueError(f"x: vander takes a vector, got shape {tuple(x.shape)}")
    n = x.numel() if N is None else N
    if n < 0:
        raise ValueError(f"N: expected a number that is not negative, got {N}")
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    if n == 0 or x._array.dtype.kind != "f":
        whole = x._array.astype(np.int64) if x._array.dtype.kind != "f" else x._array
        return Tensor(np.power(whole[:, None], powers))
    return unsqueeze(x, 1) ** Tensor(powers.astype(x._array.dtype))
