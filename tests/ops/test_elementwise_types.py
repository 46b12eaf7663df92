"""Every element-wise function over every type: torch's result and its type, or an error where torch raises one."""

# ruff: noqa: B023  the functions in the loops are called before the next turn

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.ops import elementwise, inplace
from tests.helpers.oracle import assert_same


def _names(text):
    return text.split()


DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")
ONE = _names("""
    abs acos acosh asin asinh atan atanh bitwise_not ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1
    floor frac isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit
    nan_to_num neg positive rad2deg reciprocal round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt square tan
    tanh trunc
""")
TWO = _names("""
    add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor clamp_max clamp_min copysign
    div eq float_power floor_divide fmax fmin fmod gcd ge gt heaviside hypot lcm ldexp le logaddexp logaddexp2
    logical_and logical_or logical_xor lt maximum minimum mul ne nextafter pow remainder rsub sub xlogy
""")
OTHERS = _names("""
    addcdiv addcmul allclose clamp equal frexp isclose lerp where
""")
ALIASES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "clip": "clamp", "divide": "div", "true_divide": "div", "fix": "trunc",
    "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "multiply": "mul", "negative": "neg",
    "not_equal": "ne", "subtract": "sub",
}  # fmt: skip


def test_the_lists_name_every_function():
    assert sorted([*ONE, *TWO, *OTHERS, *ALIASES]) == sorted(elementwise.__all__)


@pytest.mark.parametrize("alias", ALIASES)
def test_second_names(alias):
    assert getattr(mc, alias) is getattr(elementwise, ALIASES[alias]) or hasattr(getattr(mc, alias), "__wrapped__")
    assert hasattr(torch, alias)
    assert hasattr(mc.Tensor, alias) == hasattr(torch.Tensor, alias)
    assert hasattr(mc.Tensor, f"{alias}_") == hasattr(torch.Tensor, f"{alias}_")


def test_methods_and_in_place_forms_are_torchs():
    for name in elementwise.__all__:
        for form in (name, f"{name}_"):
            assert hasattr(mc.Tensor, form) == hasattr(torch.Tensor, form), form
            assert hasattr(mc, form) == hasattr(torch, form), form
    assert all(hasattr(torch.Tensor, name) for name in inplace.FORMS)


def operand(m, dtype, shape, shift=0):
    values = (np.arange(np.prod(shape, dtype=int)).reshape(shape) * 3 + shift) % 5
    return m.tensor((values > 1 if dtype == "bool" else values).tolist(), dtype=getattr(m, dtype))


def agree(call, what):
    """Both raise, or both give the same."""
    try:
        expected = call(torch)
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        with pytest.raises((RuntimeError, TypeError, ValueError, ZeroDivisionError, OverflowError)):
            pytest.fail(f"{what}: torch raises, here it is {call(mc)!r}")
        return
    actual = call(mc)
    if isinstance(expected, torch.Tensor):
        # float32 computed in another order, or near a zero of the function
        assert_same(actual, expected, what, **({"rtol": 2e-5, "atol": 2e-6} if expected.dtype == torch.float32 else {}))
    else:
        assert actual == expected, what


@pytest.mark.parametrize("name", ONE)
def test_one_operand(name):
    for dtype, shape in itertools.product(DTYPES, [(5,), (), (0, 2)]):
        agree(lambda m: getattr(m, name)(operand(m, dtype, shape)), f"{name}({dtype} {shape})")
        agree(lambda m: getattr(operand(m, dtype, shape), name)(), f"Tensor.{name}({dtype} {shape})")
        if hasattr(torch.Tensor, f"{name}_"):
            agree(lambda m: getattr(operand(m, dtype, shape), f"{name}_")(), f"Tensor.{name}_({dtype} {shape})")


@pytest.mark.parametrize("name", TWO)
@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_two_operands(name):
    for (a, b), shapes in itertools.product(
        itertools.product(DTYPES, DTYPES), [((3,), (3,)), ((2, 3), ()), ((), (3,))]
    ):
        what = f"{name}({a} {shapes[0]}, {b} {shapes[1]})"
        agree(lambda m: getattr(m, name)(operand(m, a, shapes[0]), operand(m, b, shapes[1], 2)), what)
    for a, shapes in itertools.product(DTYPES, [((3,), (3,)), ((2, 3), ())]):
        if hasattr(torch.Tensor, f"{name}_"):
            for b in DTYPES:
                agree(
                    lambda m: getattr(operand(m, a, shapes[0]), f"{name}_")(operand(m, b, shapes[1], 2)),
                    f"Tensor.{name}_({a}, {b})",
                )


NUMBERS = (True, 2, -3, 1.5)


