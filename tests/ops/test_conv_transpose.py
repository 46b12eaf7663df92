"""Transposed convolution in one, two and three dimensions against torch and central differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.kernel_cases import num_threads, tuples
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

# Sums of up to a few hundred products of standard normal numbers, in another order: rounding grows with their number.
TOLERANCE = {np.float64: {"rtol": 1e-9, "atol": 1e-10}, np.float32: {"rtol": 1e-4, "atol": 2e-4}}
AXES = pytest.mark.parametrize("axes", [1, 2, 3])


def transposed(m, axes):
    """conv_transpose1d, 2d or 3d."""
    return getattr(m.nn.functional, f"conv_transpose{axes}d")


@st.composite
def cases(draw):
    """Shapes and parameters that fit together. Output padding is smaller than the stride or the dilation."""
    axes = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    c_in, c_per_group = groups * draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, stride, dilation, padding = (draw(tuples(axes, *limits)) for limits in ((1, 3), (1, 3), (1, 3), (0, 2)))
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    size = []
    for k, s, d, p, e in zip(kernel, stride, dilation, padding, extra, strict=True):
        smallest = max(1, -(-(2 * p - d * (k - 1) - e) // s) + 1)  # for an output of at least one number
        size.append(draw(st.integers(smallest, smallest + (4 if axes < 3 else 2))))
    x_shape = (draw(st.integers(0, 2)), c_in, *size)
    options = {"stride": stride, "padding": padding, "output_padding": extra, "groups": groups, "dilation": dilation}
    return x_shape, (c_in, c_per_group, *kernel), options


@settings(max_examples=90)
@given(case=cases(), dtype=FLOATS, seed=SEEDS, layout=st.tuples(st.integers(0, 4), st.integers(0, 4)))
def test_any_transposed_convolution(case, dtype, seed, layout):
    x_shape, w_shape, options = case
    rng = np.random.default_rng(seed)
    shapes = x_shape, w_shape, (w_shape[1] * options["groups"],)
    x, w, b = (values(rng, s, dtype, "normal") for s in shapes)
    x, w = list(layouts(x))[layout[0]], list(layouts(w))[layout[1]]
    compare(lambda m, x, w, b: transposed(m, x.ndim - 2)(x, w, b, **options), x, w, b, **TOLERANCE[dtype])


@AXES
def test_it_is_the_transpose(axes):
    """<C x, y> = <x, C^T y>: the definition."""
    rng = np.random.default_rng(axes)
    w = mc.from_numpy(values(rng, (4, 2, *(3, 2, 3)[:axes]), kind="normal"))
    x = mc.from_numpy(values(rng, (2, 4, *(7, 8, 5)[:axes]), kind="normal"))
    window = {"stride": 2, "padding": 1, "groups": 2}
    there = getattr(mc.nn.functional, f"conv{axes}d")(x, w, **window)
    y = mc.from_numpy(values(rng, tuple(there.shape), kind="normal"))
    back = transposed(mc, axes)(y, w, output_padding=(0, 0, 0)[:axes], **window)
    extra = tuple(a - b for a, b in zip(x.shape[2:], back.shape[2:], strict=True))
    back = transposed(mc, axes)(y, w, output_padding=extra, **window)
    assert (there * y).sum().item() == pytest.approx((x * back).sum().item(), rel=1e-12)


@AXES
@pytest.mark.parametrize("threads", [1, 2])
def test_larger_shapes_repeat(axes, threads):
    """Beyond one block; the same bits each time."""
    rng = np.random.default_rng(axes)
    x = values(rng, (3, 32, *(40, 9, 5)[:axes]), np.float32, "normal")
    w, b = values(rng, (32, 40, *(4, 4, 2)[:axes]), np.float32, "normal"), values(rng, (40,), np.float32, "normal")
    with num_threads(threads):
        # sums of up to 4 * 4 * 2 * 40 products, and over 3 * 1800 positions for the weights
        compare(lambda m, x, w, b: transposed(m, axes)(x, w, b, 2, 1), x, w, b, rtol=1e-4, atol=3e-3)
        tensors = [mc.from_numpy(a) for a in (x, w, b)]
        first, again = (transposed(mc, axes)(*tensors, 2, 1) for _ in range(2))
    np.testing.assert_array_equal(first.numpy(), again.numpy())


@AXES
def test_one_example_and_whole_numbers(axes):
    rng = np.random.default_rng(axes)
    x, w, b = (values(rng, s, kind="normal") for s in ((3, *(4, 3, 2)[:axes]), (3, 2, *(3, 2, 3)[:axes]), (2,)))
    compare(lambda m, x, w, b: transposed(m, axes)(x, w, b, 2, 1), x, w, b, **TOLERANCE[np.float64])
    x, w, b = (np.round(3 * a).astype(np.int64) for a in (x[None], w, b))
    compare(lambda m, x, w, b: transposed(m, axes)(x, w, b, 3, 1, 2, dilation=2), x, w, b)


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1)])
def test_frozen_operands_get_no_gradient(frozen):
    rng = np.random.default_rng(0)
    arrays = [values(rng, s, kind="normal") for s in ((2, 3, 4, 4), (3, 4, 3, 3), (4,))]

    def function(m, *tensors):
        x, w, b = (t.detach() if i in frozen else t for i, t in enumerate(tensors))
        return m.nn.functional.conv_transpose2d(x, w, b, padding=1)

    compare(function, *arrays, **TOLERANCE[np.float64])


@AXES
def test_gradcheck(axes):
    rng = np.random.default_rng(0)
    shapes = (2, 4, *(3, 2, 2)[:axes]), (4, 1, *(3, 2, 2)[:axes]), (2,)
    check_gradients(
        lambda m, x, w, b: transposed(m, axes)(x, w, b, 2, 1, 1, 2), *(values(rng, s, kind="normal") for s in shapes)
    )


def test_errors():
    x, w = np.ones((1, 4, 5, 5)), np.ones((4, 3, 3, 3))
    conv = lambda **options: lambda m, x, w: m.nn.functional.conv_transpose2d(x, w, **options)  # noqa: E731
    both_raise(conv(), np.ones((1, 2, 5, 5)), w, match=r"2 channels, but weight expects 4 \(weight.shape\[0\]\)")
    both_raise(conv(groups=3), x, w, match=r"groups=3 must divide the channels of x, c_in=4")
    both_raise(conv(output_padding=1), x, w, match=r"output_padding must be smaller than stride or dilation")
    both_raise(conv(stride=2, output_padding=-1), x, w, match=r"output_padding must not be negative")
    both_raise(conv(padding=5), x, w, match=r"the output would have the size \(-3, -3\)")
    both_raise(conv(stride=0), x, w, match=r"stride must be at least 1")
    both_raise(conv(), np.ones((1, 4, 0, 5)), w, match=r"x must not be empty along a spatial axis")
    both_raise(conv(), x, w[0], match=r"weight must have 4 axes \(c_in, c_out/groups, kh, kw\)")
    both_raise(conv(padding="same"), x, w, match=r"padding must be an int or a pair")
    both_raise(lambda m, x, w: m.nn.functional.conv_transpose2d(x, w, w[0, 0, 0, :2]), x, w, match=r"bias must have")
    both_raise(lambda m, x, w: m.nn.functional.conv_transpose2d(x.float(), w), x, w, match=r"weight: conv_transpose2d")
