"""Element-wise activations against torch: values, gradients, kinks, types, in-place forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, values

F = mc.nn.functional

# name -> further arguments to try; the grid of values has ties with most of the kinks
FLOATING = {
    "celu": [(), (2.0,), (-1.5,)],
    "elu": [(), (0.5,), (-2.0,)],
    "gelu": [()],
    "glu": [(0,), (-1,)],
    "hardshrink": [(), (1.0,), (0.0,)],
    "hardsigmoid": [()],
    "hardswish": [()],
    "leaky_relu": [(), (0.5,), (-0.5,)],
    "logsigmoid": [()],
    "mish": [()],
    "rrelu": [(), (0.1, 0.2)],
    "selu": [()],
    "silu": [()],
    "softplus": [(), (2.0,), (1.0, 0.5), (-1.0, 20)],
    "softshrink": [(), (1.0,), (0.0,)],
}
WHOLE_TOO = {
    "hardtanh": [(), (-2, 1), (0, 2), (1, 1)],
    "relu": [()],
    "relu6": [()],
    "sigmoid": [()],
    "softsign": [()],
    "tanhshrink": [()],
    "threshold": [(0, 7), (1, -3), (-0.5, 0.25)],
}
CASES = [(name, args) for name, several in {**FLOATING, **WHOLE_TOO}.items() for args in several]
IN_PLACE = ["celu", "elu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "mish", "relu", "relu6", "rrelu", "selu",
            "silu"]  # fmt: skip
UNDERSCORED = ["celu_", "elu_", "hardtanh_", "leaky_relu_", "relu_", "rrelu_", "selu_"]


def call(name, *args, **options):
    return lambda m, x: getattr(m.nn.functional, name)(x, *args, **options)


@pytest.mark.parametrize(("name", "args"), CASES, ids=lambda x: str(x))
@given(data=st.data())
def test_against_torch(name, args, data):
    x = data.draw(arrays())
    if name == "glu":
        if not x.ndim or x.shape[args[0]] % 2:
            return
    # A few roundings; hardsigmoid's slope in torch is 1/6 in float32, in float64 too.
    compare(call(name, *args), x, **({"rtol": 1e-7} if name == "hardsigmoid" and x.dtype == np.float64 else {}))


@pytest.mark.parametrize(("name", "args"), [c for c in CASES if c[0] not in ("relu6", "hardsigmoid")])
def test_gradcheck(name, args):
    x = values(np.random.default_rng(0), (4, 6), kind="normal")
    check_gradients(call(name, *args), x)


@pytest.mark.parametrize("name", ["relu6", "hardsigmoid", "hardswish", "hardtanh"])
def test_kinks(name):
    compare(call(name), np.array([-3.0, -1.0, 0.0, 1.0, 3.0, 6.0, 7.0]), rtol=1e-7)


@given(arrays())
def test_gelu_by_tanh(x):
    compare(call("gelu", approximate="tanh"), x)
    check_gradients(call("gelu", approximate="tanh"), x.astype(np.float64))


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.int8, bool])
@pytest.mark.parametrize(("name", "args"), [(n, a[0]) for n, a in {**FLOATING, **WHOLE_TOO}.items()])
def test_whole_numbers(name, args, dtype):
    x = np.array([[0, 1, 3, 9]]).astype(dtype)
    try:
        call(name, *args)(torch, torch.from_numpy(x))
    except (RuntimeError, NotImplementedError):
        both_raise(call(name, *args), x, match=r"input: |bool")
    else:
        compare(call(name, *args), x)


@given(data=st.data())
def test_prelu(data):
    x = data.draw(arrays())
    sizes = [(), (1,)] + ([(x.shape[1],)] if x.ndim > 1 else [])
    weight = data.draw(arrays(data.draw(st.sampled_from(sizes)), dtype=x.dtype))
    compare(lambda m, x, w: m.nn.functional.prelu(x, w), x, weight)
    compare(lambda m, x, w: x.prelu(w), x, weight)


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("spelled", ["argument", "underscore"])
def test_in_place(name, spelled):
    if spelled == "underscore" and f"{name}_" not in UNDERSCORED:
        return

    def change(m, x):
        y = x * 1
        if spelled == "argument":
            z = getattr(m.nn.functional, name)(y, inplace=True)
        else:
            z = getattr(m.nn.functional, f"{name}_")(y)
        assert z is y
        return y * y

    # The square doubles a rounding error, and torch's hardsigmoid has 1/6 in float32.
    compare(change, values(np.random.default_rng(1), (3, 4)), rtol=1e-6)


@pytest.mark.parametrize("name", ["relu_", "celu_", "selu_", "rrelu_", "threshold_"])
def test_in_place_functions_of_the_front_door(name):
    x = mc.tensor([-1.0, 2.0])
    expected = torch.tensor([-1.0, 2.0])
    args = (0.5, 3.0) if name == "threshold_" else ()
    assert getattr(mc, name)(x, *args) is x
    np.testing.assert_allclose(x.numpy(), getattr(torch, name)(expected, *args).numpy(), rtol=1e-6)
    assert getattr(mc, name).__doc__


class TestRRelu:
    def test_slopes_are_uniform_and_the_gradient_has_them(self):
        mc.manual_seed(0)
        x = mc.full((100, 100), -1.0, dtype=mc.float64, requires_grad=True)
        y = F.rrelu(x, 0.2, 0.6, training=True)
        y.sum().backward()
        slopes = -y.detach().numpy()
        np.testing.assert_array_equal(x.grad.numpy(), slopes)
        assert slopes.min() >= 0.2
        assert slopes.max() < 0.6
        assert abs(slopes.mean() - 0.4) < 0.006  # five standard deviations of the mean

    def test_positive_ones_pass(self):
        assert F.rrelu(mc.tensor([1.0, 2.0]), training=True).tolist() == [1, 2]


def test_errors():
    both_raise(call("glu"), np.ones((2, 3)), match=r"input: glu halves dimension 1, whose size 3 is odd")
    both_raise(call("glu"), np.ones(()), match=r"input: glu halves a dimension")
    both_raise(
        call("softshrink", -1.0), np.ones(3), match=r"lambd: softshrink needs a number that is not negative, got -1"
    )
    both_raise(call("hardtanh", 2, 1), np.ones(3), match=r"min_val: hardtanh needs min_val <= max_val, got 2 and 1")
    both_raise(
        call("gelu", approximate="cubic"), np.ones(3), match=r"approximate: expected 'none' or 'tanh', got 'cubic'"
    )
    both_raise(call("celu", 0.0), np.ones(3), match=r"alpha: celu divides by it")
    both_raise(call("rrelu", 0.5, 0.25), np.ones(3), match=r"lower: rrelu needs lower <= upper")
    prelu = lambda m, x, w: m.nn.functional.prelu(x, w)  # noqa: E731
    both_raise(prelu, np.ones((2, 3)), np.ones(2), match=r"weight: .* each of the 3 channels, got 2")
    both_raise(prelu, np.ones((2, 3)), np.ones((1, 3)), match=r"weight: .*got shape \(1, 3\)")
    both_raise(prelu, np.ones((2, 3)), np.ones(3, np.float32), match=r"weight: prelu needs one type")
