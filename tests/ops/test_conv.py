"""Convolution in one, two and three dimensions against torch and central differences."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.kernel_cases import tuples
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

# Sums of up to a few hundred products of standard normal numbers, in another order: rounding grows with their number.
TOLERANCE = {np.float64: {"rtol": 1e-9, "atol": 1e-10}, np.float32: {"rtol": 1e-4, "atol": 2e-4}}
AXES = pytest.mark.parametrize("axes", [1, 2, 3])


@st.composite
def convolutions(draw):
    """Shapes and parameters that fit together."""
    axes = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    c_in, c_out = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    kernel, stride, dilation, padding = (draw(tuples(axes, *limits)) for limits in ((1, 3), (1, 3), (1, 3), (0, 2)))
    size = []
    for k, d, p in zip(kernel, dilation, padding, strict=True):
        smallest = max(1, d * (k - 1) + 1 - 2 * p)
        size.append(draw(st.integers(smallest, smallest + (6 if axes < 3 else 3))))
    x_shape = (draw(st.integers(0, 3)), c_in, *size)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x_shape, (c_out, c_in // groups, *kernel), options


def conv(m, axes):
    """conv1d, conv2d or conv3d."""
    return getattr(m.nn.functional, f"conv{axes}d")


@settings(max_examples=90)
@given(case=convolutions(), dtype=FLOATS, seed=SEEDS, layout=st.tuples(st.integers(0, 4), st.integers(0, 4)))
def test_any_convolution(case, dtype, seed, layout):
    x_shape, w_shape, options = case
    rng = np.random.default_rng(seed)
    x, w, b = (values(rng, s, dtype, "normal") for s in (x_shape, w_shape, w_shape[:1]))
    x, w = list(layouts(x))[layout[0]], list(layouts(w))[layout[1]]
    compare(lambda m, x, w, b: conv(m, x.ndim - 2)(x, w, b, **options), x, w, b, **TOLERANCE[dtype])


@AXES
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_whole_numbers(axes, dtype):
    """Exact: beyond 2**53, where float64 would round, and modulo the type's range."""
    rng = np.random.default_rng(axes)
    x = rng.integers(0, np.iinfo(dtype).max, (2, 4, *(6, 5, 4)[:axes]), dtype)
    w, b = rng.integers(0, 100, (6, 2, *(3, 2, 2)[:axes]), dtype), rng.integers(0, 100, 6, dtype)
    compare(lambda m, x, w, b: conv(m, axes)(x, w, b, 2, 1, groups=2), x, w, b)
    if dtype == np.int64:  # the others torch refuses
        compare(lambda m, x, w, b: conv(m, axes)(x, w, b, padding="same", dilation=2, groups=2), x, w, b)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (4, 3), (1, 2), (5, 4)])
