"""More ways to look at the same memory: parts of a tensor, diagonals, windows, dimensions in other places.

All of these are views that stay differentiable. The gradient of a part is the gradient at its place and zero around it.
Basic ones (``reshape``, ``permute``, ``expand``) are in ``shape.py``, ``split`` and its kin in ``joining.py``; what copies
is in ``rearrange.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import workspace

from ..autograd import Op, Tensor
from ..autograd.tensor import Size
from .indexing import GetItem
from .reduction import normalize_dim
from .shape import _shape_argument, _sizes, clone, expand, flatten, permute, reshape, squeeze, transpose, unsqueeze


class Diagonal(Op):
    # y[..., i] = x[..., i, ..., i + offset, ...]
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, offset, dim1, dim2):
        ctx.shape, ctx.where = x.shape, (offset, dim1, dim2)
        out = np.diagonal(x, offset, dim1, dim2)
        out.flags.writeable = x.flags.writeable  # NumPy guards it, for reasons of its own history
        return out

    @staticmethod
    def backward(ctx, grad_out):
        grad = workspace.zeros(ctx.shape, grad_out.dtype)
        diagonal = np.diagonal(grad, *ctx.where)
        diagonal.flags.writeable = True
        diagonal[...] = grad_out
        return grad


class Windows(Op):
    # y[..., i, ..., j] = x[..., i step + j, ...]; back: each place gets the gradients of all windows it was seen in
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, dim, size, step):
        ctx.shape, ctx.dim, ctx.step = x.shape, dim, step
        if size == 0:  # NumPy has no empty windows; torch has one at each place, and one after the last
            shape = list(x.shape)
            shape[dim] = x.shape[dim] // step + 1
            return np.empty((*shape, 0), x.dtype)
        windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=dim, writeable=x.flags.writeable)
        return windows[(slice(None),) * dim + (slice(None, None, step),)]

    @staticmethod
    def backward(ctx, grad_out):
        grad = workspace.zeros(ctx.shape, grad_out.dtype)
        along = np.moveaxis(grad, ctx.dim, -1)  # (..., n)
        windows = np.moveaxis(grad_out, ctx.dim, -1)  # (..., size, windows)
        last = (windows.shape[-1] - 1) * ctx.step + 1
        for j in range(windows.shape[-2] if windows.shape[-1] else 0):
            along[..., j : j + last : ctx.step] += windows[..., j, :]
        return grad


class AsStrided(Op):
    # y[i, j, ...] = memory[offset + i s0 + j s1 + ...]; back: into the memory, and from there to x's own places
    returns_view = True

    @staticmethod
    def forward(ctx, x, *, size, stride, offset):
        memory, own = _memory(x)
        ctx.places = _places(size, stride, offset)
        ctx.own = _places(x.shape, [s // x.itemsize for s in x.strides], own)
        ctx.length = memory.nbytes // x.itemsize
        steps = [s * x.itemsize for s in stride]
        return np.ndarray(size, x.dtype, memory, offset * x.itemsize, steps)

    @staticmethod
    def backward(ctx, grad_out):
        memory = np.zeros(ctx.length, grad_out.dtype)
        np.add.at(memory, ctx.places.reshape(-1), grad_out.reshape(-1))
        shared = np.bincount(
            ctx.own.reshape(-1), minlength=ctx.length
        )  # of places that x shows several times, each gets a part
        return memory[ctx.own] / shared[ctx.own].astype(grad_out.dtype)


def _memory(x: np.ndarray) -> tuple[np.ndarray, int]:
    """The whole block of memory that x looks at, as a row-major array, and where in it x begins, in elements."""
    base = x
    while type(base.base) is np.ndarray:
        base = base.base
    base = base if base.flags.c_contiguous else base.T
    if not base.flags.c_contiguous:
        raise NotImplementedError("as_strided: the memory behind this tensor has gaps; call contiguous() first")
    return base, (x.ctypes.data - base.ctypes.data) // x.itemsize


def _places(size: Sequence[int], stride: Sequence[int], offset: int) -> np.ndarray:
    """The position in memory of each element of a strided tensor."""
    places = np.full(size, offset, np.int64)
    for axis, (n, step) in enumerate(zip(size, stride, strict=True)):
        places += (np.arange(n) * step).reshape(-1, *(1,) * (len(size) - axis - 1))
    return places


# ---- parts


def narrow(input: Tensor, dim: int, start: int | Tensor, length: int) -> Tensor:
    """``length`` elements from ``start`` on along ``dim``. A view.

    >>> import minicnn as mc
    >>> mc.narrow(mc.arange(6), 0, 2, 3)
    tensor([2, 3, 4])

    Raises
    ------
    IndexError : a start outside the dimension. ValueError : a negative length, or one that ends outside.
    """
    if isinstance(start, Tensor) and (start.ndim or start._array.dtype.kind not in "iu"):
        raise TypeError(f"start: expected an integer or a 0-dimensional integer tensor, got shape {tuple(start.shape)}")
    axis, begin, length = _axis(input, dim, "narrow"), int(start), int(length)
    size = input.shape[axis]
    if not -size <= begin <= size:
        raise IndexError(f"start: expected {-size} to {size} along dim {dim}, got {begin}")
    begin += size if begin < 0 else 0
    if length < 0 or begin + length > size:
        raise ValueError(f"length: {length} elements from {begin} on do not lie within the {size} along dim {dim}")
    return _take(input, axis, slice(begin, begin + length))


def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice number ``index`` along ``dim``, without that dimension. A view.

    >>> import minicnn as mc
    >>> mc.select(mc.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])

    Raises
    ------
    IndexError : for a 0-dimensional tensor, and an index outside the dimension.
    """
    axis, at = _axis(input, dim, "select"), int(index)
    size = input.shape[axis]
    if not -size <= at < size:
        raise IndexError(f"index: expected {-size} to {size - 1} along dim {dim}, got {at}")
    return _take(input, axis, at)


