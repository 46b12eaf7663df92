"""Lengths and distances of vectors: p-norms, normalising by them, pairwise distances, cosines.

    |x|_p = (sum |x_i|^p)^(1/p)        d|x|_p / dx_i = sign(x_i) (|x_i| / |x|_p)^(p-1), and 0 where |x|_p is 0

For p = infinity the norm is the largest |x_i|, and equal ones share the gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import Op, Tensor, no_grad
from .elementwise import clamp_min
from .promotion import promote, require_floating
from .reduction import _total, normalize_dim


class PNorm(Op):
    # x -> its p-norms along an axis
    @staticmethod
    def forward(ctx, x, *, p, axis, keepdim):
        ctx.p, ctx.axis, ctx.keepdim = p, axis, keepdim
        size = np.abs(x)
        if math.isinf(p):
            empty: dict[str, Any] = {"initial": 0} if p > 0 else {}
            out = (np.max if p > 0 else np.min)(size, axis=axis, keepdims=keepdim, **empty)
        elif p == 0:
            out = np.count_nonzero(x, axis=axis, keepdims=keepdim)
        elif p == 2:
            out = np.sqrt(_total(x * x, (axis,), keepdim))
        else:
            out = _total(size if p == 1 else size**p, (axis,), keepdim)
            out = out if p == 1 else out ** (1 / p)
        out = np.asarray(out, x.dtype)
        ctx.save(x, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, out = ctx.saved
        p, dtype = ctx.p, x.dtype
        if not ctx.keepdim:
            grad_out, out = np.expand_dims(grad_out, ctx.axis), np.expand_dims(out, ctx.axis)
        if p == 0:
            return np.zeros_like(x)
        if p == 1:
            return np.sign(x) * grad_out
        if p == 2:
            return x * np.where(out == 0, dtype.type(0), grad_out / out)
        if math.isinf(p):
            winners = np.abs(x) == out
            share = winners / winners.sum(axis=ctx.axis, keepdims=True, dtype=dtype)
            return (np.sign(x) * share * grad_out).astype(dtype, copy=False)
        power = np.where(x == 0, dtype.type(0), np.sign(x) * np.abs(x) ** (p - 1))
        return power * np.where(out == 0, dtype.type(0), grad_out * out ** (1 - p))


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
    return input / clamp_min(PNorm.apply(input, p=float(p), axis=axis, keepdim=True), eps)


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
    return PNorm.apply(difference, p=float(p), axis=difference.ndim - 1, keepdim=keepdim)


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
        norm = PNorm.apply(x, p=2.0, axis=axis, keepdim=True).clone()
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
        out = PNorm.forward(ctx, x[i] - x[j], p=p, axis=1, keepdim=False)
        _, out = ctx._saved
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
