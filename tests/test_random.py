"""Generators: their distributions, their state, and that nothing else plays a part."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from minicnn.random import GeneratorState

N = 200_000


def generator(seed=0):
    return mc.Generator().manual_seed(seed)


def ks_distance(sample, cdf):
    """Kolmogorov and Smirnov's: the largest gap between the sample's distribution and the expected one."""
    x = np.sort(np.asarray(sample, np.float64))
    expected = cdf(x)
    steps = np.arange(len(x) + 1) / len(x)
    return max(np.max(steps[1:] - expected), np.max(expected - steps[:-1]))


# The distance exceeds 1.95 / sqrt(n) once in a thousand samples; the seeds are fixed, so it passes always or never.
KS = 1.95 / math.sqrt(N)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [0, 1, 2**63, -5])
def test_uniform(dtype, seed):
    x = generator(seed).uniform((N,), dtype)
    assert x.dtype == dtype
    assert x.min() >= 0
    assert x.max() < 1
    assert ks_distance(x, lambda v: v) < KS
    assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 4 / math.sqrt(N)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [0, 1])
def test_normal(dtype, seed):
    x = generator(seed).normal((N,), dtype).astype(np.float64)
    assert abs(x.mean()) < 4 / math.sqrt(N)
    assert abs(x.var() - 1) < 4 * math.sqrt(2 / N)
    assert abs((x**3).mean()) < 4 * math.sqrt(15 / N)
    assert abs((x**4).mean() - 3) < 4 * math.sqrt(96 / N)
    assert ks_distance(x, np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)))) < KS
    assert abs(np.corrcoef(x[: N // 2], x[N // 2 :])[0, 1]) < 4 / math.sqrt(N / 2)  # the cosine and the sine halves


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-3, 4), (0, 1), (5, 6), (-(2**40), 2**40), (-(2**63), 2**63 - 1)])
def test_integers(low, high):
    x = generator().integers(low, high, (20_000,))
    assert x.dtype == np.int64
    assert x.min() >= low
    assert x.max() < high
    if high - low <= 10:
        counts = np.bincount(x - low, minlength=high - low)
        expected = len(x) / (high - low)
        chi_squared = ((counts - expected) ** 2 / expected).sum()
        assert chi_squared < 30  # nine degrees of freedom: once in two thousand
    else:
        unit = (x.astype(np.float64) - low) / (float(high) - low)
        assert ks_distance(unit, lambda v: v) < 1.95 / math.sqrt(len(x))


def test_permutation():
    counts = np.zeros((4, 4), int)
    g = generator()
    for _ in range(4000):
        order = g.permutation(4)
        assert sorted(order) == [0, 1, 2, 3]
        counts[np.arange(4), order] += 1
    assert np.abs(counts - 1000).max() < 4 * math.sqrt(1000 * 0.75)  # every element at every place equally often
    assert g.permutation(0).tolist() == []
    assert g.permutation(1).tolist() == [0]
    order = g.permutation(1000)
    assert sorted(order) == list(range(1000))
    assert order.dtype == np.int64
    assert (order == np.arange(1000)).sum() < 10


def test_uniform_bounds_are_half_open():
    x = generator().uniform((N,), np.float32, 1.0, 1.0000002)  # two numbers wide: rounding would reach the bound
    assert x.max() < np.float32(1.0000002)
    assert x.min() == 1
    x = generator().uniform((N,), np.float64, -2.0, 5.0)
    assert ks_distance((x + 2) / 7, lambda v: v) < KS
    assert (generator().uniform((3,), np.float32, 2.0, 2.0) == 2).all()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 1000])
def test_every_length(n):
    g = generator()
    assert g.uniform((n,)).shape == g.normal((n,)).shape == g.integers(0, 5, (n,)).shape == (n,)
    assert g.words(n).dtype == np.uint32
    assert g.normal((n, 3), np.float64).shape == (n, 3)
    assert g.uniform(()).shape == ()


@given(seed=st.integers(-(2**63), 2**64 - 1), draws=st.lists(st.integers(0, 20), max_size=5))
def test_state_is_seed_and_offset(seed, draws):
    g = generator(seed)
    for n in draws:
        g.normal((n,))
    state = g.get_state()
    assert state == GeneratorState(seed % 2**64, sum(-(-2 * -(-n // 2) // 4) for n in draws))
    expected = [g.uniform((5,)), g.normal((3,)), g.integers(0, 100, (4,)), g.permutation(5)]
    for other in (mc.Generator(), g):
        other.set_state(pickle.loads(pickle.dumps(state)))
        again = [other.uniform((5,)), other.normal((3,)), other.integers(0, 100, (4,)), other.permutation(5)]
        for a, b in zip(again, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    other.set_state([state.seed, state.offset])  # as JSON gives it back
    np.testing.assert_array_equal(other.uniform((5,)), expected[0])


def test_draws_follow_one_another():
    """Blocks are taken in order and never twice."""
    g, whole = generator(3), generator(3).words(24)
    np.testing.assert_array_equal(np.concatenate([g.words(4), g.words(8), g.words(12)]), whole)
    g = generator(3)
    assert g.reserve(5) == (3, 0)
    assert g.reserve(4) == (3, 2)
    assert g.reserve(0) == (3, 3)
    np.testing.assert_array_equal(g.words(4), whole[12:16])


def test_known_numbers():
    """The authors' test vectors of Philox4x32-10: counter and key all zero."""
    assert generator(0).words(4).tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]


