"""Padding against torch: every mode, every number of dimensions, negative amounts, all types."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional
MODES = ("reflect", "replicate", "circular")


@st.composite
def bordered(draw):
    """A mode, a shape it takes and amounts that are allowed there; some crop."""
    mode, k = draw(st.sampled_from(MODES)), draw(st.integers(1, 3))
    leading = draw(st.lists(st.integers(1, 2), min_size=1, max_size=2))
    spatial = draw(st.lists(st.integers(1, 5), min_size=k, max_size=k))
    amounts = []
    for size in reversed(spatial):
        largest = {"reflect": size - 1, "replicate": 6, "circular": size}[mode]
        before = draw(st.integers(-size + 1, largest))
        after = draw(st.integers(-size + 1, largest))
        if mode == "circular" and min(before, after) < 0:  # torch wraps what is left, and only as much as there is
            after = min(after, size + min(before, 0) + min(after, 0))
            before = min(before, size + min(before, 0) + min(after, 0))
        if size + before + after < 1 or (mode == "circular" and size + min(before, 0) + min(after, 0) < 1):
            before = after = 0
        amounts += [before, after]
    return mode, (*leading, *spatial), amounts


@settings(max_examples=40)
@given(case=bordered(), dtype=FLOATS, seed=SEEDS, layout=st.integers(0, 3))
def test_from_the_input(case, dtype, seed, layout):
    mode, shape, amounts = case
    x = list(layouts(values(np.random.default_rng(seed), shape, dtype, "normal")))[layout]
    compare(lambda m, x: m.nn.functional.pad(x, amounts, mode), x)


@settings(max_examples=40)
@given(
    shape=st.lists(st.integers(0, 4), max_size=5),
    amounts=st.lists(st.integers(-2, 3), max_size=10),
    value=st.sampled_from([None, 0, 1.5, -2]),
    dtype=FLOATS,
    seed=SEEDS,
    layout=st.integers(0, 3),
)
def test_constant(shape, amounts, value, dtype, seed, layout):
    amounts = amounts[: min(len(amounts), 2 * len(shape)) // 2 * 2]
    for i, size in enumerate(reversed(shape[len(shape) - len(amounts) // 2 :])):
        if size + sum(min(a, 0) for a in amounts[2 * i : 2 * i + 2]) < 0:
            amounts[2 * i : 2 * i + 2] = 1, -1 if size else 0
    options = list(layouts(values(np.random.default_rng(seed), tuple(shape), dtype, "normal")))
    compare(lambda m, x: m.nn.functional.pad(x, amounts, value=value), options[layout % len(options)])


@pytest.mark.parametrize("mode", ["constant", *MODES])
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.int8, np.uint8])
def test_integers(mode, dtype):
    x = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for amounts in ((1, 2), (-1, 2), (2, 1, 1, 0)):
        compare(lambda m, x, amounts=amounts: m.nn.functional.pad(x, amounts, mode), x)


def test_bools():
    x = np.array([[True, False, False]])
    compare(lambda m, x: m.nn.functional.pad(x, (1, 2), "constant", 0.5), x)
    compare(lambda m, x: m.nn.functional.pad(x, (1, 2), "circular"), x)
    for mode in ("reflect", "replicate"):
        both_raise(lambda m, x, mode=mode: m.nn.functional.pad(x, (1, 1), mode), x, match="takes no bool")


def test_a_value_becomes_an_integer_by_truncation():
    compare(lambda m, x: m.nn.functional.pad(x, (1, 1), value=-2.7), np.array([1, 2]))
    compare(lambda m, x: m.nn.functional.pad(x, (1, 1), value=255), np.array([1, 2], np.uint8))
    for value in (256, -1):
        both_raise(
            lambda m, x, v=value: m.nn.functional.pad(x, (1, 1), value=v), np.ones(2, np.uint8), match="not in the"
        )
    for value in (float("nan"), float("inf")):
        both_raise(
            lambda m, x, v=value: m.nn.functional.pad(x, (1, 1), value=v), np.ones(2, np.int64), match="not in the"
        )


@pytest.mark.parametrize("mode", MODES)
def test_empty_batches(mode):
    compare(lambda m, x: m.nn.functional.pad(x, (1, 2, 1, 0), mode), np.zeros((0, 3, 4, 5)))


def test_memory_order_is_kept():
    x = mc.from_numpy(np.ones((2, 5, 6, 3)).transpose(0, 3, 1, 2)).requires_grad_()
    for mode in ("constant", *MODES):
        y = F.pad(x, (1, 2, 0, 1), mode)
        assert y.stride() == (3 * 6 * 9, 1, 3 * 9, 3)
        (grad,) = mc.autograd.grad(y.sum(), x)
        np.testing.assert_allclose(grad.sum().item(), y.numel() if mode != "constant" else x.numel())


def test_gradcheck():
    x = values(np.random.default_rng(0), (2, 3, 4), kind="normal")
    check_gradients(lambda m, x: m.nn.functional.pad(x, (-1, 2, 1, 0), value=2.0), x)
    for mode in MODES:
        check_gradients(lambda m, x, mode=mode: m.nn.functional.pad(x, (-1, 2, 1, 0), mode), x)


@pytest.mark.parametrize(
    ("shape", "amounts", "mode", "match"),
    [
        ((4, 4), (1, 2, 3), "constant", "pairs for at most 2 dimensions, got 3"),
        ((4,), (1, 1, 1, 1), "constant", "pairs for at most 1 dimensions, got 4"),
        ((4, 4), (1.5, 1), "constant", "pad: expected integers"),
        ((4, 4), 1, "constant", "pad: expected integers"),
        ((4, 4), (-5, 2), "constant", "crops more than the 4 elements of dimension 1"),
        ((4, 4), (-3, -2), "constant", "crops more than the 4 elements"),
        ((4, 4), (1, 1), "mirror", "expected 'constant', 'reflect', 'replicate' or 'circular', got 'mirror'"),
        ((4,), (1, 1), "reflect", "pads the last k = 1, 2 or 3 dimensions"),
        ((4, 4, 4, 4), (1, 1), "replicate", "pads the last k"),
        ((4, 4, 4), (1,) * 6, "circular", "pads the last k"),
        ((4, 4), (), "circular", "pads the last k"),
        ((4, 4), (4, 0), "reflect", "'reflect' adds at most 3 elements to the 4 of dimension 1, got"),
        ((4, 4), (-2, 4), "reflect", "'reflect' adds at most 3 elements"),
        ((4, 4), (5, 0), "circular", "'circular' adds at most 4 elements"),
        ((4, 4), (-3, -1), "reflect", "leaves or finds nothing"),
        ((4, 4), (-3, -1), "replicate", "leaves or finds nothing"),
        ((2, 0, 4, 4), (1, 1, 1, 1), "replicate", "leaves or finds nothing"),
        ((0, 4), (1, 1), "reflect", "leaves or finds nothing"),
        ((4, 4), (-3, -2), "circular", "crops more than"),
    ],
)
def test_errors(shape, amounts, mode, match):
    both_raise(lambda m, x: m.nn.functional.pad(x, amounts, mode), np.ones(shape), match=match)


def test_what_is_cropped_is_not_wrapped():
    compare(lambda m, x: m.nn.functional.pad(x, (-2, 2), "circular"), np.arange(4.0)[None])
    with pytest.raises(ValueError, match="'circular' adds at most 2 elements to the 2 of dimension 1"):
        F.pad(mc.ones(4, 4), (-2, 4), "circular")  # torch reads memory that it is writing, or refuses


def test_only_constants_have_a_value():
    for mode in MODES:
        compare(lambda m, x, mode=mode: m.nn.functional.pad(x, (1, 1), mode, 0), np.ones((2, 3)))
        both_raise(
            lambda m, x, mode=mode: m.nn.functional.pad(x, (1, 1), mode, 2.0), np.ones((2, 3)), match="value: only"
        )
    with pytest.raises(TypeError, match="input: pad needs a Tensor"):
        F.pad(np.ones(3), (1, 1))
