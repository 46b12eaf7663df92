"""Interpolation against torch: modes, sizes, factors, memory orders, bytes, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional
FITTING = {
    1: ("nearest", "nearest-exact", "linear", "area"),
    2: ("nearest", "nearest-exact", "bilinear", "bicubic", "area"),
    3: ("nearest", "nearest-exact", "trilinear", "area"),
}
# torch computes places in the tensor's own type, along an axis of up to 9: a few units in the last place of 9.
TOLERANCE = {np.float64: {"rtol": 1e-11, "atol": 1e-11}, np.float32: {"rtol": 1e-4, "atol": 1e-5}}


@st.composite
def cases(draw):
    """A shape and options that fit it."""
    axes = draw(st.integers(1, 3))
    spatial = draw(st.lists(st.integers(1, 9 if axes < 3 else 4), min_size=axes, max_size=axes))
    mode = draw(st.sampled_from(FITTING[axes]))
    options = {"mode": mode}
    if mode.endswith(("linear", "cubic")):
        options["align_corners"] = draw(st.sampled_from([None, False, True]))
    if axes == 2 and mode in ("bilinear", "bicubic"):
        options["antialias"] = draw(st.booleans())
    if draw(st.booleans()):
        sizes = draw(st.lists(st.integers(1, 12 if axes < 3 else 6), min_size=axes, max_size=axes))
        options["size"] = draw(st.sampled_from([sizes, tuple(sizes), sizes[0]]))
    else:
        # (Factors at which a place falls between two elements are for torch's rounding to decide.)
        factors = [draw(st.sampled_from([1.0, 1.13, 1.5, 2.0, 2.57, 3.0])) for _ in range(axes)]
        factors = [
            draw(st.sampled_from([f, 0.37, 0.71])) if n > 2 else f for f, n in zip(factors, spatial, strict=True)
        ]
        one = min(factors) if min(int(n * min(factors)) for n in spatial) > 0 else max(factors)
        options["scale_factor"] = draw(st.sampled_from([tuple(factors), one]))
        options["recompute_scale_factor"] = draw(st.sampled_from([None, False, True]))
        if axes != 2 and mode == "nearest":  # else torch's result depends on the memory order (3), or its gradient is
            options["recompute_scale_factor"] = True  # another function's (1)
    shape = (draw(st.integers(0, 2)), draw(st.integers(1, 3)), *spatial)
    return shape, options


@settings(max_examples=100)
@given(case=cases(), dtype=FLOATS, seed=SEEDS, layout=st.integers(0, 4))
def test_as_torch(case, dtype, seed, layout):
    shape, options = case
    x = list(layouts(values(np.random.default_rng(seed), shape, dtype, "normal")))[layout]
    compare(lambda m, x: m.nn.functional.interpolate(x, **options), x, **TOLERANCE[dtype])


@settings(max_examples=40)
@given(case=cases(), seed=SEEDS)
def test_bytes(case, seed):
    """To the last bit, as Pillow rounds."""
    shape, options = case
    if options["mode"] in ("linear", "trilinear", "area") or "scale_factor" in options:
        return
    x = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    compare(lambda m, x: m.nn.functional.interpolate(x, **options), x)


@pytest.mark.parametrize("factor", [1.13, 1.4, 2.1, 2.4])
@pytest.mark.parametrize("shape", [(1, 3, 2, 5), (2, 1, 4, 1)])
def test_nearest_with_a_factor_that_ends_at_the_same_size_or_twice(shape, factor):
    x = values(np.random.default_rng(0), shape, kind="normal")
    compare(lambda m, x: m.nn.functional.interpolate(x, scale_factor=factor), x)


@pytest.mark.parametrize("dtype", [np.float64, np.uint8])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(2, 3), (1, 1), (7, 4), (3, 9)])
def test_antialiased_with_aligned_corners(size, mode, dtype):
    x = np.random.default_rng(0).integers(0, 256, (1, 2, 5, 4)).astype(dtype)
    options = {"size": size, "mode": mode, "align_corners": True, "antialias": True}
    compare(lambda m, x: m.nn.functional.interpolate(x, **options), x)


def test_lanczos():
    x = values(np.random.default_rng(0), (2, 3, 11, 9), kind="normal")
    for size in ((5, 4), (11, 3), (17, 20)):
        options = {"size": size, "mode": "lanczos", "antialias": True}
        compare(lambda m, x, options=options: m.nn.functional.interpolate(x, **options), x, rtol=1e-9, atol=1e-9)


def test_large_images():
    """More numbers in a row than are summed at a time, and several threads."""
    x = values(np.random.default_rng(0), (1, 16, 40, 200), np.float32, "normal")
    for order in (x, np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)):
        for options in (
            {"scale_factor": 2, "mode": "bilinear"},
            {"size": (13, 61), "mode": "bicubic", "antialias": True},
        ):
            compare(lambda m, x, o=options: m.nn.functional.interpolate(x, **o), order, rtol=1e-4, atol=1e-4)


@pytest.mark.filterwarnings("ignore:`nn.functional.upsample:UserWarning")
def test_old_names():
    x = values(np.random.default_rng(0), (2, 3, 5, 4))
    compare(lambda m, x: m.nn.functional.upsample(x, 7, mode="bicubic", align_corners=False), x)
    compare(lambda m, x: m.nn.functional.upsample_nearest(x, (7, 3)), x)
    compare(lambda m, x: m.nn.functional.upsample_bilinear(x, scale_factor=2), x)


def test_infinities_and_nan_stay_where_they_are():
    x = np.ones((1, 2, 6, 6))
    x[0, 0, 2, 2], x[0, 1, 4, 4] = np.nan, np.inf
    for mode in ("nearest", "bilinear", "bicubic"):
        compare(lambda m, x, mode=mode: m.nn.functional.interpolate(x, (9, 5), mode=mode), x, requires_grad=False)


def test_memory_order_is_kept():
    x = mc.from_numpy(np.ones((2, 5, 6, 3)).transpose(0, 3, 1, 2)).requires_grad_()
    y = F.interpolate(x, (7, 4), mode="bilinear")
    assert y.stride() == (3 * 4 * 7, 1, 3 * 4, 3)
    (y * y).sum().backward()
    assert x.grad.stride() == x.stride()


def test_gradcheck():
    x = values(np.random.default_rng(0), (1, 2, 5, 6), kind="normal")
    for options in (
        {"size": (3, 8), "mode": "nearest"},
        {"size": (3, 8), "mode": "bilinear"},
        {"size": (8, 3), "mode": "bicubic", "align_corners": True},
        {"size": (3, 2), "mode": "bicubic", "antialias": True},
        {"size": (3, 2), "mode": "area"},
    ):
        check_gradients(lambda m, x, options=options: m.nn.functional.interpolate(x, **options), x)


@pytest.mark.parametrize(
    ("shape", "options", "match"),
    [
        ((1, 1, 4, 4), {}, "exactly one of size and scale_factor"),
        ((1, 1, 4, 4), {"size": 3, "scale_factor": 2}, "exactly one of size and scale_factor"),
        ((1, 1, 4, 4), {"size": (3, 3, 3)}, "size: expected one number or one for each of 2"),
        ((1, 1, 4, 4), {"scale_factor": (2.0,)}, "scale_factor: expected one number or one for each of 2"),
        ((1, 1, 4, 4), {"size": 0}, "at least one element along every axis"),
        ((1, 1, 4, 4), {"scale_factor": 0.1}, "at least one element along every axis"),
        ((1, 1, 0, 4), {"size": 3}, "at least one element along every axis"),
        ((1, 0, 4, 4), {"size": 3, "mode": "bilinear"}, "and a channel"),
        ((4, 4), {"size": 3}, r"interpolate takes \(n, c, length\)"),
        ((1, 1, 4, 4), {"size": 3, "mode": "linear"}, "'linear' is not for inputs with 2 spatial axes"),
        ((1, 1, 4), {"size": 3, "mode": "bicubic"}, "'bicubic' is not for inputs with 1 spatial axes"),
        ((1, 1, 4, 4), {"size": 3, "mode": "mirror"}, "mode: expected one of 'nearest'"),
        ((1, 1, 4, 4), {"size": 3, "align_corners": True}, "align_corners: only for the modes"),
        ((1, 1, 4, 4), {"size": 3, "antialias": True}, "antialias: only for images"),
        ((1, 1, 4, 4), {"size": 3, "mode": "lanczos"}, "with antialias=True only"),
        ((1, 1, 4, 4), {"size": 3, "recompute_scale_factor": True}, "recompute_scale_factor"),
        ((1, 1, 4, 4), {"size": 2.5}, "integer"),
    ],
)
def test_errors(shape, options, match):
    both_raise(lambda m, x: m.nn.functional.interpolate(x, **options), np.ones(shape), match=match)


def test_types():
    for dtype in (np.int64, np.int32, np.int8, bool):
        both_raise(
            lambda m, x: m.nn.functional.interpolate(x, 3), np.ones((1, 1, 4)).astype(dtype), match="floating point"
        )
    for mode in ("linear", "area"):
        x = np.ones((1, 1, 4), np.uint8)
        both_raise(lambda m, x, mode=mode: m.nn.functional.interpolate(x, 3, mode=mode), x, match="floating point")
