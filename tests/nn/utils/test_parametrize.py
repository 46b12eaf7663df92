"""Parametrizations, against torch's."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.nn.utils import parametrize
from tests.helpers.modules import assert_close, copy_into_ours


def parametrizations(m):
    class Symmetric(m.nn.Module):
        def forward(self, x):
            return (x + x.mT) * 0.5

    class Exp(m.nn.Module):
        def forward(self, x):
            return x.exp()

        def right_inverse(self, y):
            return y.abs().log()

    class Product(m.nn.Module):  # from two tensors
        def forward(self, a, b):
            return a * b

        def right_inverse(self, y):
            return y * 2, m.full_like(y, 0.5)

    class Wider(m.nn.Module):
        def forward(self, x):
            return m.cat([x, x])

    return {"symmetric": Symmetric, "exp": Exp, "product": Product, "wider": Wider}


def api(m):
    return parametrize if m is mc else torch.nn.utils.parametrize


def layers(*names):
    """The same layer under both modules with the same values, its weight parametrized in order."""
    theirs = torch.nn.Linear(3, 3, dtype=torch.float64)
    ours = mc.nn.Linear(3, 3, dtype=mc.float64)
    copy_into_ours(ours, theirs)
    for m, layer in ((mc, ours), (torch, theirs)):
        for name in names:
            api(m).register_parametrization(layer, "weight", parametrizations(m)[name]())
    return ours, theirs


def forward_and_backward(ours, theirs):
    x = np.random.default_rng(0).standard_normal((4, 3))
    y, y_theirs = ours(mc.from_numpy(x)), theirs(torch.from_numpy(x))
    assert_close(y, y_theirs, np.float64, "output")
    (y * y).sum().backward()
    (y_theirs * y_theirs).sum().backward()
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert_close(parameter.grad, gradients[name].grad, np.float64, name)
        parameter.grad = gradients[name].grad = None


CHAINS = [("symmetric",), ("exp",), ("product",), ("exp", "symmetric"), ("product", "exp")]


@pytest.mark.parametrize("names", CHAINS)
def test_as_torchs(names):
    ours, theirs = layers(*names)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert type(ours).__name__ == type(theirs).__name__ == "ParametrizedLinear"
    assert repr(ours) == repr(theirs).replace("ParametrizedLinear", type(ours).__name__)
    forward_and_backward(ours, theirs)
    copy_into_ours(ours, theirs)
    assert parametrize.is_parametrized(ours)
    assert parametrize.is_parametrized(ours, "weight")
    assert not parametrize.is_parametrized(ours, "bias")


@pytest.mark.parametrize("names", CHAINS)
@pytest.mark.parametrize("leave", [True, False])
def test_removal(names, leave):
    ours, theirs = layers(*names)
    if "product" in names and not leave:
        with pytest.raises(ValueError, match="only True is possible"):
            parametrize.remove_parametrizations(ours, "weight", leave)
        return
    parametrize.remove_parametrizations(ours, "weight", leave)
    torch.nn.utils.parametrize.remove_parametrizations(theirs, "weight", leave)
    assert type(ours) is mc.nn.Linear
    assert list(ours.state_dict()) == list(theirs.state_dict())
    forward_and_backward(ours, theirs)


@pytest.mark.parametrize("names", [("exp",), ("product",), ("product", "exp")])
def test_assignment_goes_through_right_inverse(names):
    ours, theirs = layers(*names)
    value = np.random.default_rng(1).uniform(0.5, 2, (3, 3))
    ours.weight, theirs.weight = mc.from_numpy(value), torch.from_numpy(value)
    for name, parameter in theirs.named_parameters():
        assert_close(ours.get_parameter(name), parameter, np.float64, name)
    np.testing.assert_allclose(ours.weight.detach().numpy(), value)
    forward_and_backward(ours, theirs)


def test_assignment_without_right_inverse():
    with pytest.raises(RuntimeError, match="does not implement right_inverse"):
        layers("symmetric")[0].weight = mc.zeros(3, 3, dtype=mc.float64)


def test_two_tensors_and_a_buffer():
    norm = mc.nn.BatchNorm1d(2)
    parametrize.register_parametrization(norm, "running_var", parametrizations(mc)["exp"]())
    parametrize.register_parametrization(norm, "weight", parametrizations(mc)["exp"]())
    assert [n for n, _ in norm.named_buffers()] == [
        "running_mean", "num_batches_tracked", "parametrizations.running_var.original",
    ]  # fmt: skip
    parametrize.remove_parametrizations(norm, "weight")
    assert parametrize.type_before_parametrizations(norm) is mc.nn.BatchNorm1d
    parametrize.remove_parametrizations(norm, "running_var")
    assert type(norm) is mc.nn.BatchNorm1d
    assert "running_var" in norm.state_dict()


def test_another_shape():
    layer = mc.nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"gives shape \(4, 2\), expected that of the original, \(2, 2\); pass unsafe"):
        parametrize.register_parametrization(layer, "weight", parametrizations(mc)["wider"]())
    assert type(layer) is mc.nn.Linear  # nothing has changed
    parametrize.register_parametrization(layer, "weight", parametrizations(mc)["wider"](), unsafe=True)
    assert layer.weight.shape == (4, 2)
    with pytest.raises(ValueError, match="does not have a parameter, a buffer"):
        parametrize.register_parametrization(layer, "wait", mc.nn.Identity())
    with pytest.raises(ValueError, match="does not have a parametrization on bias"):
        parametrize.remove_parametrizations(layer, "bias")


def test_cached():
    ours, _ = layers("exp")
    assert ours.weight is not ours.weight
    with parametrize.cached():
        first = ours.weight
        with parametrize.cached():
            assert ours.weight is first
        assert ours.weight is first
    assert ours.weight is not first


def test_copies():
    ours, theirs = layers("exp")
    twin = copy.deepcopy(ours)
    parametrize.remove_parametrizations(ours, "weight")
    assert parametrize.is_parametrized(twin, "weight")
    forward_and_backward(twin, theirs)
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(twin)


def test_transfer():
    source, _ = layers("exp", "symmetric")
    target = mc.nn.Linear(3, 3, dtype=mc.float64)
    assert parametrize.transfer_parametrizations_and_params(source, target) is target
    np.testing.assert_array_equal(target.weight.detach().numpy(), source.weight.detach().numpy())
    with pytest.raises(ValueError, match="is not parametrized"):
        parametrize.transfer_parametrizations_and_params(mc.nn.Linear(1, 1), target)
