"""Matrix product: NumPy in float64 is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, arrange, assert_close, num_threads

ORDERS = ("row-major", "transposed", "gaps", "reversed", "read-only", "unaligned")


def matrix(rng: np.random.Generator, shape: tuple[int, ...], dtype: type, order: str) -> np.ndarray:
    values = rng.standard_normal(shape).astype(dtype)
    if order == "transposed":
        return np.ascontiguousarray(values.swapaxes(-1, -2)).swapaxes(-1, -2)
    return arrange(values, order)


@pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
def test_by_hand(backend):
    out = backend.matmul(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([[1.0, 0.0, 2.0], [10.0, 1.0, 0.0]]))
    np.testing.assert_array_equal(out, [[21, 2, 2], [43, 4, 6], [65, 6, 10]])


@given(
    st.integers(0, 40), st.integers(0, 50), st.integers(0, 70), st.sampled_from(DTYPES),
    st.sampled_from(ORDERS), st.sampled_from(ORDERS), st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_shapes_and_orders(m, k, n, dtype, a_order, b_order, threads, seed):
    rng = np.random.default_rng(seed)
    a, b = matrix(rng, (m, k), dtype, a_order), matrix(rng, (k, n), dtype, b_order)
    with num_threads(threads):
        out = cpu.matmul(a, b)
    assert_close(out, (a.astype(np.float64) @ b.astype(np.float64)).astype(dtype), k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (64, 900, 512),
        (300, 40, 33),
        (15, 1000, 17),
        (3, 20, 600),
        (1, 400, 300),
        (2, 300, 401),
        (700, 3, 5),
        (64, 10, 2000),
    ],
)
def test_large(m, k, n, threads, dtype):
    rng = np.random.default_rng(m)
    for a_order in ("row-major", "transposed"):
        for b_order in ("row-major", "transposed"):
            a, b = matrix(rng, (m, k), dtype, a_order), matrix(rng, (k, n), dtype, b_order)
            with num_threads(threads):
                out, again = cpu.matmul(a, b), cpu.matmul(a, b)
            assert_close(out, (a.astype(np.float64) @ b.astype(np.float64)).astype(dtype), k)
            np.testing.assert_array_equal(out, again)


@pytest.mark.parametrize(
    ("a_shape", "b_shape"),
    [
        ((5, 3, 4), (4, 6)), ((2, 5, 3, 4), (5, 4, 6)), ((1, 3, 4), (7, 4, 2)), ((3, 4), (2, 4, 5)),
        ((0, 3, 4), (4, 6)), ((2, 3, 0), (0, 4)), ((2, 0, 3, 4), (4, 5)),
    ],
)  # fmt: skip
def test_batches_broadcast(a_shape, b_shape):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(a_shape), rng.standard_normal(b_shape)
    assert_close(cpu.matmul(a, b), np.matmul(a, b), 4)


@given(
    st.sampled_from([((2,), (2,)), ((7,), (1,)), ((), (5,)), ((2, 3), (3,)), ((2, 1), (1, 4)), ((1,), (6,))]),
    st.integers(1, 30), st.integers(1, 40), st.integers(1, 40), st.sampled_from(DTYPES),
    st.sampled_from(ORDERS), st.sampled_from(ORDERS), st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_batches_of_small_matrices(leads, m, k, n, dtype, a_order, b_order, threads, seed):
    """These go through one compiled loop instead of a call for each."""
    rng = np.random.default_rng(seed)
    a, b = matrix(rng, (*leads[0], m, k), dtype, a_order), matrix(rng, (*leads[1], k, n), dtype, b_order)
    with num_threads(threads):
        out = cpu.matmul(a, b)
    assert_close(out, (a.astype(np.float64) @ b.astype(np.float64)).astype(dtype), k)


@pytest.mark.parametrize("shape", [(1, 5, 3), (2, 40, 3), (20, 30, 40)])
def test_nan_and_infinity_propagate(shape):
    m, k, n = shape
    a, b = np.ones((m, k), np.float32), np.ones((k, n), np.float32)
    a[0, 1], b[2, n - 1] = np.nan, np.inf
    out = cpu.matmul(a, b)
    assert np.isnan(out[0]).all()
    assert (out[1:, n - 1] == np.inf).all()
    assert (out[1:, : n - 1] == k).all()


@given(
    st.integers(0, 40), st.integers(0, 50), st.integers(0, 70), st.sampled_from(DTYPES), st.sampled_from(ORDERS),
    st.integers(1, 3),
)  # fmt: skip
@pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
def test_prepared(backend, m, k, n, dtype, order, threads):
    rng = np.random.default_rng(m)
    b = matrix(rng, (k, n), dtype, order)
    add_product = backend.prepare_matmul(b)
    for _ in range(2):
        a, out = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((m, n)).astype(dtype)
        expected = (out + a.astype(np.float64) @ b.astype(np.float64)).astype(dtype)
        with num_threads(threads):
            add_product(a, out)
        assert_close(out, expected, k + 1)
