"""The convolution layer. The arithmetic is ``F.conv2d``, in ``minicnn/ops/conv.py``; here are its weights."""

from __future__ import annotations

import math
from typing import Any

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import empty

Pair = int | tuple[int, int]


class Conv2d(Module):
    """2-D convolution (cross-correlation, as everywhere in deep learning) over images.

    ``out[n, j] = bias[j] + sum over k of weight[j, k] * x[n, k]``, where ``*`` slides the kernel over the image.

    Parameters
    ----------
    in_channels, out_channels : channels of the input and of the output; both divisible by ``groups``.
    kernel_size : height and width of the kernel: an int for a square one, or a pair.
    stride : step of the kernel, int or pair.
    padding : rows and columns of zeros added on *each* side, int or pair; or ``'valid'`` (none) or ``'same'`` (as
        many as keep the size, for stride 1).
    dilation : distance between the kernel's elements, int or pair.
    groups : blocks of channels that are convolved separately; ``in_channels`` gives a depthwise convolution.
    bias : whether to add a learned number to each output channel.
    padding_mode : ``'zeros'``, the only one so far.
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
    NotImplementedError : ``padding_mode`` other than ``'zeros'``.

    >>> import minicnn as mc
    >>> conv = mc.nn.Conv2d(1, 32, 3, padding=1)
    >>> conv(mc.zeros(8, 1, 28, 28)).shape
    minicnn.Size([8, 32, 28, 28])
    >>> sum(p.numel() for p in conv.parameters())  # 32 kernels of 3x3, and 32 biases
    320
    """

    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: str | Pair = 0,
        dilation: Pair = 1,
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
        self.kernel_size = pair("kernel_size", kernel_size)
        self.stride = pair("stride", stride)
        self.padding = padding if isinstance(padding, str) else pair("padding", padding)
        self.dilation = pair("dilation", dilation)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check_padding()
        options = {"device": device, "dtype": dtype}
        self.weight = Parameter(empty((out_channels, in_channels // groups, *self.kernel_size), **options))
        self.register_parameter("bias", Parameter(empty(out_channels, **options)) if bias else None)
        self.reset_parameters()

    def _check_padding(self) -> None:
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(f"Invalid padding string {self.padding!r}, should be one of 'same', 'valid'")
            if self.padding == "same" and self.stride != (1, 1):
                raise ValueError("padding='same' is not supported for strided convolutions")
        modes = ("zeros", "reflect", "replicate", "circular")
        if self.padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {modes}, but got padding_mode={self.padding_mode!r}")
        if self.padding_mode != "zeros":
            raise NotImplementedError(
                f"padding_mode={self.padding_mode!r} is not there yet: use padding_mode='zeros', or widen the input "
                "with mc.cat before a convolution with padding=0"
            )

    def reset_parameters(self) -> None:
        """Draw weight and bias anew from the default generator."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        reset_bias(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve ``input``."""
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        return text


def pair(name: str, value: Pair) -> tuple[int, int]:
    """``value`` for height and width: ``3`` is ``(3, 3)``.

    Raises
    ------
    ValueError : a sequence whose length is not 2.
    """
    if isinstance(value, int):
        return (value, value)
    if len(value) != 2:
        raise ValueError(f"{name} should be an int or a pair (height, width), got {value!r}")
    return (value[0], value[1])


def reset_bias(weight: Tensor, bias: Tensor | None) -> None:
    """Torch's default for biases: uniform in +-1/sqrt(fan_in) of the weight they belong to."""
    if bias is not None:
        fan_in, _ = init._calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        init.uniform_(bias, -bound, bound)
