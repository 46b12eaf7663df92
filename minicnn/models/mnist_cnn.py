"""The CNN of a hundred tutorials: two convolutions, two linear layers, 98 to 99 % of MNIST's digits.

What the default ``minicnn train`` trains. How one of its convolutions works inside: ``docs/follow_a_conv.md``.
"""

from __future__ import annotations

from ..autograd import Tensor
from ..nn import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential


class MnistCNN(Module):
    """Two blocks of convolution, batch norm, ReLU and pooling, then two linear layers with dropout between.

    Parameters
    ----------
    num_classes : outputs.
    dropout : the probability of dropping each of the 512 hidden units in training.

    Shapes: x (n, 1, 28, 28) float -> logits (n, num_classes).

    >>> import minicnn as mc
    >>> model = MnistCNN()
    >>> sum(p.numel() for p in model.parameters())
    1630282
    >>> model(mc.zeros(2, 1, 28, 28)).shape
    minicnn.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10, dropout: float = 0.5):
        super().__init__()
        self.features = Sequential(
            Conv2d(1, 32, 3, padding=1),  # (n, 1, 28, 28) -> (n, 32, 28, 28)
            BatchNorm2d(32),
            ReLU(),
            MaxPool2d(2, 2),  # (n, 32, 28, 28) -> (n, 32, 14, 14)
            Conv2d(32, 64, 3, padding=1),  # (n, 32, 14, 14) -> (n, 64, 14, 14)
            BatchNorm2d(64),
            ReLU(),
            MaxPool2d(2, 2),  # (n, 64, 14, 14) -> (n, 64, 7, 7)
        )
        self.classifier = Sequential(
            Flatten(),  # (n, 64, 7, 7) -> (n, 3136)
            Linear(64 * 7 * 7, 512),
            ReLU(),
            Dropout(dropout),
            Linear(512, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def mnist_cnn(num_classes: int = 10, dropout: float = 0.5) -> MnistCNN:
    """Build a :class:`MnistCNN`."""
    return MnistCNN(num_classes, dropout)
