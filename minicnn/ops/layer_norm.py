"""Layer and RMS normalisation: over the last dimensions of each example, whatever the batch.

    layer norm (Ba, Kiros and Hinton 2016):   y = gamma x_hat + beta,   x_hat = (x - mean) / sqrt(var + eps)
    RMS norm (Zhang and Sennrich 2019):       y = gamma x_hat,          x_hat = x / sqrt(mean(x^2) + eps)

    dL/dx = (h - mean(h) - x_hat mean(h x_hat)) / sqrt(var + eps),   h = gamma dL/dy; without mean(h) for RMS norm
    dL/dgamma = sum g x_hat        dL/dbeta = sum g

One kernel does both; it sees the dimensions that are averaged as the columns of a matrix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minicnn_kernels import backend_of

from ..autograd import Op, Tensor
from .promotion import require_same_dtype


class LayerNorm(Op):
    # x (..., *normalized), weight and bias (*normalized) or None -> the same shape
    @staticmethod
    def forward(ctx, x, weight, bias, *, shape, eps, centred):
        ctx.kernels, ctx.centred, ctx.shape = backend_of(x), centred, shape
        features = math.prod(shape)
        flat = [None if p is None else p.reshape(features) for p in (weight, bias)]  # (*normalized) -> (features,)
        out, mean, inv_std = ctx.kernels.layer_norm_forward(x.reshape(-1, features), *flat, eps, centred)
        ctx.save(x, weight, mean, inv_std)
        return out.reshape(x.shape)  # (rows, features) -> x.shape

    @staticmethod
    def launches(out, kept, x, weight, bias, *, shape, eps, centred):
        features = math.prod(shape)
        flat = [None if p is None else p.reshape(features) for p in (weight, bias)]  # (*normalized) -> (features,)
        rows = (x.reshape(-1, features), *flat, eps, centred, out.reshape(-1, features))
        same = np.may_share_memory(rows[0], x) and np.may_share_memory(rows[-1], out)  # views, no copies
        return backend_of(x).layer_norm_launches(*rows) if same else None

    @staticmethod
    def backward(ctx, grad_out):
        x, weight, mean, inv_std = ctx.saved
        features = math.prod(ctx.shape)
        flat = None if weight is None else weight.reshape(features)
        grads = ctx.kernels.layer_norm_backward(
            grad_out.reshape(-1, features), x.reshape(-1, features), flat, mean, inv_std, ctx.centred
        )
        grad_x, grad_weight, grad_bias = grads
        return grad_x.reshape(x.shape), grad_weight.reshape(ctx.shape), grad_bias.reshape(ctx.shape)


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise over the last dimensions to mean 0 and variance 1, then scale and shift element by element.

    Parameters
    ----------
    input : (..., \\*normalized_shape) floating point
    normalized_shape : the sizes of the last dimensions, over which mean and (biased) variance are taken
    weight, bias : of ``normalized_shape``, or None
    eps : added to the variance

    >>> import minicnn as mc
    >>> mc.nn.functional.layer_norm(mc.tensor([[1.0, 3.0], [10.0, 30.0]]), (2,), eps=0.0)
    tensor([[-1.,  1.],
            [-1.,  1.]])

    Raises
    ------
    ValueError : an input that does not end in ``normalized_shape``, parameters of another shape. TypeError : whole
        numbers, and tensors of different types.
    """
    return _normalize("layer_norm", input, normalized_shape, weight, bias, eps, centred=True)


def rms_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """Divide by the root of the mean square over the last dimensions, then scale element by element.

    Parameters
    ----------
    input : (..., \\*normalized_shape) floating point
    normalized_shape : the sizes of the last dimensions, over which the mean is taken
    weight : of ``normalized_shape``, or None
    eps : added to the mean square; by default the spacing of the input's type at 1

    >>> import minicnn as mc
    >>> mc.nn.functional.rms_norm(mc.tensor([1.0, 7.0]), (2,), eps=0.0)  # the mean square is 25
    tensor([0.2000, 1.4000])

    Raises
    ------
    ValueError, TypeError : as :func:`layer_norm`.
    """
    return _normalize("rms_norm", input, normalized_shape, weight, None, eps, centred=False)


def _normalize(
    what: str,
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None,
    bias: Tensor | None,
    eps: float | None,
    centred: bool,
) -> Tensor:
    require_same_dtype(what, input=input, weight=weight, bias=bias)
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if not shape:
        raise ValueError(f"normalized_shape: {what} needs at least one dimension, got ()")
    if tuple(input.shape[-len(shape) :]) != shape:
        raise ValueError(
            f"input: {what} over {shape} needs an input of shape (..., {', '.join(map(str, shape))}), got "
            f"{tuple(input.shape)}"
        )
    for name, parameter in (("weight", weight), ("bias", bias)):
        if parameter is not None and tuple(parameter.shape) != shape:
            raise ValueError(
                f"{name}: {what} needs the shape {shape}, as normalized_shape, got {tuple(parameter.shape)}"
            )
    if not input.numel():  # nothing to average; the parameters' gradients are zeros
        scaled = input.clone() if weight is None else input * weight
        return scaled if bias is None else scaled + bias
    eps = float(np.finfo(input._array.dtype).eps) if eps is None else float(eps)
    return LayerNorm.apply(input, weight, bias, shape=shape, eps=eps, centred=centred)