def _axis(input: Tensor, dim: int, what: str) -> int:
    """A dimension counted from the front, of a tensor that has one."""
    if input.ndim == 0:
        raise IndexError(f"input: {what} needs at least one dimension, got a 0-dimensional tensor")
    return normalize_dim(dim, input.ndim)


def _take(input: Tensor, axis: int, part: int | slice) -> Tensor:
    return GetItem.apply(input, basic=(*(slice(None),) * axis, part, Ellipsis))


# ---- diagonals and windows


def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonal over two dimensions, as a new last dimension: ``y[..., i] = x[i, i + offset, ...]``. A view.

    >>> import minicnn as mc
    >>> mc.diagonal(mc.tensor([[1, 2], [3, 4]])), mc.diagonal(mc.tensor([[1, 2], [3, 4]]), 1)
    (tensor([1, 4]), tensor([2]))

    Raises
    ------
    ValueError : where both dimensions are the same.
    """
    axis1, axis2 = normalize_dim(dim1, input.ndim, "dim1"), normalize_dim(dim2, input.ndim, "dim2")
    if axis1 == axis2:
        raise ValueError(f"dim2: diagonal needs two different dimensions, got {dim1} and {dim2}")
    return Diagonal.apply(input, offset=int(offset), dim1=axis1, dim2=axis2)


def unfold(input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All windows of ``size`` elements along a dimension, ``step`` apart, as a new last dimension. A view.

    (A method only: ``mc.nn.functional.unfold`` takes an image apart into patches.)

    >>> import minicnn as mc
    >>> mc.arange(5).unfold(0, 3, 2)
    tensor([[0, 1, 2],
            [2, 3, 4]])

    Raises
    ------
    ValueError : a window larger than the dimension, or a step that is not positive.
    """
    axis = normalize_dim(dimension, input.ndim, "dimension")
    length = input.shape[axis] if input.ndim else 1
    if not 0 <= size <= length:
        raise ValueError(f"size: expected 0 to {length}, the size of dimension {dimension}, got {size}")
    if step <= 0:
        raise ValueError(f"step: expected a positive step, got {step}")
    if input.ndim == 0:
        return input.reshape(1)[:size]
    return Windows.apply(input, dim=axis, size=int(size), step=int(step))


