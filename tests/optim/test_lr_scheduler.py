"""Schedules: sixty steps beside PyTorch's."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc

STEPS = 60

SCHEDULES: dict[str, tuple[str, dict[str, Any]]] = {
    "step": ("StepLR", {"step_size": 7, "gamma": 0.3}),
    "step-1": ("StepLR", {"step_size": 1, "gamma": 0.9}),
    "multistep": ("MultiStepLR", {"milestones": [30, 5, 5, 59], "gamma": 0.5}),
    "exponential": ("ExponentialLR", {"gamma": 0.93}),
    "linear": ("LinearLR", {"start_factor": 0.1, "end_factor": 0.8, "total_iters": 17}),
    "linear-default": ("LinearLR", {}),
    "cosine": ("CosineAnnealingLR", {"T_max": STEPS}),
    "cosine-and-back": ("CosineAnnealingLR", {"T_max": 13, "eta_min": 1e-3}),
    "lambda": ("LambdaLR", {"lr_lambda": lambda epoch: 0.95**epoch}),
    "lambdas": ("LambdaLR", {"lr_lambda": [lambda epoch: 1 / (1 + epoch), lambda epoch: 1 + epoch]}),
    "onecycle": ("OneCycleLR", {"max_lr": 0.3, "total_steps": STEPS}),
    "onecycle-epochs": ("OneCycleLR", {"max_lr": [0.3, 0.1], "epochs": 6, "steps_per_epoch": 11, "pct_start": 0.25}),
    "onecycle-linear": (
        "OneCycleLR",
        {"max_lr": 0.3, "total_steps": 70, "anneal_strategy": "linear", "div_factor": 10.0, "final_div_factor": 50.0},
    ),
    "onecycle-three": (
        "OneCycleLR",
        {"max_lr": 0.3, "total_steps": 64, "three_phase": True, "base_momentum": [0.7, 0.8], "max_momentum": 0.9},
    ),
    "onecycle-rate-only": ("OneCycleLR", {"max_lr": 0.3, "total_steps": 64, "cycle_momentum": False}),
}
CASES = pytest.mark.parametrize("name", SCHEDULES)


def optimizer_of(library: Any, rule: str = "SGD") -> Any:
    parameters = [library.nn.Parameter(library.zeros(1)) for _ in range(2)]
    options = {"momentum": 0.9} if rule == "SGD" else {}
    return getattr(library.optim, rule)(
        [{"params": parameters[:1]}, {"params": parameters[1:], "lr": 0.02}], lr=0.1, **options
    )


def build(library: Any, name: str, optimizer: Any, **more: Any) -> Any:
    kind, options = SCHEDULES[name]
    return getattr(library.optim.lr_scheduler, kind)(optimizer, **options, **more)


def cycled(optimizer: Any) -> list[tuple[float, float]]:
    """(rate, momentum or beta1) of each group."""
    return [(g["lr"], g["momentum"] if "momentum" in g else g["betas"][0]) for g in optimizer.param_groups]


@CASES
@pytest.mark.parametrize("rule", ["SGD", "AdamW"])
def test_sixty_steps(name, rule):
    ours, theirs = optimizer_of(mc, rule), optimizer_of(torch, rule)
    mine, torchs = build(mc, name, ours), build(torch, name, theirs)
    for step in range(STEPS + 1):
        np.testing.assert_allclose(cycled(ours), cycled(theirs), rtol=1e-12, err_msg=f"step {step}")
        np.testing.assert_allclose(mine.get_last_lr(), [group["lr"] for group in ours.param_groups], rtol=0)
        assert mine.last_epoch == step
        if step < STEPS:
            for optimizer, scheduler in ((ours, mine), (theirs, torchs)):
                optimizer.step()
                scheduler.step()


@CASES
def test_saved_and_reloaded_midway(name):
    def run(optimizer, scheduler, steps):
        rates = []
        for _ in range(steps):
            optimizer.step()
            scheduler.step()
            rates.append(cycled(optimizer))
        return rates

    optimizer = optimizer_of(mc)
    scheduler = build(mc, name, optimizer)
    run(optimizer, scheduler, 23)
    saved = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    if SCHEDULES[name][0] != "LambdaLR":
        saved = pickle.loads(pickle.dumps(saved))
    rest = run(optimizer, scheduler, 30)
    resumed = optimizer_of(mc)
    resumed_scheduler = build(mc, name, resumed)
    resumed.load_state_dict(saved[0])
    resumed_scheduler.load_state_dict(saved[1])
    assert run(resumed, resumed_scheduler, 30) == rest


@CASES
def test_reads_what_torch_saved(name):
    theirs = optimizer_of(torch)
    torchs = build(torch, name, theirs)
    for _ in range(23):
        theirs.step()
        torchs.step()
    ours = optimizer_of(mc)
    mine = build(mc, name, ours)
    ours.load_state_dict({"state": {}, "param_groups": theirs.state_dict()["param_groups"]})
    mine.load_state_dict(torchs.state_dict())
    for _ in range(20):
        for optimizer, scheduler in ((theirs, torchs), (ours, mine)):
            optimizer.step()
            scheduler.step()
        np.testing.assert_allclose(cycled(ours), cycled(theirs), rtol=1e-12)


@CASES
def test_last_epoch_resumes_as_in_torch(name):
    finals = []
    for library in (mc, torch):
        optimizer = optimizer_of(library)
        scheduler = build(library, name, optimizer)
        for _ in range(10):
            optimizer.step()
            scheduler.step()
        scheduler = build(library, name, optimizer, last_epoch=10)
        for _ in range(5):
            optimizer.step()
            scheduler.step()
        finals.append(cycled(optimizer))
    np.testing.assert_allclose(finals[0], finals[1], rtol=1e-12)


@pytest.mark.parametrize("name", [n for n, (kind, _) in SCHEDULES.items() if kind not in ("LambdaLR", "OneCycleLR")])
def test_closed_form_equals_recursion(name):
    optimizer = optimizer_of(mc)
    scheduler = build(mc, name, optimizer)
    for _ in range(39):
        optimizer.step()
        scheduler.step()
        # Forty multiplications, and a small difference of cosines near the lowest point.
        np.testing.assert_allclose(scheduler._get_closed_form_lr(), scheduler.get_last_lr(), rtol=1e-10, atol=1e-15)
    with pytest.warns(UserWarning, match="epoch parameter"):
        scheduler.step(3)
    fresh = build(mc, name, optimizer_of(mc))
    fresh.optimizer.step()
    for _ in range(3):
        fresh.step()
    np.testing.assert_allclose(scheduler.get_last_lr(), fresh.get_last_lr(), rtol=1e-12)


def test_two_schedules_multiply():
    rates = []
    for library in (mc, torch):
        optimizer = optimizer_of(library)
        both = [build(library, "linear", optimizer), build(library, "step", optimizer)]
        for _ in range(20):
            optimizer.step()
            for scheduler in both:
                scheduler.step()
        rates.append(cycled(optimizer))
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-12)


def test_rates_that_are_tensors():
    parameter = mc.nn.Parameter(mc.zeros(1))
    rate = mc.tensor(0.5)
    optimizer = mc.optim.SGD([parameter], lr=rate)
    scheduler = mc.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    first = scheduler.get_last_lr()[0]
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert (first.item(), rate.item(), scheduler.base_lrs[0].item()) == (0.5, 0.25, 0.5)


class Decay:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, epoch):
        return self.factor**epoch


def test_callable_objects_are_saved():
    scheduler = mc.optim.lr_scheduler.LambdaLR(optimizer_of(mc), Decay(0.5))
    state = scheduler.state_dict()
    assert state["lr_lambdas"] == [{"factor": 0.5}, {"factor": 0.5}]
    other = mc.optim.lr_scheduler.LambdaLR(optimizer_of(mc), Decay(0.9))
    other.load_state_dict(state)
    assert other.lr_lambdas[0].factor == 0.5
    assert "lr_lambdas" in state


class TestOrder:
    def test_wrong_order_warns(self):
        scheduler = build(mc, "step", optimizer_of(mc))
        with pytest.warns(UserWarning, match=r"`lr_scheduler.step\(\)` before `optimizer.step\(\)`"):
            scheduler.step()

    def test_right_order_does_not(self):
        class Own(mc.optim.SGD):
            def step(self, closure=None):
                return super().step(closure)

        optimizer = Own([mc.nn.Parameter(mc.zeros(1))], lr=0.1)
        scheduler = build(mc, "step", optimizer)
        optimizer.step()
        scheduler.step()


class TestErrors:
    def test_no_optimizer(self):
        for name in ("StepLR", "OneCycleLR"):
            with pytest.raises(TypeError, match="int is not an Optimizer"):
                getattr(mc.optim.lr_scheduler, name)(3, 1)

    def test_resuming_without_a_beginning(self):
        with pytest.raises(KeyError, match="initial_lr"):
            build(mc, "step", optimizer_of(mc), last_epoch=5)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({}, r"either total_steps OR \(epochs AND steps_per_epoch\)"),
            ({"epochs": 3}, "either total_steps OR"),
            ({"total_steps": 0}, "Expected positive integer total_steps, but got 0"),
            ({"total_steps": 1.5}, "Expected positive integer total_steps, but got 1.5"),
            ({"epochs": -1, "steps_per_epoch": 3}, "Expected positive integer epochs, but got -1"),
            ({"epochs": 1, "steps_per_epoch": 0}, "Expected positive integer steps_per_epoch, but got 0"),
            ({"total_steps": 9, "pct_start": 2.0}, "Expected float between 0 and 1 pct_start, but got 2.0"),
            ({"total_steps": 9, "anneal_strategy": "exp"}, "one of 'cos' or 'linear', instead got exp"),
            ({"total_steps": 9, "max_lr": [1.0]}, "max_lr has 1 values, param_groups has 2"),
            ({"total_steps": 9, "base_momentum": [1.0]}, "base_momentum has 1 values, param_groups has 2"),
        ],
    )
    def test_one_cycle(self, options, message):
        with pytest.raises(ValueError, match=message):
            mc.optim.lr_scheduler.OneCycleLR(optimizer_of(mc), **{"max_lr": 0.1, **options})

    def test_one_cycle_past_its_end(self):
        optimizer = optimizer_of(mc)
        scheduler = mc.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3)
        optimizer.step()
        for _ in range(3):
            scheduler.step()
        with pytest.raises(ValueError, match=r"Tried to step 4 times. The specified number of total steps is 3"):
            scheduler.step()

    def test_one_cycle_needs_momentum(self):
        class Plain(mc.optim.Optimizer):
            def __init__(self, params):
                super().__init__(params, {"lr": 0.1})

            def step(self, closure=None):
                return None

        plain = Plain([mc.nn.Parameter(mc.zeros(1))])
        with pytest.raises(ValueError, match="must support momentum or beta1"):
            mc.optim.lr_scheduler.OneCycleLR(plain, 0.1, total_steps=3)
        mc.optim.lr_scheduler.OneCycleLR(plain, 0.1, total_steps=3, cycle_momentum=False)

    def test_the_others(self):
        with pytest.raises(ValueError, match="greater than 0 and less or equal to 1, got start_factor=0"):
            mc.optim.lr_scheduler.LinearLR(optimizer_of(mc), start_factor=0)
        with pytest.raises(ValueError, match="between 0 and 1, got end_factor=2"):
            mc.optim.lr_scheduler.LinearLR(optimizer_of(mc), end_factor=2)
        with pytest.raises(ValueError, match="Expected 2 lr_lambdas, but got 1"):
            mc.optim.lr_scheduler.LambdaLR(optimizer_of(mc), [lambda epoch: 1.0])
        with pytest.raises(NotImplementedError, match="LRScheduler does not define get_lr"):
            mc.optim.lr_scheduler.LRScheduler(optimizer_of(mc))
