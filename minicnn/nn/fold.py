"""``Unfold`` and ``Fold``: ``F.unfold`` and ``F.fold`` (``minicnn/ops/fold.py``) as layers."""

from __future__ import annotations

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.module import Module

Pair = int | tuple[int, int]


class Unfold(Module):
    """im2col: each window of each image as a column. See :func:`minicnn.nn.functional.unfold`.

    >>> import minicnn as mc
    >>> mc.nn.Unfold(3, padding=1)(mc.zeros(2, 4, 5, 6)).shape
    minicnn.Size([2, 36, 30])
    """

    def __init__(self, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """Take the windows out of ``input``."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class Fold(Module):
    """col2im: columns added back into images. See :func:`minicnn.nn.functional.fold`.

    >>> import minicnn as mc
    >>> mc.nn.Fold((5, 6), 3, padding=1)(mc.zeros(2, 36, 30)).shape
    minicnn.Size([2, 4, 5, 6])
    """

    def __init__(
        self, output_size: Pair, kernel_size: Pair, dilation: Pair = 1, padding: Pair = 0, stride: Pair = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Tensor) -> Tensor:
        """Add the columns of ``input`` up."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )
