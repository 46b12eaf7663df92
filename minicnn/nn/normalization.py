"""Layer, RMS, group and local response normalisation as layers. The arithmetic is in ``minicnn/ops``: ``layer_norm.py``
and ``group_norm.py``. (Batch normalisation is in ``batchnorm.py``, instance normalisation in ``instancenorm.py``.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import empty


class _Affine(Module):
    """A learned scale, ones at first, and perhaps a shift, zeros."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_parameters(self, shape: Sequence[int], weight: bool, bias: bool | None, options: dict[str, Any]) -> None:
        self.register_parameter("weight", Parameter(empty(*shape, **options)) if weight else None)
        if bias is not None:
            self.register_parameter("bias", Parameter(empty(*shape, **options)) if weight and bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the scale to 1 and the shift to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        bias = self._parameters.get("bias")  # (RMS normalisation has none)
        if bias is not None:
            init.zeros_(bias)


class LayerNorm(_Affine):
    """:func:`~minicnn.nn.functional.layer_norm` with a learned scale and shift, element by element.

    Parameters
    ----------
    normalized_shape : the sizes of the last dimensions, or one size.
    eps : added to the variance.
    elementwise_affine : whether there are ``weight`` (ones at first) and ``bias`` (zeros), of ``normalized_shape``.
    bias : whether an affine layer has a ``bias``.
    device, dtype : where and in which floating-point dtype to make the parameters.

    >>> import minicnn as mc
    >>> mc.nn.LayerNorm(2, eps=0.0, elementwise_affine=False)(mc.tensor([[1.0, 3.0]]))
    tensor([[-1.,  1.]])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_parameters(self.normalized_shape, elementwise_affine, bias, {"device": device, "dtype": dtype})

    def forward(self, input: Tensor) -> Tensor:
        """Normalise the last dimensions of ``input``."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    """:func:`~minicnn.nn.functional.rms_norm` with a learned scale, element by element; ``LayerNorm`` has the arguments.

    >>> import minicnn as mc
    >>> mc.nn.RMSNorm(2, elementwise_affine=False)(mc.tensor([1.0, 7.0]))
    tensor([0.2000, 1.4000])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_parameters(self.normalized_shape, elementwise_affine, None, {"device": device, "dtype": dtype})

    def forward(self, input: Tensor) -> Tensor:
        """Normalise the last dimensions of ``input``."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(_Affine):
    """:func:`~minicnn.nn.functional.group_norm` with a learned scale and shift a channel.

    Parameters
    ----------
    num_groups : how many groups the channels are cut into.
    num_channels : channels c of the input (n, c, \\*spatial).
    eps : added to the variance.
    affine : whether there are ``weight`` (ones at first) and ``bias`` (zeros), both (c,).
    device, dtype : where and in which floating-point dtype to make the parameters.
    bias : whether an affine layer has a ``bias``.

    >>> import minicnn as mc
    >>> mc.nn.GroupNorm(2, 4, eps=0.0, affine=False)(mc.tensor([[1.0, 3.0, 0.0, 4.0]]))
    tensor([[-1.,  1., -1.,  1.]])

    Raises
    ------
    ValueError : channels that do not fall into the groups.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_parameters((num_channels,), affine, bias, {"device": device, "dtype": dtype})

    def forward(self, input: Tensor) -> Tensor:
        """Normalise the groups of channels of ``input``."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """:func:`~minicnn.nn.functional.local_response_norm` as a layer (AlexNet's).

    >>> import minicnn as mc
    >>> mc.nn.LocalResponseNorm(2, alpha=6.0, beta=1.0)(mc.ones(1, 3, 1)).flatten()
    tensor([0.2500, 0.1429, 0.1429])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        """Normalise across the channels of ``input``."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """A relic of Lua Torch: not there, since ``LocalResponseNorm`` computes the same.

    Raises
    ------
    NotImplementedError : always.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1) -> None:
        raise NotImplementedError(
            "CrossMapLRN2d: not there; LocalResponseNorm, with the same arguments, computes the same"
        )


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    return (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
