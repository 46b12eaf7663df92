"""MobileNet V2 and V3: depthwise convolutions between 1x1 ones (Sandler et al. 2018; Howard et al. 2019).

A block widens by a 1x1 convolution, filters each channel by itself (depthwise), and narrows again without an activation
("linear bottleneck"); where the shape allows, its input is added. V3 adds squeeze-and-excitation and Hardswish.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..autograd import Tensor
from ..nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Hardsigmoid,
    Hardswish,
    Linear,
    Module,
    ReLU,
    ReLU6,
    Sequential,
    init,
)
from .blocks import ConvNormActivation, Layer, SqueezeExcitation, make_divisible, zero_bias
from .published import WeightsLike, build, builder_of, weights_enum

MobileNet_V2_Weights = weights_enum("MobileNet_V2_Weights", "mobilenet_v2")
MobileNet_V3_Small_Weights = weights_enum("MobileNet_V3_Small_Weights", "mobilenet_v3_small")
MobileNet_V3_Large_Weights = weights_enum("MobileNet_V3_Large_Weights", "mobilenet_v3_large")


def initialize(model: Module, linear_std: float) -> None:
    """Weights as both papers' code draws them; biases are zero."""
    for module in model.modules():
        if isinstance(module, Conv2d):
            init.kaiming_normal_(module.weight, mode="fan_out")
            zero_bias(module)
        elif isinstance(module, Linear):
            init.normal_(module.weight, 0, linear_std)
            zero_bias(module)


class InvertedResidual(Module):
    """A block of V2: expand (t times), depthwise 3x3, project; plus the input where stride and channels keep the shape."""

    def __init__(self, inp: int, oup: int, stride: int, expand_ratio: int, norm_layer: Layer = BatchNorm2d):
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride: expected 1 or 2, got {stride}")
        hidden = round(inp * expand_ratio)
        self.stride, self.use_res_connect = stride, stride == 1 and inp == oup
        step = partial(ConvNormActivation, norm_layer=norm_layer, activation_layer=ReLU6)
        layers: list[Module] = [] if expand_ratio == 1 else [step(inp, hidden, 1)]
        layers += [
            step(hidden, hidden, 3, stride, groups=hidden),
            Conv2d(hidden, oup, 1, bias=False),
            norm_layer(oup),
        ]
        self.conv = Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.use_res_connect else self.conv(x)


