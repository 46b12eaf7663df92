"""Hooks around a step and around saving and loading; copies; options of groups. Beside PyTorch throughout."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import pytest
import torch

import minicnn as mc

BOTH = pytest.mark.parametrize("library", [mc, torch], ids=["minicnn", "torch"])


def optimizer_of(library: Any, **options: Any) -> Any:
    weight = library.nn.Parameter(library.ones(2))
    weight.grad = library.ones(2)
    return library.optim.SGD([weight], lr=0.1, **options)


@BOTH
class TestHooks:
    def test_order_around_a_step(self, library):
        optimizer, seen = optimizer_of(library), []
        module = importlib.import_module(f"{library.__name__}.optim.optimizer")
        handles = [
            optimizer.register_step_pre_hook(
                lambda o, args, kwargs: seen.append(("pre", o is optimizer, args, kwargs))
            ),
            optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(("post", o.param_groups[0]["lr"]))),
            module.register_optimizer_step_pre_hook(lambda o, args, kwargs: seen.append("global pre")),
            module.register_optimizer_step_post_hook(lambda o, args, kwargs: seen.append("global post")),
        ]
        assert optimizer.step(closure=lambda: 3) == 3
        for handle in handles:
            handle.remove()
        optimizer.step()
        pre = next(entry for entry in seen if entry[0] == "pre")
        assert pre[1] is True
        assert [entry if isinstance(entry, str) else entry[0] for entry in seen] == [
            "global pre",
            "pre",
            "post",
            "global post",
        ]

    def test_a_pre_hook_replaces_arguments(self, library):
        optimizer = optimizer_of(library)
        optimizer.register_step_pre_hook(lambda o, args, kwargs: ((*args, lambda: 7), {}))
        assert optimizer.step() == 7

    def test_a_pre_hook_returns_something_else(self, library):
        optimizer = optimizer_of(library)
        optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
        with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kwargs\), but got 3"):
            optimizer.step()

    def test_saving(self, library):
        optimizer, seen = optimizer_of(library), []
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("second"))
        optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"), prepend=True)
        optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": 1})
        optimizer.register_state_dict_post_hook(lambda o, state: seen.append(sorted(state)))
        assert optimizer.state_dict()["note"] == 1
        assert seen == ["first", "second", ["note", "param_groups", "state"]]

    def test_loading(self, library):
        optimizer, seen = optimizer_of(library), []
        state = optimizer.state_dict()

        def change(o, state_dict):
            state_dict = copy.deepcopy(state_dict)
            state_dict["param_groups"][0]["lr"] = 0.7
            return state_dict

        optimizer.register_load_state_dict_pre_hook(change)
        optimizer.register_load_state_dict_pre_hook(lambda o, s: seen.append(s["param_groups"][0]["lr"]), prepend=True)
        optimizer.register_load_state_dict_post_hook(lambda o: seen.append(o.param_groups[0]["lr"]))
        optimizer.load_state_dict(state)
        assert seen == [0.1, 0.7]
        assert state["param_groups"][0]["lr"] == 0.1

    def test_copies_go_without(self, library):
        optimizer, seen = optimizer_of(library, momentum=0.9), []
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(1))
        optimizer.step()
        for twin in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
            twin.step()
            assert repr(twin) == repr(optimizer)
            assert len(twin.state) == 1
            assert twin.defaults == optimizer.defaults
            twin.register_step_pre_hook(lambda o, args, kwargs: None)
        assert seen == [1]


def test_a_step_within_a_step_runs_them_once():
    class Loud(mc.optim.SGD):
        def step(self, closure=None):
            return super().step(closure)

    weight = mc.nn.Parameter(mc.ones(2))
    optimizer, seen = Loud([weight], lr=0.1), []
    optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append(1))
    optimizer.step()
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda: 1 / 0)
    optimizer.step()
    assert seen == [1, 1, 1]


@BOTH
def test_named_parameters(library):
    layer = library.nn.Linear(2, 1)
    optimizer = library.optim.Adam(layer.named_parameters())
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    groups = [{"params": [("w", layer.weight)], "lr": 1.0}, {"params": [("b", layer.bias)]}]
    optimizer = library.optim.Adam(groups)
    assert [group["param_names"] for group in optimizer.param_groups] == [["w"], ["b"]]
    with pytest.raises(ValueError, match="cannot add param group without names to the optimizer"):
        optimizer.add_param_group({"params": [library.nn.Parameter(library.ones(1))]})
    plain = library.optim.SGD([layer.weight])
    with pytest.raises(ValueError, match="cannot add param group with names to the optimizer"):
        plain.add_param_group({"params": [("b", layer.bias)]})
    state = library.optim.Adam([{"params": [layer.weight]}, {"params": [layer.bias]}]).state_dict()
    optimizer.load_state_dict(state)
    assert [group["param_names"] for group in optimizer.param_groups] == [["w"], ["b"]]


@BOTH
def test_lbfgs_continues_and_copies(library):
    """Saved midway and loaded into a fresh one: the same iterations as without."""
    runs = []
    for interrupted in (False, True):
        weight = library.nn.Parameter(library.tensor([3.0, -2.0, 1.0], dtype=library.float64))
        scale = library.tensor([1.0, 5.0, 0.2], dtype=library.float64)
        optimizer = library.optim.LBFGS([weight], max_iter=2, history_size=2, line_search_fn="strong_wolfe")
        evaluations = []

        def closure(weight=weight, scale=scale, evaluations=evaluations):
            weight.grad = None
            loss = (weight**4 * scale).sum()
            loss.backward()
            evaluations.append(loss.item())
            return loss

        for _ in range(3):
            optimizer.step(closure)
        if interrupted:
            state = copy.deepcopy(optimizer.state_dict())
            optimizer = library.optim.LBFGS([weight], max_iter=2, history_size=2, line_search_fn="strong_wolfe")
            optimizer.load_state_dict(state)
        for _ in range(3):
            optimizer.step(closure)
        runs.append(evaluations)
    assert runs[0] == runs[1]


class TestLBFGS:
    def test_needs_a_closure_and_one_group(self):
        weight = mc.nn.Parameter(mc.ones(2))
        with pytest.raises(TypeError, match="needs a closure"):
            mc.optim.LBFGS([weight]).step()
        other = mc.nn.Parameter(mc.ones(2))
        with pytest.raises(ValueError, match="doesn't support per-parameter options"):
            mc.optim.LBFGS([{"params": weight}, {"params": other}])
        with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
            mc.optim.LBFGS([weight], line_search_fn="armijo").step(lambda: mc.zeros(1))

    def test_stops_where_the_gradient_vanishes(self):
        weight = mc.nn.Parameter(mc.zeros(2))
        calls = []

        def closure():
            calls.append(1)
            loss = (weight**2).sum()
            loss.backward()
            return loss

        assert mc.optim.LBFGS([weight]).step(closure).item() == 0
        assert len(calls) == 1

    @pytest.mark.parametrize("start", [30.0, -3.0, 0.01])
    def test_the_search_gets_back_from_where_the_loss_is_not_a_number(self, start):
        weight = mc.nn.Parameter(mc.tensor([start], dtype=mc.float64).abs())
        optimizer = mc.optim.LBFGS([weight], lr=50, line_search_fn="strong_wolfe")

        def closure():
            optimizer.zero_grad()
            loss = (weight - mc.log(weight)).sum()  # NaN at 0 and below; lowest at 1
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
        assert weight.item() == pytest.approx(1, abs=1e-5)
