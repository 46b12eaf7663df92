"""Padding and packing against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import compare

LENGTHS = st.lists(st.integers(1, 5), min_size=1, max_size=5)
TAILS = st.sampled_from([(), (2,), (2, 3)])


def same(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        assert (a is None) == (b is None)
        if b is not None:
            np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())
            assert str(a.dtype).rpartition(".")[2] == str(b.dtype).rpartition(".")[2]


@given(LENGTHS, TAILS, st.booleans(), st.booleans(), st.sampled_from([None, 7]), st.booleans())
def test_pack_and_pad(lengths, tail, batch_first, enforce_sorted, total_length, as_tensor):
    if enforce_sorted:
        lengths = sorted(lengths, reverse=True)
    shape = (len(lengths), max(lengths) + 1) if batch_first else (max(lengths) + 1, len(lengths))
    x = np.random.default_rng(0).standard_normal((*shape, *tail))

    def there_and_back(m, x):
        rnn = m.nn.utils.rnn
        given = m.tensor(lengths) if as_tensor else lengths
        packed = rnn.pack_padded_sequence(x, given, batch_first, enforce_sorted)
        padded = rnn.pad_packed_sequence(packed, batch_first, -2.0, total_length)
        return [t for t in (*packed, *padded) if t is not None]

    compare(there_and_back, x)


@given(LENGTHS, TAILS, st.booleans(), st.sampled_from(["left", "right"]))
def test_sequences(lengths, tail, batch_first, side):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((length, *tail)) for length in lengths]
    compare(lambda m, *xs: m.nn.utils.rnn.pad_sequence(list(xs), batch_first, 0.5, padding_side=side), *arrays)
    for m in (mc, torch):
        rnn = m.nn.utils.rnn
        packed = rnn.pack_sequence([m.tensor(a) for a in arrays], enforce_sorted=False)
        for array, back in zip(arrays, rnn.unpack_sequence(packed), strict=True):
            np.testing.assert_array_equal(array, back.numpy())
    same(
        mc.nn.utils.rnn.pack_sequence([mc.tensor(a) for a in arrays], False),
        torch.nn.utils.rnn.pack_sequence([torch.tensor(a) for a in arrays], False),
    )


def test_integers_and_conversion():
    packed = mc.nn.utils.rnn.pack_sequence([mc.tensor([1, 2]), mc.tensor([3])])
    assert packed.data.dtype == mc.int64
    assert packed.double().data.dtype == packed.to(mc.float64).data.dtype == mc.float64
    assert packed.float().cpu().data.dtype == mc.float32
    assert not packed.is_cuda
    data, batch_sizes, *rest = packed
    assert (data.tolist(), batch_sizes.tolist(), rest) == ([1, 3, 2], [2, 1], [None, None])
    assert mc.nn.utils.rnn.invert_permutation(None) is None


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda r, m: r.pack_padded_sequence(m.ones(3, 2), [1, 2]), "decreasing order"),
        (lambda r, m: r.pack_padded_sequence(m.ones(3, 2), [2, 0]), "at least one, all of 1 .. 3"),
        (lambda r, m: r.pack_padded_sequence(m.ones(3, 2), [1]), "one for each of the 2"),
        (lambda r, m: r.pack_padded_sequence(m.ones(3), [1]), "steps, batch"),
        (lambda r, m: r.pad_packed_sequence(r.pack_sequence([m.ones(3)]), total_length=2), "longest sequence, 3"),
        (lambda r, m: r.pad_sequence([]), "not empty"),
        (lambda r, m: r.pad_sequence([m.ones(2, 3), m.ones(2, 2)]), "must be equal"),
        (lambda r, m: r.pad_sequence([m.ones(2)], padding_side="up"), "left"),
    ],
)
def test_refusals(call, match):
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        call(torch.nn.utils.rnn, torch)
    with pytest.raises((RuntimeError, ValueError), match=match):
        call(mc.nn.utils.rnn, mc)


def test_refuses_lengths_beyond_the_padding():
    """torch packs what is there and claims more."""
    with pytest.raises(RuntimeError, match=r"all of 1 .. 3, got \[4, 1\]"):
        mc.nn.utils.rnn.pack_padded_sequence(mc.ones(3, 2), [4, 1])
