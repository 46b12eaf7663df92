"""Sampling at given places: by hand -> reference against loops -> compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, ORDERS, assert_close, normal, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_by_hand(backend):
    """Half of the first place and a quarter of the third; then one from outside alone."""
    x = np.array([[[10.0, 20.0, np.inf], [1.0, 2.0, 4.0]]])[:, 1:]
    at, weights = np.array([[[0, -1]], [[2, -1]]]), np.array([[[0.5, 1.0]], [[0.25, 1.0]]])
    np.testing.assert_array_equal(backend.sample_forward(x, at, weights), [[[1.5, 0]]])
    grad_out = np.array([[[8.0, 100.0]]])
    np.testing.assert_array_equal(backend.sample_backward_input(grad_out, at, weights, x.shape), [[[4, 0, 2]]])
    np.testing.assert_array_equal(backend.sample_backward_weights(grad_out, x, at), [[[8, 0]], [[32, 0]]])


@BOTH
def test_an_infinite_place_is_not_seen_from_outside(backend):
    x, at, weights = np.full((1, 1, 2), np.inf), np.full((1, 1, 1), -1), np.ones((1, 1, 1))
    assert backend.sample_forward(x, at, weights) == 0
    assert backend.sample_backward_weights(np.ones((1, 1, 1)), x, at) == 0


@st.composite
def cases(draw):
    dtype, rng = draw(st.sampled_from(DTYPES)), np.random.default_rng(draw(st.integers(0, 2**32)))
    n, c, positions, taps = (
        draw(st.integers(0, 3)),
        draw(st.sampled_from((1, 3, 17))),
        draw(st.integers(0, 9)),
        draw(st.integers(1, 4)),
    )
    size = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    x = normal(rng, (n, c, *size), dtype, draw(st.sampled_from(ORDERS)))
    at = rng.integers(-1, np.prod(size), (taps, n, positions))
    weights = rng.standard_normal(at.shape).astype(dtype)
    return x, at, weights, normal(rng, (n, c, positions), dtype, draw(st.sampled_from(ORDERS)))


@settings(max_examples=60)
@given(cases(), st.integers(1, 3))
def test_against_loops_and_compiled(case, threads):
    x, at, weights, grad_out = case
    flat = x.reshape(*x.shape[:2], -1) if x.size else x.reshape(*x.shape[:2], int(np.prod(x.shape[2:])))
    out, grad_x, grad_weights = np.zeros(grad_out.shape), np.zeros(flat.shape), np.zeros(at.shape)
    for k, n, p in np.ndindex(at.shape):
        if at[k, n, p] >= 0:
            for c in range(x.shape[1]):
                out[n, c, p] += weights[k, n, p] * flat[n, c, at[k, n, p]]
                grad_x[n, c, at[k, n, p]] += weights[k, n, p] * grad_out[n, c, p]
                grad_weights[k, n, p] += flat[n, c, at[k, n, p]] * grad_out[n, c, p]
    with num_threads(threads):
        for backend in (reference, cpu):
            assert_close(backend.sample_forward(x, at, weights), out.astype(x.dtype), 4)
            actual = backend.sample_backward_input(grad_out, at, weights, x.shape)
            assert_close(actual, grad_x.reshape(x.shape).astype(x.dtype), 40)
            assert_close(backend.sample_backward_weights(grad_out, x, at), grad_weights.astype(x.dtype), 20)
