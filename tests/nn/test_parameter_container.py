"""ParameterList and ParameterDict against torch's."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import pytest
import torch

import minicnn as mc
from minicnn import nn


def shown(module):
    """repr, with the names of our dtypes in torch's place."""
    return repr(module).replace("minicnn.", "torch.").replace("torch.FloatTensor", "torch.float32")


def parameter_list(m):
    return m.nn.ParameterList([m.ones(2, 3), m.nn.Parameter(m.zeros(1)), 3, "a"])


def parameter_dict(m):
    return m.nn.ParameterDict({"b": m.ones(2), "a": m.nn.Parameter(m.zeros(1)), "c": 3})


@pytest.mark.parametrize(
    "change",
    [
        lambda ps, m: ps,
        lambda ps, m: ps.append(m.ones(4)),
        lambda ps, m: ps.extend(ps),
        lambda ps, m: ps.__iadd__([m.ones(1), None]),
        lambda ps, m: ps[1:],
        lambda ps, m: ps[::-2],
        lambda ps, m: ps.__setitem__(-4, m.zeros(7)) or ps,
        lambda ps, m: ps.__setitem__(2, "gone") or ps,
        lambda ps, m: m.nn.ParameterList(ps),
        lambda ps, m: m.nn.ParameterList(),
    ],
)
def test_lists(change):
    ours, theirs = change(parameter_list(mc), mc), change(parameter_list(torch), torch)
    assert shown(ours) == shown(theirs)
    assert len(ours) == len(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert [isinstance(p, nn.Parameter) for p in ours] == [isinstance(p, torch.nn.Parameter) for p in theirs]


@pytest.mark.parametrize(
    "change",
    [
        lambda pd, m: pd,
        lambda pd, m: pd.update({"z": m.ones(1), "y": m.ones(2)}) or pd,
        lambda pd, m: pd.update(OrderedDict(z=m.ones(1), y=m.ones(2))) or pd,
        lambda pd, m: pd.update([("z", m.ones(1)), ("a", m.ones(2))]) or pd,
        lambda pd, m: pd.pop("a") is None or pd,
        lambda pd, m: pd.popitem()[0] == "c" and pd,
        lambda pd, m: pd.setdefault("d", m.ones(1)) is None or pd,
        lambda pd, m: pd.setdefault("a", 5) is None or pd,
        lambda pd, m: pd.copy(),
        lambda pd, m: pd.fromkeys(["q", "p"], m.ones(1)),
        lambda pd, m: pd | m.nn.ParameterDict({"z": m.ones(1), "c": 4}),
        lambda pd, m: pd.__ror__(m.nn.ParameterDict({"z": m.ones(1)})),
        lambda pd, m: pd.__ior__(m.nn.ParameterDict({"z": m.ones(1)})),
        lambda pd, m: pd.clear() or pd,
        lambda pd, m: pd.__delitem__("b") or pd,
    ],
)
def test_dictionaries(change):
    ours, theirs = change(parameter_dict(mc), mc), change(parameter_dict(torch), torch)
    assert shown(ours) == shown(theirs)
    assert (len(ours), list(ours), list(reversed(ours))) == (len(theirs), list(theirs), list(reversed(theirs)))
    assert (list(ours.keys()), [k for k, _ in ours.items()]) == (list(theirs.keys()), [k for k, _ in theirs.items()])
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert ("a" in ours, ours.get("nope", 5)) == ("a" in theirs, theirs.get("nope", 5))
    assert len(list(ours.values())) == len(ours)


def test_copies():
    for module in (parameter_list(mc), parameter_dict(mc)):
        for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert repr(twin) == repr(module)
            assert list(twin.state_dict()) == list(module.state_dict())
    assert dir(parameter_list(mc)).count("0") == 0


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda m: parameter_list(m)[4], IndexError, "index 4 is out of range"),
        (lambda m: parameter_list(m)[-5], IndexError, "out of range"),
        (lambda m: parameter_list(m)(1), RuntimeError, "should not be called"),
        (lambda m: parameter_list(m).extend(3), TypeError, "called with an iterable, but got int"),
        (lambda m: m.nn.ParameterList([m.tensor([1])]), RuntimeError, "floating point"),
        (lambda m: parameter_dict(m).__setitem__("a", 3), TypeError, "cannot assign 'int' as parameter 'a'"),
        (lambda m: parameter_dict(m)(1), RuntimeError, "should not be called"),
        (lambda m: parameter_dict(m).update(3), TypeError, "iterable of key/value pairs"),
        (lambda m: parameter_dict(m).update([3]), TypeError, "element #0 should be Iterable; is int"),
        (lambda m: parameter_dict(m).update([(1, 2, 3)]), ValueError, "has length 3; 2 is required"),
        (lambda m: parameter_dict(m).__setitem__(3, m.ones(1)), TypeError, "not a string"),
        (lambda m: parameter_dict(m)["nope"], (KeyError, AttributeError), "nope"),
        (lambda m: parameter_dict(m).__delitem__("nope"), KeyError, "nope"),
        (lambda m: m.nn.ParameterDict().popitem(), KeyError, "empty"),
    ],
)
def test_refusals(call, error, match):
    with pytest.raises(error):
        call(torch)
    with pytest.raises(error, match=match):
        call(mc)
