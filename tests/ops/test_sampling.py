"""Random tensors and fills: their distributions, bounds, types and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import minicnn as mc

N = 40_000
# Kolmogorov and Smirnov's distance is larger once in a thousand samples; the seeds are fixed.
KS = 1.95 / math.sqrt(N)


def ks_distance(sample, cdf):
    x = np.sort(np.asarray(sample, np.float64))
    expected = cdf(x)
    steps = np.arange(len(x) + 1) / len(x)
    return max(np.max(steps[1:] - expected), np.max(expected - steps[:-1]))


def phi(x):
    return 0.5 * torch.erfc(-torch.from_numpy(np.asarray(x)) / math.sqrt(2)).numpy()


CONTINUOUS = {
    "uniform_": (lambda x, g: x.uniform_(-1, 3, generator=g), lambda v: (v + 1) / 4),
    "normal_": (lambda x, g: x.normal_(2, 0.5, generator=g), lambda v: phi((v - 2) / 0.5)),
    "log_normal_": (lambda x, g: x.log_normal_(0.5, 0.8, generator=g), lambda v: phi((np.log(v) - 0.5) / 0.8)),
    "exponential_": (lambda x, g: x.exponential_(2.5, generator=g), lambda v: 1 - np.exp(-2.5 * v)),
    "cauchy_": (lambda x, g: x.cauchy_(1, 2, generator=g), lambda v: 0.5 + np.arctan((v - 1) / 2) / math.pi),
    "rand": (lambda x, g: mc.rand(N, generator=g), lambda v: v),
    "normal": (lambda x, g: mc.normal(3.0, 2.0, (N,), generator=g), lambda v: phi((v - 3) / 2)),
    "normal_of": (lambda x, g: mc.normal(mc.zeros(N) + 3, mc.ones(1) * 2, generator=g), lambda v: phi((v - 3) / 2)),
}


@pytest.mark.parametrize("name", CONTINUOUS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_continuous_distributions(name, dtype):
    draw, cdf = CONTINUOUS[name]
    sample = draw(mc.empty(N, dtype=getattr(mc, dtype)), mc.Generator().manual_seed(5))
    assert np.isfinite(sample.numpy()).all()
    assert ks_distance(sample.numpy(), cdf) < KS


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
def test_discrete_distributions(dtype):
    g = mc.Generator().manual_seed(1)
    x = mc.empty(N, dtype=getattr(mc, dtype))
    assert abs(x.bernoulli_(0.3, generator=g).double().mean().item() - 0.3) < 4 * math.sqrt(0.21 / N)
    assert x.dtype is getattr(mc, dtype)
    chances = mc.linspace(0, 1, N)
    drawn = x.bernoulli_(chances, generator=g).double().numpy()
    assert abs((drawn - chances.numpy()).mean()) < 4 * math.sqrt(1 / 6 / N)
    if dtype != "bool":
        trials = x.geometric_(0.25, generator=g).double().numpy()
        assert trials.min() == 1
        for k in (1, 2, 5):
            chance = 0.75 ** (k - 1) * 0.25
            assert abs((trials == k).mean() - chance) < 4 * math.sqrt(chance / N)
        x.random_(3, 7, generator=g)
        assert sorted(set(x.tolist())) == [3, 4, 5, 6]
    x.random_(generator=g)
    highest = {"float32": 2**24, "float64": 2**53, "int64": 2**63 - 1, "uint8": 255, "bool": 1}[dtype]
    assert 0 <= x.min().item() <= x.max().item() <= highest
    assert x.max().item() > 0.99 * highest


def test_bernoulli_poisson_multinomial():
    g = mc.Generator().manual_seed(2)
    p = mc.full((N,), 0.2)
    assert abs(mc.bernoulli(p, generator=g).mean().item() - 0.2) < 4 * math.sqrt(0.16 / N)
    assert abs(mc.bernoulli(p, 0.7, generator=g).mean().item() - 0.7) < 4 * math.sqrt(0.21 / N)
    for rate in (0.0, 0.7, 50.0):
        drawn = mc.poisson(mc.full((N,), rate), generator=g).numpy()
        assert abs(drawn.mean() - rate) <= 4 * math.sqrt(rate / N)
        assert abs(drawn.astype(float).var() - rate) <= 6 * rate * math.sqrt(2 / N) + 4 * math.sqrt(rate / N)
    weights = mc.tensor([[1.0, 0.0, 3.0], [2.0, 2.0, 0.0]])
    drawn = mc.multinomial(weights, N, True, generator=g).numpy()
    assert drawn.shape == (2, N)
    for row, chances in zip(drawn, [[0.25, 0, 0.75], [0.5, 0.5, 0]], strict=True):
        counts = np.bincount(row, minlength=3) / N
        assert np.all(np.abs(counts - chances) <= 4 * np.sqrt(np.array(chances) / N))


def test_multinomial_without_replacement():
    """Two of three: the first is i with probability p_i, the second j with p_j / (1 - p_i)."""
    p = np.array([0.5, 0.3, 0.2])
    g = mc.Generator().manual_seed(3)
    drawn = mc.multinomial(mc.tensor(np.tile(p, (N, 1))), 2, generator=g).numpy()
    for i in range(3):
        for j in range(3):
            chance = 0 if i == j else p[i] * p[j] / (1 - p[i])
            seen = np.mean((drawn[:, 0] == i) & (drawn[:, 1] == j))
            assert abs(seen - chance) <= 4 * math.sqrt(chance / N)
    assert sorted(mc.multinomial(mc.tensor([1.0, 0.0, 0.0]), 3).tolist()) == [0, 1, 2]


def test_generators_repeat():
    draws = (
        lambda g: mc.poisson(mc.ones(9), generator=g),
        lambda g: mc.bernoulli(mc.full((9,), 0.5), generator=g),
        lambda g: mc.multinomial(mc.ones(9), 4, generator=g),
        lambda g: mc.normal(mc.zeros(9), 1.0, generator=g),
        lambda g: mc.empty(9).exponential_(generator=g),
        lambda g: mc.randint_like(mc.zeros(9), 100, generator=g),
    )
    for draw in draws:
        a, b = (draw(mc.Generator().manual_seed(7)) for _ in range(2))
        assert a.equal(b)
        assert not a.equal(draw(mc.Generator().manual_seed(8)))


def test_nothing_flows_back_through_a_draw():
    for m in (mc, torch):
        x = m.full((3,), 0.5, requires_grad=True)
        for y in (m.bernoulli(x), m.poisson(x), m.normal(x, 1.0), m.normal(1.0, x)):
            assert y.requires_grad
            x.grad = None
            y.sum().backward()
            assert x.grad.tolist() == [0, 0, 0] or (m is torch and y.grad_fn.name().startswith("Normal"))


REFUSED = {
    "uniform_": lambda m, x: x.uniform_(2, 1),
    "normal_": lambda m, x: x.normal_(0, -1),
    "log_normal_": lambda m, x: x.log_normal_(0, 0),
    "exponential_": lambda m, x: x.exponential_(0),
    "cauchy_": lambda m, x: x.cauchy_(0, 0),
    "geometric_": lambda m, x: x.geometric_(1.0),
    "bernoulli_": lambda m, x: x.bernoulli_(1.5),
    "random_": lambda m, x: x.random_(3, 3),
    "random_int8": lambda m, x: x.to(m.int8).random_(1000),
    "bernoulli": lambda m, x: m.bernoulli(x + 1),
    "bernoulli_int": lambda m, x: m.bernoulli(x.long()),
    "poisson": lambda m, x: m.poisson(x - 3),
    "poisson_int": lambda m, x: m.poisson(x.long()),
    "multinomial": lambda m, x: m.multinomial(x, 5),
    "multinomial_0": lambda m, x: m.multinomial(x, 0),
    "multinomial_none": lambda m, x: m.multinomial(x * 0, 1),
    "multinomial_negative": lambda m, x: m.multinomial(x - 3, 1),
    "multinomial_3d": lambda m, x: m.multinomial(x.reshape(1, 1, 2), 1),
    "normal_std": lambda m, x: m.normal(x, -1.0),
    "normal_int": lambda m, x: m.normal(x.long(), 1.0),
    "normal_no_size": lambda m, x: m.normal(0.0, 1.0),
    "randint_uint8": lambda m, x: m.randint(0, 300, (2,), dtype=m.uint8),
    "randperm_uint8": lambda m, x: m.randperm(300, dtype=m.uint8),
    "rand_like_int": lambda m, x: m.rand_like(x.long()),
    "uniform_int": lambda m, x: x.long().uniform_(),
    "exponential_int": lambda m, x: x.long().exponential_(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_errors(name):
    for m in (torch, mc):
        with pytest.raises((RuntimeError, ValueError, TypeError, NotImplementedError)):
            REFUSED[name](m, m.ones(2))
