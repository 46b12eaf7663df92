"""state_dict and load_state_dict."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn import nn


def small(nn):
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3), norm=nn.BatchNorm2d(2), head=nn.Linear(2, 3)))


class TestSave:
    def test_keys_in_torchs_order(self):
        ours, theirs = small(mc.nn).state_dict(prefix="net."), small(torch.nn).state_dict(prefix="net.")
        assert isinstance(ours, OrderedDict)
        assert list(ours) == list(theirs)
        assert ours._metadata == theirs._metadata

    def test_shares_memory_and_forgets_the_graph(self):
        model = small(mc.nn)
        state = model.state_dict()
        assert not state["conv.weight"].requires_grad
        assert type(state["conv.weight"]) is mc.Tensor
        with mc.no_grad():
            model.conv.weight.fill_(3)
        assert state["conv.weight"].numpy().min() == 3
        assert model.state_dict(keep_vars=True)["conv.weight"] is model.conv.weight

    def test_into_a_given_dictionary(self):
        destination = {"other": 1}
        assert small(mc.nn).state_dict(destination=destination) is destination
        assert list(destination)[:2] == ["other", "conv.weight"]


class TestLoad:
    def test_copies_in_place(self):
        model, source = small(mc.nn), small(mc.nn)
        weight = model.conv.weight
        result = model.load_state_dict(source.state_dict())
        assert model.conv.weight is weight
        np.testing.assert_array_equal(weight.detach().numpy(), source.conv.weight.detach().numpy())
        assert result == ([], [])
        assert (result.missing_keys, result.unexpected_keys) == ([], [])
        assert repr(result) == "<All keys matched successfully>"

    def test_casts_to_the_models_dtype(self):
        model = small(mc.nn)
        model.load_state_dict(small(mc.nn).double().state_dict())
        assert model.conv.weight.dtype == mc.float32

    def test_loading_is_seen_by_a_stale_backward(self):
        layer = nn.Linear(2, 2)
        loss = layer(mc.ones(1, 2, requires_grad=True)).sum()
        layer.load_state_dict(layer.state_dict())
        with pytest.raises(RuntimeError, match="in place"):
            loss.backward()

    def test_assign(self):
        model = small(mc.nn)
        model.conv.weight.requires_grad_(False)
        state = small(mc.nn).double().state_dict()
        model.load_state_dict(state, assign=True)
        assert model.conv.weight.dtype == mc.float64
        assert isinstance(model.conv.weight, nn.Parameter)
        assert not model.conv.weight.requires_grad
        assert model.conv.bias.requires_grad
        assert model.norm.running_mean is state["norm.running_mean"]
        with mc.no_grad():
            state["conv.weight"].fill_(7)
        assert model.conv.weight.detach().numpy().max() == 7

    def broken(self, nn, zeros):
        model = small(nn)
        state = OrderedDict(model.state_dict())
        del state["conv.bias"], state["head.weight"]
        state["head.extra"] = zeros(1)
        state["other.weight"] = zeros(1)
        state["norm.weight"] = zeros(5)
        return model, state

    def test_one_message_lists_everything_as_torchs_does(self):
        ours, state = self.broken(mc.nn, mc.zeros)
        before = {name: value.numpy().copy() for name, value in ours.state_dict().items()}
        state["conv.weight"] = mc.ones(2, 1, 3, 3) * 9
        with pytest.raises(RuntimeError) as error:
            ours.load_state_dict(state)
        theirs, state_theirs = self.broken(torch.nn, torch.zeros)
        with pytest.raises(RuntimeError) as expected:
            theirs.load_state_dict(state_theirs)
        assert str(error.value) == str(expected.value).replace("torch.Size", "minicnn.Size")
        # Unlike torch's, a load that fails changes nothing.
        for name, value in ours.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), before[name])

    def test_not_strict(self):
        ours, state = self.broken(mc.nn, mc.zeros)
        theirs, state_theirs = self.broken(torch.nn, torch.zeros)
        with pytest.raises(RuntimeError, match=r"size mismatch for norm.weight"):
            ours.load_state_dict(state, strict=False)
        del state["norm.weight"], state_theirs["norm.weight"]
        result, expected = ours.load_state_dict(state, strict=False), theirs.load_state_dict(state_theirs, strict=False)
        assert tuple(result) == tuple(expected)
        assert "missing_keys=['conv.bias'" in repr(result)

    def test_what_is_no_state(self):
        with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>"):
            nn.Linear(1, 1).load_state_dict([1])
        state = {"weight": np.zeros((1, 1)), "bias": mc.zeros(1)}
        with pytest.raises(RuntimeError, match=r'parameter named "weight".*ndarray.*from_numpy'):
            nn.Linear(1, 1).load_state_dict(state)

    def test_scalars_saved_with_one_dimension(self):
        model = nn.Module()
        model.scale = nn.Parameter(mc.tensor(1.0))
        model.load_state_dict({"scale": mc.tensor([4.0])})
        assert model.scale.item() == 4

    def test_shared_module_loads_under_both_names(self):
        model = nn.Module()
        model.a = nn.Linear(1, 1)
        model.b = model.a
        state = model.state_dict()
        assert list(state) == ["a.weight", "a.bias", "b.weight", "b.bias"]
        assert model.load_state_dict(state) == ([], [])

    def test_a_layer_can_read_what_it_used_to_write(self):
        class Renamed(nn.Module):
            def __init__(self):
                super().__init__()
                self.new = nn.Parameter(mc.zeros(2))

            def _load_from_state_dict(self, state_dict, prefix, *args):
                if prefix + "old" in state_dict:
                    state_dict[prefix + "new"] = state_dict.pop(prefix + "old")
                super()._load_from_state_dict(state_dict, prefix, *args)

        model = nn.Sequential(Renamed())
        model.load_state_dict({"0.old": mc.ones(2)})
        assert model[0].new.tolist() == [1, 1]


class TestHooks:
    def test_order_and_arguments(self):
        """What each hook sees, and when, under both frameworks."""

        def watch(module, name, log):
            module.register_state_dict_pre_hook(
                lambda module, prefix, keep_vars: log.append(("save", name, prefix, keep_vars))
            )
            module.register_state_dict_post_hook(
                lambda module, state, prefix, metadata: log.append(
                    ("saved", name, prefix, list(state), metadata["version"])
                )
            )
            module.register_load_state_dict_pre_hook(
                lambda module, state, prefix, metadata, strict, missing, unexpected, errors: log.append(
                    ("load", name, prefix, list(state), strict)
                )
            )
            module.register_load_state_dict_post_hook(
                lambda module, keys: log.append(("loaded", name, [*keys.missing_keys], [*keys.unexpected_keys]))
            )

        logs = []
        for m in (mc, torch):
            logs.append([])
            model = m.nn.Sequential(m.nn.Linear(2, 2), m.nn.Sequential(m.nn.Linear(2, 2)))
            for name, module in model.named_modules():
                watch(module, name, logs[-1])
            state = model.state_dict(prefix="", keep_vars=True)
            state.pop("0.bias")
            state["1.0.other"] = m.ones(1)
            model.load_state_dict(state, strict=False)
        ours, theirs = logs
        assert [entry for entry in ours if entry[0] != "loaded"] == [entry for entry in theirs if entry[0] != "loaded"]
        # torch loads as it goes, so an early hook there has not seen the keys of later modules; here all are compared first.
        assert [entry[1] for entry in ours if entry[0] == "loaded"] == [e[1] for e in theirs if e[0] == "loaded"]
        assert ours[-1] == theirs[-1] == ("loaded", "", ["0.bias"], ["1.0.other"])

    def test_renaming(self):
        layer = nn.Linear(2, 2)

        def rename(module, state, prefix, *rest):
            state[prefix + "weight"] = state.pop(prefix + "kernel")

        model = nn.Sequential(layer)
        layer.register_load_state_dict_pre_hook(rename)
        layer.register_state_dict_post_hook(
            lambda module, state, prefix, metadata: state.update({prefix + "kernel": state.pop(prefix + "weight")})
        )
        state = {name: value.clone() for name, value in model.state_dict().items()}
        assert list(state) == ["0.bias", "0.kernel"]
        with mc.no_grad():
            layer.weight.zero_()
        model.load_state_dict(state)
        np.testing.assert_array_equal(layer.weight.detach().numpy(), state["0.kernel"].numpy())

    def test_a_post_hook_may_forgive(self):
        layer, loaded = nn.Linear(2, 2), []

        def forgive(module, keys):
            loaded.append(module.weight.detach().clone())
            keys.missing_keys.clear()

        handle = layer.register_load_state_dict_post_hook(forgive)
        layer.load_state_dict({"weight": mc.ones(2, 2)})
        assert loaded[0].tolist() == [[1, 1], [1, 1]]
        handle.remove()
        with pytest.raises(RuntimeError, match="Missing key"):
            layer.load_state_dict({"weight": mc.ones(2, 2)})

    def test_hooks_return_nothing(self):
        layer = nn.Linear(2, 2)
        with (
            layer.register_state_dict_post_hook(lambda *args: 3),
            pytest.raises(RuntimeError, match="must return None"),
        ):
            layer.state_dict()
        layer.register_load_state_dict_post_hook(lambda *args: 3)
        with pytest.raises(RuntimeError, match="must return None"):
            layer.load_state_dict(layer.state_dict())


class TestExtraState:
    @staticmethod
    def counter(m):
        class Counter(m.nn.Module):
            count = 0

            def get_extra_state(self):
                return {"count": self.count}

            def set_extra_state(self, state):
                self.count = state["count"]

        return Counter()

    def test_is_saved_and_loaded(self):
        for m in (mc, torch):
            model = m.nn.Sequential(m.nn.Linear(1, 1), self.counter(m))
            model[1].count = 7
            state = model.state_dict()
            assert list(state) == ["0.weight", "0.bias", "1._extra_state"]
            other = m.nn.Sequential(m.nn.Linear(1, 1), self.counter(m))
            other.load_state_dict(state)
            assert other[1].count == 7
            del state["1._extra_state"]
            with pytest.raises(RuntimeError, match=r"Missing key.*_extra_state"):
                other.load_state_dict(state)
            with pytest.raises(RuntimeError, match=r"Unexpected key.*_extra_state"):
                m.nn.Linear(1, 1).load_state_dict({**m.nn.Linear(1, 1).state_dict(), "_extra_state": 3})

    def test_without(self):
        with pytest.raises(RuntimeError, match="has none"):
            nn.Linear(1, 1).get_extra_state()
        with pytest.raises(RuntimeError, match="has none"):
            nn.Linear(1, 1).set_extra_state(1)


def test_positional_arguments_are_deprecated():
    for m in (mc, torch):
        destination = OrderedDict()
        with pytest.warns(FutureWarning):
            assert m.nn.Linear(1, 1).state_dict(destination, "p.") is destination
        assert list(destination) == ["p.weight", "p.bias"]
