"""State in one block, and parameters that stay ordinary all the same: beside PyTorch wherever it has an answer."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.optim.arena import ALIGNMENT, zeros_like
from minicnn.weights import load_state_dict_file, save_state_dict

SHAPES = [(4, 3), (300,), (2, 3, 2, 2), ()]
RULES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.1}),
]
EVERY_RULE = pytest.mark.parametrize(("name", "options"), RULES, ids=["SGD", "momentum", "Adam", "amsgrad", "AdamW"])
WITH_STATE = pytest.mark.parametrize(("name", "options"), RULES[1:], ids=["momentum", "Adam", "amsgrad", "AdamW"])
# A few steps of the same formulas: fused multiply-adds, and root * m / (sqrt(v) + root * eps) for torch's
# m / (sqrt(v) / root + eps), which round differently, once each.
CLOSE = {"rtol": 1e-12, "atol": 1e-13}


def parameters(library: Any, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [library.nn.Parameter(library.tensor(np.asarray(rng.standard_normal(s)))) for s in SHAPES]


def give_gradients(library: Any, params: list[Any], seed: int, skip: tuple[int, ...] = ()) -> None:
    rng = np.random.default_rng(seed)
    for i, param in enumerate(params):
        gradient = library.tensor(np.asarray(rng.standard_normal(tuple(param.shape))))
        param.grad = None if i in skip else gradient


def take_steps(library: Any, optimizer: Any, params: list[Any], seeds: range, skip: tuple[int, ...] = ()) -> None:
    for seed in seeds:
        give_gradients(library, params, seed, skip)
        optimizer.step()


def assert_same(ours: list[Any], theirs: list[Any]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), **CLOSE)


def both(name: str, options: dict[str, Any]) -> tuple[tuple[Any, Any, list[Any]], ...]:
    """(library, optimizer, parameters) for minicnn and torch."""
    pairs = []
    for library in (mc, torch):
        params = parameters(library)
        pairs.append((library, getattr(library.optim, name)(params, foreach=False, **options), params))
    return tuple(pairs)


class TestZerosLike:
    def test_pieces(self):
        arrays = [
            np.ones((2, 3, 4), np.float32),
            np.ones((), np.float64),
            np.ones((0, 2)),
            np.ones((3, 5)).T,
            np.ones((2, 4, 4, 3), np.float32).transpose(0, 3, 1, 2),
            np.ones((6, 4))[::2, ::2],
        ]
        pieces = zeros_like(arrays)
        for piece, array in zip(pieces, arrays, strict=True):
            assert (piece.shape, piece.dtype) == (array.shape, array.dtype)
            assert piece.strides == np.empty_like(array).strides
            assert piece.ctypes.data % ALIGNMENT == 0
            assert piece.base is pieces[0].base
            assert not piece.any()
        for i, piece in enumerate(pieces):
            piece[...] = i + 1
        for i, piece in enumerate(pieces):
            np.testing.assert_array_equal(piece, i + 1)  # none overlaps another

    def test_nothing(self):
        assert zeros_like([]) == []


class TestWhereThingsLie:
    @WITH_STATE
    def test_state_is_cut_from_one_block(self, name, options):
        params = parameters(mc)
        optimizer = getattr(mc.optim, name)(params, **options)
        take_steps(mc, optimizer, params, range(1))
        kept = [t for state in optimizer.state.values() for key, t in state.items() if key != "step"]
        assert len({id(tensor.numpy().base) for tensor in kept}) == 1
        assert len(kept) >= len(params)

    @EVERY_RULE
    def test_parameters_and_state_are_never_moved(self, name, options):
        """What a user looks through, from before the first step or between two, sees every update."""
        params = parameters(mc)
        arrays = [param.detach().numpy() for param in params]
        data, row = params[0].data, params[0].detach()[1]
        optimizer = getattr(mc.optim, name)(params, **options)
        before = [array.copy() for array in arrays]
        take_steps(mc, optimizer, params, range(1))
        states = [t.numpy() for state in optimizer.state.values() for t in state.values()]
        state_before = [array.copy() for array in states]
        take_steps(mc, optimizer, params, range(1, 4))
        for param, array, old in zip(params, arrays, before, strict=True):
            assert param._array is array
            assert (array != old).all()
        np.testing.assert_array_equal(data.numpy(), arrays[0])
        np.testing.assert_array_equal(row.numpy(), arrays[0][1])
        for array, old in zip(states, state_before, strict=True):
            assert (array != old).any()

    def test_writes_between_steps_are_seen(self):
        (_, mine, ours), (_, other, theirs) = both("Adam", {"lr": 0.05})
        for library, optimizer, params in ((mc, mine, ours), (torch, other, theirs)):
            take_steps(library, optimizer, params, range(2))
            params[1].detach().numpy()[...] = 3.0
            with library.no_grad():
                params[0].mul_(0.5)
                optimizer.state[params[2]]["exp_avg"].zero_()
            take_steps(library, optimizer, params, range(2, 4))
        assert_same(ours, theirs)


class TestGradients:
    @EVERY_RULE
    def test_parameters_without_one_are_skipped(self, name, options):
        (_, mine, ours), (_, other, theirs) = both(name, options)
        for library, optimizer, params in ((mc, mine, ours), (torch, other, theirs)):
            take_steps(library, optimizer, params, range(2), skip=(1, 3))
            take_steps(library, optimizer, params, range(2, 5), skip=(0,))
        assert_same(ours, theirs)
        if name != "SGD":
            steps = [mine.state[param]["step"].item() for param in ours]
            assert steps == [2, 3, 5, 3] == [other.state[param]["step"].item() for param in theirs]

    @EVERY_RULE
    def test_none_at_all(self, name, options):
        params = parameters(mc)
        before = [param.detach().numpy().copy() for param in params]
        optimizer = getattr(mc.optim, name)(params, **options)
        optimizer.step()
        assert optimizer.state_dict()["state"] == {}
        for param, old in zip(params, before, strict=True):
            np.testing.assert_array_equal(param.detach().numpy(), old)

    def test_cleared_and_zeroed(self):
        """Zero gradients still move by momentum; None does not."""
        (_, mine, ours), (_, other, theirs) = both("SGD", {"lr": 0.1, "momentum": 0.9})
        for library, optimizer, params in ((mc, mine, ours), (torch, other, theirs)):
            take_steps(library, optimizer, params, range(2))
            optimizer.zero_grad(set_to_none=False)
            optimizer.step()
            optimizer.zero_grad()
            assert all(param.grad is None for param in params)
            optimizer.step()
        assert_same(ours, theirs)

    @EVERY_RULE
    def test_of_any_memory_order(self, name, options):
        (_, mine, ours), (_, other, theirs) = both(name, options)
        rng = np.random.default_rng(0)
        for _ in range(3):
            turned = rng.standard_normal((3, 4))
            wide = rng.standard_normal((2, 3, 2, 4))
            for library, optimizer, params in ((mc, mine, ours), (torch, other, theirs)):
                params[0].grad = library.tensor(turned).T
                params[2].grad = library.tensor(wide)[..., ::2]
                optimizer.step()
        assert_same(ours, theirs)

    def test_one_gradient_for_two_parameters(self):
        a, b = (mc.nn.Parameter(mc.ones(3)) for _ in range(2))
        a.grad = b.grad = mc.ones(3)
        mc.optim.Adam([a, b], lr=0.1).step()
        assert a.tolist() == b.tolist()
        assert a.grad.tolist() == [1, 1, 1]  # never written


class TestChange:
    """Parameters, groups and state that change between steps."""

    @EVERY_RULE
    def test_groups_are_added_and_rates_change(self, name, options):
        runs = []
        for library in (mc, torch):
            params = parameters(library)
            optimizer = getattr(library.optim, name)(params[:2], foreach=False, **options)
            take_steps(library, optimizer, params, range(2))
            optimizer.add_param_group({"params": params[2:], "lr": 0.01})
            take_steps(library, optimizer, params, range(2, 4))
            optimizer.param_groups[0]["lr"] = 0.2
            take_steps(library, optimizer, params, range(4, 6))
            runs.append(params)
        assert_same(*runs)

    @EVERY_RULE
    def test_a_parameter_is_replaced(self, name, options):
        """By one of another shape and dtype: it starts afresh, the others go on."""
        runs = []
        for library in (mc, torch):
            params = parameters(library)
            optimizer = getattr(library.optim, name)(params, foreach=False, **options)
            take_steps(library, optimizer, params, range(2))
            new = library.nn.Parameter(library.ones(5, 2, dtype=library.float32))
            optimizer.param_groups[0]["params"][1] = new
            for seed in range(2, 4):
                give_gradients(library, params, seed)
                new.grad = library.ones(5, 2, dtype=library.float32) * seed
                optimizer.step()
            assert new.dtype == library.float32
            np.testing.assert_allclose(new.detach().numpy().std(), 0, atol=1e-7)
            runs.append(params)
            runs.append([new])
        assert_same([runs[0][i] for i in (0, 1, 2, 3)], runs[2])
        # float32: rounding to 1.2e-7 in each of a few operations
        np.testing.assert_allclose(runs[1][0].detach().numpy(), runs[3][0].detach().numpy(), rtol=1e-6)

    @EVERY_RULE
    def test_data_is_replaced(self, name, options):
        """``param.data = ...`` gives it other memory: the state stays, the old memory is left alone."""
        (_, mine, ours), (_, other, theirs) = both(name, options)
        old = ours[0].detach().numpy()
        for library, optimizer, params in ((mc, mine, ours), (torch, other, theirs)):
            take_steps(library, optimizer, params, range(2))
            params[0].data = library.tensor(np.arange(12.0).reshape(4, 3))
            if library is mc:
                kept = old.copy()
            take_steps(library, optimizer, params, range(2, 4))
        assert_same(ours, theirs)
        np.testing.assert_array_equal(old, kept)

    @WITH_STATE
    def test_another_shape_or_dtype_under_old_state_is_refused(self, name, options):
        """Before anything has changed: neither a parameter nor a count."""
        params = parameters(mc)
        optimizer = getattr(mc.optim, name)(params, **options)
        take_steps(mc, optimizer, params, range(1))
        for data in (mc.ones(2, 2, 2, 2, dtype=mc.float64), mc.ones(2, 3, 2, 2, dtype=mc.float32)):
            params[2].data = data
            give_gradients(mc, [*params[:2], params[3]], 1)
            params[2].grad = mc.zeros(*data.shape, dtype=data.dtype)
            before = [param.detach().numpy().copy() for param in params]
            with pytest.raises(RuntimeError, match="make a new optimizer after"):
                optimizer.step()
            for param, value in zip(params, before, strict=True):
                np.testing.assert_array_equal(param.detach().numpy(), value)
            assert all(state["step"].item() == 1 for state in optimizer.state.values() if "step" in state)

    @WITH_STATE
    def test_resumed_runs_are_equal_to_the_byte(self, name, options):
        params = parameters(mc)
        optimizer = getattr(mc.optim, name)(params, **options)
        take_steps(mc, optimizer, params, range(3))
        saved = pickle.loads(pickle.dumps((params, optimizer.state_dict())))
        take_steps(mc, optimizer, params, range(3, 6))
        others, state = saved
        resumed = getattr(mc.optim, name)(others, lr=9.0)
        resumed.load_state_dict(state)
        take_steps(mc, resumed, others, range(3, 6))
        for one, other in zip(params, others, strict=True):
            assert one.detach().numpy().tobytes() == other.detach().numpy().tobytes()
        for key, kept in optimizer.state_dict()["state"].items():
            for part, tensor in kept.items():
                assert tensor.numpy().tobytes() == resumed.state_dict()["state"][key][part].numpy().tobytes()

    def test_state_is_loaded_into_a_running_optimizer(self):
        (_, mine, ours), (_, other, theirs) = both("Adam", {"lr": 0.05})
        for library, optimizer, params in ((mc, mine, ours), (torch, other, theirs)):
            take_steps(library, optimizer, params, range(2))
            state = copy.deepcopy(optimizer.state_dict())
            take_steps(library, optimizer, params, range(2, 4))
            optimizer.load_state_dict(state)
            take_steps(library, optimizer, params, range(4, 6))
        assert_same(ours, theirs)


class TestSharing:
    @EVERY_RULE
    def test_one_weight_in_two_places(self, name, options):
        runs = []
        for library in (mc, torch):
            library.manual_seed(0)
            first, second = (library.nn.Linear(3, 3).double() for _ in range(2))
            with library.no_grad():
                for i, param in enumerate([*first.parameters(), *second.parameters()]):
                    param.fill_(0.1 * (i + 1))
            second.weight = first.weight
            model = library.nn.Sequential(first, library.nn.Tanh(), second)
            assert len(list(model.parameters())) == 3
            optimizer = getattr(library.optim, name)(model.parameters(), foreach=False, **options)
            x = library.tensor(np.random.default_rng(0).standard_normal((5, 3)))
            for _ in range(4):
                optimizer.zero_grad()
                (model(x) ** 2).sum().backward()
                optimizer.step()
            assert first.weight is second.weight
            runs.append(list(model.parameters()))
        assert_same(*runs)

    @EVERY_RULE
    def test_two_optimizers_over_the_same_parameters(self, name, options):
        runs = []
        for library in (mc, torch):
            params = parameters(library)
            first = getattr(library.optim, name)(params, foreach=False, **options)
            second = library.optim.SGD(params[1:], lr=0.01, momentum=0.5, foreach=False)
            for seed in range(4):
                take_steps(library, first, params, range(seed, seed + 1))
                second.step()
            runs.append(params)
        assert_same(*runs)

    @EVERY_RULE
    def test_mentioned_twice(self, name, options):
        """As in torch's loop: updated once per mention, each time from what the last update left."""
        runs = []
        for library in (mc, torch):
            params = parameters(library)
            with pytest.warns(UserWarning, match="duplicate parameters"):
                optimizer = getattr(library.optim, name)([*params, params[0]], foreach=False, **options)
            take_steps(library, optimizer, params, range(3))
            runs.append(params)
        assert_same(*runs)


