"""Losses of numbers against numbers: squared, absolute and Huber's errors, and the likelihoods of distributions.

All are made of differentiable functions, so a target may want a gradient too; only Huber's has a rule of its own.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from ..autograd import Tensor, no_grad
from .activation import FormulaActivation
from .elementwise import abs, exp, log, square, where, xlogy
from .loss_reduction import REDUCTIONS, reduced, reduction_of, warn_of_broadcasting
from .promotion import promote, require_floating


class Huber(FormulaActivation):
    # y = s d^2 / 2 where |d| < b, s b (|d| - b / 2) elsewhere,  dy/dd = s min(max(d, -b), b)
    @staticmethod
    def function(d, b, s):
        size = np.abs(d)
        return np.where(size < b, (0.5 * s) * d * d, (s * b) * (size - 0.5 * b))

    @staticmethod
    def slope(d, b, s):
        return s * np.clip(d, -b, b)


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``(input - target)^2``, averaged, summed, or element by element.

    With a ``weight`` of the input's shape the squares are multiplied by it, and the mean divides by its sum.

    >>> import minicnn as mc
    >>> mc.nn.functional.mse_loss(mc.tensor([1.0, 3.0]), mc.tensor([0.0, 0.0]))
    tensor(5.)

    Warns
    -----
    UserWarning : where the shapes differ and broadcast, which is seldom meant.

    Raises
    ------
    ValueError : a weight of another shape, an unknown reduction. TypeError : whole numbers.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    squares = square(_difference("mse_loss", input, target, floating=True))
    return _weighted("mse_loss", squares, input, weight, reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``|input - target|``, averaged, summed, or element by element; the derivative at 0 is 0.

    With a ``weight`` of the input's shape the errors are multiplied by it, and the mean divides by its sum.

    >>> import minicnn as mc
    >>> mc.nn.functional.l1_loss(mc.tensor([1.0, 3.0]), mc.tensor([0.0, 0.0]))
    tensor(2.)

    Raises
    ------
    ValueError : a weight of another shape, an unknown reduction. It warns as :func:`mse_loss`.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    return _weighted("l1_loss", abs(_difference("l1_loss", input, target)), input, weight, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """``d^2 / (2 beta)`` where ``|d| < beta``, ``|d| - beta / 2`` elsewhere; ``d = input - target`` (Girshick 2015).

    >>> import minicnn as mc
    >>> mc.nn.functional.smooth_l1_loss(mc.tensor([1.0, 3.0]), mc.tensor([0.0, 0.0]), reduction="none")
    tensor([0.5000, 2.5000])

    Raises
    ------
    ValueError : a negative ``beta``, an unknown reduction. TypeError : whole numbers. It warns as :func:`mse_loss`.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if beta < 0:
        raise ValueError(f"beta: smooth_l1_loss needs a number that is not negative, got {beta}")
    d = _difference("smooth_l1_loss", input, target, floating=beta != 0)
    return reduced(Huber.apply(d, numbers=(float(beta), 1 / beta)) if beta else abs(d), reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """``d^2 / 2`` where ``|d| <= delta``, ``delta (|d| - delta / 2)`` elsewhere; ``d = input - target`` (Huber 1964).

    With a ``weight`` of the input's shape the losses are multiplied by it; the mean still divides by their number.

    >>> import minicnn as mc
    >>> mc.nn.functional.huber_loss(mc.tensor([1.0, 3.0]), mc.tensor([0.0, 0.0]), reduction="none", delta=2.0)
    tensor([0.5000, 4.0000])

    Raises
    ------
    ValueError : a ``delta`` that is not positive, a weight of another shape, an unknown reduction. TypeError : whole
        numbers. It warns as :func:`mse_loss`.
    """
    reduction = reduction_of(None, None, reduction)
    if delta <= 0:
        raise ValueError(f"delta: huber_loss needs a positive number, got {delta}")
    losses = Huber.apply(_difference("huber_loss", input, target, floating=True), numbers=(float(delta), 1.0))
    if weight is not None:
        _require_weight_of_shape("huber_loss", input, weight)
        losses = losses * weight
    return reduced(losses, reduction)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """The Kullback-Leibler divergence of *log*-probabilities ``input`` from probabilities ``target``.

    ``target (ln target - input)``, 0 where the target is; with ``log_target`` the target is logarithms too.

    Parameters
    ----------
    reduction : ``"batchmean"`` (the sum, divided by the size of the first dimension: the divergence as it is defined),
        ``"mean"`` (over all elements, with a warning), ``"sum"`` or ``"none"``

    >>> import minicnn as mc
    >>> mc.nn.functional.kl_div(mc.tensor([[0.25, 0.75]]).log(), mc.tensor([[0.5, 0.5]]), reduction="batchmean")
    tensor(0.1438)

    Raises
    ------
    ValueError : an unknown reduction.
    """
    if size_average is None and reduce is None and reduction == "mean":
        warnings.warn(
            "reduction: kl_div's 'mean' divides by the number of all elements; 'batchmean', by the size of the batch, "
            "is the divergence as it is defined",
            UserWarning,
            stacklevel=2,
        )
    reduction = reduction_of(size_average, reduce, reduction, (*REDUCTIONS, "batchmean"))
    losses = exp(target) * (target - input) if log_target else xlogy(target, target) - target * input
    if reduction == "batchmean":
        return losses.sum() / input.shape[0] if input.ndim else losses.sum()
    return reduced(losses, reduction)


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The negative log likelihood of counts ``target`` under Poisson distributions.

    ``e^x - t x`` for ``x = input``, the logarithm of the rate; without ``log_input``, ``x - t ln(x + eps)`` of the rate
    itself. ``full`` adds Stirling's ``t ln t - t + ln(2 pi t) / 2`` for ``ln t!`` where ``t > 1``.

    >>> import minicnn as mc
    >>> mc.nn.functional.poisson_nll_loss(mc.tensor([0.0]), mc.tensor([2.0]))
    tensor(1.)

    Raises
    ------
    ValueError : an unknown reduction.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        stirling = target * log(target) - target + 0.5 * log(2 * math.pi * target)
        losses = losses + where(target <= 1, 0.0, stirling)
    return reduced(losses, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """The negative log likelihood of ``target`` under normal distributions: ``(ln var + (input - target)^2 / var) / 2``.

    Parameters
    ----------
    input, target : means and samples
    var : the variances: of the input's shape, or with a last dimension less, or with one dimension of size 1, or a number.
        Below ``eps`` they count as ``eps``, but the gradient does not know it.
    full : add ``ln(2 pi) / 2``

    >>> import minicnn as mc
    >>> mc.nn.functional.gaussian_nll_loss(mc.tensor([1.0]), mc.tensor([3.0]), mc.tensor([1.0]))
    tensor(2.)

    Raises
    ------
    ValueError : negative variances, or of another shape; an unknown reduction.
    """
    reduction = reduction_of(None, None, reduction)
    if isinstance(var, Tensor):
        negative = bool((var._array < 0).any())
    else:
        negative, var = var < 0, Tensor(np.full(input.shape, var, input._array.dtype))
    if negative:
        raise ValueError("var: a variance is not negative")
    if var.shape != input.shape:
        if tuple(input.shape[:-1]) == tuple(var.shape):
            var = var.unsqueeze(-1)
        elif input.ndim != var.ndim or [v for i, v in zip(input.shape, var.shape, strict=True) if i != v] != [1]:
            raise ValueError(
                f"var: gaussian_nll_loss needs the input's shape {tuple(input.shape)}, or with one dimension of size 1, "
                f"got {tuple(var.shape)}"
            )
    var = var.clone()
    with no_grad():
        var.clamp_(min=eps)
    losses = 0.5 * (log(var) + (input - target) ** 2 / var)
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return reduced(losses, reduction)


def _difference(what: str, input: Tensor, target: Tensor, floating: bool = False) -> Tensor:
    """``input - target`` in their common type, with a warning where they broadcast."""
    for name, x in (("input", input), ("target", target)):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: {what} needs a Tensor, got {type(x).__name__}")
    warn_of_broadcasting(what, input, target)
    a, b = promote(input, target)
    if floating:
        require_floating(a, "input", what)
    return a - b


def _require_weight_of_shape(what: str, input: Tensor, weight: Tensor) -> None:
    if weight.shape != input.shape:
        raise ValueError(
            f"weight: {what} needs a weight of the input's shape {tuple(input.shape)}, got {tuple(weight.shape)}"
        )


def _weighted(what: str, losses: Tensor, input: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    if weight is None:
        return reduced(losses, reduction)
    _require_weight_of_shape(what, input, weight)
    losses = losses * weight
    return losses.sum() / weight.sum() if reduction == "mean" else reduced(losses, reduction)
