"""Vectors compared: normalising them, the distances of pairs, cosines. The norms themselves are in ``norms.py``."""

from __future__ import annotations

import math

import numpy as np

from ..autograd import Op, Tensor, no_grad
from .elementwise import clamp_min
from .norms import VectorNorm
from .promotion import promote, require_floating
from .reduction import normalize_dim


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``input`` divided by its p-norm along ``dim`` (by ``eps``, where the norm is smaller).

    >>> import minicnn as mc
    >>> mc.nn.functional.normalize(mc.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])

    Raises
    ------
    TypeError : whole numbers. IndexError : a dimension that is not there.
    """
    require_floating(input, "input", "normalize")
    axis = normalize_dim(dim, input.ndim)
    if input.ndim == 0:
        return normalize(input.reshape(1), p, 0, eps).reshape(())
    return input / clamp_min(VectorNorm.apply(input, p=float(p), dims=(axis,), keepdim=True), eps)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last dimension.

    Parameters
    ----------
    x1, x2 : (rows, features), (features,) or shapes that broadcast
    eps : keeps the gradient finite where both are equal
    keepdim : leave the last dimension in, with size 1

    >>> import minicnn as mc
    >>> mc.nn.functional.pairwise_distance(mc.tensor([[0.0, 0.0]]), mc.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    difference = x1 - x2 + eps  # (of whole numbers: floating point from here on)
    return VectorNorm.apply(difference, p=float(p), dims=(difference.ndim - 1,), keepdim=keepdim)


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x1 . x2 / (|x1| |x2|)`` along ``dim``; norms below ``eps`` count as ``eps``.

    >>> import minicnn as mc
    >>> mc.nn.functional.cosine_similarity(mc.tensor([[3.0, 4.0]]), mc.tensor([[4.0, 3.0]]))
    tensor([0.9600])

    Raises
    ------
    TypeError : whole numbers. IndexError : a dimension that is not there. ValueError : shapes that do not broadcast.
    """
    a, b = promote(x1, x2)
    require_floating(a, "x1", "cosine_similarity")
    shape = np.broadcast_shapes(tuple(a.shape), tuple(b.shape))
    axis = normalize_dim(dim, len(shape))
    if not shape:
        return cosine_similarity(a.reshape(1), b.reshape(1), 0, eps)
    directions = []
    for x in (a.expand(shape), b.expand(shape)):
        norm = VectorNorm.apply(x, p=2.0, dims=(axis,), keepdim=True).clone()
        with no_grad():  # as in torch, the gradient does not know of the limit
            norm.clamp_(min=eps)
        directions.append(x / norm)
    return (directions[0] * directions[1]).sum(axis)


class PairDistances(Op):
    # x (rows, features) -> the p-norms of x[i] - x[j] for i < j, (pairs,); several largest ones all get the gradient
    @staticmethod
    def forward(ctx, x, *, p):
        ctx.p = p
        i, j = np.triu_indices(len(x), 1)
        out = VectorNorm.forward(ctx, x[i] - x[j], p=p, dims=(1,), keepdim=False)
        ctx.save(x, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, out = ctx.saved
        i, j = np.triu_indices(len(x), 1)
        d = x[i] - x[j]
        if math.isinf(ctx.p):
            grad = np.sign(d) * (np.abs(d) == out[:, None]) * grad_out[:, None]
        else:
            power = np.where(d == 0, x.dtype.type(0), np.sign(d) * np.abs(d) ** (ctx.p - 1))
            grad = power * np.where(out == 0, x.dtype.type(0), grad_out * out ** (1 - ctx.p))[:, None]
        grad_x = np.zeros_like(x)
        np.add.at(grad_x, i, grad if ctx.p else 0)
        np.subtract.at(grad_x, j, grad if ctx.p else 0)
        return grad_x


def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The distances between all pairs of rows: the p-norms of ``input[i] - input[j]`` for ``i < j``, in that order.

    >>> import minicnn as mc
    >>> mc.nn.functional.pdist(mc.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])

    Raises
    ------
    ValueError : an input that is not a matrix, a negative ``p``. TypeError : whole numbers.
    """
    require_floating(input, "input", "pdist")
    if input.ndim != 2:
        raise ValueError(f"input: pdist needs a matrix (rows, features), got shape {tuple(input.shape)}")
    if p < 0:
        raise ValueError(f"p: pdist needs a number that is not negative, got {p}")
    return PairDistances.apply(input, p=float(p))
