"""Products with names of their own: ``mm``, ``bmm``, ``dot``, ``outer``, ``addmm`` and its kin, ``cross``, ...

All are compositions of :func:`matmul` (``matmul.py``), views and sums. ``einsum`` is in ``einsum.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autograd import Tensor
from ..dtypes import bool_
from .elementwise import mul
from .masking import masked_fill
from .matmul import matmul
from .promotion import result_type
from .reduction import normalize_dim
from .reduction import sum as total
from .shape import expand, permute, reshape, squeeze, unsqueeze
from .views import broadcast_tensors, diagonal


def _require(what: str, **tensors: tuple[Tensor, int]) -> None:
    """Raise where an operand has another number of dimensions than it should."""
    for name, (x, ndim) in tensors.items():
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: {what} takes a Tensor, got {type(x).__name__}")
        if x.ndim != ndim:
            kind = ("a number", "a vector", "a matrix", "a batch of matrices")[ndim]
            raise ValueError(f"{name}: {what} takes {kind}, got shape {tuple(x.shape)}")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices.

    >>> import minicnn as mc
    >>> mc.mm(mc.tensor([[1.0, 2.0]]), mc.tensor([[3.0], [4.0]]))
    tensor([[11.]])

    Raises
    ------
    ValueError : for other than matrices, and sizes that do not fit. TypeError : for different types.
    """
    _require("mm", input=(input, 2), mat2=(mat2, 2))
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices, pair by pair.

    Raises
    ------
    ValueError : for other than batches of one size, and sizes that do not fit. TypeError : for different types.
    """
    _require("bmm", input=(input, 3), mat2=(mat2, 3))
    if input.shape[0] != mat2.shape[0]:
        raise ValueError(f"mat2: bmm needs batches of one size, got {input.shape[0]} and {mat2.shape[0]}")
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    _require("mv", input=(input, 2), vec=(vec, 1))
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors of one length.

    >>> import minicnn as mc
    >>> mc.dot(mc.tensor([1, 2]), mc.tensor([3, 4]))
    tensor(11)
    """
    _require("dot", input=(input, 1), tensor=(tensor, 1))
    return matmul(input, tensor)


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """:func:`dot`; numbers are real here, so nothing is conjugated."""
    _require("vdot", input=(input, 1), other=(other, 1))
    return matmul(input, other)


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products over the last dimension of both; a number multiplies.

    >>> import minicnn as mc
    >>> mc.inner(mc.tensor([[1.0, 2.0], [3.0, 4.0]]), mc.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if input.ndim == 0 or other.ndim == 0:
        return mul(input, other)
    if input.shape[-1] != other.shape[-1]:
        raise ValueError(f"other: expected a last size of {input.shape[-1]}, got shape {tuple(other.shape)}")
    return tensordot(input, other, ([-1], [-1]))


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of each element of one vector with each of another. Also ``ger``.

    >>> import minicnn as mc
    >>> mc.outer(mc.tensor([1, 2]), mc.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    _require("outer", input=(input, 1), vec2=(vec2, 1))
    return mul(unsqueeze(input, 1), vec2)


def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """:func:`outer` under its older name."""
    return outer(input, vec2)


# ---- a product added to something: beta input + alpha product


def _added(what: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    if input.dtype is not product.dtype:
        raise TypeError(f"input: {what} needs one type, got {input.dtype} and {product.dtype}")
    if product._array.dtype.kind != "f":  # torch cuts them off for whole numbers
        beta, alpha = int(beta), int(alpha)
    try:
        expanded = expand(input, tuple(product.shape))
    except ValueError as error:
        raise ValueError(f"input: {what} adds to a product of shape {tuple(product.shape)}: {error}") from None
    if beta == 0:  # not even its NaNs count
        expanded = masked_fill(expanded, Tensor(np.asarray(True)), 0)
    elif beta != 1:
        expanded = mul(expanded, beta)
    return expanded + (product if alpha == 1 else mul(product, alpha))


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: int | float = 1, alpha: int | float = 1) -> Tensor:
    """``beta * input + alpha * (mat1 @ mat2)``; ``input`` broadcasts, and is not looked at where ``beta`` is 0.

    >>> import minicnn as mc
    >>> mc.addmm(mc.tensor([1.0]), mc.tensor([[1.0, 2.0]]), mc.tensor([[3.0], [4.0]]), alpha=2)
    tensor([[23.]])
    """
    return _added("addmm", input, mm(mat1, mat2), beta, alpha)


def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: int | float = 1, alpha: int | float = 1) -> Tensor:
    """``beta * input + alpha * (mat @ vec)``."""
    return _added("addmv", input, mv(mat, vec), beta, alpha)


def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: int | float = 1, alpha: int | float = 1) -> Tensor:
    """``beta * input + alpha * bmm(batch1, batch2)``."""
    return _added("baddbmm", input, bmm(batch1, batch2), beta, alpha)


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: int | float = 1, alpha: int | float = 1) -> Tensor:
    """``beta * input + alpha * (the sum of all products of bmm(batch1, batch2))``: one product of longer matrices."""
    _require("addbmm", batch1=(batch1, 3), batch2=(batch2, 3))
    if batch1.shape[0] != batch2.shape[0] or batch1.shape[2] != batch2.shape[1]:
        raise ValueError(f"batch2: shape {tuple(batch2.shape)} does not fit batch1, {tuple(batch1.shape)}")
    return _added("addbmm", input, tensordot(batch1, batch2, ([0, 2], [0, 1])), beta, alpha)


