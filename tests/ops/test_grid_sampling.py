"""Sampling at given places against torch, with gradients to the input and to the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional
pytestmark = [
    pytest.mark.filterwarnings("ignore:Default grid_sample and affine_grid behavior has changed"),
    pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid behavior has changed"),
]
# Weights are differences of places of size up to 9, whose rounding they inherit.
TOLERANCE = {np.float64: {"rtol": 1e-9, "atol": 1e-10}, np.float32: {"rtol": 1e-3, "atol": 1e-4}}


@st.composite
def cases(draw):
    axes = draw(st.sampled_from([2, 2, 3]))
    n, c = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    spatial = draw(st.lists(st.integers(1, 6), min_size=axes, max_size=axes))
    positions = draw(st.lists(st.integers(0, 4), min_size=axes, max_size=axes))
    options = {
        "mode": draw(st.sampled_from(["bilinear", "nearest", "bicubic"][: 5 - axes])),
        "padding_mode": draw(st.sampled_from(["zeros", "border", "reflection"])),
        "align_corners": draw(st.sampled_from([None, False, True])),
    }
    return (n, c, *spatial), (n, *positions, axes), options


@settings(max_examples=80)
@given(case=cases(), dtype=FLOATS, seed=SEEDS, layout=st.integers(0, 3), reach=st.sampled_from([0.9, 1.5, 4.0]))
def test_grid_sample(case, dtype, seed, layout, reach):
    shape, places, options = case
    rng = np.random.default_rng(seed)
    x = list(layouts(values(rng, shape, dtype, "normal")))[layout]
    grid = rng.uniform(-reach, reach, places).astype(dtype)
    compare(lambda m, x, g: m.nn.functional.grid_sample(x, g, **options), x, grid, **TOLERANCE[dtype])


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_exactly_at_the_edges_and_middles(mode, padding_mode, align_corners):
    """Places where a derivative jumps: -1, 1, the middles of pixels, and between two of them. (bicubic's does not)"""
    x = values(np.random.default_rng(0), (1, 2, 4, 4), kind="normal")
    ticks = np.array([-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1])
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1)[np.newaxis]
    options = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    compare(lambda m, x, g: m.nn.functional.grid_sample(x, g, **options), x, grid, rtol=1e-9, atol=1e-9)


def test_nothing_beyond_the_edges_is_read():
    """An infinite pixel does not reach a place that only sees what lies beside it, outside."""
    x = np.full((1, 1, 2, 2), np.inf)
    grid = np.array([[[[-3.0, -3.0], [5.0, 0.0]]]])
    assert F.grid_sample(mc.from_numpy(x), mc.from_numpy(grid)).tolist() == [[[[0.0, 0.0]]]]


def test_only_one_gradient_is_wanted():
    x, grid = values(np.random.default_rng(0), (1, 2, 4, 4)), np.random.default_rng(1).uniform(-1, 1, (1, 3, 3, 2))
    for wants in ((True, False), (False, True)):
        tensors = [mc.from_numpy(a).requires_grad_(w) for a, w in zip((x, grid), wants, strict=True)]
        F.grid_sample(*tensors).sum().backward()
        assert [t.grad is not None for t in tensors] == list(wants)


def test_gradcheck():
    rng = np.random.default_rng(0)
    x, grid = values(rng, (2, 2, 4, 5), kind="normal"), rng.uniform(-1.5, 1.5, (2, 3, 2, 2))
    for mode in ("bilinear", "bicubic"):
        for padding_mode in ("zeros", "border", "reflection"):
            options = {"mode": mode, "padding_mode": padding_mode}
            check_gradients(lambda m, x, g, o=options: m.nn.functional.grid_sample(x, g, **o), x, grid)


@settings(max_examples=40)
@given(
    axes=st.sampled_from([2, 3]),
    data=st.data(),
    dtype=FLOATS,
    seed=SEEDS,
    align_corners=st.sampled_from([None, False, True]),
)
def test_affine_grid(axes, data, dtype, seed, align_corners):
    size = tuple(data.draw(st.lists(st.integers(1, 5), min_size=axes + 2, max_size=axes + 2)))
    theta = values(np.random.default_rng(seed), (size[0], axes, axes + 1), dtype, "normal")
    compare(lambda m, t: m.nn.functional.affine_grid(t, size, align_corners), theta, rtol=1e-5, atol=1e-5)


def test_a_turned_image():
    """A quarter turn and back, through both functions."""
    image = mc.arange(9.0).reshape(1, 1, 3, 3)
    turn = mc.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]])
    turned = F.grid_sample(image, F.affine_grid(turn, (1, 1, 3, 3)))
    np.testing.assert_allclose(turned[0, 0].numpy(), np.rot90(np.arange(9.0).reshape(3, 3)), atol=1e-5)


def test_errors():
    x, grid = np.ones((2, 1, 4, 4)), np.zeros((2, 3, 3, 2))
    sample = lambda **options: lambda m, x, g: m.nn.functional.grid_sample(x, g, **options)  # noqa: E731
    both_raise(sample(mode="area"), x, grid, match="mode: expected 'bilinear'")
    both_raise(sample(padding_mode="wrap"), x, grid, match="padding_mode: expected 'zeros'")
    both_raise(sample(), x, grid[:1], match="grid_sample takes images")
    both_raise(sample(), x, grid[..., :1], match="grid_sample takes images")
    both_raise(sample(), x, grid[0], match="grid_sample takes images")
    both_raise(sample(), x[0], grid[0], match="grid_sample takes images")
    both_raise(sample(), x, grid.astype(np.float32), match="one type")
    both_raise(sample(), x[:, :, :0], grid, match="finds nothing")
    both_raise(
        sample(mode="bicubic"), np.ones((1, 1, 2, 2, 2)), np.zeros((1, 1, 1, 1, 3)), match="'bicubic' is for images"
    )
    theta = np.ones((2, 2, 3))
    affine = lambda *size: lambda m, t: m.nn.functional.affine_grid(t, size)  # noqa: E731
    both_raise(affine(2, 1, 4), theta, match="size: affine_grid needs")
    both_raise(affine(2, 1, 0, 4), theta, match="all positive")
    both_raise(affine(1, 1, 4, 4), theta, match=r"theta: expected \(1, 2, 3\)")
    both_raise(affine(2, 1, 4, 4, 4), theta, match=r"theta: expected \(2, 3, 4\)")
    both_raise(affine(2, 1, 4, 4), theta.astype(np.int64), match="needs floating point")
