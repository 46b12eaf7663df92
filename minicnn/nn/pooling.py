"""Pooling layers. The arithmetic is ``F.max_pool2d`` and ``F.avg_pool2d``, in ``minicnn/ops/pooling.py``."""

from __future__ import annotations

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.conv import Pair
from minicnn.nn.module import Module


class MaxPool2d(Module):
    """The largest value in each window of an image.

    Parameters
    ----------
    kernel_size : height and width of the window, int or pair.
    stride : step of the window; the window's size by default.
    padding : rows and columns of -inf on *each* side, at most half the window.
    dilation : distance between the window's elements.
    return_indices : not supported.
    ceil_mode : round the output size up, so that a last, partial window counts.

    The input is (n, c, h, w) or (c, h, w). Among equal values the first, row by row, takes the gradient.

    Raises
    ------
    NotImplementedError : ``return_indices=True``.

    >>> import minicnn as mc
    >>> mc.nn.MaxPool2d(2)(mc.arange(16.0).reshape(1, 1, 4, 4))
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        if return_indices:
            raise NotImplementedError(
                "MaxPool2d(return_indices=True) is not there yet: unfold the windows with F.unfold and take argmax"
            )
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """Pool ``input``."""
        return F.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, dilation=self.dilation, ceil_mode=self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class AvgPool2d(Module):
    """The mean of each window of an image.

    Parameters
    ----------
    kernel_size : height and width of the window, int or pair.
    stride : step of the window; the window's size by default.
    padding : rows and columns of zeros on *each* side, at most half the window.
    ceil_mode : round the output size up, so that a last, partial window counts.
    count_include_pad : whether padded zeros count in the mean's denominator.
    divisor_override : the denominator, instead of the window's size.

    The input is (n, c, h, w) or (c, h, w).

    >>> import minicnn as mc
    >>> mc.nn.AvgPool2d(2)(mc.arange(16.0).reshape(1, 1, 4, 4))
    tensor([[[[ 2.5000,  4.5000],
              [10.5000, 12.5000]]]])
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """Pool ``input``."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
