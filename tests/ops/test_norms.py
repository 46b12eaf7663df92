"""Norms and distances, as torch: every order, zeros and ties, empty dimensions, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, layouts

X = np.random.default_rng(0).standard_normal((3, 4, 5))
Y = np.random.default_rng(1).standard_normal((3, 2, 5))
ORDERS = (0, 0.5, 1, 1.5, 2, 3, math.inf, -math.inf, -2)
FUNCTIONS = {
    **{
        f"vector_norm {p}": lambda m, x, y, p=p: (
            m.linalg.vector_norm(x, p),
            m.linalg.vector_norm(x, p, 1),
            m.linalg.vector_norm(x, p, (0, -1), keepdim=True),
        )
        for p in ORDERS
    },
    "norm": lambda m, x, y: (m.norm(x), m.norm(x, 1), x.norm(3, 1), x.norm(dim=(0, 1)), m.norm(x, "fro", 0, True)),
    "norm_types": lambda m, x, y: m.norm(x, dim=1, dtype=m.float64),
    "linalg.norm": lambda m, x, y: (m.linalg.norm(x), m.linalg.norm(x[0, 0], 3), m.linalg.norm(x, math.inf, 1)),
    **{
        f"matrix_norm {p}": lambda m, x, y, p=p: (
            m.linalg.matrix_norm(x, p),
            m.linalg.norm(x, p, (0, 2), True),
            m.linalg.norm(x[0], p),
        )
        for p in ("fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf)
    },
    "dist": lambda m, x, y: (m.dist(x, x[:1] * 2), x.dist(x[0], 1), m.dist(x, x)),
    **{f"cdist {p}": lambda m, x, y, p=p: m.cdist(x, y, p) for p in (0, 0.5, 1, 2, 3, math.inf)},
    "cdist_broadcast": lambda m, x, y: m.cdist(x[:1], y),
    "renorm": lambda m, x, y: (m.renorm(x, 2, 0, 3.0), x.renorm(1, -1, 5.0)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_torch(name):
    for x in layouts(X):
        # Of p = 0 torch has no gradient, and there is one of 0 here.
        compare(
            FUNCTIONS[name], x, Y, rtol=1e-10, requires_grad=name != "vector_norm 0"
        )  # powers and roots: a few roundings


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "dist"])  # at a distance of 0 there is no derivative
def test_gradcheck(name):
    check_gradients(FUNCTIONS[name], X, Y)


@given(x=arrays(), data=st.data())
def test_zeros_and_ties(x, data):
    p = data.draw(st.sampled_from(ORDERS))
    dim = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1)) if x.ndim else None
    if x.size or 0 <= p < math.inf:
        rounding = {"rtol": 2e-4, "atol": 1e-5} if x.dtype == np.float32 else {"rtol": 1e-9}
        compare(lambda m, x: m.linalg.vector_norm(x, p, dim), x, requires_grad=p > 0, **rounding)


def test_rows_that_are_equal_have_no_gradient():
    x = np.concatenate([X[0], X[0]])
    for p in (1.0, 1.5, 2.0, 3.0):
        compare(lambda m, x, p=p: m.cdist(x, x, p), x, rtol=1e-6, atol=1e-6)
    compare(lambda m, x: m.cdist(x[:, :0], x[:2, :0]), x)
    compare(lambda m, x: m.cdist(x[:0], x[:2]), x)


def test_in_place():
    compare(lambda m, x: (x * 1).renorm_(2, 1, 1.0), X)


def test_the_nuclear_norm():
    compare(lambda m, x: (m.norm(x[0], "nuc"), m.norm(x, "nuc", (0, 2), keepdim=True)), X, rtol=1e-10)


ERRORS = {
    "norm: type": (lambda m, x: m.norm(x.long()), "input: vector_norm needs floating point"),
    "norm: name": (lambda m, x: m.norm(x, "max"), "p: expected a number, 'fro' or 'nuc'"),
    "norm: nuc": (lambda m, x: m.norm(x, "nuc"), "nuclear norm is one of matrices"),
    "vector: nothing": (lambda m, x: m.linalg.vector_norm(x[:0], math.inf), "of nothing is not defined"),
    "vector: ord": (lambda m, x: m.linalg.vector_norm(x, "fro"), "ord: expected a number"),
    "matrix: few": (lambda m, x: m.linalg.matrix_norm(x[0, 0]), "two dimensions"),
    "matrix: same": (lambda m, x: m.linalg.matrix_norm(x, "fro", (0, -3)), "two different dimensions"),
    "matrix: ord": (lambda m, x: m.linalg.matrix_norm(x, 3), "ord: expected 'fro', 'nuc'"),
    "linalg: dims": (lambda m, x: m.linalg.norm(x, 1), "one or two dimensions"),
    "cdist: rows": (lambda m, x: m.cdist(x, x[..., :3]), "x2: expected rows of 5"),
    "cdist: vector": (lambda m, x: m.cdist(x[0, 0], x), "x1: cdist needs at least two"),
    "cdist: p": (lambda m, x: m.cdist(x, x, -1.0), "p: expected"),
    "cdist: batches": (lambda m, x: m.cdist(x, x[:2]), "do not broadcast"),
    "renorm: vector": (lambda m, x: m.renorm(x[0, 0], 2, 0, 1.0), "two or more dimensions"),
    "renorm: p": (lambda m, x: m.renorm(x, 0, 0, 1.0), "p > 0"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, match = ERRORS[name]
    both_raise(function, X, match=match)
