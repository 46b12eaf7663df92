"""Systems of equations and matrix exponentials beside PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn.ops import linalg
from tests.helpers.oracle import compare


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (2, 3, 3, 3), (0, 2, 2)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_solve(shape, dtype):
    rng = np.random.default_rng(0)
    a = (rng.standard_normal(shape) + 4 * np.eye(shape[-1])).astype(dtype)
    b = rng.standard_normal((*shape[:-1], 2)).astype(dtype)
    compare(lambda m, a, b: linalg.solve(a, b) if m is mc else m.linalg.solve(a, b), a, b)


@pytest.mark.parametrize("scale", [0.0, 0.01, 1.0, 5.0])
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (2, 3, 3)])
def test_matrix_exp(shape, scale):
    a = scale * np.random.default_rng(0).standard_normal(shape)
    # Squarings: the result is of the size of e^10, and rounded as that.
    compare(lambda m, a: linalg.matrix_exp(a) if m is mc else m.linalg.matrix_exp(a), a, rtol=1e-9, atol=1e-10)
