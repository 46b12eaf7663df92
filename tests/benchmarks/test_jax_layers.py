"""The JAX peers' layers compute what PyTorch's do: a benchmark of something else would be worth nothing."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from benchmarks.harness import run_pinned

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="needs JAX, from the extra bench"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, np.ndarray]:
    path = tmp_path_factory.mktemp("jax") / "results.npz"
    run_pinned(["-m", "tests.helpers.jax_results", str(path)], 1)
    with np.load(Path(path)) as found:
        return dict(found)


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def image(seed: int, *shape: int) -> torch.Tensor:
    """(n, h, w, c) -> (n, c, h, w), as it is there; filters (kh, kw, c_in, c_out) -> (c_out, c_in, kh, kw) likewise."""
    return numbers(seed, *shape).permute(0, 3, 1, 2)


def filters(seed: int, *shape: int) -> torch.Tensor:
    return numbers(seed, *shape).permute(3, 2, 0, 1)


def same(found: np.ndarray, expected: torch.Tensor) -> None:
    """float32, sums of at most 72 products: 1e-5 is some tens of roundings."""
    if found.ndim == 4:
        found = found.transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_convolutions(results):
    x, weight = image(0, 2, 6, 6, 4), filters(1, 3, 3, 4, 5)
    same(results["conv"], F.conv2d(x, weight, numbers(2, 5), padding=1))
    same(results["conv stride 2"], F.conv2d(x, weight, stride=2, padding=1))
    same(results["conv depthwise"], F.conv2d(x, filters(1, 3, 3, 1, 4), padding=1, groups=4))


def test_batch_norm_and_its_running_statistics(results):
    mean, var = torch.zeros(4), torch.ones(4)
    out = F.batch_norm(image(0, 2, 6, 6, 4), mean, var, numbers(3, 4), numbers(4, 4), training=True)
    same(results["norm"], out)
    same(results["mean"], mean)
    same(results["var"], var)


def test_pooling(results):
    x = image(0, 2, 6, 6, 4)
    same(results["max_pool"], F.max_pool2d(x, 2))
    same(results["max_pool 3"], F.max_pool2d(x, 3, 2, 1))
    same(results["avg_pool"], F.avg_pool2d(x, 2))


def test_loss_and_dropout(results):
    same(results["loss"], F.cross_entropy(numbers(5, 6, 3), torch.tensor([0, 1, 2, 0, 1, 2])))
    assert abs(results["kept"] - 0.5) < 0.03  # of 10000, five standard deviations and more


@pytest.mark.parametrize(("name", "make"), [("adam", torch.optim.Adam), ("sgd", torch.optim.SGD)])
def test_optimisers(results, name, make):
    parameter = numbers(6, 7).requires_grad_()
    optimizer = make([parameter], lr=1e-3, **({"momentum": 0.9} if name == "sgd" else {}))
    for step in range(3):
        parameter.grad = numbers(7 + step, 7)
        optimizer.step()
    same(results[name], parameter)


def test_the_network_learns(results):
    assert results["losses"][-1] < 0.5 * results["losses"][0]
