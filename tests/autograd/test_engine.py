"""The walk back: accumulation, aliasing, freeing, what is not computed, chains that are long."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.autograd import Op
from minicnn.autograd.engine import run_backward
from tests.helpers.oracle import assert_same, compare, values


class Spy(Op):
    """Counts what is asked of it: y = 2 a + 3 b."""

    forwards = 0
    backwards = 0
    kept: tuple = ()

    @classmethod
    def forward(cls, ctx, a, b):
        cls.forwards += 1
        ctx.save(a if ctx.needs_input_grad[0] else None, b if ctx.needs_input_grad[1] else None)
        cls.kept = ctx._saved
        return 2 * a + 3 * b

    @classmethod
    def backward(cls, ctx, grad_out):
        cls.backwards += 1
        return 2 * grad_out if ctx.needs_input_grad[0] else None, 3 * grad_out if ctx.needs_input_grad[1] else None


@pytest.fixture
def spy():
    Spy.forwards = Spy.backwards = 0
    return Spy


def leaf(*numbers, dtype=mc.float64):
    return mc.tensor(list(numbers), dtype=dtype, requires_grad=True)


# ---- long chains


def test_a_chain_of_100_000_operations():
    x = leaf(1.0, 2.0)
    y = x
    for _ in range(100_000):
        y = y + 0.5
    y.backward(mc.ones(2, dtype=mc.float64))
    assert x.grad.tolist() == [1, 1]
    del y  # nested a hundred thousand deep: its end must not recurse
    gc.collect()


def test_deleting_a_long_chain_that_was_never_run():
    y = leaf(1.0)
    for _ in range(100_000):
        y = y * 1.0
    del y
    gc.collect()


# ---- accumulation


def test_diamonds():
    def function(m, x):
        a = x * 2
        b, c = a.exp(), a * x
        d = b * c + a
        return d + b - c * a + x

    compare(function, np.array([0.5, -1.0, 0.0]))


def test_wide_and_deep_sharing():
    def function(m, x):
        for _ in range(40):  # 2**40 paths
            x = x * 0.5 + x * 0.5
        return x

    compare(function, np.array([1.0, -2.0]))


def test_single_numbers_add_up_too():
    compare(lambda m, x: x * x + x.exp() + x * x * x, np.array(2.0))


def test_gradients_accumulate_over_backwards():
    x = leaf(1.0, 2.0)
    for times in (1, 2, 3):
        (x * x).sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), times * 2 * x.detach().numpy())
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]


def test_the_same_gradient_tensor_is_kept():
    x = leaf(1.0)
    x.sum().backward()
    grad = x.grad
    x.sum().backward()
    assert x.grad is grad
    assert grad.tolist() == [2]


def test_backward_from_several_roots():
    compare(lambda m, x: (x * 2, x.sum(), x * x, x), np.array([1.0, 2.0]))
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y.exp()
    mc.autograd.backward([z.sum(), y.sum(), y.sum()])  # one root lies behind another, and one comes twice
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.exp(2 * x.detach().numpy()) + 4)


def test_backward_from_a_leaf():
    x = leaf(1.0, 2.0)
    gradient = mc.tensor([3.0, 4.0], dtype=mc.float64)
    x.backward(gradient)
    x.backward(gradient)
    assert x.grad.tolist() == [6, 8]
    assert gradient.tolist() == [3, 4]
    y = mc.tensor(5.0, requires_grad=True)
    y.backward()
    assert y.grad.item() == 1


# ---- aliasing: never into an array that the engine did not allocate


ALIASING = {
    "x+x": lambda m, x: x + x,
    "x-x": lambda m, x: x - x,
    "cat": lambda m, x: m.cat([x, x]),
    "stack": lambda m, x: m.stack([x, x, x]),
    "clone": lambda m, x: x.clone() + x.clone(),
    "views": lambda m, x: x.view(-1) + x.reshape(-1) + x[:].flatten(),
    "where": lambda m, x: m.where(x > 0, x, x),
    "expand": lambda m, x: x.expand(3, *x.shape) + x,
    "identity_twice": lambda m, x: (x + 0) + (x + 0),
    "permute": lambda m, x: x.T + x.T,
    "roots": lambda m, x: (x, x, x * 1),
    "passed_on": lambda m, x: (x.clone(), x.clone().reshape(-1)),
}


@pytest.mark.parametrize("name", ALIASING)
def test_passing_a_gradient_on_does_not_share_it(name):
    x = values(np.random.default_rng(0), (2, 2), kind="normal")
    compare(ALIASING[name], x)
    # Twice over one graph, with the user's gradient kept: nothing that was handed in or out may have moved.
    ours = mc.tensor(x, requires_grad=True)
    outputs = ALIASING[name](mc, ours)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    cotangents = [mc.ones_like(t) for t in outputs]
    mc.autograd.backward(outputs, cotangents, retain_graph=True)
    first = ours.grad.numpy().copy()
    mc.autograd.backward(outputs, cotangents, retain_graph=True)
    np.testing.assert_allclose(ours.grad.numpy(), 2 * first)
    for cotangent in cotangents:
        assert (cotangent == 1).all()


def test_leaves_do_not_share_their_gradient():
    a, b = leaf(1.0, 1.0), leaf(2.0, 2.0)
    gradient = mc.ones(2, dtype=mc.float64)
    (a + b).backward(gradient)
    arrays = [a.grad.numpy(), b.grad.numpy(), gradient.numpy()]
    for i in range(3):
        for j in range(i):
            assert not np.shares_memory(arrays[i], arrays[j])
    a.grad.zero_()
    assert b.grad.tolist() == [1, 1]


def test_retained_gradients_are_copies():
    x = leaf(1.0, 2.0)
    y = x + 0
    z = y.clone()
    y.retain_grad()
    z.retain_grad()
    z.sum().backward()
    y.grad.mul_(7)
    assert z.grad.tolist() == x.grad.tolist() == [1, 1]
    assert y.retains_grad
    assert not x.retains_grad


def rule(backward):
    """An operation a + b that keeps an array of fives; ``backward(kept, grad_out)`` is under test."""

    class Rule(Op):
        @staticmethod
        def forward(ctx, a, b):
            ctx.save(np.full(a.shape, 5.0))
            return a + b

        @staticmethod
        def backward(ctx, grad_out):
            return backward(ctx.saved[0], grad_out)

    return Rule.apply


def test_a_rule_may_return_what_it_kept():
    apply = rule(lambda kept, grad_out: (kept, grad_out * 2))
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = apply(a, b).sum() + a.sum() * 3  # the second arrives at a first, then what was kept
    z = apply(a, b).sum()
    (y + z + z).backward(retain_graph=True)
    (y + z + z).backward()
    assert a.grad.tolist() == [26, 26]  # twice 5 + 3 + 5: what is kept is not scaled
    assert b.grad.tolist() == [12, 12]
    c = leaf(0.0, 0.0)
    mc.autograd.backward([apply(c, b).sum()], retain_graph=True)
    c.grad.mul_(0)  # the user's from here on


def test_a_rule_may_return_one_array_twice():
    def twice(kept, grad_out):
        fresh = grad_out * 2
        return fresh, fresh

    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    rule(twice)(a, b).sum().backward()
    assert not np.shares_memory(a.grad.numpy(), b.grad.numpy())
    c, d = a * 1, b * 1
    (rule(twice)(c, d) + c + c + d).sum().backward()
    assert a.grad.tolist() == [6, 6]
    assert b.grad.tolist() == [5, 5]


def test_gradients_of_a_large_result_survive_later_work():
    """Large arrays come from recycled memory: what the user holds must not be recycled."""
    x = mc.randn(300, 400, requires_grad=True)
    w = mc.randn(400, 300, requires_grad=True)
    (x @ w).sum().backward()
    grads = x.grad.numpy().copy(), w.grad.numpy().copy()
    for _ in range(5):
        a = mc.randn(300, 400, requires_grad=True)
        (mc.relu(a) @ w.detach()).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), grads[0])
    np.testing.assert_array_equal(w.grad.numpy(), grads[1])


# ---- what is not wanted is not done


def test_a_frozen_operand_costs_nothing(spy):
    x, frozen = leaf(1.0, 2.0), mc.tensor([3.0, 4.0], dtype=mc.float64)
    y = spy.apply(x, frozen)
    assert spy.kept[1] is None
    assert spy.kept[0] is x._array
    y.sum().backward()
    assert x.grad.tolist() == [2, 2]
    assert frozen.grad is None


def test_a_frozen_branch_is_not_recorded(spy):
    x, frozen = leaf(1.0), mc.tensor([3.0], dtype=mc.float64)
    branch = spy.apply(frozen, frozen)
    assert branch.grad_fn is None
    assert not branch.requires_grad
    assert spy.kept == (None, None)
    (branch * x).sum().backward()
    assert spy.backwards == 0


@pytest.mark.parametrize(
    ("layer", "operands"),
    [
        (lambda x, w, b: mc.nn.functional.conv2d(x, w, b), ((1, 2, 4, 4), (3, 2, 3, 3), (3,))),
        (lambda x, w, b: mc.nn.functional.linear(x, w, b), ((2, 4), (3, 4), (3,))),
        (lambda x, w, b: x @ w + b, ((2, 4), (4, 3), (3,))),
        (lambda x, w, b: x * w + b, ((2, 4), (4,), (4,))),
    ],
)
def test_frozen_layers_keep_only_what_the_others_need(layer, operands):
    """With a frozen weight the input need not be kept, and the other way round."""
    for wanted in ((0,), (1,), (2,)):
        tensors = [mc.randn(s, requires_grad=i in wanted) for i, s in enumerate(operands)]
        refs = [weakref.ref(t._array) for t in tensors]
        out = layer(*tensors)
        node, kept = out._node, []
        while node is not None:
            kept += [a for a in node.ctx._saved if isinstance(a, np.ndarray)]
            nexts = [e[0] for e in node.edges if e is not None]
            node = nexts[0] if nexts and not isinstance(nexts[0], mc.Tensor) else None
        assert refs[wanted[0]]() is tensors[wanted[0]]._array
        assert not any(a is tensors[wanted[0]]._array for a in kept)
        assert len(kept) <= (0 if wanted == (2,) else 1)


def test_no_grad_records_and_keeps_nothing(spy):
    x = leaf(1.0)
    with mc.no_grad():
        y = spy.apply(x, x)
    assert spy.kept == (None, None)
    assert y.grad_fn is None
    assert y.is_leaf


def test_grad_runs_only_what_leads_to_its_inputs(spy):
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    side = spy.apply(w, w)
    y = (x * x).exp() + side
    called = []
    w.register_hook(lambda g: called.append("w"))
    mc.autograd.grad(y.sum(), x)
    assert spy.backwards == 0
    assert called == []
    y = (x * x).exp() + side  # the side branch was not freed either
    y.sum().backward()
    assert spy.backwards == 1
    assert w.grad.tolist() == [5, 5]


# ---- freeing


def test_saved_arrays_are_freed_while_the_walk_goes_on():
    x = leaf(1.0, 2.0)
    early = x.exp()
    late = early.tanh()
    kept = weakref.ref(late._node.ctx._saved[0])
    seen = []
    early.register_hook(lambda g: seen.append(kept() is None))
    loss = late.sum()
    del late
    loss.backward()
    assert seen == [True]
    assert loss._node is not None  # the graph is still there; what it kept is not


def test_intermediates_die_with_their_graph_without_the_collector():
    x = mc.ones(10, requires_grad=True)
    gc.disable()
    try:
        hidden = x * 2
        ref = weakref.ref(hidden._array)
        loss = hidden.exp().sum()
        del hidden
        loss.backward()
        del loss
        assert ref() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: x * x, "Mul"),
        (lambda x: x.exp(), "Exp"),
        (lambda x: x**2, "Pow"),
        (lambda x: mc.relu(x), "ReLU"),
        (lambda x: x.max(), "Extremum"),
        (lambda x: x[[0, 1]], "Gather"),
        (lambda x: mc.nn.functional.max_pool2d(x.view(1, 1, 2, 2), 2), "MaxPool2d"),
        (lambda x: mc.softmax(x, 0), "Softmax"),
    ],
)
def test_a_second_backward_names_the_operation(function, name):
    x = leaf(1.0, 2.0, 3.0, 4.0)
    y = function(x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=rf"backward through {name} a second time.*retain_graph=True"):
        y.backward()


def test_retain_graph_and_operations_that_kept_nothing():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    results = []
    for m in (mc, torch):
        a = m.tensor([1.0, 2.0], requires_grad=True)
        b = (a + 1).reshape(2, 1).sum()
        b.backward()
        b.backward()  # sums and views need nothing kept: torch allows it
        results.append(a.grad)
    assert_same(*results)


# ---- grad()


def test_grad_returns_and_does_not_accumulate():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x * w
    y = (h * h).sum()
    gx, gh, gx_again, gw = mc.autograd.grad(y, [x, h, x, w])
    np.testing.assert_allclose(gh.numpy(), 2 * (x * w).detach().numpy())
    np.testing.assert_allclose(gx.numpy(), (gh * w.detach()).numpy())
    np.testing.assert_allclose(gw.numpy(), (gh * x.detach()).numpy())
    assert gx.tolist() == gx_again.tolist()
    assert not np.shares_memory(gx.numpy(), gx_again.numpy())
    assert x.grad is None
    assert w.grad is None


def test_grad_of_several_outputs_with_cotangents():
    results = []
    for m in (mc, torch):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        outputs = [x * x, x.sum(), x.exp()]
        grads = [m.tensor([1.0, -1.0]), None, m.tensor([0.5, 2.0])]
        results.append(m.autograd.grad(outputs, x, grads)[0])
    assert_same(*results, rtol=1e-6)


def test_grad_of_an_output_itself():
    x = leaf(1.0, 2.0)
    y = x * 2
    assert mc.autograd.grad(y.sum(), y)[0].tolist() == [1, 1]
    (g,) = mc.autograd.grad(y, y, mc.tensor([3.0, 4.0], dtype=mc.float64))
    assert g.tolist() == [3, 4]
    (g,) = mc.autograd.grad(x, x, mc.ones(2, dtype=mc.float64))
    assert g.tolist() == [1, 1]


def test_grad_errors():
    x, unused = leaf(1.0), leaf(2.0)
    with pytest.raises(RuntimeError, match=r"inputs\[1\] was not used.*allow_unused=True"):
        mc.autograd.grad((x * 2).sum(), [x, unused])
    assert mc.autograd.grad((x * 2).sum(), [x, unused], allow_unused=True)[1] is None
    with pytest.raises(RuntimeError, match=r"inputs\[0\] does not require grad"):
        mc.autograd.grad(x.sum(), mc.ones(1))
    with pytest.raises(RuntimeError, match=r"outputs does not require grad"):
        mc.autograd.grad(mc.ones(1), x)
    with pytest.raises(RuntimeError, match=r"grad_outputs: expected one for each of the 2 outputs, got 1"):
        mc.autograd.grad([x.sum(), x.sum()], x, [None])
    with pytest.raises(NotImplementedError, match=r"create_graph=True"):
        mc.autograd.grad(x.sum(), x, create_graph=True)


# ---- backward()'s arguments


def test_backward_into_named_inputs_only():
    results = []
    for m in (mc, torch):
        x, w = m.tensor([1.0, 2.0], requires_grad=True), m.tensor([3.0, 4.0], requires_grad=True)
        h = x * w
        called = []
        x.register_post_accumulate_grad_hook(lambda t, called=called: called.append("x"))
        w.register_hook(lambda g, called=called: called.append("w"))
        (h * h).sum().backward(inputs=[x, h, x])
        assert w.grad is None
        results.append((x.grad, h.grad, called))
    assert_same(results[0][0], results[1][0])
    assert_same(results[0][1], results[1][1])
    assert results[0][2] == results[1][2] == ["x"]


def test_backward_into_a_retained_input_counts_once():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.retain_grad()
    h.sum().backward(inputs=[h])
    assert h.grad.tolist() == [1, 1]


def test_backward_errors():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match=r"one element.*shape \(2,\).*gradient="):
        (x * 2).backward()
    with pytest.raises(RuntimeError, match=r"gradient: expected the shape of the tensor, \(2,\), got \(3,\)"):
        (x * 2).backward(mc.ones(3))
    with pytest.raises(TypeError, match=r"gradient: expected a Tensor or None, got float"):
        x.sum().backward(1.0)
    with pytest.raises(RuntimeError, match=r"does not require grad and has no grad_fn"):
        mc.ones(1).backward()
    with mc.no_grad():
        y = x.sum()
    with pytest.raises(RuntimeError, match=r"no_grad\(\)"):
        y.backward()
    with pytest.raises(NotImplementedError, match=r"create_graph"):
        x.sum().backward(create_graph=True)
    with pytest.raises(RuntimeError, match=r"grad_tensors: expected one for each of the 1 tensors, got 2"):
        mc.autograd.backward([x.sum()], [None, None])
    with pytest.raises(RuntimeError, match=r"inputs: expected at least one"):
        x.sum().backward(inputs=[])
    with pytest.raises(RuntimeError, match=r"inputs\[0\] does not require grad"):
        x.sum().backward(inputs=[mc.ones(2)])


def test_a_gradient_of_another_type_is_cast():
    x = mc.ones(2, requires_grad=True)
    (x * 2).backward(mc.tensor([1.0, 3.0], dtype=mc.float64))
    assert x.grad.dtype is mc.float32
    assert x.grad.tolist() == [2, 6]


def test_broadcast_gradients_add_up():
    rng = np.random.default_rng(0)
    for shape in ((), (1,), (4,), (3, 1), (1, 4), (1, 3, 1), (2, 3, 4), (1, 1, 1)):
        compare(lambda m, a, b: a * b + a, values(rng, shape), values(rng, (2, 3, 4)))


def test_a_rule_of_the_wrong_shape_is_named():
    class Wrong(Op):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad_out):
            return grad_out[:1]

    with pytest.raises(RuntimeError, match=r"Wrong.backward: gradient 0 has shape \(1,\), expected .*\(2,\)"):
        Wrong.apply(leaf(1.0, 2.0)).sum().backward()


def test_several_outputs_of_which_some_are_used():
    class Both(Op):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3, np.argsort(x)

        @staticmethod
        def backward(ctx, grad_2, grad_3, grad_order):
            assert grad_order.shape == grad_2.shape
            return grad_2 * 2 + grad_3 * 3

    x = leaf(1.0, 2.0)
    a, b, order = Both.apply(x)
    assert not order.requires_grad
    assert order.grad_fn is None
    a.sum().backward(retain_graph=True)
    assert x.grad.tolist() == [2, 2]
    b.sum().backward()
    assert x.grad.tolist() == [5, 5]


def test_run_backward_leaves_the_mode_alone():
    x = leaf(1.0)
    x.sum().backward()
    assert mc.is_grad_enabled()
    with mc.no_grad():
        y = mc.ones(1)
    assert not y.requires_grad
    assert run_backward([x], [np.ones(1)], False, [x])[0].tolist() == [1]


def test_infinities_that_cancel_are_nan_not_a_warning():
    """Where gradients of both signs are infinite, adding them up (over what was broadcast, or two paths) gives NaN."""
    divisor = mc.zeros(1, requires_grad=True)
    with np.errstate(all="raise"):
        (mc.tensor([2.0, 1.0]) / divisor).backward(mc.tensor([1.0, -1.0]))
        assert np.isnan(divisor.grad.item())
        x = mc.zeros(1, requires_grad=True)
        (x.log() - x.log()).backward()
        assert np.isnan(x.grad.item())


def test_grad_of_what_was_not_used():
    """None, zeros or an error, as in torch; and inputs by name."""
    for m in (mc, torch):
        x, y = m.ones(2, requires_grad=True), m.ones(3, requires_grad=True)
        out = (x * 2).sum()
        for options, expected in (
            ({"allow_unused": True}, None),
            ({"materialize_grads": True}, [0, 0, 0]),
            ({"materialize_grads": True, "allow_unused": True}, [0, 0, 0]),
        ):
            gradients = m.autograd.grad(out, {"x": x, "y": y}, retain_graph=True, **options)
            assert list(gradients) == ["x", "y"]
            assert gradients["x"].tolist() == [2, 2]
            assert (gradients["y"] if expected is None else gradients["y"].tolist()) == expected
        with pytest.raises(RuntimeError, match="allow_unused"):
            m.autograd.grad(out, [x, y], retain_graph=True)
        with pytest.raises(ValueError, match="allow_unused"):
            m.autograd.grad(out, [x, y], materialize_grads=True, allow_unused=False)
        with pytest.raises(RuntimeError, match="inputs"):
            m.autograd.grad(out, [])
        with pytest.warns(FutureWarning, match="only_inputs"):
            m.autograd.grad(out, x, only_inputs=False)
    with pytest.raises(NotImplementedError, match="is_grads_batched"):
        mc.autograd.grad(out, x, is_grads_batched=True)


def test_the_old_name_of_grad_tensors():
    x = mc.ones(2, requires_grad=True)
    with pytest.warns(FutureWarning, match="grad_variables"):
        mc.autograd.backward([x * 2], grad_variables=[mc.tensor([1.0, 3.0])])
    assert x.grad.tolist() == [2, 6]
    with pytest.warns(FutureWarning), pytest.raises(RuntimeError, match="pass grad_tensors only"):
        mc.autograd.backward([x * 2], [mc.ones(2)], grad_variables=[mc.ones(2)])
