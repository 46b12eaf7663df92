"""Maps from any matrix to an orthogonal one, for ``parametrizations.orthogonal``.

From the lower triangle of X, (n, k) with n >= k; a wide matrix is transposed before and after:

* 'matrix_exp':  Q = exp(A) of the skew-symmetric A = L - L^T
* 'cayley':      Q = (I - A / 2)^-1 (I + A / 2)
* 'householder': Q = H_1 ... H_k diag(signs), the product of the reflections ``H_i = I - tau_i v_i v_i^T`` whose vectors
  are the columns below the diagonal, with 1 on it, and ``tau_i = 2 / |v_i|^2``
"""

from __future__ import annotations

import numpy as np

from minicnn.autograd import Tensor
from minicnn.nn.module import Module
from minicnn.ops import cat, eye, matmul, randn
from minicnn.ops.matrix_functions import matrix_exp, solve

MAPS = ("matrix_exp", "cayley", "householder")


class Orthogonal(Module):
    """The parametrization; see the top of the file."""

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if orthogonal_map not in MAPS:
            raise ValueError(
                f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
            )
        self.shape = tuple(weight.shape)
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def _get_name(self) -> str:
        return "_Orthogonal"  # as torch prints it

    def forward(self, X: Tensor) -> Tensor:
        transposed = X.shape[-2] < X.shape[-1]
        X = X.mT if transposed else X
        n, k = X.shape[-2:]
        if self.orthogonal_map == "householder":
            Q = _householder(X)
        else:
            lower = X.tril()
            if n != k:
                lower = cat([lower, X.new_zeros(*X.shape[:-1], n - k)], -1)  # (n, k) -> (n, n)
            A = lower - lower.mT
            if self.orthogonal_map == "matrix_exp":
                Q = matrix_exp(A)
            else:
                identity = eye(n, dtype=X.dtype)
                Q = solve(identity - A * 0.5, identity + A * 0.5)
            Q = Q[..., :k]
        if self.use_trivialization:
            assert self.base is not None
            Q = matmul(self.base, Q)
        return Q.mT if transposed else Q

    def right_inverse(self, Q: Tensor) -> Tensor:
        """An X that ``forward`` maps to Q, made orthogonal if it is not; with a base, the base is set and X is -I."""
        if tuple(Q.shape) != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got {tuple(Q.shape)}.")
        transposed = Q.shape[-2] < Q.shape[-1]
        tall = np.ascontiguousarray(Q.mT._array if transposed else Q._array)
        n, k = tall.shape[-2:]
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            factors = _reflections(tall)
            return Tensor(np.ascontiguousarray(factors.swapaxes(-1, -2)) if transposed else factors)
        if n != k:
            more = randn(*tall.shape[:-1], n - k, dtype=Q.dtype)._array
            base = _made_orthogonal(np.concatenate([tall, more], axis=-1))
        else:
            base = tall.copy() if _is_orthogonal(tall) else _made_orthogonal(tall)
        self.base = Tensor(base)
        # Every map takes -I to I: skew-symmetric parts vanish, and reflections at the axes times signs cancel.
        return Tensor(np.broadcast_to(-np.eye(*Q.shape[-2:], dtype=base.dtype), self.shape).copy())


def _householder(X: Tensor) -> Tensor:
    """(*, n, k) -> (*, n, k), the first columns of the product of the reflections, from the last to the first."""
    n, k = X.shape[-2:]
    identity = eye(n, k, dtype=X.dtype)
    vectors = X.tril(-1) + identity  # the diagonal does not count but by its signs
    tau = 2.0 / (vectors * vectors).sum(-2)  # (*, n, k) -> (*, k)
    signs = X.detach().diagonal(dim1=-2, dim2=-1).to(X.dtype).trunc()
    Q = identity.expand(tuple(X.shape))
    for i in reversed(range(k)):
        v = vectors[..., :, i : i + 1]  # (*, n, 1)
        Q = Q - v * (tau[..., i : i + 1].unsqueeze(-1) * matmul(v.mT, Q))
    return Q * signs.unsqueeze(-2)


def _made_orthogonal(matrices: np.ndarray) -> np.ndarray:
    """The orthogonal factor of the QR decomposition whose R has a positive diagonal."""
    q, r = np.linalg.qr(matrices)
    return q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]


def _is_orthogonal(matrices: np.ndarray) -> bool:
    k = matrices.shape[-1]
    product = matrices.swapaxes(-1, -2) @ matrices
    eps = 10 * k * np.finfo(matrices.dtype).eps
    return bool(np.allclose(product, np.eye(k, dtype=matrices.dtype), atol=eps))


def _reflections(matrices: np.ndarray) -> np.ndarray:
    """(*, n, k) -> the X whose reflections make up the orthogonal matrix, as LAPACK's geqrf finds them."""
    raw, tau = np.linalg.qr(matrices, mode="raw")
    factors = np.ascontiguousarray(raw.swapaxes(-1, -2))  # (*, k, n) -> (*, n, k)
    k = matrices.shape[-1]
    at = np.arange(k)
    signs = np.sign(factors[..., at, at])
    factors[..., at, at] = np.where(
        tau == 0, -signs, signs
    )  # tau of 0 is no reflection at all, where ours is at an axis
    return factors
