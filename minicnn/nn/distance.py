"""Distances as layers. The arithmetic is in ``minicnn/ops/distance.py``."""

from __future__ import annotations

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.module import Module


class PairwiseDistance(Module):
    """:func:`~minicnn.nn.functional.pairwise_distance` as a layer: the ``norm``-norm of ``x1 - x2 + eps``.

    >>> import minicnn as mc
    >>> mc.nn.PairwiseDistance()(mc.tensor([[0.0, 0.0]]), mc.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The distances of ``x1`` and ``x2``."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """:func:`~minicnn.nn.functional.cosine_similarity` as a layer.

    >>> import minicnn as mc
    >>> mc.nn.CosineSimilarity()(mc.tensor([[3.0, 4.0]]), mc.tensor([[4.0, 3.0]]))
    tensor([0.9600])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        """The cosines between ``x1`` and ``x2``."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
