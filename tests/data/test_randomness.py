"""Generators that belong to a sample: keyed, distinct, and in force only where they should be."""

import itertools

import numpy as np
import pytest

import minicnn as mc
from minicnn.data import sample_generator
from minicnn.data.randomness import (
    SampleGenerators,
    SampleSource,
    draw_epoch_seed,
    drawing_from,
    index_key,
    keyed_generator,
)


def test_outside_a_loader_it_is_the_default_generator():
    assert sample_generator() is mc.random.default_generator
    own = mc.Generator()
    with drawing_from(lambda: own):
        assert sample_generator() is own
        with drawing_from(lambda: mc.random.default_generator):
            assert sample_generator() is mc.random.default_generator
        assert sample_generator() is own
    with pytest.raises(KeyError), drawing_from(lambda: own):
        raise KeyError
    assert sample_generator() is mc.random.default_generator


def test_keys_make_distinct_repeatable_generators():
    keys = list(itertools.product((0, 1, 1 << 63), range(4), range(30), range(3)))
    seeds = [keyed_generator(seed, stream, *key).initial_seed() for seed, stream, *key in keys]
    assert len(set(seeds)) == len(keys)
    assert seeds == [keyed_generator(seed, stream, *key).initial_seed() for seed, stream, *key in keys]


def test_neighbouring_samples_are_uncorrelated():
    """First numbers of 4,000 samples of one epoch: mean 1/2, and no correlation from one index to the next."""
    first = np.array([SampleSource(5, index, 0)().uniform((1,), np.float64)[0] for index in range(4000)])
    # deviation of the mean sqrt(1/12/4000) = 0.0046, of the correlation 1/sqrt(4000) = 0.016: five of each
    assert abs(first.mean() - 0.5) < 0.023
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.08


def test_epoch_seeds_are_drawn_from_the_generator():
    generator = mc.Generator().manual_seed(0)
    seeds = [draw_epoch_seed(generator) for _ in range(3)]
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 1 << 64 for seed in seeds)
    assert max(seeds) > 1 << 32
    assert draw_epoch_seed(generator.manual_seed(0)) == seeds[0]
    mc.manual_seed(0)
    assert draw_epoch_seed(None) == seeds[0]


def test_index_keys():
    assert [index_key(i) for i in (0, 7, np.int64(7), mc.tensor(7))] == [0, 7, 7, 7]
    assert index_key("a") == index_key("a") != index_key("b")


def test_a_batchs_generators_are_made_once_each():
    generators = SampleGenerators(0, [(5, 0), (6, 0)])
    assert len(generators) == 2
    assert generators[0] is generators[0]
    assert list(generators)[1].initial_seed() == SampleSource(0, 6, 0)().initial_seed()
