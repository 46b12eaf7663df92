"""ResNet: layers that learn what to add to their input (He, Zhang, Ren and Sun 2016), and two relatives.

A block computes ``relu(x + branch(x))``. :class:`BasicBlock` has two 3x3 convolutions in its branch, :class:`Bottleneck` a
1x1 that narrows, a 3x3, and a 1x1 that widens by four. A block that halves the image has a 1x1 convolution
(``downsample``) on the way around, too. ResNeXt (Xie et al. 2017) splits the 3x3 into groups, Wide ResNet (Zagoruyko and
Komodakis 2016) makes it wider.

===========  ============================  ==================
size 224     what                          shape
===========  ============================  ==================
conv1        7x7, stride 2                 64 x 112 x 112
maxpool      3x3, stride 2                 64 x 56 x 56
layer1 to 4  blocks, the first of 2, 3, 4  56, 28, 14 and 7 wide
             with stride 2
avgpool, fc  global average, linear        num_classes
===========  ============================  ==================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from ..autograd import Tensor
from ..nn import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    init,
)
from .blocks import Layer
from .published import WeightsLike, build, builder_of, weights_enum

ResNet18_Weights = weights_enum("ResNet18_Weights", "resnet18")
ResNet34_Weights = weights_enum("ResNet34_Weights", "resnet34")
ResNet50_Weights = weights_enum("ResNet50_Weights", "resnet50")
ResNet101_Weights = weights_enum("ResNet101_Weights", "resnet101")
ResNet152_Weights = weights_enum("ResNet152_Weights", "resnet152")
ResNeXt50_32X4D_Weights = weights_enum("ResNeXt50_32X4D_Weights", "resnext50_32x4d")
Wide_ResNet50_2_Weights = weights_enum("Wide_ResNet50_2_Weights", "wide_resnet50_2")


def conv3x3(in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> Conv2d:
    """A 3x3 convolution that keeps the size, but for its stride."""
    return Conv2d(in_planes, out_planes, 3, stride, dilation, dilation, groups, bias=False)


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> Conv2d:
    """A 1x1 convolution."""
    return Conv2d(in_planes, out_planes, 1, stride, bias=False)


class BasicBlock(Module):
    """Two 3x3 convolutions beside a shortcut: (n, c_in, h, w) -> (n, c_out, h_out, w_out)."""

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Layer = BatchNorm2d,
    ):
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock: only groups=1 and base_width=64; Bottleneck takes others")
        if dilation > 1:
            raise NotImplementedError("BasicBlock: dilation > 1 is there for Bottleneck only")
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + shortcut)


class Bottleneck(Module):
    """1x1, 3x3 with the stride, 1x1 to four times as many, and a shortcut: (n, c_in, h, w) -> (n, c_out, h_out, w_out)."""

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Layer = BatchNorm2d,
    ):
        super().__init__()
        width = int(planes * (base_width / 64)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + shortcut)


class ResNet(Module):
    """The network around the blocks.

    Parameters
    ----------
    block : :class:`BasicBlock` or :class:`Bottleneck`.
    layers : how many blocks in each of the four stages.
    num_classes : outputs.
    zero_init_residual : start each branch at zero (Goyal et al. 2017, section 5.1).
    groups, width_per_group : of the 3x3 convolution of a :class:`Bottleneck`.
    replace_stride_with_dilation : for stages 2 to 4, whether to widen the filters' reach instead of halving the image.
    norm_layer : from the number of channels to a layer.

    Shapes: x (n, 3, h, w) float -> logits (n, num_classes); made for 224 x 224.
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Layer | None = None,
    ):
        super().__init__()
        dilated = [False] * 3 if replace_stride_with_dilation is None else list(replace_stride_with_dilation)
        if len(dilated) != 3:
            raise ValueError(f"replace_stride_with_dilation: expected None or three booleans, got {len(dilated)}")
        self._norm_layer = BatchNorm2d if norm_layer is None else norm_layer
        self.inplanes, self.dilation = 64, 1
        self.groups, self.base_width = groups, width_per_group
        self.conv1 = Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = self._norm_layer(64)
        self.relu = ReLU(inplace=True)
        self.maxpool = MaxPool2d(3, 2, 1)
        self.layer1 = self._stage(block, 64, layers[0])
        self.layer2 = self._stage(block, 128, layers[1], 2, dilated[0])
        self.layer3 = self._stage(block, 256, layers[2], 2, dilated[1])
        self.layer4 = self._stage(block, 512, layers[3], 2, dilated[2])
        self.avgpool = AdaptiveAvgPool2d((1, 1))
        self.fc = Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, (BasicBlock, Bottleneck)):
                    init.zeros_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight)

    def _stage(
        self, block: type[BasicBlock | Bottleneck], planes: int, blocks: int, stride: int = 1, dilate: bool = False
    ) -> Sequential:
        before = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            out = planes * block.expansion
            downsample = Sequential(conv1x1(self.inplanes, out, stride), self._norm_layer(out))
        common: dict[str, Any] = {"groups": self.groups, "base_width": self.base_width, "norm_layer": self._norm_layer}
        stage = [block(self.inplanes, planes, stride, downsample, dilation=before, **common)]
        self.inplanes = planes * block.expansion
        stage += [block(self.inplanes, planes, dilation=self.dilation, **common) for _ in range(1, blocks)]
        return Sequential(*stage)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (n, 3, 224, 224) -> (n, 64, 56, 56)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))  # -> (n, c, 7, 7)
        return self.fc(self.avgpool(x).flatten(1))