class TestCopiesAndFiles:
    @EVERY_RULE
    def test_deepcopy_goes_its_own_way(self, name, options):
        params = parameters(mc)
        optimizer = getattr(mc.optim, name)(params, **options)
        take_steps(mc, optimizer, params, range(2))
        twins, twin = copy.deepcopy((params, optimizer))
        halfway = [param.detach().numpy().copy() for param in params]
        take_steps(mc, twin, twins, range(2, 4))
        for param, value in zip(params, halfway, strict=True):
            np.testing.assert_array_equal(param.detach().numpy(), value)
        take_steps(mc, optimizer, params, range(2, 4))
        for param, other in zip(params, twins, strict=True):
            np.testing.assert_array_equal(param.detach().numpy(), other.detach().numpy())

    @EVERY_RULE
    def test_pickled_with_its_parameters(self, name, options):
        params = parameters(mc)
        optimizer = getattr(mc.optim, name)(params, **options)
        take_steps(mc, optimizer, params, range(2))
        twins, twin = pickle.loads(pickle.dumps((params, optimizer)))
        take_steps(mc, twin, twins, range(2, 4))
        take_steps(mc, optimizer, params, range(2, 4))
        for param, other in zip(params, twins, strict=True):
            np.testing.assert_array_equal(param.detach().numpy(), other.detach().numpy())

    def test_one_tensor_is_saved_alone(self, tmp_path):
        """A parameter of 8 bytes, or its state, beside one of a megabyte: the file holds the 8 bytes."""
        small, large = (mc.nn.Parameter(mc.zeros(n)) for n in (2, 1 << 18))
        small.grad, large.grad = mc.ones(2), mc.ones(1 << 18)
        optimizer = mc.optim.Adam([small, large])
        optimizer.step()
        for tensor in (small, optimizer.state[small]["exp_avg"]):
            assert len(pickle.dumps(tensor)) < 1000
            assert copy.deepcopy(tensor).detach().numpy().base is None
            save_state_dict({"w": tensor.detach()}, tmp_path / "one.safetensors")
            assert (tmp_path / "one.safetensors").stat().st_size < 1000
            loaded = load_state_dict_file(tmp_path / "one.safetensors")["w"]
            np.testing.assert_array_equal(loaded.numpy(), tensor.detach().numpy())


@EVERY_RULE
def test_infinite_parameters_as_in_torch(name, options):
    """Without weight decay they stay infinite; with it they make state and parameter NaN."""
    for decay in (0, 0.1):
        runs = []
        for library in (mc, torch):
            param = library.nn.Parameter(library.tensor(np.array([np.inf, -np.inf, 1.0, np.nan])))
            settings = {**options, "weight_decay": decay}
            optimizer = getattr(library.optim, name)([param], foreach=False, **settings)
            for _ in range(3):
                param.grad = library.ones(4, dtype=library.float64)
                optimizer.step()
            runs.append(param.detach().numpy())
        np.testing.assert_allclose(*runs, **CLOSE)
        if not decay:
            np.testing.assert_array_equal(runs[0][:2], [np.inf, -np.inf])
