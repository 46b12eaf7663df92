"""What a tensor is: its attributes, conversions, copies, and its place in the graph."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.oracle import assert_same


def test_attributes_as_in_torch():
    for m in (mc, torch):
        x = m.zeros(2, 3, 4)
        assert tuple(x.shape) == tuple(x.size()) == (2, 3, 4)
        assert x.size(1) == x.size(-2) == 3
        assert x.ndim == x.dim() == 3
        assert x.numel() == x.nelement() == 24
        assert x.element_size() == 4
        assert x.is_floating_point()
        assert not x.long().is_floating_point()
        assert x.stride() == (12, 4, 1)
        assert x.stride(1) == 4
        assert x.is_contiguous()
        assert not x.permute(2, 0, 1).is_contiguous()
        assert len(x) == 2
        assert str(x.device) == "cpu"
        assert not x.is_cuda
        assert x.is_leaf
        assert x.grad is None
        assert x.grad_fn is None
        assert not x.requires_grad
        assert (x.requires_grad_() * 2).is_leaf is False


def test_to_python():
    for m in (mc, torch):
        assert m.tensor(2.5).item() == float(m.tensor([2.5])) == 2.5
        assert int(m.tensor(3)) == 3
        assert bool(m.tensor([1.0])) is True
        assert bool(m.tensor(0)) is False
        assert m.tensor([[1, 2]]).tolist() == [[1, 2]]
        assert list(range(5))[m.tensor(2)] == 2
        assert isinstance(m.tensor(1).item(), int)
        assert isinstance(m.tensor(True).item(), bool)
    with pytest.raises(RuntimeError, match=r"item\(\): only a tensor of one element has one, this has shape \(2,\)"):
        mc.ones(2).item()
    with pytest.raises(RuntimeError, match=r"truth of a tensor of shape \(2,\) is ambiguous"):
        bool(mc.ones(2))
    with pytest.raises(TypeError, match=r"only integer tensors"):
        range(mc.tensor(2.0))


def test_to_numpy():
    x = mc.arange(3.0)
    assert np.asarray(x) is not None
    assert np.shares_memory(x.numpy(), np.asarray(x))
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.array(x).tolist() == [0, 1, 2]
    assert not np.shares_memory(np.array(x), x.numpy())
    x.requires_grad_()
    for convert in (lambda: x.numpy(), lambda: np.asarray(x), lambda: (x * 2).numpy()):
        with pytest.raises(RuntimeError, match=r"tensor.detach\(\).numpy\(\)"):
            convert()
    assert np.shares_memory(x.numpy(force=True), x.detach().numpy())


def test_conversions():
    x = np.array([0.0, 1.5, -2.7], np.float32)
    for convert in (
        lambda m, t: t.to(m.float64),
        lambda m, t: t.to(dtype=m.int64),
        lambda m, t: t.to("cpu"),
        lambda m, t: t.to(m.device("cpu"), m.float64),
        lambda m, t: t.to(m.zeros(1, dtype=m.int32)),
        lambda m, t: t.to("cpu", m.float64, non_blocking=True),
        lambda m, t: t.double(),
        lambda m, t: t.float(),
        lambda m, t: t.long(),
        lambda m, t: t.int(),
        lambda m, t: t.bool(),
        lambda m, t: m.abs(t).byte(),
        lambda m, t: t.type_as(m.zeros(1).double()),
        lambda m, t: t.cpu(),
    ):
        assert_same(convert(mc, mc.tensor(x)), convert(torch, torch.tensor(x)))
    t = mc.tensor(x)
    assert t.to(mc.float32) is t
    assert t.to("cpu") is t
    assert t.float() is t
    copied = t.to(mc.float32, copy=True)
    assert copied is not t
    assert not np.shares_memory(copied.numpy(), t.numpy())
    for move in (lambda: t.to("cuda"), lambda: t.cuda(), lambda: t.to(mc.device("cuda:0"))):
        with pytest.raises(mc.DeviceUnavailable, match=r"not there"):
            move()
    with pytest.raises(TypeError, match=r"unexpected argument 'dytpe'"):
        t.to(dytpe=mc.float64)
    with pytest.raises(TypeError, match=r"not supported"):
        t.to(np.float16)
    with pytest.raises(ValueError, match=r"'gpu' is not known"):
        t.to("gpu")


def test_requires_grad():
    x = mc.ones(2)
    assert x.requires_grad_() is x
    assert x.requires_grad
    x.requires_grad = False
    assert not (x * 2).requires_grad
    y = x.requires_grad_() * 2
    y.requires_grad = True
    with pytest.raises(RuntimeError, match=r"only a leaf can be switched off; use detach\(\)"):
        y.requires_grad = False
    with pytest.raises(RuntimeError, match=r"only floating-point tensors can have gradients, got minicnn.int64"):
        mc.tensor([1]).requires_grad_()


def test_grad_can_be_set():
    x = mc.ones(2, requires_grad=True)
    x.grad = mc.tensor([1.0, 2.0])
    (x * 3).sum().backward()
    assert x.grad.tolist() == [4, 5]
    with pytest.raises(TypeError, match=r"grad: expected a Tensor or None, got list"):
        x.grad = [1, 2]
    with pytest.raises(
        RuntimeError, match=r"grad: expected minicnn.float32 of shape \(2,\).*got minicnn.float32 of shape \(3,\)"
    ):
        x.grad = mc.ones(3)
    with pytest.raises(RuntimeError, match=r"grad: .*got minicnn.float64"):
        x.grad = mc.ones(2).double()
    x.grad = None
    assert x.grad is None


def test_detach_and_data():
    x = mc.ones(2, requires_grad=True)
    y = x * 2
    for cut in (y.detach(), y.data):
        assert not cut.requires_grad
        assert cut.is_leaf
        assert np.shares_memory(cut.numpy(), y.detach().numpy())
    assert y.detach_() is y
    assert not y.requires_grad
    x.data = mc.tensor([5.0, 6.0, 7.0])
    assert x.tolist() == [5, 6, 7]
    assert x.requires_grad
    x.data[0] = 9  # past the version check, as in torch
    assert x.tolist() == [9, 6, 7]
    with pytest.raises(TypeError, match=r"data: expected a Tensor"):
        x.data = np.ones(2)


def test_deepcopy_and_pickle():
    x = mc.tensor([1.0, 2.0], requires_grad=True)
    x.name = "weights"
    (x * 2).sum().backward()
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.tolist() == [1, 2]
        assert other.requires_grad
        assert other.is_leaf
        assert other.name == "weights"
        assert not np.shares_memory(other.detach().numpy(), x.detach().numpy())
    assert copy.deepcopy(x).grad.tolist() == [2, 2]
    shared = [x, x]
    copied = copy.deepcopy(shared)
    assert copied[0] is copied[1]
    with pytest.raises(RuntimeError, match=r"deepcopy: only leaves"):
        copy.deepcopy(x * 2)
    with pytest.raises(RuntimeError, match=r"pickle: only leaves"):
        pickle.dumps(x * 2)
    for dtype in (mc.float64, mc.int64, mc.bool, mc.uint8):
        assert pickle.loads(pickle.dumps(mc.ones(2, dtype=dtype))).dtype is dtype
    fortran = mc.from_numpy(np.asfortranarray(np.ones((2, 3))))
    assert copy.deepcopy(fortran).stride() == (1, 2)


def test_tensors_are_hashed_by_identity():
    a, b = mc.ones(2), mc.ones(2)
    assert len({a, b, a}) == 2
    assert a in [a, b]
    assert {a: 1}[a] == 1


def test_only_numbers_make_tensors():
    with pytest.raises(TypeError, match=r"not supported; choose one of"):
        mc.Tensor(np.array(["a"]))
    assert mc.Tensor([1.0, 2.0]).dtype is mc.float64  # wraps what NumPy makes of it: mc.tensor is the one that converts


def test_next_functions_and_names():
    x = mc.ones(2, requires_grad=True)
    y = (x * 2).exp()
    assert y.grad_fn.name() == "ExpBackward"
    ((node, _),) = y.grad_fn.next_functions
    assert node.name() == "MulBackward"
    assert node.next_functions == ((x, 0), (None, 0))
