"""Sorting and searching, as torch: values, places, gradients, NaN and ties, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import arrays, both_raise, check_gradients, compare, layouts

X = np.random.default_rng(0).permutation(np.arange(60.0)).reshape(3, 4, 5)
TIES = np.random.default_rng(1).choice([-1.0, 0.0, 2.0, np.nan, np.inf], (3, 4, 5))
FUNCTIONS = {
    "sort": lambda m, x: m.sort(x),
    "sort_descending": lambda m, x: x.sort(0, descending=True),
    "sort_stable": lambda m, x: m.sort(x, dim=1, stable=True),
    "argsort": lambda m, x: (m.argsort(x), x.argsort(1, descending=True)),
    "msort": lambda m, x: m.msort(x),
    "topk": lambda m, x: m.topk(x, 2),
    "topk_smallest": lambda m, x: x.topk(3, 1, largest=False),
    "topk_all": lambda m, x: x.topk(5),
    "topk_none": lambda m, x: x.topk(0),
    "kthvalue": lambda m, x: m.kthvalue(x, 2),
    "kthvalue_keepdim": lambda m, x: x.kthvalue(3, 1, keepdim=True),
    "median": lambda m, x: m.median(x),
    "median_dim": lambda m, x: x.median(1),
    "median_keepdim": lambda m, x: m.median(x, dim=-1, keepdim=True),
    "nanmedian": lambda m, x: (m.nanmedian(x), *x.nanmedian(0)),
    "mode": lambda m, x: m.mode(x),
    "mode_keepdim": lambda m, x: x.mode(0, keepdim=True),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("layout", range(5))
def test_against_torch(name, layout):
    compare(FUNCTIONS[name], list(layouts(X))[layout])


@pytest.mark.parametrize("name", [n for n in FUNCTIONS if n != "argsort"])
def test_gradcheck(name):
    check_gradients(FUNCTIONS[name], X)


@given(x=arrays(), data=st.data())
def test_ties_and_nan(x, data):
    """Values as torch; equal elements keep their order in both (torch: with ``stable``)."""
    if not x.size:
        return
    if data.draw(st.booleans()):
        x = np.where(x == 0, np.asarray(np.nan, x.dtype), x)
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1)) if x.ndim else 0
    size = x.shape[dim] if x.ndim else 1
    k = data.draw(st.integers(1, size))
    down, keep = data.draw(st.booleans()), data.draw(st.booleans())
    compare(lambda m, x: m.sort(x, dim=dim, descending=down, stable=True), x)
    compare(lambda m, x: m.argsort(x, dim=dim, descending=down, stable=True), x)
    compare(lambda m, x: m.topk(x, k, dim, down).values, x, requires_grad=False)
    compare(lambda m, x: m.kthvalue(x, k, dim, keep).values, x, requires_grad=False)
    compare(lambda m, x: m.median(x, dim, keep).values, x, requires_grad=False)
    compare(lambda m, x: m.nanmedian(x, dim, keep).values, x, requires_grad=False)
    compare(lambda m, x: (m.median(x), m.nanmedian(x)), x, requires_grad=False)
    compare(lambda m, x: m.mode(x, dim, keep), np.where(np.isnan(x), 9, x).astype(x.dtype))
    if x.ndim:
        for values, indices in (mc.topk(mc.tensor(x), k, dim, down), mc.kthvalue(mc.tensor(x), k, dim, True)):
            np.testing.assert_array_equal(np.take_along_axis(x, indices.numpy(), dim), values.numpy())


@given(data=st.data())
def test_selection_takes_those_of_equal_elements_that_torch_takes(data):
    n = data.draw(st.integers(1, 400))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    x = rng.integers(0, data.draw(st.integers(1, 30)), (3, n)).astype(
        data.draw(st.sampled_from([np.int64, np.float32]))
    )
    k = data.draw(st.integers(1, n) | st.integers(1, min(n, 5)))
    largest, in_order = data.draw(st.booleans()), data.draw(st.booleans())
    compare(lambda m, x: m.topk(x, k, 1, largest, in_order), x)
    compare(lambda m, x: m.kthvalue(x, k, 1), x)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, np.uint8, bool])
def test_whole_numbers_and_bools(dtype):
    x = (X % 7).astype(dtype)
    compare(lambda m, x: m.sort(x, dim=1, descending=True, stable=True), x)
    compare(lambda m, x: m.msort(x), x)
    compare(lambda m, x: m.unique(x, return_inverse=True, return_counts=True), x)
    if dtype is not bool:
        compare(
            lambda m, x: (
                m.topk(x, 3).values,
                m.median(x),
                m.median(x, 1).values,
                m.kthvalue(x, 2).values,
                m.mode(x).values,
            ),
            x,
        )


def test_results_have_names():
    for result in (mc.sort(mc.zeros(2)), mc.topk(mc.zeros(2), 1), mc.mode(mc.zeros(2)), mc.zeros(2).median(0)):
        assert result.values is result[0]
        assert result.indices is result[1]


UNIQUE = {
    "plain": {},
    "inverse": {"return_inverse": True},
    "all": {"return_inverse": True, "return_counts": True},
    "dim": {"return_inverse": True, "return_counts": True, "dim": 1},
    "last": {"return_counts": True, "dim": -1},
}


@pytest.mark.parametrize("name", UNIQUE)
def test_unique(name):
    rng = np.random.default_rng(0)
    for shape in [(6,), (4, 5), (2, 3, 4), (0,), (5, 2)]:
        x = rng.integers(0, 2, shape)
        options = dict(UNIQUE[name])
        if "dim" in options and len(shape) == 1:
            options["dim"] = 0
        compare(lambda m, x, o=options: m.unique(x, **o), x)
        compare(lambda m, x, o=options: m.unique_consecutive(x, **o), x)
        compare(lambda m, x, o=options: x.unique(**o), x.astype(np.float32), requires_grad=False)


def test_unique_nan_and_slices_of_nothing():
    compare(lambda m, x: m.unique(x, return_counts=True), np.array([np.nan, 1, np.nan]), requires_grad=False)
    compare(lambda m, x: m.unique(x, dim=0), np.zeros((0, 3)), requires_grad=False)
    both_raise(lambda m, x: m.unique(x, dim=0), np.zeros((2, 0)), match="no slices")


def test_nonzero():
    for x in (X % 3, np.zeros((2, 0)), np.array(1.0), np.array(0.0), np.array([True, False, True])):
        compare(lambda m, x: m.nonzero(x), x, requires_grad=False)
        compare(lambda m, x: x.nonzero(as_tuple=True), x, requires_grad=False)
        compare(lambda m, x: (m.argwhere(x),), x, requires_grad=False)


@given(data=st.data(), dtype=st.sampled_from([np.float64, np.float32, np.int64, np.int16]))
def test_searchsorted(data, dtype):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    lead = data.draw(st.sampled_from([(), (2,), (2, 3)]))
    sequence = np.sort(rng.integers(0, 5, (*lead, data.draw(st.integers(0, 6)))), -1).astype(dtype)
    wanted = rng.integers(-1, 6, (*lead, data.draw(st.integers(0, 4)))).astype(dtype)
    right, narrow = data.draw(st.booleans()), data.draw(st.booleans())
    compare(lambda m, s, v: m.searchsorted(s, v, right=right, out_int32=narrow), sequence, wanted, requires_grad=False)
    order = rng.permuted(np.broadcast_to(np.arange(sequence.shape[-1]), sequence.shape), axis=-1)
    mixed = np.empty_like(sequence)
    np.put_along_axis(mixed, order, sequence, -1)
    compare(lambda m, s, v, o: m.searchsorted(s, v, side="right", sorter=o), mixed, wanted, order, requires_grad=False)
    if not lead:
        compare(lambda m, s, v: m.bucketize(v, s, right=right), sequence, wanted, requires_grad=False)
        compare(lambda m, s: m.searchsorted(s, 2), sequence, requires_grad=False)


def test_counting():
    numbers = np.array([3, 0, 3, 1])
    compare(lambda m, x: (m.bincount(x), x.bincount(minlength=6), m.bincount(x[:0])), numbers)
    compare(lambda m, x, w: m.bincount(x, w), numbers, np.array([0.5, 1, 2, 4], np.float32), requires_grad=False)
    compare(lambda m, x, w: m.bincount(x, w), numbers, numbers)
    x = np.array([1.0, 2.0, 1.0, 3.0, -5.0, 9.0])
    compare(lambda m, x: (m.histc(x), x.histc(4, 0, 3), m.histc(x, bins=3, min=2, max=2)), x, requires_grad=False)
    compare(lambda m, x: m.histc(x, 5), np.full(3, 2.0, np.float32), requires_grad=False)


def test_one_hot_and_isin():
    labels = np.array([[1, 0], [2, 2]])
    compare(lambda m, x: (m.nn.functional.one_hot(x), m.nn.functional.one_hot(x, 5)), labels)
    compare(lambda m, x: m.nn.functional.one_hot(x[:0], 3), labels)
    compare(lambda m, x: (m.isin(x, m.tensor([2, 7])), m.isin(x, 1, invert=True), m.isin(2, x)), labels)


ERRORS = {
    "sort: dim": (lambda m, x: x.sort(3), "dim"),
    "topk: k": (lambda m, x: x.topk(6), "k: expected 0 to 5, the size along dim -1, got 6"),
    "topk: bool": (lambda m, x: (x > 9).topk(2), "topk is not defined on bool"),
    "kthvalue: bool": (lambda m, x: (x > 9).kthvalue(2), "kthvalue is not defined on bool"),
    "kthvalue: 0": (lambda m, x: x.kthvalue(0), "k: expected 1 to 5"),
    "kthvalue: 6": (lambda m, x: x.kthvalue(6), "k: expected 1 to 5"),
    "median: nothing": (lambda m, x: x[:, :0].median(1), "median along a dimension of size 0"),
    "mode: nothing": (lambda m, x: x[:, :0].mode(1), "mode along a dimension of size 0"),
    "searchsorted: side": (lambda m, x: m.searchsorted(x[0, 0], x, side="middle"), "side"),
    "searchsorted: both": (lambda m, x: m.searchsorted(x[0, 0], x, side="left", right=True), "contradict"),
    "searchsorted: shape": (lambda m, x: m.searchsorted(x, x[0]), "before the last size"),
    "searchsorted: number": (lambda m, x: m.searchsorted(x, 1), "in a vector only"),
    "searchsorted: sorter": (
        lambda m, x: m.searchsorted(x[0, 0], x, sorter=m.tensor([0])),
        "sorter: expected the sequence",
    ),
    "bucketize: matrix": (lambda m, x: m.bucketize(x, x[0]), "boundaries: expected a vector"),
    "bincount: type": (lambda m, x: m.bincount(x[0, 0]), "bincount takes whole numbers"),
    "bincount: negative": (lambda m, x: m.bincount(x[0, 0].long() - 99), "without negative"),
    "bincount: matrix": (lambda m, x: m.bincount(x[0].long()), "bincount takes a vector"),
    "bincount: minlength": (lambda m, x: m.bincount(x[0, 0].long(), minlength=-1), "minlength"),
    "bincount: weights": (lambda m, x: m.bincount(x[0, 0].long(), x[0]), "weights"),
    "histc: bins": (lambda m, x: x.histc(0), "bins"),
    "histc: order": (lambda m, x: x.histc(3, 2, 1), "max"),
    "histc: limits": (lambda m, x: x.histc(3, 0, float("inf")), "finite"),
    "one_hot: type": (lambda m, x: m.nn.functional.one_hot(x), "one_hot takes int64"),
    "one_hot: negative": (lambda m, x: m.nn.functional.one_hot(x.long() - 9), "numbered from 0"),
    "one_hot: large": (lambda m, x: m.nn.functional.one_hot(x.long(), 3), "below num_classes = 3"),
    "one_hot: empty": (lambda m, x: m.nn.functional.one_hot(x.long()[:0]), "num_classes"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    function, match = ERRORS[name]
    both_raise(function, X, match=match)


def test_median_of_nothing():
    assert np.isnan(mc.median(mc.zeros(0)).item())
    assert mc.median(mc.zeros(0, dtype=mc.int32)).item() == torch.median(torch.zeros(0, dtype=torch.int32)).item()
