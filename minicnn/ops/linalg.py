"""``mc.linalg``: norms and products under the names of ``torch.linalg``.

Most decompositions are not there; their names raise, and say what to use.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Tensor
from .creation import eye
from .masking import masked_fill
from .matmul import matmul
from .matrix_functions import inv, matrix_exp, solve, svdvals
from .norms import linalg_norm as norm
from .norms import matrix_norm, vector_norm
from .products import cross as _cross
from .products import multi_dot
from .shape import reshape, unsqueeze
from .views import diagonal as _diagonal

__all__ = [
    "cross",
    "diagonal",
    "inv",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "multi_dot",
    "norm",
    "solve",
    "svdvals",
    "vander",
    "vecdot",
    "vector_norm",
]


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross product of vectors of three elements along ``dim``, which broadcast.

    >>> import minicnn as mc
    >>> mc.linalg.cross(mc.tensor([1, 0, 0]), mc.tensor([0, 1, 0]))
    tensor([0, 0, 1])
    """
    return _cross(input, other, dim)


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """``mc.diagonal`` of the last two dimensions. A view."""
    return _diagonal(A, offset, dim1, dim2)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sum of products along ``dim``, of tensors that broadcast.

    >>> import minicnn as mc
    >>> mc.linalg.vecdot(mc.tensor([[1.0, 2.0], [3.0, 4.0]]), mc.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    return (x * y).sum(dim)


def matrix_power(A: Tensor, n: int) -> Tensor:
    """Square matrices multiplied with themselves ``n`` times; 0 gives the identity, a negative ``n`` takes the inverse.

    >>> import minicnn as mc
    >>> mc.linalg.matrix_power(mc.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])

    Raises
    ------
    ValueError : for other than square matrices.
    """
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise ValueError(f"A: expected square matrices, got shape {tuple(A.shape)}")
    if n < 0:
        A, n = inv(A), -n
    if n == 0:
        return masked_fill(A, Tensor(np.asarray(True)), 0) + eye(A.shape[-1], dtype=A.dtype)
    out, square = None, A
    while True:
        if n % 2:
            out = square if out is None else matmul(out, square)
        n //= 2
        if not n:
            return A + 0 if out is A else out  # type: ignore[return-value]
        square = matmul(square, square)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers ``1 x x^2 ...`` of each element, as a new last dimension of size ``N`` (by default the last size of ``x``).

    >>> import minicnn as mc
    >>> mc.linalg.vander(mc.tensor([2, 3]), N=3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    x = reshape(x, (1,)) if x.ndim == 0 else x
    n = x.shape[-1] if N is None else N
    if n <= 1:
        raise ValueError(f"N: expected more than 1, got {n}")
    x = x if x.is_floating_point() else x.long()
    return unsqueeze(x, -1) ** Tensor(np.arange(n).astype(x._array.dtype))


def _not_here(name: str) -> Any:
    def refuse(*args: Any, **options: Any) -> Any:
        raise NotImplementedError(f"linalg.{name}: not there; use numpy.linalg on tensor.detach().numpy()")

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = f"Raises: ``{name}`` is not there; ``numpy.linalg`` works on ``tensor.detach().numpy()``."
    return refuse


_NOT_HERE = """
    cholesky cond det eig eigh eigvals eigvalsh lstsq lu lu_factor lu_solve matrix_rank pinv qr slogdet
    solve_triangular svd tensorinv tensorsolve
"""
for _name in _NOT_HERE.split():
    globals()[_name] = _not_here(_name)
