"""Attention: the reference by hand and against a loop over scores, the compiled one against the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from minicnn_kernels.cpu import attention
from tests.helpers.kernel_cases import DTYPES, arrange, num_threads

ORDERS = ("row-major", "gaps", "reversed", "read-only", "unaligned")


@pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
def test_by_hand(backend):
    """Scores ln 3 and 0: weights 3/4 and 1/4. Causal: the first query sees the first key only."""
    q = np.full((1, 1, 2, 1), math.log(3))
    k = np.array([1.0, 0.0]).reshape(1, 1, 2, 1)
    v = np.array([4.0, 8.0]).reshape(1, 1, 2, 1)
    out, log_sum = backend.attention_forward(q, k, v, None, 1.0, False)
    np.testing.assert_allclose(out.ravel(), [5, 5])
    np.testing.assert_allclose(log_sum.ravel(), [math.log(4)] * 2)
    np.testing.assert_allclose(backend.attention_forward(q, k, v, None, 1.0, True)[0].ravel(), [4, 5])
    mask = np.array([0.0, -np.inf]).reshape(1, 1, 1, 2)
    np.testing.assert_allclose(backend.attention_forward(q, k, v, mask, 1.0, False)[0].ravel(), [4, 4])


def naive(q, k, v, mask, scale, causal):
    """One query after the other."""
    out = np.zeros((*q.shape[:3], v.shape[3]))
    full = None if mask is None else np.broadcast_to(mask, (*q.shape[:3], k.shape[2]))
    for b, h, i in np.ndindex(*q.shape[:3]):
        weights = {}
        for j in range(k.shape[2]):
            score = scale * float(q[b, h, i] @ k[b, h, j]) + (0.0 if full is None else full[b, h, i, j])
            if score > -np.inf and not (causal and j > i):
                weights[j] = math.exp(score)
        for j, weight in weights.items():
            out[b, h, i] += weight / sum(weights.values()) * v[b, h, j]
    return out


@st.composite
def cases(draw):
    batch, heads, queries, keys, width, value_width = (
        draw(st.integers(low, high)) for low, high in ((1, 3), (1, 3), (0, 9), (0, 9), (0, 5), (0, 5))
    )
    dtype, order = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(ORDERS))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    q, k, v = (
        arrange(rng.standard_normal((batch, heads, *shape)).astype(dtype), order)
        for shape in ((queries, width), (keys, width), (keys, value_width))
    )
    mask = None
    if draw(st.booleans()):
        shape = tuple(draw(st.sampled_from([1, size])) for size in (batch, heads, queries, keys))
        mask = rng.choice([0.0, -np.inf, 1.5, -0.5], size=shape).astype(dtype)
    return q, k, v, mask, draw(st.sampled_from([1.0, 0.3])), draw(st.booleans())


@given(cases())
def test_reference_is_the_loop(case):
    q, *_ = case
    tolerance = 1e-12 if q.dtype == np.float64 else 1e-5  # a few roundings of numbers of size 1
    np.testing.assert_allclose(reference.attention_forward(*case)[0], naive(*case), rtol=tolerance, atol=tolerance)


def check_against_reference(case, rng, threads, tolerance):
    expected, expected_sum = reference.attention_forward(*case)
    with num_threads(threads):
        out, log_sum = cpu.attention_forward(*case)
    np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(log_sum, expected_sum, rtol=tolerance, atol=tolerance)
    grad_out = rng.standard_normal(out.shape).astype(out.dtype)
    expected_grads = reference.attention_backward(grad_out, *case, expected, expected_sum)
    with num_threads(threads):
        grads = cpu.attention_backward(grad_out, *case, out, log_sum)
    for actual, wanted, x in zip(grads, expected_grads, case[:3], strict=True):
        assert actual.shape == x.shape
        assert actual.dtype == x.dtype
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


@given(cases(), st.integers(1, 3), st.sampled_from([1, 20, 1 << 15]))
def test_compiled_is_the_reference(case, threads, block):
    """Whatever the blocks are: with small ones a few heads or rows make several of them."""
    former = attention.BLOCK, attention.ROWS
    attention.BLOCK, attention.ROWS = block, 2
    try:
        check_against_reference(case, np.random.default_rng(0), threads, 1e-11 if case[0].dtype == np.float64 else 3e-5)
    finally:
        attention.BLOCK, attention.ROWS = former


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_large(causal, masked):
    rng = np.random.default_rng(1)
    q, k, v = (rng.standard_normal((2, 3, n, w)).astype(np.float32) for n, w in ((301, 40), (420, 40), (420, 33)))
    mask = None
    if masked:  # with queries that see nothing, in the part of either thread
        mask = np.where(rng.random((2, 1, 301, 420)) < 0.2, -np.inf, 0).astype(np.float32)
        mask[:, :, 7] = -np.inf
    # Sums of 400 float32 products.
    check_against_reference((q, k, v, mask, 40**-0.5, causal), rng, 2, 2e-4)


def test_reference_gradients_by_differences():
    rng = np.random.default_rng(2)
    q, k, v = (rng.standard_normal((1, 1, *shape)) for shape in ((3, 2), (4, 2), (4, 3)))
    options = None, 0.7, True
    out, log_sum = reference.attention_forward(q, k, v, *options)
    u = rng.standard_normal(out.shape)
    grads = reference.attention_backward(u, q, k, v, *options, out, log_sum)
    for number, (x, grad) in enumerate(zip((q, k, v), grads, strict=True)):
        for where in np.ndindex(x.shape):
            values = []
            for step in (1e-6, -1e-6):
                moved = [q, k, v]
                moved[number] = x.copy()
                moved[number][where] += step
                values.append((u * reference.attention_forward(*moved, *options)[0]).sum())
            assert grad[where] == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
def test_nan_and_a_query_without_keys(backend):
    q, k, v = (np.ones((1, 1, 2, 3)) for _ in range(3))
    mask = np.array([[-np.inf, -np.inf], [0.0, 0.0]]).reshape(1, 1, 2, 2)
    out, log_sum = backend.attention_forward(q, k, v, mask, 1.0, False)
    np.testing.assert_array_equal(out[0, 0], [[0, 0, 0], [1, 1, 1]])
    for grad in backend.attention_backward(np.ones_like(out), q, k, v, mask, 1.0, False, out, log_sum):
        assert np.isfinite(grad).all()
    k[0, 0, 0] = np.nan
    assert np.isnan(backend.attention_forward(q, k, v, None, 1.0, False)[0]).all()
