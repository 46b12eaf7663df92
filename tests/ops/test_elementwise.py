"""Element-wise functions against torch and central differences; kinks as torch decides them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import (
    SEEDS,
    arrays,
    assert_same,
    both_raise,
    broadcastable,
    check_gradients,
    compare,
    values,
)

UNARY = {
    "neg": lambda m, x: -x,
    "abs": lambda m, x: m.abs(x),
    "exp": lambda m, x: m.exp(x),
    "log": lambda m, x: m.log(x),
    "sqrt": lambda m, x: m.sqrt(x),
    "square": lambda m, x: m.square(x),
    "tanh": lambda m, x: m.tanh(x),
    "sigmoid": lambda m, x: m.sigmoid(x),
    "relu": lambda m, x: m.relu(x),
    "clamp": lambda m, x: m.clamp(x, -0.5, 1.0),
    "clamp_low": lambda m, x: m.clamp(x, min=0.5),
    "clamp_high": lambda m, x: m.clamp(x, max=0.5),
    "clamp_crossed": lambda m, x: m.clamp(x, 1.0, -1.0),
    "pow2": lambda m, x: x**2,
    "pow3": lambda m, x: x**3,
    "pow1": lambda m, x: x**1,
    "pow0": lambda m, x: x**0,
    "pow_half": lambda m, x: x**1.5,
    "pow_negative": lambda m, x: x**-1,
    "base": lambda m, x: 2.0**x,
    "base0": lambda m, x: 0**x,
    "add_number": lambda m, x: x + 1.5,
    "radd": lambda m, x: 2 + x,
    "rsub": lambda m, x: 1 - x,
    "rdiv": lambda m, x: 1 / x,
    "mul_number": lambda m, x: x * -0.3,
    "remainder": lambda m, x: x % 0.7,
    "clone": lambda m, x: x.clone(),
    "double": lambda m, x: x.double(),
    "float": lambda m, x: x.float(),
    "std": lambda m, x: x * x + x,
}
BINARY = {
    "add": lambda m, a, b: a + b,
    "sub": lambda m, a, b: a - b,
    "mul": lambda m, a, b: a * b,
    "div": lambda m, a, b: a / b,
    "maximum": lambda m, a, b: m.maximum(a, b),
    "minimum": lambda m, a, b: m.minimum(a, b),
    "add_alpha": lambda m, a, b: m.add(a, b, alpha=2),
    "sub_alpha": lambda m, a, b: m.sub(a, b, alpha=0.5),
    "where": lambda m, a, b: m.where(a > b, a, b),
    "remainder": lambda m, a, b: m.remainder(a, b),
    "pow": lambda m, a, b: a**b,
}


@pytest.mark.parametrize("name", UNARY)
@given(x=arrays())
def test_unary(name, x):
    # float32: an ulp of exp, tanh or pow is magnified where the slope is steep
    compare(UNARY[name], x)


@pytest.mark.parametrize("name", BINARY)
@given(pair=broadcastable(2))
def test_binary(name, pair):
    compare(BINARY[name], *pair, **({} if pair[0].dtype == np.float64 else {"rtol": 2e-5, "atol": 1e-5}))


@pytest.mark.parametrize("name", UNARY)
def test_unary_gradcheck(name):
    if name in ("double", "float"):
        return  # float32 has too few digits for differences, and double of a double does nothing
    x = values(np.random.default_rng(1), (3, 4), kind="positive") + 0.013  # away from every kink
    check_gradients(UNARY[name], x)
    if name not in ("log", "sqrt", "pow_half", "base0"):
        check_gradients(UNARY[name], -x)


@pytest.mark.parametrize("name", BINARY)
def test_binary_gradcheck(name):
    rng = np.random.default_rng(2)
    check_gradients(BINARY[name], values(rng, (3, 1, 4), kind="positive"), values(rng, (2, 4), kind="positive"))


@given(x=arrays(kinds=("grid",)), seed=SEEDS)
def test_clamp_between_tensors(x, seed):
    rng = np.random.default_rng(seed)
    low, high = (values(rng, x.shape, x.dtype) for _ in range(2))
    compare(lambda m, x, low, high: m.clamp(x, low, high), x, low, high)
    compare(lambda m, x, low: m.clamp(x, min=low), x, low)
    compare(lambda m, x, high: m.clamp(x, max=high), x, high)


def test_clamp_between_tensors_that_broadcast():
    """Against differences: torch's own gradient fails here."""
    x, low, high = np.array([[-1.5, 0.25], [0.6, 2.0]]), np.array([-1.0, 0.4]), np.array([[1.0]])
    check_gradients(lambda m, x, low, high: m.clamp(x, low, high), x, low, high)
    check_gradients(lambda m, x, low, high: m.clamp(x, low, high), x[0], low, high)


