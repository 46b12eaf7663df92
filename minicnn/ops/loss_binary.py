"""Losses of yes or no: binary cross entropy, of probabilities and of logits, and the soft and hinge margins."""

from __future__ import annotations

import numpy as np

from ..autograd import Op, Tensor
from .activation_smooth import logsigmoid
from .elementwise import clamp_min, where
from .loss_reduction import reduced, reduction_of, require_same_shape
from .promotion import require_same_dtype


class BinaryCrossEntropy(Op):
    # y = -(t ln x + (1 - t) ln(1 - x)), logarithms not below -100;  dy/dx = (x - t) / (x (1 - x)), the divisor not below
    # 1e-12;  dy/dt = ln(1 - x) - ln x
    @staticmethod
    def forward(ctx, x, target):
        ctx.save(x, target)
        return -(target * np.maximum(np.log(x), -100) + (1 - target) * np.maximum(np.log1p(-x), -100))

    @staticmethod
    def backward(ctx, grad_out):
        x, target = ctx.saved
        grad_x = grad_target = None
        if ctx.needs_input_grad[0]:
            grad_x = grad_out * (x - target) / np.maximum(x * (1 - x), x.dtype.type(1e-12))
        if ctx.needs_input_grad[1]:
            grad_target = grad_out * (np.log1p(-x) - np.log(x))
        return grad_x, grad_target


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-(t ln x + (1 - t) ln(1 - x))`` for probabilities ``x = input`` and targets ``t`` of 0..1.

    The logarithms are not below -100, so that the loss stays finite. Better digits come from the logits:
    :func:`binary_cross_entropy_with_logits`.

    Parameters
    ----------
    input : floating point in 0..1, any shape
    target : of the input's shape and type
    weight : a factor for each loss; broadcasts

    >>> import minicnn as mc
    >>> mc.nn.functional.binary_cross_entropy(mc.tensor([0.5]), mc.tensor([1.0]))
    tensor(0.6931)

    Raises
    ------
    ValueError : a target of another shape, an unknown reduction. RuntimeError : an input outside 0..1. TypeError : whole
        numbers, and tensors of different types.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    require_same_shape("binary_cross_entropy", input, target)
    require_same_dtype("binary_cross_entropy", input=input, target=target, weight=weight)
    array = input._array
    if array.size and not (array.min() >= 0 and array.max() <= 1):
        raise RuntimeError(
            f"input: binary_cross_entropy needs probabilities, in 0..1, got {array.min()} to {array.max()}; for logits "
            "there is binary_cross_entropy_with_logits"
        )
    losses = BinaryCrossEntropy.apply(input, target)
    return reduced(losses if weight is None else losses * weight, reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """:func:`binary_cross_entropy` of ``sigmoid(input)``, without overflow or loss of digits.

    ``(1 - t) x - (1 + (p - 1) t) ln sigmoid(x)``

    Parameters
    ----------
    input : logits, floating point, any shape
    target : of the input's shape, in 0..1
    weight : a factor for each loss; broadcasts
    pos_weight : a factor ``p`` for the loss of positive targets; broadcasts, so (c,) is one for each class of (n, c)

    >>> import minicnn as mc
    >>> mc.nn.functional.binary_cross_entropy_with_logits(mc.tensor([0.0]), mc.tensor([1.0]))
    tensor(0.6931)

    Raises
    ------
    ValueError : a target of another shape, an unknown reduction.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    require_same_shape("binary_cross_entropy_with_logits", input, target)
    log_likelihood = logsigmoid(input)
    if pos_weight is not None:
        log_likelihood = (1 + (pos_weight - 1) * target) * log_likelihood
    losses = (1 - target) * input - log_likelihood
    return reduced(losses if weight is None else losses * weight, reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """:func:`binary_cross_entropy_with_logits`, averaged over the classes (the last dimension) of each example.

    >>> import minicnn as mc
    >>> mc.nn.functional.multilabel_soft_margin_loss(mc.zeros(1, 2), mc.tensor([[1.0, 0.0]]))
    tensor(0.6931)

    Raises
    ------
    ValueError : an unknown reduction.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    losses = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    if weight is not None:
        losses = losses * weight
    return reduced(losses.sum(-1) / input.shape[-1], reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``ln(1 + e^(-t x))`` for scores ``x = input`` and targets ``t`` of 1 and -1.

    >>> import minicnn as mc
    >>> mc.nn.functional.soft_margin_loss(mc.tensor([0.0]), mc.tensor([-1.0]))
    tensor(0.6931)

    Raises
    ------
    ValueError : an unknown reduction.
    """
    return reduced(-logsigmoid(target * input), reduction_of(size_average, reduce, reduction))


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Distances ``x = input`` of pairs: ``x`` for alike ones (target 1), ``max(margin - x, 0)`` for others (target -1).

    >>> import minicnn as mc
    >>> mc.nn.functional.hinge_embedding_loss(mc.tensor([0.25, 0.25]), mc.tensor([1, -1]), reduction="none")
    tensor([0.2500, 0.7500])

    Raises
    ------
    ValueError : an unknown reduction.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    apart = where(target == 1, 0.0, clamp_min(margin - input, 0))
    return reduced(apart + where(target == -1, 0.0, input), reduction)
