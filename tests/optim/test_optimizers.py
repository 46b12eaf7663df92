"""The update rules: fifty steps beside PyTorch's, with groups, saved and reloaded midway."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.modules import to_ours, to_torch

STEPS = 50
SHAPES = [(4, 3), (5,), (2, 3, 2, 2), ()]


class Problem:
    """Parameters in two groups, and a fixed sequence of gradients, in either library."""

    def __init__(self, library: Any, dtype: type, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.library = library
        values = [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]
        self.parameters = [library.nn.Parameter(library.tensor(value)) for value in values]
        self.gradients = [[np.asarray(rng.standard_normal(s), dtype) for s in SHAPES] for _ in range(STEPS)]

    def groups(self, **second: Any) -> list[dict[str, Any]]:
        return [{"params": self.parameters[:2]}, {"params": self.parameters[2:], **second}]

    def run(self, optimizer: Any, first: int = 0, last: int = STEPS) -> None:
        for step in range(first, last):
            for i, (parameter, gradient) in enumerate(zip(self.parameters, self.gradients[step], strict=True)):
                # Every seventh step a parameter has no gradient, and keeps its own step count.
                parameter.grad = None if (step + i) % 7 == 6 else self.library.tensor(gradient)
            optimizer.step()

    def values(self) -> list[np.ndarray]:
        return [parameter.detach().numpy().copy() for parameter in self.parameters]


# The same formulae in the same order: in float64 what differs is fused multiply-adds, one rounding in each step; in
# float32 the same at its epsilon of 1.2e-7, times fifty steps of a few roundings each.
TOLERANCE = {np.float64: {"rtol": 1e-12, "atol": 1e-13}, np.float32: {"rtol": 5e-5, "atol": 5e-6}}


def compare(name: str, options: dict[str, Any], second: dict[str, Any], dtype: type) -> None:
    """Train both for fifty steps; ours is saved after half of them and continued by a fresh optimizer."""
    ours, theirs = Problem(mc, dtype), Problem(torch, dtype)
    optimizer = getattr(mc.optim, name)(ours.groups(**second), **options)
    expected = getattr(torch.optim, name)(theirs.groups(**second), foreach=False, **options)
    ours.run(optimizer, 0, STEPS // 2)
    state = copy.deepcopy(optimizer.state_dict())
    ours.run(optimizer, STEPS // 2, STEPS // 2 + 3)  # goes on, and must not matter
    half = Problem(mc, dtype)
    theirs.run(expected, 0, STEPS // 2)
    expected.load_state_dict(copy.deepcopy(expected.state_dict()))  # both round some numbers to the parameter's dtype
    for parameter, value in zip(half.parameters, theirs.values(), strict=True):
        with mc.no_grad():
            parameter.copy_(mc.tensor(value))
    resumed = getattr(mc.optim, name)(half.groups())
    resumed.load_state_dict(state)
    half.run(resumed, STEPS // 2)
    theirs.run(expected, STEPS // 2)
    for i, (value, reference) in enumerate(zip(half.values(), theirs.values(), strict=True)):
        np.testing.assert_allclose(value, reference, **TOLERANCE[dtype], err_msg=f"parameter {i}")
    compare_state(resumed.state_dict(), expected.state_dict(), dtype)


def compare_state(ours: dict[str, Any], theirs: dict[str, Any], dtype: type) -> None:
    assert list(ours) == list(theirs)
    assert list(ours["state"]) == list(theirs["state"])
    for key, state in theirs["state"].items():
        assert list(ours["state"][key]) == list(state)
        for name, value in state.items():
            mine = ours["state"][key][name]
            assert isinstance(mine, mc.Tensor)
            assert mine.numpy().dtype == value.numpy().dtype
            np.testing.assert_allclose(mine.numpy(), value.numpy(), **TOLERANCE[dtype], err_msg=f"{key}.{name}")
    for mine, group in zip(ours["param_groups"], theirs["param_groups"], strict=True):
        ignored = {"foreach"}
        assert {k: v for k, v in mine.items() if k not in ignored} == {
            k: v for k, v in group.items() if k not in ignored
        }


SGD_OPTIONS = [
    {"lr": 0.1},
    {"lr": 0.1, "momentum": 0.9},
    {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
    {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    {"lr": 0.1, "weight_decay": 0.1, "maximize": True},
]
ADAM_OPTIONS = [
    {},
    {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-4},
    {"lr": 0.02, "weight_decay": 0.1},
    {"lr": 0.02, "amsgrad": True},
    {"lr": 0.02, "amsgrad": True, "weight_decay": 0.1, "maximize": True},
]


def identify(options: dict[str, Any]) -> str:
    return "-".join(f"{k}={v}" for k, v in options.items()) or "defaults"


OTHERS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("Adagrad", {}, {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.5, "weight_decay": 0.1}, {"lr_decay": 0.0}),
    ("Adagrad", {"initial_accumulator_value": 0.1, "maximize": True, "eps": 1e-4}, {"weight_decay": 0.2}),
    ("RMSprop", {}, {"lr": 0.1, "alpha": 0.9}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.8, "weight_decay": 0.1}, {"momentum": 0.3}),
    ("RMSprop", {"lr": 0.02, "centered": True, "maximize": True}, {"eps": 1e-4}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.9}, {"alpha": 0.8}),
    ("Adadelta", {}, {"rho": 0.5}),
    ("Adadelta", {"lr": 0.5, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}, {"lr": 2.0}),
    ("Adamax", {}, {"lr": 0.1}),
    ("Adamax", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1, "maximize": True}, {"eps": 1e-3}),
    ("NAdam", {}, {"lr": 0.1}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "momentum_decay": 0.1}, {"betas": (0.5, 0.9)}),
    ("NAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}, {"eps": 1e-3}),
    ("RAdam", {}, {"lr": 0.1}),
    ("RAdam", {"lr": 0.02, "weight_decay": 0.1}, {"betas": (0.5, 0.9)}),
    ("RAdam", {"lr": 0.02, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}, {"eps": 1e-3}),
    ("ASGD", {}, {"lr": 0.1}),
    ("ASGD", {"lr": 0.02, "lambd": 0.1, "alpha": 0.5, "t0": 10, "weight_decay": 0.1}, {"t0": 3.5}),
    ("ASGD", {"t0": 0, "maximize": True}, {}),
    ("Rprop", {}, {"lr": 0.1}),
    ("Rprop", {"etas": (0.4, 1.5), "step_sizes": (1e-3, 0.05), "maximize": True}, {"etas": (0.7, 1.1)}),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
class TestFiftySteps:
    @pytest.mark.parametrize("options", SGD_OPTIONS, ids=identify)
    def test_sgd(self, options, dtype):
        compare("SGD", options, {"lr": 0.03, "momentum": 0.5}, dtype)

    @pytest.mark.parametrize("options", ADAM_OPTIONS, ids=identify)
    @pytest.mark.parametrize("name", ["Adam", "AdamW"])
    def test_adam(self, name, options, dtype):
        compare(name, options, {"lr": 0.005, "betas": (0.7, 0.9)}, dtype)

    @pytest.mark.parametrize(
        ("name", "options", "second"), OTHERS, ids=[f"{name}-{identify(options)}" for name, options, _ in OTHERS]
    )
    def test_others(self, name, options, second, dtype):
        compare(name, options, second, dtype)

    def test_decoupled(self, dtype):
        compare("Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True}, {}, dtype)


unit = st.floats(0.0, 0.99)


@settings(max_examples=25, deadline=None)
@given(
    lr=st.floats(1e-4, 0.3),
    momentum=unit,
    dampening=unit,
    weight_decay=st.sampled_from([0, 0.01, 0.3]),
    nesterov=st.booleans(),
    maximize=st.booleans(),
)
def test_sgd_for_any_options(lr, momentum, dampening, weight_decay, nesterov, maximize):
    nesterov = nesterov and momentum > 0
    options = {"momentum": momentum, "dampening": 0 if nesterov else dampening, "nesterov": nesterov}
    compare("SGD", {"lr": lr, "weight_decay": weight_decay, "maximize": maximize, **options}, {}, np.float64)


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(["Adam", "AdamW"]),
    lr=st.floats(1e-4, 0.3),
    betas=st.tuples(unit, st.floats(0.5, 0.999)),
    eps=st.sampled_from([1e-8, 1e-3]),
    weight_decay=st.sampled_from([0, 0.01, 0.3]),
    amsgrad=st.booleans(),
    maximize=st.booleans(),
)
def test_adam_for_any_options(name, lr, betas, eps, weight_decay, amsgrad, maximize):
    options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    compare(name, {**options, "amsgrad": amsgrad, "maximize": maximize}, {}, np.float64)


class TestState:
    @pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
    def test_continues_from_torchs_file_and_torch_from_ours(self, name):
        options = {"lr": 0.05, **({"momentum": 0.9} if name == "SGD" else {"amsgrad": True})}
        ours, theirs = Problem(mc, np.float64), Problem(torch, np.float64)
        mine, torchs = (
            getattr(mc.optim, name)(ours.groups(), **options),
            getattr(torch.optim, name)(theirs.groups(), **options),
        )
        theirs.run(torchs, 0, 10)
        with mc.no_grad():
            for parameter, value in zip(ours.parameters, theirs.values(), strict=True):
                parameter.copy_(mc.tensor(value))
        mine.load_state_dict(converted(torchs.state_dict(), torch.Tensor, to_ours))
        ours.run(mine, 10, 30)
        theirs.run(torchs, 10, 30)
        torchs.load_state_dict(converted(mine.state_dict(), mc.Tensor, to_torch))
        ours.run(mine, 30)
        theirs.run(torchs, 30)
        for value, reference in zip(ours.values(), theirs.values(), strict=True):
            np.testing.assert_allclose(value, reference, rtol=1e-12, atol=1e-13)

    def test_loading_copies(self):
        problem = Problem(mc, np.float64)
        optimizer = mc.optim.Adam(problem.parameters)
        problem.run(optimizer, 0, 1)
        state = optimizer.state_dict()
        kept = copy.deepcopy(state)
        other = mc.optim.Adam(Problem(mc, np.float64).parameters)
        other.load_state_dict(state)
        problem.run(optimizer, 1, 5)
        np.testing.assert_array_equal(
            other.state_dict()["state"][0]["exp_avg"].numpy(), kept["state"][0]["exp_avg"].numpy()
        )
        assert other.state_dict()["state"][0]["step"].item() == 1

    def test_state_takes_the_parameters_dtype(self):
        problem = Problem(mc, np.float64)
        optimizer = mc.optim.Adam(problem.parameters)
        problem.run(optimizer, 0, 1)
        small = mc.optim.Adam(Problem(mc, np.float32).parameters)
        small.load_state_dict(optimizer.state_dict())
        state = small.state_dict()["state"][0]
        assert state["exp_avg"].dtype == mc.float32
        assert state["step"].dtype == mc.float32

    def test_options_of_later_versions_are_filled_in(self):
        problem = Problem(mc, np.float64)
        optimizer = mc.optim.AdamW(problem.parameters)
        state = optimizer.state_dict()
        del state["param_groups"][0]["amsgrad"]
        state["param_groups"][0]["decoupled_weight_decay"] = False
        state["state"]["extra"] = [1]
        optimizer.load_state_dict(state)
        assert optimizer.param_groups[0]["amsgrad"] is False
        assert optimizer.param_groups[0]["decoupled_weight_decay"] is True
        assert optimizer.state_dict()["state"]["extra"] == [1]

    def test_what_does_not_fit(self):
        problem = Problem(mc, np.float64)
        optimizer = mc.optim.Adam(problem.parameters)
        problem.run(optimizer, 0, 1)
        state = optimizer.state_dict()
        with pytest.raises(ValueError, match="different number of parameter groups: got 1, the optimizer has 2"):
            mc.optim.Adam(problem.groups()).load_state_dict(state)
        with pytest.raises(ValueError, match="group 0 has 4 parameters there and 3 here"):
            mc.optim.Adam(problem.parameters[:3]).load_state_dict(state)
        with pytest.raises(ValueError, match=r"'exp_avg' of shape .* saved for another model"):
            mc.optim.Adam(problem.parameters[::-1]).load_state_dict(state)

    def test_deepcopy_of_model_and_optimizer_stay_together(self):
        model = mc.nn.Linear(2, 1)
        optimizer = mc.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        twin_model, twin = copy.deepcopy((model, optimizer))
        twin_model(mc.ones(1, 2)).sum().backward()
        twin.step()
        assert twin.param_groups[0]["params"][0] is twin_model.weight
        assert list(optimizer.state) == []
        assert len(twin.state) == 2

    def test_a_converted_model_needs_a_new_optimizer(self):
        for name, options in (("SGD", {"momentum": 0.9}), ("Adam", {})):
            model = mc.nn.Linear(2, 1)
            optimizer = getattr(mc.optim, name)(model.parameters(), lr=0.1, **options)
            model(mc.ones(1, 2)).sum().backward()
            optimizer.step()
            model.double()
            with pytest.raises(RuntimeError, match="make a new optimizer after"):
                optimizer.step()


def converted(state: dict[str, Any], kind: type, convert: Any) -> dict[str, Any]:
    tensors = {
        key: {name: convert(value) if isinstance(value, kind) else value for name, value in entry.items()}
        for key, entry in state["state"].items()
    }
    return {"state": tensors, "param_groups": state["param_groups"]}


class TestUse:
    def test_learning_rate_as_a_tensor(self):
        for name in ("SGD", "Adam"):
            problem, same = Problem(mc, np.float64), Problem(mc, np.float64)
            problem.run(getattr(mc.optim, name)(problem.parameters, lr=mc.tensor(0.25)))
            same.run(getattr(mc.optim, name)(same.parameters, lr=0.25))
            for value, reference in zip(problem.values(), same.values(), strict=True):
                np.testing.assert_array_equal(value, reference)

    def test_closure(self):
        weight = mc.nn.Parameter(mc.tensor([2.0]))
        optimizer = mc.optim.SGD([weight], lr=0.1)

        def closure():
            optimizer.zero_grad()
            loss = (weight**2).sum()
            loss.backward()
            return loss

        with mc.no_grad():
            assert optimizer.step(closure).item() == 4
        assert weight.item() == pytest.approx(1.6)
        assert optimizer.step() is None

    def test_zero_grad(self):
        weight = mc.nn.Parameter(mc.ones(2))
        optimizer = mc.optim.SGD([weight], lr=0.1)
        (weight * 3).sum().backward()
        optimizer.zero_grad(set_to_none=False)
        assert weight.grad.tolist() == [0, 0]
        optimizer.zero_grad()
        assert weight.grad is None

    def test_a_step_is_seen_by_a_stale_backward(self):
        weight = mc.nn.Parameter(mc.ones(2))
        x = mc.ones(2, requires_grad=True)
        for optimizer in (mc.optim.SGD([weight], lr=0.1), mc.optim.Adam([weight])):
            loss = (weight * x).sum()
            weight.grad = mc.ones(2)
            optimizer.step()
            with pytest.raises(RuntimeError, match=r"(SGD|Adam).step has changed it in place"):
                loss.backward()

    def test_frozen_and_strided_parameters(self):
        base = mc.zeros(6, 4)
        weight = mc.nn.Parameter(base.T[::2])
        weight.grad = mc.ones(2, 6)
        mc.optim.Adam([weight], lr=0.5).step()
        np.testing.assert_allclose(base.numpy()[:, ::2], -0.5, rtol=1e-6)
        np.testing.assert_array_equal(base.numpy()[:, 1::2], 0)

    @pytest.mark.parametrize("options", [{"foreach": True}, {"fused": True}, {"foreach": False, "fused": False}])
    def test_hints_change_nothing(self, options):
        for name in ("SGD", "Adam", "AdamW"):
            problem, same = Problem(mc, np.float64), Problem(mc, np.float64)
            problem.run(getattr(mc.optim, name)(problem.parameters, **options), 0, 3)
            same.run(getattr(mc.optim, name)(same.parameters), 0, 3)
            for value, reference in zip(problem.values(), same.values(), strict=True):
                np.testing.assert_array_equal(value, reference)

    def test_names(self):
        ours, theirs = (
            library.optim.SGD(library.nn.Linear(2, 1).named_parameters(), lr=0.1) for library in (mc, torch)
        )
        assert ours.state_dict() == theirs.state_dict()
        assert ours.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
        ours.load_state_dict(mc.optim.SGD(mc.nn.Linear(2, 1).parameters(), lr=0.2).state_dict())
        assert ours.param_groups[0]["param_names"] == ["weight", "bias"]
        assert ours.param_groups[0]["lr"] == 0.2

    @pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
    def test_repr_is_torchs(self, name):
        ours, theirs = (
            getattr(library.optim, name)(Problem(library, np.float64).groups(lr=0.5), lr=0.1) for library in (mc, torch)
        )
        assert repr(ours) == repr(theirs)


class TestErrors:
    def weight(self):
        return mc.nn.Parameter(mc.zeros(2))

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("SGD", {"lr": -1}, "Invalid learning rate: -1"),
            ("SGD", {"lr": float("nan")}, "Invalid learning rate: nan"),
            ("SGD", {"momentum": -0.5}, "Invalid momentum value: -0.5"),
            ("SGD", {"weight_decay": -0.5}, "Invalid weight_decay value: -0.5"),
            ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
            ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires"),
            ("Adam", {"lr": -1}, "Invalid learning rate: -1"),
            ("Adam", {"eps": -1}, "Invalid epsilon value: -1"),
            ("Adam", {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
            ("Adam", {"betas": (0.9, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
            ("AdamW", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
        ],
    )
    def test_options(self, name, options, message):
        with pytest.raises(ValueError, match=message):
            getattr(mc.optim, name)([self.weight()], **options)

    def test_learning_rate_tensors_have_one_element(self):
        with pytest.raises(ValueError, match=r"Tensor lr must be 1-element, got \(2,\)"):
            mc.optim.SGD([self.weight()], lr=mc.zeros(2))

    @pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
    def test_what_is_not_supported(self, name):
        optimizer = getattr(mc.optim, name)
        with pytest.raises(NotImplementedError, match=rf"{name}\(differentiable=True\) is not supported"):
            optimizer([self.weight()], differentiable=True)
        with pytest.raises(RuntimeError, match="cannot be `True` together"):
            optimizer([self.weight()], foreach=True, fused=True)
        if name != "SGD":
            with pytest.raises(NotImplementedError, match="capturable"):
                optimizer([self.weight()], capturable=True)

    @pytest.mark.parametrize(
        ("params", "error", "message"),
        [
            (lambda w: [], ValueError, "optimizer got an empty parameter list"),
            (lambda w: w, TypeError, "should be an iterable of Tensors or dicts, but got Parameter"),
            (lambda w: {w}, TypeError, "Please use a list instead"),
            (lambda w: [{"params": {w}}], TypeError, "Please use a list instead"),
            (lambda w: [3], TypeError, "can only optimize Tensors, but one of the params is int"),
            (lambda w: [w * 2], ValueError, "can't optimize a non-leaf Tensor"),
            (lambda w: [{"params": w}, {"params": [w]}], ValueError, "appear in more than one parameter group"),
            (lambda w: [{"params": w}, [w]], TypeError, "param_group must be a dict, but got <class 'list'>"),
            (lambda w: [("w", w), mc.nn.Parameter(mc.zeros(1))], ValueError, "Some param names are missing"),
            (
                lambda w: [{"params": [("w", w)]}, {"params": [mc.nn.Parameter(mc.zeros(1))]}],
                ValueError,
                "should be with/without names",
            ),
        ],
    )
    def test_parameters(self, params, error, message):
        with pytest.raises(error, match=message):
            mc.optim.SGD(params(self.weight()), lr=0.1)

    def test_duplicates_in_a_group_warn(self):
        weight = self.weight()
        with pytest.warns(UserWarning, match="duplicate parameters"):
            mc.optim.SGD([weight, weight], lr=0.1)

    def test_the_base_class_has_no_rule(self):
        with pytest.raises(NotImplementedError, match="Optimizer does not define step"):
            mc.optim.Optimizer([self.weight()], {}).step()
