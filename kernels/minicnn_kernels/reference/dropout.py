"""Dropout (Srivastava et al. 2014), "inverted": kept values grow by 1 / (1 - p), so that evaluation needs no scaling.

Element i, counted in the logical row-major order whatever the memory order, is kept if word i of the Philox stream
(``random.py``) is at least floor(p * 2**32). The mask is never stored: the backward pass draws the same words again.
"""

import math

import numpy as np

from .random import philox_words


def dropout_forward(x: np.ndarray, p: float, seed: int, offset: int) -> np.ndarray:
    """x of any shape -> x / (1 - p) where kept and 0 elsewhere. p, the probability of dropping, may be 1."""
    return x * _factor(x, p, seed, offset)


def dropout_backward_input(grad_out: np.ndarray, p: float, seed: int, offset: int) -> np.ndarray:
    """grad_out of any shape -> grad_x: the same mask and scale as in the forward pass."""
    return grad_out * _factor(grad_out, p, seed, offset)


def _factor(x: np.ndarray, p: float, seed: int, offset: int) -> np.ndarray:
    """0 or 1 / (1 - p) for each element. It multiplies: a dropped NaN stays NaN, as in PyTorch."""
    words = philox_words(seed, offset, x.size).astype(np.uint64)  # 64 bit: the threshold of p = 1 is 2**32
    kept = words >= np.uint64(math.floor(p * 2**32))
    scale = x.dtype.type(0 if p == 1 else 1 / (1 - p))
    return np.where(kept, scale, x.dtype.type(0)).reshape(x.shape)  # (size,) -> x.shape, row-major
