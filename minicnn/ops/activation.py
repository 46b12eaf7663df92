"""Activations: ReLU, and the softmax family.

    softmax(x)_i = e^x_i / sum_j e^x_j            dL/dx = y (g - sum g y)
    log_softmax(x)_i = x_i - ln sum_j e^x_j       dL/dx = g - softmax(x) sum g

Both subtract the largest x first, which changes nothing but keeps e^x finite.
"""

from __future__ import annotations

import numpy as np

from minicnn_kernels import backend_of

from ..autograd import Op, Tensor
from ..dtypes import DType
from .inplace import in_place
from .promotion import cast, require_floating
from .reduction import normalize_dim


class ReLU(Op):
    # y = max(x, 0),  dy/dx = 1 where y > 0, else 0 (at 0 too)
    @staticmethod
    def forward(ctx, x):
        ctx.kernels = backend_of(x)
        out = ctx.kernels.relu_forward(x)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        return ctx.kernels.relu_backward_input(grad_out, out)


class Softmax(Op):
    @staticmethod
    def forward(ctx, x, *, dim):
        ctx.dim = dim
        out = np.exp(x - x.max(axis=dim, keepdims=True))
        out /= out.sum(axis=dim, keepdims=True)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        weighted = grad_out * out
        return weighted - out * weighted.sum(axis=ctx.dim, keepdims=True)


class LogSoftmax(Op):
    @staticmethod
    def forward(ctx, x, *, dim):
        ctx.dim = dim
        out = log_softmax_array(x, dim)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        return grad_out - np.exp(out) * grad_out.sum(axis=ctx.dim, keepdims=True)


def log_softmax_array(x: np.ndarray, dim: int) -> np.ndarray:
    """log_softmax of an array; the losses use it too."""
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``; the derivative at 0 is 0; NaN stays NaN.

    >>> import minicnn as mc
    >>> mc.nn.functional.relu(mc.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """
    if inplace:
        return in_place(input, relu, "relu(inplace=True)")
    if input._array.dtype.kind != "f":
        if input._array.dtype == bool:
            raise TypeError("input: relu is not defined on bool tensors; convert with .float()")
        return Tensor(np.maximum(input._array, 0))
    return ReLU.apply(input)


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """``e^x / sum e^x`` along ``dim``: numbers in 0..1 that add up to 1.

    >>> import minicnn as mc
    >>> mc.softmax(mc.tensor([0.0, 1.0]), dim=0)
    tensor([0.2689, 0.7311])

    Raises
    ------
    ValueError : without ``dim`` (torch guesses one, and warns).
    """
    return _along(Softmax, input, dim, dtype, "softmax")


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """``ln softmax(input)`` along ``dim``, without the loss of digits of taking the logarithm afterwards.

    Raises
    ------
    ValueError : without ``dim`` (torch guesses one, and warns).
    """
    return _along(LogSoftmax, input, dim, dtype, "log_softmax")


def _along(op: type[Op], input: Tensor, dim: int | None, dtype: DType | None, what: str) -> Tensor:
    if dtype is not None:
        input = cast(input, dtype)
    require_floating(input, "input", what)
    if dim is None:
        raise ValueError(f"dim: say along which dimension {what} adds up to 1 (classes are usually dim=1)")
    axis = normalize_dim(dim, input.ndim)
    if input.numel() == 0:
        return input.clone()
    if input.ndim == 0:
        return op.apply(input.reshape(1), dim=0).reshape(())
    return op.apply(input, dim=axis)