class MobileNetV2(Module):
    """MobileNet V2 (table 2 of the paper).

    Parameters
    ----------
    num_classes : outputs.
    width_mult : times all numbers of channels.
    inverted_residual_setting : rows of (expansion t, channels c, blocks n, stride s).
    round_nearest : channels are multiples of this.
    block, norm_layer : the parts.
    dropout : the probability of dropping before the classifier.

    Shapes: x (n, 3, h, w) float -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., Module] | None = None,
        norm_layer: Layer | None = None,
        dropout: float = 0.2,
    ):
        super().__init__()
        block = InvertedResidual if block is None else block
        norm_layer = BatchNorm2d if norm_layer is None else norm_layer
        settings = inverted_residual_setting or [
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ]
        step = partial(ConvNormActivation, norm_layer=norm_layer, activation_layer=ReLU6)
        channels = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[Module] = [step(3, channels, 3, 2)]
        for t, c, n, s in settings:
            out = make_divisible(c * width_mult, round_nearest)
            for i in range(n):
                features.append(block(channels, out, s if i == 0 else 1, expand_ratio=t, norm_layer=norm_layer))
                channels = out
        features.append(step(channels, self.last_channel, 1))
        self.features = Sequential(*features)
        self.classifier = Sequential(Dropout(dropout), Linear(self.last_channel, num_classes))
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        initialize(self, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)  # (n, 3, 224, 224) -> (n, 1280, 7, 7)
        return self.classifier(self.avgpool(x).flatten(1))


class BlockV3(NamedTuple):
    """A row of the tables in the V3 paper."""

    input_channels: int
    kernel: int
    expanded_channels: int
    out_channels: int
    use_se: bool
    use_hs: bool
    stride: int
    dilation: int = 1


class InvertedResidualV3(Module):
    """A block of V3: expand, depthwise, perhaps squeeze-and-excitation, project; plus the input where the shape stays."""

    def __init__(self, row: BlockV3, norm_layer: Layer):
        super().__init__()
        activation = partial(Hardswish if row.use_hs else ReLU, inplace=True)
        wide = row.expanded_channels
        layers: list[Module] = []
        if wide != row.input_channels:
            layers.append(ConvNormActivation(row.input_channels, wide, 1, 1, 1, norm_layer, activation))
        stride = 1 if row.dilation > 1 else row.stride
        layers.append(
            ConvNormActivation(wide, wide, row.kernel, stride, wide, norm_layer, activation, dilation=row.dilation)
        )
        if row.use_se:
            squeezed = make_divisible(wide // 4, 8)
            layers.append(SqueezeExcitation(wide, squeezed, ReLU, Hardsigmoid))
        layers.append(ConvNormActivation(wide, row.out_channels, 1, 1, 1, norm_layer, None))
        self.block = Sequential(*layers)
        self.use_res_connect = row.stride == 1 and row.input_channels == row.out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x) if self.use_res_connect else self.block(x)


# kernel, expanded, out, squeeze-excite, Hardswish, stride: tables 1 and 2 of the paper
LARGE = [
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
]
SMALL = [
    (3, 16, 16, True, False, 2),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
]


def rows(
    table: Sequence[tuple], width_mult: float = 1.0, reduced_tail: bool = False, dilated: bool = False
) -> list[BlockV3]:
    """The table with its input channels, each scaled by ``width_mult``.

    ``reduced_tail`` halves the last three blocks; ``dilated`` lets them look further where the image would become smaller.
    """
    found, channels, tail = [], make_divisible(16 * width_mult), len(table) - 3
    for i, (kernel, expanded, out, use_se, use_hs, stride) in enumerate(table):
        halved = 2 if reduced_tail and i >= tail else 1
        wide = make_divisible(expanded // (halved if i > tail else 1) * width_mult)
        out = make_divisible(out // halved * width_mult)
        dilation = 2 if dilated and i >= tail else 1
        found.append(BlockV3(channels, kernel, wide, out, use_se, use_hs, stride, dilation))
        channels = out
    return found


class MobileNetV3(Module):
    """MobileNet V3.

    Parameters
    ----------
    inverted_residual_setting : the blocks, from :func:`rows`.
    last_channel : width of the hidden linear layer.
    num_classes : outputs.
    block : from ``(row, norm_layer)`` to a block; :class:`InvertedResidualV3` by default.
    norm_layer : from the number of channels to a layer; batch norm with eps 1e-3 and momentum 0.01 by default.
    dropout : the probability of dropping before the last layer.

    Shapes: x (n, 3, h, w) float -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(
        self,
        inverted_residual_setting: Sequence[BlockV3],
        last_channel: int,
        num_classes: int = 1000,
        block: Callable[..., Module] | None = None,
        norm_layer: Layer | None = None,
        dropout: float = 0.2,
    ):
        super().__init__()
        if not inverted_residual_setting:
            raise ValueError("inverted_residual_setting: expected at least one block")
        block = InvertedResidualV3 if block is None else block
        norm = partial(BatchNorm2d, eps=0.001, momentum=0.01) if norm_layer is None else norm_layer
        hardswish = partial(Hardswish, inplace=True)
        first, last = inverted_residual_setting[0].input_channels, inverted_residual_setting[-1].out_channels
        layers: list[Module] = [ConvNormActivation(3, first, 3, 2, 1, norm, hardswish)]
        layers += [block(row, norm) for row in inverted_residual_setting]
        layers.append(ConvNormActivation(last, 6 * last, 1, 1, 1, norm, hardswish))
        self.features = Sequential(*layers)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.classifier = Sequential(
            Linear(6 * last, last_channel),
            Hardswish(inplace=True),
            Dropout(dropout, inplace=True),
            Linear(last_channel, num_classes),
        )
        initialize(self, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))  # (n, 3, 224, 224) -> (n, c, 1, 1)
        return self.classifier(x.flatten(1))


@builder_of(MobileNet_V2_Weights)
def mobilenet_v2(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> MobileNetV2:
    """MobileNet V2: 3.5 million parameters, 0.3 billion multiply-adds at 224 x 224."""
    return build(MobileNetV2, MobileNet_V2_Weights, weights, progress, **config)


@builder_of(MobileNet_V3_Small_Weights)
def mobilenet_v3_small(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> MobileNetV3:
    """MobileNet V3 Small: 2.5 million parameters, 0.06 billion multiply-adds at 224 x 224.

    ``width_mult``, ``reduced_tail`` and ``dilated`` change the shape of the network: :func:`rows`.
    """
    shape = _shape(SMALL, 1024, config)
    return build(MobileNetV3, MobileNet_V3_Small_Weights, weights, progress, **shape, **config)


@builder_of(MobileNet_V3_Large_Weights)
def mobilenet_v3_large(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> MobileNetV3:
    """MobileNet V3 Large: 5.5 million parameters, 0.2 billion multiply-adds at 224 x 224.

    ``width_mult``, ``reduced_tail`` and ``dilated`` change the shape of the network: :func:`rows`.
    """
    shape = _shape(LARGE, 1280, config)
    return build(MobileNetV3, MobileNet_V3_Large_Weights, weights, progress, **shape, **config)


def _shape(table: Sequence[tuple], last: int, config: dict[str, Any]) -> dict[str, Any]:
    """What the arguments in ``config``, which lose it, say of the network's shape."""
    width, reduced = config.pop("width_mult", 1.0), config.pop("reduced_tail", False)
    return {
        "inverted_residual_setting": rows(table, width, reduced, config.pop("dilated", False)),
        "last_channel": make_divisible(last // (2 if reduced else 1) * width),
    }
