"""Pooling against torch and central differences: values, indices, gradients, errors, in one, two and three dimensions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional


def numbers(n, low, high):
    return st.tuples(*(st.integers(low, high) for _ in range(n)))


def call(name, axes, **options):
    """m.nn.functional.<name><axes>d of its tensors, whatever the framework m."""
    return lambda m, *tensors: getattr(m.nn.functional, f"{name}{axes}d")(*tensors, **options)


@st.composite
def pools(draw, dilated):
    """The number of axes, a shape, and a window that fits; with a batch or without."""
    n = draw(st.integers(1, 3))
    kernel, stride = draw(numbers(n, 1, 3)), draw(st.one_of(st.none(), numbers(n, 1, 3)))
    dilation = draw(numbers(n, 1, 3)) if dilated else (1,) * n
    # torch allows half of the kernel without its dilation
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    # A window whose taps lie around the input sees nothing of it: torch's gradient writes into foreign memory.
    least = [max(d, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    if n == 3 and not dilated:
        least = [max(pair) for pair in zip(least, kernel, strict=True)]  # torch wants more room in volumes
    size = [draw(st.integers(low, 9 if n < 3 else max(low, 5))) for low in least]
    shape = (*draw(st.sampled_from([(), (1,), (2,)])), draw(st.integers(1, 3)), *size)
    options = {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}
    return n, shape, options, dilation


def array(shape, dtype, seed, kind, layout):
    options = list(layouts(values(np.random.default_rng(seed), shape, dtype, kind)))
    return options[layout % len(options)]


@settings(max_examples=50)
@given(case=pools(True), dtype=FLOATS, seed=SEEDS, kind=st.sampled_from(["grid", "normal"]), layout=st.integers(0, 4))
def test_max_pool(case, dtype, seed, kind, layout):
    n, shape, options, dilation = case
    x = array(shape, dtype, seed, kind, layout)
    compare(call("max_pool", n, **options, dilation=dilation), x)
    compare(call("max_pool", n, **options, dilation=dilation, return_indices=True), x)


@settings(max_examples=50)
@given(
    case=pools(False),
    dtype=FLOATS,
    seed=SEEDS,
    layout=st.integers(0, 4),
    include=st.booleans(),
    divisor=st.sampled_from([None, 1, 3, -2]),
)
def test_avg_pool(case, dtype, seed, layout, include, divisor):
    n, shape, options, _ = case
    if n > 1:
        options = options | {"divisor_override": divisor}
    compare(call("avg_pool", n, **options, count_include_pad=include), array(shape, dtype, seed, "normal", layout))


@settings(max_examples=40)
@given(case=pools(False), dtype=FLOATS, seed=SEEDS, p=st.sampled_from([1, 2, 3, 0.5, 1.7]))
def test_lp_pool(case, dtype, seed, p):
    n, shape, options, _ = case
    size = shape[-n:]
    options = {name: options[name] for name in ("kernel_size", "stride", "ceil_mode")}
    if any(k > s for k, s in zip(options["kernel_size"], size, strict=True)):
        return
    if n == 1:  # torch takes no tuple here
        options |= {"kernel_size": options["kernel_size"][0]}
    x = np.abs(array(shape, dtype, seed, "normal", 0)) + dtype(0.1)
    # A root and its power: rounding is multiplied by their exponents.
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-11}
    compare(call("lp_pool", n, norm_type=p, **options), x, **tolerance)


def test_lp_pool_of_zeros_and_negatives():
    x = np.array([[0.0, 0.0, -1.0, 1.0, -2.0, -2.0]])
    for p in (1, 2, 3, 2.5):
        compare(lambda m, x, p=p: m.nn.functional.lp_pool1d(x, p, 2), x)
    compare(lambda m, x: m.nn.functional.lp_pool1d(x, 2, 2), x.astype(np.int64))


@settings(max_examples=50)
@given(
    n=st.integers(1, 3),
    data=st.data(),
    dtype=FLOATS,
    seed=SEEDS,
    kind=st.sampled_from(["grid", "normal"]),
    layout=st.integers(0, 4),
)
def test_adaptive(n, data, dtype, seed, kind, layout):
    size = data.draw(numbers(n, 1, 9 if n < 3 else 5))
    shape = (*data.draw(st.sampled_from([(), (1,), (2,)])), data.draw(st.integers(1, 3)), *size)
    wanted = data.draw(st.one_of(st.integers(0, 7), numbers(n, 0, 7)))
    if n > 1 and isinstance(wanted, tuple):
        wanted = tuple(None if data.draw(st.booleans()) else one for one in wanted)
    x = array(shape, dtype, seed, kind, layout)
    some = 0 not in np.atleast_1d(wanted)  # torch differentiates no empty results
    compare(call("adaptive_avg_pool", n, output_size=wanted), x, requires_grad=some)
    compare(call("adaptive_max_pool", n, output_size=wanted, return_indices=True), x, requires_grad=some)
    compare(call("adaptive_max_pool", n, output_size=wanted), x, requires_grad=some)


@settings(max_examples=40)
@given(case=pools(False), dtype=FLOATS, seed=SEEDS, data=st.data())
def test_max_unpool(case, dtype, seed, data):
    """From the places that a pooling found, with the sizes that it could have had."""
    n, shape, options, _ = case
    options = {name: options[name] for name in ("kernel_size", "stride", "padding")}
    options["padding"] = (0,) * n
    if any(k > s for k, s in zip(options["kernel_size"], shape[-n:], strict=True)):
        return
    x = mc.from_numpy(values(np.random.default_rng(seed), shape, dtype, "normal"))
    out, indices = call("max_pool", n, **options, return_indices=True)(mc, x)
    step = options["stride"] or options["kernel_size"]
    expected = [(s - 1) * t + k for s, t, k in zip(out.shape[-n:], step, options["kernel_size"], strict=True)]
    if not all(e - t < s < e + t for e, t, s in zip(expected, step, shape[-n:], strict=True)):
        return
    whole = tuple(shape) if len(shape) == n + 2 and data.draw(st.booleans()) else tuple(shape[-n:])
    compare(call("max_unpool", n, **options, output_size=whole), out.numpy(), indices.numpy())


@pytest.mark.parametrize("n", [1, 2, 3])
def test_max_unpool_of_places_drawn_at_random(n):
    """Several elements with one place, and the size that follows from the window."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, *(3, 2, 2)[:n]))
    places = rng.integers(0, math.prod((6, 4, 4)[:n]), x.shape)
    compare(call("max_unpool", n, kernel_size=2), x, places)
    compare(call("max_unpool", n, kernel_size=2), x[0], places[0])
    compare(call("max_unpool", n, kernel_size=3, stride=2, padding=0), x, places)


