"""Losses of classes: cross entropy and negative log likelihood. (Others: ``loss_regression.py``, ``loss_binary.py``,
``loss_margin.py``, ``ctc.py``.)

Cross entropy of logits x (n, C) with target distributions q (n, C):

    loss_n = - sum_c q[n, c] log_softmax(x)[n, c]        dL/dx[n] = softmax(x)[n] sum_c q[n, c] - q[n]

A class index is the distribution with all its weight on one class; label smoothing mixes in 1/C of every class; class
weights multiply q. So one rule serves all three, and the gradient never divides by a probability.
"""

from __future__ import annotations

import numpy as np

from ..autograd import Op, Tensor
from .loss_reduction import reduction_of
from .promotion import require_floating, require_same_dtype
from .softmax import log_softmax, log_softmax_array


class WeightedNLL(Op):
    """loss = -(q * log_p) summed over classes, divided by ``divisor`` (mean) or not, from logits or log-probabilities.

    x, q (n, C), losses (n,) or one number.
    """

    @staticmethod
    def forward(ctx, x, *, q, reduction, divisor, logits):
        log_p = log_softmax_array(x, 1) if logits else x
        ctx.save(q, log_p if logits else None)
        ctx.scale = 1 / divisor if reduction == "mean" else x.dtype.type(1)
        # 0 * -inf would be NaN where a class without weight has probability 0.
        losses = -np.where(q == 0, 0, q * log_p).sum(axis=1)  # (n, C) -> (n,)
        return losses if reduction == "none" else losses.sum() * ctx.scale

    @staticmethod
    def backward(ctx, grad_out):
        q, log_p = ctx.saved
        grad = -q if log_p is None else np.exp(log_p) * q.sum(axis=1, keepdims=True) - q
        grad_rows = grad_out[:, None] if grad_out.ndim else grad_out  # (n,) -> (n, 1)
        # Where every target was ignored the mean is 0 / 0, but nothing depends on the input: its gradient is 0.
        scale = ctx.scale if np.isfinite(ctx.scale) else 0
        return grad * (grad_rows * grad.dtype.type(scale))


class CrossEntropy(Op):
    """The commonest case, in half as many passes: class indices, all of weight 1 and none left out; the mean or the sum.

    x (n, C), labels (n,) -> one number.   loss_n = ln sum_c e^x[n, c] - x[n, label],   dL/dx = softmax(x) - 1 at the label
    """

    @staticmethod
    def forward(ctx, x, *, labels, mean):
        shifted = x - x.max(axis=1, keepdims=True)
        p = np.exp(shifted)
        total = p.sum(axis=1, keepdims=True)
        p /= total
        ctx.at = np.arange(labels.size), labels.copy()  # (somebody may write the next batch's over them)
        ctx.scale = x.dtype.type(1 / labels.size if mean else 1)
        ctx.save(p)
        return (np.log(total[:, 0]) - shifted[ctx.at]).sum() * ctx.scale

    @staticmethod
    def backward(ctx, grad_out):
        (p,) = ctx.saved
        grad = p.copy()
        grad[ctx.at] -= 1
        grad *= grad_out * ctx.scale
        return grad


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """How surprised the predicted distribution is by the target.

    Parameters
    ----------
    input : (n, C), (C,) or (n, C, d1, ...) floating point: logits, before any softmax
    target : class indices, int64, of the input's shape without the class dimension; or probabilities, of the input's
        shape and type
    weight : (C,) a weight for each class, or None
    ignore_index : a class index that marks targets to leave out
    reduction : ``"mean"`` (over targets, weighted by their class weight), ``"sum"`` or ``"none"``
    label_smoothing : 0..1, the share of the uniform distribution mixed into the target

    Returns
    -------
    one number, or for ``"none"`` the losses in the shape of the class indices

    >>> import minicnn as mc
    >>> logits = mc.tensor([[2.0, 0.0], [0.0, 2.0]])
    >>> mc.nn.functional.cross_entropy(logits, mc.tensor([0, 1]))
    tensor(0.1269)

    Raises
    ------
    ValueError : shapes that do not fit, a label outside the classes (named, with its place), an unknown reduction.
    TypeError : targets that are neither whole numbers nor of the input's type.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    require_same_dtype("cross_entropy", input=input, weight=weight)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing: expected 0 to 1, got {label_smoothing}")
    rows, target_rows, shape = _as_rows(input, target, "cross_entropy")
    if target_rows._array.dtype.kind == "f":
        return _soft_cross_entropy(rows, target_rows, shape, weight, reduction, label_smoothing)
    if weight is None and label_smoothing == 0 and reduction != "none" and _all_count(rows, target_rows, ignore_index):
        return CrossEntropy.apply(rows, labels=target_rows._array, mean=reduction == "mean")
    q, divisor = _class_weights(rows, target_rows, weight, ignore_index, label_smoothing)
    out = WeightedNLL.apply(rows, q=q, reduction=reduction, divisor=divisor, logits=True)
    return out.reshape(shape) if reduction == "none" else out


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log likelihood: :func:`cross_entropy` for an input that is log-probabilities already.

    >>> import minicnn as mc
    >>> log_p = mc.log_softmax(mc.tensor([[2.0, 0.0], [0.0, 2.0]]), dim=1)
    >>> mc.nn.functional.nll_loss(log_p, mc.tensor([0, 1]))
    tensor(0.1269)

    Raises
    ------
    ValueError, TypeError : as :func:`cross_entropy`; targets are class indices only.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    require_same_dtype("nll_loss", input=input, weight=weight)
    rows, target_rows, shape = _as_rows(input, target, "nll_loss")
    if target_rows._array.dtype.kind == "f":
        raise TypeError(f"target: nll_loss takes class indices (int64), got {target.dtype}")
    q, divisor = _class_weights(rows, target_rows, weight, ignore_index, 0.0)
    out = WeightedNLL.apply(rows, q=q, reduction=reduction, divisor=divisor, logits=False)
    return out.reshape(shape) if reduction == "none" else out


def _as_rows(input: Tensor, target: Tensor, what: str) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """Classes last and everything else in one dimension: input (n, C), target (n,) or (n, C), and the losses' shape."""
    require_floating(input, "input", what)
    if not isinstance(target, Tensor):
        raise TypeError(f"target: {what} needs a Tensor, got {type(target).__name__}")
    if input.ndim == 0:
        raise ValueError(f"input: {what} needs classes, (C,) or (n, C, ...), got a single number")
    soft = target._array.dtype.kind == "f"
    if not soft and target._array.dtype.kind != "i" and target._array.dtype != np.uint8:
        raise TypeError(f"target: {what} needs class indices (int64) or probabilities, got {target.dtype}")
    shape = tuple(input.shape)
    losses_shape = shape[:1] + shape[2:] if input.ndim > 1 else ()
    expected = shape if soft else losses_shape
    if tuple(target.shape) != expected:
        kind = "probabilities of the input's shape" if soft else "one class index for each row"
        raise ValueError(
            f"target: {what} with input of shape {shape} needs {kind}, {expected}, got {tuple(target.shape)}"
        )
    if input.ndim == 1:
        return input.unsqueeze(0), target.reshape(1, -1) if soft else target.reshape(1), losses_shape
    if input.ndim == 2:
        return input, target, losses_shape
    c = shape[1]
    rows = _classes_last(input).reshape(-1, c)  # (n, C, d1, ...) -> (n d1 ..., C)
    if soft:
        return rows, _classes_last(target).reshape(-1, c), losses_shape
    return rows, target.reshape(-1), losses_shape