@given(triple=broadcastable(3))
def test_where_broadcasts_its_condition(triple):
    compare(lambda m, c, a, b: m.where(c > 0, a, b), *triple)


SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-300, 5e-324, 1e300, -1e300, 1.0])


@pytest.mark.parametrize("name", UNARY)
def test_special_values(name):
    compare(UNARY[name], SPECIAL)


@pytest.mark.parametrize("name", BINARY)
def test_special_pairs(name):
    # torch's remainder overflows to NaN on the way where the quotient does; ours has the true value.
    numbers = SPECIAL[[0, 1, 2, 3, 4, 7, 9]] if name == "remainder" else SPECIAL
    a, b = (g.ravel() for g in np.meshgrid(numbers, numbers))
    compare(BINARY[name], a, b)


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
@given(pair=broadcastable(2, ("grid",)))
def test_comparisons(name, pair):
    compare(lambda m, a, b: getattr(m, name)(a, b), *pair)
    compare(lambda m, a: getattr(m, name)(a, 0.5), pair[0])
    compare(lambda m, a: getattr(a, f"__{name}__")(1), pair[0])


@pytest.mark.parametrize("name", ["isnan", "isfinite", "isinf"])
def test_kinds_of_numbers(name):
    compare(lambda m, x: getattr(m, name)(x), SPECIAL)
    compare(lambda m, x: getattr(m, name)(x), np.arange(3))
    compare(lambda m, x: getattr(m, name)(x), np.array([True]))


WHOLE = [np.uint8, np.int8, np.int16, np.int32, np.int64]


