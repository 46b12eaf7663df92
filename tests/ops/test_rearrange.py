"""Flipped, rolled, repeated, triangles, diagonals, grids: as torch, values, gradients and errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, layouts, values

X = np.arange(24.0).reshape(2, 3, 4)
FUNCTIONS = {
    "flip": lambda m, x: (x.flip(0), m.flip(x, (0, -1)), x.flip(dims=[1])),
    "fliplr": lambda m, x: m.fliplr(x),
    "flipud": lambda m, x: x.flipud(),
    "rot90": lambda m, x: (m.rot90(x), x.rot90(-1, (1, 2)), m.rot90(x, 2, [0, 2]), m.rot90(x, 4)),
    "roll": lambda m, x: m.roll(x, 5),
    "roll_dims": lambda m, x: (x.roll(1, 1), x.roll((2, -1), (0, 2)), m.roll(x, (1, 1), (1, 1))),
    "repeat": lambda m, x: (x.repeat(2, 1, 3), x.repeat(2, 1, 1, 1), x.repeat((1, 1, 1)), x.repeat(1, 0, 1)),
    "tile": lambda m, x: (m.tile(x, (2,)), x.tile(1, 2, 1, 1), m.tile(x, ())),
    "repeat_interleave": lambda m, x: (m.repeat_interleave(x, 2), x.repeat_interleave(3, 1), x.repeat_interleave(0, 0)),
    "repeat_interleave_each": lambda m, x: (
        m.repeat_interleave(x, m.tensor([2, 0, 1]), 1),
        m.repeat_interleave(x, m.tensor([2]), 1),
        x.repeat_interleave(m.tensor(2), -1, output_size=8),
    ),
    "tril": lambda m, x: (m.tril(x), x.tril(-1), x.tril(9)),
    "triu": lambda m, x: (m.triu(x), x.triu(1), x.triu(-9)),
    "diag": lambda m, x: (m.diag(x[0, 0]), m.diag(x[0], 1), x[0].diag(-2), x[0, 0].diag(-1)),
    "diag_embed": lambda m, x: (m.diag_embed(x), x.diag_embed(1, 0, -2), m.diag_embed(x, -2, 3, 1)),
    "diagflat": lambda m, x: (m.diagflat(x[0], 1), m.diagflat(x[0, 0, 0])),
    "meshgrid": lambda m, x: m.meshgrid(x[0, 0], x[0, 0, 0], x[0, :, 1], indexing="ij"),
    "meshgrid_xy": lambda m, x: m.meshgrid([x[0, 0], x[0, :, 1]], indexing="xy"),
    "cartesian_prod": lambda m, x: (m.cartesian_prod(x[0, 0], x[0, :, 1]), m.cartesian_prod(x[0, 0])),
    "combinations": lambda m, x: (
        m.combinations(x[0, 0]),
        m.combinations(x[0, 0], 3),
        m.combinations(x[0, 0], 2, with_replacement=True),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("layout", range(5))
def test_against_torch(name, layout):
    compare(FUNCTIONS[name], list(layouts(X))[layout])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck(name):
    check_gradients(FUNCTIONS[name], values(np.random.default_rng(0), X.shape, kind="positive"))


@given(x=arrays(), data=st.data())
def test_any_tensor(x, data):
    n = x.ndim
    dims = data.draw(st.permutations(range(n)))[: data.draw(st.integers(0, n))]
    shift = data.draw(st.integers(-5, 5))
    times = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n + 1))
    compare(lambda m, x: m.flip(x, dims), x)
    compare(lambda m, x: m.roll(x, shift), x)
    compare(lambda m, x: x.repeat(*times), x)
    compare(lambda m, x: m.tile(x, tuple(times[1:])), x)
    compare(lambda m, x: m.repeat_interleave(x, abs(shift)), x)
    if dims:
        compare(lambda m, x: m.roll(x, [shift] * len(dims), dims), x)
        compare(lambda m, x: m.diag_embed(x, shift, dims[0] - 1, n), x) if dims[0] else None
    if n >= 2:
        compare(lambda m, x: (m.tril(x, shift), m.triu(x, shift), m.rot90(x, shift, (0, n - 1))), x)


def test_vander():
    """PyTorch's own gradient of it fails, so that is left to differences."""
    function = lambda m, x: (m.vander(x), m.vander(x, 2, increasing=True), m.vander(x, 0))  # noqa: E731
    compare(function, np.array([-1.0, 2.0, 0.0]), requires_grad=False)
    check_gradients(lambda m, x: m.vander(x), np.array([-1.0, 2.0, 0.5]))


