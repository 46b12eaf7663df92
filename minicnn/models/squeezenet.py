"""SqueezeNet: AlexNet's accuracy with fifty times fewer parameters (Iandola et al. 2016)."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..autograd import Tensor
from ..nn import AdaptiveAvgPool2d, Conv2d, Dropout, MaxPool2d, Module, ReLU, Sequential, init
from .blocks import zero_bias
from .published import WeightsLike, build, builder_of, weights_enum

SqueezeNet1_1_Weights = weights_enum("SqueezeNet1_1_Weights", "squeezenet1_1")


class Fire(Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 side by side: (n, c_in, h, w) -> (n, c_out, h, w)."""

    def __init__(self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int):
        super().__init__()
        self.squeeze = Conv2d(inplanes, squeeze_planes, 1)
        self.squeeze_activation = ReLU(inplace=True)
        self.expand1x1 = Conv2d(squeeze_planes, expand1x1_planes, 1)
        self.expand1x1_activation = ReLU(inplace=True)
        self.expand3x3 = Conv2d(squeeze_planes, expand3x3_planes, 3, padding=1)
        self.expand3x3_activation = ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        one = self.expand1x1_activation(self.expand1x1(x))
        three = self.expand3x3_activation(self.expand3x3(x))
        return ops.cat([one, three], 1)


class SqueezeNet(Module):
    """Fire modules, and a convolution for a classifier.

    Parameters
    ----------
    version : ``"1_0"``, of the paper, or ``"1_1"``, which computes 2.4 times less: smaller filters first, pools earlier.
    num_classes : outputs.
    dropout : the probability of dropping before the classifier.

    Shapes: x (n, 3, h, w) float, at least 17 x 17 -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        if version not in ("1_0", "1_1"):
            raise ValueError(f"version: expected '1_0' or '1_1', got {version!r}")
        self.num_classes = num_classes
        first = Conv2d(3, 96, 7, 2) if version == "1_0" else Conv2d(3, 64, 3, 2)
        layers: list[Module] = [first, ReLU(inplace=True), MaxPool2d(3, 2, ceil_mode=True)]
        channels = first.out_channels
        for i, squeezed in enumerate((16, 16, 32, 32, 48, 48, 64, 64)):
            layers.append(Fire(channels, squeezed, 4 * squeezed, 4 * squeezed))
            channels = 8 * squeezed
            if i in ((2, 6) if version == "1_0" else (1, 3)):
                layers.append(MaxPool2d(3, 2, ceil_mode=True))
        self.features = Sequential(*layers)
        last = Conv2d(512, num_classes, 1)
        self.classifier = Sequential(Dropout(dropout), last, ReLU(inplace=True), AdaptiveAvgPool2d((1, 1)))
        for module in self.modules():
            if isinstance(module, Conv2d):
                if module is last:
                    init.normal_(module.weight, 0.0, 0.01)
                else:
                    init.kaiming_uniform_(module.weight)
                zero_bias(module)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).flatten(1)


@builder_of(SqueezeNet1_1_Weights)
def squeezenet1_1(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> SqueezeNet:
    """SqueezeNet 1.1: 1.2 million parameters."""
    return build(SqueezeNet, SqueezeNet1_1_Weights, weights, progress, version="1_1", **config)
