"""The softmax family."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import SHAPES, arrays, both_raise, check_gradients, compare, values

F = mc.nn.functional


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@given(x=arrays(SHAPES), data=st.data())
def test_against_torch(name, x, data):
    dim = data.draw(st.integers(-max(x.ndim, 1), max(x.ndim, 1) - 1))
    compare(lambda m, x: getattr(m.nn.functional, name)(x, dim), x)
    if name != "softmin":
        compare(lambda m, x: getattr(m, name)(x, dim=dim), x)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gradcheck(name, dim):
    x = values(np.random.default_rng(0), (3, 4, 2), kind="normal")
    check_gradients(lambda m, x: getattr(F, name)(x, dim), x)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_extremes(name):
    x = np.array([[1e4, 0, -1e4], [700, 710, 720], [-np.inf, 0, 1], [-1e300, 1e300, 0], [np.nan, 0, 0], [np.inf, 0, 1]])
    compare(lambda m, x: getattr(m.nn.functional, name)(x, 1), x)
    compare(lambda m, x: getattr(m.nn.functional, name)(x, 1), np.full((2, 3), -np.inf))
    compare(lambda m, x: getattr(m.nn.functional, name)(x, 1, dtype=m.float64), x[:2].astype(np.float32))
    compare(lambda m, x: getattr(m.nn.functional, name)(x, 0, dtype=m.float32), np.array([1, 2]), rtol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "softmin"])
def test_errors(name):
    both_raise(lambda m, x: getattr(m.nn.functional, name)(x, 2), np.ones((2, 3)), match=r"dim: expected -2 to 1")
    both_raise(lambda m, x: getattr(m.nn.functional, name)(x, 0), np.array([1, 2]), match=r"input: .*floating point")
    with pytest.raises(ValueError, match=r"dim: say along which dimension"):
        getattr(F, name)(mc.ones(2, 3))


class TestGumbelSoftmax:
    def test_adds_up_to_one(self):
        mc.manual_seed(0)
        y = F.gumbel_softmax(mc.randn(4, 3, 5), tau=0.5, dim=1)
        np.testing.assert_allclose(y.sum(1).numpy(), np.ones((4, 5)), rtol=1e-6)

    @pytest.mark.parametrize("shape", [(6, 4), (4,), ()])
    def test_hard_samples_are_one_hot_with_the_soft_gradient(self, shape):
        logits = np.random.default_rng(0).standard_normal(shape)
        cotangent = mc.tensor(np.random.default_rng(1).standard_normal(shape))
        gradients = []
        for hard in (False, True):
            mc.manual_seed(3)
            x = mc.tensor(logits, requires_grad=True)
            y = F.gumbel_softmax(x, hard=hard)
            y.backward(cotangent)
            gradients.append(x.grad.numpy())
        np.testing.assert_array_equal(np.sort(y.detach().numpy().round(12), axis=None)[: y.numel() // 4 * 3], 0)
        np.testing.assert_allclose(y.sum(-1).detach().numpy() if shape else y.item(), 1)
        np.testing.assert_allclose(*gradients)

    def test_frequencies_are_the_softmax(self):
        mc.manual_seed(1)
        logits = mc.tensor([0.0, 1.0, 2.0])
        drawn = F.gumbel_softmax(logits.expand(40_000, 3), hard=True).mean(0)
        # 40,000 draws: a standard deviation of at most 0.0025
        np.testing.assert_allclose(drawn.numpy(), logits.softmax(0).numpy(), atol=0.012)
