"""Functions of whole matrices: systems of equations, inverses, singular values, the exponential."""

from __future__ import annotations

import math

import numpy as np

from ..autograd import Op, Tensor
from .creation import eye
from .matmul import matmul
from .promotion import require_floating, require_same_dtype
from .shape import squeeze, transpose, unsqueeze


class Solve(Op):
    # X = A^-1 B;  dL/dB = A^-T G,  dL/dA = -(A^-T G) X^T
    @staticmethod
    def forward(ctx, a, b):
        out = np.linalg.solve(a, b)
        ctx.save(a, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        a, out = ctx.saved
        grad_b = np.linalg.solve(a.swapaxes(-1, -2), grad_out)
        return -(grad_b @ out.swapaxes(-1, -2)), grad_b


class SingularValues(Op):
    # A = U diag(s) V^T;  dL/dA = U diag(g) V^T
    @staticmethod
    def forward(ctx, a):
        if not ctx.needs_input_grad[0]:
            return np.linalg.svd(a, compute_uv=False)
        u, s, vt = np.linalg.svd(a, full_matrices=False)
        ctx.save(u, vt)
        return s

    @staticmethod
    def backward(ctx, grad_out):
        u, vt = ctx.saved
        return (u * grad_out[..., None, :]) @ vt


def _square(a: Tensor, what: str) -> None:
    require_floating(a, "A", what)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ValueError(f"A: {what} takes square matrices, got shape {tuple(a.shape)}")


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with ``A X = B`` (with ``left=False``: ``X A = B``); A is (*, n, n), B (*, n, k) or a vector (n,).

    >>> import minicnn as mc
    >>> mc.linalg.solve(mc.tensor([[2.0, 0.0], [0.0, 4.0]]), mc.tensor([[2.0], [2.0]]))
    tensor([[1.0000],
            [0.5000]])

    Raises
    ------
    ValueError : shapes that do not fit, and matrices that have no inverse. TypeError : for different types.
    """
    _square(A, "solve")
    require_same_dtype("solve", A=A, B=B)
    if not left:
        return transpose(solve(transpose(A, -2, -1), transpose(B, -2, -1)), -2, -1)
    vector = B.ndim == 1 or (B.ndim + 1 == A.ndim and tuple(B.shape) == tuple(A.shape[:-1]))
    b = unsqueeze(B, -1) if vector else B
    if b.shape[-2] != A.shape[-1]:
        raise ValueError(f"B: solve needs {A.shape[-1]} rows, as A has, got shape {tuple(B.shape)}")
    out = Solve.apply(A, b)
    return squeeze(out, -1) if vector else out


def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices: ``solve(A, I)``. (To multiply with one, :func:`solve` is better.)

    >>> import minicnn as mc
    >>> mc.linalg.inv(mc.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])

    Raises
    ------
    ValueError : for other than square matrices, and those that have no inverse.
    """
    _square(A, "inv")
    return Solve.apply(A, eye(A.shape[-1], dtype=A.dtype))


def svdvals(A: Tensor) -> Tensor:
    """The singular values of matrices (*, m, n), the largest first.

    >>> import minicnn as mc
    >>> mc.linalg.svdvals(mc.tensor([[3.0, 0.0], [0.0, -4.0]]))
    tensor([4., 3.])

    Raises
    ------
    ValueError : for fewer than two dimensions.
    """
    require_floating(A, "A", "svdvals")
    if A.ndim < 2:
        raise ValueError(f"A: svdvals takes matrices, got shape {tuple(A.shape)}")
    return SingularValues.apply(A)


def matrix_exp(A: Tensor) -> Tensor:
    """``I + A + A^2 / 2 + A^3 / 6 + ...`` of each matrix (*, n, n): the series of A / 2^s, small, then s squarings.

    (Moler & Van Loan 2003, method 3.)

    >>> import minicnn as mc
    >>> mc.linalg.matrix_exp(mc.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    _square(A, "matrix_exp")
    size = float(np.abs(A._array).sum(-1).max(initial=0.0))
    squarings = max(0, math.ceil(math.log2(size)) + 1) if 0 < size < math.inf else 0
    scaled = A / 2.0**squarings  # of norm 1/2 at most: 1 / 2^16 / 16! of the series is left out, 7e-19
    identity = eye(A.shape[-1], dtype=A.dtype)
    result = identity + scaled / 15
    for n in range(14, 0, -1):
        result = identity + matmul(scaled, result) / n
    for _ in range(squarings):
        result = matmul(result, result)
    return result