def test_without_a_batch_and_with_an_empty_one():
    for n in (1, 2, 3):
        empty = np.zeros((0, 3, *(4,) * n))
        for name, options in (
            ("max_pool", {"kernel_size": 2}),
            ("max_pool", {"kernel_size": 2, "return_indices": True}),
            ("avg_pool", {"kernel_size": 2}),
            ("lp_pool", {"kernel_size": 2, "norm_type": 2.0}),
            ("adaptive_avg_pool", {"output_size": 3}),
            ("adaptive_avg_pool", {"output_size": 1}),
            ("adaptive_max_pool", {"output_size": 3}),
        ):
            compare(call(name, n, **options), empty)


def test_the_mean_of_nothing_is_nan():
    for n in (1, 2, 3):
        compare(call("adaptive_avg_pool", n, output_size=1), np.zeros((2, 3, 0, 4, 4)[: n + 2]), requires_grad=False)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_values(special):
    x = values(np.random.default_rng(0), (1, 2, 6, 6))
    x[0, :, 1:4, 2:5] = special
    compare(lambda m, x: m.nn.functional.max_pool2d(x, 2, return_indices=True), x)
    compare(lambda m, x: m.nn.functional.max_pool2d(x, 3, 1, 1, return_indices=True), x)
    compare(lambda m, x: m.nn.functional.adaptive_max_pool2d(x, 2, return_indices=True), x)
    compare(lambda m, x: m.nn.functional.avg_pool2d(x, 2), x)
    compare(lambda m, x: m.nn.functional.adaptive_avg_pool2d(x, (4, 1)), x)


