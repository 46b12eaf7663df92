"""Sequential, ModuleList, ModuleDict: the same operations on ours and on PyTorch's."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch

import minicnn as mc
from minicnn import nn


def sequential(nn):
    return nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 3), nn.Tanh())


def module_list(nn):
    return nn.ModuleList([nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 3), nn.Tanh()])


OPERATIONS = {
    "slice": lambda m, nn: m[1:3],
    "slice-step": lambda m, nn: m[::2],
    "slice-negative": lambda m, nn: m[-2:],
    "append": lambda m, nn: m.append(nn.Sigmoid()),
    "extend": lambda m, nn: m.extend([nn.Sigmoid(), nn.Flatten()]),
    "extend-itself": lambda m, nn: m.extend(list(m)),
    "insert": lambda m, nn: (m.insert(1, nn.Sigmoid()), m)[1],
    "insert-last": lambda m, nn: (m.insert(4, nn.Sigmoid()), m)[1],
    "set": lambda m, nn: (m.__setitem__(-1, nn.Sigmoid()), m)[1],
    "delete": lambda m, nn: (m.__delitem__(1), m)[1],
    "delete-slice": lambda m, nn: (m.__delitem__(slice(1, 3)), m)[1],
    "pop": lambda m, nn: (m.pop(-1), m)[1],
    "pop-returns": lambda m, nn: m.pop(0),
    "add": lambda m, nn: m + type(m)(*([nn.Sigmoid()] if isinstance(m, nn.Sequential) else [[nn.Sigmoid()]])),
    "iadd": lambda m, nn: m.__iadd__(type(m)(*([nn.Sigmoid()] if isinstance(m, nn.Sequential) else [[nn.Sigmoid()]]))),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("make", [sequential, module_list])
def test_operations_do_what_torchs_do(make, operation):
    ours = OPERATIONS[operation](make(mc.nn), mc.nn)
    theirs = OPERATIONS[operation](make(torch.nn), torch.nn)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())


class TestSequential:
    def test_repetition_shares_parameters(self):
        for repeat in (lambda m: m * 3, lambda m: 3 * m, lambda m: m.__imul__(3)):
            ours, theirs = repeat(sequential(mc.nn)), repeat(sequential(torch.nn))
            assert repr(ours) == repr(theirs)
            assert ours[0] is ours[4]
        with pytest.raises(ValueError, match="Non-positive multiplication factor 0"):
            _ = sequential(nn) * 0
        with pytest.raises(TypeError, match="unsupported operand"):
            _ = sequential(nn) * 1.5

    def test_names(self):
        model = nn.Sequential(OrderedDict([("fc", nn.Linear(2, 3)), ("act", nn.ReLU())]))
        assert model.fc is model[0]
        assert list(model.state_dict()) == ["fc.weight", "fc.bias"]
        assert list(model[:1].state_dict()) == ["fc.weight", "fc.bias"]
        model[1] = nn.Tanh()
        assert isinstance(model.act, nn.Tanh)

    def test_calls_in_order(self):
        model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        assert tuple(model(mc.zeros(3, 2, 2)).shape) == (3, 2)
        assert nn.Sequential()(5) == 5

    def test_len_iteration_and_errors(self):
        model = sequential(nn)
        assert len(model) == 4
        assert [type(m).__name__ for m in model] == ["Linear", "ReLU", "Linear", "Tanh"]
        with pytest.raises(IndexError, match="index 4 is out of range"):
            _ = model[4]
        with pytest.raises(IndexError, match="Index out of range: 9"):
            model.insert(9, nn.ReLU())
        with pytest.raises(TypeError, match="module should be of type"):
            model.insert(0, 3)
        with pytest.raises(TypeError, match="is not a Module subclass"):
            nn.Sequential(lambda x: x)
        with pytest.raises(ValueError, match="only objects of Sequential class"):
            model.__add__([nn.ReLU()])
        with pytest.raises(ValueError, match="only objects of Sequential class"):
            model += [nn.ReLU()]


class TestModuleList:
    def test_its_parameters_are_found(self):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))

            def forward(self, x):
                for layer in self.layers:
                    x = layer(x)
                return x

        net = Net()
        assert len(list(net.parameters())) == 6
        assert tuple(net(mc.zeros(1, 2)).shape) == (1, 2)

    def test_errors(self):
        with pytest.raises(TypeError, match=r"ModuleList.extend should be called with an iterable, but got ReLU"):
            nn.ModuleList().extend(nn.ReLU())
        with pytest.raises(NotImplementedError, match='missing the required "forward"'):
            nn.ModuleList()(1)


class TestModuleDict:
    def test_is_a_dictionary(self):
        choices = nn.ModuleDict([("a", nn.Linear(1, 1)), ("b", nn.ReLU())])
        choices["c"] = nn.Tanh()
        choices.update(nn.ModuleDict({"d": nn.Sigmoid()}))
        assert list(choices) == list(choices.keys()) == ["a", "b", "c", "d"]
        assert len(choices) == 4
        assert "a" in choices
        assert choices["a"] is dict(choices.items())["a"] is next(iter(choices.values()))
        assert isinstance(choices.pop("c"), nn.Tanh)
        del choices["d"]
        assert list(choices.state_dict()) == ["a.weight", "a.bias"]
        choices.clear()
        assert len(choices) == 0
        with pytest.raises(KeyError):
            choices.pop("a")

    @pytest.mark.parametrize(
        ("value", "error", "message"),
        [
            (3, TypeError, "should be called with an iterable of key/value pairs, but got int"),
            ([3], TypeError, "element #0 should be Iterable; is int"),
            ([("a", nn.ReLU(), 1)], ValueError, "element #0 has length 3; 2 is required"),
            ({"a": 1}, TypeError, "is not a Module subclass"),
            ({"a.b": nn.ReLU()}, KeyError, "module name can"),
        ],
    )
    def test_errors(self, value, error, message):
        with pytest.raises(error, match=message):
            nn.ModuleDict(value)
