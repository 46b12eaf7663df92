"""Pooling layers: the functions of ``minicnn/ops/pooling.py``, ``adaptive_pooling.py`` and ``unpooling.py`` with their
arguments kept.

What the arguments mean stands at the functions, shapes and all. One base a kind, and a class for each number of dimensions,
with an example at the one for images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.module import Module

Ints = int | Sequence[int]
Sizes = int | None | Sequence[int | None]


class _MaxPool(Module):
    """The largest value in each window, and where it lies with ``return_indices``."""

    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        """Pool ``input``."""
        window = self.kernel_size, self.stride, self.padding, self.dilation
        return self.function(input, *window, ceil_mode=self.ceil_mode, return_indices=self.return_indices)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest value in each window of a sequence: :func:`minicnn.nn.functional.max_pool1d`."""

    function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest value in each window of an image: :func:`minicnn.nn.functional.max_pool2d`.

    Parameters
    ----------
    kernel_size : height and width of the window, int or pair.
    stride : step of the window; the window's size by default.
    padding : rows and columns of -inf on *each* side, at most half the window.
    dilation : distance between the window's elements.
    return_indices : return the places of the maxima too, for :class:`MaxUnpool2d`.
    ceil_mode : round the output size up, so that a last, partial window counts.

    The input is (n, c, h, w) or (c, h, w). Among equal values the first, row by row, takes the gradient.

    >>> import minicnn as mc
    >>> mc.nn.MaxPool2d(2)(mc.arange(16.0).reshape(1, 1, 4, 4))
    tensor([[[[ 5.,  7.],
              [13., 15.]]]])
    """

    function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest value in each window of a volume: :func:`minicnn.nn.functional.max_pool3d`."""

    function = staticmethod(F.max_pool3d)


class _MaxUnpool(Module):
    """Maxima back in their places, zeros elsewhere. ``forward(input, indices, output_size=None)``."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0) -> None:
        super().__init__()
        self.kernel_size = self._tuple(kernel_size)
        self.stride = self._tuple(stride if stride is not None else kernel_size)
        self.padding = self._tuple(padding)

    dims: ClassVar[int]

    def _tuple(self, value: Ints) -> tuple[int, ...]:
        return (value,) * self.dims if isinstance(value, int) else tuple(value)

    def forward(self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """Put the elements of ``input`` where ``indices`` says."""
        return self.function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The maxima of a sequence back in their places: :func:`minicnn.nn.functional.max_unpool1d`."""

    dims, function = 1, staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """The maxima of an image back in their places: :func:`minicnn.nn.functional.max_unpool2d`.

    >>> import minicnn as mc
    >>> out, indices = mc.nn.MaxPool2d(2, return_indices=True)(mc.tensor([[[1.0, 2.0], [4.0, 3.0]]]))
    >>> mc.nn.MaxUnpool2d(2)(out, indices)
    tensor([[[0., 0.],
             [4., 0.]]])
    """

    dims, function = 2, staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """The maxima of a volume back in their places: :func:`minicnn.nn.functional.max_unpool3d`."""

    dims, function = 3, staticmethod(F.max_unpool3d)


class AvgPool1d(Module):
    """The mean of each window of a sequence: :func:`minicnn.nn.functional.avg_pool1d`."""

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride, self.padding = (
            (value,) if isinstance(value, int) else tuple(value)
            for value in (kernel_size, stride if stride is not None else kernel_size, padding)
        )
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """Pool ``input``."""
        window = self.kernel_size, self.stride, self.padding
        return F.avg_pool1d(input, *window, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    """The mean of each window."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
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
        window = self.kernel_size, self.stride, self.padding
        return self.function(input, *window, self.ceil_mode, self.count_include_pad, self.divisor_override)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window of an image: :func:`minicnn.nn.functional.avg_pool2d`.

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

    function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window of a volume: :func:`minicnn.nn.functional.avg_pool3d`."""

    function = staticmethod(F.avg_pool3d)


class _LPPool(Module):
    """The p-norm of each window, ``(sum of x^p)^(1/p)``."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(
        self, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """Pool ``input``."""
        return self.function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The p-norm of each window of a sequence: :func:`minicnn.nn.functional.lp_pool1d`."""

    function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """The p-norm of each window of an image: :func:`minicnn.nn.functional.lp_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.LPPool2d(2, 2)(mc.tensor([[[3.0, 0.0], [0.0, 4.0]]]))
    tensor([[[5.]]])
    """

    function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """The p-norm of each window of a volume: :func:`minicnn.nn.functional.lp_pool3d`."""

    function = staticmethod(F.lp_pool3d)


class _AdaptiveMaxPool(Module):
    """The largest value of each of ``output_size`` windows, and where it lies with ``return_indices``."""

    function: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: Sizes, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        """Pool ``input``."""
        return self.function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima of windows spread evenly over a sequence: :func:`minicnn.nn.functional.adaptive_max_pool1d`."""

    function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima of windows spread evenly over an image: :func:`minicnn.nn.functional.adaptive_max_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.AdaptiveMaxPool2d((1, 2))(mc.arange(12.0).reshape(1, 3, 4))
    tensor([[[ 9., 11.]]])
    """

    function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima of windows spread evenly over a volume: :func:`minicnn.nn.functional.adaptive_max_pool3d`."""

    function = staticmethod(F.adaptive_max_pool3d)


class _AdaptiveAvgPool(Module):
    """The mean of each of ``output_size`` windows."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Pool ``input``."""
        return self.function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means of windows spread evenly over a sequence: :func:`minicnn.nn.functional.adaptive_avg_pool1d`."""

    function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means of windows spread evenly over an image: :func:`minicnn.nn.functional.adaptive_avg_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.AdaptiveAvgPool2d(1)(mc.arange(12.0).reshape(1, 3, 4))
    tensor([[[5.5000]]])
    """

    function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means of windows spread evenly over a volume: :func:`minicnn.nn.functional.adaptive_avg_pool3d`."""

    function = staticmethod(F.adaptive_avg_pool3d)
