"""Plans as one operation of the graph: the same results, gradients, checks and errors as operation by operation."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minicnn as mc
from minicnn import nn
from minicnn.compiler.direct import Direct
from minicnn.nn import functional as F
from tests.compiler.test_guard import assert_equal


class Net(nn.Module):
    """``function(self, x)``, with a convolution and two linear layers to use."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(2, 3, 3, padding=1), nn.Linear(48, 5), nn.Linear(5, 5)
        self.function = function

    def forward(self, x):
        return self.function(self, x)


def chain(m, x):
    return m.two(m.one(F.relu(m.conv(x)).flatten(1)).tanh())


def both(m, x):
    y = m.one(m.conv(x).flatten(1))
    return y.relu(), m.two(y)


def weight_used_twice(m, x):
    y = m.two(m.one(m.conv(x).flatten(1)))
    return m.two(y * y) + y


def input_used_twice(m, x):
    return m.conv(x) * x.sum() + x.flatten(1).sum()


def constant_beside(m, x):
    return m.conv(x), F.relu(x) * 2


FUNCTIONS = chain, both, weight_used_twice, input_used_twice, constant_beside


def settled(function, dtype=mc.float64):
    """A model, its compiled copy that has run once, and an input."""
    mc.manual_seed(0)
    eager = Net(function).to(dtype)
    compiled = mc.compile(copy.deepcopy(eager))
    x = mc.randn(3, 2, 4, 4, dtype=dtype)
    compiled(x)
    return eager, compiled, x


def as_list(result):
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("input_too", [False, True])
def test_values_and_gradients(function, input_too):
    eager, compiled, x = settled(function)
    for _ in range(3):
        found = []
        for model in (eager, compiled):
            leaf = x.clone().requires_grad_(input_too)
            results = as_list(model(leaf))
            loss = sum((i + 1) * r.square().sum() for i, r in enumerate(results))
            loss.backward()
            grads = [p.grad for p in model.parameters()] + [leaf.grad]
            found.append([*(r.detach().numpy() for r in results), *(g.numpy() for g in grads if g is not None)])
            assert [r.requires_grad for r in results] == [r.requires_grad for r in as_list(eager(leaf))]
        assert_equal(*found)
    assert isinstance(compiled.plan._direct, Direct)


def test_one_node_stands_for_all():
    _, compiled, x = settled(chain)
    node = compiled(x).grad_fn
    assert node.name() == "CompiledBackward"
    assert {id(leaf) for leaf, _ in node.next_functions} == {id(p) for p in compiled.parameters()}


def test_only_one_result_is_used():
    eager, compiled, x = settled(both)
    for i in range(2):
        found = []
        for model in (eager, compiled):
            model.zero_grad()
            model(x)[i].sum().backward()
            found.append([np.zeros(0) if p.grad is None else p.grad.numpy() for p in model.parameters()])
        assert_equal(*found)  # None, too, where the result does not depend on a parameter


@pytest.mark.parametrize("changed", ["weight", "input", "result"])
def test_what_was_kept_must_not_change(changed):
    _, compiled, x = settled(lambda m, x: F.relu(m.one(m.conv(x).flatten(1))))
    y = compiled(x)
    with mc.no_grad():
        {"weight": compiled.one.weight, "input": x, "result": y}[changed].add_(1.0)
    with pytest.raises(RuntimeError, match="has changed it in place since"):
        y.sum().backward()


def test_a_second_backward():
    eager, compiled, x = settled(chain)
    for model in (eager, compiled):
        y = model(x).sum()
        y.backward(retain_graph=True)
        y.backward()
        with pytest.raises(RuntimeError, match="a second time"):
            y.backward()
    assert_equal(*([p.grad.numpy() for p in m.parameters()] for m in (eager, compiled)))


def test_hooks_of_parameters_and_results():
    eager, compiled, x = settled(chain)
    seen = []
    for model in (eager, compiled):
        model.one.weight.register_hook(lambda g: g * 2)
        model.two.bias.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone().numpy()))
        y = model(x)
        y.register_hook(lambda g: g + 1)
        y.retain_grad()
        y.sum().backward()
        seen.append(y.grad.numpy())
    assert_equal(seen[:2], seen[2:])
    assert_equal(*([p.grad.numpy() for p in m.parameters()] for m in (eager, compiled)))


@pytest.mark.parametrize(
    "function",
    [lambda m, x: m.conv(x).flatten(1), lambda m, x: (y := m.conv(x), y), lambda m, x: (x.flatten(1), m.conv(x))],
)
def test_views_and_results_given_twice_go_operation_by_operation(function):
    eager, compiled, x = settled(function)
    for ours, theirs in zip(as_list(compiled(x)), as_list(eager(x)), strict=True):
        assert_equal([ours.detach().numpy()], [theirs.detach().numpy()])
    assert compiled.plan._direct is None


def test_without_gradients():
    eager, compiled, x = settled(chain)
    with mc.no_grad():
        for _ in range(3):
            y = compiled(x)
            assert_equal([y.numpy()], [eager(x).numpy()])
            assert y.grad_fn is None
    assert compiled.plan._fixed is not None  # which is more direct still


def test_frozen_parameters_cost_nothing():
    eager, compiled, x = settled(chain)
    for model in (eager, compiled):
        model.conv.requires_grad_(False)
        model.one.requires_grad_(False)
        for _ in range(2):
            model.zero_grad()
            model(x).sum().backward()
    assert_equal(*([p.grad.numpy() for p in m.two.parameters()] for m in (eager, compiled)))
    assert compiled.one.weight.grad is None
    assert len(compiled.plan._direct.leaves) == 2
