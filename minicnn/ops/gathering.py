"""Elements taken and written by tensors of indices: ``gather`` and ``scatter``, and their kin along one dimension.

An index says a place along one dimension; the other coordinates are the element's own. The gradient of taking by an index is
adding by it, and the other way round. What works with masks is in ``masking.py``, ``x[index]`` in ``indexing.py``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..autograd import Op, Tensor
from .indexing import Gather, SetItem, TakeAlong, add_at, add_rows, as_index, combine_along, covered
from .masking import masked_fill
from .promotion import NUMBERS
from .reduction import normalize_dim
from .shape import expand, flatten, reshape


class Scatter(Op):
    # y = x with y[i, index[i, j]] = src[i, j]; of several for one place the last wins
    @staticmethod
    def forward(ctx, x, index, src, *, dim):
        ctx.dim = dim
        ctx.save(index)
        out = x.copy()
        np.put_along_axis(out[covered(index.shape, dim)], index, src, dim)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (index,) = ctx.saved
        grad_x = grad_src = None
        if ctx.needs_input_grad[0]:
            grad_x = grad_out.copy()
            np.put_along_axis(grad_x[covered(index.shape, ctx.dim)], index, 0, ctx.dim)
        if ctx.needs_input_grad[2]:
            grad_src = np.take_along_axis(grad_out[covered(index.shape, ctx.dim)], index, ctx.dim)
        return grad_x, None, grad_src


class ScatterReduce(Op):
    # y[i, index[i, j]] = x there combined with all src[i, j] that belong there. The rules are torch's: for a product,
    # dy/dsrc = y / src (where one factor is 0: the product of the others); a largest or smallest shares evenly.
    ufuncs: ClassVar = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}

    @classmethod
    def forward(cls, ctx, x, index, src, *, dim, reduce, include_self):
        ctx.dim, ctx.reduce, ctx.include_self = dim, reduce, include_self
        out = cls._combine(x, index, src, dim, reduce, include_self)
        if reduce == "mean":
            ctx.counts = cls._counts(x, index, dim, include_self)
            out = out / ctx.counts if x.dtype.kind == "f" else out // ctx.counts
            out = out.astype(x.dtype, copy=False)
        if reduce in ("sum", "mean"):
            ctx.save(index)
        else:
            ctx.save(index, x, src, out)
        return out

    @classmethod
    def _combine(cls, x, index, src, dim, reduce, include_self):
        out = x.copy()
        if not include_self:
            np.put_along_axis(out[covered(index.shape, dim)], index, _neutral(reduce, x.dtype), dim)
        combine_along(cls.ufuncs[reduce], out, index, src, dim)
        return out

    @staticmethod
    def _counts(x, index, dim, include_self):
        counts = np.full(x.shape, int(include_self), x.dtype if x.dtype.kind == "f" else np.int64)
        combine_along(np.add, counts, index, np.ones((), counts.dtype), dim)
        return np.maximum(counts, 1)

    @classmethod
    def backward(cls, ctx, grad_out):
        index, *rest = ctx.saved
        dim = ctx.dim

        def at(array):  # what lies where the index points
            return np.take_along_axis(array[covered(index.shape, dim)], index, dim)

        if ctx.reduce == "sum":
            grad_x, grad_src = grad_out, at(grad_out)
        elif ctx.reduce == "mean":
            grad_x = grad_out / ctx.counts
            grad_src = at(grad_x)
        else:
            x, src, out = rest
            if ctx.reduce == "prod":
                no_zero = np.where(x == 0, 1, x)
                grad_x = grad_out * cls._combine(no_zero, index, src, dim, "prod", ctx.include_self) / no_zero
                zero = src == 0
                zeros = np.zeros(x.shape, x.dtype)
                combine_along(np.add, zeros, index, zero, dim)
                alone = zero & (at(zeros) == 1)
                others = cls._combine(x, index, np.where(alone, 1, src), dim, "prod", ctx.include_self)
                grad_src = np.where(alone, at(grad_out * others), at(grad_out * out) / np.where(zero, 1, src))
            else:
                wins, x_wins = src == at(out), x == out
                winners = x_wins.astype(x.dtype, order="C")
                combine_along(np.add, winners, index, wins, dim)
                share = np.where(winners == 0, 0, grad_out / winners)
                grad_x, grad_src = x_wins * share, wins * at(share)
        if not ctx.include_self:
            grad_x = grad_x.copy()
            np.put_along_axis(grad_x[covered(index.shape, dim)], index, 0, dim)
        return grad_x, None, grad_src


def _neutral(reduce: str, dtype: np.dtype) -> Any:
    """What changes nothing where it is combined with other elements."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    if dtype.kind == "f":
        return -np.inf if reduce == "amax" else np.inf
    if dtype.kind == "b":
        return reduce == "amin"
    return np.iinfo(dtype).min if reduce == "amax" else np.iinfo(dtype).max


