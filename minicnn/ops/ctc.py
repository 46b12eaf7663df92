"""Connectionist temporal classification: the loss of a sequence whose labels' places are not known.

(Graves, Fernandez, Gomez and Schmidhuber 2006.) The recursions are in ``minicnn_kernels/reference/ctc.py``, then
``cpu/ctc.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import backend_of

from ..autograd import Op, Tensor
from .elementwise import clamp_min
from .loss_reduction import reduced, reduction_of
from .promotion import require_floating


class CTCLoss(Op):
    # log_probs (steps, n, c) -> losses (n,); with zero_infinity those of targets that do not fit are 0, with their gradients
    @staticmethod
    def forward(ctx, log_probs, *, targets, input_lengths, target_lengths, blank, zero_infinity):
        ctx.kernels, ctx.blank, ctx.zero_infinity = backend_of(log_probs), blank, zero_infinity
        losses, alphas = ctx.kernels.ctc_loss_forward(log_probs, targets, input_lengths, target_lengths, blank)
        ctx.save(log_probs, targets, input_lengths, target_lengths, losses, alphas)
        return (np.where(np.isinf(losses), 0, losses) if zero_infinity else losses).astype(log_probs.dtype)

    @staticmethod
    def backward(ctx, grad_out):
        losses = ctx.saved[4]
        grad = ctx.kernels.ctc_loss_backward(grad_out, *ctx.saved, ctx.blank)
        if ctx.zero_infinity:
            grad[:, np.isinf(losses)] = 0
        return grad


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """``-ln`` of the probability that the sequence's steps, with repeats merged and blanks left out, say the target.

    Parameters
    ----------
    log_probs : (steps, n, C) or (steps, C) floating point: log-probabilities (from ``log_softmax``) of the classes
    targets : int64: (n, longest), padded; or all labels in one row, (sum of the lengths,)
    input_lengths, target_lengths : (n,) or (), how many steps and labels of each sequence count
    blank : the class that says nothing
    reduction : ``"mean"`` (each loss divided by its target's length, then averaged), ``"sum"`` or ``"none"``
    zero_infinity : count targets that do not fit into their sequence, whose loss is infinite, as 0

    The gradient is that of the logits under the log-softmax, as in torch: for log-probabilities that do not come from one
    it is not the derivative.

    >>> import minicnn as mc
    >>> log_probs = mc.full((2, 1, 2), 0.5).log()
    >>> mc.nn.functional.ctc_loss(log_probs, mc.tensor([[1]]), mc.tensor([2]), mc.tensor([1]))  # 3 paths of 4: -ln 0.75
    tensor(0.2877)

    Raises
    ------
    ValueError : shapes, lengths or labels that do not fit, an unknown reduction. TypeError : other types.
    """
    reduction = reduction_of(None, None, reduction)
    require_floating(log_probs, "log_probs", "ctc_loss")
    if log_probs.ndim not in (2, 3):
        raise ValueError(f"log_probs: ctc_loss needs (steps, n, C) or (steps, C), got shape {tuple(log_probs.shape)}")
    single = log_probs.ndim == 2
    if single:
        log_probs = log_probs.unsqueeze(1)
    steps, n, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise ValueError(f"blank: ctc_loss needs one of the {classes} classes, got {blank}")
    if not n:
        raise ValueError("log_probs: ctc_loss needs at least one sequence")
    lengths = [
        _lengths(name, v, n) for name, v in (("input_lengths", input_lengths), ("target_lengths", target_lengths))
    ]
    if lengths[0].size and lengths[0].max() > steps:
        raise ValueError(
            f"input_lengths: ctc_loss needs at most the {steps} steps of log_probs, got {lengths[0].max()}"
        )
    labels = _padded(targets, lengths[1], n, single)
    inside = np.arange(labels.shape[1]) < lengths[1][:, None]
    if (inside & ((labels < 0) | (labels >= classes))).any():
        raise ValueError(f"targets: ctc_loss needs labels of 0 to {classes - 1}")
    losses = CTCLoss.apply(
        log_probs, targets=np.where(inside, labels, 0), input_lengths=lengths[0], target_lengths=lengths[1],
        blank=int(blank), zero_infinity=bool(zero_infinity),
    )  # fmt: skip
    if reduction == "mean":
        return (losses / clamp_min(Tensor(lengths[1]).to(losses.dtype), 1)).mean()
    return losses.squeeze(0) if single and reduction == "none" else reduced(losses, reduction)


def _lengths(name: str, value: Any, n: int) -> np.ndarray:
    """(n,) int64."""
    array = value._array if isinstance(value, Tensor) else np.asarray(value)
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name}: ctc_loss needs whole numbers, got {array.dtype}")
    array = np.atleast_1d(array).astype(np.int64)
    if array.shape != (n,):
        raise ValueError(f"{name}: ctc_loss needs one for each of the {n} sequences, got shape {array.shape}")
    if (array < 0).any():
        raise ValueError(f"{name}: a length is not negative, got {array.min()}")
    return array


def _padded(targets: Tensor, lengths: np.ndarray, n: int, single: bool) -> np.ndarray:
    """Labels in one row, or padded already -> (n, longest)."""
    if not isinstance(targets, Tensor) or targets._array.dtype.kind not in "iu":
        got = targets.dtype if isinstance(targets, Tensor) else type(targets).__name__
        raise TypeError(f"targets: ctc_loss needs a tensor of whole numbers, got {got}")
    labels = targets._array.astype(np.int64)
    if labels.ndim == 2:
        if len(labels) != n or (lengths.max(initial=0) > labels.shape[1]):
            raise ValueError(
                f"targets: ctc_loss needs {n} rows of at least {lengths.max(initial=0)} labels, got shape {labels.shape}"
            )
        return labels
    if labels.ndim != 1 or labels.size != lengths.sum():
        raise ValueError(
            f"targets: ctc_loss needs (n, longest), or all {lengths.sum()} labels in one row, got shape {labels.shape}"
        )
    padded = np.zeros((n, lengths.max(initial=0)), np.int64)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = labels
    return padded
