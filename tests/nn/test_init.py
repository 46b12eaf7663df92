"""nn.init and the layers' default initialisation: distributions, bounds, exact constructions, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.nn import init

SHAPE = (40, 30, 5, 5)  # 30,000 values


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """The two-sample Kolmogorov-Smirnov statistic: the largest gap between the two empirical distributions."""
    values = np.sort(np.concatenate([a.ravel(), b.ravel()]))
    cdf = [np.searchsorted(np.sort(x.ravel()), values, side="right") / x.size for x in (a, b)]
    return float(np.abs(cdf[0] - cdf[1]).max())


def assert_same_distribution(ours: np.ndarray, theirs: np.ndarray) -> None:
    """By Kolmogorov-Smirnov at a level of 1e-6: c sqrt(1/n + 1/m), c = sqrt(-ln(1e-6 / 2) / 2) = 2.69. Seeds are fixed."""
    assert distance(ours, theirs) < 2.69 * math.sqrt(1 / ours.size + 1 / theirs.size)


RANDOM = {
    "uniform": lambda i, t: i.uniform_(t, -0.3, 0.7),
    "normal": lambda i, t: i.normal_(t, 0.5, 2.0),
    "xavier_uniform": lambda i, t: i.xavier_uniform_(t, gain=1.5),
    "xavier_normal": lambda i, t: i.xavier_normal_(t),
    "kaiming_uniform": lambda i, t: i.kaiming_uniform_(t, a=math.sqrt(5)),
    "kaiming_uniform-relu": lambda i, t: i.kaiming_uniform_(t, mode="fan_out", nonlinearity="relu"),
    "kaiming_normal": lambda i, t: i.kaiming_normal_(t, mode="fan_out", nonlinearity="relu"),
    "kaiming_normal-tanh": lambda i, t: i.kaiming_normal_(t, nonlinearity="tanh"),
    "trunc_normal": lambda i, t: i.trunc_normal_(t, std=1.5),
    "trunc_normal-narrow": lambda i, t: i.trunc_normal_(t, mean=1.0, std=1.0, a=-0.5, b=0.2),
    "orthogonal": lambda i, t: i.orthogonal_(t, gain=2.0),
}


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distribution_is_torchs(name, dtype):
    mc.manual_seed(11)
    torch.manual_seed(12)
    ours = mc.empty(*SHAPE, dtype=getattr(mc, dtype), requires_grad=True)
    theirs = torch.empty(*SHAPE, dtype=getattr(torch, dtype))
    result = RANDOM[name](init, ours)
    RANDOM[name](torch.nn.init, theirs)
    assert result is ours
    assert ours.is_leaf
    assert_same_distribution(ours.detach().numpy(), theirs.numpy())


@pytest.mark.parametrize("name", RANDOM)
def test_generator_decides(name):
    rule = RANDOM[name]

    def draw(seed):
        tensor = mc.empty(4, 3, 2, 2)

        class WithGenerator:
            def __getattr__(self, attribute):
                function = getattr(init, attribute)
                return lambda *args, **kw: function(*args, generator=mc.Generator().manual_seed(seed), **kw)

        rule(WithGenerator(), tensor)
        return tensor.numpy()

    state = mc.random.default_generator.get_state()
    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()
    assert mc.random.default_generator.get_state() == state


@pytest.mark.parametrize(
    ("make", "fan_in"),
    [
        (lambda nn: nn.Conv2d(8, 64, 3), 72),
        (lambda nn: nn.Conv2d(16, 64, (3, 5), groups=4), 60),
        (lambda nn: nn.Linear(200, 100), 200),
    ],
)
def test_default_initialisation_is_torchs(make, fan_in):
    mc.manual_seed(5)
    torch.manual_seed(6)
    bound = 1 / math.sqrt(fan_in)
    ours, theirs = [make(mc.nn) for _ in range(20)], [make(torch.nn) for _ in range(20)]
    for name in ("weight", "bias"):
        values = np.concatenate([getattr(layer, name).detach().numpy().ravel() for layer in ours])
        expected = np.concatenate([getattr(layer, name).detach().numpy().ravel() for layer in theirs])
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.99 * bound  # at least 1280 uniform values: missed with probability 3e-6
        assert_same_distribution(values, expected)


def test_same_seed_same_network():
    def weights(seed):
        mc.manual_seed(seed)
        return mc.nn.Linear(3, 4).weight.detach().numpy()

    np.testing.assert_array_equal(weights(3), weights(3))
    assert (weights(3) != weights(4)).any()


def test_truncation_bounds():
    tensor = init.trunc_normal_(mc.empty(100_000), mean=0.0, std=1.0, a=-0.1, b=0.3)
    assert -0.1 <= tensor.numpy().min() < -0.0999
    assert 0.2999 < tensor.numpy().max() <= np.float32(0.3)
    with pytest.warns(UserWarning, match="more than 2 std"):
        far = init.trunc_normal_(mc.empty(1000), mean=0.0, std=1.0, a=5.0, b=6.0)
    assert far.numpy().min() >= 5
    assert init.trunc_normal_(mc.empty(2), a=1.0, b=1.0).tolist() == [1, 1]
    with pytest.raises(ValueError, match="a should not be above b"):
        init.trunc_normal_(mc.empty(1), a=1.0, b=0.5)


@pytest.mark.parametrize("shape", [(5, 8), (8, 5), (4, 3, 2, 2), (6, 6)])
def test_orthogonal(shape):
    matrix = init.orthogonal_(mc.empty(*shape, dtype=mc.float64), gain=3.0).numpy().reshape(shape[0], -1)
    gram = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(gram, 9 * np.eye(len(gram)), atol=1e-12)


def test_sparse():
    values = init.sparse_(mc.empty(30, 20), 0.25, std=0.5).numpy()
    assert ((values == 0).sum(axis=0) == 8).all()  # ceil(7.5) of each column
    assert abs(values[values != 0].std() - 0.5) < 0.1  # 440 values: a standard error of 0.017


@pytest.mark.parametrize(
    ("rule", "shape"),
    [
        (lambda i, t: i.constant_(t, 0.3), (3, 2)),
        (lambda i, t: i.ones_(t), (3,)),
        (lambda i, t: i.zeros_(t), (3,)),
        (lambda i, t: i.eye_(t), (3, 5)),
        (lambda i, t: i.dirac_(t), (5, 3, 3)),
        (lambda i, t: i.dirac_(t), (3, 5, 3, 4)),
        (lambda i, t: i.dirac_(t, groups=2), (6, 2, 3, 3)),
        (lambda i, t: i.dirac_(t, 3), (6, 4, 3, 1, 2)),
    ],
)
def test_exact_ones(rule, shape):
    ours, theirs = mc.empty(*shape), torch.empty(*shape)
    assert rule(init, ours) is ours
    rule(torch.nn.init, theirs)
    np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.parametrize(
    "name", ["linear", "conv2d", "conv_transpose3d", "sigmoid", "tanh", "relu", "selu", "leaky_relu"]
)
def test_gains(name):
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


@pytest.mark.parametrize(
    ("rule", "shape", "message"),
    [
        (init.eye_, (2,), "Only tensors with 2 dimensions are supported"),
        (init.dirac_, (2, 2), "Only tensors with 3, 4, or 5 dimensions"),
        (lambda t: init.dirac_(t, 3), (4, 2, 3), "dim 0 must be divisible by groups, got 4 and groups=3"),
        (init.xavier_uniform_, (2,), "fewer than 2 dimensions"),
        (init.kaiming_normal_, (2,), "fewer than 2 dimensions"),
        (lambda t: init.kaiming_uniform_(t, mode="fan"), (2, 2), "Mode 'fan' not supported"),
        (lambda t: init.kaiming_uniform_(t, nonlinearity="gelu"), (2, 2), "Unsupported nonlinearity 'gelu'"),
        (lambda t: init.kaiming_uniform_(t, a=True), (2, 2), "negative_slope True not a valid number"),
        (init.orthogonal_, (2,), "2 or more dimensions"),
        (lambda t: init.sparse_(t, 0.1), (2,), "Only tensors with 2 dimensions"),
    ],
)
def test_errors(rule, shape, message):
    with pytest.raises(ValueError, match=message):
        rule(mc.empty(*shape))


def test_empty_tensors_are_left_alone():
    with pytest.warns(UserWarning, match="no-op"):
        init.kaiming_uniform_(mc.empty(0, 3))
    with pytest.warns(UserWarning, match="no-op"):
        init.kaiming_normal_(mc.empty(0, 3))
    assert init.orthogonal_(mc.empty(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5), (3, 4, 5, 2), (3, 4, 5, 2, 2)])
def test_fans(shape):
    """A unit's inputs and outputs, for linear layers and convolutions in one, two and three dimensions."""
    ours, theirs = mc.empty(*shape), torch.empty(*shape)
    assert init._calculate_fan_in_and_fan_out(ours) == torch.nn.init._calculate_fan_in_and_fan_out(theirs)
    for mode in ("fan_in", "FAN_OUT"):
        assert init._calculate_correct_fan(ours, mode) == torch.nn.init._calculate_correct_fan(theirs, mode)


@pytest.mark.parametrize("name", [n for n in dir(torch.nn.init) if hasattr(torch.nn.init, f"{n}_") and n.islower()])
def test_names_without_an_underscore_warn(name):
    for library in (mc, torch):
        tensor = library.zeros(3, 3, 3) if name == "dirac" else library.zeros(3, 3)
        with pytest.warns(FutureWarning, match=f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`"):
            result = getattr(library.nn.init, name)(tensor, *([0.5] if name in ("sparse", "constant") else []))
        assert result is tensor
        assert name == "dirac" or tensor.abs().sum() > 0
