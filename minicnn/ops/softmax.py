"""The softmax family: numbers that add up to 1.

    softmax(x)_i = e^x_i / sum_j e^x_j            dL/dx = y (g - sum g y)
    log_softmax(x)_i = x_i - ln sum_j e^x_j       dL/dx = g - softmax(x) sum g

Both subtract the largest x first, which changes nothing but keeps e^x finite.
"""

from __future__ import annotations

import numpy as np

from ..autograd import Op, Tensor
from ..dtypes import DType
from ..random import default_generator
from .promotion import cast, require_floating
from .reduction import normalize_dim


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


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """:func:`softmax` of ``-input``: the smallest element gets the largest share.

    >>> import minicnn as mc
    >>> mc.nn.functional.softmin(mc.tensor([0.0, 1.0]), dim=0)
    tensor([0.7311, 0.2689])

    Raises
    ------
    ValueError : without ``dim`` (torch guesses one, and warns).
    """
    return _along(Softmax, -input, dim, dtype, "softmin")


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None) -> Tensor:
    """``ln softmax(input)`` along ``dim``, without the loss of digits of taking the logarithm afterwards.

    Raises
    ------
    ValueError : without ``dim`` (torch guesses one, and warns).
    """
    return _along(LogSoftmax, input, dim, dtype, "log_softmax")


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A random sample from the softmax's distribution that can be differentiated.

    ``softmax((logits + g) / tau)`` with Gumbel noise ``g = -ln(-ln u)``: the largest of ``logits + g`` is distributed as
    softmax says, and the smaller ``tau``, the nearer the result is to one-hot (Jang, Gu and Poole 2017, and Maddison,
    Mnih and Teh 2017).

    Parameters
    ----------
    logits : floating point, any shape
    tau : the temperature
    hard : return the one-hot sample itself, with the gradient of the soft one
    eps : without effect, as in torch
    dim : the dimension that adds up to 1

    >>> import minicnn as mc
    >>> mc.nn.functional.gumbel_softmax(mc.zeros(5, 3), hard=True).sum(1)
    tensor([1., 1., 1., 1., 1.])
    """
    require_floating(logits, "logits", "gumbel_softmax")
    exponential = -np.log1p(-default_generator.uniform(logits.shape, logits._array.dtype))
    noise = -np.log(np.maximum(exponential, np.finfo(exponential.dtype).tiny))  # (of 0 it would be infinite)
    soft = softmax((logits + Tensor(np.asarray(noise))) / tau, dim)
    if not hard:
        return soft
    axis = normalize_dim(dim, soft.ndim)
    chosen = np.zeros(soft.shape, soft._array.dtype)
    if soft.ndim:
        np.put_along_axis(chosen, soft._array.argmax(axis=axis, keepdims=True), 1, axis=axis)
    else:
        chosen[...] = 1
    return Tensor(chosen) - soft.detach() + soft


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
