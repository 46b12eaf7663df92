"""The end of a residual block, spelled out: ``cpu/residual.py`` computes the same in fewer passes over memory.

    add_relu            = relu(a + b)
    batch_norm_add_relu = relu(batch_norm(x) + other), with the batch's own statistics

He, Zhang, Ren and Sun 2015, figure 2: "Deep residual learning for image recognition".
"""

import numpy as np

from .activation import relu_backward_input, relu_forward
from .norm import batch_norm_backward_train, batch_norm_forward_train


def add_relu_forward(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a and b of one shape -> max(a + b, 0), in the memory order of a."""
    return relu_forward(a + b)


def batch_norm_add_relu_forward_train(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, other: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x and other (n, c, *spatial), weight and bias (c,) or None -> out like x; mean, biased var and inv_std (c,)."""
    y, mean, var, inv_std = batch_norm_forward_train(x, weight, bias, eps)
    return relu_forward(y + other), mean, var, inv_std


def batch_norm_add_relu_backward_train(
    grad_out: np.ndarray,
    out: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """grad_out, out and x (n, c, *spatial), the rest (c,) -> grad_x, grad_weight (c,), grad_bias (c,), grad_other."""
    # The rectifier's gradient goes both ways, as it is.
    grad_other = relu_backward_input(grad_out, out)
    return *batch_norm_backward_train(grad_other, x, weight, mean, inv_std), grad_other
