"""The convolution layers. The arithmetic is ``F.conv2d``, in ``minicnn/ops/conv.py``; here are the weights.

One layer for one, two and three dimensions, ``_ConvNd``; a class each only says how many. Transposed convolutions are in
``conv_transpose.py``.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import empty
from minicnn_kernels.geometry import to_tuple

Pair = int | tuple[int, int]
Ints = int | tuple[int, ...]

MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What all convolution layers have: settings, a weight and a bias; ``Conv2d`` documents them."""

    _axes: ClassVar[int]  # how many spatial axes
    transposed = False

    weight: Parameter
    bias: Parameter | None
    padding: str | tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: str | Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {groups}")
        if in_channels % groups != 0:
            raise ValueError(f"in_channels must be divisible by groups, got in_channels={in_channels}, groups={groups}")
        if out_channels % groups != 0:
            raise ValueError(
                f"out_channels must be divisible by groups, got out_channels={out_channels}, groups={groups}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = self._numbers("kernel_size", kernel_size)
        self.stride = self._numbers("stride", stride)
        self.padding = padding if isinstance(padding, str) else self._numbers("padding", padding)
        self.dilation = self._numbers("dilation", dilation)
        self.output_padding = (0,) * self._axes
        self.groups = groups
        self.padding_mode = padding_mode
        self._check_padding()
        options = {"device": device, "dtype": dtype}
        self.weight = Parameter(empty(self._weight_shape(), **options))
        self.register_parameter("bias", Parameter(empty(out_channels, **options)) if bias else None)
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        """(c_out, c_in / groups, *kernel); with input and output exchanged for a transposed convolution."""
        into, out = self.in_channels, self.out_channels
        first, second = (into, out) if self.transposed else (out, into)
        return (first, second // self.groups, *self.kernel_size)

    def _numbers(self, name: str, value: Ints) -> tuple[int, ...]:
        """One number for each spatial axis."""
        return to_tuple(value, name, self._axes)

    def _check_padding(self) -> None:
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {self.padding!r}, should be one of 'same', 'valid'")
            if self.padding == "same" and max(self.stride) > 1:
                raise ValueError("padding='same' is not supported for strided convolutions")
        if self.padding_mode not in MODES:
            raise ValueError(f"padding_mode must be one of {MODES}, but got padding_mode={self.padding_mode!r}")

    def reset_parameters(self) -> None:
        """Draw weight and bias anew from the default generator."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        reset_bias(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve ``input``."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve with another weight and bias than the layer's own: torch's hook for subclasses."""
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self._axes - 1]
        padding: str | Ints = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._border(), self.padding_mode)
            padding = 0
        return convolve(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def _border(self) -> list[int]:
        """The padding as ``F.pad`` takes it: before and after, the last axis first."""
        if self.padding == "valid":
            return [0, 0] * self._axes
        if isinstance(self.padding, str):  # same: what is uneven comes after
            total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [part for t in reversed(total) for part in (t // 2, t - t // 2)]
        return [part for p in reversed(self.padding) for part in (p, p)]

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        none = (0,) * self._axes
        if self.padding != none:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self._axes:
            text += f", dilation={self.dilation}"
        if self.output_padding != none:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(_ConvNd):
    """1-D convolution over sequences: :class:`Conv2d` with one spatial axis.

    The input is (n, in_channels, length) or (in_channels, length); tuples have one number. ``weight`` is (out_channels,
    in_channels / groups, kw).

    >>> import minicnn as mc
    >>> mc.nn.Conv1d(8, 16, 5, stride=2)(mc.zeros(4, 8, 101)).shape
    minicnn.Size([4, 16, 49])
    """

    _axes = 1


class Conv2d(_ConvNd):
    """2-D convolution (cross-correlation, as everywhere in deep learning) over images.

    ``out[n, j] = bias[j] + sum over k of weight[j, k] * x[n, k]``, where ``*`` slides the kernel over the image.

    Parameters
    ----------
    in_channels, out_channels : channels of the input and of the output; both divisible by ``groups``.
    kernel_size : height and width of the kernel: an int for a square one, or a pair.
    stride : step of the kernel, int or pair.
    padding : rows and columns added on *each* side, int or pair; or ``'valid'`` (none) or ``'same'`` (as many as keep
        the size, for stride 1).
    dilation : distance between the kernel's elements, int or pair.
    groups : blocks of channels that are convolved separately; ``in_channels`` gives a depthwise convolution.
    bias : whether to add a learned number to each output channel.
    padding_mode : what is added: ``'zeros'``, or of the image itself, ``'reflect'``, ``'replicate'`` or ``'circular'``:
        see :func:`minicnn.nn.functional.pad`.
    device, dtype : where and in which floating-point dtype to make the parameters.

    Attributes
    ----------
    weight : (out_channels, in_channels / groups, kh, kw), uniform in +-1/sqrt(fan_in) at first, with
        fan_in = in_channels / groups * kh * kw (He et al. 2015, https://arxiv.org/abs/1502.01852, with a = sqrt(5)).
    bias : (out_channels,), of the same distribution; ``None`` with ``bias=False``.

    The input is (n, in_channels, h, w) or (in_channels, h, w); the output's height is
    ``floor((h + 2 padding - dilation (kh - 1) - 1) / stride) + 1``, its width likewise.

    Raises
    ------
    ValueError : channels that ``groups`` does not divide, an unknown ``padding`` or ``padding_mode``, or ``'same'``
        with a stride.

    >>> import minicnn as mc
    >>> conv = mc.nn.Conv2d(1, 32, 3, padding=1)
    >>> conv(mc.zeros(8, 1, 28, 28)).shape
    minicnn.Size([8, 32, 28, 28])
    >>> sum(p.numel() for p in conv.parameters())  # 32 kernels of 3x3, and 32 biases
    320
    """

    _axes = 2


class Conv3d(_ConvNd):
    """3-D convolution over volumes, or over films with time as the depth: :class:`Conv2d` with three spatial axes.

    The input is (n, in_channels, d, h, w) or (in_channels, d, h, w); tuples are for depth, height and width. ``weight`` is
    (out_channels, in_channels / groups, kd, kh, kw).

    >>> import minicnn as mc
    >>> mc.nn.Conv3d(3, 8, (1, 3, 3), padding=(0, 1, 1))(mc.zeros(2, 3, 4, 10, 10)).shape
    minicnn.Size([2, 8, 4, 10, 10])
    """

    _axes = 3


def reset_bias(weight: Tensor, bias: Tensor | None) -> None:
    """Torch's default for biases: uniform in +-1/sqrt(fan_in) of the weight they belong to."""
    if bias is not None:
        fan_in, _ = init._calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        init.uniform_(bias, -bound, bound)
