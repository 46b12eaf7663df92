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
    "constant": ("ConstantLR", {"factor": 0.25, "total_iters": 11}),
    "constant-default": ("ConstantLR", {}),
    "polynomial": ("PolynomialLR", {"total_iters": 40, "power": 0.9}),
    "polynomial-default": ("PolynomialLR", {}),
    "multiplicative": ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.9 + 0.001 * epoch}),
    "multiplicatives": ("MultiplicativeLR", {"lr_lambda": [lambda epoch: 0.9, lambda epoch: 1 / (1 + epoch)]}),
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 7, "eta_min": 1e-3}),
    "restarts-longer": ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}),
    "cyclic": ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.3, "step_size_up": 7}),
    "cyclic-halved": (
        "CyclicLR",
        {"base_lr": [0.01, 0.1], "max_lr": [0.3, 0.2], "step_size_up": 7, "step_size_down": 4, "mode": "triangular2"},
    ),
    "cyclic-exp": (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.3,
            "step_size_up": 5,
            "mode": "exp_range",
            "gamma": 0.97,
            "base_momentum": [0.7, 0.6],
            "max_momentum": 0.95,
        },
    ),
    "cyclic-own": (
        "CyclicLR",
        {
            "base_lr": 0.01,
            "max_lr": 0.3,
            "step_size_up": 5,
            "scale_fn": lambda x: 1 / (1 + x),
            "scale_mode": "iterations",
            "cycle_momentum": False,
        },
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
    if not any(map(callable, scheduler.__dict__.get("lr_lambdas", [None]))):
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


CLOSED = ("StepLR", "MultiStepLR", "ExponentialLR", "ConstantLR", "LinearLR", "PolynomialLR", "CosineAnnealingLR")


@pytest.mark.parametrize("name", [n for n, (kind, _) in SCHEDULES.items() if kind in CLOSED])
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


@CASES
def test_state_is_torchs(name):
    """The same names in the same order, before and after steps; torch goes on from ours."""
    ours, theirs = optimizer_of(mc), optimizer_of(torch)
    mine, torchs = build(mc, name, ours), build(torch, name, theirs)
    for _ in range(7):
        state, expected = mine.state_dict(), torchs.state_dict()
        assert set(state) == set(expected)
        numbers = {key: value for key, value in expected.items() if isinstance(value, (int, float))}
        assert {key: pytest.approx(state[key], rel=1e-12) for key in numbers} == numbers
        for optimizer, scheduler in ((ours, mine), (theirs, torchs)):
            optimizer.step()
            scheduler.step()
    for group, other in zip(ours.param_groups, theirs.param_groups, strict=True):
        assert set(group) == set(other)
        other.update({key: value for key, value in group.items() if key != "params"})
    torchs.load_state_dict(mine.state_dict())
    for _ in range(10):
        for optimizer, scheduler in ((ours, mine), (theirs, torchs)):
            optimizer.step()
            scheduler.step()
        np.testing.assert_allclose(cycled(ours), cycled(theirs), rtol=1e-12)


COMBINED: dict[str, Any] = {
    "warm-up-then-cosine": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=5), s.CosineAnnealingLR(o, 20)], [5]
    ),
    "three": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 3), s.ExponentialLR(o, 0.9), s.StepLR(o, 4, 0.5)], [4, 11]
    ),
    "exponential-first": lambda s, o: s.SequentialLR(o, [s.ExponentialLR(o, 0.9), s.PolynomialLR(o, 9)], [6]),
    "restarts-inside": lambda s, o: s.SequentialLR(
        o, [s.MultiStepLR(o, [2, 3]), s.CosineAnnealingWarmRestarts(o, 4)], [5]
    ),
    "restarts-first": lambda s, o: s.SequentialLR(
        o, [s.CosineAnnealingWarmRestarts(o, 4), s.LambdaLR(o, lambda e: 0.9**e)], [7]
    ),
    "functions": lambda s, o: s.SequentialLR(
        o, [s.MultiplicativeLR(o, lambda e: 0.9), s.MultiplicativeLR(o, lambda e: 0.8)], [5]
    ),
    "cycles-inside": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.5, 3), s.CyclicLR(o, 0.01, 0.1, step_size_up=3)], [4]
    ),
    "one-cycle-inside": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.5, 3), s.OneCycleLR(o, 0.1, total_steps=40)], [4]
    ),
    "sequence-first": lambda s, o: s.SequentialLR(
        o, [s.SequentialLR(o, [s.LinearLR(o), s.ExponentialLR(o, 0.9)], [3]), s.ConstantLR(o, 0.5, 3)], [6]
    ),
    "chain-first": lambda s, o: s.SequentialLR(
        o, [s.ChainedScheduler([s.LinearLR(o), s.ExponentialLR(o, 0.9)]), s.ConstantLR(o, 0.5, 3)], [6]
    ),
    "chain": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9), s.StepLR(o, 5)]),
    "chain-of-optimizer": lambda s, o: s.ChainedScheduler([s.LinearLR(o), s.CosineAnnealingLR(o, 9)], optimizer=o),
    "sequence-in-chain": lambda s, o: s.ChainedScheduler(
        [s.SequentialLR(o, [s.LinearLR(o, 0.2), s.ExponentialLR(o, 0.9)], [3]), s.StepLR(o, 6)]
    ),
}


