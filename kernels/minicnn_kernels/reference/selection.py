"""The k largest or smallest elements of each row, and the k-th smallest. NaN is larger than everything.

Here by sorting; which of equal elements is taken is open, and the compiled kernels may choose another.
"""

import numpy as np


def topk_forward(x: np.ndarray, k: int, largest: bool, ordered: bool) -> np.ndarray:
    """x (rows, columns) floating point or int64 -> the places (rows, k) of the k largest or smallest elements of each row.

    ``ordered``: the first is the most extreme. Otherwise in any order (here in order too).
    """
    if not largest:
        return np.argsort(x, axis=1, kind="stable")[:, :k]
    # Sorted backwards and read backwards: descending, and equal elements in their order.
    return x.shape[1] - 1 - np.argsort(x[:, ::-1], axis=1, kind="stable")[:, ::-1][:, :k]


def kthvalue_forward(x: np.ndarray, k: int) -> np.ndarray:
    """x (rows, columns) floating point or int64 -> the place (rows,) of the k-th smallest element of each row, k from 1."""
    return np.argsort(x, axis=1, kind="stable")[:, k - 1]
