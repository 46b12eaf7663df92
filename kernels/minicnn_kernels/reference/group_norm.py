"""Group normalisation (Wu and He 2018): each image's channels in groups, each group to mean 0 and variance 1.

With m = c / groups * prod(spatial) values a group of an image, the formulas are those of batch normalisation (``norm.py``),
with statistics (n, groups), but weight and bias are the channel's:

    grad_x = inv_std * (g - mean(g) - x_hat * mean(g * x_hat)),   g = grad_out * weight

One channel a group is instance normalisation (Ulyanov, Vedaldi and Lempitsky 2016). Sums are in float64.
"""

import numpy as np


def group_norm_forward(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, groups: int, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (n, c, *spatial), weight and bias (c,) or None -> out like x; mean, biased var and inv_std (n, groups)."""
    grouped = x.reshape(len(x), groups, -1)  # (n, c, *spatial) -> (n, groups, m)
    mean = grouped.mean(axis=2, dtype=np.float64)
    centred = grouped - mean[:, :, None]
    var = (centred * centred).mean(axis=2, dtype=np.float64)
    inv_std = 1 / np.sqrt(var + eps)
    out = (centred * inv_std[:, :, None]).reshape(x.shape)  # (n, groups, m) -> (n, c, *spatial)
    if weight is not None:
        out = out * _by_channel(weight, x)
    if bias is not None:
        out = out + _by_channel(bias, x)
    return out.astype(x.dtype), mean.astype(x.dtype), var.astype(x.dtype), inv_std.astype(x.dtype)


def group_norm_backward(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
    groups: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out and x (n, c, *spatial), mean and inv_std (n, groups) -> grad_x like x, grad_weight and grad_bias (c,)."""
    grouped = x.reshape(len(x), groups, -1)  # (n, c, *spatial) -> (n, groups, m)
    x_hat = (grouped - mean[:, :, None]) * inv_std[:, :, None]
    g = (grad_out if weight is None else grad_out * _by_channel(weight, x)).reshape(x_hat.shape)
    centred = g - g.mean(axis=2, dtype=np.float64, keepdims=True)
    tilt = x_hat * (g * x_hat).mean(axis=2, dtype=np.float64, keepdims=True)
    grad_x = (inv_std[:, :, None] * (centred - tilt)).reshape(x.shape)  # (n, groups, m) -> (n, c, *spatial)
    others = (0, *range(2, x.ndim))
    grad_weight = (grad_out * x_hat.reshape(x.shape)).sum(axis=others, dtype=np.float64)
    grad_bias = grad_out.sum(axis=others, dtype=np.float64)
    return grad_x.astype(x.dtype), grad_weight.astype(x.dtype), grad_bias.astype(x.dtype)


def _by_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(c,) -> (1, c, 1, ...), so that it broadcasts over x."""
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))
