"""ResNet-18 over space and time (Tran et al. 2018): 3-D convolutions, mixed 3-D and 2-D, or both in turn.

- ``r3d_18``: 3x3x3 convolutions throughout.
- ``mc3_18``: 3x3x3 in the first stage, 1x3x3 in the others.
- ``r2plus1d_18``: each 3x3x3 as a 1x3x3 and a 3x1x1, with so many channels between that the number of weights stays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from ...autograd import Tensor
from ...nn import AdaptiveAvgPool3d, BatchNorm3d, Conv3d, Linear, Module, ReLU, Sequential, init
from ..blocks import zero_bias
from ..published import WeightsLike, build, builder_of, weights_enum

R3D_18_Weights = weights_enum("R3D_18_Weights", "r3d_18")
MC3_18_Weights = weights_enum("MC3_18_Weights", "mc3_18")
R2Plus1D_18_Weights = weights_enum("R2Plus1D_18_Weights", "r2plus1d_18")


class Conv3DSimple(Conv3d):
    """3x3x3."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int = 0, stride: int = 1):
        super().__init__(in_planes, out_planes, 3, stride, 1, bias=False)

    @staticmethod
    def downsample_stride(stride: int) -> tuple[int, int, int]:
        return stride, stride, stride


class Conv3DNoTemporal(Conv3d):
    """1x3x3: each frame by itself."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int = 0, stride: int = 1):
        super().__init__(in_planes, out_planes, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False)

    @staticmethod
    def downsample_stride(stride: int) -> tuple[int, int, int]:
        return 1, stride, stride


class Conv2Plus1D(Sequential):
    """1x3x3 to ``midplanes`` channels, batch norm, ReLU, 3x1x1."""

    def __init__(self, in_planes: int, out_planes: int, midplanes: int, stride: int = 1):
        super().__init__(
            Conv3d(in_planes, midplanes, (1, 3, 3), (1, stride, stride), (0, 1, 1), bias=False),
            BatchNorm3d(midplanes),
            ReLU(inplace=True),
            Conv3d(midplanes, out_planes, (3, 1, 1), (stride, 1, 1), (1, 0, 0), bias=False),
        )

    @staticmethod
    def downsample_stride(stride: int) -> tuple[int, int, int]:
        return stride, stride, stride


Builder = type[Conv3DSimple] | type[Conv3DNoTemporal] | type[Conv2Plus1D]


class BasicBlock(Module):
    """Two convolutions beside a shortcut: (n, c_in, d, h, w) -> (n, c_out, d_out, h_out, w_out)."""

    expansion: ClassVar[int] = 1

    def __init__(self, inplanes: int, planes: int, conv_builder: Builder, stride: int, downsample: Module | None):
        super().__init__()
        midplanes = (inplanes * planes * 3 * 3 * 3) // (inplanes * 3 * 3 + 3 * planes)
        self.conv1 = Sequential(
            conv_builder(inplanes, planes, midplanes, stride), BatchNorm3d(planes), ReLU(inplace=True)
        )
        self.conv2 = Sequential(conv_builder(planes, planes, midplanes), BatchNorm3d(planes))
        self.relu = ReLU(inplace=True)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        return self.relu(self.conv2(self.conv1(x)) + shortcut)


class BasicStem(Sequential):
    """3x7x7, batch norm, ReLU."""

    def __init__(self) -> None:
        super().__init__(
            Conv3d(3, 64, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), BatchNorm3d(64), ReLU(inplace=True)
        )


class R2Plus1dStem(Sequential):
    """1x7x7 and 3x1x1, each with batch norm and ReLU."""

    def __init__(self) -> None:
        super().__init__(
            Conv3d(3, 45, (1, 7, 7), (1, 2, 2), (0, 3, 3), bias=False),
            BatchNorm3d(45),
            ReLU(inplace=True),
            Conv3d(45, 64, (3, 1, 1), 1, (1, 0, 0), bias=False),
            BatchNorm3d(64),
            ReLU(inplace=True),
        )


class VideoResNet(Module):
    """The network around the blocks.

    Parameters
    ----------
    block : :class:`BasicBlock`.
    conv_makers : the kind of convolution in each of the four stages.
    layers : blocks in each stage.
    stem : makes the first layers.
    num_classes : outputs.
    zero_init_residual : start each branch at zero.

    Shapes: x (n, 3, d, h, w), d frames, float -> logits (n, num_classes); made for 16 frames of 112 x 112.
    """

    def __init__(
        self,
        block: type[BasicBlock],
        conv_makers: Sequence[Builder],
        layers: Sequence[int],
        stem: Callable[[], Module],
        num_classes: int = 400,
        zero_init_residual: bool = False,
    ):
        super().__init__()
        self.inplanes = 64
        self.stem = stem()
        self.layer1 = self._stage(block, conv_makers[0], 64, layers[0], 1)
        self.layer2 = self._stage(block, conv_makers[1], 128, layers[1], 2)
        self.layer3 = self._stage(block, conv_makers[2], 256, layers[2], 2)
        self.layer4 = self._stage(block, conv_makers[3], 512, layers[3], 2)
        self.avgpool = AdaptiveAvgPool3d((1, 1, 1))
        self.fc = Linear(512 * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, Conv3d):
                init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, Linear):
                init.normal_(module.weight, 0, 0.01)
                zero_bias(module)
            elif zero_init_residual and isinstance(module, BasicBlock):
                init.zeros_(module.conv2[1].weight)

    def _stage(self, block: type[BasicBlock], builder: Builder, planes: int, blocks: int, stride: int) -> Sequential:
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            around = builder.downsample_stride(stride)
            downsample = Sequential(
                Conv3d(self.inplanes, planes * block.expansion, 1, around, bias=False),
                BatchNorm3d(planes * block.expansion),
            )
        stage = [block(self.inplanes, planes, builder, stride, downsample)]
        self.inplanes = planes * block.expansion
        stage += [block(self.inplanes, planes, builder, 1, None) for _ in range(1, blocks)]
        return Sequential(*stage)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)  # (n, 3, 16, 112, 112) -> (n, 64, 16, 56, 56)
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def _video_resnet(
    makers: list[Builder], stem: Any, enum: Any, weights: WeightsLike, progress: bool, config: dict[str, Any]
) -> VideoResNet:
    shape = {"block": BasicBlock, "conv_makers": makers, "layers": [2, 2, 2, 2], "stem": stem}
    return build(VideoResNet, enum, weights, progress, **shape, **config)


@builder_of(R3D_18_Weights)
def r3d_18(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VideoResNet:
    """R3D-18: 33.4 million parameters."""
    return _video_resnet([Conv3DSimple] * 4, BasicStem, R3D_18_Weights, weights, progress, config)


@builder_of(MC3_18_Weights)
def mc3_18(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VideoResNet:
    """MC3-18: 11.7 million parameters."""
    makers: list[Builder] = [Conv3DSimple, Conv3DNoTemporal, Conv3DNoTemporal, Conv3DNoTemporal]
    return _video_resnet(makers, BasicStem, MC3_18_Weights, weights, progress, config)


@builder_of(R2Plus1D_18_Weights)
def r2plus1d_18(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VideoResNet:
    """R(2+1)D-18: 31.5 million parameters."""
    return _video_resnet([Conv2Plus1D] * 4, R2Plus1dStem, R2Plus1D_18_Weights, weights, progress, config)
