"""PyTorch's own samples of optimizers' arguments, and its error inputs, through both libraries."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import to_ours

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about unittest helpers that it imports
    from torch.testing._internal.common_optimizers import OptimizerErrorEnum, optim_db

INFOS = {info.optim_cls.__name__: info for info in optim_db if info.optim_cls.__name__ != "SparseAdam"}
SAMPLES = [
    pytest.param(name, sample.kwargs, id=f"{name}-{sample.desc}".replace(" ", "_"))
    for name, info in INFOS.items()
    for sample in info.optim_inputs_func(device="cpu")
]
ERRORS = [
    pytest.param(name, error, id=f"{name}-{error.optimizer_error_input.desc}".replace(" ", "_"))
    for name, info in INFOS.items()
    for error in info.optim_error_inputs_func(device="cpu", dtype=torch.float32)
]
STEPS = 50
FEW = 10


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # its workers spin between steps as small as these
    yield
    torch.set_num_threads(threads)


def unsupported(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and (value.is_complex() or value.layout != torch.strided)


def ours(value: Any) -> Any:
    """Torch's tensors, anywhere in a structure, as ours; parameters stay one object each."""
    made: dict[int, Any] = {}

    def convert(value: Any) -> Any:
        if isinstance(value, torch.nn.Parameter):
            return made.setdefault(id(value), mc.nn.Parameter(to_ours(value.detach())))
        if isinstance(value, torch.Tensor):
            return to_ours(value)
        if isinstance(value, dict):
            return {key: convert(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(convert(item) for item in value)
        return value

    return convert(value)


def train(library: Any, name: str, kwargs: dict[str, Any], dtype: str, steps: int) -> list[np.ndarray]:
    """Steps on a small least-squares problem whose gradients are also noisy; two groups where the rule has them."""
    rng = np.random.default_rng(0)

    def tensor(array: np.ndarray) -> Any:
        return library.tensor(array, dtype=getattr(library, dtype))

    grouped = name != "LBFGS"
    weights = [library.nn.Parameter(tensor(rng.standard_normal(shape))) for shape in ((3, 4), (4, 2), (5, 3))]
    groups: Any = [{"params": weights[:2]}, {"params": weights[2:], "lr": 0.003}] if grouped else weights
    optimizer = getattr(library.optim, name)(groups, **kwargs)
    noise = [[tensor(0.3 * rng.standard_normal(tuple(w.shape))) for w in weights] for _ in range(steps)]
    x, target = tensor(rng.standard_normal((6, 5))), tensor(rng.standard_normal((6, 2)))
    losses = []

    def closure() -> Any:
        optimizer.zero_grad()
        hidden = library.tanh(x @ weights[2] @ weights[0])
        if name == "LBFGS":  # convex: elsewhere a direction amplifies roundings until the runs part
            hidden = hidden.detach()
        loss = ((hidden @ weights[1] - target) ** 2).mean()
        if name != "LBFGS":
            loss = loss + sum((w * z).sum() for w, z in zip(weights, noise[step], strict=True))
        loss.backward()
        return loss

    for step in range(steps):  # noqa: B007  the closure reads it
        losses.append(optimizer.step(closure).item())
    return [np.array(losses), *(w.detach().numpy() for w in weights)]


@pytest.mark.parametrize("steps", [FEW, pytest.param(STEPS, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "kwargs"), SAMPLES)
def test_samples(name, kwargs, dtype, steps):
    if name == "LBFGS":
        steps, kwargs = 2, {**kwargs, "max_iter": 5}  # with more than the 8 unknowns, only roundings are left of y
    theirs = train(torch, name, {**kwargs, "foreach": False} if "foreach" in defaults(name) else kwargs, dtype, steps)
    if name == "Muon":
        # torch iterates in bfloat16, with 8 bits: 0.4 percent in each of the five to six iterations.
        tolerance = {"rtol": 0.02, "atol": 0.01 + 0.001 * steps}
    elif dtype == "float64":
        tolerance = {"rtol": 1e-10, "atol": 1e-11}
    elif name in ("LBFGS", "Rprop"):
        # Curvatures from differences of gradients; steps that grow or shrink with a sign.
        tolerance = {"rtol": 1e-2, "atol": 1e-2}
    else:
        # A few roundings a step; noise in a gradient near zero is magnified by the rules that divide by its size.
        tolerance = {"rtol": 2e-4, "atol": 2e-5}
    for mine, other in zip(train(mc, name, ours(kwargs), dtype, steps), theirs, strict=True):
        np.testing.assert_allclose(mine, other, **tolerance)


def defaults(name: str) -> dict[str, Any]:
    return getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(2, 2))]).defaults


@pytest.mark.parametrize(("name", "error"), ERRORS)
def test_errors(name, error):
    sample = error.optimizer_error_input
    if any(unsupported(p) for p in (sample.params if isinstance(sample.params, list) else [])):
        pytest.skip("there are no complex tensors")
    params = [mc.nn.Parameter(mc.ones(2, 2))] if sample.params is None else ours(sample.params)
    assert error.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR
    if issubclass(error.error_type, Warning):
        with pytest.warns(error.error_type, match=error.error_regex):
            getattr(mc.optim, name)(params, **ours(sample.kwargs))
    else:
        with pytest.raises(error.error_type, match=error.error_regex):
            getattr(mc.optim, name)(params, **ours(sample.kwargs))


