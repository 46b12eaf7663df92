"""Dropout: which elements stay is fixed by seed and offset alone."""

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
    """The first words for seed 0 are 0x6627e8d5 (0.399), 0xe169c58d (0.881), 0xbc57ac4c (0.736), 0x9b00dbd8 (0.605)."""
    x = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(backend.dropout_forward(x, 0.5, 0, 0), [0, 4, 6, 8])
    np.testing.assert_array_equal(backend.dropout_forward(x, 0.75, 0, 0), [0, 8, 0, 0])
    np.testing.assert_array_equal(backend.dropout_backward_input(x, 0.75, 0, 0), [0, 8, 0, 0])
    np.testing.assert_array_equal(backend.dropout_forward(x, 0.0, 0, 0), x)
    np.testing.assert_array_equal(backend.dropout_forward(x, 1.0, 0, 0), np.zeros(4))


@BOTH
def test_elements_are_numbered_in_logical_order(backend):
    x = np.random.default_rng(0).standard_normal((2, 3, 5, 7)).astype(np.float32)
    expected = backend.dropout_forward(x.reshape(-1), 0.4, 9, 2).reshape(x.shape)
    for order in ORDERS:
        np.testing.assert_array_equal(backend.dropout_forward(arrange(x, order), 0.4, 9, 2), expected)


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=4), st.floats(0, 1),
    st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1),
    st.sampled_from(DTYPES), st.sampled_from(ORDERS), st.integers(1, 3),
)  # fmt: skip
def test_cpu_equals_reference(shape, p, seed, offset, dtype, order, threads):
    x = arrange(np.random.default_rng(0).standard_normal(shape).astype(dtype), order)
    with num_threads(threads):
        out = cpu.dropout_forward(x, p, seed, offset)
        grad = cpu.dropout_backward_input(x, p, seed, offset)
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, reference.dropout_forward(x, p, seed, offset))
    np.testing.assert_array_equal(grad, reference.dropout_backward_input(x, p, seed, offset))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_large_for_any_number_of_threads(threads):
    x = np.ones(200_003, np.float32)
    with num_threads(threads):
        out = cpu.dropout_forward(x, 0.3, 1, 7)
    np.testing.assert_array_equal(out, reference.dropout_forward(x, 0.3, 1, 7))
    assert abs((out > 0).mean() - 0.7) < 5 * np.sqrt(0.21 / x.size)  # five standard deviations


@BOTH
def test_nan_stays_even_where_it_is_dropped(backend):
    assert np.isnan(backend.dropout_forward(np.full(64, np.nan), 0.5, 0, 0)).all()
