"""VGG: nothing but 3x3 convolutions, pooling, and three large linear layers (Simonyan and Zisserman 2015, table 1)."""

from __future__ import annotations

from typing import Any

from ..autograd import Tensor
from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential, init
from .blocks import zero_bias
from .published import WeightsLike, build, builder_of, weights_enum

# The numbers of channels of the convolutions, "M" for a 2x2 max-pool; the letters are those of the paper's table.
CONFIGURATIONS: dict[str, list[int | str]] = {
    "A": [64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "B": [64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"],
    "D": [64, 64, "M", 128, 128, "M", *[256] * 3, "M", *[512] * 3, "M", *[512] * 3, "M"],
    "E": [64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"],
}

VGG11_Weights = weights_enum("VGG11_Weights", "vgg11")
VGG11_BN_Weights = weights_enum("VGG11_BN_Weights", "vgg11_bn")
VGG13_Weights = weights_enum("VGG13_Weights", "vgg13")
VGG13_BN_Weights = weights_enum("VGG13_BN_Weights", "vgg13_bn")
VGG16_Weights = weights_enum("VGG16_Weights", "vgg16")
VGG16_BN_Weights = weights_enum("VGG16_BN_Weights", "vgg16_bn")
VGG19_Weights = weights_enum("VGG19_Weights", "vgg19")
VGG19_BN_Weights = weights_enum("VGG19_BN_Weights", "vgg19_bn")


class VGG(Module):
    """Convolutions, an adaptive pool to 7 x 7, three linear layers with dropout between.

    Parameters
    ----------
    features : the convolutional part, with 512 channels at its end.
    num_classes : outputs.
    init_weights : draw the weights as the paper's successors do; False leaves each layer's own.
    dropout : the probability of dropping between the linear layers.

    Shapes: x (n, 3, h, w) float -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(self, features: Module, num_classes: int = 1000, init_weights: bool = True, dropout: float = 0.5):
        super().__init__()
        self.features = features
        self.avgpool = AdaptiveAvgPool2d((7, 7))
        self.classifier = Sequential(
            Linear(512 * 7 * 7, 4096),
            ReLU(True),
            Dropout(dropout),
            Linear(4096, 4096),
            ReLU(True),
            Dropout(dropout),
            Linear(4096, num_classes),
        )
        if not init_weights:
            return
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                zero_bias(module)
            elif isinstance(module, Linear):
                init.normal_(module.weight, 0, 0.01)
                zero_bias(module)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))  # (n, 3, 224, 224) -> (n, 512, 7, 7)
        return self.classifier(x.flatten(1))


def make_layers(configuration: list[int | str], batch_norm: bool = False) -> Sequential:
    """The convolutional part of one column of the paper's table."""
    layers: list[Module] = []
    channels = 3
    for entry in configuration:
        if isinstance(entry, str):
            layers.append(MaxPool2d(2, 2))
            continue
        layers.append(Conv2d(channels, entry, 3, padding=1))
        if batch_norm:
            layers.append(BatchNorm2d(entry))
        layers.append(ReLU(True))
        channels = entry
    return Sequential(*layers)


def _vgg(letter: str, batch_norm: bool, enum: Any, weights: WeightsLike, progress: bool, config: dict[str, Any]) -> VGG:
    def constructor(**config: Any) -> VGG:
        return VGG(make_layers(CONFIGURATIONS[letter], batch_norm), **config)

    return build(constructor, enum, weights, progress, **config)


@builder_of(VGG11_Weights)
def vgg11(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-11, column A of the paper's table: 132.9 million parameters."""
    return _vgg("A", False, VGG11_Weights, weights, progress, config)


@builder_of(VGG11_BN_Weights)
def vgg11_bn(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-11 with batch norm."""
    return _vgg("A", True, VGG11_BN_Weights, weights, progress, config)


@builder_of(VGG13_Weights)
def vgg13(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-13, column B."""
    return _vgg("B", False, VGG13_Weights, weights, progress, config)


@builder_of(VGG13_BN_Weights)
def vgg13_bn(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-13 with batch norm."""
    return _vgg("B", True, VGG13_BN_Weights, weights, progress, config)


@builder_of(VGG16_Weights)
def vgg16(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-16, column D: 138.4 million parameters, 15.5 billion multiply-adds at 224 x 224."""
    return _vgg("D", False, VGG16_Weights, weights, progress, config)


@builder_of(VGG16_BN_Weights)
def vgg16_bn(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-16 with batch norm."""
    return _vgg("D", True, VGG16_BN_Weights, weights, progress, config)


@builder_of(VGG19_Weights)
def vgg19(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-19, column E."""
    return _vgg("E", False, VGG19_Weights, weights, progress, config)


@builder_of(VGG19_BN_Weights)
def vgg19_bn(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VGG:
    """VGG-19 with batch norm."""
    return _vgg("E", True, VGG19_BN_Weights, weights, progress, config)
