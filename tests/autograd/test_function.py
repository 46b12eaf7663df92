"""Custom functions: both of torch's styles, and what goes wrong in them."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.oracle import check_gradients, compare


def square_of(m):
    class Square(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, power=2):
            ctx.save_for_backward(x)
            ctx.power = power
            return x**power

        @staticmethod
        def backward(ctx, grad_out):
            (x,) = ctx.saved_tensors
            assert ctx.needs_input_grad[0]
            return grad_out * ctx.power * x ** (ctx.power - 1), None

    return Square


def scaled_sum_of(m):
    """The newer style, two tensors and a number in, two tensors out."""

    class ScaledSum(m.autograd.Function):
        @staticmethod
        def forward(a, b, scale):
            return (a + b) * scale, a * b

        @staticmethod
        def setup_context(ctx, inputs, output):
            a, b, scale = inputs
            assert len(output) == 2
            ctx.save_for_backward(a, b)
            ctx.scale = scale

        @staticmethod
        def backward(ctx, grad_sum, grad_product):
            a, b = ctx.saved_tensors
            return grad_sum * ctx.scale + grad_product * b, grad_sum * ctx.scale + grad_product * a, None

    return ScaledSum


def test_both_styles_against_torch():
    compare(lambda m, x: square_of(m).apply(x, 3), np.array([1.0, -2.0, 0.0]))
    compare(lambda m, x: square_of(m).apply(x), np.array(3.0))
    compare(lambda m, a, b: scaled_sum_of(m).apply(a, b, 0.5), np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    compare(lambda m, a: scaled_sum_of(m).apply(a, a, 0.5)[1], np.array([1.0, 2.0]))
    compare(lambda m, a, b: scaled_sum_of(m).apply(a, b.detach(), 0.5)[0], np.array([1.0, 2.0]), np.array([3.0, 4.0]))


def test_gradcheck():
    check_gradients(lambda m, a, b: scaled_sum_of(m).apply(a, b, 2.0), np.array([1.0, 2.0]), np.array([3.0, 4.0]))


def test_names_and_repr():
    y = square_of(mc).apply(mc.ones(2, requires_grad=True))
    assert y.grad_fn.name() == "SquareBackward"
    assert repr(y) == "tensor([1., 1.], grad_fn=<SquareBackward>)"


def make(forward, backward=None):
    """A Function class from two functions."""
    members = {"forward": staticmethod(forward)}
    if backward is not None:
        members["backward"] = staticmethod(backward)
    return type("Custom", (mc.autograd.Function,), members)


def leaf(*numbers):
    return mc.tensor(list(numbers), requires_grad=True)


def test_broadcasting_gradients_are_added_up():
    function = make(lambda ctx, a, b: a + b, lambda ctx, g: (g, g))
    a, b = leaf(1.0, 2.0), leaf(5.0)
    function.apply(a, b).sum().backward()
    assert a.grad.tolist() == [1, 1]
    assert b.grad.tolist() == [2]


def test_returning_an_input():
    function = make(lambda ctx, x: x, lambda ctx, g: g * 3)
    x = leaf(1.0, 2.0)
    y = function.apply(x)
    assert y is not x
    assert np.shares_memory(y.detach().numpy(), x.detach().numpy())
    assert x.is_leaf
    (y * 2).sum().backward()
    assert x.grad.tolist() == [6, 6]
    function = make(lambda ctx, a, b: (b, a), lambda ctx, g, h: (h * 2, g * 3))
    a, b = leaf(1.0), leaf(2.0)
    c, d = function.apply(a, b)
    (c * 10 + d).sum().backward()
    assert (a.grad.item(), b.grad.item()) == (2, 30)


def test_returning_a_view_of_an_input():
    function = make(lambda ctx, x: x.view(-1), lambda ctx, g: g.view(2, 2))
    x = mc.ones(2, 2, requires_grad=True)
    y = function.apply(x)
    assert np.shares_memory(y.detach().numpy(), x.detach().numpy())
    y.sum().backward()
    assert x.grad.shape == (2, 2)


def test_returning_one_tensor_twice():
    def both(ctx, x):
        y = x * 2
        return y, y

    x = leaf(1.0, 1.0)
    y, z = make(both, lambda ctx, g, h: g * 2 + h * 3).apply(x)
    assert y is not z
    (y.sum() + 2 * z.sum()).backward()
    assert x.grad.tolist() == [8, 8]  # 2 + 3 * 2: each has a gradient of its own (torch gives both to the last)


def test_outputs_without_gradients():
    def forward(ctx, x):
        values, indices = x.max(0)
        mask = x > 0
        floats = x * 0
        ctx.mark_non_differentiable(floats)
        return values, indices, mask, floats

    function = make(forward, lambda ctx, g, *others: g.expand(3) * 2)
    x = leaf(1.0, 3.0, 2.0)
    value, index, mask, floats = function.apply(x)
    assert [t.requires_grad for t in (value, index, mask, floats)] == [True, False, False, False]
    value.backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_missing_gradients_arrive_as_zeros():
    seen = []

    def backward(ctx, g, h):
        seen.append((g.tolist(), h.tolist()))
        return g + h

    x = leaf(1.0, 2.0)
    a, _ = make(lambda ctx, x: (x * 1, x * 2), backward).apply(x)
    a.sum().backward()
    assert seen == [([1, 1], [0, 0])]


def test_user_tensors_are_never_taken_over():
    """backward may return the same tensor each time, its argument, or one that it saved."""
    constant = mc.tensor([5.0, 5.0])
    function = make(lambda ctx, x: x * 1, lambda ctx, g: constant)
    x = leaf(1.0, 2.0)
    for _ in range(2):
        (function.apply(x) + function.apply(x)).sum().backward()
    assert constant.tolist() == [5, 5]
    assert x.grad.tolist() == [20, 20]


def test_saved_tensors_are_checked_and_freed():
    square = square_of(mc)
    x = leaf(1.0, 2.0)
    y = x * 1
    z = square.apply(y)
    y.mul_(2)
    with pytest.raises(RuntimeError, match=r"Square kept.*mul_"):
        z.sum().backward()
    z = square.apply(x).sum()
    z.backward()
    with pytest.raises(RuntimeError, match=r"backward through Square a second time"):
        z.backward()


def test_saved_outputs_are_freed_without_the_collector():
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    function = make(forward, lambda ctx, g: g * ctx.saved_tensors[0])
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        y = function.apply(x)
        ref = weakref.ref(y._array)
        loss = y.sum()
        del y
        loss.backward()
        assert ref() is None
        y = function.apply(x)  # never run backward
        ref = weakref.ref(y._array)
        del y
        assert ref() is None
    finally:
        gc.enable()


def test_no_gradient_wanted():
    square = square_of(mc)
    assert not square.apply(mc.ones(2)).requires_grad
    with mc.no_grad():
        assert not square.apply(mc.ones(2, requires_grad=True)).requires_grad


def test_none_for_an_input():
    function = make(lambda ctx, a, b: a * b.detach(), lambda ctx, g: (g * 2, None))
    a, b = leaf(1.0), leaf(3.0)
    function.apply(a, b).sum().backward()
    assert a.grad.tolist() == [2]
    assert b.grad is None
    function = make(lambda ctx, x: x * 2, lambda ctx, g: (g, None, None))  # torch too ignores the None beyond
    function.apply(a).sum().backward()
    assert a.grad.tolist() == [3]


def test_forward_runs_without_recording_and_backward_too():
    modes = []

    def forward(ctx, x):
        modes.append(mc.is_grad_enabled())
        return x * 2

    def backward(ctx, g):
        modes.append(mc.is_grad_enabled())
        return g * 2

    make(forward, backward).apply(leaf(1.0)).sum().backward()
    assert modes == [False, False]
    assert mc.is_grad_enabled()


ERRORS = {
    "count": (
        lambda ctx, x: x * 2,
        lambda ctx, g: (g, g),
        RuntimeError,
        "Custom.backward returned 2 gradients, expected 1",
    ),
    "too few": (lambda ctx, x, n: x * 2, lambda ctx, g: g, RuntimeError, "returned 1 gradients, expected 2"),
    "shape": (
        lambda ctx, x: x * 2,
        lambda ctx, g: g[:1],
        RuntimeError,
        r"Custom.backward: gradient 0 has shape \(1,\).*\(2,\)",
    ),
    "number": (lambda ctx, x: x * 2, lambda ctx, g: 1.0, TypeError, "Custom.backward: gradient 0 is a float"),
    "list": (lambda ctx, x: x * 2, lambda ctx, g: [g], TypeError, "gradient 0 is a list"),
    "no backward": (lambda ctx, x: x * 2, None, NotImplementedError, r"Custom: define a static method backward"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_in_backward(name):
    forward, backward, kind, message = ERRORS[name]
    args = (leaf(1.0, 2.0), 3) if name == "too few" else (leaf(1.0, 2.0),)
    y = make(forward, backward).apply(*args)
    with pytest.raises(kind, match=message):
        y.sum().backward()


def test_errors_in_forward():
    with pytest.raises(NotImplementedError, match=r"define a static method forward"):
        type("Empty", (mc.autograd.Function,), {}).apply(leaf(1.0))
    with pytest.raises(TypeError, match=r"Custom.forward: expected tensors, output 0 is a ndarray"):
        make(lambda ctx, x: x.detach().numpy()).apply(leaf(1.0))
    with pytest.raises(TypeError, match=r"save_for_backward: expected tensors or None, got int"):
        make(lambda ctx, x: ctx.save_for_backward(3)).apply(leaf(1.0))
    with pytest.raises(RuntimeError, match=r"given to mark_dirty must be returned"):
        make(lambda ctx, x: ctx.mark_dirty(x) or x * 2).apply(leaf(1.0))
    with pytest.raises(NotImplementedError, match=r"functional.jvp"):
        mc.autograd.Function.jvp(None)
    with pytest.raises(NotImplementedError, match=r"for a batch"):
        mc.autograd.Function.vmap(None, None)
    with pytest.raises(ZeroDivisionError):
        make(lambda ctx, x: 1 / 0).apply(leaf(1.0))
    assert mc.is_grad_enabled()


def doubled_in_place(m, also=False):
    """Changes its argument; and returns another tensor beside it, if asked."""

    class Double(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.mark_dirty(x)
            x.mul_(2)
            return (x, x + 1) if also else x

        @staticmethod
        def backward(ctx, grad, *more):
            return grad * 2 + sum(more) * 10

    return Double


@pytest.mark.parametrize("also", [False, True])
def test_changing_an_input_in_place(also):
    def run(m, x):
        y = x * 3
        out = doubled_in_place(m, also).apply(y)
        first = out[0] if also else out
        assert first is y
        return (y * y, *([out[1]] if also else []))

    compare(run, np.array([1.0, -2.0, 0.5]))


def test_changing_a_view_in_place():
    def run(m, x):
        y = x * 3
        doubled_in_place(m).apply(y[0])
        return y * y

    compare(run, np.array([[1.0, -2.0], [0.5, 4.0]]))


def test_changing_a_leaf_in_place():
    for m in (mc, torch):
        with pytest.raises(RuntimeError, match="leaf"):
            doubled_in_place(m).apply(m.ones(2, requires_grad=True))
        plain = m.ones(2)
        assert doubled_in_place(m).apply(plain) is plain
        assert plain.tolist() == [2, 2]


@pytest.mark.parametrize("materialize", [True, False])
def test_missing_gradients(materialize):
    for m in (mc, torch):
        seen = []

        class Two(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.set_materialize_grads(materialize)
                return x * 1, x * 2

            @staticmethod
            @m.autograd.function.once_differentiable
            def backward(ctx, g, h, seen=seen):
                seen.append(None if h is None else h.tolist())
                return g

        Two.apply(m.ones(2, requires_grad=True))[0].sum().backward()
        assert seen == [[0, 0] if materialize else None]
