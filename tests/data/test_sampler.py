"""Samplers, against torch's lengths, ranges and errors (their random numbers are their own)."""

import numpy as np
import pytest
import torch
import torch.utils.data

import minicnn as mc
from minicnn.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from minicnn.data.randomness import drawing_from
from minicnn.data.sampler import may_repeat


def test_sequential():
    assert list(SequentialSampler("abc")) == [0, 1, 2]
    assert len(SequentialSampler("abc")) == 3


@pytest.mark.parametrize("n", [1, 5, 40])
@pytest.mark.parametrize("options", [{}, {"num_samples": 3}, {"num_samples": 93}, {"replacement": True}])
@pytest.mark.parametrize("more", [{}, {"num_samples": 70, "replacement": True}])
def test_random_sampler_counts_as_torch(n, options, more):
    options = {**options, **more}
    ours = list(RandomSampler(range(n), **options))
    theirs = torch.utils.data.RandomSampler(range(n), **options)
    assert len(ours) == len(theirs) == len(RandomSampler(range(n), **options))
    assert all(type(i) is int and 0 <= i < n for i in ours)
    if not options.get("replacement"):
        for first in range(0, len(ours) - n + 1, n):
            assert sorted(ours[first : first + n]) == list(range(n))
        assert len(set(ours[-(len(ours) % n) :])) == (len(ours) % n or min(n, len(set(ours))))


def test_random_sampler_orders_are_uniform():
    generator = mc.Generator().manual_seed(0)
    counts = np.zeros((4, 4))
    for _ in range(2000):
        for place, index in enumerate(RandomSampler(range(4), generator=generator)):
            counts[place, index] += 1
    # 500 expected each, binomial deviation 19.4: five of them
    assert np.abs(counts - 500).max() < 97


def test_samplers_without_a_generator_follow_the_sample_generator():
    def draws():
        return [
            list(RandomSampler(range(20))),
            list(SubsetRandomSampler(range(20, 40))),
            list(WeightedRandomSampler([1.0, 2.0, 3.0], 20)),
        ]

    def keyed():
        generator = mc.Generator().manual_seed(7)
        with drawing_from(lambda: generator):
            return draws()

    assert keyed() == keyed()
    mc.manual_seed(1)
    first = draws()
    assert first != draws()
    mc.manual_seed(1)
    assert first == draws()


def test_subset_random_sampler():
    sampler = SubsetRandomSampler([7, 7, 3, 9], generator=mc.Generator().manual_seed(0))
    assert sorted(sampler) == [3, 7, 7, 9]
    assert len(sampler) == 4


def test_weighted_sampling_has_the_weights_frequencies():
    weights = [0.0, 1.0, 3.0, 0.0, 4.0]
    drawn = list(WeightedRandomSampler(weights, 8000, generator=mc.Generator().manual_seed(0)))
    counts = np.bincount(drawn, minlength=5)
    assert counts[0] == counts[3] == 0
    # binomial deviations are at most 45; five of them
    np.testing.assert_allclose(counts, [0, 1000, 3000, 0, 4000], atol=225)


def test_weighted_sampling_without_replacement_has_torchs_distribution():
    """First two draws of weights 1 2 3 0: P(i, j) = w_i / 6 * w_j / (6 - w_i)."""
    weights = np.array([1.0, 2.0, 3.0, 0.0])
    generator = mc.Generator().manual_seed(0)
    counts = np.zeros((4, 4))
    n = 6000
    for _ in range(n):
        i, j = WeightedRandomSampler(weights, 2, replacement=False, generator=generator)
        counts[i, j] += 1
    expected = np.outer(weights, weights) / (6 * (6 - weights))[:, None]
    np.fill_diagonal(expected, 0)
    # the largest binomial deviation is 34; five of them
    np.testing.assert_allclose(counts, n * expected, atol=170)
    assert counts[3].sum() == counts[:, 3].sum() == 0


@pytest.mark.parametrize("n", [0, 1, 5, 6])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_batch_sampler_equals_torch(n, drop_last, batch_size):
    ours = BatchSampler(SequentialSampler(range(n)), batch_size, drop_last)
    theirs = torch.utils.data.BatchSampler(torch.utils.data.SequentialSampler(range(n)), batch_size, drop_last)
    assert list(ours) == list(theirs)
    assert len(ours) == len(theirs)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda m: m.RandomSampler([]), ValueError, "num_samples should be a positive integer.*num_samples=0"),
        (lambda m: m.RandomSampler([1], num_samples=-1), ValueError, "num_samples=-1"),
        (lambda m: m.RandomSampler([1], num_samples=1.5), ValueError, "num_samples=1.5"),
        (lambda m: m.RandomSampler([1], replacement=1), TypeError, "replacement should be a boolean"),
        (lambda m: m.WeightedRandomSampler([1.0], 0), ValueError, "num_samples=0"),
        (lambda m: m.WeightedRandomSampler([1.0], True), ValueError, "num_samples=True"),
        (lambda m: m.WeightedRandomSampler([1.0], 1, replacement=1), ValueError, "replacement should be a boolean"),
        (lambda m: m.WeightedRandomSampler([[1.0]], 1), ValueError, "1d sequence.*\\(1, 1\\)"),
        (lambda m: m.BatchSampler([], 0, False), ValueError, "batch_size=0"),
        (lambda m: m.BatchSampler([], True, False), ValueError, "batch_size=True"),
        (lambda m: m.BatchSampler([], 2, 1), ValueError, "drop_last should be a boolean"),
    ],
)
def test_bad_arguments_raise_as_in_torch(make, error, message):
    for module in (mc.utils.data, torch.utils.data):
        with pytest.raises(error, match=message):
            make(module)


@pytest.mark.parametrize(
    ("weights", "num_samples", "message"),
    [
        ([0.0, 0.0], 1, "above 0"),
        ([-1.0, 2.0], 1, "at least 0"),
        ([1.0, float("nan")], 1, "finite"),
        ([1, 0], 2, "1 have"),
    ],
)
def test_impossible_weights_are_refused_at_once(weights, num_samples, message):
    with pytest.raises(ValueError, match=message):
        WeightedRandomSampler(weights, num_samples, replacement=False)


def test_weights_may_be_a_tensor():
    assert list(WeightedRandomSampler(mc.tensor([0.0, 1.0]), 3)) == [1, 1, 1]


def test_a_sampler_must_iterate():
    with pytest.raises(NotImplementedError):
        iter(Sampler())


def test_may_repeat():
    class Own(RandomSampler):
        pass

    assert not may_repeat(SequentialSampler("ab"))
    assert not may_repeat(RandomSampler("ab"))
    assert not may_repeat(BatchSampler(RandomSampler("ab"), 2, False))
    assert not may_repeat(WeightedRandomSampler([1.0, 1.0], 2, replacement=False))
    for repeats in (
        RandomSampler("ab", replacement=True),
        RandomSampler("ab", num_samples=3),
        WeightedRandomSampler([1.0], 2),
        Own("ab"),
        [0, 0],
    ):
        assert may_repeat(repeats)
