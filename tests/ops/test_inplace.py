"""In-place operations: right, or an error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given

import minicnn as mc
from tests.helpers.oracle import arrays, as_numpy, assert_same, broadcastable, values

UPDATES = {
    "add_": lambda m, x, other: x.add_(other),
    "add_alpha": lambda m, x, other: x.add_(other, alpha=-0.5),
    "sub_": lambda m, x, other: x.sub_(other),
    "mul_": lambda m, x, other: x.mul_(other),
    "div_": lambda m, x, other: x.div_(other * other + 1),
    "pow_": lambda m, x, other: x.pow_(2),
    "clamp_": lambda m, x, other: x.clamp_(-1, 1),
    "clamp_low": lambda m, x, other: x.clamp_(min=0),
    "relu_": lambda m, x, other: x.relu_(),
    "functional_relu": lambda m, x, other: m.nn.functional.relu(x, inplace=True),
    "copy_": lambda m, x, other: x.copy_(other),
    "zero_": lambda m, x, other: x.zero_(),
    "fill_": lambda m, x, other: x.fill_(3),
    "add_number": lambda m, x, other: x.add_(1.5),
    "mul_number": lambda m, x, other: x.mul_(2),
}


def operators(m, x, other):
    x += other
    x *= 2
    x -= 1
    x /= 3
    x **= 2
    return x


UPDATES["operators"] = operators


@pytest.mark.parametrize("name", UPDATES)
@given(x=arrays())
def test_without_gradients(name, x):
    other = values(np.random.default_rng(0), x.shape[1:], x.dtype)
    results = []
    for m in (mc, torch):
        a = mc.from_numpy(x.copy(order="K")) if m is mc else torch.from_numpy(x.copy(order="C"))
        b = m.tensor(other)
        address = id(a)
        out = UPDATES[name](m, a, b)
        assert id(out) == address
        results.append(a)
    assert_same(*results, **({"rtol": 1e-6} if x.dtype == np.float32 else {}))


@pytest.mark.parametrize("name", UPDATES)
@pytest.mark.parametrize("which", ["both", "target", "other"])
def test_recorded(name, which):
    rng = np.random.default_rng(3)
    x, other = values(rng, (3, 4)), values(rng, (4,))
    results = []
    for m in (mc, torch):
        a = m.tensor(x, requires_grad=which != "other")
        b = m.tensor(other, requires_grad=which != "target")
        y = a * 1.5 if which != "other" else m.tensor(x)
        out = UPDATES[name](m, y, b)
        assert out is y
        if y.requires_grad:
            (y * m.tensor(np.cos(x))).sum().backward()
        results.append((y, a.grad, b.grad))
    for ours, theirs in zip(*results, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            assert ours.requires_grad == theirs.requires_grad
            assert_same(ours, theirs)


@pytest.mark.parametrize("name", ["add_", "mul_", "relu_", "copy_", "fill_", "clamp_"])
def test_a_leaf_that_requires_grad_is_refused_while_recording(name):
    x = mc.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"leaf tensor that requires grad.*no_grad\(\)"):
        UPDATES[name](mc, x, mc.ones(3))
    with pytest.raises(RuntimeError, match=r"leaf"):
        x[0] = 1
    with mc.no_grad():
        UPDATES[name](mc, x, mc.ones(3))
        x[0] = 1
    assert x.is_leaf
    assert x.requires_grad


def test_recorded_changes_reach_views_and_bases():
    """Against torch, in ``test_views_in_place.py``; here by hand."""
    w = mc.ones(3, requires_grad=True)
    x = w * 2
    view = x[1:]
    view.mul_(mc.tensor([3.0, 5.0]))
    x.sum().backward()
    assert x.tolist() == [2, 6, 10]
    assert w.grad.tolist() == [2, 6, 10]


def test_types_that_do_not_fit():
    x = mc.tensor([1, 2])
    for change in (lambda: x.add_(1.5), lambda: x.div_(2), lambda: x.mul_(mc.ones(2)), lambda: x.exp_()):
        with pytest.raises(
            RuntimeError, match=r"minicnn.float\d\d result cannot be written into a minicnn.int64 tensor"
        ):
            change()
    with pytest.raises(RuntimeError, match=r"int64.*bool"):
        mc.tensor([True]).add_(1)
    assert x.tolist() == [1, 2]
    x += 3
    x.copy_(mc.tensor([7.9, -7.9]))  # copy_ casts, as in torch
    assert x.tolist() == [7, -7]
    y = mc.ones(2)
    y.mul_(mc.tensor([1.5, 2.5], dtype=mc.float64))
    assert y.dtype is mc.float32
    y += mc.tensor([1, 2])
    assert y.tolist() == [2.5, 4.5]


def test_recorded_results_of_a_wider_type_are_cast_back():
    results = []
    for m in (mc, torch):
        a = m.tensor([1.0, 2.0], requires_grad=True)
        b = m.tensor([0.1, 0.2], dtype=m.float64, requires_grad=True)
        y = a * 1
        y.mul_(b)
        y.sum().backward()
        results.append((y, a.grad, b.grad))
    for ours, theirs in zip(*results, strict=True):
        assert_same(ours, theirs)


def test_shapes_that_do_not_fit():
    x = mc.ones(2, 1)
    for other in (mc.ones(2, 3), mc.ones(1, 2, 1)):
        with pytest.raises(RuntimeError, match=r"add_: other of shape .* does not broadcast to \(2, 1\)"):
            x.add_(other)
    with pytest.raises(RuntimeError, match=r"mul_"):
        x.mul_(mc.ones(3, 2))
    with pytest.raises(RuntimeError, match=r"result has shape \(2, 3\)"):
        x.add_(mc.ones(2, 3, requires_grad=True))
    with pytest.raises(RuntimeError, match=r"copy_ into shape \(2, 1\)"):
        x.copy_(mc.ones(3, 1))
    with pytest.raises(TypeError, match=r"src: copy_ takes a Tensor"):
        x.copy_([1])


@given(pair=broadcastable(2))
def test_memory_is_written_where_it_lies(pair):
    x, _ = pair
    a = mc.from_numpy(x)
    a.add_(1)
    assert as_numpy(a) is x


def test_version_counts_changes_and_is_shared():
    x = mc.ones(3)
    view, alias, other = x[1:], x.detach(), x.clone()
    before = x._version
    view.add_(1)
    alias[0] = 5
    x.zero_()
    assert x._version == view._version == alias._version == before + 3
    assert other._version == 0
    assert x.data._version == 0


def test_a_stale_backward_is_an_error_naming_both():
    x = mc.ones(3, requires_grad=True)
    y = x * 2
    z = y.exp()
    z.add_(1)
    with pytest.raises(RuntimeError, match=r"Exp kept an array of shape \(3,\).*add_ has changed it.*clone\(\)"):
        z.sum().backward()


@pytest.mark.parametrize("through", [lambda y: y, lambda y: y.detach()])
def test_changing_what_a_product_kept(through):
    w = mc.ones(3, requires_grad=True)
    y = w * 3
    z = y * y
    with mc.no_grad():
        through(y).mul_(2)
    with pytest.raises(RuntimeError, match=r"Mul kept.*mul_"):
        z.sum().backward()


def test_an_optimizer_step_between_forward_and_backward_is_an_error():
    w = mc.nn.Parameter(mc.ones(2, 2))
    x = mc.ones(1, 2, requires_grad=True)
    loss = (x @ w).sum()
    w.grad = mc.ones(2, 2)
    mc.optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match=r"MatMul kept"):
        loss.backward()


def test_what_nobody_kept_may_change():
    x = mc.ones(3, requires_grad=True)
    y = x * 2
    z = y + 1
    y.mul_(5)
    (z + y).sum().backward()
    assert x.grad.tolist() == [12, 12, 12]


def test_relu_in_place_after_batch_norm_and_conv():
    """The residual block's habit: ``out += identity`` and ``relu_``."""
    results = []
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 5, 5)), rng.standard_normal((3, 3, 3, 3))
    for m in (mc, torch):
        a, b = m.tensor(x, requires_grad=True), m.tensor(w, requires_grad=True)
        out = m.nn.functional.conv2d(a, b, padding=1)
        out = m.nn.functional.batch_norm(out, None, None, training=True).relu_()
        out = m.nn.functional.conv2d(out, b, padding=1)
        out += a
        out.relu_()
        (out * m.tensor(x)).sum().backward()
        results.append((out, a.grad, b.grad))
    for ours, theirs in zip(*results, strict=True):
        assert_same(ours, theirs, rtol=1e-9, atol=1e-10)


