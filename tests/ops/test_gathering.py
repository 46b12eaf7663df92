"""gather, scatter, index_* and masks, as torch: values, gradients where several meet in one place, errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from minicnn.ops.indexing import add_rows
from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, layouts, values

X = np.random.default_rng(0).standard_normal((3, 4, 5))
X[0, 0, :2] = 0
SRC = np.random.default_rng(1).standard_normal((2, 4, 3))
SRC[0, 0, 0] = 0
INDEX = np.random.default_rng(2).integers(0, 3, (2, 3, 3))
ROWS = np.array([2, 0, 2])
MASK = np.random.default_rng(3).random((4, 5)) > 0.5
REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")
FUNCTIONS = {
    "gather": (lambda m, x, i: m.gather(x, 2, i), X, INDEX),
    "gather_last": (lambda m, x, i: x.gather(-3, i, sparse_grad=False), X, INDEX),
    "gather_int32": (lambda m, x, i: x.gather(1, i.int()), X, INDEX),
    "take_along_dim": (lambda m, x, i: m.take_along_dim(x, i[:1, :1] - 1, 2), X, INDEX),
    "take_along_dim_flat": (lambda m, x, i: m.take_along_dim(x, i), X, INDEX),
    "scatter_number": (lambda m, x, i: m.scatter(x, 1, i, 2), X, INDEX),
    "scatter_value": (lambda m, x, i: x.scatter(1, i, value=2.5), X, INDEX),
    "scatter_distinct": (lambda m, x, s: m.scatter(x, 2, m.tensor([[[4, 0, 1]]]), s[:1, :1]), X, SRC),
    "scatter_add": (lambda m, x, i, s: m.scatter_add(x, 2, i, s[:, :3]), X, INDEX, SRC),
    **{
        f"scatter_reduce_{name}_{mine}": (
            lambda m, x, i, s, name=name, mine=mine: x.scatter_reduce(2, i, s[:, :3], name, include_self=mine),
            X,
            INDEX,
            SRC,
        )
        for name in REDUCTIONS
        for mine in (True, False)
    },
    "index_select": (lambda m, x, i: m.index_select(x, 1, i), X, ROWS),
    "index_select_int32": (lambda m, x, i: x.index_select(-1, i.int()[0]), X, ROWS),
    "index_add": (lambda m, x, i, s: m.index_add(x[:2, :, :4], 2, i, s), X, ROWS, SRC),
    "index_add_alpha": (lambda m, x, i, s: x[:2].index_add(2, i, s, alpha=-2.5), X, ROWS, SRC),
    "index_copy": (lambda m, x, i, s: m.index_copy(x[:2], 2, i[1:], s[:, :, :2]), X, ROWS, SRC),
    "index_fill": (lambda m, x, i: m.index_fill(x, 1, i, 3.0), X, ROWS),
    "index_fill_tensor": (lambda m, x, i, s: x.index_fill(0, i, s[0, 0, 1]), X, ROWS, SRC),
    **{
        f"index_reduce_{name}": (lambda m, x, i, s, name=name: x[:2].index_reduce(2, i, s, name), X, ROWS, SRC)
        for name in REDUCTIONS[1:]
    },
    "take": (lambda m, x, i: m.take(x, i - 2), X, INDEX),
    "put": (lambda m, x, s: m.put(x, m.tensor([5, -1]), s[0, 0, :2]), X, SRC),
    "put_accumulate": (lambda m, x, i, s: x.put(i, s[:, :3], accumulate=True), X, INDEX, SRC),
    "index_put": (lambda m, x, s: m.index_put(x, (m.tensor([1, 0]), m.tensor([2, 3])), s[0, 0, 0]), X, SRC),
    "index_put_accumulate": (lambda m, x, i, s: x.index_put((i,), s[1, :, :1], accumulate=True), X, ROWS, SRC),
    "index_put_accumulate_pairs": (
        lambda m, x, i, s: x.index_put((i, i), s[0, 0, 1], accumulate=True),
        X,
        ROWS,
        SRC,
    ),
    "index_put_mask": (lambda m, x, k, s: x[0].index_put((k,), s[0, 0, 1], accumulate=True), X, MASK, SRC),
    "getitem_rows": (lambda m, x, i: (x[i], x[:, i - 3], x[..., i]), X, ROWS),
    "getitem_pairs": (lambda m, x, i: x[i, i], X, ROWS),
    "getitem_mask": (lambda m, x, k: x[:, k], X, MASK),
    "masked_fill": (lambda m, x, k: m.masked_fill(x, k, 1), X, MASK),
    "masked_fill_tensor": (lambda m, x, k, s: x.masked_fill(k, s[0, 0, 1]), X, MASK, SRC),
    "masked_fill_broadcast": (lambda m, x, k: x[:, :1].masked_fill(k, -np.inf), X, MASK),
    "masked_select": (lambda m, x, k: m.masked_select(x, k), X, MASK),
    "masked_select_broadcast": (lambda m, x, k: x[:, :1].masked_select(k), X, MASK),
    "masked_scatter": (lambda m, x, k, s: m.masked_scatter(x[0], k, s), X, MASK, SRC),
}


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_torch(name):
    function, x, *rest = FUNCTIONS[name]
    for layout in layouts(x):
        compare(function, layout, *rest)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradcheck(name):
    function, x, *rest = FUNCTIONS[name]
    if "prod" in name:  # differences across a zero are no derivative of torch's rule for several
        x = np.where(x == 0, 0.5, x)
    if not name.endswith(("amax_True", "amin_True", "broadcast")):
        check_gradients(function, x, *rest)


@given(data=st.data(), x=arrays(kinds=("grid",)))
def test_any_index(data, x):
    """Sizes drawn, ties and zeros in the input, the index smaller than the input."""
    if not x.ndim or 0 in x.shape:
        return
    dim = data.draw(st.integers(0, x.ndim - 1))
    shape = tuple(data.draw(st.integers(0 if d == dim else 1, 6 if d == dim else n)) for d, n in enumerate(x.shape))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    index = rng.integers(0, x.shape[dim], shape)
    src = values(rng, shape, x.dtype)
    reduce, mine = data.draw(st.sampled_from(("sum", "prod", "mean", "amax", "amin"))), data.draw(st.booleans())
    compare(lambda m, x, i: m.gather(x, dim, i), x, index)
    compare(lambda m, x, i, s: m.scatter_add(x, dim, i, s), x, index, src)
    if reduce != "prod" or (src == 0).sum() < 2:  # of several zeros torch says no more than that it does not know
        compare(lambda m, x, i, s: m.scatter_reduce(x, dim, i, s, reduce, include_self=mine), x, index, src)
    rows = rng.integers(0, x.shape[dim], data.draw(st.integers(0, 5)))
    source = values(rng, (*x.shape[:dim], rows.size, *x.shape[dim + 1 :]), x.dtype)
    compare(lambda m, x, i: (m.index_select(x, dim, i), m.index_fill(x, dim, i, 2)), x, rows)
    compare(lambda m, x, i, s: m.index_add(x, dim, i, s, alpha=2), x, rows, source)
    mask = rng.random(x.shape[dim:]) > 0.5
    compare(lambda m, x, k: (m.masked_fill(x, k, 5.0), m.masked_select(x, k)), x, mask)


IN_PLACE = {
    "scatter_": lambda m, x, i, s, r: (x * 1).scatter_(2, i, 3.0),
    "scatter_add_": lambda m, x, i, s, r: (x * 1).scatter_add_(2, i, s[:, :3]),
    "scatter_reduce_": lambda m, x, i, s, r: (x * 1).scatter_reduce_(2, i, s[:, :3], "amax"),
    "index_add_": lambda m, x, i, s, r: (x[:2] * 1).index_add_(2, r, s),
    "index_copy_": lambda m, x, i, s, r: (x[:2] * 1).index_copy_(2, r[1:], s[..., 1:]),
    "index_fill_": lambda m, x, i, s, r: (x * 1).index_fill_(0, r, 0.5),
    "index_put_": lambda m, x, i, s, r: (x * 1).index_put_((r, r), s[0, 0, 0], accumulate=True),
    "put_": lambda m, x, i, s, r: (x * 1).put_(r, s[0, 0], accumulate=True),
    "masked_fill_": lambda m, x, i, s, r: (x * 1).masked_fill_(x > 0, 7),
    "masked_scatter_": lambda m, x, i, s, r: (x[0] * 1).masked_scatter_(x[0] > 0, s),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name):
    compare(lambda m, x, i, s, r: IN_PLACE[name](m, x, i, s, r), X, INDEX, SRC, ROWS)
    before = mc.from_numpy(X.copy()[:2].copy())
    assert before.index_add_(2, mc.from_numpy(ROWS), mc.from_numpy(SRC)) is before


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint8, bool])
def test_whole_numbers_and_bools(dtype):
    x, s = (np.abs(a * 3).astype(dtype) for a in (X, SRC))
    compare(lambda m, x, i, s: (x.gather(2, i), x.scatter_add(2, i, s[:, :3]), x.scatter(2, i, 1)), x, INDEX, s)
    compare(lambda m, x, r, s: (x.index_select(1, r), x[:2].index_add(2, r, s), x.index_fill(1, r, 1)), x, ROWS, s)
    compare(lambda m, x, k: (x.masked_fill(k, 1), x.masked_select(k), x[:, k]), x, MASK)
    if dtype is not bool:
        compare(lambda m, x, i, s: x.scatter_reduce(2, i, s, "mean"), x, INDEX, s)
    compare(lambda m, x, i, s: x.scatter_reduce(2, i, s, "amax", include_self=False), x, INDEX, s)


def test_single_numbers_and_nothing():
    zero = np.array([0])
    compare(lambda m, x, i: (x.gather(0, i), x.gather(0, i[0]), x.index_select(0, i), x.take(i)), np.array(2.0), zero)
    compare(
        lambda m, x, i: (x.index_fill(0, i, 3.0), x.scatter(0, i[0], 3.0), x.masked_fill(x > 1, 0)), np.array(2.0), zero
    )
    compare(lambda m, x, i: (x.gather(0, i[:, :0]), x.take(i[:0])), X, INDEX[0])
    compare(lambda m, x: x.masked_select(x > 0), np.zeros((0, 3)))


def test_rows_that_meet():
    """Against a plain loop, with rows that come once, often and from behind, in memory that is not contiguous."""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64, np.int8):
        for _ in range(5):
            out = rng.integers(-5, 5, (4, 6, 3)).astype(dtype).transpose(2, 0, 1)
            index = rng.integers(-4, 4, rng.integers(0, 9))
            rows = rng.integers(-5, 5, (3, len(index), 6)).astype(dtype)
            expected = out.copy()
            for i, place in enumerate(index):
                expected[:, place] += rows[:, i]
            add_rows(out, index, rows, 1)
            np.testing.assert_array_equal(out, expected)


ERRORS = {
    "gather: type": (lambda m, x, i: x.gather(0, i.float()), "index: expected int64, got minicnn.float32"),
    "gather: rank": (lambda m, x, i: x.gather(0, i[0]), "index: gather needs as many dimensions"),
    "gather: large": (lambda m, x, i: x[:1].gather(1, i), "is larger than that of input"),
    "gather: bounds": (lambda m, x, i: x.gather(0, i + 1), "index: 3 is out of bounds for dimension 0"),
    "gather: negative": (lambda m, x, i: x.gather(0, i - 3), "index: -3 is out of bounds"),
    "gather: dim": (lambda m, x, i: x.gather(3, i), "dim"),
    "along: rank": (lambda m, x, i: m.take_along_dim(x, i[0], 0), "indices: expected 3 dimensions"),
    "along: shape": (lambda m, x, i: m.take_along_dim(x, i, 0), "indices: shape.*does not broadcast"),
    "along: type": (lambda m, x, i: m.take_along_dim(x, x, 0), "indices: expected int64"),
    "scatter: src type": (lambda m, x, i: x.scatter(0, i, x.float()), "src: scatter needs the type of input"),
    "scatter: src small": (lambda m, x, i: x.scatter(0, i, x[:1]), "or than that of src"),
    "scatter: reduce": (lambda m, x, i: x.scatter(0, i, x, reduce="mean"), "reduce: expected 'add'"),
    "scatter_reduce": (lambda m, x, i: x.scatter_reduce(0, i, x, "add"), "reduce: expected one of sum"),
    "select: matrix": (lambda m, x, i: x.index_select(0, i), "index: index_select takes a vector"),
    "select: bounds": (
        lambda m, x, i: x.index_select(0, i[0, 0] + 3),
        "out of bounds for dimension 0, which has size 3",
    ),
    "add: shape": (lambda m, x, i: x.index_add(0, i[0, 0], x[:2]), r"source: index_add needs shape \(3, 4, 5\)"),
    "add: type": (lambda m, x, i: x.index_add(0, i[0, 0], x.float()), "source: index_add needs the type of input"),
    "copy: int32": (lambda m, x, i: x.index_copy(0, i[0, 0].int(), x), "index: expected int64"),
    "fill: value": (lambda m, x, i: x.index_fill(0, i[0, 0], x[0, 0]), "value: expected a number"),
    "reduce: name": (lambda m, x, i: x.index_reduce(0, i[0, 0], x, "sum"), "reduce: expected 'prod'"),
    "take: bounds": (lambda m, x, i: x.take(i + 60), "out of bounds"),
    "take: type": (lambda m, x, i: x.take(i.int()), "index: expected int64"),
    "put: number": (lambda m, x, i: x.put(i, x), "source: put needs one element for each index"),
    "put: type": (lambda m, x, i: x.put(i, x.float()), "source: put needs the type"),
    "index_put: type": (lambda m, x, i: x.index_put((i,), x.float()), "values: index_put needs the type"),
    "fill: mask": (lambda m, x, i: x.masked_fill(i, 1), "mask: expected a bool tensor, got minicnn.int64"),
    "fill: number": (lambda m, x, i: x.masked_fill(x > 0, x), "value: masked_fill takes a number"),
    "fill: list": (lambda m, x, i: x.masked_fill(x > 0, [1]), "value"),
    "mask: shape": (lambda m, x, i: x.masked_select(x[:2] > 0), "do not broadcast"),
    "mask: few": (lambda m, x, i: x.masked_scatter(x < 9, x[0]), "source: the mask holds in 60 places"),
    "mask: type": (lambda m, x, i: x.masked_scatter(x < 9, x.float()), "source: masked_scatter needs the type"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, match = ERRORS[name]
    both_raise(function, X, INDEX, match=match)