def test_back_ends_and_threads_do_not_matter():
    def draw():
        g = generator(9)
        return [g.words(10_001), g.uniform((300_000,)), g.normal((7, 11), np.float64), g.permutation(99)]

    expected = draw()
    with mc.use_backend("reference"):
        for a, b in zip(draw(), expected, strict=True):
            np.testing.assert_array_equal(a, b)
    before = mc.get_num_threads()
    try:
        for threads in (1, 2, 3):
            mc.set_num_threads(threads)
            for a, b in zip(draw(), expected, strict=True):
                np.testing.assert_array_equal(a, b)
    finally:
        mc.set_num_threads(before)


def test_the_default_generator():
    assert mc.manual_seed(7) is mc.random.default_generator
    assert mc.initial_seed() == 7
    a = [mc.rand(3), mc.randn(3), mc.randint(0, 9, (3,)), mc.randperm(3), mc.empty(3).uniform_()]
    mc.manual_seed(7)
    b = [mc.rand(3), mc.randn(3), mc.randint(0, 9, (3,)), mc.randperm(3), mc.empty(3).uniform_()]
    assert all(mc.equal(x, y) for x, y in zip(a, b, strict=True))
    state = mc.get_rng_state()
    x = mc.rand(5)
    assert not mc.equal(x, mc.rand(5))
    mc.set_rng_state(state)
    assert mc.equal(x, mc.rand(5))
    assert mc.seed() == mc.initial_seed()
    assert mc.random.seed() != mc.random.seed()
    own = generator(7)
    before = mc.get_rng_state()
    mc.rand(3, generator=own)
    assert mc.get_rng_state() == before


def test_different_seeds_differ():
    draws = {generator(seed).words(4).tobytes() for seed in (0, 1, 2, 2**32, 2**63, 2**64 - 1, -2)}
    assert len(draws) == 7
    assert generator(-1).words(4).tobytes() == generator(2**64 - 1).words(4).tobytes()


def test_an_unseeded_generator_is_repeatable_as_torchs():
    import torch

    assert mc.Generator().initial_seed() == torch.Generator().initial_seed()


def test_errors():
    for seed in (2**64, -(2**63) - 1, 1.5, "a", None, True):
        with pytest.raises(ValueError, match=r"seed: expected an integer from -2\*\*63 to 2\*\*64 - 1, got"):
            mc.manual_seed(seed)
    g = generator(4)
    for state in (3, "a", (1,), (1, 2, 3), None):
        with pytest.raises(TypeError, match=r"state: expected what get_state\(\) returns"):
            g.set_state(state)
    with pytest.raises(ValueError, match=r"offset counts blocks drawn and cannot be negative, got -1"):
        g.set_state((0, -1))
    with pytest.raises(ValueError, match=r"seed"):
        g.set_state((2**64, 0))
    assert g.get_state() == (4, 0)
    with pytest.raises(mc.DeviceUnavailable):
        mc.Generator("cuda")
    assert mc.manual_seed(np.int64(3)).initial_seed() == 3
    assert repr(g) == "Generator(seed=4, offset=0)"