@pytest.mark.parametrize("dilation", [1, 2, (1, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_named_padding(kernel, dilation, padding):
    rng = np.random.default_rng(0)
    x, w = values(rng, (2, 2, 9, 11), kind="normal"), values(rng, (3, 2, *kernel), kind="normal")
    d = dilation if isinstance(dilation, tuple) else (dilation, dilation)
    if padding == "valid" and d[0] * (kernel[0] - 1) >= 9:
        return
    compare(
        lambda m, x, w: m.nn.functional.conv2d(x, w, padding=padding, dilation=dilation), x, w, **TOLERANCE[np.float64]
    )


@AXES
def test_one_example_without_a_batch(axes):
    rng = np.random.default_rng(0)
    x, w, b = (values(rng, s, kind="normal") for s in ((3, *(6, 5, 4)[:axes]), (4, 3, *(3, 2, 3)[:axes]), (4,)))
    compare(lambda m, x, w, b: conv(m, axes)(x, w, b, 2, 1), x, w, b, **TOLERANCE[np.float64])
    compare(lambda m, x, w: conv(m, axes)(x, w[..., :1], padding="same"), x, w, **TOLERANCE[np.float64])


@AXES
def test_named_padding_along_each_axis(axes):
    """Uneven along every other axis; and the list of one number that torch takes for all axes."""
    rng = np.random.default_rng(0)
    x, w = values(rng, (2, 2, *(7, 9, 8)[:axes]), kind="normal"), values(rng, (3, 2, *(4, 3, 2)[:axes]), kind="normal")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, about a copy
        compare(lambda m, x, w: conv(m, axes)(x, w, padding="same"), x, w, **TOLERANCE[np.float64])
    compare(lambda m, x, w: conv(m, axes)(x, w, None, [2], [1], [1]), x, w, **TOLERANCE[np.float64])


@AXES
def test_view_after_a_convolution(axes):
    """The result lies channels-last; view() lays it out anew."""
    x, w = np.ones((2, 3, *(5, 4, 3)[:axes]), np.float32), np.ones((4, 3, *(2, 2, 2)[:axes]), np.float32)
    compare(lambda m, x, w: conv(m, axes)(x, w).view(2, -1), x, w)
    out = conv(mc, axes)(mc.from_numpy(x), mc.from_numpy(w))
    assert out.stride()[1] == 1


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)])
def test_frozen_operands_get_no_gradient(frozen):
    rng = np.random.default_rng(0)
    arrays = [values(rng, s, kind="normal") for s in ((2, 3, 5, 5), (4, 3, 3, 3), (4,))]

    def function(m, *tensors):
        x, w, b = (t.detach() if i in frozen else t for i, t in enumerate(tensors))
        return m.nn.functional.conv2d(x, w, b, padding=1)

    compare(function, *arrays, **TOLERANCE[np.float64])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"dilation": 2, "padding": (2, 1)},
        {"groups": 2},
        {"groups": 4, "padding": "same"},
    ],
)
def test_gradcheck(options):
    rng = np.random.default_rng(0)
    x, w, b = (values(rng, s, kind="normal") for s in ((2, 4, 5, 6), (4, 4 // options.get("groups", 1), 3, 2), (4,)))
    check_gradients(lambda m, x, w, b: m.nn.functional.conv2d(x, w, b, **options), x, w, b)


def test_errors():
    x, w = np.ones((1, 3, 5, 5)), np.ones((4, 3, 3, 3))
    conv = lambda **options: lambda m, x, w: m.nn.functional.conv2d(x, w, **options)  # noqa: E731
    both_raise(conv(), np.ones((1, 2, 5, 5)), w, match=r"2 channels, but weight expects 3")
    both_raise(conv(), np.ones((1, 3, 2, 5)), w, match=r"kernel is larger than the padded input: its height is 3")
    both_raise(conv(groups=2), x, w, match=r"groups=2")
    both_raise(conv(groups=0), x, w, match=r"groups must be at least 1, got 0")
    both_raise(conv(stride=0), x, w, match=r"stride must be at least 1")
    both_raise(conv(padding=-1), x, w, match=r"padding must not be negative")
    both_raise(conv(dilation=0), x, w, match=r"dilation must be at least 1")
    both_raise(conv(padding="same", stride=2), x, w, match=r"padding: 'same' is for stride 1")
    both_raise(conv(padding="full"), x, w, match=r"padding: expected.*'full'")
    both_raise(conv(stride=(1, 2, 3)), x, w, match=r"stride must be an int or a pair")
    both_raise(conv(stride=1.5), x, w, match=r"stride must be an int")
    both_raise(conv(), x, np.ones((4, 3, 3)), match=r"weight must have 4 axes")
    both_raise(conv(padding="same"), x, np.ones((4, 3, 3)), match=r"weight must have 4 axes")
    both_raise(conv(), np.ones((5, 5)), w, match=r"x must have 4 axes")
    both_raise(lambda m, x, w: m.nn.functional.conv2d(x.float(), w), x, w, match=r"weight: conv2d needs one type")
    both_raise(lambda m, x, w: m.nn.functional.conv2d(x, w, w[0, 0, 0]), x, w, match=r"bias must have shape \(4,\)")
    both_raise(conv(), np.ones((1, 3, 0, 5)), w, match=r"x must not be empty along a spatial axis")
    both_raise(conv(), x, np.ones((0, 3, 3, 3)), match=r"weight must have at least one filter")
    both_raise(conv(), np.ones((1, 3, 5, 5), bool), w > 0, match=r"input: conv2d needs tensors of one type of numbers")
    both_raise(conv(), np.ones((1, 3, 5, 5), int), w, match=r"weight: conv2d needs .* got minicnn.float64 where input")


def test_errors_along_other_axes():
    conv1d, conv3d = (lambda m, x, w, axes=axes, **options: conv(m, axes)(x, w, **options) for axes in (1, 3))
    both_raise(conv1d, np.ones((1, 3, 2)), np.ones((4, 3, 3)), match=r"its length is 3, that of x is 2")
    both_raise(conv3d, np.ones((1, 3, 2, 5, 5)), np.ones((4, 3, 3, 3, 3)), match=r"its depth is 3, that of x is 2")
    both_raise(conv1d, np.ones((1, 3, 5, 5)), np.ones((4, 3, 3)), match=r"x must have 3 axes \(n, c_in, length\)")
    both_raise(conv3d, np.ones((1, 3, 5, 5)), np.ones((4, 3, 3, 3)), match=r"x must have 5 axes")
    both_raise(
        lambda m, x, w: conv(m, 3)(x, w, stride=(1, 2)), *map(np.ones, ((1, 3, 5, 5, 5), (4, 3, 3, 3, 3))),
        match=r"stride must be an int or three ints \(depth, height, width\), got 2 values",
    )  # fmt: skip
