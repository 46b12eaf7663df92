"""Matrix products and the linear layer against torch and central differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional
# float32: dot products of at most 40 terms of size one, in another order
LOOSE = {"rtol": 2e-5, "atol": 2e-5}
SIZE = st.sampled_from([1, 2, 3, 5, 8, 17, 40])

SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (6, 3, 4)),
    ((1, 2, 3), (7, 3, 1)),
    ((0, 3), (3, 4)),
    ((2, 0), (0, 4)),
    ((2, 3), (3, 0)),
    ((0, 2, 3), (0, 3, 4)),
    ((0,), (0,)),
    ((1, 1), (1, 1)),
]


@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_shapes(shapes, dtype):
    rng = np.random.default_rng(0)
    a, b = (values(rng, shape, dtype, "normal") for shape in shapes)
    compare(lambda m, a, b: a @ b, a, b, **(LOOSE if dtype == np.float32 else {}))


@pytest.mark.parametrize("shapes", [s for s in SHAPES if 0 not in s[0] + s[1]])
def test_gradcheck(shapes):
    rng = np.random.default_rng(1)
    check_gradients(lambda m, a, b: m.matmul(a, b), *(values(rng, shape, kind="normal") for shape in shapes))


@given(m=SIZE, k=SIZE, n=SIZE, dtype=FLOATS, seed=SEEDS, which=st.tuples(st.integers(0, 3), st.integers(0, 3)))
def test_memory_orders(m, k, n, dtype, seed, which):
    rng = np.random.default_rng(seed)
    a, b = values(rng, (m, k), dtype, "normal"), values(rng, (k, n), dtype, "normal")
    a, b = list(layouts(a))[which[0]], list(layouts(b))[which[1]]
    compare(lambda m, a, b: (a @ b, b.T @ a.T), a, b, **(LOOSE if dtype == np.float32 else {}))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_whole_numbers(dtype):
    a, b = np.arange(6).reshape(2, 3).astype(dtype), np.arange(12).reshape(3, 4).astype(dtype)
    compare(lambda m, a, b: (a @ b, a @ b[:, 0], a[0] @ b), a, b)


def test_the_same_matrix_twice():
    compare(lambda m, a: a @ a, values(np.random.default_rng(0), (4, 4), kind="normal"))
    compare(lambda m, a: a @ a, np.arange(3.0))


def test_errors():
    a, b = np.ones((2, 3)), np.ones((4, 5))
    both_raise(lambda m, a, b: a @ b, a, b, match=r"other: matmul.*\(2, 3\) @ \(4, 5\): 3 and 4")
    both_raise(lambda m, a, b: m.matmul(a, b[0, 0]), a, b, match=r"other: matmul needs at least one dimension")
    both_raise(lambda m, a, b: a @ b.float(), a, np.ones((3, 3)), match=r"float64 and minicnn.float32; convert with")
    both_raise(lambda m, a, b: a @ b, np.ones((2, 2, 3)), np.ones((3, 3, 4)), match=r"(batch|broadcast)")
    with pytest.raises(TypeError, match=r"bool"):
        mc.ones(2, 2).bool() @ mc.ones(2, 2).bool()
    with pytest.raises(TypeError, match=r"other: expected a Tensor, got float"):
        mc.ones(2) @ 2.0


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4, 3), (0, 3), (1, 3), (2, 0, 3)])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_linear(shape, bias, dtype):
    rng = np.random.default_rng(0)
    x, w, b = (values(rng, s, dtype, "normal") for s in (shape, (5, 3), (5,)))
    compare(
        lambda m, x, w, b: m.nn.functional.linear(x, w, b if bias else None) + 0 * b,
        x,
        w,
        b,
        **(LOOSE if dtype == np.float32 else {}),
    )


@pytest.mark.parametrize("layout", range(4))
def test_linear_in_any_memory_order(layout):
    rng = np.random.default_rng(0)
    x, w, b = (values(rng, s, kind="normal") for s in ((2, 4, 3), (5, 3), (5,)))
    compare(lambda m, x, w, b: m.nn.functional.linear(x, w, b), list(layouts(x))[layout], list(layouts(w))[layout], b)


def test_linear_gradcheck():
    rng = np.random.default_rng(0)
    x, w, b = (values(rng, s, kind="normal") for s in ((4, 3), (2, 3), (2,)))
    check_gradients(lambda m, x, w, b: m.nn.functional.linear(x, w, b), x, w, b)


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_linear_of_nothing():
    compare(lambda m, x, w, b: m.nn.functional.linear(x, w, b), np.ones((2, 0)), np.ones((3, 0)), np.ones(3))
    compare(lambda m, x, w: m.nn.functional.linear(x, w), np.ones((2, 3)), np.ones((0, 3)))


def test_linear_errors():
    x, w = np.ones((2, 3)), np.ones((4, 3))
    both_raise(
        lambda m, x, w: m.nn.functional.linear(x, w), np.ones((2, 5)), w, match=r"input: .*in_features = 3.*\(2, 5\)"
    )
    both_raise(lambda m, x, w: m.nn.functional.linear(x, w, w[0]), x, w, match=r"bias: linear needs shape \(4,\), got")
    both_raise(lambda m, x, w: m.nn.functional.linear(x.float(), w), x, w, match=r"weight: linear needs one type")
    with pytest.raises(ValueError, match=r"weight: linear needs"):
        F.linear(mc.ones(2, 3), mc.ones(1, 2, 3))
    with pytest.raises(TypeError, match=r"input: linear needs floating point, got minicnn.bool"):
        F.linear(mc.ones(2, 3).bool(), mc.ones(2, 3).bool())
    with pytest.raises(TypeError, match=r"weight: linear needs a Tensor"):
        F.linear(mc.ones(2, 3), np.ones((2, 3)))
