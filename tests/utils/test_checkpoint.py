"""Checkpointing: the same numbers, less memory, the same errors as torch's."""

from __future__ import annotations

import gc
import tracemalloc
import warnings
import weakref

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.utils.checkpoint import CheckpointError, checkpoint, checkpoint_sequential
from tests.helpers.modules import assert_close, copy_into_ours, to_ours


def network(nn, dtype):
    return nn.Sequential(
        *(nn.Sequential(nn.Linear(6, 6, dtype=dtype), nn.Tanh(), nn.BatchNorm1d(6, dtype=dtype)) for _ in range(4))
    )


@pytest.mark.parametrize("use_reentrant", [True, False])
@pytest.mark.parametrize("segments", [1, 2, 3, 4])
def test_gradients_are_those_of_the_plain_network(use_reentrant, segments):
    theirs, ours = network(torch.nn, torch.float64), network(mc.nn, mc.float64)
    copy_into_ours(ours, theirs)
    x_theirs = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    x = to_ours(x_theirs).requires_grad_()
    torch.utils.checkpoint.checkpoint_sequential(theirs, segments, x_theirs, use_reentrant).pow(2).sum().backward()
    (checkpoint_sequential(ours, segments, x, use_reentrant) ** 2).sum().backward()
    assert_close(x.grad, x_theirs.grad, np.float64, "input")
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert_close(parameter.grad, gradients[name].grad, np.float64, name)
    for name, value in theirs.state_dict().items():  # batch norm has counted both runs, as in torch
        assert_close(ours.state_dict()[name], value, np.float64, name)


def test_gradients_of_what_the_function_closes_over():
    """No argument needs one; and ``grad`` works as well as ``backward``."""
    w = mc.tensor([2.0], requires_grad=True)
    y = checkpoint(lambda x: (x * w).exp() * w, mc.tensor([0.5]), use_reentrant=False)
    (gradient,) = mc.autograd.grad(y, w)
    assert gradient.item() == pytest.approx(np.e * (1 + 0.5 * 2))


def test_keyword_arguments_and_several_results():
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    a, b = checkpoint(lambda x, k: (x.exp(), {"y": x.sin() * k}), x, k=3, use_reentrant=False)
    (a + b["y"]).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp([1, 2]) + 3 * np.cos([1, 2]), rtol=1e-6)


@pytest.mark.parametrize("preserve", [True, False])
def test_the_same_random_numbers(preserve):
    mc.manual_seed(0)
    x = mc.ones(1000, requires_grad=True)
    y = checkpoint(lambda x: mc.nn.functional.dropout(x) * x, x, use_reentrant=False, preserve_rng_state=preserve)
    mc.rand(3)
    state = mc.get_rng_state()
    y.sum().backward()
    assert (mc.get_rng_state() == state) == preserve
    dropped = y.detach().numpy() == 0
    assert np.array_equal(x.grad.numpy() == 0, dropped) == preserve


def test_nothing_is_kept():
    """Results in between die with the first run, and again after the second."""
    alive = []

    def function(x):
        for _ in range(3):
            x = x.exp().tanh()
            alive.append(weakref.ref(x._array))
        return x.sum()

    gc.disable()
    try:
        x = mc.rand(10, requires_grad=True)
        plain = function(x)
        assert all(ref() is not None for ref in alive)
        del plain
        alive.clear()
        y = checkpoint(function, x, use_reentrant=False)
        assert all(ref() is None for ref in alive)
        y.backward()
        assert len(alive) == 5  # (the last result of the second run ended it)
        assert all(ref() is None for ref in alive)
    finally:
        gc.enable()


def test_peak_memory():
    """16 layers that keep 800 KB each: in four segments, three quarters of it are gone."""
    layers = [lambda x: x.exp().tanh()] * 16

    def peak(run):
        x = mc.rand(100_000, requires_grad=True)
        gc.collect()
        tracemalloc.start()
        run(x).sum().backward()
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    plain = peak(lambda x: checkpoint_sequential(layers, 1, x, use_reentrant=False))
    assert peak(lambda x: checkpoint_sequential(layers, 4, x, use_reentrant=False)) < plain / 2


def test_nested_and_twice():
    x = mc.tensor([0.3], requires_grad=True, dtype=mc.float64)

    def inner(x):
        return x.exp().sin()

    def outer(x):
        return checkpoint(inner, x.tanh(), use_reentrant=False).exp()

    y = checkpoint(outer, x, use_reentrant=False)
    y.backward(retain_graph=True)
    once = x.grad.item()
    y.backward()
    assert x.grad.item() == pytest.approx(2 * once)
    z = mc.tensor([0.3], requires_grad=True, dtype=mc.float64)
    inner(z.tanh()).exp().backward()
    assert once == pytest.approx(z.grad.item())
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