@pytest.mark.parametrize("name", INFOS)
class TestEveryRule:
    def test_defaults_and_repr(self, name):
        mine = getattr(mc.optim, name)([mc.nn.Parameter(mc.ones(2, 2))])
        other = getattr(torch.optim, name)([torch.nn.Parameter(torch.ones(2, 2))])
        assert list(mine.defaults.items()) == list(other.defaults.items())
        assert repr(mine) == repr(other)
        assert mine.state_dict()["param_groups"] == other.state_dict()["param_groups"]
        assert list(mine.state_dict()["param_groups"][0]) == list(other.state_dict()["param_groups"][0])

    def test_signature(self, name):
        import inspect

        mine, other = (inspect.signature(getattr(library.optim, name)) for library in (mc, torch))
        assert [(p.name, p.default, p.kind) for p in mine.parameters.values()] == [
            (p.name, p.default, p.kind) for p in other.parameters.values()
        ]

    def test_state_of_torchs_layout(self, name):
        """Names, order, shapes and types of what is saved; ours goes into torch's optimizer, torch's into ours, midway."""
        states = []
        for library in (mc, torch):
            weight = library.nn.Parameter(library.ones(2, 3, dtype=library.float64))
            optimizer = getattr(library.optim, name)([weight], **extra(name))
            states.append((optimizer, weight))
            for _ in range(3):
                optimizer.step(closure_of(optimizer, weight))
        (mine, weight), (other, their_weight) = states
        one, two = mine.state_dict()["state"][0], other.state_dict()["state"][0]
        if name != "LBFGS":
            assert list(one) == list(two)
        for key, value in two.items():
            if isinstance(value, torch.Tensor) and value.ndim:
                assert tuple(one[key].shape) == tuple(value.shape)
                assert str(one[key].dtype).rpartition(".")[2] == str(value.dtype).rpartition(".")[2]
        ours_to_theirs, theirs_to_ours = torchs(mine.state_dict()), ours(other.state_dict())
        other.load_state_dict(ours_to_theirs)
        mine.load_state_dict(theirs_to_ours)
        for _ in range(3):
            mine.step(closure_of(mine, weight))
            other.step(closure_of(other, their_weight))
        tolerance = {"rtol": 0.02} if name == "Muon" else {"rtol": 1e-10}
        np.testing.assert_allclose(weight.detach().numpy(), their_weight.detach().numpy(), **tolerance)


@pytest.mark.parametrize("name", [name for name in INFOS if name not in ("SGD", "LBFGS", "Muon")])
def test_older_states(name):
    """Steps (and other numbers) as Python numbers, and groups without the options that came later."""
    runs = []
    for library in (mc, torch):
        weight = library.nn.Parameter(library.ones(2, 3, dtype=library.float64))
        optimizer = getattr(library.optim, name)([weight])
        for _ in range(2):
            optimizer.step(closure_of(optimizer, weight))
        state = optimizer.state_dict()
        for flag in ("foreach", "differentiable", "maximize", "capturable", "fused"):
            if (name, flag) != ("Adafactor", "maximize"):  # it was never without
                state["param_groups"][0].pop(flag, None)
        one = state["state"][0]
        numbers = {key: one[key].item() for key in ("step", "mu_product", "eta", "mu") if key in one}
        state["state"][0] = {**one, **numbers}
        fresh = getattr(library.optim, name)([weight])
        fresh.load_state_dict(state)
        for _ in range(2):
            fresh.step(closure_of(fresh, weight))
        runs.append((weight, fresh))
    np.testing.assert_allclose(runs[0][0].detach().numpy(), runs[1][0].detach().numpy(), rtol=1e-10)
    assert runs[0][1].param_groups[0]["maximize"] is False
    assert isinstance(runs[0][1].state[runs[0][0]]["step"], mc.Tensor)


def extra(name: str) -> dict[str, Any]:
    return {
        "SGD": {"momentum": 0.9},
        "Adam": {"amsgrad": True},
        "RMSprop": {"momentum": 0.9, "centered": True},
        "LBFGS": {"max_iter": 2, "line_search_fn": "strong_wolfe"},
    }.get(name, {})


def closure_of(optimizer: Any, weight: Any) -> Any:
    def closure() -> Any:
        optimizer.zero_grad()
        loss = (weight**4 - weight).sum()
        loss.backward()
        return loss

    return closure


def torchs(value: Any) -> Any:
    if isinstance(value, mc.Tensor):
        return torch.tensor(value.detach().numpy())
    if isinstance(value, dict):
        return {key: torchs(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(torchs(item) for item in value)
    return value


def test_no_sparse_gradients():
    with pytest.raises(NotImplementedError, match=re.escape("use Adam")):
        mc.optim.SparseAdam([mc.nn.Parameter(mc.ones(2))])
