"""Losses of margins: the right answer should beat the wrong ones by a margin.

Made of differentiable functions throughout; where a margin is met exactly, torch's choice of gradient is kept: ``relu`` has
0 there, ``clamp_min`` lets it pass.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..autograd import Tensor
from .activation import relu
from .distance import pairwise_distance
from .elementwise import clamp_min, minimum, sqrt, where
from .gathering import gather
from .loss_reduction import reduced, reduction_of
from .promotion import require_floating, require_same_dtype


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(margin - t (x1 - x2), 0)``: where ``t`` is 1 the first should rank higher, where it is -1 the second.

    >>> import minicnn as mc
    >>> mc.nn.functional.margin_ranking_loss(mc.tensor([1.0]), mc.tensor([3.0]), mc.tensor([1.0]))
    tensor(2.)

    Raises
    ------
    ValueError : tensors of different numbers of dimensions, an unknown reduction.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise ValueError(
            "target: margin_ranking_loss needs tensors of as many dimensions, got shapes "
            f"{tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(target.shape)}"
        )
    return reduced(clamp_min(-target * (input1 - input2) + margin, 0), reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(d(a, p) - d(a, n) + margin, 0)`` with :func:`pairwise_distance` for ``d``.

    (Balntas, Riba et al. 2016; with ``swap``, ``d(p, n)`` takes the place of ``d(a, n)`` where it is smaller.)

    >>> import minicnn as mc
    >>> a, p, n = mc.tensor([[0.0]]), mc.tensor([[2.0]]), mc.tensor([[1.5]])
    >>> mc.nn.functional.triplet_margin_loss(a, p, n)
    tensor(1.5000)

    Raises
    ------
    ValueError : a margin that is not positive, tensors of different numbers of dimensions, an unknown reduction.
    """
    reduction = reduction_of(size_average, reduce, reduction)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)

    return _triplet("triplet_margin_loss", anchor, positive, negative, distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """:func:`triplet_margin_loss` with a distance of your own, :func:`pairwise_distance` by default.

    Raises
    ------
    ValueError : as :func:`triplet_margin_loss`.
    """
    reduction = reduction_of(None, None, reduction)
    distance = pairwise_distance if distance_function is None else distance_function
    what = "triplet_margin_with_distance_loss"
    return _triplet(what, anchor, positive, negative, distance, margin, swap, reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``1 - cos`` for alike pairs of vectors (target 1), ``max(cos - margin, 0)`` for others (target -1).

    Parameters
    ----------
    input1, input2 : (rows, features) and target (rows,), or (features,) and target ()

    >>> import minicnn as mc
    >>> x1, x2 = mc.tensor([[3.0, 4.0], [3.0, 4.0]]), mc.tensor([[4.0, 3.0], [4.0, 3.0]])
    >>> mc.nn.functional.cosine_embedding_loss(x1, x2, mc.tensor([1, -1]), margin=0.5, reduction="none")
    tensor([0.0400, 0.4600])

    Raises
    ------
    ValueError : tensors of other shapes, an unknown reduction.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if target.ndim > 1 or not input1.ndim == input2.ndim == target.ndim + 1:
        raise ValueError(
            "target: cosine_embedding_loss needs vectors (features,) with a target (), or matrices (rows, features) with "
            f"(rows,), got shapes {tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(target.shape)}"
        )
    axis = target.ndim
    tiny = 1e-12
    length1, length2 = ((x * x).sum(axis) + tiny for x in (input1, input2))
    cosine = (input1 * input2).sum(axis) / sqrt(length1 * length2)
    alike = where(target == 1, 1 - cosine, 0.0)
    return reduced(alike + where(target == -1, clamp_min(cosine - margin, 0), 0.0), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``sum over i of max(margin - x[t] + x[i], 0)^p / C`` without ``i = t``: the hinge of classes.

    Parameters
    ----------
    input : (n, C) or (C,) floating point, scores
    target : (n,) or (), class indices, int64
    p : 1 or 2
    weight : (C,), a factor for the examples of each class, or None

    >>> import minicnn as mc
    >>> mc.nn.functional.multi_margin_loss(mc.tensor([0.0, 0.5, 2.0]), mc.tensor(1))  # (0.5 + 2.5) / 3
    tensor(1.)

    Raises
    ------
    ValueError : another ``p``, shapes that do not fit, an unknown reduction. IndexError : a label outside the classes.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    if p not in (1, 2):
        raise ValueError(f"p: multi_margin_loss has 1 and 2, got {p}")
    require_same_dtype("multi_margin_loss", input=input, weight=weight)
    if not input.ndim:
        input = input.reshape(1)
    if input.ndim > 2 or not input.shape[-1] or (input.ndim == 1 and target.numel() != 1):
        raise ValueError(
            f"input: multi_margin_loss needs (n, C) or (C,), and one target a row, got {tuple(input.shape)} and "
            f"{tuple(target.shape)}"
        )
    if input.ndim == 2 and tuple(target.shape) != (input.shape[0],):
        raise ValueError(f"target: expected one class index for each of the rows of {tuple(input.shape)}, got "
                         f"{tuple(target.shape)}")  # fmt: skip
    classes = input.shape[-1]
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ValueError(f"weight: expected one for each of the {classes} classes, got {tuple(weight.shape)}")
    rows = input.reshape(-1, classes)
    labels = target.reshape(-1, 1)
    _require_labels("multi_margin_loss", target._array, classes)
    losses = relu(margin - gather(rows, 1, labels) + rows)  # (n, C)
    if p == 2:
        losses = losses * losses
    if weight is not None:
        losses = losses * weight[labels.reshape(-1)].unsqueeze(1)
    others = np.arange(classes) != labels._array  # (n, C)
    losses = where(Tensor(others), losses, 0.0).sum(1) / classes
    return reduced(losses.reshape(tuple(target.shape)) if input.ndim == 2 else losses.reshape(()), reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``sum over t in the labels, i not among them, of max(1 - x[t] + x[i], 0) / C``.

    Parameters
    ----------
    input : (n, C) or (C,) floating point, scores
    target : of the input's shape, int64: the labels of each row first, then -1 (what comes behind it does not count)

    >>> import minicnn as mc
    >>> scores = mc.tensor([0.0, 0.5, 2.0])
    >>> mc.nn.functional.multilabel_margin_loss(scores, mc.tensor([2, 1, -1]))  # (0 + 0.5) / 3
    tensor(0.1667)

    Raises
    ------
    ValueError : shapes that do not fit, an unknown reduction. IndexError : a label outside the classes.
    """
    reduction = reduction_of(size_average, reduce, reduction)
    require_floating(input, "input", "multilabel_margin_loss")
    if tuple(target.shape) != tuple(input.shape) or input.ndim > 2 or (input.ndim and not input.shape[-1]):
        raise ValueError(
            f"target: multilabel_margin_loss needs (n, C) or (C,), as the input, got {tuple(target.shape)} for "
            f"{tuple(input.shape)}"
        )
    classes = input.shape[-1] if input.ndim else 1
    rows, labels = input.reshape(-1, classes), target._array.reshape(-1, classes)
    counts = np.cumprod(labels >= 0, axis=1).astype(bool)  # (n, C): the labels in front of the first -1
    labels = np.where(counts, labels, 0)
    _require_labels("multilabel_margin_loss", labels, classes)
    named = np.zeros((len(labels), classes + 1), bool)
    np.put_along_axis(named, np.where(counts, labels, classes), True, axis=1)
    pairs = counts[:, :, None] & ~named[:, None, :classes]  # (n, C, C): label t, other class i
    scores = gather(rows, 1, Tensor(labels))
    hinges = relu(1 - scores.unsqueeze(2) + rows.unsqueeze(1))  # (n, C, C)
    losses = where(Tensor(pairs), hinges, 0.0).sum((1, 2)) / classes
    return reduced(losses if input.ndim == 2 else losses.reshape(()), reduction)


def _triplet(
    what: str,
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    if margin <= 0:
        raise ValueError(f"margin: {what} needs a positive number, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ValueError(
            f"negative: {what} needs tensors of as many dimensions, got shapes {tuple(anchor.shape)}, "
            f"{tuple(positive.shape)} and {tuple(negative.shape)}"
        )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(clamp_min(margin + near - far, 0), reduction)


def _require_labels(what: str, labels: np.ndarray, classes: int) -> None:
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise IndexError(f"target: {what} needs labels of 0 to {classes - 1}, got {labels.min()} to {labels.max()}")
