"""Activations, element by element, and their derivatives. All keep the memory order, and a NaN stays a NaN.

The rectifier has functions of its own, because others are built on it; the rest is a table. A row is a function of x (and
of up to two numbers), then its derivative: of x again, or of the result where that is simpler (``sigmoid``).

    s(x) = 1 / (1 + e^-x)        Phi(x) = (1 + erf(x / sqrt 2)) / 2,   phi(x) = e^(-x^2 / 2) / sqrt(2 pi)
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def relu_forward(x: np.ndarray) -> np.ndarray:
    """x of any shape -> max(x, 0)."""
    return np.maximum(x, 0)  # (not fmax: that would swallow NaN)


def relu_backward_input(grad_out: np.ndarray, out: np.ndarray) -> np.ndarray:
    """grad_out, and what the forward pass returned -> grad_x: 0 where out <= 0 (the kink belongs to the flat side)."""
    grad_x = np.empty_like(out)
    np.copyto(grad_x, grad_out)
    grad_x[out <= 0] = 0
    return grad_x


def activation_forward(name: str, x: np.ndarray, a: float = 0.0, b: float = 0.0) -> np.ndarray:
    """x of any shape -> the function called `name`, with its numbers a and b."""
    return ACTIVATIONS[name][0](x, a, b).astype(x.dtype, copy=False)


def activation_backward_input(
    name: str, grad_out: np.ndarray, kept: np.ndarray, a: float = 0.0, b: float = 0.0
) -> np.ndarray:
    """grad_out, and x (of ``sigmoid``: the result) -> grad_x, in the memory order of what was kept."""
    grad_x = np.empty_like(kept)
    grad_x[...] = ACTIVATIONS[name][1](kept, a, b) * grad_out
    return grad_x


def _sigmoid(x: Any) -> Any:
    z = np.exp(-np.abs(x))  # in 0..1: nothing overflows, and no digits are lost on either side
    return np.where(x >= 0, 1, z) / (1 + z)


def _normal_cdf(x: Any) -> Any:
    return 0.5 + 0.5 * _erf(x * math.sqrt(0.5))


def _silu_slope(x: Any, a: float, b: float) -> Any:
    s = _sigmoid(x)
    return s * (1 + x * (1 - s))


def _gelu_slope(x: Any, a: float, b: float) -> Any:
    return _normal_cdf(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _gelu_tanh(x: Any, a: float, b: float) -> Any:
    return x * _sigmoid(GELU_SLOPE * (x + GELU_CUBE * x * x * x))  # (1 + tanh u) / 2 = s(2 u)


def _gelu_tanh_slope(x: Any, a: float, b: float) -> Any:
    s = _sigmoid(GELU_SLOPE * (x + GELU_CUBE * x * x * x))
    return s + x * s * (1 - s) * GELU_SLOPE * (1 + 3 * GELU_CUBE * x * x)


GELU_SLOPE, GELU_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715
_erf = np.vectorize(math.erf, otypes=[np.float64])

ACTIVATIONS: dict[str, tuple[Callable[[Any, float, float], Any], Callable[[Any, float, float], Any]]] = {
    # x where x > 0, else a x; the kink belongs to the left side
    "leaky_relu": (lambda x, a, b: np.where(x > 0, x, x * a), lambda x, a, b: np.where(x > 0, 1, a)),
    # a below a, b above b, x between; flat on the bounds too
    "hardtanh": (lambda x, a, b: np.clip(x, a, b), lambda x, a, b: ~((x <= a) | (x >= b))),
    # min(max(x + 3, 0), 6) / 6
    "hardsigmoid": (lambda x, a, b: np.clip(x + 3, 0, 6) / 6, lambda x, a, b: ((x > -3) & (x < 3)) / 6),
    # x min(max(x + 3, 0), 6) / 6
    "hardswish": (
        lambda x, a, b: x * np.clip(x + 3, 0, 6) / 6,
        lambda x, a, b: np.where(x <= -3, 0, np.where(x < 3, x / 3 + 0.5, 1)),
    ),
    # y = s(x);  dy/dx = y (1 - y)
    "sigmoid": (lambda x, a, b: _sigmoid(x), lambda y, a, b: y * (1 - y)),
    # x s(x)
    "silu": (lambda x, a, b: x * _sigmoid(x), _silu_slope),
    # x Phi(x);  dy/dx = Phi(x) + x phi(x)
    "gelu": (lambda x, a, b: x * _normal_cdf(x), _gelu_slope),
    # x (1 + tanh u) / 2,  u = sqrt(2 / pi) (x + 0.044715 x^3)
    "gelu_tanh": (_gelu_tanh, _gelu_tanh_slope),
}