def _all_count(rows: Tensor, target: Tensor, ignore_index: int) -> bool:
    """Whether every label is a class, and none is to be left out."""
    labels, c = target._array, rows._array.shape[1]
    if labels.size == 0 or labels.min() < 0 or labels.max() >= c:
        return False
    return not 0 <= ignore_index < c or not (labels == ignore_index).any()


def _classes_last(x: Tensor) -> Tensor:
    return x.permute(0, *range(2, x.ndim), 1)


def _class_weights(
    rows: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, smoothing: float
) -> tuple[np.ndarray, np.floating]:
    """Class indices as weighted distributions q (n, C), and what their mean divides by."""
    n, c = rows._array.shape
    labels = target._array
    ignored = labels == ignore_index
    wrong = ~ignored & ((labels < 0) | (labels >= c))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"target: label {labels[at]} (at position {at}) is outside the {c} classes, 0 to {c - 1}")
    dtype = rows._array.dtype
    w = np.ones(c, dtype) if weight is None else weight._array
    if w.shape != (c,):
        raise ValueError(f"weight: expected one for each of the {c} classes, shape ({c},), got {w.shape}")
    safe = np.where(ignored, 0, labels)
    q = np.broadcast_to(w * dtype.type(smoothing / c), (n, c)).copy()
    q[np.arange(n), safe] += w[safe] * dtype.type(1 - smoothing)
    q[ignored] = 0
    return q, np.where(ignored, dtype.type(0), w[safe]).sum()


def _soft_cross_entropy(
    rows: Tensor, target: Tensor, shape: tuple[int, ...], weight: Tensor | None, reduction: str, smoothing: float
) -> Tensor:
    """Probabilities as targets, made of differentiable pieces: they may want a gradient too."""
    require_same_dtype("cross_entropy", input=rows, target=target)
    c = rows.shape[1]
    q = target if smoothing == 0 else target * (1 - smoothing) + smoothing / c
    log_p = log_softmax(rows, 1)
    losses = -(q * log_p if weight is None else q * log_p * weight).sum(1)
    if reduction == "none":
        return losses.reshape(shape)
    return losses.sum() if reduction == "sum" else losses.sum() / rows.shape[0]
