"""The transposed convolution layers. The arithmetic is ``F.conv_transpose2d``, in ``minicnn/ops/conv_transpose.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.conv import Ints, _ConvNd
from minicnn_kernels.geometry import conv_transpose_output_size


class _ConvTransposeNd(_ConvNd):
    transposed = True
    padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}, got {padding_mode!r}')
        if isinstance(padding, str):
            raise ValueError(f"padding should be an int or {self._axes} of them, got {padding!r}")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )
        self.output_padding = self._numbers("output_padding", output_padding)

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Stamp the filters onto a larger image.

        Parameters
        ----------
        output_size : which of the sizes that lead to the input's size the output has, in place of ``output_padding``: of
            the spatial axes, or a whole shape.

        Raises
        ------
        ValueError : an ``output_size`` that does not lead to the input's size.
        """
        convolve = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self._axes - 1]
        extra = self.output_padding if output_size is None else self._extra(input, output_size)
        return convolve(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Tensor, output_size: Sequence[int]) -> tuple[int, ...]:
        """The output padding that leads to ``output_size``."""
        axes = self._axes
        leading = input.ndim - axes
        sizes = tuple(output_size)
        if len(sizes) == leading + axes:
            sizes = sizes[leading:]
        if len(sizes) != axes:
            raise ValueError(
                f"{type(self).__name__}: for {input.ndim}D input, output_size must have {axes} or {leading + axes} elements "
                f"(got {len(sizes)})"
            )
        smallest = tuple(
            conv_transpose_output_size(*numbers)
            for numbers in zip(
                input.shape[leading:],
                self.kernel_size,
                self.stride,
                self.padding,
                (0,) * axes,
                self.dilation,
                strict=True,
            )
        )
        extra = tuple(size - low for size, low in zip(sizes, smallest, strict=True))
        if any(not 0 <= e < s for e, s in zip(extra, self.stride, strict=True)):
            largest = tuple(low + s - 1 for low, s in zip(smallest, self.stride, strict=True))
            raise ValueError(
                f"requested an output size of {sizes}, but valid sizes range from {smallest} to {largest} (for an input of "
                f"{tuple(input.shape[leading:])})"
            )
        return extra


class ConvTranspose1d(_ConvTransposeNd):
    """1-D transposed convolution over sequences: :class:`ConvTranspose2d` with one spatial axis.

    >>> import minicnn as mc
    >>> mc.nn.ConvTranspose1d(8, 4, 4, stride=2, padding=1)(mc.zeros(2, 8, 50)).shape
    minicnn.Size([2, 4, 100])
    """

    _axes = 1


class ConvTranspose2d(_ConvTransposeNd):
    """2-D transposed convolution over images: the gradient of a convolution for its input, as a layer.

    Parameters
    ----------
    in_channels, out_channels : channels of the input and of the output; both divisible by ``groups``.
    kernel_size, stride, padding, dilation : of the convolution that it is the transpose of: int or pair. The stride
        enlarges, the padding cuts off.
    output_padding : rows and columns added on the far side only; smaller than ``stride`` or ``dilation``.
    groups : blocks of channels that are kept separate.
    bias : whether to add a learned number to each output channel.
    padding_mode : ``'zeros'``.
    device, dtype : where and in which floating-point dtype to make the parameters.

    Attributes
    ----------
    weight : (in_channels, out_channels / groups, kh, kw), uniform in +-1/sqrt(fan) at first, with
        fan = out_channels / groups * kh * kw, as torch has it.
    bias : (out_channels,), of the same distribution; ``None`` with ``bias=False``.

    The input is (n, in_channels, h, w) or (in_channels, h, w); the output's height is
    ``(h - 1) stride - 2 padding + dilation (kh - 1) + output_padding + 1``, its width likewise.

    Raises
    ------
    ValueError : channels that ``groups`` does not divide, a ``padding_mode`` other than ``'zeros'``.

    >>> import minicnn as mc
    >>> down, up = mc.nn.Conv2d(3, 8, 3, stride=2), mc.nn.ConvTranspose2d(8, 3, 3, stride=2)
    >>> small = down(mc.zeros(1, 3, 12, 13))
    >>> small.shape, up(small).shape, up(small, output_size=(12, 13)).shape
    (minicnn.Size([1, 8, 5, 6]), minicnn.Size([1, 3, 11, 13]), minicnn.Size([1, 3, 12, 13]))
    """

    _axes = 2


class ConvTranspose3d(_ConvTransposeNd):
    """3-D transposed convolution over volumes: :class:`ConvTranspose2d` with three spatial axes.

    >>> import minicnn as mc
    >>> mc.nn.ConvTranspose3d(8, 4, 2, stride=2)(mc.zeros(1, 8, 4, 5, 6)).shape
    minicnn.Size([1, 4, 8, 10, 12])
    """

    _axes = 3