@builder_of(ResNet18_Weights)
def resnet18(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-18: 11.7 million parameters, 1.8 billion multiply-adds at 224 x 224."""
    return build(ResNet, ResNet18_Weights, weights, progress, block=BasicBlock, layers=[2, 2, 2, 2], **config)


@builder_of(ResNet34_Weights)
def resnet34(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-34: 21.8 million parameters."""
    return build(ResNet, ResNet34_Weights, weights, progress, block=BasicBlock, layers=[3, 4, 6, 3], **config)


@builder_of(ResNet50_Weights)
def resnet50(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-50: 25.6 million parameters, 4.1 billion multiply-adds at 224 x 224."""
    return build(ResNet, ResNet50_Weights, weights, progress, block=Bottleneck, layers=[3, 4, 6, 3], **config)


@builder_of(ResNet101_Weights)
def resnet101(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-101: 44.5 million parameters."""
    return build(ResNet, ResNet101_Weights, weights, progress, block=Bottleneck, layers=[3, 4, 23, 3], **config)


@builder_of(ResNet152_Weights)
def resnet152(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNet-152: 60.2 million parameters."""
    return build(ResNet, ResNet152_Weights, weights, progress, block=Bottleneck, layers=[3, 8, 36, 3], **config)


@builder_of(ResNeXt50_32X4D_Weights)
def resnext50_32x4d(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> ResNet:
    """ResNeXt-50: the 3x3 convolutions in 32 groups of 4 channels and more."""
    config = {"groups": 32, "width_per_group": 4, **config}
    return build(ResNet, ResNeXt50_32X4D_Weights, weights, progress, block=Bottleneck, layers=[3, 4, 6, 3], **config)


@builder_of(Wide_ResNet50_2_Weights)
def wide_resnet50_2(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> ResNet:
    """Wide ResNet-50-2: the 3x3 convolutions twice as wide."""
    config = {"width_per_group": 128, **config}
    return build(ResNet, Wide_ResNet50_2_Weights, weights, progress, block=Bottleneck, layers=[3, 4, 6, 3], **config)


class CifarResNet(Module):
    """The small ResNet for 32 x 32 images (He et al. 2016, section 4.2): three stages of 16, 32 and 64 channels.

    Where a stage begins, the paper's option B: a 1x1 convolution on the way around.

    Parameters
    ----------
    blocks : in each stage; the network has ``6 blocks + 2`` layers with weights.
    num_classes : outputs.
    in_channels : of the images.

    Shapes: x (n, in_channels, h, w) float -> logits (n, num_classes); made for 32 x 32.
    """

    def __init__(self, blocks: int = 3, num_classes: int = 10, in_channels: int = 3):
        super().__init__()
        self.conv1 = conv3x3(in_channels, 16)
        self.bn1 = BatchNorm2d(16)
        self.relu = ReLU(inplace=True)
        stages, channels = [], 16
        for planes, stride in ((16, 1), (32, 2), (64, 2)):
            layers: list[Module] = []
            for i in range(blocks):
                s = stride if i == 0 else 1
                around = None
                if s != 1 or channels != planes:
                    around = Sequential(conv1x1(channels, planes, s), BatchNorm2d(planes))
                layers.append(BasicBlock(channels, planes, s, around))
                channels = planes
            stages.append(Sequential(*layers))
        self.layer1, self.layer2, self.layer3 = stages
        self.avgpool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()
        self.fc = Linear(64, num_classes)
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))  # (n, c, 32, 32) -> (n, 16, 32, 32)
        x = self.layer3(self.layer2(self.layer1(x)))  # -> (n, 64, 8, 8)
        return self.fc(self.flatten(self.avgpool(x)))


def resnet20(num_classes: int = 10, in_channels: int = 3) -> CifarResNet:
    """ResNet-20 for 32 x 32 images: 0.27 million parameters.

    >>> import minicnn as mc
    >>> model = resnet20()
    >>> sum(p.numel() for p in model.parameters()), model(mc.zeros(2, 3, 32, 32)).shape
    (272474, minicnn.Size([2, 10]))
    """
    return CifarResNet(3, num_classes, in_channels)
