"""Running sums, products, extrema; differences and areas: as torch, with zeros, NaN, infinities and ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, layouts

X = np.random.default_rng(0).standard_normal((3, 4, 5))
Y = np.random.default_rng(1).standard_normal((3, 2, 5))
FUNCTIONS = {
    "cumsum": lambda m, x, y: (m.cumsum(x, 1), x.cumsum(-1)),
    "cumprod": lambda m, x, y: (m.cumprod(x, 0), x.cumprod(2)),
    "cummax": lambda m, x, y: (*m.cummax(x, 1), *x.cummax(-1)),
    "cummin": lambda m, x, y: (*m.cummin(x, 0), *x.cummin(2)),
    "logcumsumexp": lambda m, x, y: (m.logcumsumexp(x, 1), x.logcumsumexp(-1)),
    "diff": lambda m, x, y: (m.diff(x), x.diff(2, 0), m.diff(x, 9)),
    "diff_joined": lambda m, x, y: (m.diff(x, 1, 1, y), x.diff(dim=1, prepend=y, append=y), m.diff(x, 0)),
    "trapezoid": lambda m, x, y: (m.trapezoid(x), m.trapezoid(x, dx=0.5, dim=0), m.trapz(x, dim=1)),
    "trapezoid_places": lambda m, x, y: (m.trapezoid(x, y[0, 0]), m.trapezoid(x, x * 2, dim=1)),
    "cumulative_trapezoid": lambda m, x, y: (m.cumulative_trapezoid(x), m.cumulative_trapezoid(x, y[0, 1], dim=2)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_torch(name):
    for x in layouts(X):
        compare(FUNCTIONS[name], x, Y)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck(name):
    check_gradients(FUNCTIONS[name], X, Y)


@given(x=arrays(), data=st.data())
def test_any_dimension(x, data):
    if data.draw(st.booleans()):
        x = np.where(x == 1, np.asarray(np.nan, x.dtype), x)
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1)) if x.ndim else 0
    compare(lambda m, x: m.cumsum(x, dim), x, rtol=1e-4, atol=1e-5)
    compare(lambda m, x: m.cummax(x, dim), x)
    compare(lambda m, x: m.cummin(x, dim), x)
    compare(lambda m, x: m.cumprod(x, dim), np.nan_to_num(x), rtol=1e-4, atol=1e-5)  # zeros among them
    if x.size and x.ndim:
        compare(lambda m, x: m.diff(x, 2, dim), x)
        compare(lambda m, x: m.trapezoid(x, dim=dim), x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("values", [[np.nan], [np.inf], [2.0], [np.inf, 1.0, 2.0], [1.0, -np.inf, 2.0]])
def test_areas_of_values_that_are_not_finite(values):
    x = np.array(values)
    compare(lambda m, x: m.trapezoid(x), x)
    compare(lambda m, x: m.trapezoid(x, dx=0.5), x)
    compare(lambda m, x: m.trapezoid(x, m.ones_like(x)), x)


def test_several_zeros_in_a_row():
    x = np.array([[2.0, 0.0, 3.0, 0.0, 4.0], [0.0, 0.0, 1.0, -2.0, 0.0], [1.0, 2.0, 3.0, 4.0, 0.0]])
    compare(lambda m, x: (x.cumprod(1), x.cumprod(0)), x)
    compare(lambda m, x: (x.prod(), x.prod(1), x.prod(0, keepdim=True)), x)
    check_gradients(lambda m, x: (x.cumprod(1), x.prod(1)), x)


def test_large_and_infinite():
    x = np.array([-np.inf, -np.inf, 800.0, -800.0, 801.0])
    compare(lambda m, x: m.logcumsumexp(x, 0), x, requires_grad=False)
    compare(lambda m, x: m.logcumsumexp(x, 0), x[2:])
    compare(lambda m, x: m.logsumexp(x, 0), x)
    compare(lambda m, x: m.logsumexp(x[:2], 0), x, requires_grad=False)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, bool])
def test_whole_numbers_and_bools(dtype):
    x = (X * 3).astype(dtype)
    compare(lambda m, x: (x.cumsum(1), x.cumprod(1), x.diff(), x.cumsum(0, dtype=m.float32)), x)
    if dtype is not bool:
        compare(lambda m, x: (*x.cummax(1), m.trapezoid(x)), x)


def test_in_place():
    compare(lambda m, x: ((x * 1).cumsum_(1), (x * 1).cumprod_(0)), X)


def test_numbers_and_nothing():
    compare(lambda m, x: (x.cumsum(0), x.cumprod(-1), *x.cummax(0), m.logcumsumexp(x, 0)), np.array(2.0))
    compare(lambda m, x: (x.cumsum(0), x.cumprod(1), x.diff()), np.zeros((0, 3)))
    compare(lambda m, x: m.trapezoid(x, dim=0), np.zeros((0, 3)), requires_grad=False)


ERRORS = {
    "cumsum: dim": (lambda m, x: x.cumsum(3), "dim"),
    "diff: number": (lambda m, x: x[0, 0, 0].diff(), "diff needs at least one dimension"),
    "diff: n": (lambda m, x: x.diff(-1), "n: expected"),
    "diff: prepend": (lambda m, x: x.diff(prepend=x[0]), "prepend: expected 3 dimensions"),
    "trapezoid: both": (lambda m, x: m.trapezoid(x, x, dx=1), "x or dx, not both"),
    "trapezoid: places": (lambda m, x: m.trapezoid(x, x[0, :, 0]), "x: expected 5 places"),
    "logcumsumexp: type": (lambda m, x: x.long().logcumsumexp(0), "logcumsumexp needs floating point"),
    "trapezoid: bool": (lambda m, x: m.trapezoid(x > 0), "bool"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, match = ERRORS[name]
    both_raise(function, X, match=match)