@pytest.mark.parametrize("name", [n for n in TWO if n not in ("bitwise_left_shift", "bitwise_right_shift")])
def test_a_number_for_an_operand(name):
    for dtype, number, shape in itertools.product(DTYPES, NUMBERS, [(3,), ()]):
        what = f"{name}({dtype} {shape}, {number})"
        agree(lambda m: getattr(m, name)(operand(m, dtype, shape), number), what)
        # torch's parser takes a number first where a Tensor method of that name takes one: what it refuses so, we may take.
        if name in ("add", "mul", "pow", "remainder", "xlogy", "float_power", "sub", "div"):
            if not (dtype == "uint8" and number == -3):
                agree(
                    lambda m: getattr(m, name)(number, operand(m, dtype, shape)), f"{name}({number}, {dtype} {shape})"
                )


OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "//": lambda a, b: a // b, "%": lambda a, b: a % b, "**": lambda a, b: a**b, "&": lambda a, b: a & b,
    "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << b, ">>": lambda a, b: a >> b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators(symbol):
    operate = OPERATORS[symbol]
    for dtype, number in itertools.product(DTYPES, (True, 2, 1.5)):
        agree(lambda m: operate(operand(m, dtype, (3,)) + 0, number), f"{dtype} {symbol} {number}")
        agree(lambda m: operate(number, operand(m, dtype, (3,), 1)), f"{number} {symbol} {dtype}")
    for a, b in itertools.product(DTYPES, DTYPES):
        agree(lambda m: operate(operand(m, a, (3,)), operand(m, b, (3,), 2)), f"{a} {symbol} {b}")
    for other in (None, "a", [1.0]):
        if symbol in ("==", "!="):
            assert operate(mc.ones(2), other) is operate(torch.ones(2), other) is (symbol == "!=")
        else:
            with pytest.raises(TypeError):
                operate(mc.ones(2), other)


IN_PLACE_OPERATORS = ("+=", "-=", "*=", "/=", "//=", "%=", "**=", "&=", "|=", "^=", "<<=", ">>=")


@pytest.mark.parametrize("symbol", IN_PLACE_OPERATORS)
def test_in_place_operators(symbol):
    def change(m, a, b):
        scope = {"x": operand(m, a, (3,)), "y": operand(m, b, (3,), 2) if isinstance(b, str) else b}
        same = scope["x"]
        exec(f"x {symbol} y", scope)
        assert scope["x"] is same
        return same

    for a, b in itertools.product(DTYPES, (*DTYPES, True, 2, 1.5)):
        agree(lambda m: change(m, a, b), f"{a} {symbol} {b}")


@pytest.mark.parametrize(
    "call",
    [
        lambda m, a, b, c: m.addcmul(a, b, c),
        lambda m, a, b, c: m.addcmul(a, b, c, value=2),
        lambda m, a, b, c: m.addcmul(a, b, c, value=1.5),
        lambda m, a, b, c: m.addcdiv(a, b, c + 1, value=2),
        lambda m, a, b, c: m.lerp(a, b, c),
        lambda m, a, b, c: m.lerp(a, b, 0.25),
        lambda m, a, b, c: m.clamp(a, b, c),
        lambda m, a, b, c: m.clamp(a, 1, 2),
        lambda m, a, b, c: m.clamp(a, 0.5, 2),
        lambda m, a, b, c: m.clamp(a, max=c),
        lambda m, a, b, c: m.where(a > 1, b, c),
        lambda m, a, b, c: m.where(a > 1, b, 2),
        lambda m, a, b, c: m.where(a > 1, 1.5, c),
        lambda m, a, b, c: m.where(a > 1, 1, 2.5),
        lambda m, a, b, c: m.where(a, b, c),
        lambda m, a, b, c: m.where(a)[0],
        lambda m, a, b, c: m.isclose(a, b),
        lambda m, a, b, c: m.allclose(a, b),
        lambda m, a, b, c: m.equal(a, b),
        lambda m, a, b, c: m.add(a, b, alpha=2),
        lambda m, a, b, c: m.add(a, b, alpha=1.5),
        lambda m, a, b, c: m.add(a, b, alpha=True),
        lambda m, a, b, c: m.sub(a, b, alpha=-1),
        lambda m, a, b, c: m.div(a, b + 1, rounding_mode="floor"),
        lambda m, a, b, c: m.div(a, b + 1, rounding_mode="trunc"),
        lambda m, a, b, c: m.round(a, decimals=1),
        lambda m, a, b, c: m.logit(a, eps=0.2),
        lambda m, a, b, c: m.nan_to_num(a, 1.0, 2.0, 3.0),
    ],
)
@pytest.mark.filterwarnings("ignore:where received a uint8 condition")
def test_more_arguments(call):
    for a, b in itertools.product(DTYPES, DTYPES):
        agree(lambda m: call(m, operand(m, a, (3,)), operand(m, b, (3,), 1), operand(m, b, (3,), 2)), f"{a}, {b}")
