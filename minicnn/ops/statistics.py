"""Spread and rank: variance and standard deviation, quantiles, covariance.

``dim`` and ``keepdim`` are as in ``reduction.py``.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ..autograd import Op, Tensor
from .elementwise import lerp, where
from .indexing import TakeAlong
from .matmul import matmul
from .promotion import require_floating
from .reduction import Dim, _count, _spread, _total, mean, normalize_dim, normalize_dims
from .shape import flatten, reshape, squeeze, t, unsqueeze
from .sorting import sort
from .views import movedim


class Var(Op):
    # y = sum (x - mean)^2 / (m - correction),  dy/dx = 2 (x - mean) / (m - correction)
    @staticmethod
    def forward(ctx, x, *, dims, keepdim, correction):
        ctx.dims = dims
        count = _count(x.shape, dims)
        ctx.divisor = x.dtype.type(builtins.max(count - correction, 0))
        mean = _total(x, dims, True) / x.dtype.type(count)
        ctx.save(x, mean)
        return _total(np.square(x - mean), dims, keepdim) / ctx.divisor

    @staticmethod
    def backward(ctx, grad_out):
        x, mean = ctx.saved
        return _spread(grad_out * (2 / ctx.divisor), x.shape, ctx.dims) * (x - mean)


class Std(Op):
    # y = sqrt(var x),  dy/dx = (x - mean) / (y (m - correction)), and 0 where y = 0
    @staticmethod
    def forward(ctx, x, *, dims, keepdim, correction):
        var = Var.forward(ctx, x, dims=dims, keepdim=keepdim, correction=correction)
        x, mean = ctx._saved
        out = np.sqrt(var)
        ctx.save(x, mean, out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, mean, out = ctx.saved
        slope = np.where(out == 0, out, grad_out / (out * ctx.divisor))
        return _spread(slope, x.shape, ctx.dims) * (x - mean)


# ---- the public functions


def var(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | float | None = None,
) -> Tensor:
    """The variance over ``dim``: ``sum (x - mean)^2 / (m - correction)``.

    ``correction`` is 1 by default (Bessel's, the unbiased estimate); 0 gives the biased variance. ``unbiased`` is torch's
    older name for the same choice.

    >>> import minicnn as mc
    >>> x = mc.tensor([1.0, 2.0, 3.0, 4.0])
    >>> x.var(), x.var(correction=0)
    (tensor(1.6667), tensor(1.2500))
    """
    return _spread_of(Var, input, dim, unbiased, keepdim, correction)


def std(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | float | None = None,
) -> Tensor:
    """The standard deviation over ``dim``: the square root of :func:`var`, with the same arguments.

    The gradient is 0 where the standard deviation is.

    >>> import minicnn as mc
    >>> mc.tensor([1.0, 2.0, 3.0]).std()
    tensor(1.)
    """
    return _spread_of(Std, input, dim, unbiased, keepdim, correction)


def var_mean(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | float | None = None,
) -> tuple[Tensor, Tensor]:
    """:func:`var` and the mean together.

    >>> import minicnn as mc
    >>> mc.var_mean(mc.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    variance = var(input, dim, unbiased, keepdim, correction=correction)
    return variance, mean(input, None if isinstance(dim, bool) else dim, keepdim)


def std_mean(
    input: Tensor,
    dim: Dim | bool = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: int | float | None = None,
) -> tuple[Tensor, Tensor]:
    """:func:`std` and the mean together."""
    deviation = std(input, dim, unbiased, keepdim, correction=correction)
    return deviation, mean(input, None if isinstance(dim, bool) else dim, keepdim)


def _spread_of(
    op: type[Op],
    input: Tensor,
    dim: Dim | bool,
    unbiased: bool | None,
    keepdim: bool,
    correction: int | float | None,
) -> Tensor:
    name = op.__name__.lower()
    if isinstance(dim, bool):  # torch's var(unbiased)
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError(f"{name}: give correction or unbiased, not both")
    if correction is None:
        correction = 1 if unbiased in (None, True) else 0
    require_floating(input, "input", name)
    return op.apply(input, dims=normalize_dims(dim, input.ndim), keepdim=keepdim, correction=correction)


def quantile(
    input: Tensor,
    q: float | Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """The ``q``-quantiles, ``q`` from 0 to 1, of all elements or along ``dim``; a vector ``q`` becomes a first dimension.

    Between two elements ``interpolation`` is ``"linear"``, ``"lower"``, ``"higher"``, ``"midpoint"`` or ``"nearest"``. NaN
    where there is one.

    >>> import minicnn as mc
    >>> mc.quantile(mc.tensor([1.0, 2.0, 3.0, 4.0]), 0.25)
    tensor(1.7500)

    Raises
    ------
    TypeError : for other than floating point. ValueError : ``q`` outside [0, 1], an empty input, another interpolation.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


def nanquantile(
    input: Tensor,
    q: float | Tensor,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Tensor:
    """:func:`quantile` of what is not NaN."""
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(
    name: str, input: Tensor, q: float | Tensor, dim: int | None, keepdim: bool, interpolation: str
) -> Tensor:
    require_floating(input, "input", name)
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise ValueError(
            f"interpolation: expected 'linear', 'lower', 'higher', 'midpoint' or 'nearest', got {interpolation!r}"
        )
    fractions = q if isinstance(q, Tensor) else Tensor(np.asarray(q, input._array.dtype))
    if fractions.ndim > 1 or fractions.dtype is not input.dtype:
        raise ValueError(
            f"q: expected a number or a vector of {input.dtype}, got {fractions.dtype} of {fractions.ndim} dimensions"
        )
    if not ((fractions._array >= 0) & (fractions._array <= 1)).all():
        raise ValueError(f"q: expected numbers from 0 to 1, got {fractions._array.tolist()}")
    if input.numel() == 0:
        raise ValueError(f"input: {name} of nothing, of shape {tuple(input.shape)}")
    ndim = input.ndim
    axis = 0 if dim is None else normalize_dim(dim, ndim)
    x = flatten(input) if dim is None or ndim == 0 else movedim(input, axis, -1)  # (..., n)
    ordered = sort(x, -1).values
    # The rank of each quantile, a fraction of the way from one element to the next; of a row with NaN that of the NaN.
    nan = np.isnan(ordered._array)
    last = np.asarray(x.shape[-1] - 1 - nan.sum(-1, keepdims=True) * (name == "nanquantile"))  # (..., 1)
    ranks = reshape(fractions, (-1,)) * Tensor(np.maximum(last, 0).astype(x._array.dtype))  # (..., q)
    if name == "quantile":
        ranks = where(Tensor(nan.any(-1, keepdims=True)), Tensor(last.astype(x._array.dtype)), ranks)
    array = ranks._array
    if interpolation == "nearest":
        ranks = Tensor(np.round(array))
    elif interpolation == "lower":
        ranks = Tensor(np.floor(array))
    elif interpolation == "higher":
        ranks = Tensor(np.ceil(array))
    below = Tensor(np.floor(ranks._array).astype(np.int64))
    out = TakeAlong.apply(ordered, below, dim=x.ndim - 1)
    if interpolation in ("linear", "midpoint"):
        above = TakeAlong.apply(ordered, Tensor(np.ceil(ranks._array).astype(np.int64)), dim=x.ndim - 1)
        weight = Tensor(np.full(out.shape, 0.5, array.dtype)) if interpolation == "midpoint" else ranks - below
        out = lerp(out, above, weight)
    out = movedim(out, -1, 0) if fractions.ndim else out[..., 0]
    if keepdim:
        lead = tuple(fractions.shape)
        kept = (1,) * ndim if dim is None else tuple(1 if d == axis else n for d, n in enumerate(input.shape))
        out = reshape(out, (*lead, *kept))
    return out


def cov(
    input: Tensor, *, correction: int = 1, fweights: Tensor | None = None, aweights: Tensor | None = None
) -> Tensor:
    """The covariances of the rows of a matrix (variables), whose columns are observations.

    ``fweights`` says how often each observation counts (whole numbers), ``aweights`` how much.

    >>> import minicnn as mc
    >>> mc.cov(mc.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])

    Raises
    ------
    ValueError : more than two dimensions, and weights that do not fit. TypeError : weights of the wrong type.
    """
    if input.ndim > 2:
        raise ValueError(f"input: cov takes at most two dimensions, got shape {tuple(input.shape)}")
    if input._array.dtype == bool:
        raise TypeError("input: cov is not defined on bool tensors")
    x = unsqueeze(input, 0) if input.ndim == 1 else reshape(input, (1, 1)) if input.ndim == 0 else input
    n = x.shape[1]
    weights: Tensor | None = None
    for name, w, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "f")):
        if w is None:
            continue
        if w.ndim > 1 or w.numel() != n:
            raise ValueError(f"{name}: expected one for each of the {n} observations, got shape {tuple(w.shape)}")
        if w._array.dtype.kind not in kinds:
            raise TypeError(f"{name}: expected {'whole numbers' if kinds == 'iu' else 'floating point'}, got {w.dtype}")
        if n and w._array.min() < 0:
            raise ValueError(f"{name}: expected numbers that are not negative")
        weights = w if weights is None else weights * w
    if weights is None:
        total: Any = n
        centre = mean(x, 1, True) if x.is_floating_point() else x.sum(1, True) / n
        divisor: Any = builtins.max(n - correction, 0)
    else:
        total = weights.sum()
        if total.item() == 0:
            raise ValueError("weights: they add up to zero")
        centre = (x * weights).sum(1, True) / total
        spent = (weights * aweights).sum() / total if aweights is not None else 1
        divisor = total - correction * spent
        divisor = where(divisor < 0, 0, divisor) if isinstance(divisor, Tensor) else divisor
    centred = x - centre
    weighted = centred if weights is None else centred * weights
    out = matmul(weighted, t(centred)) / divisor
    return squeeze(out)


def corrcoef(input: Tensor) -> Tensor:
    """The correlations of the rows of a matrix: :func:`cov` divided by the standard deviations, within [-1, 1].

    >>> import minicnn as mc
    >>> mc.corrcoef(mc.tensor([[1.0, 2.0, 3.0], [6.0, 4.0, 2.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(input)
    if c.ndim == 0:
        return c / c
    deviations = c.diagonal().sqrt()
    return (c / unsqueeze(deviations, 1) / unsqueeze(deviations, 0)).clamp(-1, 1)
