"""Hooks: when they are called, with what, and what they may change."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.oracle import assert_same


def test_hooks_see_and_replace_gradients_as_in_torch():
    results = []
    for m in (mc, torch):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        seen = []
        x.register_hook(lambda g, seen=seen: seen.append(g.clone()))
        x.register_hook(lambda g: g * 2)
        h = x * x
        h.register_hook(lambda g: g + 1)
        h.register_hook(lambda g, seen=seen: seen.append(g.clone()))
        h.retain_grad()
        (h * 3 + h.exp()).sum().backward()
        results.append([*seen, h.grad, x.grad])
    for ours, theirs in zip(*results, strict=True):
        assert_same(ours, theirs, rtol=1e-6)


def test_hooks_are_called_once_with_the_whole_gradient():
    x = mc.ones(2, requires_grad=True)
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()))
    (x + x * 2 + x.exp() * 0).sum().backward()
    assert seen == [[3, 3]]


def test_removal():
    x = mc.ones(2, requires_grad=True)
    handle = x.register_hook(lambda g: g * 10)
    with x.register_hook(lambda g: g * 3):
        (x * 1).sum().backward()
    assert x.grad.tolist() == [30, 30]
    handle.remove()
    handle.remove()
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1, 1]
    y = x * 2
    handle = y.register_hook(lambda g: g * 10)
    handle.remove()
    y.sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_a_hook_may_remove_itself_and_add_others():
    x = mc.ones(1, requires_grad=True)
    called = []

    def once(grad):
        called.append("once")
        handle.remove()
        x.register_hook(lambda g: called.append("late"))

    handle = x.register_hook(once)
    x.sum().backward()
    x.sum().backward()
    assert called == ["once", "late"]


def test_what_a_hook_keeps_does_not_move():
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    kept = []
    x.register_hook(lambda g: kept.append(g))
    for _ in range(3):
        (x * x).sum().backward()
    assert [g.tolist() for g in kept] == [[2, 4]] * 3
    assert x.grad.tolist() == [6, 12]


@pytest.mark.parametrize("on_leaf", [True, False])
def test_a_hook_that_returns_the_same_tensor_each_time(on_leaf):
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    fixed = mc.tensor([5.0, 5.0])
    y = x if on_leaf else x.clone()
    y.register_hook(lambda g: fixed)
    (y + y * 2).sum().backward(retain_graph=True)
    (y + y * 2).sum().backward()
    assert fixed.tolist() == [5, 5]
    assert x.grad.tolist() == [10, 10]


def test_a_hook_that_returns_its_argument():
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    h = x + 0
    h.register_hook(lambda g: g)
    x.register_hook(lambda g: g)
    gradient = mc.ones(2)
    (h + h).backward(gradient)
    x.grad.mul_(0)
    assert gradient.tolist() == [1, 1]


def test_bad_hooks():
    x = mc.ones(2, requires_grad=True)
    with (
        x.register_hook(lambda g: mc.ones(3)),
        pytest.raises(RuntimeError, match=r"a hook made it.*\(3,\)"),
    ):
        x.sum().backward()
    with x.register_hook(lambda g: g.double()), pytest.raises(RuntimeError, match=r"a hook made it float64"):
        x.sum().backward()
    with x.register_hook(lambda g: 3), pytest.raises(TypeError, match=r"hook: expected .*Tensor or None, got int"):
        x.sum().backward()
    assert x.grad is None
    with pytest.raises(RuntimeError, match=r"register_hook: this tensor does not require grad"):
        mc.ones(2).register_hook(print)
    with pytest.raises(RuntimeError, match=r"retain_grad: this tensor does not require grad"):
        mc.ones(2).retain_grad()
    for tensor in (mc.ones(2), x * 2):
        with pytest.raises(RuntimeError, match=r"only for leaves that require grad"):
            tensor.register_post_accumulate_grad_hook(print)


def test_post_accumulate_hooks_fire_as_soon_as_their_leaf_is_complete():
    """The last layer's gradients arrive while the first layer still waits: data parallelism sends them early."""
    first, last = (mc.nn.Linear(2, 2, bias=False) for _ in range(2))
    events = []

    def record(name, others):
        return lambda leaf: events.append((name, leaf.grad is not None, [o.grad is None for o in others]))

    last.weight.register_post_accumulate_grad_hook(record("last", [first.weight]))
    first.weight.register_post_accumulate_grad_hook(record("first", [last.weight]))
    hidden = first(mc.ones(1, 2))
    hidden.register_hook(lambda g: events.append("between"))
    last(hidden).sum().backward()
    assert events == [("last", True, [True]), "between", ("first", True, [False])]


def test_post_accumulate_waits_for_all_uses_of_a_leaf():
    w = mc.ones(2, requires_grad=True)
    seen = []
    w.register_post_accumulate_grad_hook(lambda t: seen.append(t.grad.tolist()))
    h = w * 2
    (h * w).sum().backward()
    assert seen == [[4, 4]]
    (w * 0).sum().backward()
    assert seen == [[4, 4], [4, 4]]


def test_post_accumulate_may_step_and_clear():
    """An optimizer inside the backward pass: the gradient never outlives its leaf's turn."""
    w = mc.nn.Parameter(mc.ones(2))

    def step(leaf):
        with mc.no_grad():
            leaf.sub_(leaf.grad)
        leaf.grad = None

    w.register_post_accumulate_grad_hook(step)
    (w * 0.5).sum().backward()
    assert w.tolist() == [0.5, 0.5]
    assert w.grad is None


def test_retain_grad_as_in_torch():
    results = []
    for m in (mc, torch):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        x.retain_grad()
        h = x * 2
        h.retain_grad()
        h.retain_grad()
        y = (h * h).sum()
        y.backward(retain_graph=True)
        m.autograd.grad(y, x)
        results.append((x.grad, h.grad))
    assert_same(results[0][0], results[1][0])
    assert_same(results[0][1], results[1][1])


def test_hooks_belong_to_the_tensor_at_that_time():
    """A hook on a tensor that is then changed in place still sees the gradient of what it was."""
    results = []
    for m in (mc, torch):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        seen = []
        y.register_hook(lambda g, seen=seen: seen.append(g.clone()))
        y.mul_(3)
        y.sum().backward()
        results.append((seen[0], x.grad))
    assert_same(results[0][0], results[1][0])
    assert_same(results[0][1], results[1][1])


def test_hooks_run_without_recording():
    x = mc.ones(2, requires_grad=True)
    modes = []
    x.register_hook(lambda g: modes.append(mc.is_grad_enabled()))
    x.register_post_accumulate_grad_hook(lambda t: modes.append(mc.is_grad_enabled()))
    x.sum().backward()
    assert modes == [False, False]
    assert np.shares_memory(x.grad.numpy(), x.grad.detach().numpy())
