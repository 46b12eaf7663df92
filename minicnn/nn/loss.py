"""Losses as layers. Formulas, shapes and references are with the functions, in ``minicnn/ops``: ``loss.py`` and its
neighbours ``loss_regression.py``, ``loss_binary.py``, ``loss_margin.py`` and ``ctc.py``.

All take ``reduction``: ``'mean'``, ``'sum'``, or ``'none'`` for each loss of its own. ``size_average`` and ``reduce`` are
PyTorch's deprecated forms of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.distance import PairwiseDistance
from minicnn.nn.module import Module
from minicnn.ops.loss_reduction import REDUCTIONS, reduction_of


class _Loss(Module):
    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        allowed: Sequence[str] = REDUCTIONS,
    ) -> None:
        super().__init__()
        self.reduction = reduction_of(size_average, reduce, reduction, allowed)


class _WeightedLoss(_Loss):
    """A loss with a buffer called ``weight``, or None."""

    weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)


class CrossEntropyLoss(_WeightedLoss):
    """Cross entropy between logits and classes: ``-log softmax(input)[target]``, averaged.

    Parameters
    ----------
    weight : (c,) floating point, a factor for each class, also in the mean's denominator.
    size_average, reduce : PyTorch's deprecated forms of ``reduction``.
    ignore_index : targets of this value do not count.
    reduction : ``'mean'``, ``'sum'``, or ``'none'`` for a loss per target.
    label_smoothing : mixes this share of a uniform distribution into the targets (Szegedy et al. 2016,
        https://arxiv.org/abs/1512.00567, section 7).

    ``input`` is (n, c) or (n, c, *) logits, ``target`` (n) or (n, *) int64 in 0 ... c - 1.

    >>> import minicnn as mc
    >>> criterion = mc.nn.CrossEntropyLoss()
    >>> criterion(mc.zeros(2, 4), mc.tensor([0, 3]))  # log 4
    tensor(1.3863)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits ``input`` for classes ``target``."""
        return F.cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """Negative log likelihood: ``-input[target]``, averaged, for an ``input`` of log-probabilities (``LogSoftmax``).

    The arguments are those of ``CrossEntropyLoss``.

    >>> import minicnn as mc
    >>> mc.nn.NLLLoss()(mc.tensor([[-0.5, -1.0]]), mc.tensor([1]))
    tensor(1.)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        ignore_index: int = -100,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities ``input`` for classes ``target``."""
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class MSELoss(_Loss):
    """Mean squared error: ``(input - target)^2``, averaged over all elements.

    >>> import minicnn as mc
    >>> mc.nn.MSELoss()(mc.tensor([1.0, 2.0]), mc.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of ``input`` for ``target``."""
        return F.mse_loss(input, target, reduction=self.reduction)


class L1Loss(_Loss):
    """:func:`~minicnn.nn.functional.l1_loss` as a layer: ``|input - target|``, averaged.

    >>> import minicnn as mc
    >>> mc.nn.L1Loss()(mc.tensor([1.0, 2.0]), mc.tensor([1.0, 4.0]))
    tensor(1.)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of ``input`` for ``target``."""
        return F.l1_loss(input, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """:func:`~minicnn.nn.functional.smooth_l1_loss` as a layer: squares below ``beta``, absolute errors above."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        beta: float = 1.0,
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.beta = beta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of ``input`` for ``target``."""
        return F.smooth_l1_loss(input, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """:func:`~minicnn.nn.functional.huber_loss` as a layer: squares below ``delta``, ``delta`` times errors above."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        self.delta = delta

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of ``input`` for ``target``."""
        return F.huber_loss(input, target, reduction=self.reduction, delta=self.delta)


class KLDivLoss(_Loss):
    """:func:`~minicnn.nn.functional.kl_div` as a layer; ``reduction='batchmean'`` is the divergence as it is defined."""

    def __init__(
        self,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        log_target: bool = False,
    ) -> None:
        super().__init__(size_average, reduce, reduction, (*REDUCTIONS, "batchmean"))
        self.log_target = log_target

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The divergence of log-probabilities ``input`` from ``target``."""
        return F.kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class PoissonNLLLoss(_Loss):
    """:func:`~minicnn.nn.functional.poisson_nll_loss` as a layer."""

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        size_average: bool | None = None,
        eps: float = 1e-8,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, log_input: Tensor, target: Tensor) -> Tensor:
        """The loss of (logarithms of) rates for counts ``target``."""
        return F.poisson_nll_loss(
            log_input, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """:func:`~minicnn.nn.functional.gaussian_nll_loss` as a layer."""

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full = full
        self.eps = eps

    def forward(self, input: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        """The loss of means ``input`` and variances ``var`` for ``target``."""
        return F.gaussian_nll_loss(input, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class BCELoss(_WeightedLoss):
    """:func:`~minicnn.nn.functional.binary_cross_entropy` as a layer: takes probabilities (after ``Sigmoid``).

    >>> import minicnn as mc
    >>> mc.nn.BCELoss()(mc.tensor([0.5]), mc.tensor([1.0]))
    tensor(0.6931)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of probabilities ``input`` for ``target``."""
        return F.binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """:func:`~minicnn.nn.functional.binary_cross_entropy_with_logits` as a layer: takes logits, before any ``Sigmoid``.

    Parameters
    ----------
    weight : a factor for each loss; broadcasts.
    pos_weight : a factor for positive targets; (c,) is one for each class of (n, c).

    >>> import minicnn as mc
    >>> mc.nn.BCEWithLogitsLoss()(mc.tensor([0.0]), mc.tensor([1.0]))
    tensor(0.6931)
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        self.register_buffer("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits ``input`` for ``target``."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """:func:`~minicnn.nn.functional.multilabel_soft_margin_loss` as a layer."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of logits ``input`` for ``target``, 0 or 1 for each class."""
        return F.multilabel_soft_margin_loss(input, target, weight=self.weight, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """:func:`~minicnn.nn.functional.soft_margin_loss` as a layer."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores ``input`` for ``target``, 1 or -1."""
        return F.soft_margin_loss(input, target, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    """:func:`~minicnn.nn.functional.hinge_embedding_loss` as a layer."""

    def __init__(
        self,
        margin: float = 1.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of distances ``input`` for ``target``, 1 or -1."""
        return F.hinge_embedding_loss(input, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(HingeEmbeddingLoss):
    """:func:`~minicnn.nn.functional.cosine_embedding_loss` as a layer."""

    def __init__(
        self,
        margin: float = 0.0,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(margin, size_average, reduce, reduction)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        """The loss of pairs of vectors for ``target``, 1 (alike) or -1."""
        return F.cosine_embedding_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MarginRankingLoss(CosineEmbeddingLoss):
    """:func:`~minicnn.nn.functional.margin_ranking_loss` as a layer."""

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:  # type: ignore[override]
        """The loss of two scores for ``target``: 1 where the first should be larger, else -1."""
        return F.margin_ranking_loss(input1, input2, target, margin=self.margin, reduction=self.reduction)


class MultiLabelMarginLoss(_Loss):
    """:func:`~minicnn.nn.functional.multilabel_margin_loss` as a layer."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores ``input`` for the labels ``target``, ended by -1."""
        return F.multilabel_margin_loss(input, target, reduction=self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """:func:`~minicnn.nn.functional.multi_margin_loss` as a layer."""

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, size_average, reduce, reduction)
        if p not in (1, 2):
            raise ValueError(f"p: MultiMarginLoss has 1 and 2, got {p}")
        if weight is not None and weight.ndim != 1:
            raise ValueError(f"weight: MultiMarginLoss needs one for each class, (c,), got {tuple(weight.shape)}")
        self.p = p
        self.margin = margin

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of scores ``input`` for classes ``target``."""
        return F.multi_margin_loss(
            input, target, p=self.p, margin=self.margin, weight=self.weight, reduction=self.reduction
        )


class TripletMarginLoss(_Loss):
    """:func:`~minicnn.nn.functional.triplet_margin_loss` as a layer."""

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        size_average: bool | None = None,
        reduce: bool | None = None,
        reduction: str = "mean",
    ) -> None:
        super().__init__(size_average, reduce, reduction)
        _require_positive_margin("TripletMarginLoss", margin)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss of anchors, examples like them, and others."""
        return F.triplet_margin_loss(
            anchor, positive, negative, margin=self.margin, p=self.p, eps=self.eps, swap=self.swap,
            reduction=self.reduction,
        )  # fmt: skip


class TripletMarginWithDistanceLoss(_Loss):
    """:func:`~minicnn.nn.functional.triplet_margin_with_distance_loss` as a layer."""

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        _require_positive_margin("TripletMarginWithDistanceLoss", margin)
        self.distance_function = PairwiseDistance() if distance_function is None else distance_function
        self.margin = margin
        self.swap = swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        """The loss of anchors, examples like them, and others."""
        return F.triplet_margin_with_distance_loss(
            anchor, positive, negative, distance_function=self.distance_function, margin=self.margin, swap=self.swap,
            reduction=self.reduction,
        )  # fmt: skip


class CTCLoss(_Loss):
    """:func:`~minicnn.nn.functional.ctc_loss` as a layer: takes ``log_softmax`` of (steps, n, c)."""

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.blank = blank
        self.zero_infinity = zero_infinity

    def forward(
        self,
        log_probs: Tensor,
        targets: Tensor,
        input_lengths: Tensor | Sequence[int],
        target_lengths: Tensor | Sequence[int],
    ) -> Tensor:
        """The loss of sequences of log-probabilities for ``targets``."""
        lengths = input_lengths, target_lengths
        return F.ctc_loss(log_probs, targets, *lengths, self.blank, self.reduction, self.zero_infinity)


def _require_positive_margin(what: str, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin: {what} needs a positive number, got {margin}")