def test_without_gradients():
    compare(lambda m, x: m.repeat_interleave(x), np.array([2, 0, 1]))
    compare(lambda m: (m.tril_indices(3, 4), m.triu_indices(4, 3, 1), m.tril_indices(0, 2), m.triu_indices(3, 3, -5)))
    compare(
        lambda m, x: (m.vander(x), m.vander(x > 1), m.combinations(x, 0), m.combinations(x, 9)), np.array([1, 2, 3])
    )
    compare(
        lambda m, x: (m.flip(x, (0,)), m.roll(x, 1), x.repeat(2), m.diag(x), m.tril(x[None])), np.array([True, False])
    )


@pytest.mark.parametrize(
    "function",
    [lambda x: x.flip(()), lambda x: x.repeat(1, 1), lambda x: x.tile(1), lambda x: x.rot90(0), lambda x: x.diag(),
     lambda x: x.roll(0), lambda x: x.repeat_interleave(1, 0)],
)  # fmt: skip
def test_always_copies(function):
    x = mc.ones(2, 2)
    assert not np.shares_memory(function(x).numpy(), x.numpy())


ERRORS = {
    "flip: twice": (lambda m, x: x.flip(0, 0), "dims: each dimension may be named once"),
    "flip: range": (lambda m, x: x.flip(3), "dims"),
    "fliplr": (lambda m, x: x[0, 0].fliplr(), "fliplr needs at least 2"),
    "flipud": (lambda m, x: x[0, 0, 0].flipud(), "flipud needs at least 1"),
    "rot90: same": (lambda m, x: x.rot90(1, (0, -3)), "two different dimensions"),
    "rot90: few": (lambda m, x: x[0, 0].rot90(), "rot90 needs two dimensions"),
    "rot90: one": (lambda m, x: x.rot90(1, (0,)), "rot90 needs two dimensions"),
    "roll: number": (lambda m, x: x.roll((1, 2), 0), "shifts: expected one for each"),
    "roll: none": (lambda m, x: x.roll((), ()), "shifts: expected one for each"),
    "roll: 0-d": (lambda m, x: x[0, 0, 0].roll(1, 0), "dims"),
    "repeat: few": (lambda m, x: x.repeat(2, 2), "repeats: expected 3 or more"),
    "repeat: negative": (lambda m, x: x.repeat(2, 2, -1), "repeats"),
    "interleave: negative": (lambda m, x: x.repeat_interleave(-1), "repeats"),
    "interleave: number": (lambda m, x: x.repeat_interleave(m.tensor([1, 2]), 1), "one for each of 3"),
    "interleave: signs": (lambda m, x: x.repeat_interleave(m.tensor([1, -2, 1]), 1), "not negative"),
    "interleave: type": (lambda m, x: x.repeat_interleave(m.tensor([1.0, 2, 1]), 1), "expected int32 or int64"),
    "tril: few": (lambda m, x: x[0, 0].tril(), "tril needs at least 2"),
    "diag: 3": (lambda m, x: x.diag(), "vector or a matrix"),
    "diag_embed: same": (lambda m, x: x.diag_embed(0, 1, 1), "two different"),
    "meshgrid: matrix": (lambda m, x: m.meshgrid(x, indexing="ij"), "meshgrid takes vectors"),
    "meshgrid: indexing": (lambda m, x: m.meshgrid(x[0, 0], indexing="ab"), "indexing"),
    "meshgrid: types": (lambda m, x: m.meshgrid(x[0, 0], x[0, 0].long(), indexing="ij"), "one type"),
    "cartesian_prod": (lambda m, x: m.cartesian_prod(x), "cartesian_prod takes vectors"),
    "combinations": (lambda m, x: m.combinations(x), "combinations takes a vector"),
    "vander": (lambda m, x: m.vander(x), "vander takes a vector"),
    "tril_indices": (lambda m, x: m.tril_indices(-1, 2), "row, col"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, match = ERRORS[name]
    both_raise(function, X, match=match)
