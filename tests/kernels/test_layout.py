"""A copy in row-major order, from any other."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn_kernels import cpu, reference


@pytest.mark.parametrize("kernels", [cpu, reference])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", [(3, 20, 5, 7), (2, 33, 40), (1, 1, 1, 1), (0, 4, 3), (4, 0, 3), (3, 5), (6,), ()])
@pytest.mark.parametrize("order", ["row-major", "channels last", "reversed"])
def test_row_major(kernels, dtype, shape, order):
    x = np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)
    if order == "channels last" and x.ndim > 2:
        x = np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    elif order == "reversed":
        x = x.T.copy().T
    copy = kernels.row_major(x)
    assert copy.flags.c_contiguous
    assert copy.dtype == dtype
    assert not np.shares_memory(copy, x)
    np.testing.assert_array_equal(copy, x)
