"""softmax and log_softmax (the element-wise activations are tested beside the other element-wise functions)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import SHAPES, arrays, both_raise, check_gradients, compare, values

F = mc.nn.functional


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@given(x=arrays(SHAPES), data=st.data())
def test_against_torch(name, x, data):
    dim = data.draw(st.integers(-max(x.ndim, 1), max(x.ndim, 1) - 1))
    compare(lambda m, x: getattr(m.nn.functional, name)(x, dim), x)
    compare(lambda m, x: getattr(m, name)(x, dim=dim), x)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gradcheck(name, dim):
    x = values(np.random.default_rng(0), (3, 4, 2), kind="normal")
    check_gradients(lambda m, x: getattr(F, name)(x, dim), x)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_extremes(name):
    x = np.array([[1e4, 0, -1e4], [700, 710, 720], [-np.inf, 0, 1], [-1e300, 1e300, 0], [np.nan, 0, 0], [np.inf, 0, 1]])
    compare(lambda m, x: getattr(m.nn.functional, name)(x, 1), x)
    compare(lambda m, x: getattr(m.nn.functional, name)(x, 1), np.full((2, 3), -np.inf))
    compare(lambda m, x: getattr(m.nn.functional, name)(x, 1, dtype=m.float64), x[:2].astype(np.float32))
    compare(lambda m, x: getattr(m.nn.functional, name)(x, 0, dtype=m.float32), np.array([1, 2]), rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_errors(name):
    both_raise(lambda m, x: getattr(m.nn.functional, name)(x, 2), np.ones((2, 3)), match=r"dim: expected -2 to 1")
    both_raise(lambda m, x: getattr(m.nn.functional, name)(x, 0), np.array([1, 2]), match=r"input: .*floating point")
    with pytest.raises(ValueError, match=r"dim: say along which dimension"):
        getattr(F, name)(mc.ones(2, 3))
