"""Pixel and channel shuffles against torch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, compare, layouts, values

F = mc.nn.functional


@given(
    lead=st.lists(st.integers(1, 2), max_size=3),
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
    r=st.integers(1, 3),
    dtype=FLOATS,
    seed=SEEDS,
    layout=st.integers(0, 4),
)
def test_pixel_shuffle_and_back(lead, sizes, r, dtype, seed, layout):
    c, h, w = sizes
    rng = np.random.default_rng(seed)
    shuffled, plain = (*lead, c * r * r, h, w), (*lead, c, h * r, w * r)
    compare(lambda m, x: m.nn.functional.pixel_shuffle(x, r), list(layouts(values(rng, shuffled, dtype)))[layout])
    compare(lambda m, x: m.nn.functional.pixel_unshuffle(x, r), list(layouts(values(rng, plain, dtype)))[layout])


@given(
    shape=st.lists(st.integers(1, 3), min_size=2, max_size=4),
    groups=st.integers(1, 3),
    dtype=FLOATS,
    seed=SEEDS,
    layout=st.integers(0, 4),
)
def test_channel_shuffle(shape, groups, dtype, seed, layout):
    n, c, *spatial = (*shape, 2)
    x = list(layouts(values(np.random.default_rng(seed), (n, c * groups, *spatial), dtype)))[layout]
    compare(lambda m, x: m.nn.functional.channel_shuffle(x, groups), x)


def test_empty_batches():
    """(Of torch's shuffles some have wrong shapes here.)"""
    for function, shape in (
        (lambda x: F.pixel_shuffle(x, 2), (0, 2, 4, 8)),
        (lambda x: F.pixel_unshuffle(x, 2), (0, 32, 1, 2)),
        (lambda x: F.channel_shuffle(x, 2), (0, 8, 2, 4)),
    ):
        x = mc.zeros(0, 8, 2, 4, requires_grad=True)
        y = function(x)
        assert tuple(y.shape) == shape
        y.sum().backward()
        assert x.grad.shape == x.shape


def test_whole_numbers():
    x = np.arange(48).reshape(2, 4, 2, 3)
    for array in (x, x.astype(np.uint8), x > 20):
        compare(lambda m, x: m.nn.functional.pixel_shuffle(x, 2), array)
        compare(lambda m, x: m.nn.functional.channel_shuffle(x, 2), array)


def test_memory_order_is_kept():
    x = mc.from_numpy(np.random.default_rng(0).standard_normal((2, 3, 5, 8)).transpose(0, 3, 1, 2)).requires_grad_()
    for function in (lambda x: F.pixel_shuffle(x, 2), lambda x: F.channel_shuffle(x, 4)):
        x.grad = None
        y = function(x)
        assert y.stride()[1] == 1
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), np.ones(x.shape))


@pytest.mark.parametrize(
    ("name", "shape", "number", "match"),
    [
        ("pixel_shuffle", (2, 3), 2, "at least 3 axes"),
        ("pixel_shuffle", (1, 7, 2, 3), 2, r"a multiple of 2 \* 2 channels, got 7"),
        ("pixel_shuffle", (1, 8, 2, 3), 0, "upscale_factor: .* positive"),
        ("pixel_shuffle", (1, 8, 2, 3), 2.0, "upscale_factor: .* integer"),
        ("pixel_unshuffle", (4, 6), 2, "at least 3 axes"),
        ("pixel_unshuffle", (2, 5, 6), 2, "multiples of 2"),
        ("pixel_unshuffle", (2, 4, 5), 2, "multiples of 2"),
        ("pixel_unshuffle", (2, 4, 6), -1, "downscale_factor: .* positive"),
        ("channel_shuffle", (1, 6), 2, "at least 3 axes"),
        ("channel_shuffle", (1, 6, 2, 3), 4, "4 groups do not divide the 6 channels"),
        ("channel_shuffle", (1, 6, 2, 3), 0, "groups: .* positive"),
    ],
)
def test_errors(name, shape, number, match):
    both_raise(lambda m, x: getattr(m.nn.functional, name)(x, number), np.ones(shape), match=match)
