"""Squeeze-and-excitation's gate, as calls that can be made many times on the same memory."""

import numpy as np

from ..launch import Launch, once
from .matmul import matmul
from .standing_conv import finished


def gate_launches(
    x: np.ndarray,
    weight_1: np.ndarray,
    bias_1: np.ndarray | None,
    weight_2: np.ndarray,
    bias_2: np.ndarray | None,
    activation: str,
    gate: str,
    out: np.ndarray,
    kept: dict,
) -> list[Launch] | None:
    """x (n, c, h, w), weight_1 (s, c, 1, 1), weight_2 (c, s, 1, 1) -> out (n, c, 1, 1):

    g(W2 f(W1 mean(x) + b1) + b2), f and g the activations by their names.
    """

    def run() -> None:
        y = x.mean(axis=(2, 3))  # (n, c, h, w) -> (n, c)
        for weight, bias, name in ((weight_1, bias_1, activation), (weight_2, bias_2, gate)):
            y = matmul(y, weight[:, :, 0, 0].T)
            y = finished(y if bias is None else y + bias, name, ())
        out[...] = y[:, :, None, None]

    return [once(run)]
