"""Resampling: by hand -> a product with a full matrix -> reference -> compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from minicnn_kernels.resampling import axis_matrix
from tests.helpers.kernel_cases import DTYPES, ORDERS, assert_close, normal, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
METHODS = ("nearest", "nearest-exact", "linear", "cubic")


@BOTH
def test_by_hand(backend):
    """Twice as large: three quarters of the nearer element, a quarter of the other."""
    matrix, transposed = axis_matrix(3, 6, "linear", None, False, False, np.dtype(np.float64))
    x = np.array([1.0, 2.0, 4.0])[None, None]
    np.testing.assert_array_equal(backend.resample(x, [matrix])[0, 0], [1, 1.25, 1.75, 2.5, 3.5, 4])
    back = backend.resample(np.arange(1.0, 7.0)[None, None], [transposed])
    np.testing.assert_array_equal(back[0, 0], [3.25, 7, 10.75])  # 1 + 2 * 3/4 + 3 * 1/4, ...


@BOTH
def test_nothing_to_do_is_a_copy(backend):
    x = np.ones((1, 2, 3))
    out = backend.resample(x, [None])
    np.testing.assert_array_equal(out, x)


@st.composite
def cases(draw):
    axes = draw(st.integers(1, 3))
    size = [draw(st.integers(1, 6)) for _ in range(axes)]
    n_out = [draw(st.integers(1, 9)) for _ in range(axes)]
    dtype = draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = normal(
        rng, (draw(st.integers(0, 2)), draw(st.sampled_from((1, 3, 17))), *size), dtype, draw(st.sampled_from(ORDERS))
    )
    antialias = draw(st.booleans())
    method = draw(st.sampled_from(("linear", "cubic", "lanczos") if antialias else METHODS))
    align = draw(st.booleans()) and method in ("linear", "cubic")
    return x, [
        axis_matrix(s, n, method, None, align, antialias, np.dtype(dtype)) for s, n in zip(size, n_out, strict=True)
    ]


def full(x, matrices):
    """The same with all of each matrix, in float64."""
    x = x.astype(np.float64)
    for axis, (matrix, size) in enumerate(zip(matrices, x.shape[2:], strict=True), start=2):
        dense = np.zeros((matrix.offsets.size - 1, size))
        for o in range(len(dense)):
            for tap in range(matrix.offsets[o], matrix.offsets[o + 1]):
                dense[o, matrix.columns[tap]] += matrix.weights[tap]
        x = np.moveaxis(np.tensordot(dense, x, (1, axis)), 0, axis)
    return x


@settings(max_examples=60)
@given(cases(), st.integers(1, 3))
def test_against_a_full_matrix(case, threads):
    x, pairs = case
    matrices = [matrix for matrix, _ in pairs]
    expected = reference.resample(x, matrices)
    assert_close(expected, full(x, matrices).astype(x.dtype), 216)
    with num_threads(threads):
        assert_close(cpu.resample(x, matrices), expected, 216)
        back = [transposed for _, transposed in pairs]
        assert_close(cpu.resample(expected, back), reference.resample(expected, back), 216)
    # The transposed matrix is the adjoint: <W x, y> = <x, W^T y>.
    if x.dtype == np.float64:
        y = np.cos(np.arange(expected.size)).reshape(expected.shape)
        np.testing.assert_allclose((expected * y).sum(), (x * reference.resample(y, back)).sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", ["nearest", "nearest-exact", "linear", "cubic", "lanczos"])
@pytest.mark.parametrize(("size", "n_out"), [(5, 9), (9, 5), (1, 4), (7, 1), (6, 6)])
def test_rows_sum_to_one(method, size, n_out):
    """A constant stays what it is."""
    for antialias in (method == "lanczos", method in ("linear", "cubic", "lanczos")):
        matrix, _ = axis_matrix(size, n_out, method, None, False, antialias, np.dtype(np.float64))
        np.testing.assert_allclose(matrix.dense(size).sum(axis=1), 1, atol=1e-14)
