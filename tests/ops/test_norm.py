"""Batch normalisation against torch and central differences, with its running statistics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional
SHAPES = [(4, 3), (2, 3, 5), (3, 2, 4, 5), (2, 1, 3, 3), (2, 3, 2, 3, 2), (2, 5, 1, 1), (1, 2, 3, 3)]
# Two passes over up to a few hundred values in another order; float32 loses digits where mean and deviation cancel.
TOLERANCE = {np.float64: {"rtol": 1e-9, "atol": 1e-10}, np.float32: {"rtol": 2e-4, "atol": 5e-5}}


def operands(shape, dtype, seed=0):
    rng = np.random.default_rng(seed)
    x = values(rng, shape, dtype, "normal") * 2 + dtype(0.7)
    w, b, mean = (values(rng, shape[1:2], dtype, "normal") for _ in range(3))
    return x.astype(dtype), w, b, mean, values(rng, shape[1:2], dtype, "positive")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("affine", ["both", "weight", "bias", "none"])
@pytest.mark.parametrize("training", [True, False])
def test_values_gradients_and_running_statistics(shape, dtype, affine, training):
    x, w, b, mean, var = operands(shape, dtype)

    def function(m, x, w, b):
        running = m.tensor(mean), m.tensor(var)
        weight, bias = w if affine in ("both", "weight") else None, b if affine in ("both", "bias") else None
        out = m.nn.functional.batch_norm(x, *running, weight, bias, training, 0.3, 1e-3)
        return out + 0 * w.sum() + 0 * b.sum(), *running

    compare(function, x, w, b, **TOLERANCE[dtype])


@given(layout=st.integers(0, 4), dtype=FLOATS, training=st.booleans(), eps=st.sampled_from([1e-5, 0.1]))
def test_memory_orders(layout, dtype, training, eps):
    x, w, b, mean, var = operands((3, 4, 5, 2), dtype)
    compare(
        lambda m, x, w, b: m.nn.functional.batch_norm(x, m.tensor(mean), m.tensor(var), w, b, training, 0.1, eps),
        list(layouts(x))[layout],
        w,
        b,
        **TOLERANCE[dtype],
    )


def test_without_running_statistics():
    x, w, b, *_ = operands((3, 4, 5), np.float64)
    compare(lambda m, x, w, b: m.nn.functional.batch_norm(x, None, None, w, b, True), x, w, b, **TOLERANCE[np.float64])


@pytest.mark.parametrize("frozen", [(0,), (1, 2), (1,)])
def test_frozen_operands(frozen):
    arrays = operands((3, 4, 5), np.float64)[:3]

    def function(m, *tensors):
        x, w, b = (t.detach() if i in frozen else t for i, t in enumerate(tensors))
        return m.nn.functional.batch_norm(x, None, None, w, b, True)

    compare(function, *arrays, **TOLERANCE[np.float64])


@pytest.mark.parametrize("training", [True, False])
def test_gradcheck(training):
    x, w, b, mean, var = operands((3, 2, 2, 3), np.float64)
    check_gradients(
        lambda m, x, w, b: m.nn.functional.batch_norm(x, m.tensor(mean), m.tensor(var), w, b, training), x, w, b
    )


def test_statistics_changed_after_an_evaluation_forward_do_not_matter():
    """Copied at the forward pass: the gradient is that of what was computed. (torch refuses such a backward pass.)"""
    arrays = operands((4, 3), np.float64)
    gradients = []
    for change in (False, True):
        x, w, b, mean, var = (mc.tensor(a) for a in arrays)
        x.requires_grad_()
        w.requires_grad_()
        out = F.batch_norm(x, mean, var, w, b, False)
        if change:
            mean.add_(100)
            var.mul_(100)
        (out * out).sum().backward()
        gradients.append((x.grad, w.grad))
    for before, after in zip(*gradients, strict=True):
        assert mc.equal(before, after)


def test_large_offsets_keep_their_digits():
    """A mean a thousand times the deviation: the naive E[x^2] - E[x]^2 would lose everything in float32."""
    x = (np.random.default_rng(0).standard_normal((64, 2, 8, 8)) + 1000).astype(np.float32)
    compare(
        lambda m, x: m.nn.functional.batch_norm(x, None, None, training=True),
        x,
        requires_grad=False,
        rtol=0,
        atol=2e-3,  # x itself is only known to 6e-5 of its deviation
    )


def test_evaluation_of_an_empty_batch():
    compare(lambda m, x: m.nn.functional.batch_norm(x, m.zeros(3).double(), m.ones(3).double()), np.zeros((0, 3, 2, 2)))


def test_training_with_an_empty_batch():
    """As in torch: empty, gradients of zero, and the running statistics stay."""

    def function(m, x, w, b):
        mean, var = m.zeros(3).double(), m.ones(3).double()
        return m.nn.functional.batch_norm(x, mean, var, w, b, True), mean, var

    compare(function, np.zeros((0, 3, 2, 2)), np.ones(3), np.ones(3))


def test_errors():
    x, w, b, mean, var = operands((2, 3, 4, 4), np.float64)
    norm = lambda *args: lambda m, x, *t: m.nn.functional.batch_norm(x, *t, *args)  # noqa: E731
    both_raise(norm(), x, mean[:2], var, match=r"running_mean must have shape \(3,\)")
    both_raise(norm(), x, mean, var[:2], match=r"running_var must have shape \(3,\)")
    both_raise(norm(), x, mean, var, w[:2], match=r"weight must have shape \(3,\)")
    both_raise(norm(), x, mean, var, w, b[:2], match=r"bias must have shape \(3,\)")
    both_raise(norm(None, None, True), x[:1, :, :1, :1], mean, var, match=r"more than one value a channel, got 1")
    both_raise(norm(None, None), x, match=r"running_mean: evaluation needs")
    both_raise(norm(), x[0, 0, 0], mean, var, match=r"x must have shape")
    for i, name in enumerate(["running_mean", "running_var", "weight", "bias"]):
        tensors = [mc.tensor(a) for a in (mean, var, w, b)]
        tensors[i] = tensors[i].float()
        with pytest.raises(TypeError, match=f"{name}: batch_norm needs one type"):
            F.batch_norm(mc.tensor(x), *tensors)
    with pytest.raises(TypeError, match=r"input: batch_norm needs floating point"):
        F.batch_norm(mc.ones(2, 3).long(), None, None, training=True)
