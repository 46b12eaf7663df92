"""gradcheck finds wrong rules, and only wrong rules."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn.autograd import GradcheckError, gradcheck


def doubled(wrong_by):
    class Doubled(mc.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * (2 + wrong_by)

    return Doubled.apply


def leaf(*shape):
    return mc.randn(*shape, dtype=mc.float64, requires_grad=True)


def test_right_rules_pass():
    assert gradcheck(doubled(0), leaf(2, 3))
    assert gradcheck(lambda a, b: (a * b, a + b), (leaf(2, 3), leaf(3)))
    assert gradcheck(lambda a, n: a**n, (leaf(3) * 0.1 + 2, 3))
    assert gradcheck(lambda a: a.T, (leaf(2, 3).T,))
    assert gradcheck(lambda a: (a * 2, a.argmax()), leaf(4))
    assert gradcheck(lambda a: a.sum(), leaf(0))


@pytest.mark.parametrize("wrong_by", [0.01, -1, 5, float("nan")])
def test_wrong_rules_are_named(wrong_by):
    with pytest.raises(
        GradcheckError, match=r"inputs\[1\], element \(\d, \d\): the backward pass gives .* central differ"
    ):
        gradcheck(lambda a, b: a.sum() + doubled(wrong_by)(b), (leaf(2), leaf(2, 3)))
    assert not gradcheck(doubled(wrong_by), leaf(2), raise_exception=False)


def test_a_rule_that_cancels_under_ones_is_found():
    """softmax's gradient under equal cotangents is zero, whatever the rule: the cotangent has to be random."""

    class Softmax(mc.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return mc.softmax(x, 0)

        @staticmethod
        def backward(ctx, g):
            return g - g.mean()

    with pytest.raises(GradcheckError):
        gradcheck(Softmax.apply, leaf(4))


def test_a_forgotten_gradient_is_found():
    with pytest.raises(GradcheckError):
        gradcheck(lambda a: a.detach() * a, leaf(3))
    with pytest.raises(GradcheckError, match=r"gives 0"):
        gradcheck(lambda a, b: a.detach() + b, (leaf(3), leaf(3)))


def test_inputs_are_untouched():
    x = leaf(2, 2)
    before = x.detach().numpy().copy()
    gradcheck(lambda a: a.exp(), x)
    np.testing.assert_array_equal(x.detach().numpy(), before)
    assert x.grad is None
    state = mc.random.get_rng_state()
    gradcheck(lambda a: a.exp(), x)
    assert mc.random.get_rng_state() == state


def test_errors():
    with pytest.raises(ValueError, match=r"inputs: gradcheck needs at least one tensor with requires_grad=True"):
        gradcheck(lambda a: a, mc.ones(2))
    with pytest.raises(ValueError, match=r"inputs\[0\]: gradcheck needs float64, got minicnn.float32"):
        gradcheck(lambda a: a, mc.ones(2, requires_grad=True))


def test_a_result_cut_off_from_its_input_is_found():
    """It depends on x and says that it does not."""
    x = mc.ones(2, dtype=mc.float64, requires_grad=True)
    with pytest.raises(mc.autograd.GradcheckError, match="the backward pass gives 0, central"):
        mc.autograd.gradcheck(lambda x: x.detach() * 2, (x,))


def test_a_backward_that_is_not_deterministic():
    calls = []

    class Moody(mc.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            calls.append(None)
            return g * (1 + 1e-7 * len(calls))

    x = mc.ones(2, dtype=mc.float64, requires_grad=True)
    with pytest.raises(mc.autograd.GradcheckError, match="two backward passes differ"):
        mc.autograd.gradcheck(Moody.apply, (x,))
    assert mc.autograd.gradcheck(Moody.apply, (x,), nondet_tol=1e-5)


def test_torchs_other_arguments():
    x = mc.ones(2, dtype=mc.float64, requires_grad=True)
    assert mc.autograd.gradcheck(lambda x: (x * 1, x.detach() * 2), (x,))  # torch too looks at the first only
    accepted = {"fast_mode": True, "check_undefined_grad": False, "check_grad_dtypes": True, "masked": False}
    assert mc.autograd.gradcheck(lambda x: x.exp(), (x,), **accepted)
    assert mc.autograd.gradcheck(lambda x: x.detach(), (x,), check_backward_ad=False)
    for name in ("check_batched_grad", "check_batched_forward_grad", "check_forward_ad"):
        with pytest.raises(NotImplementedError, match=name if name == "check_forward_ad" else "check_batched_grad"):
            mc.autograd.gradcheck(lambda x: x.exp(), (x,), **{name: True})