class IndexAdd(Op):
    # y = x + alpha source at rows index of a dimension
    @staticmethod
    def forward(ctx, x, index, source, *, dim, alpha):
        ctx.dim, ctx.alpha = dim, alpha
        ctx.save(index)
        out = x.copy()
        add_rows(out, index, source if alpha == 1 else source * np.asarray(alpha).astype(source.dtype), dim)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (index,) = ctx.saved
        rows = np.take(grad_out, index, ctx.dim) if ctx.needs_input_grad[2] else None
        return grad_out, None, rows if rows is None or ctx.alpha == 1 else rows * rows.dtype.type(ctx.alpha)


class IndexPutAdd(Op):
    # y = x with values added at an index; places named several times get all their values
    @staticmethod
    def forward(ctx, x, values, *index, basic):
        ctx.basic = basic
        ctx.save(*index)
        out = x.copy()
        add_at(out[basic], index, values)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out, np.asarray(grad_out[ctx.basic][ctx.saved]), *[None] * len(ctx.saved)


# ---- gather and scatter: an index for each element


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """``y[i, j] = x[i, index[i, j]]`` (for dim 1 of 2): the elements that the index names along ``dim``.

    ``index`` has as many dimensions as ``input``, and elsewhere than along ``dim`` may be smaller. ``sparse_grad`` is taken
    for torch's sake: gradients are never sparse here.

    >>> import minicnn as mc
    >>> mc.gather(mc.tensor([[1, 2], [3, 4]]), 1, mc.tensor([[0, 0], [1, 0]]))
    tensor([[1, 1],
            [4, 3]])

    Raises
    ------
    TypeError : an index that is not int64 (or int32). ValueError : an index of another number of dimensions, or too large.
    IndexError : an index outside the dimension.
    """
    if isinstance(index, Tensor) and index.numel() == 0:  # torch does not look at such an index any further
        normalize_dim(dim, input.ndim)
        return reshape(flatten(input)[:0], tuple(index.shape))
    axis, x, index, was_number = _operands("gather", input, dim, index)
    out = TakeAlong.apply(x, index, dim=axis)
    return reshape(out, ()) if was_number else out


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """:func:`gather` with indices that broadcast, negative ones counting from the end; without ``dim``: over the flattened
    tensor, with indices from 0.

    >>> import minicnn as mc
    >>> x = mc.tensor([[3, 1, 2]])
    >>> mc.take_along_dim(x, mc.argsort(x, 1), 1)
    tensor([[1, 2, 3]])
    """
    _require_index("indices", indices, (np.int64,))
    if dim is None:
        return gather(flatten(input), 0, flatten(indices))
    if input.ndim != indices.ndim:
        raise ValueError(f"indices: expected {input.ndim} dimensions, as input has, got {indices.ndim}")
    axis = normalize_dim(dim, input.ndim)
    if input.ndim == 0:
        return gather(input, 0, indices)
    size, array = input.shape[axis], indices._array
    if array.size and array.min() < 0:
        indices = Tensor(np.where(array < 0, array + size, array))
    rest = [list(t.shape) for t in (input, indices)]
    for sizes in rest:
        sizes[axis] = 1
    try:
        common = list(np.broadcast_shapes(*map(tuple, rest)))
    except ValueError:
        raise ValueError(
            f"indices: shape {tuple(indices.shape)} does not broadcast with {tuple(input.shape)} outside dim {dim}"
        ) from None
    shapes = [(*common[:axis], t.shape[axis], *common[axis + 1 :]) for t in (input, indices)]
    return gather(expand(input, shapes[0]), axis, expand(indices, shapes[1]))


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor | bool | int | float | None = None,
    *,
    value: bool | int | float | None = None,
    reduce: str | None = None,
) -> Tensor:
    """``y = x``, but ``y[i, index[i, j]] = src[i, j]`` (for dim 1 of 2). ``src`` may be a number.

    ``reduce``: ``"add"`` or ``"multiply"`` combine with what is there. Where several go to one place without it, the last
    wins (torch leaves that open); the gradient reaches all of them.

    >>> import minicnn as mc
    >>> mc.scatter(mc.zeros(2, 3), 1, mc.tensor([[0], [2]]), 1.0)
    tensor([[1., 0., 0.],
            [0., 0., 1.]])

    Raises
    ------
    TypeError : an index that is not int64 (or int32), or a ``src`` of another type than ``input``.
    ValueError : an index of another number of dimensions, or larger than ``input`` or ``src``.
    IndexError : an index outside the dimension.
    """
    src = value if src is None else src
    if isinstance(src, NUMBERS):
        source: Any = Tensor(np.asarray(src).astype(input._array.dtype))
        source = expand(source, tuple(index.shape)) if isinstance(index, Tensor) else source
    else:
        source = src
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            raise ValueError(f"reduce: expected 'add' or 'multiply', got {reduce!r}")
        return _reduced("scatter", input, dim, index, source, "sum" if reduce == "add" else "prod", True)
    axis, x, index, was_number = _operands("scatter", input, dim, index, source)
    out = Scatter.apply(x, index, _fitting(source, index), dim=axis)
    return reshape(out, ()) if was_number else out


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """``y = x``, but ``y[i, index[i, j]] += src[i, j]`` (for dim 1 of 2). What goes to one place adds up.

    >>> import minicnn as mc
    >>> mc.scatter_add(mc.zeros(3), 0, mc.tensor([0, 2, 2]), mc.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 5.])

    Raises
    ------
    TypeError, ValueError, IndexError : as :func:`scatter`.
    """
    return _reduced("scatter_add", input, dim, index, src, "sum", True)


