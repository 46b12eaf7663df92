"""Losses as layers. The arithmetic is in ``minicnn/ops/loss.py``."""

from __future__ import annotations

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.module import Module


class _Loss(Module):
    def __init__(self, size_average: bool | None, reduce: bool | None, reduction: str) -> None:
        super().__init__()
        if size_average is not None or reduce is not None:
            raise NotImplementedError(
                "size_average and reduce are deprecated in PyTorch and not supported here: use "
                "reduction='mean', 'sum' or 'none'"
            )
        if reduction not in ("mean", "sum", "none"):
            raise ValueError(f"reduction should be 'mean', 'sum' or 'none', got {reduction!r}")
        self.reduction = reduction


class CrossEntropyLoss(_Loss):
    """Cross entropy between logits and classes: ``-log softmax(input)[target]``, averaged.

    Parameters
    ----------
    weight : (c,) floating point, a factor for each class, also in the mean's denominator.
    size_average, reduce : PyTorch's deprecated forms of ``reduction``; leave them out.
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
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
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


class NLLLoss(_Loss):
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
        super().__init__(size_average, reduce, reduction)
        self.register_buffer("weight", weight)
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of log-probabilities ``input`` for classes ``target``."""
        return F.nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class MSELoss(_Loss):
    """Mean squared error: ``(input - target)^2``, averaged over all elements.

    Parameters
    ----------
    size_average, reduce : PyTorch's deprecated forms of ``reduction``; leave them out.
    reduction : ``'mean'``, ``'sum'``, or ``'none'``.

    >>> import minicnn as mc
    >>> mc.nn.MSELoss()(mc.tensor([1.0, 2.0]), mc.tensor([1.0, 4.0]))
    tensor(2.)
    """

    def __init__(self, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean") -> None:
        super().__init__(size_average, reduce, reduction)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss of ``input`` for ``target``."""
        return F.mse_loss(input, target, reduction=self.reduction)
