"""Pruning beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.utils.prune

import minicnn as mc
from minicnn.nn.utils import prune
from tests.helpers.modules import assert_close, assert_same_state, copy_into_ours

STEPS: dict[str, Any] = {
    "identity": lambda p, n, m: p.identity(m, "weight"),
    "l1": lambda p, n, m: p.l1_unstructured(m, "weight", amount=0.3),
    "l1-number": lambda p, n, m: p.l1_unstructured(m, "weight", amount=5),
    "l1-scores": lambda p, n, m: p.l1_unstructured(m, "weight", 0.4, importance_scores=-(m.weight**2) + m.weight),
    "l2-rows": lambda p, n, m: p.ln_structured(m, "weight", amount=0.4, n=2, dim=0),
    "inf-columns": lambda p, n, m: p.ln_structured(m, "weight", amount=1, n=float("inf"), dim=1),
    "l1-last": lambda p, n, m: p.ln_structured(m, "weight", amount=1, n=1, dim=-1),
    "mask": lambda p, n, m: p.custom_from_mask(m, "weight", m.weight.detach() > -0.1),
    "nothing": lambda p, n, m: p.l1_unstructured(m, "weight", amount=0),
    "bias": lambda p, n, m: p.l1_unstructured(m, "bias", amount=0.5),
}


def pair(make: Any) -> tuple[Any, Any]:
    torch.manual_seed(0)
    ours, theirs = make(mc.nn).double(), make(torch.nn).double()
    copy_into_ours(ours, theirs)
    return ours, theirs


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("second", [None, "l1", "l2-rows", "inf-columns", "mask", "bias"])
def test_once_and_again(first, second):
    layers = pair(lambda nn: nn.Conv2d(3, 5, 2))
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 4))
    outputs = []
    for layer, module, library in zip(layers, (prune, torch.nn.utils.prune), (mc, torch), strict=True):
        assert not module.is_pruned(layer)
        for step in filter(None, (first, second)):
            assert STEPS[step](module, library, layer) is layer
        assert module.is_pruned(library.nn.Sequential(layer))
        outputs.append(layer(library.tensor(x)))
        (outputs[-1] ** 2).sum().backward()
    assert_close(*outputs, np.float64, "output")
    assert_same_state(*layers, np.float64)
    for mine, other in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        assert_close(mine.grad, other.grad, np.float64, "gradient")
    for layer, module in zip(layers, (prune, torch.nn.utils.prune), strict=True):
        names = {"bias" if step == "bias" else "weight" for step in (first, second) if step}
        for name in sorted(names):
            module.remove(layer, name)
        assert not module.is_pruned(layer)
    assert_same_state(*layers, np.float64)
    assert list(dict(layers[0].named_parameters())) == list(dict(layers[1].named_parameters()))


@pytest.mark.parametrize("scored", [False, True])
def test_globally(scored):
    nets = pair(lambda nn: nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)))
    for net, module in zip(nets, (prune, torch.nn.utils.prune), strict=True):
        pairs = [(net[0], "weight"), (net[2], "weight"), (net[0], "bias")]
        scores = {pairs[1]: net[2].weight.detach() ** 2} if scored else None
        for amount in (0.3, 7):
            module.global_unstructured(
                pairs, pruning_method=module.L1Unstructured, importance_scores=scores, amount=amount
            )
    assert_same_state(*nets, np.float64)


def test_at_random():
    mc.manual_seed(0)
    layer = prune.random_unstructured(mc.nn.Linear(10, 10), "weight", amount=0.3)
    prune.random_unstructured(layer, "weight", amount=0.5)
    assert (layer.weight == 0).sum().item() == 30 + 35
    layer = prune.random_structured(mc.nn.Conv2d(4, 6, 3), "weight", amount=2, dim=0)
    prune.random_structured(layer, "weight", amount=0.5, dim=1)
    zeros = layer.weight_mask.numpy() == 0
    assert zeros.all(axis=(1, 2, 3)).sum() == 2
    assert zeros.all(axis=(0, 2, 3)).sum() == 2
    first = prune.random_unstructured(mc.nn.Linear(10, 10), "weight", amount=0.3).weight_mask
    second = prune.random_unstructured(mc.nn.Linear(10, 10), "weight", amount=0.3).weight_mask
    assert not first.equal(second)


def test_a_method_by_itself_and_one_of_ones_own():
    t = mc.tensor([[1.0, -3.0], [0.5, 2.0]])
    assert prune.L1Unstructured(amount=2).prune(t).tolist() == [[0, -3], [0, 2]]
    assert prune.LnStructured(amount=1, n=2, dim=0).prune(t).tolist() == [[1, -3], [0, 0]]

    class EveryOther(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    layer = mc.nn.Linear(4, 1)
    EveryOther.apply(layer, "weight")
    assert layer.weight_mask.tolist() == [[0, 1, 0, 1]]
    method = EveryOther.apply(layer, "weight")
    assert layer.weight_mask.tolist() == [[0, 0, 0, 1]]
    assert isinstance(method, prune.PruningContainer)
    assert [type(one) for one in method] == [EveryOther] * len(method)
    assert method[1]._tensor_name == "weight"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: prune.l1_unstructured(m, "weight", "some"), TypeError, "Must be int or float"),
        (lambda m: prune.l1_unstructured(m, "weight", 1.5), ValueError, r"float in the range \[0, 1\]"),
        (lambda m: prune.l1_unstructured(m, "weight", -1), ValueError, "non-negative integer"),
        (lambda m: prune.l1_unstructured(m, "weight", 13), ValueError, "number of parameters to prune=12"),
        (lambda m: prune.ln_structured(m, "bias", 1, 2, 0), ValueError, "multidimensional tensors"),
        (lambda m: prune.ln_structured(m, "weight", 1, 2, 3), IndexError, "Invalid index 3 for tensor of size"),
        (lambda m: prune.ln_structured(m, "weight", 1, "nuc", 0), NotImplementedError, "n='nuc'"),
        (lambda m: prune.remove(m, "weight"), ValueError, "has to be pruned before pruning can be removed"),
        (
            lambda m: prune.l1_unstructured(m, "weight", 1, importance_scores=mc.zeros(2)),
            ValueError,
            "should have the shape of the parameter weight",
        ),
        (
            lambda m: prune.global_unstructured([(m, "weight")], prune.LnStructured, amount=1, n=2),
            TypeError,
            'Only "unstructured" PRUNING_TYPE supported',
        ),
        (lambda m: prune.global_unstructured(3, prune.L1Unstructured, amount=1), TypeError, "not an Iterable"),
        (lambda m: prune.PruningContainer(3), TypeError, "int"),
    ],
)
def test_errors_leave_the_module_alone(call, error, message):
    layer = mc.nn.Linear(4, 3)
    with pytest.raises(error, match=message):
        call(layer)
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert not prune.is_pruned(layer)
