"""Hooks on saved tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.autograd.graph import save_on_cpu, saved_tensors_hooks
from tests.helpers.oracle import compare


def test_what_is_kept_goes_through_the_hooks_as_in_torch():
    def run(m, x, w):
        with m.autograd.graph.saved_tensors_hooks(
            lambda t: (t * 2).tolist(), lambda kept: m.tensor(kept, dtype=x.dtype)
        ):
            return (x @ w).sigmoid()  # both operands, and the sigmoid's result: doubled

    compare(run, np.array([[0.5, -1.0], [2.0, 0.25]]), np.array([[1.0, 0.5], [-0.5, 0.125]]))


def test_the_innermost_hooks_apply_and_end_with_their_block():
    log = []
    x = mc.ones(2, requires_grad=True)
    with saved_tensors_hooks(lambda t: log.append("outer") or t, lambda t: t):
        with saved_tensors_hooks(lambda t: log.append("inner") or t, lambda t: t):
            x.exp()
        x.exp()
    x.exp()
    assert log == ["inner", "outer"]


def test_hooks_are_not_for_what_hooks_compute():
    x = mc.ones(2, requires_grad=True)
    with saved_tensors_hooks(lambda t: t * mc.ones(2, requires_grad=True), lambda t: t.detach()):
        y = x.exp()
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.e, rtol=1e-6)


def test_each_backward_unpacks_again():
    calls = []
    x = mc.ones(2, requires_grad=True)
    with saved_tensors_hooks(lambda t: t, lambda t: calls.append(None) or t):
        y = x.exp().sum()
    y.backward(retain_graph=True)
    y.backward()
    assert len(calls) == 2
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


def test_unpacked_tensors_are_never_taken_over():
    """The engine adds up in place only what is surely its own."""

    class Constant(mc.autograd.Op):
        @staticmethod
        def forward(ctx, x):
            ctx.save(np.full(x.shape, 5.0))
            return x * 1

        @staticmethod
        def backward(ctx, grad_out):
            return ctx.saved[0]

    store = []
    x = mc.ones(2, dtype=mc.float64, requires_grad=True)
    with saved_tensors_hooks(lambda t: store.append(t) or len(store) - 1, store.__getitem__):
        y = Constant.apply(x) + Constant.apply(x) + Constant.apply(x)
    y.sum().backward()
    assert x.grad.tolist() == [15, 15]
    assert [t.tolist() for t in store] == [[5, 5]] * 3


def test_custom_functions_and_modules():
    layer, x = mc.nn.Conv2d(1, 2, 3), mc.rand(1, 1, 5, 5)
    kept = []
    with saved_tensors_hooks(lambda t: kept.append(tuple(t.shape)) or t, lambda t: t):
        y = layer(x)
    y.sum().backward()
    assert (1, 1, 5, 5) in kept
    expected, layer.weight.grad = layer.weight.grad, None
    with save_on_cpu(pin_memory=True):
        y = layer(x)
    y.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad.numpy(), expected.numpy())


def test_a_hook_that_returns_something_else():
    for m in (mc, torch):
        x = m.ones(2, requires_grad=True)
        with m.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: 3):
            y = x.exp().sum()
        with pytest.raises((TypeError, RuntimeError), match=r"Tensor|variable"):
            y.backward()
