"""A linear layer with what follows it, as calls that can be made many times on the same memory."""

import numpy as np

from ..launch import Launch, once
from .matmul import matmul
from .standing_conv import finished


def linear_launches(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    other: np.ndarray | None,
    activation: str,
    numbers: tuple[float, ...],
    out: np.ndarray,
    kept: dict,
) -> list[Launch] | None:
    """x (..., k), weight (n, k), bias (n,), other like out: out = f(x @ weight.T + bias + other), (..., n)."""

    def run() -> None:
        y = matmul(x, weight.T)
        y = y if bias is None else y + bias
        out[...] = finished(y if other is None else y + other, activation, numbers)

    return [once(run)]
