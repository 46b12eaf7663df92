"""Averaged models beside PyTorch's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
import torch.optim.swa_utils as torch_swa

import minicnn as mc
from minicnn.optim import swa_utils
from tests.helpers.modules import to_ours

LIBRARIES = ((mc, swa_utils), (torch, torch_swa))


def networks(seed: int = 0) -> list[Any]:
    torch.manual_seed(seed)
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 2), torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Linear(27, 2)
    ).double()
    ours = mc.nn.Sequential(mc.nn.Conv2d(1, 3, 2), mc.nn.BatchNorm2d(3), mc.nn.Flatten(), mc.nn.Linear(27, 2)).double()
    ours.load_state_dict({name: to_ours(value) for name, value in theirs.state_dict().items()})
    return [ours, theirs]


def batches(library: Any, count: int) -> list[Any]:
    rng = np.random.default_rng(1)
    return [library.tensor(rng.standard_normal((5, 1, 4, 4))) for _ in range(count)]


def assert_same_state(ours: Any, theirs: Any, rtol: float = 1e-10) -> None:
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(other)
    for name, value in other.items():
        assert mine[name].numpy().dtype == value.numpy().dtype
        np.testing.assert_allclose(mine[name].numpy(), value.numpy(), rtol=rtol, atol=1e-3 * rtol, err_msg=name)


FUNCTIONS: dict[str, Any] = {
    "default": lambda s: {},
    "swa": lambda s: {"avg_fn": s.get_swa_avg_fn()},
    "swa-multi": lambda s: {"multi_avg_fn": s.get_swa_multi_avg_fn()},
    "ema": lambda s: {"avg_fn": s.get_ema_avg_fn(0.7)},
    "ema-multi": lambda s: {"multi_avg_fn": s.get_ema_multi_avg_fn(0.7)},
    "own": lambda s: {"avg_fn": lambda average, value, n: 0.25 * average + 0.5 * value / (n + 1)},
    "own-multi": lambda s: {"multi_avg_fn": lambda a, v, n: [x.mul_(0.5).add_(y) for x, y in zip(a, v, strict=True)]},
}


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_averages(name, use_buffers):
    if use_buffers and name in ("own-multi", "swa-multi"):
        pytest.skip("torch refuses whole numbers there")
    models = []
    for (library, module), net in zip(LIBRARIES, networks(), strict=True):
        average = module.AveragedModel(net, use_buffers=use_buffers, **FUNCTIONS[name](module))
        optimizer = library.optim.SGD(net.parameters(), lr=0.1)
        for x in batches(library, 4):
            optimizer.zero_grad()
            (net(x) ** 2).mean().backward()
            optimizer.step()
            average.update_parameters(net)
        models.append((average, net))
    rtol = 1e-6 if name == "swa-multi" else 1e-10  # torch computes 1 / (n + 1) in float32 there
    assert_same_state(models[0][0], models[1][0], rtol)
    x = batches(mc, 1)[0]
    np.testing.assert_allclose(
        models[0][0].eval()(x).detach().numpy(),
        models[1][0].eval()(torch.tensor(x.numpy())).detach().numpy(),
        rtol=10 * rtol,
    )
    fresh = swa_utils.AveragedModel(networks(1)[0])
    fresh.load_state_dict(models[0][0].state_dict())
    assert_same_state(fresh, models[1][0], rtol)


def test_whole_numbers_are_averaged_too():
    net = networks()[0]
    average = swa_utils.AveragedModel(net, multi_avg_fn=swa_utils.get_swa_multi_avg_fn(), use_buffers=True)
    for x in batches(mc, 3):
        net(x)
        average.update_parameters(net)
    assert average.module[1].num_batches_tracked.item() == 1  # 1, then (1 + 2) / 2 cut to 1, then (1 + 1 + 3) / 3


@pytest.mark.parametrize("pairs", [False, True])
def test_update_bn(pairs):
    nets = networks()
    for (library, module), net in zip(LIBRARIES, nets, strict=True):
        loader = batches(library, 3)
        net.eval()
        module.update_bn([(x, 1) for x in loader] if pairs else loader, net)
        assert not net.training
        assert net[1].momentum == 0.1
    assert_same_state(*nets)
    plain = mc.nn.Linear(2, 2)
    swa_utils.update_bn(iter([]), plain)  # nothing to do


@pytest.mark.parametrize(
    "options",
    [
        {"swa_lr": 0.05, "anneal_epochs": 4},
        {"swa_lr": [0.05, 0.5], "anneal_epochs": 6, "anneal_strategy": "linear"},
        {"swa_lr": 0.05, "anneal_epochs": 0},
        {"swa_lr": 0.05},
    ],
)
def test_swalr(options):
    def make(library: Any, module: Any) -> Any:
        params = [library.nn.Parameter(library.zeros(1)) for _ in range(2)]
        optimizer = library.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": 0.02}], lr=0.1)
        return optimizer, module.SWALR(optimizer, **options)

    (ours, mine), (theirs, other) = (make(*pair) for pair in LIBRARIES)
    for step in range(12):
        np.testing.assert_allclose(mine.get_last_lr(), other.get_last_lr(), rtol=1e-12)
        assert list(mine.state_dict()) == list(other.state_dict())
        if step == 3:
            saved = copy.deepcopy((ours.state_dict(), mine.state_dict()))
            ours, mine = make(*LIBRARIES[0])
            ours.load_state_dict(saved[0])
            mine.load_state_dict(saved[1])
        for optimizer, scheduler in ((ours, mine), (theirs, other)):
            optimizer.step()
            scheduler.step()


def test_errors():
    optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=0.1)
    for options, message in (
        ({"swa_lr": [0.1, 0.2]}, "swa_lr has 2 values, param_groups has 1"),
        ({"swa_lr": 0.1, "anneal_strategy": "exp"}, "must be one of 'cos' or 'linear', instead got exp"),
        ({"swa_lr": 0.1, "anneal_epochs": -1}, "equal or greater than 0, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            swa_utils.SWALR(optimizer, **options)
    for make in (swa_utils.get_ema_avg_fn, swa_utils.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=r"Invalid decay value 1\.5 provided"):
            make(1.5)
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        swa_utils.AveragedModel(
            mc.nn.Linear(1, 1), avg_fn=swa_utils.get_swa_avg_fn(), multi_avg_fn=swa_utils.get_swa_multi_avg_fn()
        )