def scatter_reduce(
    input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """``y[i, k]`` (for dim 1 of 2) combines all ``src[i, j]`` with ``index[i, j] = k``, and ``x[i, k]`` if ``include_self``.

    ``reduce``: ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``. Where nothing goes, ``x`` stays.

    >>> import minicnn as mc
    >>> mc.scatter_reduce(mc.ones(2), 0, mc.tensor([0, 0]), mc.tensor([4.0, 6.0]), "mean", include_self=False)
    tensor([5., 1.])

    Raises
    ------
    TypeError, ValueError, IndexError : as :func:`scatter`.
    """
    if reduce not in ScatterReduce.ufuncs:
        raise ValueError(f"reduce: expected one of {', '.join(ScatterReduce.ufuncs)}, got {reduce!r}")
    return _reduced("scatter_reduce", input, dim, index, src, reduce, include_self)


def _reduced(what: str, input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, include_self: bool) -> Tensor:
    axis, x, index, was_number = _operands(what, input, dim, index, src)
    out = ScatterReduce.apply(x, index, _fitting(src, index), dim=axis, reduce=reduce, include_self=include_self)
    return reshape(out, ()) if was_number else out


def _fitting(src: Tensor, index: Tensor) -> Tensor:
    """The part of the source that the index speaks of."""
    if src.ndim == 0:
        return reshape(src, (1,)) if index.numel() else reshape(src, (1,))[:0]
    return src if src.shape == index.shape else src[tuple(slice(n) for n in index.shape)]


def _operands(
    what: str, input: Tensor, dim: int, index: Tensor, src: Tensor | None = None
) -> tuple[int, Tensor, Tensor, bool]:
    """The checked dimension, input and index; numbers as vectors of one, as torch sees them here."""
    axis = normalize_dim(dim, input.ndim)
    _require_index("index", index, (np.int64, np.int32))
    if src is not None:
        if not isinstance(src, Tensor):
            raise TypeError(f"src: {what} takes a Tensor, got {type(src).__name__}")
        if src._array.dtype != input._array.dtype:
            raise TypeError(f"src: {what} needs the type of input, {input.dtype}, got {src.dtype}")
    if index.numel() == 0 and index.ndim == 1 != input.ndim:  # torch takes an empty index for nothing to do
        index = reshape(index, (0,) * max(input.ndim, 1))
        return axis, reshape(input, (1,)) if input.ndim == 0 else input, index, False
    if max(index.ndim, 1) != max(input.ndim, 1) or (src is not None and max(src.ndim, 1) != max(index.ndim, 1)):
        ranks = f"input has {input.ndim}, index {index.ndim}" + ("" if src is None else f", src {src.ndim}")
        raise ValueError(f"index: {what} needs as many dimensions in all its tensors: {ranks}")
    rows = zip(index.shape, input.shape, index.shape if src is None or not src.ndim else src.shape, strict=False)
    for d, (n, most, given) in enumerate(rows):
        if (d != axis and n > most) or n > given:
            raise ValueError(
                f"index: shape {tuple(index.shape)} is larger than that of input {tuple(input.shape)} outside dim {dim}"
                + ("" if src is None else f", or than that of src, {tuple(src.shape)}")
            )
    was_number = input.ndim == 0 and (index.ndim == 0 or src is not None)
    input, index = (reshape(t, (1,)) if t.ndim == 0 else t for t in (input, index))
    _within(index, input.shape[axis], axis)
    return axis, input, index, was_number


def _require_index(name: str, index: Any, allowed: tuple) -> None:
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}: expected an int64 tensor, got {type(index).__name__}")
    if index._array.dtype not in allowed:
        raise TypeError(f"{name}: expected int64, got {index.dtype}; convert with .long()")


