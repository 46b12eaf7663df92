"""Values and gradients of every element-wise function of floating point, against torch and central differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given

import minicnn as mc
from tests.helpers.oracle import arrays, broadcastable, check_gradients, compare, values
from tests.ops.test_elementwise_types import ONE as NAMES

ONE = {
    name: (lambda m, x, name=name: getattr(m, name)(x)) for name in NAMES if name not in ("bitwise_not", "logical_not")
}
ONE |= {
    "sgn": lambda m, x: m.sgn(x) * x,  # (torch's gradient of it alone is a tensor without memory)
    "round_to": lambda m, x: m.round(x, decimals=2),
    "round_tens": lambda m, x: m.round(x * 10, decimals=-1),
    "logit_eps": lambda m, x: m.logit(x, eps=0.1),
    "logit_none": lambda m, x: m.logit(x),
    "nan_to_num_given": lambda m, x: m.nan_to_num(x.log(), nan=2, posinf=3, neginf=-3),
    "frexp": lambda m, x: m.frexp(x)[0],
    "frexp_exponent": lambda m, x: m.frexp(x)[1] * (x.detach().abs() < m.inf),
    "clamp_min": lambda m, x: m.clamp_min(x, 0.5),
    "clamp_max": lambda m, x: m.clamp_max(x, 0.5),
    "pow": lambda m, x: m.pow(x, 3),
    "base": lambda m, x: m.pow(0.5, x),
    "float_power": lambda m, x: m.float_power(x, 2),
    "xlogy_number": lambda m, x: m.xlogy(2.0, x),
    "xlogy_by_number": lambda m, x: m.xlogy(x, 2.0),
    "fmod_number": lambda m, x: m.fmod(x, 0.7),
    "copysign_number": lambda m, x: m.copysign(x, -1.0),
    "div_floor": lambda m, x: m.div(x, 0.3, rounding_mode="floor"),
    "rsub": lambda m, x: m.rsub(x, 3, alpha=2),
    "lerp_number": lambda m, x: m.lerp(x, x * 2, 0.3),
    "addcmul": lambda m, x: m.addcmul(x, x, x, value=0.5),
    "addcdiv": lambda m, x: m.addcdiv(x, x, x + 5, value=-2),
}
_TWO = """atan2 copysign fmax fmin fmod hypot ldexp logaddexp logaddexp2 maximum minimum remainder xlogy"""
TWO = {name: (lambda m, a, b, name=name: getattr(m, name)(a, b)) for name in _TWO.split()}
TWO |= {
    "clamp_min": lambda m, a, b: m.clamp_min(a, b),
    "clamp_max": lambda m, a, b: m.clamp_max(a, b),
    "lerp": lambda m, a, b: m.lerp(a, b, 0.7),
    "lerp_weight": lambda m, a, b: m.lerp(a, b, a * 0.3),
    "addcmul": lambda m, a, b: m.addcmul(a, b, a, value=3),
    "addcdiv": lambda m, a, b: m.addcdiv(b, a, b + 7, value=3),
    "trunc": lambda m, a, b: m.div(a, b, rounding_mode="trunc"),
    "floor": lambda m, a, b: m.div(a, b, rounding_mode="floor"),
    "float_power": lambda m, a, b: m.float_power(a.abs(), b),
    "isclose": lambda m, a, b: m.isclose(a, b, rtol=0.1, atol=0.2, equal_nan=True),
}
# Where a function is steep, an ulp of the argument is many of the result: float32 has no more to give.
LOOSE = {"rtol": 5e-5, "atol": 2e-5}


def tolerance(x):
    return LOOSE if x.dtype == np.float32 else {"rtol": 1e-9, "atol": 1e-11}


@pytest.mark.parametrize("name", ONE)
@given(x=arrays())
def test_one_operand(name, x):
    if name == "digamma":
        # torch's trigamma is finite at its poles, but for 0, and in float32 it loses its digits on the way there
        x = np.where(np.abs(x - np.round(x)) < 0.01, np.abs(x) + 0.5, x)
    compare(ONE[name], x, **tolerance(x))


@pytest.mark.parametrize("name", TWO)
@given(pair=broadcastable(2))
def test_two_operands(name, pair):
    compare(TWO[name], *pair, **tolerance(pair[0]))


EDGES = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 1e-30, -1e-30, 1e30, -1e30, 88.0]
)
# Where both are right in their own way: poles of the gamma function's derivatives, and overflow in between.
LEFT_OUT = {
    "digamma": ~np.isin(
        EDGES, [-1, -np.inf, 1e30, -1e30]
    ),  # trigamma at a pole and at infinity; far left nothing is known
    "lgamma": ~np.isin(EDGES, [-1e30, -np.inf]),
    "sinc": np.abs(EDGES) < 1e29,  # sin(pi 1e30): of its argument's rounding
    # Gradients of torch that depend on how many numbers there are.
    "logit": ~np.isnan(EDGES) & ((EDGES != 0) | ~np.signbit(EDGES)),
    "logit_none": ~np.isnan(EDGES) & ((EDGES != 0) | ~np.signbit(EDGES)),
    "logit_eps": ~np.isnan(EDGES),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ONE)
def test_edges(name, dtype):
    x = EDGES[LEFT_OUT.get(name, np.full(EDGES.shape, True))].astype(dtype)
    large = np.abs(x) > 1e20
    if name in ("sin", "cos", "tan"):
        x = x[~large]
    compare(ONE[name], x, **tolerance(x))


@pytest.mark.parametrize("name", TWO)
def test_edges_of_two(name):
    a, b = (x.ravel() for x in np.meshgrid(EDGES[:12], EDGES[:12]))
    compare(TWO[name], a, b, rtol=1e-9, atol=1e-11)


KINKED = {"floor", "ceil", "trunc", "round", "round_to", "round_tens", "frac", "div_floor", "sign", "sgn", "logit_eps"}
DOMAIN = {"acosh": 1.5, "logit": 0, "logit_none": 0, "asin": 0, "acos": 0, "atanh": 0, "erfinv": 0}


@pytest.mark.parametrize("name", [n for n in ONE if n not in KINKED and not n.startswith(("is", "signbit"))])
def test_one_operand_by_differences(name):
    x = values(np.random.default_rng(1), (3, 4), kind="positive") / 2.2 + 0.013 + DOMAIN.get(name, 0)  # 0.24 to 0.92
    check_gradients(ONE[name], x)


@pytest.mark.parametrize("name", [n for n in TWO if n not in ("isclose", "floor", "trunc")])
def test_two_operands_by_differences(name):
    rng = np.random.default_rng(2)
    check_gradients(TWO[name], values(rng, (3, 1, 4), kind="positive"), values(rng, (2, 4), kind="positive") + 0.017)


def test_lerp_ends_where_it_should():
    a, b = mc.tensor([1.0, 1e8]), mc.tensor([0.1, -3.3])
    assert mc.lerp(a, b, 1.0).equal(b)
    assert mc.lerp(a, b, 0.0).equal(a)


def test_no_derivative_where_torch_has_none():
    x = mc.ones(2, requires_grad=True)
    for y in (mc.floor_divide(x, 2), mc.heaviside(x, x)):
        assert y.requires_grad
        with pytest.raises(RuntimeError, match=r"no derivative, as in torch"):
            y.sum().backward()


def test_what_is_kept_is_what_the_gradient_needs():
    x = mc.ones(3, requires_grad=True)
    for name, kept in {"sin": [x], "floor": [], "frac": [], "deg2rad": [], "erf": [x]}.items():
        y = getattr(mc, name)(x)
        assert [id(a) for a in y.grad_fn.ctx.saved] == [id(t._array) for t in kept], name
    y = mc.exp(x)
    assert y.grad_fn.ctx.saved[0] is y._array
    assert mc.exp(mc.ones(3)).grad_fn is None


@pytest.mark.parametrize("name", ["exp", "erf", "lgamma", "sigmoid", "hypot", "clamp", "round"])
def test_memory_order_is_kept(name):
    x = mc.rand(2, 3, 4, 5).contiguous(memory_format=mc.channels_last)
    y = {"hypot": lambda: mc.hypot(x, x), "clamp": lambda: x.clamp(0.1)}.get(name, lambda: getattr(mc, name)(x))()
    assert y.stride() == x.stride()


def test_where_gives_indices():
    for data in ([[0, 1], [2, 0]], [True, False], 3, 0, [[]]):
        for a, b in zip(mc.where(mc.tensor(data)), torch.where(torch.tensor(data)), strict=True):
            assert a.tolist() == b.tolist()
            assert a.dtype is mc.int64
