"""Spread, quantiles, covariance, as torch. (``var`` and ``std`` alone are in test_reduction.)"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, layouts

X = np.random.default_rng(0).standard_normal((3, 4, 5))
Q = np.array([0.0, 0.3, 1.0])
FUNCTIONS = {
    "var_mean": lambda m, x: (*m.var_mean(x), *m.var_mean(x, 1, correction=0), *m.var_mean(x, (0, 2), keepdim=True)),
    "std_mean": lambda m, x: (*m.std_mean(x, False), *m.std_mean(x, dim=-1, unbiased=True)),
    "quantile": lambda m, x: (m.quantile(x, 0.6), m.quantile(x, 0.25, 1), x.quantile(0.5, -1, keepdim=True)),
    "quantiles": lambda m, x: (
        m.quantile(x, m.tensor([0.1, 0.9], dtype=x.dtype), 0),
        m.quantile(x, m.tensor([1.0], dtype=x.dtype)),
    ),
    "quantiles_keepdim": lambda m, x: m.quantile(x, m.tensor([0.1, 0.9], dtype=x.dtype), 1, True),
    "quantile_keepdim": lambda m, x: m.quantile(x, 0.3, keepdim=True),
    **{
        f"quantile_{how}": lambda m, x, how=how: m.quantile(x, 0.4, 2, interpolation=how)
        for how in ("lower", "higher", "midpoint", "nearest")
    },
    "nanquantile": lambda m, x: m.nanquantile(x, 0.3, 1),
    "cov": lambda m, x: (m.cov(x[0]), x[0].cov(correction=0), m.cov(x[0, 0])),
    "cov_weighted": lambda m, x: m.cov(x[0], fweights=m.tensor([1, 2, 0, 3, 1]), aweights=x[1, 0].abs()),
    "corrcoef": lambda m, x: m.corrcoef(x[0]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_torch(name):
    for x in layouts(X):
        compare(FUNCTIONS[name], x)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck(name):
    check_gradients(FUNCTIONS[name], X)


@given(x=arrays(), data=st.data())
def test_quantiles_of_anything(x, data):
    if not x.size:
        return
    if data.draw(st.booleans()):
        x = np.where(x == 0, np.asarray(np.nan, x.dtype), x)
    q = data.draw(st.floats(0, 1))
    dim = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1)) if x.ndim else None
    how = data.draw(st.sampled_from(("linear", "lower", "higher", "midpoint", "nearest")))
    keep = data.draw(st.booleans())
    # The values: to which of equal elements the gradient goes, torch leaves open. float32 ranks round by themselves.
    for name in ("quantile", "nanquantile"):
        compare(
            lambda m, x, name=name: getattr(m, name)(x, q, dim, keep, interpolation=how),
            x.astype(np.float64),
            requires_grad=False,
        )


def test_a_fraction_that_wants_a_gradient():
    compare(lambda m, x, q: m.quantile(x, q, 1), X, Q)


def test_whole_numbers():
    x = np.arange(12).reshape(3, 4) ** 2
    compare(lambda m, x: (m.cov(x), m.corrcoef(x)), x)


ERRORS = {
    "quantile: range": (lambda m, x: m.quantile(x, 1.5), "q: expected numbers from 0 to 1"),
    "quantile: type": (lambda m, x: m.quantile(x.long(), 0.5), "input: quantile needs floating point"),
    "quantile: q type": (
        lambda m, x: m.quantile(x, m.tensor(0.5)),
        "q: expected a number or a vector of minicnn.float64",
    ),
    "quantile: q shape": (lambda m, x: m.quantile(x, x[0] * 0), "q: expected a number or a vector"),
    "quantile: nothing": (lambda m, x: m.quantile(x[:0], 0.5), "quantile of nothing"),
    "quantile: how": (lambda m, x: m.quantile(x, 0.5, interpolation="cubic"), "interpolation"),
    "cov: dims": (lambda m, x: m.cov(x), "cov takes at most two"),
    "cov: bool": (lambda m, x: m.cov(x[0] > 0), "bool"),
    "cov: weights": (lambda m, x: m.cov(x[0], fweights=m.tensor([1, 2])), "fweights: expected one for each of the 5"),
    "cov: fractions": (lambda m, x: m.cov(x[0], fweights=x[0, 0]), "fweights: expected whole numbers"),
    "cov: negative": (lambda m, x: m.cov(x[0], aweights=-x[0, 0].abs()), "aweights: expected numbers that are not"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, match = ERRORS[name]
    both_raise(function, X, match=match)
