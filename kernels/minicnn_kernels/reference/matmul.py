"""Matrix product over the last two axes. Read next: ``conv.py``, where a convolution becomes one of these."""

from collections.abc import Callable

import numpy as np


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., m, k) @ (..., k, n) -> (..., m, n): ``out[i, j] = sum_p a[i, p] * b[p, j]``; the leading axes broadcast."""
    return np.matmul(a, b)


def prepare_matmul(b: np.ndarray) -> Callable[[np.ndarray, np.ndarray], None]:
    """b (k, n) -> a function of a (m, k) and out (m, n), contiguous, that computes ``out += a @ b``: for many a."""

    def add_product(a: np.ndarray, out: np.ndarray) -> None:
        out += a @ b

    return add_product