def test_all_minus_infinity_with_padding():
    compare(lambda m, x: m.nn.functional.max_pool2d(x, 3, 2, 1), np.full((1, 1, 4, 4), -np.inf))


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.int8, np.uint8])
def test_whole_numbers(n, dtype):
    x = np.random.default_rng(0).integers(0, 100, (2, 3, *(6, 5, 4)[:n])).astype(dtype)
    compare(call("max_pool", n, kernel_size=3, stride=2, padding=1, return_indices=True), x)
    if n > 1:  # torch wants the indices too in one dimension
        compare(call("max_pool", n, kernel_size=3, stride=2, padding=1), x)
    if dtype == np.int64:
        x[::2] *= -1
        compare(call("avg_pool", n, kernel_size=2), x)
        compare(call("avg_pool", n, kernel_size=3, stride=2, padding=1, count_include_pad=False), x)


def test_whole_numbers_of_extreme_size():
    x = np.full((1, 1, 2, 2), np.iinfo(np.int64).min)
    compare(lambda m, x: m.nn.functional.max_pool2d(x, 2, return_indices=True), x)


def test_the_first_of_equal_ones_gets_the_gradient():
    x = mc.zeros(1, 1, 2, 4, requires_grad=True)
    F.max_pool2d(x, 2).sum().backward()
    assert x.grad.tolist() == [[[[1, 0, 1, 0], [0, 0, 0, 0]]]]


def test_the_names_with_indices():
    x = values(np.random.default_rng(0), (2, 3, 6, 5, 4))
    for n in (1, 2, 3):
        y = x.reshape(*x.shape[: n + 1], -1)
        compare(lambda m, x, n=n: getattr(m.nn.functional, f"max_pool{n}d_with_indices")(x, 2, 1), y)
        compare(lambda m, x, n=n: getattr(m.nn.functional, f"adaptive_max_pool{n}d_with_indices")(x, 2), y)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_memory_order_is_kept(n):
    """Channels last in, channels last out, and so the gradient."""
    x = np.moveaxis(np.random.default_rng(0).standard_normal((2, *(6, 5, 4)[:n], 3)), -1, 1)
    for name, options in (
        ("max_pool", {"kernel_size": 2}),
        ("avg_pool", {"kernel_size": 2}),
        ("adaptive_avg_pool", {"output_size": 2}),
        ("adaptive_max_pool", {"output_size": 2}),
    ):
        ours = mc.from_numpy(x).requires_grad_()
        out = call(name, n, **options)(mc, ours)
        assert out.stride()[1] == 1
        out.sum().backward()
        assert ours.grad.stride()[1] == 1


