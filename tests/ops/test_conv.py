"""Convolution and im2col against torch and central differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional
# Sums of up to a few hundred products of standard normal numbers, in another order: rounding grows with their number.
TOLERANCE = {np.float64: {"rtol": 1e-9, "atol": 1e-10}, np.float32: {"rtol": 1e-4, "atol": 2e-4}}
PAIR = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def convolutions(draw):
    """Shapes and parameters that fit together."""
    groups = draw(st.integers(1, 3))
    c_in, c_out = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    kernel, stride, dilation = draw(PAIR), draw(PAIR), draw(PAIR)
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    size = []
    for k, d, p in zip(kernel, dilation, padding, strict=True):
        smallest = max(1, d * (k - 1) + 1 - 2 * p)
        size.append(draw(st.integers(smallest, smallest + 6)))
    x_shape = (draw(st.integers(0, 3)), c_in, *size)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x_shape, (c_out, c_in // groups, *kernel), options


@settings(max_examples=60)
@given(case=convolutions(), dtype=FLOATS, seed=SEEDS, layout=st.tuples(st.integers(0, 4), st.integers(0, 4)))
def test_conv2d(case, dtype, seed, layout):
    x_shape, w_shape, options = case
    rng = np.random.default_rng(seed)
    x, w, b = (values(rng, s, dtype, "normal") for s in (x_shape, w_shape, w_shape[:1]))
    x, w = list(layouts(x))[layout[0]], list(layouts(w))[layout[1]]
    compare(lambda m, x, w, b: m.nn.functional.conv2d(x, w, b, **options), x, w, b, **TOLERANCE[dtype])


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


def test_one_image_without_a_batch():
    rng = np.random.default_rng(0)
    x, w, b = (values(rng, s, kind="normal") for s in ((3, 6, 5), (4, 3, 3, 2), (4,)))
    compare(lambda m, x, w, b: m.nn.functional.conv2d(x, w, b, 2, 1), x, w, b, **TOLERANCE[np.float64])
    compare(lambda m, x, w: m.nn.functional.conv2d(x, w, padding="same"), x, w[:, :, :, :1], **TOLERANCE[np.float64])


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
    with pytest.raises(TypeError, match=r"input: conv2d needs floating point, got minicnn.int64"):
        F.conv2d(mc.ones(1, 3, 5, 5).long(), mc.ones(4, 3, 3, 3).long())


@settings(max_examples=40)
@given(
    kernel=PAIR,
    stride=PAIR,
    dilation=PAIR,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dtype=FLOATS,
    layout=st.integers(0, 4),
)
def test_unfold_and_fold(kernel, stride, dilation, padding, dtype, layout):
    x = list(layouts(values(np.random.default_rng(0), (2, 3, 7, 8), dtype, "normal")))[layout]
    options = {"kernel_size": kernel, "stride": stride, "dilation": dilation, "padding": padding}

    def there_and_back(m, x):
        cols = m.nn.functional.unfold(x, **options)
        return cols, m.nn.functional.fold(cols * 2, (7, 8), **options)

    compare(there_and_back, x, **TOLERANCE[dtype])


def test_fold_gradcheck():
    rng = np.random.default_rng(0)
    check_gradients(lambda m, x: m.nn.functional.unfold(x, (2, 3), padding=1), values(rng, (2, 2, 3, 4), kind="normal"))
    check_gradients(lambda m, c: m.nn.functional.fold(c, (3, 4), 2), values(rng, (2, 8, 6), kind="normal"))


def test_fold_errors():
    fold = lambda *size: lambda m, c: m.nn.functional.fold(c, size, 2)  # noqa: E731
    both_raise(fold(4, 4), np.ones((1, 8, 6)), match=r"number of windows, 3 . 3 = 9")
    both_raise(fold(3, 4), np.ones((1, 7, 6)), match=r"multiple of kh . kw")
    both_raise(lambda m, x: m.nn.functional.unfold(x, 4), np.ones((1, 1, 3, 5)), match=r"kernel is larger")
    both_raise(lambda m, x: m.nn.functional.unfold(x, 2), np.ones((3, 5)), match=r"x must have 4 axes")
    with pytest.raises(TypeError, match=r"unfold needs floating point"):
        F.unfold(mc.ones(1, 1, 3, 3).long(), 2)
    with pytest.raises(TypeError, match=r"fold needs floating point"):
        F.fold(mc.ones(1, 4, 1).long(), 2, 2)
