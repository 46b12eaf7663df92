"""Batch normalisation.

For each channel over the m values it has in the batch (Ioffe and Szegedy, 2015, algorithm 1):

    mean = sum x / m                        var = sum (x - mean)^2 / m
    x_hat = (x - mean) / sqrt(var + eps)    y = gamma x_hat + beta

    dL/dx = gamma / sqrt(var + eps) * (g - mean(g) - x_hat mean(g x_hat)),   g = dL/dy
    dL/dgamma = sum g x_hat        dL/dbeta = sum g

The biased variance normalises; the running average tracks the unbiased one, as in torch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels import backend_of, geometry

from ..autograd import Op, Tensor
from .promotion import require_same_dtype


class BatchNormTrain(Op):
    # x (n, c, ...) -> the same shape; updates the running tensors in place. offset (c,): see without_effect
    @staticmethod
    def forward(ctx, x, weight, bias, offset=None, *, eps, momentum, running_mean, running_var):
        ctx.kernels = backend_of(x)
        out, mean, var, inv_std = ctx.kernels.batch_norm_forward_train(x, weight, bias, eps)
        track(running_mean, running_var, mean, var, x.shape, momentum, offset)
        ctx.save(x, weight, mean, inv_std)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, weight, mean, inv_std = ctx.saved
        grads = ctx.kernels.batch_norm_backward_train(grad_out, x, weight, mean, inv_std)
        return *grads, *without_effect(ctx, mean, 3)


def without_effect(ctx: Any, mean: np.ndarray, others: int) -> list[np.ndarray | None]:
    """The gradient of `offset` (c,), an optional operand after the `others`, of mean's shape: zeros.

    batch_norm(x + offset) is batch_norm(x), since the mean takes up whatever is added to a channel; the running mean alone
    sees it. So the compiler moves the bias of a convolution into the batch norm behind it (``compiler/patterns.py``): then
    nothing is added to each pixel, nor a gradient added up that consists of rounding errors alone.
    """
    return [np.zeros_like(mean) if wanted else None for wanted in ctx.needs_input_grad[others:]]


def track(
    running_mean: Tensor | None,
    running_var: Tensor | None,
    mean: np.ndarray,
    var: np.ndarray,
    shape: tuple[int, ...],
    momentum: float,
    offset: np.ndarray | None = None,
) -> None:
    """Move the running tensors, in place, towards a batch's mean (plus `offset`) and *biased* variance.

    ``shape`` is the batch's.
    """
    m = shape[0] * math.prod(shape[2:])
    mean = mean if offset is None else mean + offset
    for running, batch in ((running_mean, mean), (running_var, var * (m / (m - 1)))):
        if running is not None:
            running._array += momentum * (batch - running._array)
            running._bump_version("batch_norm")


class BatchNormEval(Op):
    # x (n, c, ...) -> the same shape, normalised by given statistics
    @staticmethod
    def forward(ctx, x, weight, bias, *, eps, running_mean, running_var):
        ctx.kernels = backend_of(x)
        mean, var = running_mean._array, running_var._array
        out, inv_std = ctx.kernels.batch_norm_forward_eval(x, mean, var, weight, bias, eps)
        # The statistics may be updated between forward and backward: keep what this forward used.
        ctx.save(x, weight, mean.copy(), inv_std)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        x, weight, mean, inv_std = ctx.saved
        return ctx.kernels.batch_norm_backward_eval(grad_out, x, weight, mean, inv_std)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel, by the batch's own statistics (training) or by the running ones.

    Parameters
    ----------
    input : (n, c, ...) floating point
    running_mean, running_var : (c,) or None; in training they move to ``(1 - momentum) running + momentum batch``
    weight, bias : (c,) or None: gamma and beta
    training : whether to use, and to track, the batch's statistics
    momentum : the share of the new batch in the running average
    eps : added to the variance

    Returns
    -------
    of the input's shape

    >>> import minicnn as mc
    >>> x = mc.tensor([[1.0], [3.0]])
    >>> mc.nn.functional.batch_norm(x, None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])

    Raises
    ------
    ValueError : parameters that are not (c,), one value a channel in training, missing running statistics in
        evaluation. TypeError : tensors of different types.
    """
    require_same_dtype(
        "batch_norm", input=input, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    if input.ndim == 1 and not input.numel():
        return input.clone()  # as in torch, an empty vector needs no channels
    shapes = {"running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias}
    parameters = {name: None if t is None else tuple(t.shape) for name, t in shapes.items()}
    geometry.check_batch_norm(tuple(input.shape), parameters, training)
    if training and not input.numel():  # no statistics, and the running ones stay; the parameters' gradients are zeros
        return affine(input, weight, bias)
    if training:
        statistics = {"running_mean": running_mean, "running_var": running_var}
        return BatchNormTrain.apply(input, weight, bias, eps=eps, momentum=momentum, **statistics)
    if running_mean is None or running_var is None:
        raise ValueError(
            "running_mean: evaluation needs running_mean and running_var; pass training=True to do without"
        )
    return BatchNormEval.apply(input, weight, bias, eps=eps, running_mean=running_mean, running_var=running_var)


def affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """What is left of a normalisation where there is nothing to average: the parameters' gradients are zeros."""
    by_channel = (-1, *(1,) * (x.ndim - 2))
    x = x.clone() if weight is None else x * weight.reshape(by_channel)
    return x if bias is None else x + bias.reshape(by_channel)