def test_retain_grad_follows_an_in_place_change():
    results = []
    for m in (mc, torch):
        x = m.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        y.retain_grad()
        y.mul_(3)
        y.sum().backward()
        results.append((y.grad, x.grad))
    assert_same(results[0][0], results[1][0])
    assert_same(results[0][1], results[1][1])


def test_random_fills():
    g = mc.Generator().manual_seed(3)
    x = mc.empty(20_000).uniform_(-2, 3, generator=g)
    assert -2 <= x.min().item() < -1.99
    assert 2.99 < x.max().item() < 3
    x.normal_(5, 0.1, generator=g)
    assert abs(x.mean().item() - 5) < 0.004  # four standard errors
    assert abs(x.std().item() - 0.1) < 0.003
    with pytest.raises(ValueError, match=r"from <= to, got 2 and 1"):
        x.uniform_(2, 1)
    with pytest.raises(ValueError, match=r"std: .*-1"):
        x.normal_(0, -1)
    with mc.no_grad():
        w = mc.nn.Parameter(mc.zeros(3)).normal_()
    assert w.requires_grad


def test_read_only_memory_is_not_written():
    array = np.ones(3)
    array.flags.writeable = False
    x = mc.from_numpy(array)
    for change in (lambda: x.add_(1), lambda: x.zero_(), lambda: x.__setitem__(0, 1)):
        with pytest.raises(ValueError, match=r"read-only"):
            change()
    with pytest.raises(ValueError, match=r"read-only"):
        mc.ones(1).expand(3).add_(1)  # the three are one number


def test_expand_to_the_same_shape_can_be_written():
    x = mc.zeros(3)
    x.expand(3).add_(1)
    assert x.tolist() == [1, 1, 1]
