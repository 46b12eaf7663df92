"""Layer normalisation of each row of a matrix (Ba, Kiros and Hinton 2016), and RMS normalisation (Zhang and Sennrich 2019).

With m features a row, mean and *biased* variance over them:

    x_hat = (x - mean) * inv_std,   inv_std = 1 / sqrt(var + eps),   out = weight * x_hat + bias

and, with g = grad_out * weight,

    grad_x = inv_std * (g - mean(g) - x_hat * mean(g * x_hat))

RMS normalisation (``centred`` False) leaves the mean out: it is taken as 0, and so is mean(g). Sums are in float64.
"""

import numpy as np

from ..launch import Launch, once


def layer_norm_forward(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float, centred: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (rows, features), weight and bias (features,) or None -> out like x, mean and inv_std (rows,)."""
    mean = x.mean(axis=1, dtype=np.float64) if centred else np.zeros(len(x))
    centred_x = x - mean[:, None]
    inv_std = 1 / np.sqrt((centred_x * centred_x).mean(axis=1, dtype=np.float64) + eps)
    out = centred_x * inv_std[:, None]
    if weight is not None:
        out = out * weight
    if bias is not None:
        out = out + bias
    return out.astype(x.dtype), mean.astype(x.dtype), inv_std.astype(x.dtype)


def layer_norm_backward(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
    centred: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """grad_out and x (rows, features), the rest as above -> grad_x like x, grad_weight and grad_bias (features,)."""
    x_hat = (x - mean[:, None]) * inv_std[:, None]
    g = grad_out if weight is None else grad_out * weight
    inner = g - x_hat * (g * x_hat).mean(axis=1, dtype=np.float64, keepdims=True)
    if centred:
        inner = inner - g.mean(axis=1, dtype=np.float64, keepdims=True)
    grad_weight = (grad_out * x_hat).sum(axis=0, dtype=np.float64)
    grad_bias = grad_out.sum(axis=0, dtype=np.float64)
    grad_x = inv_std[:, None] * inner
    return grad_x.astype(x.dtype), grad_weight.astype(x.dtype), grad_bias.astype(x.dtype)


def layer_norm_launches(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float, centred: bool, out: np.ndarray
) -> list[Launch] | None:
    """The forward pass as calls that can be made many times on the same memory: x and out (rows, features)."""
    return [once(lambda: np.copyto(out, layer_norm_forward(x, weight, bias, eps, centred)[0]))]
