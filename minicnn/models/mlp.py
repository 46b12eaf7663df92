"""A multi-layer perceptron: what one gets on images without convolutions."""

from __future__ import annotations

from ..autograd import Tensor
from ..nn import Dropout, Flatten, Linear, Module, ReLU, Sequential


class MLP(Module):
    """One hidden layer over the flattened image.

    Parameters
    ----------
    num_classes : outputs.
    hidden : hidden units.
    dropout : the probability of dropping each of them in training.
    in_features : pixels of an image.

    Shapes: x (n, *) with in_features numbers each, float -> logits (n, num_classes).

    >>> import minicnn as mc
    >>> model = MLP()
    >>> sum(p.numel() for p in model.parameters())
    407050
    >>> model(mc.zeros(2, 1, 28, 28)).shape
    minicnn.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10, hidden: int = 512, dropout: float = 0.2, in_features: int = 28 * 28):
        super().__init__()
        self.layers = Sequential(
            Flatten(),
            Linear(in_features, hidden),
            ReLU(),
            Dropout(dropout),
            Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def mlp(num_classes: int = 10, hidden: int = 512, dropout: float = 0.2, in_features: int = 28 * 28) -> MLP:
    """Build an :class:`MLP`."""
    return MLP(num_classes, hidden, dropout, in_features)