def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: int | float = 1, alpha: int | float = 1) -> Tensor:
    """``beta * input + alpha * outer(vec1, vec2)``."""
    product = outer(vec1, vec2)
    if input.dtype is not product.dtype:
        dtype = result_type(input, product)
        input, product = input.to(dtype), product.to(dtype)
    if product.dtype is bool_:
        return (input & bool(beta)) | (product & bool(alpha))
    return _added("addr", input, product, beta, alpha)


# ---- over several dimensions


def tensordot(a: Tensor, b: Tensor, dims: int | Sequence[Sequence[int]] | Tensor = 2) -> Tensor:
    """The sums of products over dimensions of ``a`` and ``b``: the last ``dims`` of one and the first of the other, or those
    in two lists.

    >>> import minicnn as mc
    >>> mc.tensordot(mc.ones(2, 3, 4), mc.ones(4, 3, 5), dims=([1, 2], [1, 0])).shape
    minicnn.Size([2, 5])

    Raises
    ------
    ValueError : where the sizes differ, or the lists.
    """
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise ValueError(f"dims: expected a number that is not negative, got {dims}")
        if dims > min(a.ndim, b.ndim):
            raise ValueError(f"dims: expected at most {min(a.ndim, b.ndim)} dimensions, got {dims}")
        of_a, of_b = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        pair: Any = dims
        first, second = ((d,) if isinstance(d, int) else d for d in pair)
        of_a = [normalize_dim(d, a.ndim, "dims") for d in first]
        of_b = [normalize_dim(d, b.ndim, "dims") for d in second]
    if len(of_a) != len(of_b) or len(set(of_a)) != len(of_a) or len(set(of_b)) != len(of_b):
        raise ValueError(f"dims: expected as many dimensions of a as of b, each once, got {of_a} and {of_b}")
    # A size of 1 stands for any: what the other has there is added up first.
    for x, y in zip(of_a, of_b, strict=True):
        if a.shape[x] != b.shape[y]:
            if a.shape[x] == 1:
                b = total(b, y, True, dtype=b.dtype)
            elif b.shape[y] == 1:
                a = total(a, x, True, dtype=a.dtype)
            else:
                raise ValueError(
                    f"dims: dimension {x} of a has size {a.shape[x]}, dimension {y} of b {b.shape[y]}: they need to be equal"
                )
    free_a = [d for d in range(a.ndim) if d not in of_a]
    free_b = [d for d in range(b.ndim) if d not in of_b]
    shape = (*(a.shape[d] for d in free_a), *(b.shape[d] for d in free_b))
    k = math.prod(a.shape[d] for d in of_a)
    rows = reshape(permute(a, (*free_a, *of_a)), (math.prod(a.shape[d] for d in free_a), k))  # (rows, k)
    columns = reshape(permute(b, (*of_b, *free_b)), (k, math.prod(b.shape[d] for d in free_b)))  # (k, columns)
    return reshape(matmul(rows, columns), shape)


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of ``input`` times the whole of ``other``, in its place.

    >>> import minicnn as mc
    >>> mc.kron(mc.tensor([[1, 2]]), mc.tensor([[1, 1]]))
    tensor([[1, 1, 2, 2]])
    """
    n = max(input.ndim, other.ndim)
    left, right = ((1,) * (n - x.ndim) + tuple(x.shape) for x in (input, other))
    a = reshape(input, tuple(size for s in left for size in (s, 1)))  # (m0, 1, m1, 1, ...)
    b = reshape(other, tuple(size for s in right for size in (1, s)))  # (1, n0, 1, n1, ...)
    return reshape(mul(a, b), tuple(p * q for p, q in zip(left, right, strict=True)))


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    _require("trace", input=(input, 2))
    return total(diagonal(input))


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross product of vectors of three elements along ``dim`` (by default the first dimension of size 3).

    >>> import minicnn as mc
    >>> mc.cross(mc.tensor([1, 0, 0]), mc.tensor([0, 1, 0]), dim=0)
    tensor([0, 0, 1])

    Raises
    ------
    ValueError : where the size along ``dim`` is not 3, or the numbers of dimensions differ.
    """
    if input.ndim != other.ndim:
        raise ValueError(f"other: expected {input.ndim} dimensions, as input has, got shape {tuple(other.shape)}")
    a, b = broadcast_tensors(input, other)
    if dim is None:
        threes = [d for d, size in enumerate(a.shape) if size == 3]
        if not threes:
            raise ValueError(f"input: no dimension has size 3, got shape {tuple(a.shape)}")
        dim = threes[0]
    axis = normalize_dim(dim, a.ndim)
    if input.ndim == 0 or input.shape[axis] != 3 or other.shape[axis] != 3:
        raise ValueError(f"dim: the size along dim {dim} has to be 3, got shape {tuple(a.shape)}")
    places = [Tensor(np.array(p)) for p in ((1, 2, 0), (2, 0, 1))]
    (a1, a2), (b1, b2) = ([x[(*(slice(None),) * axis, p)] for p in places] for x in (a, b))
    return a1 * b2 - a2 * b1


