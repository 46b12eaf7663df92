"""A convolution with what follows it, as calls that can be made many times on the same memory.

out = f(conv(x * gate) + bias + other)
"""

import numpy as np

from ..launch import Launch, once
from .activation import activation_forward, relu_forward
from .conv import conv_forward
from .im2col import Sizes


def conv_launches(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    other: np.ndarray | None,
    gate: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str,
    activation: str,
    numbers: tuple[float, ...],
    out: np.ndarray,
    kept: dict,
) -> list[Launch] | None:
    """x (n, c_in, h, w); other like out; gate (n, c_in, 1, 1). `kept` holds packed weights, for the same weights again.

    None where there is nothing faster than the operations one by one.
    """

    def run() -> None:
        scaled = x if gate is None else x * gate
        y = conv_forward(scaled, weight, bias, stride, padding, dilation, groups, algorithm)
        out[...] = finished(y if other is None else y + other, activation, numbers)

    return [once(run)]


def finished(y: np.ndarray, activation: str, numbers: tuple[float, ...]) -> np.ndarray:
    """The activation by its name, "" for none."""
    if activation in ("", "relu"):
        return relu_forward(y) if activation else y
    return activation_forward(activation, y, *numbers)
