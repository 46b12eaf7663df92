"""The rectifier."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, ORDERS, arrange, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_by_hand(backend):
    x = np.array([-2.0, -0.0, 0.0, 3.0, np.inf, -np.inf, np.nan], np.float32)
    out = backend.relu_forward(x)
    np.testing.assert_array_equal(out, [0, 0, 0, 3, np.inf, 0, np.nan])
    grad_x = backend.relu_backward_input(np.arange(1, 8, dtype=np.float32), out)
    np.testing.assert_array_equal(grad_x, [0, 0, 0, 4, 5, 0, 7])


@given(
    st.lists(st.integers(0, 6), max_size=5), st.sampled_from(DTYPES), st.sampled_from(ORDERS), st.sampled_from(ORDERS),
    st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_cpu_against_reference(shape, dtype, order, grad_order, threads, seed):
    rng = np.random.default_rng(seed)
    if not shape:
        order = grad_order = "row-major"
    x, grad_out = (
        arrange(rng.standard_normal(shape).astype(dtype), order),
        arrange(rng.standard_normal(shape).astype(dtype), grad_order),
    )
    with num_threads(threads):
        out = cpu.relu_forward(x)
        grad_x = cpu.relu_backward_input(grad_out, out)
    assert out.dtype == grad_x.dtype == dtype
    np.testing.assert_array_equal(out, reference.relu_forward(x))
    np.testing.assert_array_equal(grad_x, reference.relu_backward_input(grad_out, out))


@BOTH
def test_memory_order_is_kept(backend):
    x = arrange(np.random.default_rng(0).standard_normal((2, 3, 4, 5)), "channels-last")
    out = backend.relu_forward(x)
    assert out.strides == x.strides
    assert backend.relu_backward_input(np.ones(x.shape), out).strides == x.strides


def test_large_with_threads():
    x = np.random.default_rng(0).standard_normal(300_001).astype(np.float32)
    for threads in (1, 2, 3):
        with num_threads(threads):
            np.testing.assert_array_equal(cpu.relu_forward(x), np.maximum(x, 0))
