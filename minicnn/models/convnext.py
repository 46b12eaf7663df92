"""ConvNeXt: a convolutional network with what transformers taught (Liu, Mao, Wu, Feichtenhofer, Darrell and Xie 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .. import ops
from ..autograd import Tensor
from ..nn import GELU, AdaptiveAvgPool2d, Conv2d, Flatten, LayerNorm, Linear, Module, Parameter, Sequential, init
from .blocks import Layer, LayerNorm2d, StochasticDepth, zero_bias
from .published import WeightsLike, build, builder_of, weights_enum

ConvNeXt_Tiny_Weights = weights_enum("ConvNeXt_Tiny_Weights", "convnext_tiny")


class Permute(Module):
    """The dimensions in another order."""

    def __init__(self, dims: Sequence[int]):
        super().__init__()
        self.dims = tuple(dims)

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)


class CNBlock(Module):
    """Depthwise 7x7, layer norm, widen four times, GELU, narrow, scale each channel; plus the input.

    Shapes: (n, c, h, w) -> (n, c, h, w).
    """

    def __init__(self, dim: int, layer_scale: float, stochastic_depth_prob: float, norm_layer: Layer | None = None):
        super().__init__()
        norm_layer = partial(LayerNorm, eps=1e-6) if norm_layer is None else norm_layer
        self.block = Sequential(
            Conv2d(dim, dim, 7, padding=3, groups=dim),
            Permute((0, 2, 3, 1)),
            norm_layer(dim),
            Linear(dim, 4 * dim),
            GELU(),
            Linear(4 * dim, dim),
            Permute((0, 3, 1, 2)),
        )
        self.layer_scale = Parameter(ops.ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stochastic_depth(self.layer_scale * self.block(x))


class ConvNeXt(Module):
    """ConvNeXt.

    Parameters
    ----------
    block_setting : for each stage (channels, blocks).
    stochastic_depth_prob : of the last block; it grows linearly from 0 at the first.
    layer_scale : what each channel of a branch is scaled with at the start.
    num_classes : outputs.
    block : from ``(channels, layer_scale, probability of dropping)`` to a block; :class:`CNBlock` by default.
    norm_layer : from the number of channels to a layer, for the stem, between stages and before the classifier (the blocks
        have their own); layer norm over the channels with eps 1e-6 by default.

    Shapes: x (n, 3, h, w) float, at least 32 x 32 -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(
        self,
        block_setting: Sequence[tuple[int, int]],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Callable[..., Module] | None = None,
        norm_layer: Layer | None = None,
    ):
        super().__init__()
        if not block_setting:
            raise ValueError("block_setting: expected at least one stage")
        block = CNBlock if block is None else block
        over_channels = partial(LayerNorm2d, eps=1e-6) if norm_layer is None else norm_layer
        first, last = block_setting[0][0], block_setting[-1][0]
        layers: list[Module] = [Sequential(Conv2d(3, first, 4, 4), over_channels(first))]
        total, number = sum(blocks for _, blocks in block_setting), 0
        for i, (channels, blocks) in enumerate(block_setting):
            stage = []
            for _ in range(blocks):
                probability = stochastic_depth_prob * number / (total - 1)
                stage.append(block(channels, layer_scale, probability))
                number += 1
            layers.append(Sequential(*stage))
            if i + 1 < len(block_setting):
                layers.append(Sequential(over_channels(channels), Conv2d(channels, block_setting[i + 1][0], 2, 2)))
        self.features = Sequential(*layers)
        self.avgpool = AdaptiveAvgPool2d(1)
        self.classifier = Sequential(over_channels(last), Flatten(1), Linear(last, num_classes))
        for module in self.modules():
            if isinstance(module, (Conv2d, Linear)):
                init.trunc_normal_(module.weight, std=0.02)
                zero_bias(module)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)))


@builder_of(ConvNeXt_Tiny_Weights)
def convnext_tiny(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> ConvNeXt:
    """ConvNeXt-Tiny: 28.6 million parameters, 4.5 billion multiply-adds at 224 x 224."""
    own = {"block_setting": [(96, 3), (192, 3), (384, 9), (768, 3)], "stochastic_depth_prob": 0.1}
    return build(ConvNeXt, ConvNeXt_Tiny_Weights, weights, progress, **{**own, **config})
