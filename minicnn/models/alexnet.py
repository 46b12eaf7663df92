"""AlexNet, which began it (Krizhevsky, Sutskever and Hinton 2012), in the one-tower form of Krizhevsky 2014."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from ..nn import AdaptiveAvgPool2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential
from .published import WeightsLike, build, builder_of, weights_enum

AlexNet_Weights = weights_enum("AlexNet_Weights", "alexnet")


class AlexNet(Module):
    """Five convolutions and three linear layers.

    Parameters
    ----------
    num_classes : outputs.
    dropout : the probability of dropping before the first two linear layers.

    Shapes: x (n, 3, h, w) float, at least 63 x 63 -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        self.features = Sequential(
            Conv2d(3, 64, 11, 4, 2),
            ReLU(inplace=True),
            MaxPool2d(3, 2),
            Conv2d(64, 192, 5, padding=2),
            ReLU(inplace=True),
            MaxPool2d(3, 2),
            Conv2d(192, 384, 3, padding=1),
            ReLU(inplace=True),
            Conv2d(384, 256, 3, padding=1),
            ReLU(inplace=True),
            Conv2d(256, 256, 3, padding=1),
            ReLU(inplace=True),
            MaxPool2d(3, 2),
        )
        self.avgpool = AdaptiveAvgPool2d((6, 6))
        self.classifier = Sequential(
            Dropout(dropout),
            Linear(256 * 6 * 6, 4096),
            ReLU(inplace=True),
            Dropout(dropout),
            Linear(4096, 4096),
            ReLU(inplace=True),
            Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))  # (n, 3, 224, 224) -> (n, 256, 6, 6)
        return self.classifier(x.flatten(1))


@builder_of(AlexNet_Weights)
def alexnet(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> AlexNet:
    """AlexNet: 61.1 million parameters."""
    return build(AlexNet, AlexNet_Weights, weights, progress, **config)
