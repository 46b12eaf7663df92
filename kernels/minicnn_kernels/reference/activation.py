"""The rectifier, max(x, 0), and its gradient. Both keep the memory order of the forward pass, and a NaN stays a NaN."""

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
