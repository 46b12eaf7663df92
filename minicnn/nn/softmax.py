"""The softmax family as layers. The arithmetic is in ``minicnn/ops/softmax.py``."""

from __future__ import annotations

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.module import Module


class Softmax(Module):
    """``exp(x_i) / sum over j of exp(x_j)`` along a dimension: numbers that sum to 1.

    Parameters
    ----------
    dim : the dimension that sums to 1. (In front of ``CrossEntropyLoss`` there must be none: that takes logits.)

    >>> import minicnn as mc
    >>> mc.nn.Softmax(dim=1)(mc.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmin(Softmax):
    """The softmax of ``-x``, along ``dim``.

    >>> import minicnn as mc
    >>> mc.nn.Softmin(dim=0)(mc.tensor([0.0, 1.0]))
    tensor([0.7311, 0.2689])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.softmin(input, self.dim)


class LogSoftmax(Softmax):
    """The logarithm of softmax along a dimension, computed without overflow.

    Parameters
    ----------
    dim : the dimension whose exponentials sum to 1.

    >>> import minicnn as mc
    >>> mc.nn.LogSoftmax(dim=1)(mc.zeros(1, 2))
    tensor([[-0.6931, -0.6931]])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.log_softmax(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of each pixel: (n, c, h, w), or one image (c, h, w).

    >>> import minicnn as mc
    >>> mc.nn.Softmax2d()(mc.zeros(1, 2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])

    Raises
    ------
    ValueError : in the call, for an input of other dimensions.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        if input.ndim not in (3, 4):
            raise ValueError(f"input: Softmax2d takes (n, c, h, w) or (c, h, w), got shape {tuple(input.shape)}")
        return F.softmax(input, -3)
