"""Pieces that several families share: convolution + norm + activation, squeeze-and-excitation, stochastic depth.

Their parameter names are torchvision's, so that its weights fit: a :class:`ConvNormActivation` numbers its parts 0, 1, 2.
"""

from __future__ import annotations

from collections.abc import Callable

from ..autograd import Tensor
from ..nn import AdaptiveAvgPool2d, BatchNorm2d, Conv2d, LayerNorm, Module, ReLU, Sequential, Sigmoid, init
from ..ops.dropout import stochastic_depth

Layer = Callable[..., Module]


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of ``divisor`` nearest to ``value``, but never less than nine tenths of it.

    >>> make_divisible(18), make_divisible(37), make_divisible(3)
    (24, 40, 8)
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def zero_bias(layer: Module) -> None:
    """Fill the layer's bias, if it has one, with 0."""
    if layer.bias is not None:
        init.zeros_(layer.bias)


class ConvNormActivation(Sequential):
    """A convolution that keeps the size (but for its stride), a norm, an activation: parts 0, 1 and 2.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, groups : as in ``Conv2d``; the padding is half of the kernel.
    norm_layer : from the number of channels to a layer, or None; the convolution has a bias only without one.
    activation_layer : makes a layer, or None.
    dilation : as in ``Conv2d``, with as much more padding.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        groups: int = 1,
        norm_layer: Layer | None = BatchNorm2d,
        activation_layer: Layer | None = ReLU,
        dilation: int = 1,
    ):
        padding, bias = (kernel_size - 1) // 2 * dilation, norm_layer is None
        layers: list[Module] = [
            Conv2d(in_channels, out_channels, kernel_size, stride, padding, dilation, groups=groups, bias=bias)
        ]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer())
        super().__init__(*layers)
        self.out_channels = out_channels


class SqueezeExcitation(Module):
    """Each channel weighed by what the whole image says (Hu, Shen and Sun 2018, equations 2 to 4).

    ``y = x * gate(fc2(activation(fc1(mean of x over the image))))``, with two 1x1 convolutions.

    Shapes: (n, c, h, w) -> (n, c, h, w).
    """

    def __init__(
        self, input_channels: int, squeeze_channels: int, activation: Layer = ReLU, scale_activation: Layer = Sigmoid
    ):
        super().__init__()
        self.avgpool = AdaptiveAvgPool2d(1)
        self.fc1 = Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, x: Tensor) -> Tensor:
        scale = self.activation(self.fc1(self.avgpool(x)))  # (n, c, h, w) -> (n, c_out, 1, 1)
        return x * self.scale_activation(self.fc2(scale))


class StochasticDepth(Module):
    """In training, drop a residual branch for some rows of the batch (Huang, Sun, Liu, Sedra and Weinberger 2016).

    Parameters
    ----------
    p : the probability of dropping. What stays is divided by 1 - p, so that the mean stays.
    mode : ``"row"`` draws for each image of the batch, ``"batch"`` once for all.
    """

    def __init__(self, p: float, mode: str = "row"):
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"p: a probability of dropping is from 0 to 1, got {p}")
        if mode not in ("row", "batch"):
            raise ValueError(f"mode: expected 'row' or 'batch', got {mode!r}")
        self.p, self.mode = p, mode

    def forward(self, x: Tensor) -> Tensor:
        return stochastic_depth(x, self.p, self.mode, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode!r}"


class LayerNorm2d(LayerNorm):
    """Layer norm over the channels of each pixel: (n, c, h, w) -> (n, c, h, w)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