def as_strided(input: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """Any window on the memory behind a tensor: ``y[i, j] = memory[storage_offset + i * stride[0] + j * stride[1]]``.

    A view. ``storage_offset`` counts from the beginning of that memory; by default it is where ``input`` begins.

    >>> import minicnn as mc
    >>> mc.as_strided(mc.arange(6), (2, 2), (1, 3))
    tensor([[0, 3],
            [1, 4]])

    Raises
    ------
    ValueError : for what lies outside the memory, and for negative strides.
    NotImplementedError : for memory of NumPy's with gaps.
    """
    size, stride = tuple(map(int, size)), tuple(map(int, stride))
    memory, own = _memory(input._array)
    offset = own if storage_offset is None else int(storage_offset)
    if len(size) != len(stride) or min((*size, *stride, offset), default=0) < 0:
        raise ValueError(f"stride: expected one for each size, none negative, got {stride} for {size} from {offset}")
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    length = memory.nbytes // memory.itemsize
    if math.prod(size) and last >= length:
        raise ValueError(f"size: {size} with strides {stride} reaches element {last}, of {length} in memory")
    return AsStrided.apply(input, size=size, stride=stride, offset=offset)


# ---- dimensions in other places


def movedim(input: Tensor, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Tensor:
    """Dimensions moved to other places; the rest keep their order. A view. Also ``moveaxis``.

    >>> import minicnn as mc
    >>> mc.movedim(mc.zeros(2, 3, 4), 0, -1).shape
    minicnn.Size([3, 4, 2])

    Raises
    ------
    ValueError : where the two differ in number, or a dimension comes twice.
    """
    sources, targets = (
        [normalize_dim(d, input.ndim, name) for d in (dims if isinstance(dims, (tuple, list)) else (dims,))]
        for name, dims in (("source", source), ("destination", destination))
    )
    if len(sources) != len(targets) or len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ValueError(f"destination: expected as many as in source, each once, got {source} to {destination}")
    if input.ndim == 0:
        return permute(input, ())
    order = [d for d in range(input.ndim) if d not in sources]
    for target, origin in sorted(zip(targets, sources, strict=True)):
        order.insert(target, origin)
    return permute(input, tuple(order))


def moveaxis(input: Tensor, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Tensor:
    """:func:`movedim` under NumPy's name."""
    return movedim(input, source, destination)


def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """:func:`transpose` under NumPy's name."""
    return transpose(input, axis0, axis1)


def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """:func:`transpose` under another name."""
    return transpose(input, dim0, dim1)


def adjoint(input: Tensor) -> Tensor:
    """The last two dimensions exchanged; numbers are real here, so nothing is conjugated. Also ``Tensor.mH``."""
    if input.ndim < 2:
        raise ValueError(f"input: a matrix or a batch of them is needed, got shape {tuple(input.shape)}")
    return transpose(input, -2, -1)


def unflatten(input: Tensor, dim: int, sizes: Sequence[int]) -> Tensor:
    """One dimension taken apart into several; one of ``sizes`` may be -1. A view where ``reshape`` gives one.

    >>> import minicnn as mc
    >>> mc.unflatten(mc.zeros(2, 12), 1, (3, -1)).shape
    minicnn.Size([2, 3, 4])

    Raises
    ------
    ValueError : where the sizes do not multiply to that of the dimension.
    """
    axis, parts = _axis(input, dim, "unflatten"), _shape_argument((sizes,), "sizes")
    size, known = input.shape[axis], math.prod(n for n in parts if n != -1)
    if not parts or parts.count(-1) > 1 or min(parts) < -1:
        raise ValueError(f"sizes: expected sizes, of which one may be -1, got {parts}")
    if -1 in parts:
        parts = tuple((size // known if known else 0) if n == -1 else n for n in parts)
    if math.prod(parts) != size or (known == 0 and -1 in _shape_argument((sizes,), "sizes")):
        raise ValueError(f"sizes: {tuple(sizes)} does not multiply to {size}, the size of dimension {dim}")
    shape = tuple(input.shape)
    return reshape(input, (*shape[:axis], *parts, *shape[axis + 1 :]))


def ravel(input: Tensor) -> Tensor:
    """The elements in row-major order in one dimension: a view where possible."""
    return flatten(input)


# ---- to a common shape


@_sizes("size")
def broadcast_to(input: Tensor, *size: Any) -> Tensor:
    """:func:`expand` to a shape. A view."""
    return expand(input, *size)


def broadcast_shapes(*shapes: int | Sequence[int]) -> Size:
    """The shape that tensors of these shapes broadcast to.

    >>> import minicnn as mc
    >>> mc.broadcast_shapes((2, 1), (3,))
    minicnn.Size([2, 3])

    Raises
    ------
    ValueError : where they do not.
    """
    try:
        return Size(np.broadcast_shapes(*shapes))
    except ValueError:
        raise ValueError(f"shapes: {', '.join(map(str, shapes))} do not broadcast to one") from None


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to the shape they broadcast to. Views.

    >>> import minicnn as mc
    >>> [tuple(x.shape) for x in mc.broadcast_tensors(mc.zeros(2, 1), mc.zeros(3))]
    [(2, 3), (2, 3)]
    """
    several = _several(tensors, "broadcast_tensors")
    shape = broadcast_shapes(*(tuple(x.shape) for x in several))
    return tuple(expand(x, shape) for x in several)


@_sizes("size")
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """The sum over what broadcasting to ``input``'s shape would repeat: the reverse of :func:`expand`.

    Raises
    ------
    ValueError : where ``size`` does not broadcast to ``input``'s shape.
    """
    wanted = _shape_argument(size, "size")
    if not wanted:
        return input.sum()
    extra = input.ndim - len(wanted)
    if extra < 0 or any(n not in (1, own) for n, own in zip(wanted, input.shape[extra:], strict=True)):
        raise ValueError(f"size: {wanted} does not broadcast to the input's shape {tuple(input.shape)}")
    dims = (*range(extra), *(d + extra for d, n in enumerate(wanted) if n == 1 and input.shape[d + extra] != 1))
    return reshape(input.sum(dims, keepdim=True), wanted) if dims else input


def _at_least(ndim: int, shaped: Any, doc: str) -> Any:
    def function(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], Tensor):
            return shaped(tensors[0]) if tensors[0].ndim < ndim else tensors[0]
        several = _several(tensors, function.__name__)
        return tuple(shaped(x) if x.ndim < ndim else x for x in several)

    function.__name__ = function.__qualname__ = f"atleast_{ndim}d"
    function.__doc__ = f"Each tensor with at least {ndim} dimension{'s' * (ndim > 1)}{doc}; a tuple for several. Views."
    return function


def _as_image(x: Tensor) -> Tensor:
    return unsqueeze(x, -1) if x.ndim == 2 else reshape(x, (1, -1 if x.numel() else 0, 1))


atleast_1d = _at_least(1, lambda x: reshape(x, (1,)), "")
atleast_2d = _at_least(2, lambda x: reshape(x, (1, x.numel())), ": a vector becomes a row")
atleast_3d = _at_least(3, _as_image, ": a vector becomes (1, n, 1), a matrix (m, n, 1)")


def _several(tensors: tuple, what: str) -> list[Tensor]:
    """``f(a, b)`` and ``f((a, b))`` mean the same."""
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"tensors[{i}]: {what} takes tensors, got {type(x).__name__}")
    return list(tensors)


# ---- the same as copies


def _copying(view: Any) -> Any:
    def function(input: Tensor, *args: Any, **options: Any) -> Tensor:
        return clone(view(input, *args, **options))

    function.__name__ = function.__qualname__ = f"{view.__name__}_copy"
    function.__doc__ = f":func:`{view.__name__}` as a copy with its own memory."
    return function


narrow_copy, diagonal_copy, expand_copy = _copying(narrow), _copying(diagonal), _copying(expand)
permute_copy, squeeze_copy, transpose_copy = _copying(permute), _copying(squeeze), _copying(transpose)
unsqueeze_copy, select_copy = _copying(unsqueeze), _copying(select)
