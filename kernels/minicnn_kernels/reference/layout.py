"""Memory order: see ``cpu/layout.py``, which has a reason to care."""

import numpy as np


def row_major(x: np.ndarray) -> np.ndarray:
    """x of any shape and memory order -> a copy, row-major."""
    return np.array(x, order="C")


def copy_into(x: np.ndarray, out: np.ndarray) -> None:
    """x into `out`, of the same shape, each in whatever memory order it has."""
    np.copyto(out, x)