def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of several matrices, in the order of brackets that takes the fewest multiplications.

    The first may be a vector (a row), the last too (a column).

    >>> import minicnn as mc
    >>> mc.linalg.multi_dot([mc.ones(2, 3), mc.ones(3, 4), mc.ones(4)])
    tensor([12., 12.])

    Raises
    ------
    ValueError : fewer than two tensors, and shapes that do not fit.
    """
    if len(tensors) < 2:
        raise ValueError(f"tensors: multi_dot needs at least two, got {len(tensors)}")
    first, *middle, last = tensors
    for i, x in enumerate(tensors):
        if x.ndim != 2 and not (x.ndim == 1 and i in (0, len(tensors) - 1)):
            raise ValueError(f"tensors[{i}]: expected a matrix, got shape {tuple(x.shape)}")
    row, column = first.ndim == 1, last.ndim == 1
    matrices = [unsqueeze(first, 0) if row else first, *middle, unsqueeze(last, 1) if column else last]
    sizes = [x.shape[0] for x in matrices] + [matrices[-1].shape[1]]
    # cost[i, j]: of the product of matrices i to j; split[i, j]: where the outermost brackets part it
    count = len(matrices)
    cost = {(i, i): 0 for i in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            cost[i, j], split[i, j] = min(
                (cost[i, s] + cost[s + 1, j] + sizes[i] * sizes[s + 1] * sizes[j + 1], s) for s in range(i, j)
            )

    def multiplied(i: int, j: int) -> Tensor:
        return matrices[i] if i == j else matmul(multiplied(i, split[i, j]), multiplied(split[i, j] + 1, j))

    out = multiplied(0, count - 1)
    out = squeeze(out, 1) if column else out
    return squeeze(out, 0) if row else out


def chain_matmul(*matrices: Tensor) -> Tensor:
    """:func:`multi_dot` of matrices given one by one."""
    tensors: Any = matrices[0] if len(matrices) == 1 and not isinstance(matrices[0], Tensor) else matrices
    if len(tensors) == 1:
        return tensors[0]
    for i, x in enumerate(tensors):
        _require("chain_matmul", **{f"matrices[{i}]": (x, 2)})
    return multi_dot(tensors)