# Sequences inside sequences warn while they are made, in torch too.
@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", COMBINED)
def test_schedules_of_schedules(name):
    """Rates and states beside torch's; saved midway and loaded into fresh ones."""
    runs = [(library, optimizer_of(library)) for library in (mc, torch)]
    schedulers = [COMBINED[name](library.optim.lr_scheduler, optimizer) for library, optimizer in runs]
    for step in range(30):
        np.testing.assert_allclose(cycled(runs[0][1]), cycled(runs[1][1]), rtol=1e-12, err_msg=f"step {step}")
        np.testing.assert_allclose(schedulers[0].get_last_lr(), schedulers[1].get_last_lr(), rtol=1e-12)
        mine, other = (scheduler.state_dict() for scheduler in schedulers)
        assert set(mine) == set(other)
        assert [state.get("last_epoch") for state in mine["_schedulers"]] == [
            state.get("last_epoch") for state in other["_schedulers"]
        ]
        if step == 9:
            optimizer = optimizer_of(mc)
            fresh = COMBINED[name](mc.optim.lr_scheduler, optimizer)
            optimizer.load_state_dict(copy.deepcopy(runs[0][1].state_dict()))
            fresh.load_state_dict(copy.deepcopy(schedulers[0].state_dict()))
            runs[0], schedulers[0] = (mc, optimizer), fresh
        for (_, optimizer), scheduler in zip(runs, schedulers, strict=True):
            optimizer.step()
            scheduler.step()


def test_restarts_at_fractions_of_epochs():
    for options in ({"T_0": 3}, {"T_0": 3, "T_mult": 2, "eta_min": 0.001}):
        both = [optimizer_of(library) for library in (mc, torch)]
        schedulers = [
            library.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, **options)
            for library, optimizer in zip((mc, torch), both, strict=True)
        ]
        for epoch in (0.25, 1, 2.9, 3.0, 4.5, 9, 20.3, 2, None, None, 8.75, None):
            for scheduler in schedulers:
                scheduler.step(epoch)
            np.testing.assert_allclose(cycled(both[0]), cycled(both[1]), rtol=1e-12)
            assert schedulers[0].last_epoch == schedulers[1].last_epoch
        with pytest.raises(ValueError, match="Expected non-negative epoch, but got -1"):
            schedulers[0].step(-1)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 2},
        {"patience": 0, "factor": 0.5, "cooldown": 3},
        {"mode": "max", "patience": 1, "threshold": 0.1, "min_lr": [0.01, 0.001]},
        {"patience": 1, "threshold_mode": "abs", "threshold": 0.2, "min_lr": 1e-3},
        {"mode": "max", "patience": 1, "threshold_mode": "abs", "threshold": 0.2, "eps": 1e-3},
    ],
)
def test_plateau(options):
    rng = np.random.default_rng(0)
    metrics = np.concatenate(
        [3 / np.arange(1, 20) + 0.3 * rng.standard_normal(19), [np.nan, 1.0, -np.inf, 0.0], np.ones(20)]
    )
    both = [optimizer_of(library) for library in (mc, torch)]
    schedulers = [
        library.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **options)
        for library, optimizer in zip((mc, torch), both, strict=True)
    ]
    for i, metric in enumerate(metrics):
        schedulers[0].step(mc.tensor(metric) if i % 2 else float(metric))
        schedulers[1].step(float(metric))
        np.testing.assert_allclose(cycled(both[0]), cycled(both[1]), rtol=1e-12)
        np.testing.assert_equal(schedulers[0].state_dict(), schedulers[1].state_dict())
        assert list(schedulers[0].state_dict()) == list(schedulers[1].state_dict())
        if i == 20:
            fresh = mc.optim.lr_scheduler.ReduceLROnPlateau(both[0], **options)
            fresh.load_state_dict(schedulers[0].state_dict())
            schedulers[0] = fresh