def test_gradcheck():
    x = values(np.random.default_rng(0), (2, 2, 5, 6), kind="normal")
    for function in (
        lambda m, x: m.nn.functional.max_pool2d(x, 2),
        lambda m, x: m.nn.functional.max_pool2d(x, 3, 2, 1, ceil_mode=True),
        lambda m, x: m.nn.functional.max_pool2d(x, 2, 1, dilation=2),
        lambda m, x: m.nn.functional.max_pool2d(x, 2, return_indices=True)[0],
        lambda m, x: m.nn.functional.avg_pool2d(x, 2),
        lambda m, x: m.nn.functional.avg_pool2d(x, 3, 2, 1, True, False),
        lambda m, x: m.nn.functional.adaptive_avg_pool2d(x, (3, 4)),
        lambda m, x: m.nn.functional.adaptive_max_pool2d(x, (3, 4)),
        lambda m, x: m.nn.functional.lp_pool2d(x.abs(), 3, 2),
        lambda m, x: m.nn.functional.max_unpool2d(x, mc.arange(30).flip(0).reshape(5, 6).expand(2, 2, 5, 6), 1),
    ):
        check_gradients(function, x)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_errors(n):
    x = np.ones((1, 1, *(4,) * n))
    letters = {1: "length", 2: "h, w", 3: "d, h, w"}[n]
    for name in ("max_pool", "avg_pool"):
        pool = lambda *args, name=name: lambda m, x: getattr(m.nn.functional, f"{name}{n}d")(x, *args)  # noqa: E731
        both_raise(pool(5), x, match=r"kernel is larger than the padded input|no larger than the volume")
        both_raise(pool(0), x, match=r"kernel_size must be at least 1")
        both_raise(pool(2, 0), x, match=r"stride must be at least 1")
        both_raise(pool(2, 2, 2), x, match=r"padding must be at most half of")
        both_raise(pool(2, 2, -1), x, match=r"padding must not be negative")
        both_raise(pool((2,) * (n + 1)), x, match=r"kernel_size must be an int or")
        both_raise(pool(2), np.ones((4,) * n), match=rf"x must have {n + 2} axes \(n, c, {letters}\)")
        both_raise(pool(2), np.ones((4,) * (n + 3)), match=r"x must have")
        both_raise(pool(1), np.ones((2, 0, *(4,) * n)), match=r"must not be empty")
        both_raise(pool(1), np.ones((2, 3, *(0,) * n)), match=r"must not be empty")
        both_raise(pool(1), np.ones((2, 3, *(4,) * n)) > 0, match=rf"input: {name}{n}d needs .*bool")
    both_raise(call("max_pool", n, kernel_size=2, dilation=0), x, match=r"dilation must be at least 1")
    if n > 1:
        both_raise(call("avg_pool", n, kernel_size=2, divisor_override=0), x, match=r"divisor_override")
    both_raise(call("avg_pool", n, kernel_size=2), x.astype(np.int32), match=r"needs floating point")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_adaptive_errors(n):
    x = np.ones((1, 1, *(4,) * n))
    for name in ("adaptive_avg_pool", "adaptive_max_pool"):
        both_raise(call(name, n, output_size=-1), x, match=r"output_size: sizes are not negative")
        both_raise(call(name, n, output_size=(2,) * (n + 1)), x, match=r"output_size: .* needs one for each of")
        both_raise(call(name, n, output_size=None), x, match=r"output_size: .* needs an integer for each axis")
        both_raise(call(name, n, output_size=2), np.ones((4,) * n), match=rf"input: {name}{n}d takes \(n, c")
        both_raise(call(name, n, output_size=2), np.ones((2, 3, *(0,) * n)), match=r"nothing is left to pool")
        both_raise(call(name, n, output_size=2), x.astype(np.int64), match=r"needs floating point")
    both_raise(
        call("adaptive_max_pool", n, output_size=2), np.ones((2, 0, *(4,) * n)), match=r"nothing is left to pool"
    )


@pytest.mark.parametrize("n", [1, 2, 3])
def test_unpool_errors(n):
    x, places = np.ones((1, 1, *(2,) * n)), np.zeros((1, 1, *(2,) * n), np.int64)
    both_raise(call("max_unpool", n, kernel_size=2), x, places - 1, match=r"indices: the places of a result of size")
    both_raise(call("max_unpool", n, kernel_size=2), x, places + 64, match=r"got 64 to 64")
    both_raise(call("max_unpool", n, kernel_size=2), x, places[..., :1], match=r"indices of the same shape")
    both_raise(call("max_unpool", n, kernel_size=2), x, places.astype(np.int32), match=r"indices: .* needs an int64")
    both_raise(call("max_unpool", n, kernel_size=2), x.astype(np.int64), places, match=r"needs floating point")
    both_raise(call("max_unpool", n, kernel_size=2, output_size=(9,) * n), x, places, match=r"must be between 2 and 6")
    both_raise(
        call("max_unpool", n, kernel_size=2, output_size=(4,) * (n + 1)), x, places, match=r"output_size: expected"
    )
    both_raise(call("max_unpool", n, kernel_size=2), x[:, :0], places[:, :0], match=r"nothing is left to put in place")
    both_raise(call("max_unpool", n, kernel_size=1, padding=3), x, places, match=r"sizes are not negative")
    with pytest.raises(ValueError, match=r"max_unpool.d takes"):
        getattr(F, f"max_unpool{n}d")(mc.ones(2), mc.zeros(2).long(), 2)