def test_a_leaf_changed_in_between_is_noticed():
    w = mc.tensor([2.0], requires_grad=True)
    y = checkpoint(lambda x: x * w, mc.ones(1, requires_grad=True), use_reentrant=False)
    with mc.no_grad():
        w.fill_(3)
    with pytest.raises(RuntimeError, match="changed it in place"):
        y.backward()


@pytest.mark.parametrize("early_stop", [True, False])
def test_early_stop(early_stop):
    calls = []

    def function(x):
        y = x.exp().exp()
        calls.append(None)
        return y

    y = checkpoint(function, mc.ones(1, requires_grad=True), use_reentrant=False, early_stop=early_stop)
    y.backward()
    assert len(calls) == (1 if early_stop else 2)


def test_contexts():
    seen = []

    class Noting:
        def __init__(self, name):
            self.name = name

        def __enter__(self):
            seen.append(self.name)

        def __exit__(self, *error):
            seen.append("end")

    x = mc.ones(1, requires_grad=True)
    y = checkpoint(lambda x: x.exp(), x, use_reentrant=False, context_fn=lambda: (Noting("first"), Noting("second")))
    assert seen == ["first", "end"]
    y.backward()
    assert seen == ["first", "end", "second", "end"]


def test_without_recording():
    with mc.no_grad():
        assert not checkpoint(lambda x: x * 2, mc.ones(1, requires_grad=True), use_reentrant=False).requires_grad


@pytest.mark.parametrize(
    ("first", "second", "match"),
    [
        (lambda x: x.exp().sin(), lambda x: x.exp(), "kept 2 tensors for the backward pass, the second 1"),
        (lambda x: x.exp(), lambda x: x[:1].exp(), r"tensor 0 kept .* \(\(2,\), minicnn.float32\) in the first run"),
    ],
)
def test_a_function_that_does_something_else(first, second, match):
    for m, error in ((mc, CheckpointError), (torch, torch.utils.checkpoint.CheckpointError)):
        functions = [first, second]
        y = m.utils.checkpoint.checkpoint(
            lambda x, functions=functions: functions.pop(0)(x), m.ones(2, requires_grad=True), use_reentrant=False
        )
        with pytest.raises(error, match=match if m is mc else None):
            y.sum().backward()


def test_without_a_check_what_is_missing_is_still_an_error():
    functions = [lambda x: x.exp().sin(), lambda x: x * 2]
    y = checkpoint(
        lambda x: functions.pop(0)(x), mc.ones(2, requires_grad=True), use_reentrant=False, determinism_check="none"
    )
    with pytest.raises(CheckpointError, match="did not keep tensor"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda c, x: c.checkpoint(lambda x, k: x, x, k=3, use_reentrant=True), "Unexpected keyword arguments: k"),
        (lambda c, x: c.checkpoint(lambda x: x, x, context_fn=lambda: 3, use_reentrant=True), "use_reentrant=False"),
        (lambda c, x: c.checkpoint(lambda x: x, x, determinism_check="?", use_reentrant=False), "but got ?"),
        (lambda c, x: c.checkpoint_sequential([abs], 1, x, use_reentrant=False, k=3), "Unexpected keyword"),
        (lambda c, x: c.checkpoint_sequential([abs], 3, x, use_reentrant=False), "segments: expected 1 .. 1"),
    ],
)
def test_refusals(call, match):
    with pytest.raises(ValueError):
        call(torch.utils.checkpoint, torch.ones(1, requires_grad=True))
    with pytest.raises(ValueError, match=match.replace("?", r"\?")):
        call(mc.utils.checkpoint, mc.ones(1, requires_grad=True))


def test_warnings():
    x = mc.ones(1, requires_grad=True)
    with pytest.warns(UserWarning, match="pass use_reentrant explicitly"):
        assert checkpoint(lambda x: x * 2, x).requires_grad
    with pytest.warns(UserWarning, match="pass use_reentrant explicitly"):
        checkpoint_sequential([abs, abs], 2, x)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True"):
        assert not checkpoint(lambda y: x * y, mc.ones(1), use_reentrant=True).requires_grad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checkpoint(lambda x: x * 2, x, use_reentrant=True)
    with pytest.raises(NotImplementedError, match="debug"):
        checkpoint(lambda x: x * 2, x, use_reentrant=False, debug=True)
