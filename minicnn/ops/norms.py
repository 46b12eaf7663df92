"""Norms of vectors and matrices, and distances: ``norm``, ``dist``, ``cdist``, ``renorm``.

Also what is behind ``mc.linalg.norm``, ``vector_norm`` and ``matrix_norm``. (Batch norm is in ``norm.py``.)
"""

from __future__ import annotations

import math

import numpy as np

from ..autograd import Op, Tensor
from ..dtypes import DType
from .elementwise import abs as absolute
from .elementwise import sub, where
from .matrix_functions import svdvals
from .promotion import cast, require_floating
from .reduction import Dim, _count, _spread, _total, amax, amin, normalize_dim, normalize_dims
from .reduction import sum as total
from .shape import reshape, unsqueeze
from .views import broadcast_shapes, movedim

Order = int | float | str


class VectorNorm(Op):
    # y = (sum |x|^p)^(1/p);  dy/dx = sign(x) (|x| / y)^(p - 1), and 0 where y = 0. p = 0 counts what is not 0 (no gradient),
    # p = inf takes the largest |x| (equal ones share the gradient), p = -inf the smallest.
    @staticmethod
    def forward(ctx, x, *, p, dims, keepdim):
        size = np.abs(x)
        if p == 0:
            out = _total((x != 0).astype(x.dtype), dims, True)
        elif math.isinf(p):
            out = (np.max if p > 0 else np.min)(size, axis=dims, keepdims=True)
        elif p == 1:
            out = _total(size, dims, True)
        elif p == 2:
            out = np.sqrt(_total(x * x, dims, True))
        else:
            out = np.power(_total(np.power(size, p), dims, True), 1 / p)
        out = out.astype(x.dtype, copy=False)
        ctx.p, ctx.dims = p, dims
        ctx.save(x, out)
        return out if keepdim else np.array(out.reshape([n for d, n in enumerate(x.shape) if d not in dims]))

    @staticmethod
    def backward(ctx, grad_out):
        x, out = ctx.saved
        p, size = ctx.p, np.abs(x)
        grad_out = _spread(grad_out, x.shape, ctx.dims)
        if p == 0:
            return np.zeros_like(x)
        if p == 1:
            return grad_out * np.sign(x)
        if p == 2:
            return grad_out * np.where(out == 0, 0, x / out)
        if math.isinf(p):
            wins = (size == out) | (np.isnan(x) & np.isnan(out))
            return np.sign(x) * wins * (grad_out / wins.sum(axis=ctx.dims, keepdims=True, dtype=x.dtype))
        slope = np.where((out == 0) | ((x == 0) & (p < 1)), 0, np.power(size, p - 1) / np.power(out, p - 1))
        return (grad_out * np.sign(x) * slope).astype(x.dtype, copy=False)


def _as_type(x: Tensor, dtype: DType | None, what: str) -> Tensor:
    return require_floating(x if dtype is None else cast(x, dtype), "input", what)


