"""Dropout layers. The arithmetic is in ``minicnn/ops/dropout.py``."""

from __future__ import annotations

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.module import Module


class Dropout(Module):
    """In training mode sets each element to 0 with probability ``p`` and multiplies the others by 1 / (1 - p).

    In evaluation mode it returns its input (Hinton et al. 2012, https://arxiv.org/abs/1207.0580).

    Parameters
    ----------
    p : probability of *dropping* an element.
    inplace : overwrite the input rather than make a new tensor.

    Raises
    ------
    ValueError : ``p`` outside [0, 1].

    >>> import minicnn as mc
    >>> mc.nn.Dropout(0.5).eval()(mc.ones(3))
    tensor([1., 1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
