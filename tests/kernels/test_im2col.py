"""Patches as columns, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from minicnn_kernels import cpu, reference
from tests.helpers import naive
from tests.helpers.kernel_cases import ConvCase, assert_close, conv_cases, normal

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_by_hand(backend):
    x = np.arange(6.0).reshape(1, 1, 2, 3)
    cols = backend.im2col(x, (2, 2), (1, 1), (0, 0), (1, 1))
    np.testing.assert_array_equal(cols[0], [[0, 1], [1, 2], [3, 4], [4, 5]])
    back = backend.col2im(cols, (2, 3), (2, 2), (1, 1), (0, 0), (1, 1))
    np.testing.assert_array_equal(back[0, 0], [[0, 2, 2], [3, 8, 5]])  # the middle column was in two windows


@given(conv_cases(max_channels=3, max_batch=2, max_size=5, axes=(2,)))
def test_reference_against_loops(case: ConvCase):
    window = case.weight.shape[2:], case.stride, case.padding, case.dilation
    cols = reference.im2col(case.x, *window)
    np.testing.assert_array_equal(cols, naive.im2col(case.x, *window))
    # col2im is the adjoint: <im2col(x), g> = <x, col2im(g)>
    grad = normal(case.rng, cols.shape, cols.dtype)
    back = reference.col2im(grad, case.x.shape[2:], *window)
    np.testing.assert_allclose((cols * grad).sum(dtype=np.float64), (case.x * back).sum(dtype=np.float64), atol=1e-3)


@given(conv_cases(axes=(2,)))
def test_cpu_against_reference(case: ConvCase):
    window = case.weight.shape[2:], case.stride, case.padding, case.dilation
    cols = reference.im2col(case.x, *window)
    actual = cpu.im2col(case.x, *window)
    assert actual.dtype == cols.dtype
    np.testing.assert_array_equal(actual, cols)
    grad = normal(case.rng, cols.shape, cols.dtype, "gaps")
    size = case.x.shape[2:]
    assert_close(cpu.col2im(grad, size, *window), reference.col2im(grad, size, *window), 9)
