"""A little linear algebra that layers need: systems of equations, and the exponential of a matrix."""

from __future__ import annotations

import math

import numpy as np

from ..autograd import Op, Tensor
from .creation import eye
from .matmul import matmul


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


def solve(a: Tensor, b: Tensor) -> Tensor:
    """X with ``a X = b``; a is (*, n, n), b (*, n, k), both of one floating-point type.

    >>> import minicnn as mc
    >>> solve(mc.tensor([[2.0, 0.0], [0.0, 4.0]]), mc.tensor([[2.0], [2.0]]))
    tensor([[1.0000],
            [0.5000]])
    """
    return Solve.apply(a, b)


def matrix_exp(a: Tensor) -> Tensor:
    """``I + A + A^2 / 2 + A^3 / 6 + ...`` of each matrix (*, n, n): the series of A / 2^s, small, then s squarings.

    (Moler & Van Loan 2003, method 3.)

    >>> import minicnn as mc
    >>> matrix_exp(mc.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    size = float(np.abs(a._array).sum(-1).max(initial=0.0))
    squarings = max(0, math.ceil(math.log2(size)) + 1) if 0 < size < math.inf else 0
    scaled = a / 2.0**squarings  # of norm 1/2 at most: 1 / 2^16 / 16! of the series is left out, 7e-19
    identity = eye(a.shape[-1], dtype=a.dtype)
    result = identity + scaled / 15
    for n in range(14, 0, -1):
        result = identity + matmul(scaled, result) / n
    for _ in range(squarings):
        result = matmul(result, result)
    return result
