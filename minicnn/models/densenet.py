"""DenseNet: each layer sees all that came before it (Huang, Liu, van der Maaten and Weinberger 2017)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .. import ops
from ..autograd import Tensor
from ..nn import AvgPool2d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, ModuleDict, ReLU, Sequential, init
from ..nn import functional as F
from ..utils.checkpoint import checkpoint
from .blocks import zero_bias
from .published import WeightsLike, build, builder_of, weights_enum

DenseNet121_Weights = weights_enum("DenseNet121_Weights", "densenet121")


class DenseLayer(Module):
    """Norm, ReLU, 1x1, norm, ReLU, 3x3: all maps so far -> ``growth_rate`` new ones."""

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ):
        super().__init__()
        self.memory_efficient = memory_efficient
        self.norm1 = BatchNorm2d(num_input_features)
        self.relu1 = ReLU(inplace=True)
        self.conv1 = Conv2d(num_input_features, bn_size * growth_rate, 1, bias=False)
        self.norm2 = BatchNorm2d(bn_size * growth_rate)
        self.relu2 = ReLU(inplace=True)
        self.conv2 = Conv2d(bn_size * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)

    def forward(self, input: Tensor | list[Tensor]) -> Tensor:
        maps = [input] if isinstance(input, Tensor) else input
        if self.memory_efficient and any(x.requires_grad for x in maps):
            x = checkpoint(self._bottleneck, *maps, use_reentrant=False)
        else:
            x = self._bottleneck(*maps)
        x = self.conv2(self.relu2(self.norm2(x)))
        return F.dropout(x, self.drop_rate, self.training) if self.drop_rate > 0 else x

    def _bottleneck(self, *maps: Tensor) -> Tensor:
        x = maps[0] if len(maps) == 1 else ops.cat(maps, 1)
        return self.conv1(self.relu1(self.norm1(x)))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for key in [key for key in state_dict if key.startswith(prefix)]:  # names of older files: norm.1, conv.2
            old = key[len(prefix) :]
            if old.startswith(("norm.", "conv.")):
                state_dict[prefix + old.replace(".", "", 1)] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *rest)


class DenseBlock(ModuleDict):
    """Layers ``denselayer1``, ``denselayer2`` ...: (n, c, h, w) -> (n, c_out, h, w), ``growth_rate`` more a layer."""

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ):
        super().__init__()
        self.memory_efficient = memory_efficient
        for i in range(num_layers):
            features = num_input_features + i * growth_rate
            layer = DenseLayer(features, growth_rate, bn_size, drop_rate, memory_efficient)
            self[f"denselayer{i + 1}"] = layer

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps if self.memory_efficient else ops.cat(maps, 1)))
        return ops.cat(maps, 1)


class Transition(Sequential):
    """Between blocks: half the channels, half the image."""

    def __init__(self, num_input_features: int, num_output_features: int):
        super().__init__()
        self.norm = BatchNorm2d(num_input_features)
        self.relu = ReLU(inplace=True)
        self.conv = Conv2d(num_input_features, num_output_features, 1, bias=False)
        self.pool = AvgPool2d(2, 2)


class DenseNet(Module):
    """Dense blocks and transitions.

    Parameters
    ----------
    growth_rate : how many maps each layer adds (k in the paper).
    block_config : layers in each block.
    num_init_features : maps of the first convolution.
    bn_size : the 1x1 convolutions have ``bn_size * growth_rate`` maps.
    drop_rate : the probability of dropping after each layer.
    num_classes : outputs.
    memory_efficient : do not keep what is put together for each layer and normalised there, which is most of what a backward
        pass keeps, but compute it again (Pleiss et al. 2017). Batch norms then average twice a step, as in torchvision.

    Shapes: x (n, 3, h, w) float, at least 29 x 29 -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, ...] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ):
        super().__init__()
        layers: OrderedDict[str, Module] = OrderedDict(
            conv0=Conv2d(3, num_init_features, 7, 2, 3, bias=False),
            norm0=BatchNorm2d(num_init_features),
            relu0=ReLU(inplace=True),
            pool0=MaxPool2d(3, 2, 1),
        )
        channels = num_init_features
        for i, count in enumerate(block_config, start=1):
            layers[f"denseblock{i}"] = DenseBlock(count, channels, bn_size, growth_rate, drop_rate, memory_efficient)
            channels += count * growth_rate
            if i < len(block_config):
                layers[f"transition{i}"] = Transition(channels, channels // 2)
                channels //= 2
        layers["norm5"] = BatchNorm2d(channels)
        self.features = Sequential(layers)
        self.classifier = Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight)
        zero_bias(self.classifier)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x))  # (n, 3, 224, 224) -> (n, 1024, 7, 7)
        return self.classifier(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


@builder_of(DenseNet121_Weights)
def densenet121(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> DenseNet:
    """DenseNet-121: 8 million parameters."""
    return build(DenseNet, DenseNet121_Weights, weights, progress, **config)
