"""Memory order: see ``cpu/layout.py``, which has a reason to care."""

import numpy as np


def row_major(x: np.ndarray) -> np.ndarray:
    """x of any shape and memory order -> a copy, row-major."""
    return np.array(x, order="C")
