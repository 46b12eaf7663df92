"""Batch normalisation over every axis but the channel's (Ioffe and Szegedy 2015, algorithm 1), and its gradient.

    x_hat = (x - mean) * inv_std,   inv_std = 1 / sqrt(var + eps),   out = weight * x_hat + bias

with m = n * prod(spatial) values a channel, mean and *biased* variance (divided by m) over them. In training, mean
and variance depend on x too; carrying that through the chain rule gives

    grad_x = weight * inv_std * (grad_out - mean(grad_out) - x_hat * mean(grad_out * x_hat))

and in evaluation, where both are constants, only the first term remains. Sums are accumulated in float64.
"""

import numpy as np


def batch_norm_forward_train(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x (n, c, *spatial), weight and bias (c,) or None -> out like x; mean, biased var and inv_std (c,)."""
    mean = x.mean(axis=_all_but_channel(x), dtype=np.float64)
    centred = x - _by_channel(mean, x)
    var = (centred * centred).mean(axis=_all_but_channel(x), dtype=np.float64)
    inv_std = 1 / np.sqrt(var + eps)
    out = _affine(centred * _by_channel(inv_std, x), weight, bias)
    return out.astype(x.dtype), mean.astype(x.dtype), var.astype(x.dtype), inv_std.astype(x.dtype)


def batch_norm_forward_eval(
    x: np.ndarray,
    mean: np.ndarray,
    var: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    eps: float,
) -> tuple[np.ndarray, np.ndarray]:
    """x (n, c, *spatial), mean and var (c,), weight and bias (c,) or None -> out like x, inv_std (c,)."""
    inv_std = 1 / np.sqrt(var.astype(np.float64) + eps)
    x_hat = (x - _by_channel(mean, x)) * _by_channel(inv_std, x)
    return _affine(x_hat, weight, bias).astype(x.dtype), inv_std.astype(x.dtype)


def batch_norm_backward_train(
    grad_out: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, inv_std: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out and x (n, c, *spatial), the rest (c,) -> grad_x like x, grad_weight (c,), grad_bias (c,)."""
    x_hat, grad_weight, grad_bias = _parameter_gradients(grad_out, x, mean, inv_std)
    m = x.size // x.shape[1]
    centred = grad_out - _by_channel(grad_bias / m, x) - x_hat * _by_channel(grad_weight / m, x)
    grad_x = _by_channel(_slope(weight, inv_std), x) * centred
    return grad_x.astype(x.dtype), grad_weight.astype(x.dtype), grad_bias.astype(x.dtype)


def batch_norm_backward_eval(
    grad_out: np.ndarray, x: np.ndarray, weight: np.ndarray | None, mean: np.ndarray, inv_std: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out and x (n, c, *spatial), the rest (c,) -> grad_x like x, grad_weight (c,), grad_bias (c,)."""
    _, grad_weight, grad_bias = _parameter_gradients(grad_out, x, mean, inv_std)
    grad_x = _by_channel(_slope(weight, inv_std), x) * grad_out
    return grad_x.astype(x.dtype), grad_weight.astype(x.dtype), grad_bias.astype(x.dtype)


def _parameter_gradients(
    grad_out: np.ndarray, x: np.ndarray, mean: np.ndarray, inv_std: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x_hat like x, sum(grad_out * x_hat) (c,) and sum(grad_out) (c,), the sums in float64."""
    x_hat = (x - _by_channel(mean, x)) * _by_channel(inv_std, x)
    grad_weight = (grad_out * x_hat).sum(axis=_all_but_channel(x), dtype=np.float64)
    grad_bias = grad_out.sum(axis=_all_but_channel(x), dtype=np.float64)
    return x_hat, grad_weight, grad_bias


def _all_but_channel(x: np.ndarray) -> tuple[int, ...]:
    return (0, *range(2, x.ndim))


def _by_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(c,) -> (1, c, 1, ...), so that it broadcasts over x."""
    return values.reshape(1, -1, *(1,) * (x.ndim - 2))


def _affine(x_hat: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None) -> np.ndarray:
    out = x_hat if weight is None else x_hat * _by_channel(weight, x_hat)
    return out if bias is None else out + _by_channel(bias, x_hat)


def _slope(weight: np.ndarray | None, inv_std: np.ndarray) -> np.ndarray:
    return inv_std if weight is None else inv_std * weight