def _within(index: Tensor, size: int, dim: int, least: int = 0) -> None:
    array = index._array
    if array.size and (array.min() < least or array.max() >= size):
        worst = array.min() if array.min() < least else array.max()
        raise IndexError(f"index: {worst} is out of bounds for dimension {dim}, which has size {size}")


# ---- index_*: one index for a whole row


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices along ``dim`` that a vector of indices names, in its order. A copy.

    >>> import minicnn as mc
    >>> mc.index_select(mc.tensor([[1, 2], [3, 4]]), 1, mc.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])

    Raises
    ------
    TypeError : an index that is not int64 or int32. ValueError : one that is not a vector. IndexError : one out of bounds.
    """
    axis, index = _row_index("index_select", input, dim, index)
    if input.ndim == 0:
        if index.numel() != 1:
            raise ValueError(f"index: a 0-dimensional tensor has one element to select, got {index.numel()} indices")
        return reshape(Gather.apply(reshape(input, (1,)), index), ())
    return Gather.apply(input, *(slice(None),) * axis, index)


def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: bool | int | float = 1) -> Tensor:
    """``x`` with ``alpha * source`` added, slice by slice, to the slices that ``index`` names; repeated ones add up.

    >>> import minicnn as mc
    >>> mc.index_add(mc.zeros(3), 0, mc.tensor([0, 0]), mc.tensor([1.0, 2.0]))
    tensor([3., 0., 0.])

    Raises
    ------
    TypeError, ValueError, IndexError : as :func:`index_select`, and for a ``source`` that does not fit.
    """
    axis, index = _row_index("index_add", input, dim, index, source)
    if input.ndim == 0:
        return reshape(index_add(reshape(input, (1,)), 0, index, reshape(source, (-1,)), alpha=alpha), ())
    return IndexAdd.apply(input, index, source, dim=axis, alpha=alpha)


def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """``x`` with the slices that ``index`` names replaced by those of ``source``.

    Raises
    ------
    TypeError, ValueError, IndexError : as :func:`index_add`.
    """
    axis, index = _row_index("index_copy", input, dim, index, source)
    if input.ndim == 0:
        return reshape(index_copy(reshape(input, (1,)), 0, index, reshape(source, (-1,))), ())
    return Scatter.apply(input, _spread_index(index, source.shape, axis), source, dim=axis)


def index_fill(input: Tensor, dim: int, index: Tensor, value: Tensor | bool | int | float) -> Tensor:
    """``x`` with ``value`` in the slices that ``index`` names.

    Raises
    ------
    TypeError, ValueError, IndexError : as :func:`index_select`, and for a ``value`` of more than one element.
    """
    axis, index = _row_index("index_fill", input, dim, index, least=None)
    if isinstance(value, Tensor) and value.ndim:
        raise ValueError(f"value: expected a number or a 0-dimensional tensor, got shape {tuple(value.shape)}")
    size = input.shape[axis] if input.ndim else 1
    named = np.zeros(size, bool)
    named[index._array] = True
    return masked_fill(
        input, Tensor(named.reshape((size,) + (1,) * (input.ndim - axis - 1) if input.ndim else ())), value
    )


def index_reduce(
    input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """:func:`scatter_reduce` by one index for a whole slice; ``reduce``: ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.

    Raises
    ------
    TypeError, ValueError, IndexError : as :func:`index_add`.
    """
    axis, index = _row_index("index_reduce", input, dim, index, source)
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise ValueError(f"reduce: expected 'prod', 'mean', 'amax' or 'amin', got {reduce!r}")
    if input.ndim == 0:
        input, source = reshape(input, (1,)), reshape(source, (-1,))
        return reshape(index_reduce(input, 0, index, source, reduce, include_self=include_self), ())
    spread = _spread_index(index, source.shape, axis)
    return ScatterReduce.apply(input, spread, source, dim=axis, reduce=reduce, include_self=include_self)


def _spread_index(index: Tensor, shape: Any, axis: int) -> Tensor:
    """(k,) -> an index for each element of ``shape``, whose size along ``axis`` is k."""
    return expand(
        reshape(index, (1,) * axis + (-1 if index.numel() else 0,) + (1,) * (len(shape) - axis - 1)), tuple(shape)
    )


def _row_index(
    what: str, input: Tensor, dim: int, index: Tensor, source: Tensor | None = None, least: int | None = 0
) -> tuple[int, Tensor]:
    """The checked dimension, and the index as a vector. ``least``: None for negative indices that count from the end."""
    axis = normalize_dim(dim, input.ndim)
    whole = (np.int64,) if what in ("index_copy", "index_fill") else (np.int64, np.int32)
    _require_index("index", index, whole)
    if index.ndim > 1:
        raise ValueError(f"index: {what} takes a vector, got shape {tuple(index.shape)}")
    index = reshape(index, (1,)) if index.ndim == 0 else index
    size = input.shape[axis] if input.ndim else 1
    _within(index, size, axis, -size if least is None else least)
    if source is not None:
        if source._array.dtype != input._array.dtype:
            raise TypeError(f"source: {what} needs the type of input, {input.dtype}, got {source.dtype}")
        wanted = (*input.shape[:axis], index.numel(), *input.shape[axis + 1 :]) if input.ndim else (index.numel(),)
        if tuple(source.shape) != wanted and not (source.ndim == 0 and wanted == (1,)):
            raise ValueError(
                f"source: {what} needs shape {wanted} for input {tuple(input.shape)}, got {tuple(source.shape)}"
            )
    return axis, index


# ---- flat positions and tuples of indices


def take(input: Tensor, index: Tensor) -> Tensor:
    """The elements at positions of the flattened tensor, in the shape of ``index``.

    >>> import minicnn as mc
    >>> mc.take(mc.tensor([[1, 2], [3, 4]]), mc.tensor([3, 0]))
    tensor([4, 1])

    Raises
    ------
    TypeError : an index that is not int64. IndexError : one out of bounds.
    """
    _require_index("index", index, (np.int64,))
    _within(index, input.numel(), 0, -input.numel())
    out = Gather.apply(flatten(input), reshape(index, (index.numel(),)))
    return reshape(out, tuple(index.shape))


def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """``x`` with ``source`` written to (or added at) positions of the flattened tensor.

    Raises
    ------
    TypeError : types that do not fit. ValueError : numbers of elements that differ. IndexError : an index out of bounds.
    """
    _require_index("index", index, (np.int64,))
    if source._array.dtype != input._array.dtype:
        raise TypeError(f"source: put needs the type of input, {input.dtype}, got {source.dtype}")
    if source.numel() != index.numel():
        raise ValueError(f"source: put needs one element for each index, got {source.numel()} for {index.numel()}")
    out = index_put(flatten(input), (flatten(index),), flatten(source), accumulate)
    return reshape(out, tuple(input.shape))


def index_put(input: Tensor, indices: tuple[Tensor | None, ...], values: Tensor, accumulate: bool = False) -> Tensor:
    """``x`` after ``x[indices] = values``; with ``accumulate`` they are added, and repeated places get all of them.

    >>> import minicnn as mc
    >>> mc.index_put(mc.zeros(3), (mc.tensor([0, 0]),), mc.tensor([1.0, 2.0]), accumulate=True)
    tensor([3., 0., 0.])

    Raises
    ------
    TypeError : ``values`` of another type. IndexError : an index out of bounds.
    """
    if values._array.dtype != input._array.dtype:
        raise TypeError(f"values: index_put needs the type of input, {input.dtype}, got {values.dtype}")
    basic, index = as_index(tuple(slice(None) if part is None else part for part in indices), input.ndim)
    if not accumulate or not index:
        return SetItem.apply(input, values, *index, basic=basic)
    return IndexPutAdd.apply(input, values, *index, basic=basic)
