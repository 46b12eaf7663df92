"""Matrix product over the last two axes. Read next: ``conv.py``, where a convolution becomes one of these."""

import numpy as np


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., m, k) @ (..., k, n) -> (..., m, n): ``out[i, j] = sum_p a[i, p] * b[p, j]``; the leading axes broadcast."""
    return np.matmul(a, b)
