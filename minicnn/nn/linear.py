"""The fully connected layer and the bilinear one, and those that only hand on: ``Identity``, ``Flatten``, ``Unflatten``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.conv import reset_bias
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import empty


class Linear(Module):
    """``y = x W^T + b``.

    Parameters
    ----------
    in_features, out_features : size of the last dimension of the input and of the output.
    bias : whether there is a ``b``.
    device, dtype : where and in which floating-point dtype to make the parameters.

    Attributes
    ----------
    weight : (out_features, in_features), uniform in +-1/sqrt(in_features) at first.
    bias : (out_features,), of the same distribution; ``None`` with ``bias=False``.

    The input is (..., in_features), the output (..., out_features).

    >>> import minicnn as mc
    >>> mc.nn.Linear(64 * 7 * 7, 512)(mc.zeros(8, 64 * 7 * 7)).shape
    minicnn.Size([8, 512])
    """

    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        options = {"device": device, "dtype": dtype}
        self.weight = Parameter(empty((out_features, in_features), **options))
        self.register_parameter("bias", Parameter(empty(out_features, **options)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew from the default generator."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        reset_bias(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        """Apply the layer to the last dimension of ``input``."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """``y_o = x1^T W_o x2 + b_o``: a product of two inputs for each output.

    Parameters
    ----------
    in1_features, in2_features, out_features : sizes of the last dimensions of the inputs and of the output.
    bias : whether there is a ``b``.
    device, dtype : where and in which floating-point dtype to make the parameters.

    Attributes
    ----------
    weight : (out_features, in1_features, in2_features), uniform in +-1/sqrt(in1_features) at first.
    bias : (out_features,), of the same distribution; ``None`` with ``bias=False``.

    >>> import minicnn as mc
    >>> mc.nn.Bilinear(3, 4, 5)(mc.zeros(8, 3), mc.zeros(8, 4)).shape
    minicnn.Size([8, 5])

    Raises
    ------
    ValueError : ``in1_features`` that are not positive.
    """

    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ValueError(f"in1_features must be > 0, but got (in1_features={in1_features})")
        self.in1_features = in1_features
        self.in2_features = in2_features
        self.out_features = out_features
        options = {"device": device, "dtype": dtype}
        self.weight = Parameter(empty((out_features, in1_features, in2_features), **options))
        self.register_parameter("bias", Parameter(empty(out_features, **options)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias anew from the default generator."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """Apply the layer to the last dimensions of the inputs."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Identity(Module):
    """Returns its input; takes and ignores any arguments. It stands where a layer is taken out.

    >>> import minicnn as mc
    >>> mc.nn.Identity(54, unused=True)(mc.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        """Return ``input``."""
        return input


class Flatten(Module):
    """Merges dimensions ``start_dim`` to ``end_dim`` into one; by default all but the batch.

    >>> import minicnn as mc
    >>> mc.nn.Flatten()(mc.zeros(8, 64, 7, 7)).shape
    minicnn.Size([8, 3136])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        """Flatten ``input``."""
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits dimension ``dim`` into several, of the sizes ``unflattened_size``; one of them may be -1.

    >>> import minicnn as mc
    >>> mc.nn.Unflatten(1, (64, 7, 7))(mc.zeros(8, 3136)).shape
    minicnn.Size([8, 64, 7, 7])

    Raises
    ------
    TypeError : sizes that are not a tuple of integers.
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)) or not all(isinstance(n, int) for n in unflattened_size):
            raise TypeError(f"unflattened_size: expected a tuple of integers, got {unflattened_size!r}")
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        """Unflatten ``input``."""
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
