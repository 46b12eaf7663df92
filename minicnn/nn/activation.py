"""Activations and dropout as layers. The arithmetic is in ``minicnn/ops``: ``activation.py``, ``dropout.py``."""

from __future__ import annotations

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.module import Module


class ReLU(Module):
    """``max(x, 0)``, element by element; the gradient at 0 is 0.

    Parameters
    ----------
    inplace : overwrite the input rather than make a new tensor.

    >>> import minicnn as mc
    >>> mc.nn.ReLU()(mc.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.relu(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``, element by element.

    >>> import minicnn as mc
    >>> mc.nn.Sigmoid()(mc.tensor([0.0]))
    tensor([0.5000])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent, element by element.

    >>> import minicnn as mc
    >>> mc.nn.Tanh()(mc.tensor([0.0]))
    tensor([0.])
    """

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.tanh(input)


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


class LogSoftmax(Module):
    """The logarithm of softmax along a dimension, computed without overflow.

    Parameters
    ----------
    dim : the dimension whose exponentials sum to 1.

    >>> import minicnn as mc
    >>> mc.nn.LogSoftmax(dim=1)(mc.zeros(1, 2))
    tensor([[-0.6931, -0.6931]])
    """

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        """Apply to ``input``."""
        return F.log_softmax(input, self.dim)

    def extra_repr(self) -> str:
        return "" if self.dim is None else f"dim={self.dim}"


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