def test_plateau_when_groups_are_added():
    for min_lr, raises in ((0.001, False), ([0.001, 0.002], True)):
        optimizer = optimizer_of(mc)
        scheduler = mc.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, min_lr=min_lr)
        scheduler.step(1.0)
        optimizer.add_param_group({"params": [mc.nn.Parameter(mc.zeros(1))], "lr": 0.5})
        if raises:
            with pytest.raises(RuntimeError, match="modify the `min_lrs` field"):
                scheduler.step(2.0)
        else:
            scheduler.step(2.0)
            assert optimizer.param_groups[2]["lr"] == pytest.approx(0.05)


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

    @pytest.mark.parametrize("library", [mc, torch], ids=["minicnn", "torch"])
    def test_steps_before_the_first_schedule_do_not_count(self, library):
        optimizer = optimizer_of(library)
        optimizer.step()
        scheduler = build(library, "step", optimizer)
        with pytest.warns(UserWarning, match="Detected call of"):
            scheduler.step()
        optimizer.step()
        build(library, "step", optimizer).step()  # no warning

    @pytest.mark.parametrize("library", [mc, torch], ids=["minicnn", "torch"])
    def test_a_step_that_was_replaced(self, library):
        optimizer = optimizer_of(library)
        scheduler = build(library, "step", optimizer)
        optimizer.step = lambda: None
        with pytest.warns(UserWarning, match=r"`optimizer.step\(\)` has been overridden"):
            scheduler.step()

    @pytest.mark.parametrize("library", [mc, torch], ids=["minicnn", "torch"])
    @pytest.mark.parametrize(
        "name", ["step", "exponential", "cosine", "restarts", "cyclic", "onecycle", "multiplicative"]
    )
    def test_get_lr_from_outside(self, library, name):
        scheduler = build(library, name, optimizer_of(library))
        with pytest.warns(UserWarning, match=r"please use `get_last_lr\(\)`"):
            scheduler.get_lr()

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
        schedules = mc.optim.lr_scheduler
        for make, message in (
            (lambda o: schedules.ConstantLR(o, factor=1.5), "between 0 and 1. Got factor=1.5"),
            (lambda o: schedules.CosineAnnealingWarmRestarts(o, 0), "Expected positive integer T_0, but got 0"),
            (lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, 0), "Expected integer T_mult >= 1, but got 0"),
            (
                lambda o: schedules.CosineAnnealingWarmRestarts(o, 2, eta_min="a"),
                "Expected float or int eta_min, but got a",
            ),
            (lambda o: schedules.CyclicLR(o, 0.1, 1.0, mode="square"), "mode is invalid and scale_fn is None"),
            (lambda o: schedules.CyclicLR(o, [0.1], 1.0), "base_lr has 1 values, param_groups has 2"),
            (lambda o: schedules.ReduceLROnPlateau(o, factor=1.0), "Factor should be < 1.0"),
            (lambda o: schedules.ReduceLROnPlateau(o, "least"), "mode least is unknown!"),
            (lambda o: schedules.ReduceLROnPlateau(o, threshold_mode="x"), "threshold mode x is unknown!"),
            (lambda o: schedules.ReduceLROnPlateau(o, min_lr=[0.1]), "expected 2 min_lrs, got 1"),
            (lambda o: schedules.MultiplicativeLR(o, [lambda epoch: 1.0]), "Expected 2 lr_lambdas, but got 1"),
            (lambda o: schedules.SequentialLR(o, [], []), "expects at least one scheduler, but got no scheduler"),
            (
                lambda o: schedules.SequentialLR(o, [schedules.ConstantLR(o)], [3]),
                "number of schedulers 1 and the number",
            ),
            (lambda o: schedules.ChainedScheduler([]), "at least one scheduler to be chained, but got no scheduler"),
            (
                lambda o: schedules.ChainedScheduler([schedules.ConstantLR(o), schedules.ConstantLR(optimizer_of(mc))]),
                "ConstantLR at index 1 has SGD",
            ),
            (
                lambda o: schedules.SequentialLR(o, [schedules.ReduceLROnPlateau(o)], []),
                "SequentialLR does not support `ReduceLROnPlateau` scheduler",
            ),
        ):
            with pytest.raises(ValueError, match=message):
                make(optimizer_of(mc))
        with pytest.raises(TypeError, match="SequentialLR at index 0 should have `optimizer`"):
            schedules.SequentialLR(optimizer_of(mc), [3], [])
        with pytest.raises(NotImplementedError, match="LRScheduler does not define get_lr"):
            mc.optim.lr_scheduler.LRScheduler(optimizer_of(mc))
