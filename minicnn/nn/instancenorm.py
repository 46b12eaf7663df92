"""Instance normalisation layers (Ulyanov et al. 2016). The arithmetic is in ``minicnn/ops/group_norm.py``."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn.batchnorm import _NormBase


class _InstanceNorm(_NormBase):
    spatial: ClassVar[int]  # how many dimensions come after the channels

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``input``; in training mode also move the running statistics, if there are any."""
        alone = self.spatial + 1  # dimensions of an image without a batch
        if input.ndim not in (alone, alone + 1):
            raise ValueError(
                f"expected {alone}D or {alone + 1}D input, got {input.ndim}D input of shape {tuple(input.shape)}"
            )
        c = input.shape[-alone]
        if c != self.num_features:
            if self.affine:
                raise ValueError(f"input: expected {self.num_features} channels, as num_features, got {c}")
            warnings.warn(
                f"input: {c} channels, and num_features is {self.num_features}; without affine it is not used",
                stacklevel=2,
            )
        batch = input.unsqueeze(0) if input.ndim == alone else input
        own = self.training or not self.track_running_stats
        momentum = 0.0 if self.momentum is None else self.momentum
        parameters = self.running_mean, self.running_var, self.weight, self.bias
        out = F.instance_norm(batch, *parameters, own, momentum, self.eps)
        return out.squeeze(0) if input.ndim == alone else out


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of sequences (n, c, length) or (c, length). See ``InstanceNorm2d`` for the arguments."""

    spatial = 1


class InstanceNorm2d(_InstanceNorm):
    """Instance normalisation of images: each channel of each image to mean 0 and variance 1.

    Parameters
    ----------
    num_features : channels c of the input, (n, c, h, w) or (c, h, w).
    eps : added to the variance.
    momentum : weight of the new images in the running statistics.
    affine : whether there are ``weight`` (ones at first) and ``bias`` (zeros), both (c,).
    track_running_stats : whether there are running statistics, which evaluation mode uses.
    device, dtype : where and in which floating-point dtype to make parameters and buffers.
    bias : whether an affine layer has a ``bias``.

    >>> import minicnn as mc
    >>> mc.nn.InstanceNorm2d(1)(mc.tensor([[[[0.0, 2.0], [2.0, 0.0]]]])).flatten()
    tensor([-1.0000,  1.0000,  1.0000, -1.0000])

    Raises
    ------
    ValueError : in the call, for an input of other dimensions, of other channels in an affine layer, or with one value
        a channel.
    """

    spatial = 2


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of volumes (n, c, depth, h, w) or (c, depth, h, w). See ``InstanceNorm2d``."""

    spatial = 3
