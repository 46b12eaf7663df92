"""GoogLeNet: filters of several sizes side by side (Szegedy et al. 2015), here with batch norm, as torchvision has it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

from .. import ops
from ..autograd import Tensor
from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, Sequential, init
from ..nn import functional as F
from .blocks import Layer
from .published import WeightsLike, build, builder_of, weights_enum

GoogLeNet_Weights = weights_enum("GoogLeNet_Weights", "googlenet")


class GoogLeNetOutputs(NamedTuple):
    """What the model returns in training: the logits, and those of its two auxiliary classifiers."""

    logits: Tensor
    aux_logits2: Tensor | None
    aux_logits1: Tensor | None


class BasicConv2d(Module):
    """A convolution without bias, batch norm (eps 1e-3), ReLU."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any):
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, bias=False, **options)
        self.bn = BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(Module):
    """Four branches side by side: 1x1; 1x1 and 3x3; 1x1 and 3x3; pool and 1x1.

    (The paper's third branch has a 5x5. The published weights have a 3x3 there, and what reads them has to.)
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: Layer | None = None,
    ):
        super().__init__()
        conv = BasicConv2d if conv_block is None else conv_block
        self.branch1 = conv(in_channels, ch1x1, kernel_size=1)
        self.branch2 = Sequential(
            conv(in_channels, ch3x3red, kernel_size=1), conv(ch3x3red, ch3x3, kernel_size=3, padding=1)
        )
        self.branch3 = Sequential(
            conv(in_channels, ch5x5red, kernel_size=1), conv(ch5x5red, ch5x5, kernel_size=3, padding=1)
        )
        self.branch4 = Sequential(
            MaxPool2d(3, stride=1, padding=1, ceil_mode=True), conv(in_channels, pool_proj, kernel_size=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return ops.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(Module):
    """An auxiliary classifier on the maps in the middle, for training."""

    def __init__(self, in_channels: int, num_classes: int, conv_block: Layer | None = None, dropout: float = 0.7):
        super().__init__()
        self.conv = (BasicConv2d if conv_block is None else conv_block)(in_channels, 128, kernel_size=1)
        self.fc1 = Linear(2048, 1024)
        self.fc2 = Linear(1024, num_classes)
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(F.adaptive_avg_pool2d(x, (4, 4)))  # (n, in_channels, 14, 14) -> (n, 128, 4, 4)
        x = F.relu(self.fc1(x.flatten(1)), inplace=True)
        return self.fc2(self.dropout(x))


class GoogLeNet(Module):
    """Nine inception modules.

    Parameters
    ----------
    num_classes : outputs.
    aux_logits : with the two auxiliary classifiers; in training the model then returns :class:`GoogLeNetOutputs`.
    transform_input : undo ImageNet's normalisation in favour of mean 0.5 and std 0.5, which the published weights want.
    init_weights : draw weights from a normal distribution of std 0.01, cut off at 2.
    blocks : the three kinds of parts: convolution, inception module, auxiliary classifier; by default those of this file.
    dropout, dropout_aux : the probabilities of dropping before the classifiers.

    Shapes: x (n, 3, h, w) float, at least 15 x 15 -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool | None = None,
        blocks: Sequence[Layer] | None = None,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
    ):
        super().__init__()
        if init_weights is None:
            init_weights = True
        if blocks is not None and len(blocks) != 3:
            raise ValueError(
                f"blocks: expected convolution, inception module and auxiliary classifier, got {len(blocks)}"
            )
        conv, inception, auxiliary = (BasicConv2d, Inception, InceptionAux) if blocks is None else blocks
        self.aux_logits, self.transform_input = aux_logits, transform_input
        self.conv1 = conv(3, 64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = conv(64, 64, kernel_size=1)
        self.conv3 = conv(64, 192, kernel_size=3, padding=1)
        self.maxpool2 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = MaxPool2d(2, stride=2, ceil_mode=True)
        self.inception5a = inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = inception(832, 384, 192, 384, 48, 128, 128)
        self.aux1 = auxiliary(512, num_classes, dropout=dropout_aux) if aux_logits else None
        self.aux2 = auxiliary(528, num_classes, dropout=dropout_aux) if aux_logits else None
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.dropout = Dropout(dropout)
        self.fc = Linear(1024, num_classes)
        if init_weights:
            for module in self.modules():
                if isinstance(module, (Conv2d, Linear)):
                    init.trunc_normal_(module.weight, 0.0, 0.01, -2, 2)

    def forward(self, x: Tensor) -> Any:
        if self.transform_input:
            mean, std = _IMAGENET
            channels = [x[:, i : i + 1] * (std[i] / 0.5) + (mean[i] - 0.5) / 0.5 for i in range(3)]
            x = ops.cat(channels, 1)
        x = self.maxpool1(self.conv1(x))  # (n, 3, 224, 224) -> (n, 64, 56, 56)
        x = self.maxpool2(self.conv3(self.conv2(x)))  # -> (n, 192, 28, 28)
        x = self.maxpool3(self.inception3b(self.inception3a(x)))  # -> (n, 480, 14, 14)
        x = self.inception4a(x)
        first = self.aux1(x) if self.training and self.aux1 is not None else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        second = self.aux2(x) if self.training and self.aux2 is not None else None
        x = self.maxpool4(self.inception4e(x))  # -> (n, 832, 7, 7)
        x = self.inception5b(self.inception5a(x))  # -> (n, 1024, 7, 7)
        x = self.fc(self.dropout(self.avgpool(x).flatten(1)))
        return GoogLeNetOutputs(x, second, first) if self.training and self.aux_logits else x


_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@builder_of(GoogLeNet_Weights)
def googlenet(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> GoogLeNet:
    """GoogLeNet: 6.6 million parameters, 13 million with the auxiliary classifiers.

    With weights, ``transform_input`` is on, and the auxiliary classifiers go after loading unless ``aux_logits=True`` asks
    for them.
    """
    if weights is None:
        return build(GoogLeNet, GoogLeNet_Weights, weights, progress, **config)
    wanted = config.pop("aux_logits", False)
    if wanted:
        warnings.warn("the auxiliary classifiers of the published weights are not trained: train them", stacklevel=3)
    config = {"transform_input": True, **config, "aux_logits": True}
    model = build(GoogLeNet, GoogLeNet_Weights, weights, progress, **config)
    if not wanted:
        model.aux_logits, model.aux1, model.aux2 = False, None, None
    return model
