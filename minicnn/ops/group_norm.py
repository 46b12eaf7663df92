"""Group and instance normalisation: over groups of channels of one image, whatever the batch.

Batch normalisation's formulas (``norm.py``), with mean and variance taken for each image and group of channels (Wu and He
2018) instead of each channel over the batch. Instance normalisation (Ulyanov, Vedaldi and Lempitsky 2016) is the case of
groups of one channel. Scale and shift belong to the channels.

Local response normalisation, which is older (Krizhevsky, Sutskever and Hinton 2012), is here too.
"""

from __future__ import annotations

import math

from minicnn_kernels import backend_of

from ..autograd import Op, Tensor
from .norm import affine, batch_norm
from .padding import pad
from .promotion import require_same_dtype


class GroupNorm(Op):
    # x (n, c, *spatial), weight and bias (c,) or None -> the same shape
    @staticmethod
    def forward(ctx, x, weight, bias, *, groups, eps, track=None):
        ctx.kernels, ctx.groups = backend_of(x), groups
        out, mean, var, inv_std = ctx.kernels.group_norm_forward(x, weight, bias, groups, eps)
        if track is not None:
            track(mean, var)
        ctx.save(x, weight, mean, inv_std)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.kernels.group_norm_backward(grad_out, *ctx.saved, ctx.groups)


def group_norm(
    input: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each image's channels in groups to mean 0 and variance 1, then scale and shift each channel.

    Parameters
    ----------
    input : (n, c, \\*spatial) floating point
    num_groups : how many groups the channels are cut into, in order; it divides c
    weight, bias : (c,) or None
    eps : added to the variance

    >>> import minicnn as mc
    >>> mc.nn.functional.group_norm(mc.tensor([[1.0, 3.0, 0.0, 4.0]]), 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])

    Raises
    ------
    ValueError : channels that do not fall into the groups, parameters that are not (c,), one value a group. TypeError :
        whole numbers, and tensors of different types.
    """
    require_same_dtype("group_norm", input=input, weight=weight, bias=bias)
    if input.ndim < 2:
        raise ValueError(f"input: group_norm needs (n, c, ...), got shape {tuple(input.shape)}")
    n, c = input.shape[:2]
    if num_groups < 1 or c % num_groups:
        raise ValueError(f"num_groups: group_norm needs a number that divides the {c} channels, got {num_groups}")
    _check_parameters("group_norm", c, weight=weight, bias=bias)
    if n and c and n * c // num_groups * math.prod(input.shape[2:]) == 1:
        raise ValueError(f"input: group_norm needs more than one value, got shape {tuple(input.shape)}")
    if not input.numel():
        return affine(input, weight, bias)
    return GroupNorm.apply(input, weight, bias, groups=int(num_groups), eps=float(eps))


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel of each image, by its own statistics or by running ones.

    Parameters
    ----------
    input : (n, c, \\*spatial) floating point
    running_mean, running_var : (c,) or None; with ``use_input_stats`` they move to ``(1 - momentum) running + momentum
        new``, ``new`` being the mean over the images (of the unbiased variance)
    weight, bias : (c,) or None
    use_input_stats : whether to normalise by the images' own statistics
    momentum : the share of the new images in the running average
    eps : added to the variance

    >>> import minicnn as mc
    >>> mc.nn.functional.instance_norm(mc.tensor([[[1.0, 3.0], [0.0, 4.0]]]), eps=0.0)
    tensor([[[-1.,  1.],
             [-1.,  1.]]])

    Raises
    ------
    ValueError : one value a channel, parameters that are not (c,), missing running statistics. TypeError : whole
        numbers, and tensors of different types.
    """
    statistics = {"running_mean": running_mean, "running_var": running_var}
    require_same_dtype("instance_norm", input=input, weight=weight, bias=bias, **statistics)
    if input.ndim < 3:
        raise ValueError(f"input: instance_norm needs (n, c, ...) with spatial dimensions, got {tuple(input.shape)}")
    c, m = input.shape[1], math.prod(input.shape[2:])
    _check_parameters("instance_norm", c, weight=weight, bias=bias, **statistics)
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    if m == 1:
        raise ValueError(f"input: instance_norm needs more than one value a channel, got shape {tuple(input.shape)}")
    if not input.numel():
        return affine(input, weight, bias)

    def track(mean, var):  # (n, c) -> the running (c,)
        for running, new in ((running_mean, mean), (running_var, var * (m / (m - 1)))):
            if running is not None:
                running._array += momentum * (new.mean(axis=0) - running._array)
                running._bump_version("instance_norm")

    tracking = None if running_mean is None and running_var is None else track
    return GroupNorm.apply(input, weight, bias, groups=c, eps=float(eps), track=tracking)


def local_response_norm(input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """``x / (k + alpha / size * sum of x^2 over size channels around)^beta`` (Krizhevsky et al. 2012, section 3.3).

    Parameters
    ----------
    input : (n, c, \\*spatial), at least 3-D
    size : how many neighbouring channels are summed up; beyond the first and last there are zeros

    >>> import minicnn as mc
    >>> mc.nn.functional.local_response_norm(mc.ones(1, 3, 1), size=2, alpha=6.0, beta=1.0).flatten()
    tensor([0.2500, 0.1429, 0.1429])

    Raises
    ------
    ValueError : an input of fewer than three dimensions, a size below 1.
    """
    if input.ndim < 3:
        raise ValueError(f"input: local_response_norm needs at least 3 dimensions, got shape {tuple(input.shape)}")
    if size < 1:
        raise ValueError(f"size: local_response_norm needs at least one channel, got {size}")
    if not input.numel():
        return input
    c = input.shape[1]
    # (n, c, *spatial), with zeros in front of the first channel and behind the last
    squares = pad(input * input, (*(0, 0) * (input.ndim - 2), size // 2, (size - 1) // 2))
    total = squares[:, :c]
    for i in range(1, size):
        total = total + squares[:, i : i + c]
    mean = total // size if total._array.dtype.kind != "f" else total / size  # whole numbers stay whole, as in torch
    return input / (mean * alpha + k) ** beta


def _check_parameters(what: str, c: int, **parameters: Tensor | None) -> None:
    for name, parameter in parameters.items():
        if parameter is not None and tuple(parameter.shape) != (c,):
            raise ValueError(
                f"{name}: {what} needs one number for each of the {c} channels, got {tuple(parameter.shape)}"
            )
