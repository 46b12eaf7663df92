"""Norms and distances of vectors against torch and central differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.oracle import FLOATS, SEEDS, arrays, both_raise, broadcastable, check_gradients, compare, values

P = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, float("inf")])
# Powers and roots lose some digits.
FEW = {np.dtype(np.float64): {"rtol": 1e-9, "atol": 1e-10}, np.dtype(np.float32): {"rtol": 1e-4, "atol": 1e-5}}


@given(x=arrays(), p=P, data=st.data())
def test_normalize(x, p, data):
    dim = data.draw(st.integers(-max(x.ndim, 1), max(x.ndim, 1) - 1))
    if not x.size:
        return
    compare(lambda m, x: m.nn.functional.normalize(x, p, dim, eps=1e-3), x, **FEW[x.dtype])


@given(pair=broadcastable(2, min_side=1), p=P, keepdim=st.booleans())
def test_pairwise_distance(pair, p, keepdim):
    if not (pair[0].ndim or pair[1].ndim):
        return
    compare(
        lambda m, a, b: m.nn.functional.pairwise_distance(a, b, p, keepdim=keepdim),
        *pair, requires_grad=p != 0, **FEW[pair[0].dtype],
    )  # fmt: skip


@given(pair=broadcastable(2, min_side=1), data=st.data())
def test_cosine_similarity(pair, data):
    ndim = max(x.ndim for x in pair)
    if not ndim:
        return
    dim = data.draw(st.integers(-ndim, ndim - 1))
    compare(lambda m, a, b: m.nn.functional.cosine_similarity(a, b, dim), *pair, **FEW[pair[0].dtype])


@given(n=st.integers(0, 5), features=st.integers(1, 4), p=P, dtype=FLOATS, seed=SEEDS)
def test_pdist(n, features, p, dtype, seed):
    x = values(np.random.default_rng(seed), (n, features), dtype)
    if n > 1:
        compare(lambda m, x: m.nn.functional.pdist(x, p), x, **FEW[x.dtype])


@pytest.mark.parametrize("p", [0.5, 1.0, 1.5, 2.0, 3.0, float("inf")])
def test_gradcheck(p):
    a, b = (values(np.random.default_rng(s), (3, 4), kind="normal") for s in (0, 1))
    check_gradients(lambda m, a, b: m.nn.functional.pairwise_distance(a, b, p), a, b)
    check_gradients(lambda m, a: m.nn.functional.pdist(a, p), a)
    check_gradients(lambda m, a: m.nn.functional.normalize(a, p), a)
    check_gradients(lambda m, a, b: m.nn.functional.cosine_similarity(a, b), a, b)


def test_equal_vectors_have_a_gradient_of_zero():
    x = np.ones((2, 3))
    compare(lambda m, x: m.nn.functional.pdist(x), x)
    compare(lambda m, x: m.nn.functional.normalize(0 * x), x)


def test_errors():
    pdist = lambda *a: lambda m, x: m.nn.functional.pdist(x, *a)  # noqa: E731
    both_raise(pdist(), np.ones(3), match=r"input: pdist needs a matrix \(rows, features\), got shape \(3,\)")
    both_raise(pdist(-1.0), np.ones((2, 3)), match="p: pdist needs a number that is not negative")
    cosine = lambda m, a, b: m.nn.functional.cosine_similarity(a, b)  # noqa: E731
    both_raise(
        cosine, np.ones((2, 3), np.int64), np.ones((2, 3), np.int64), match="x1: cosine_similarity needs floating"
    )
    both_raise(lambda m, x: m.nn.functional.normalize(x, dim=2), np.ones((2, 3)), match="dim: expected -2 to 1")
