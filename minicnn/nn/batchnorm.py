"""Batch normalisation layers (Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167).

The arithmetic is ``F.batch_norm``, in ``minicnn/ops/norm.py``; here are the learned scale and shift, and the running
statistics: which of them are used in training and in evaluation, and how fast they move.
"""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Tensor
from minicnn.dtypes import int64
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import empty, ones, tensor, zeros


class _NormBase(Module):
    """Scale, shift and running statistics, one of each a channel; what batch and instance normalisation share."""

    _version = 2  # 2 added num_batches_tracked
    frozen = False  # True: train() leaves it in evaluation mode, its statistics as they are (minicnn.transfer.freeze)

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        options = {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(empty(num_features, **options)) if affine else None)
        self.register_parameter("bias", Parameter(empty(num_features, **options)) if affine and bias else None)
        tracked = track_running_stats
        self.register_buffer("running_mean", zeros(num_features, **options) if tracked else None)
        self.register_buffer("running_var", ones(num_features, **options) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0, dtype=int64, device=device) if tracked else None)
        self.reset_parameters()

    def train(self, mode: bool = True) -> Any:
        """Training or evaluation mode; a frozen one stays in evaluation mode."""
        return super().train(mode and not self.frozen)

    def reset_running_stats(self) -> None:
        """Forget what was tracked: mean 0, variance 1, no batches."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Reset the running statistics, the scale to 1 and the shift to 0."""
        self.reset_running_stats()
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], *args: Any
    ) -> None:
        key = prefix + "num_batches_tracked"
        if local_metadata.get("version", 1) < 2 and self.num_batches_tracked is not None and key not in state_dict:
            # Written before the counter was there, or by something that has none (many published weights): keep ours.
            state_dict[key] = self.num_batches_tracked.clone()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_NormBase):
    def forward(self, input: Tensor) -> Tensor:
        """Normalise ``input``; in training mode also move the running statistics."""
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        tracking = self.training and self.track_running_stats
        if tracking and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # a plain average over all batches so far
                momentum = 1.0 / float(self.num_batches_tracked.item())
        use_running = not self.training or self.track_running_stats
        return F.batch_norm(
            input,
            self.running_mean if use_running else None,
            self.running_var if use_running else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,  # without running statistics the batch's own serve in eval too
            momentum,
            self.eps,
        )

    def _check_input_dim(self, input: Tensor) -> None:
        raise NotImplementedError


class BatchNorm1d(_BatchNorm):
    """Batch normalisation of features (n, c), or of sequences (n, c, length). See ``BatchNorm2d`` for the arguments.

    >>> import minicnn as mc
    >>> mc.nn.BatchNorm1d(2)(mc.tensor([[1.0, 5.0], [3.0, 5.0]]))
    tensor([[-1.0000,  0.0000],
            [ 1.0000,  0.0000]], grad_fn=<...>)
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (2, 3):
            raise ValueError(
                f"expected 2D or 3D input (n, c) or (n, c, length), got {input.ndim}D input of shape "
                f"{tuple(input.shape)}"
            )


class BatchNorm2d(_BatchNorm):
    """Batch normalisation of images: each channel to mean 0 and variance 1, then a learned scale and shift.

    ``y = (x - mean) / sqrt(var + eps) * weight + bias``

    Training mode takes mean and *biased* variance over (n, h, w) of the batch, and moves the running ones:
    ``running = (1 - momentum) * running + momentum * new``, with the *unbiased* variance. Evaluation mode uses the
    running ones.

    Parameters
    ----------
    num_features : channels c of the input (n, c, h, w).
    eps : added to the variance.
    momentum : weight of the new batch in the running statistics; ``None`` averages all batches equally.
    affine : whether there are ``weight`` (ones at first) and ``bias`` (zeros), both (c,).
    track_running_stats : whether there are ``running_mean``, ``running_var`` (c,) and ``num_batches_tracked``;
        without them evaluation uses the batch as well.
    device, dtype : where and in which floating-point dtype to make parameters and buffers.
    bias : whether an affine layer has a ``bias``.

    Raises
    ------
    ValueError : in the call, for an input that is not 4-D, or with one value a channel in training mode.

    >>> import minicnn as mc
    >>> norm = mc.nn.BatchNorm2d(1)
    >>> norm(mc.tensor([[[[0.0, 2.0], [2.0, 0.0]]]])).flatten()
    tensor([-1.0000,  1.0000,  1.0000, -1.0000], grad_fn=<...>)
    >>> norm.running_mean  # 0.9 * 0 + 0.1 * 1
    tensor([0.1000])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim != 4:
            raise ValueError(
                f"expected 4D input (n, c, h, w), got {input.ndim}D input of shape {tuple(input.shape)}; "
                "x.unsqueeze(0) makes a batch of one image"
            )


class BatchNorm3d(_BatchNorm):
    """Batch normalisation of volumes (n, c, depth, h, w). See ``BatchNorm2d`` for the arguments.

    >>> import minicnn as mc
    >>> mc.nn.BatchNorm3d(2)(mc.randn(4, 2, 3, 3, 3)).shape
    minicnn.Size([4, 2, 3, 3, 3])
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim != 5:
            raise ValueError(
                f"expected 5D input (n, c, depth, h, w), got {input.ndim}D input of shape {tuple(input.shape)}"
            )


class SyncBatchNorm(_BatchNorm):
    """Batch normalisation over the batches of several machines: not there, since training on several machines is not.

    Raises
    ------
    NotImplementedError : always; on one machine ``BatchNorm1d`` to ``BatchNorm3d`` compute the same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "SyncBatchNorm: there is no training on several machines; BatchNorm1d, BatchNorm2d and BatchNorm3d compute "
            "the same on one"
        )
