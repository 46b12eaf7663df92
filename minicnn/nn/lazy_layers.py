"""The lazy layers: ``LazyLinear``, ``LazyConv2d`` and their like. How laziness works is in ``lazy.py``.

Each takes the arguments of the layer it becomes, without the size of the input.
"""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Tensor
from minicnn.nn.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d, _BatchNorm
from minicnn.nn.conv import Conv1d, Conv2d, Conv3d, Ints, _ConvNd
from minicnn.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, _ConvTransposeNd
from minicnn.nn.lazy import LazyModuleMixin, UninitializedBuffer, UninitializedParameter
from minicnn.nn.linear import Linear
from minicnn.ops import tensor


class LazyLinear(LazyModuleMixin, Linear):
    """A :class:`Linear` whose ``in_features`` is the last size of its first input.

    >>> import minicnn as mc
    >>> model = mc.nn.Sequential(mc.nn.Flatten(), mc.nn.LazyLinear(10))
    >>> _ = model(mc.zeros(1, 64, 7, 7))
    >>> model[1].in_features
    3136
    """

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, 0, bias=False)
        self.out_features = out_features
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw weight and bias, if they have a shape."""
        if not self.has_uninitialized_params() and self.in_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Take ``in_features`` from the input; or, where the parameters were loaded, check it."""
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            _materialize(self.weight, self.out_features, self.in_features)
            _materialize(self.bias, self.out_features)
            self.reset_parameters()
        self.in_features = self.weight.shape[-1]


class _LazyConv(LazyModuleMixin, _ConvNd):
    def reset_parameters(self) -> None:
        """Draw weight and bias, if they have a shape."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def _without_shapes(self, out_channels: int, bias: bool, device: Any, dtype: Any) -> None:
        """Forget what the ordinary constructor made for 0 channels."""
        if out_channels % self.groups != 0:
            raise ValueError(
                f"out_channels must be divisible by groups, got out_channels={out_channels}, groups={self.groups}"
            )
        self.out_channels = out_channels
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Take ``in_channels`` from the input."""
        axes = self._axes
        if input.ndim not in (axes + 1, axes + 2):
            raise RuntimeError(
                f"Expected {axes + 1}D (unbatched) or {axes + 2}D (batched) input to {type(self).__name__}, but got input "
                f"of size: {tuple(input.shape)}"
            )
        if self.has_uninitialized_params():
            self.in_channels = input.shape[-axes - 1]
            if self.in_channels % self.groups != 0:
                raise ValueError(
                    f"in_channels must be divisible by groups, got in_channels={self.in_channels}, groups={self.groups}"
                )
            _materialize(self.weight, *self._weight_shape())
            _materialize(self.bias, self.out_channels)
            self.reset_parameters()
        else:  # loaded
            self.in_channels = self.weight.shape[0] if self.transposed else self.weight.shape[1] * self.groups


class _LazyForwardConv(_LazyConv):
    def __init__(
        self,
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
        super().__init__(0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode)
        self._without_shapes(out_channels, bias, device, dtype)


class _LazyTransposedConv(_LazyConv, _ConvTransposeNd):
    def __init__(
        self,
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
        super().__init__(0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation, padding_mode)
        self._without_shapes(out_channels, bias, device, dtype)


class LazyConv1d(_LazyForwardConv, Conv1d):
    """A :class:`Conv1d` whose ``in_channels`` comes from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyForwardConv, Conv2d):
    """A :class:`Conv2d` whose ``in_channels`` comes from its first input.

    >>> import minicnn as mc
    >>> conv = mc.nn.LazyConv2d(32, 3)
    >>> conv(mc.zeros(1, 3, 28, 28)).shape, conv.in_channels
    (minicnn.Size([1, 32, 26, 26]), 3)
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyForwardConv, Conv3d):
    """A :class:`Conv3d` whose ``in_channels`` comes from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTransposedConv, ConvTranspose1d):
    """A :class:`ConvTranspose1d` whose ``in_channels`` comes from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposedConv, ConvTranspose2d):
    """A :class:`ConvTranspose2d` whose ``in_channels`` comes from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposedConv, ConvTranspose3d):
    """A :class:`ConvTranspose3d` whose ``in_channels`` comes from its first input."""

    cls_to_become = ConvTranspose3d


class _LazyBatchNorm(LazyModuleMixin, _BatchNorm):
    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False, bias=False)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
            if bias:
                self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = tensor(0)

    def reset_parameters(self) -> None:
        """Set the parameters and the running statistics, if they have a shape."""
        if not self.has_uninitialized_params() and self.num_features != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Take ``num_features`` from the input."""
        if self.has_uninitialized_params():
            self.num_features = input.shape[1]
            for value in (self.weight, self.bias, self.running_mean, self.running_var):
                _materialize(value, self.num_features)
            self.reset_parameters()
        elif self.weight is not None:  # loaded
            self.num_features = self.weight.shape[0]


class LazyBatchNorm1d(_LazyBatchNorm, BatchNorm1d):
    """A :class:`BatchNorm1d` whose ``num_features`` comes from its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyBatchNorm, BatchNorm2d):
    """A :class:`BatchNorm2d` whose ``num_features`` comes from its first input.

    >>> import minicnn as mc
    >>> norm = mc.nn.LazyBatchNorm2d()
    >>> _ = norm(mc.zeros(2, 5, 4, 4))
    >>> norm.num_features
    5
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyBatchNorm, BatchNorm3d):
    """A :class:`BatchNorm3d` whose ``num_features`` comes from its first input."""

    cls_to_become = BatchNorm3d


def _materialize(value: Any, *shape: int) -> None:
    if isinstance(value, (UninitializedParameter, UninitializedBuffer)):
        value.materialize(shape)