@pytest.mark.parametrize("dtype", WHOLE)
@given(seed=SEEDS)
def test_whole_numbers(dtype, seed):
    rng = np.random.default_rng(seed)
    low = 0 if dtype == np.uint8 else -9
    a, b = rng.integers(low, 10, (3, 4)).astype(dtype), rng.integers(low, 10, (4,)).astype(dtype)
    b[b == 0] = 3
    for function in (
        lambda m, a, b: (a + b, a - b, a * b, a / b, a // b, a % b),
        lambda m, a, b: (m.div(a, b, rounding_mode="trunc"), m.div(a, b, rounding_mode="floor")),
        lambda m, a, b: (m.maximum(a, b), m.minimum(a, b), m.abs(a), -a, a**2, m.clamp(a, 1, 5)),
        lambda m, a, b: (a & b, a | b, a ^ b, ~a, a & 3, 5 | a),
        lambda m, a, b: (m.exp(a), m.sqrt(m.abs(b)), m.sigmoid(a), m.tanh(a)),
        lambda m, a, b: (a == b, a < b, a >= 2, a != 2.5, 7 // b, 7 % b, 7 - b),
        lambda m, a, b: (m.relu(a), m.where(a > 3, a, b), a + 1.5, a * True),
    ):
        compare(function, a, b, rtol=2e-6)


def test_bools():
    a, b = np.array([True, True, False, False]), np.array([True, False, True, False])
    compare(lambda m, a, b: (a & b, a | b, a ^ b, ~a, a + b, a * b, a / b, m.maximum(a, b), a & True, a == b), a, b)
    for refused in (
        lambda m, a, b: a - b,
        lambda m, a, b: -a,
        lambda m, a, b: m.abs(a),
        lambda m, a, b: a**b,
        lambda m, a, b: a % b,
        lambda m, a, b: a // b,
        lambda m, a, b: m.relu(a),
    ):
        both_raise(refused, a, b, match=r"bool")


@pytest.mark.parametrize("mode", ["floor", "trunc"])
def test_rounded_division_of_fractions(mode):
    a, b = (g.ravel() for g in np.meshgrid([-7.5, -2.0, 0.0, 3.25, np.inf, np.nan], [-2.0, 0.7, 3.0, 0.0, np.inf]))
    compare(lambda m, a, b: m.div(a, b, rounding_mode=mode), a, b, requires_grad=False)


def test_division_by_whole_zero():
    x = mc.tensor([1, 2])
    with pytest.raises(ZeroDivisionError, match=r"floor_divide|div"):
        _ = x // 0
    with pytest.raises(ZeroDivisionError, match=r"remainder"):
        _ = x % 0
    np.testing.assert_array_equal((x / 0).numpy(), [np.inf, np.inf])


def test_whole_powers():
    both_raise(lambda m, x: x**-1, np.array([2, 3]), match=r"exponent")
    compare(lambda m, x: (x**0, x**5, 2**x), np.array([0, 1, 3]))


@pytest.mark.parametrize("value", [300, -1, 2**40])
def test_numbers_too_large_for_the_type_wrap_as_in_torch(value):
    compare(lambda m, x: (x + value, x * value), np.array([1, 200], np.uint8))


def test_numbers_too_large_for_float32_are_infinite():
    assert (mc.ones(2) * 1e300).tolist() == [float("inf")] * 2


def test_number_on_the_left_of_numpy():
    for product in (np.full(2, 3.0) * mc.ones(2), mc.ones(2) * np.full(2, 3.0)):
        assert isinstance(product, mc.Tensor)
        assert product.tolist() == [3, 3]
    with pytest.raises(TypeError, match=r"from_numpy"):
        mc.mul(mc.ones(2), np.ones(2))
    with pytest.raises(TypeError):
        mc.ones(2) + "a"
    assert (mc.ones(2) == None) is False  # noqa: E711  what Python makes of two strangers
    assert (mc.ones(2) * np.float64(2)).dtype == mc.float32


def test_where_alone_finds_indices():
    x = np.array([[0.0, 1.0], [2.0, 0.0]])
    compare(lambda m, x: m.where(x > 0), x)


def test_where_with_numbers():
    c = np.array([True, False])
    compare(lambda m, c: (m.where(c, 1.0, 0.0), m.where(c, 1, 0), m.where(c, True, False), m.where(c, 1.5, 2)), c)


def test_errors():
    x = mc.ones(2)
    with pytest.raises(TypeError, match=r"condition"):
        mc.where(x, x, x)
    with pytest.raises(TypeError, match=r"both"):
        mc.where(x > 0, x)
    with pytest.raises(ValueError, match=r"rounding_mode.*'round'"):
        mc.div(x, x, rounding_mode="round")
    with pytest.raises(ValueError, match=r"min and max"):
        mc.clamp(x)
    with pytest.raises(TypeError, match=r"float32"):
        _ = x & 1
    with pytest.raises(TypeError, match=r"float32"):
        _ = ~x
    with pytest.raises(TypeError, match=r"expected a Tensor"):
        mc.exp(1.0)


def test_shapes_that_do_not_broadcast():
    both_raise(lambda m, a, b: a + b, np.ones((2, 3)), np.ones((2, 4)), match=r"\(2,3\).*\(2,4\)|broadcast")
    with pytest.raises((ValueError, RuntimeError), match=r"broadcast"):
        mc.ones(2) * mc.ones(3)


def test_equal_and_allclose():
    a = mc.tensor([1.0, float("nan")])
    assert mc.equal(mc.ones(2), mc.ones(2))
    assert not mc.equal(mc.ones(2), mc.ones(3))
    assert not mc.equal(a, a)
    assert mc.allclose(a, a, equal_nan=True)
    assert not mc.allclose(a, a)
    assert mc.allclose(mc.ones(2), mc.ones(2) + 1e-7)
    with pytest.raises(TypeError, match=r"float32 and minicnn.float64"):
        mc.allclose(mc.ones(2), mc.ones(2).double())


@given(x=arrays(kinds=("normal",)), power=st.sampled_from([-2, -1.5, -0.5, 0.5, 2.5, 4]))
def test_powers(x, power):
    compare(lambda m, x: m.pow(m.abs(x) + 0.5, power), x, rtol=2e-5 if x.dtype == np.float32 else 1e-11)


def test_derivatives_at_kinks():
    """By hand, as torch documents or decides: relu 0, abs 0, clamp at its bounds 1, ties in halves, x**0 0."""
    x = mc.tensor([0.0, 1.0], requires_grad=True)
    for function, expected in (
        (mc.relu, [0, 1]),
        (mc.abs, [0, 1]),
        (lambda x: x.clamp(0, 1), [1, 1]),
        (lambda x: mc.maximum(x, x.detach()), [0.5, 0.5]),
        (lambda x: x**0, [0, 0]),
        (lambda x: x**1, [1, 1]),
    ):
        x.grad = None
        function(x).sum().backward()
        assert x.grad.tolist() == expected


def test_sigmoid_keeps_its_digits_far_out():
    x = mc.tensor([-100.0, -800.0, 800.0], dtype=mc.float64)
    assert_same(mc.sigmoid(x), torch.sigmoid(torch.tensor([-100.0, -800.0, 800.0], dtype=torch.float64)), rtol=1e-14)
