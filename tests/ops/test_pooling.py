"""Pooling against torch and central differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def pools(draw, dilated):
    kernel, stride = draw(PAIR), draw(st.one_of(st.none(), PAIR))
    dilation = draw(PAIR) if dilated else (1, 1)
    # torch allows half of the kernel without its dilation
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    size = [
        draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), 9)) for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    shape = (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *size)
    return (
        shape,
        {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())},
        dilation,
    )


@settings(max_examples=60)
@given(case=pools(True), dtype=FLOATS, seed=SEEDS, kind=st.sampled_from(["grid", "normal"]), layout=st.integers(0, 4))
def test_max_pool2d(case, dtype, seed, kind, layout):
    shape, options, dilation = case
    x = list(layouts(values(np.random.default_rng(seed), shape, dtype, kind)))[layout]
    compare(lambda m, x: m.nn.functional.max_pool2d(x, **options, dilation=dilation), x)


@settings(max_examples=60)
@given(
    case=pools(False),
    dtype=FLOATS,
    seed=SEEDS,
    layout=st.integers(0, 4),
    include=st.booleans(),
    divisor=st.sampled_from([None, 1, 3, -2]),
)
def test_avg_pool2d(case, dtype, seed, layout, include, divisor):
    shape, options, _ = case
    x = list(layouts(values(np.random.default_rng(seed), shape, dtype, "normal")))[layout]
    compare(
        lambda m, x: m.nn.functional.avg_pool2d(x, **options, count_include_pad=include, divisor_override=divisor), x
    )


def test_without_a_batch_and_with_an_empty_one():
    x = values(np.random.default_rng(0), (3, 6, 7))
    compare(lambda m, x: (m.nn.functional.max_pool2d(x, 2), m.nn.functional.avg_pool2d(x, 3, 2)), x)
    compare(lambda m, x: (m.nn.functional.max_pool2d(x, 2), m.nn.functional.avg_pool2d(x, 2)), np.zeros((0, 3, 4, 4)))


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values(special):
    x = values(np.random.default_rng(0), (1, 2, 6, 6))
    x[0, :, 1:4, 2:5] = special
    # Of several NaNs torch gives the gradient to the last, we to the first, as to the first of equal numbers.
    wants = not np.isnan(special)
    compare(lambda m, x: m.nn.functional.max_pool2d(x, 2), x, requires_grad=wants)
    compare(lambda m, x: m.nn.functional.max_pool2d(x, 3, 1, 1), x, requires_grad=wants)
    compare(lambda m, x: m.nn.functional.avg_pool2d(x, 2), x)


def test_all_minus_infinity_with_padding():
    compare(lambda m, x: m.nn.functional.max_pool2d(x, 3, 2, 1), np.full((1, 1, 4, 4), -np.inf))


def test_the_first_of_equal_ones_gets_the_gradient():
    x = mc.zeros(1, 1, 2, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1, 0, 1, 0], [0, 0, 0, 0]]]]


def test_gradcheck():
    x = values(np.random.default_rng(0), (2, 2, 5, 6), kind="normal")
    for function in (
        lambda m, x: m.nn.functional.max_pool2d(x, 2),
        lambda m, x: m.nn.functional.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        lambda m, x: m.nn.functional.max_pool2d(x, 2, 1, dilation=2),
        lambda m, x: m.nn.functional.avg_pool2d(x, 2),
        lambda m, x: m.nn.functional.avg_pool2d(x, 3, 2, 1, True, False),
    ):
        check_gradients(function, x)


def test_errors():
    x = np.ones((1, 1, 4, 4))
    for name in ("max_pool2d", "avg_pool2d"):
        pool = lambda *args, name=name, **options: lambda m, x: getattr(m.nn.functional, name)(x, *args, **options)  # noqa: E731
        both_raise(pool(5), x, match=r"kernel is larger than the padded input")
        both_raise(pool(0), x, match=r"kernel_size must be at least 1")
        both_raise(pool(2, 0), x, match=r"stride must be at least 1")
        both_raise(pool(2, 2, 2), x, match=r"padding must be at most half of")
        both_raise(pool(2, 2, -1), x, match=r"padding must not be negative")
        both_raise(pool((2, 2, 2)), x, match=r"kernel_size must be an int or a pair")
        both_raise(pool(2), np.ones((4, 4)), match=r"x must have 4 axes")
        with pytest.raises(TypeError, match=f"input: {name} needs floating point"):
            getattr(F, name)(mc.ones(1, 1, 4, 4).long(), 2)
    both_raise(lambda m, x: m.nn.functional.max_pool2d(x, 2, dilation=0), x, match=r"dilation must be at least 1")
    both_raise(lambda m, x: m.nn.functional.avg_pool2d(x, 2, divisor_override=0), x, match=r"divisor_override")
    with pytest.raises(NotImplementedError, match=r"return_indices"):
        F.max_pool2d(mc.ones(1, 1, 2, 2), 2, return_indices=True)
