"""Embeddings and bags of them against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare

F = mc.nn.functional
TABLE = np.random.default_rng(0).standard_normal((6, 3))


@given(
    shape=st.sampled_from([(), (0,), (5,), (2, 3), (2, 0, 3), (2, 2, 2)]), dtype=FLOATS, seed=SEEDS,
    padding=st.sampled_from([None, 0, 2, -1]), by_frequency=st.booleans(), kind=st.sampled_from([np.int64, np.int32]),
)  # fmt: skip
def test_embedding(shape, dtype, seed, padding, by_frequency, kind):
    indices = np.random.default_rng(seed).integers(0, 6, shape).astype(kind)
    compare(
        lambda m, w: m.nn.functional.embedding(m.tensor(indices), w, padding, scale_grad_by_freq=by_frequency),
        TABLE.astype(dtype),
    )


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("function", ["embedding", "embedding_bag"])
def test_rows_that_are_used_are_shortened_in_place(p, function):
    indices, tables = np.array([[1, 4], [4, 5]]), [mc.tensor(TABLE), torch.tensor(TABLE)]
    for m, table in zip((mc, torch), tables, strict=True):
        getattr(m.nn.functional, function)(m.tensor(indices), table, max_norm=1.0, norm_type=p)
    np.testing.assert_allclose(tables[0].numpy(), tables[1].numpy(), rtol=1e-12)
    assert not np.allclose(tables[0].numpy(), TABLE)
    np.testing.assert_array_equal(tables[0].numpy()[[0, 2, 3]], TABLE[[0, 2, 3]])


@given(
    mode=st.sampled_from(["sum", "mean", "max"]), sizes=st.lists(st.integers(0, 4), min_size=1, max_size=4), dtype=FLOATS,
    seed=SEEDS, padding=st.sampled_from([None, 2]), last=st.booleans(), weighted=st.booleans(),
)  # fmt: skip
def test_bags_in_one_row(mode, sizes, dtype, seed, padding, last, weighted):
    rng = np.random.default_rng(seed)
    indices, offsets = rng.integers(0, 6, sum(sizes)), np.cumsum([0, *sizes])
    factors = rng.standard_normal(len(indices)).astype(dtype)

    def function(m, w, factors):
        given = factors if weighted and mode == "sum" else None
        places = m.tensor(offsets if last else offsets[:-1])
        out = m.nn.functional.embedding_bag(
            m.tensor(indices), w, places, mode=mode, padding_idx=padding, include_last_offset=last,
            per_sample_weights=given,
        )  # fmt: skip
        return out + 0 * factors.sum()

    compare(function, TABLE.astype(dtype), factors, rtol=1e-5)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_gradients_divided_by_the_frequency(mode):
    """By hand: row 3 is named twice. (torch divides by the frequency of another row here.)"""
    gradients = []
    for by_frequency in (False, True):
        w = mc.tensor(TABLE, requires_grad=True)
        out = F.embedding_bag(mc.tensor([5, 3, 3]), w, mc.tensor([0, 2]), mode=mode, scale_grad_by_freq=by_frequency)
        out.backward(mc.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).double())
        gradients.append(w.grad.numpy())
    gradients[0][3] /= 2
    np.testing.assert_allclose(gradients[1], gradients[0])


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_as_rows(mode):
    indices = np.array([[0, 1, 1], [5, 0, 2]])
    compare(lambda m, w: m.nn.functional.embedding_bag(m.tensor(indices), w, mode=mode), TABLE)
    check_gradients(lambda m, w: m.nn.functional.embedding_bag(m.tensor(indices), w, mode=mode), TABLE)


def test_errors():
    look = lambda *a, **k: lambda m, x, w: m.nn.functional.embedding(x, w, *a, **k)  # noqa: E731
    bag = lambda *a, **k: lambda m, x, w: m.nn.functional.embedding_bag(x, w, *a, **k)  # noqa: E731
    x = np.array([1, 2])
    both_raise(look(), np.array([6]), TABLE, match="input: embedding needs numbers of rows, 0 to 5, got 6 to 6")
    both_raise(look(), np.array([-1]), TABLE, match="got -1 to -1")
    both_raise(look(), np.array([1.0]), TABLE, match="input: embedding needs int64 or int32")
    with pytest.raises(ValueError, match="padding_idx: expected one of the 6 rows, got 6"):
        F.embedding(mc.tensor(x), mc.tensor(TABLE), 6)
    with pytest.raises(ValueError, match=r"weight: embedding needs a matrix"):
        F.embedding(mc.tensor(x), mc.ones(3))
    with pytest.raises(NotImplementedError, match="there are no sparse gradients"):
        F.embedding(mc.tensor(x), mc.tensor(TABLE), sparse=True)
    both_raise(bag(), x, TABLE, match="offsets: bags in one row need where each begins")
    both_raise(bag(mode="min"), x[None], TABLE, match="mode: expected")
    both_raise(bag(mode="max", scale_grad_by_freq=True), x[None], TABLE, match="scale_grad_by_freq: not for maxima")
    both_raise(bag(), x[None, None], TABLE, match=r"input: embedding_bag needs one or two dimensions")
    for m in (mc, torch):
        with pytest.raises((ValueError, RuntimeError), match="offsets"):
            m.nn.functional.embedding_bag(m.tensor(x), m.tensor(TABLE), m.tensor([1]))
        with pytest.raises(ValueError, match="offsets"):
            m.nn.functional.embedding_bag(m.tensor(x[None]), m.tensor(TABLE), m.tensor([0]))
        with pytest.raises(NotImplementedError, match="per_sample_weights"):
            m.nn.functional.embedding_bag(
                m.tensor(x[None]), m.tensor(TABLE), mode="mean", per_sample_weights=m.tensor([[1.0, 2.0]])
            )
