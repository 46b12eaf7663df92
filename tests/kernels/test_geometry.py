"""Output sizes against PyTorch, and what the checks say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import geometry
from tests.helpers import naive


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))
def test_sizes_by_counting(size, kernel, stride, padding, dilation):
    if dilation * (kernel - 1) + 1 > size + 2 * padding:
        return
    assert geometry.conv_output_size(size, kernel, stride, padding, dilation) == naive.output_size(
        size, kernel, stride, padding, dilation
    )
    for ceil_mode in (False, True) if 2 * padding <= kernel else ():
        arguments = (size, kernel, stride, padding, dilation, ceil_mode)
        assert geometry.pool_output_size(*arguments) == naive.pool_size(*arguments)


@pytest.mark.parametrize(("value", "pair"), [(3, (3, 3)), ((1, 2), (1, 2)), ([4, 5], (4, 5)), ((7,), (7, 7))])
def test_to_pair(value, pair):
    assert geometry.to_pair(value, "stride") == pair


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ((1, 2, 3), ValueError, "stride must be an int or a pair of ints (height, width), got 3 values: (1, 2, 3)"),
        (1.5, TypeError, "stride must be an int or a pair of ints (height, width), got 1.5"),
        ((1, 2.0), TypeError, "stride must be an int or a pair of ints (height, width), got (1, 2.0)"),
        ("same", TypeError, "stride must be an int or a pair of ints (height, width), got 'same'"),
    ],
)
def test_to_pair_refuses(value, error, message):
    with pytest.raises(error, match=re.escape(message)):
        geometry.to_pair(value, "stride")


ONE, NONE = (1, 1), (0, 0)


@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        (((8, 3, 32, 30), (16, 3, 3, 3), (16,), ONE, ONE, ONE, 1), (8, 16, 32, 30)),
        (((0, 4, 9, 9), (6, 2, 3, 3), None, (2, 2), NONE, (2, 2), 2), (0, 6, 3, 3)),
    ],
)
def test_conv_shape(arguments, shape):
    assert geometry.conv_output_shape(*arguments) == shape


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_shape": (3, 8, 8)}, "x must have 4 axes (n, c_in, h, w), got shape (3, 8, 8): add a batch axis"),
        ({"x_shape": (1, 1, 3, 8, 8)}, "x must have 4 axes (n, c_in, h, w), got shape (1, 1, 3, 8, 8)"),
        ({"weight_shape": (4, 3, 3)}, "weight must have 4 axes (c_out, c_in/groups, kh, kw), got shape (4, 3, 3)"),
        (
            {"x_shape": (2, 5, 8, 8)},
            "x has 5 channels, but weight expects 3 (weight.shape[1] * groups = 3 * 1); shapes: x (2, 5, 8, 8) as "
            "(n, c_in, h, w), weight (4, 3, 3, 3) as (c_out, c_in/groups, kh, kw): make the layer with in_channels=5",
        ),
        ({"x_shape": (2, 8, 8, 3)}, "x seems to have its channels last: bring them forward with x.permute(0, 3, 1, 2)"),
        ({"groups": 2}, "groups=2 must divide the channels of x, c_in=3, and the filters of weight, c_out=4"),
        ({"groups": 0}, "groups must be at least 1, got 0"),
        ({"bias_shape": (3,)}, "bias must have shape (4,), one value a filter of weight (4, 3, 3, 3), got (3,)"),
        ({"stride": (1, 0)}, "stride must be at least 1 along both axes, got (1, 0)"),
        ({"dilation": (0, 1)}, "dilation must be at least 1 along both axes, got (0, 1)"),
        ({"padding": (-1, 0)}, "padding must not be negative, got (-1, 0)"),
        ({"weight_shape": (4, 3, 0, 3)}, "kernel size, must be at least 1 along both axes, got (0, 3)"),
        ({"x_shape": (2, 3, 2, 8), "padding": NONE}, "the kernel is larger than the padded input: its height is 3"),
        ({"dilation": (1, 9)}, "its width is 3 (spread over 19 pixels by dilation=9), that of x is 8 plus 2 * 1 of padding"),
    ],
)  # fmt: skip
def test_conv_refuses(change, message):
    arguments = {
        "x_shape": (2, 3, 8, 8), "weight_shape": (4, 3, 3, 3), "bias_shape": (4,),
        "stride": ONE, "padding": ONE, "dilation": ONE, "groups": 1,
    }  # fmt: skip
    with pytest.raises(ValueError, match=re.escape(message)):
        geometry.conv_output_shape(**(arguments | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_shape": (8, 8)}, "x must have 4 axes (n, c, h, w), got shape (8, 8)"),
        ({"kernel_size": (0, 2)}, "kernel_size must be at least 1 along both axes, got (0, 2)"),
        ({"stride": (0, 1)}, "stride must be at least 1 along both axes, got (0, 1)"),
        ({"padding": (0, 2)}, "padding must be at most half of kernel_size, or a window could lie on padding alone"),
        ({"padding": (2, 0)}, "kernel_size=2 and padding=2; use at most 1"),
        ({"x_shape": (1, 1, 1, 8)}, "the kernel is larger than the padded input: its height is 2"),
    ],
)  # fmt: skip
def test_pool_refuses(change, message):
    arguments = {
        "x_shape": (2, 3, 8, 8),
        "kernel_size": (2, 2),
        "stride": (2, 2),
        "padding": NONE,
        "dilation": ONE,
        "ceil_mode": False,
    }
    assert geometry.pool_output_shape(**arguments) == (2, 3, 4, 4)
    with pytest.raises(ValueError, match=re.escape(message)):
        geometry.pool_output_shape(**(arguments | change))


def test_unfold_and_fold_are_opposite():
    window = (3, 2), (2, 1), (1, 0), (1, 2)
    shape = geometry.unfold_output_shape((5, 4, 9, 8), *window)
    assert shape == (5, 24, 30)
    assert geometry.fold_output_shape(shape, (9, 8), *window) == (5, 4, 9, 8)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 23, 30), "cols.shape[1] must be a multiple of kh * kw = 3 * 2, got 23"),
        ((5, 24, 31), "cols.shape[2] must be the number of windows, 5 * 6 = 30 for output_size=(9, 8)"),
        ((24, 30), "cols must have 3 axes (n, c*kh*kw, h_out*w_out), got shape (24, 30)"),
    ],
)
def test_fold_refuses(shape, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        geometry.fold_output_shape(shape, (9, 8), (3, 2), (2, 1), (1, 0), (1, 2))


def test_batch_norm_checks():
    geometry.check_batch_norm((2, 3, 4, 4), {"weight": (3,), "bias": None}, training=True)
    geometry.check_batch_norm((1, 3), {}, training=False)
    with pytest.raises(
        ValueError, match=re.escape("weight must have shape (3,), one value a channel of x (2, 3, 4, 4), got (4,)")
    ):
        geometry.check_batch_norm((2, 3, 4, 4), {"weight": (4,)}, training=True)
    with pytest.raises(ValueError, match="needs more than one value a channel, got 1"):
        geometry.check_batch_norm((1, 3), {}, training=True)
    with pytest.raises(ValueError, match=re.escape("x must have shape (n, c) or (n, c, *spatial), got (3,)")):
        geometry.check_batch_norm((3,), {}, training=False)
