"""Layers with weights that stay as they are. Here nothing is prepared: what each computes, in terms of the plain kernels."""

from collections.abc import Callable

import numpy as np

from .activation import relu_forward
from .conv import conv_forward
from .im2col import Sizes


def prepare_conv(
    weight: np.ndarray,
    bias: np.ndarray | None,
    x_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str = "auto",
    rectify: bool = False,
) -> Callable[..., np.ndarray]:
    """A function of x, of this shape, and of other, shaped as the result, or None: conv(x) + other, rectified if asked."""

    def run(x: np.ndarray, other: np.ndarray | None = None) -> np.ndarray:
        out = conv_forward(x, weight, bias, stride, padding, dilation, groups, algorithm)
        out = out if other is None else out + other
        return relu_forward(out) if rectify else out

    return run