def vector_norm(
    x: Tensor, ord: int | float = 2, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """``(sum |x|^ord)^(1/ord)`` of all elements, or over ``dim``.

    ``ord`` may be 0 (the number of elements that are not 0) and ``inf`` or ``-inf`` (the largest or smallest ``|x|``).

    >>> import minicnn as mc
    >>> mc.linalg.vector_norm(mc.tensor([3.0, -4.0])), mc.linalg.vector_norm(mc.tensor([3.0, -4.0]), float("inf"))
    (tensor(5.), tensor(4.))

    Raises
    ------
    TypeError : for other than floating point. ValueError : a norm of nothing that has no smallest value (inf, negative).
    """
    input = _as_type(x, dtype, "vector_norm")
    if not isinstance(ord, (int, float)):
        raise TypeError(f"ord: expected a number, got {ord!r}")
    dims = normalize_dims(dim, input.ndim)
    if (ord < 0 or math.isinf(ord)) and _count(input.shape, dims) == 0:
        raise ValueError(f"ord: the norm {ord} of nothing is not defined, input has shape {tuple(input.shape)}")
    return VectorNorm.apply(input, p=float(ord), dims=dims, keepdim=keepdim)


def matrix_norm(
    A: Tensor,
    ord: Order = "fro",
    dim: tuple[int, int] = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """The norm of matrices in two dimensions: ``"fro"`` (of all elements), 1 or -1 (the largest or smallest sum of the sizes
    in a column), ``inf`` or ``-inf`` (in a row); of the singular values ``"nuc"`` is the sum, 2 the largest, -2 the least.

    >>> import minicnn as mc
    >>> mc.linalg.matrix_norm(mc.tensor([[1.0, -2.0], [3.0, 4.0]]), 1)
    tensor(6.)

    Raises
    ------
    ValueError : for other orders, fewer than two dimensions, and twice the same.
    """
    input = _as_type(A, dtype, "matrix_norm")
    if input.ndim < 2 or len(dim) != 2:
        raise ValueError(f"dim: matrix_norm needs two dimensions, got {dim} of a tensor of shape {tuple(input.shape)}")
    rows, columns = (normalize_dim(d, input.ndim) for d in dim)
    if rows == columns:
        raise ValueError(f"dim: expected two different dimensions, got {dim}")
    if ord == "fro":
        return vector_norm(input, 2, (rows, columns), keepdim)
    if ord in ("nuc", 2, -2):
        sizes = svdvals(movedim(input, (rows, columns), (-2, -1)))
        out = total(sizes, -1) if ord == "nuc" else (amax if ord == 2 else amin)(sizes, -1)
        return unsqueeze(unsqueeze(out, min(rows, columns)), max(rows, columns)) if keepdim else out
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"ord: expected 'fro', 'nuc', 2, -2, 1, -1, inf or -inf, got {ord!r}")
    along, across = (rows, columns) if math.fabs(ord) == 1 else (columns, rows)
    sums = total(absolute(input), along, True)
    out = (amax if ord > 0 else amin)(sums, across, True)
    return out if keepdim else reshape(out, tuple(n for d, n in enumerate(out.shape) if d not in (rows, columns)))


def linalg_norm(
    A: Tensor, ord: Order | None = None, dim: Dim = None, keepdim: bool = False, *, dtype: DType | None = None
) -> Tensor:
    """The norm of a vector (:func:`vector_norm`) or matrix (:func:`matrix_norm`): which, the number of dimensions says.

    Without ``ord``: the square root of the sum of squares of all elements, or over ``dim``.

    >>> import minicnn as mc
    >>> mc.linalg.norm(mc.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor(5.)

    Raises
    ------
    ValueError : more than two dimensions, with an ``ord`` and without ``dim``.
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    count = A.ndim if dim is None else len(dim) if isinstance(dim, (tuple, list)) else 1
    if count == 2:
        first = (0, 1) if dim is None else tuple(dim)  # type: ignore[arg-type]
        return matrix_norm(A, ord, first, keepdim, dtype=dtype)  # type: ignore[arg-type]
    if count != 1:
        raise ValueError(f"dim: with an ord one or two dimensions are needed, got {dim} of shape {tuple(A.shape)}")
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)  # type: ignore[arg-type]


def norm(
    input: Tensor,
    p: Order | None = "fro",
    dim: Dim = None,
    keepdim: bool = False,
    *,
    dtype: DType | None = None,
) -> Tensor:
    """The ``p``-norm of all elements, or over ``dim``. ``mc.linalg.norm`` is the newer function.

    ``p``: a number as in :func:`vector_norm`, ``"fro"``, which is 2, or, of matrices, ``"nuc"``: see :func:`matrix_norm`.

    >>> import minicnn as mc
    >>> mc.norm(mc.tensor([[3.0, 0.0], [0.0, 4.0]])), mc.norm(mc.tensor([3.0, -4.0]), 1)
    (tensor(5.), tensor(7.))

    Raises
    ------
    TypeError : for other than floating point.
    """
    if p == "nuc":
        if dim is None and input.ndim != 2:
            raise ValueError(f"input: the nuclear norm is one of matrices, got shape {tuple(input.shape)}")
        return matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)  # type: ignore[arg-type]
    if p == "fro":
        if dim is not None and isinstance(dim, (tuple, list)) and len(dim) > 2:
            raise ValueError(f"dim: the norm 'fro' takes one or two dimensions, got {dim}")
        p = 2
    if isinstance(p, str):
        raise ValueError(f"p: expected a number, 'fro' or 'nuc', got {p!r}")
    return vector_norm(input, 2 if p is None else p, dim, keepdim, dtype=dtype)


# ---- distances


def dist(input: Tensor, other: Tensor, p: int | float = 2) -> Tensor:
    """The ``p``-norm of ``input - other``, which broadcast.

    >>> import minicnn as mc
    >>> mc.dist(mc.tensor([1.0, 2.0]), mc.tensor([4.0, 6.0]))
    tensor(5.)
    """
    return norm(sub(input, other), p)


def cdist(x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "use_mm_for_euclid_dist_if_necessary") -> Tensor:
    """The ``p``-norm of the difference of each row of ``x1`` and each row of ``x2``; dimensions in front broadcast.

    Computed from the differences themselves, whatever ``compute_mode`` says.

    Parameters
    ----------
    x1 : (..., rows, m) floating point
    x2 : (..., others, m)

    Returns
    -------
    (..., rows, others)

    >>> import minicnn as mc
    >>> mc.cdist(mc.tensor([[0.0, 0.0]]), mc.tensor([[3.0, 4.0], [1.0, 0.0]]))
    tensor([[5., 1.]])

    Raises
    ------
    ValueError : fewer than two dimensions, rows of different lengths, a negative ``p``.
    """
    for name, x in (("x1", x1), ("x2", x2)):
        require_floating(x, name, "cdist")
        if x.ndim < 2:
            raise ValueError(f"{name}: cdist needs at least two dimensions, got shape {tuple(x.shape)}")
    if x1.shape[-1] != x2.shape[-1]:
        raise ValueError(f"x2: expected rows of {x1.shape[-1]} elements, as x1 has, got {x2.shape[-1]}")
    if p < 0:
        raise ValueError(f"p: expected a number that is not negative, got {p}")
    if compute_mode not in (
        "use_mm_for_euclid_dist_if_necessary",
        "use_mm_for_euclid_dist",
        "donot_use_mm_for_euclid_dist",
    ):
        raise ValueError(f"compute_mode: {compute_mode!r} is none of torch's")
    broadcast_shapes(tuple(x1.shape[:-2]), tuple(x2.shape[:-2]))
    difference = unsqueeze(x1, -2) - unsqueeze(x2, -3)  # (..., rows, 1, m) - (..., 1, others, m)
    if difference.shape[-1] == 0:
        return total(difference, -1)
    return VectorNorm.apply(difference, p=float(p), dims=(difference.ndim - 1,), keepdim=False)


def renorm(input: Tensor, p: int | float, dim: int, maxnorm: int | float) -> Tensor:
    """Each slice along ``dim`` whose ``p``-norm is larger than ``maxnorm`` scaled down to it.

    >>> import minicnn as mc
    >>> mc.renorm(mc.tensor([[3.0, 4.0], [0.5, 0.0]]), 2, 0, 1)
    tensor([[0.6000, 0.8000],
            [0.5000, 0.0000]])

    Raises
    ------
    ValueError : fewer than two dimensions, ``p`` not positive, ``maxnorm`` negative.
    """
    require_floating(input, "input", "renorm")
    if input.ndim < 2 or p <= 0 or maxnorm < 0:
        raise ValueError(
            f"renorm: expected two or more dimensions, p > 0 and maxnorm >= 0, got shape {tuple(input.shape)}, p = {p} and "
            f"maxnorm = {maxnorm}"
        )
    axis = normalize_dim(dim, input.ndim)
    sizes = vector_norm(input, p, tuple(d for d in range(input.ndim) if d != axis), True)
    return input * where(sizes > maxnorm, maxnorm / (sizes + 1e-7), 1.0)
