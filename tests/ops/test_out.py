"""``out=``: results written into tensors that are there already, for every function that takes it in torch."""

import inspect

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.ops.out import WITH_OUT

UNARY = """
    abs acos asin atan ceil cos cosh erf exp expm1 floor log log1p neg round rsqrt sigmoid sin sqrt tan tanh
"""


@pytest.mark.parametrize("name", UNARY.split())
def test_same_values_and_the_tensor_itself(name):
    x = np.random.default_rng(0).random((3, 4))
    ours, theirs = mc.empty(3, 4, dtype=mc.float64), torch.empty(3, 4, dtype=torch.float64)
    assert getattr(mc, name)(mc.from_numpy(x), out=ours) is ours
    getattr(torch, name)(torch.from_numpy(x), out=theirs)
    np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-14)  # a few units in the last place


def test_every_name_is_there_and_takes_it():
    for name in WITH_OUT.split():
        assert "out" in inspect.signature(getattr(mc, name)).parameters, name


def test_memory_is_the_given_one():
    base = mc.zeros(4, 3)
    mc.add(mc.ones(3), 1, out=base[2])
    assert base.tolist() == [[0, 0, 0], [0, 0, 0], [2, 2, 2], [0, 0, 0]]
    x = mc.tensor([1.0, 2.0])
    mc.mul(x, x, out=x)
    assert x.tolist() == [1, 4]


def test_several_results():
    values, indices = mc.empty(2), mc.empty(2, dtype=mc.int64)
    result = mc.max(mc.tensor([[1.0, 5.0], [4.0, 2.0]]), 1, out=(values, indices))
    assert result[0] is values
    assert (values.tolist(), indices.tolist()) == ([5, 4], [1, 0])
    with pytest.raises(TypeError, match=r"returns 2 tensors; give a tuple of as many"):
        mc.max(mc.ones(2, 2), 1, out=values)


def test_an_empty_out_takes_the_shape_and_keeps_its_type():
    out = mc.empty(0, dtype=mc.float64)
    mc.add(mc.ones(2, 3), 1, out=out)
    assert (out.shape, out.dtype) == ((2, 3), mc.float64)


def test_what_does_not_fit():
    with pytest.raises(ValueError, match=r"add gives shape \(3,\), got a tensor of shape \(2,\)"):
        mc.add(mc.ones(3), 1, out=mc.empty(2))
    with pytest.raises(TypeError, match=r"cannot be written into a minicnn\.int64 tensor"):
        mc.add(mc.ones(3), 1, out=mc.empty(3, dtype=mc.int64))
    with pytest.raises(TypeError, match="writes into a Tensor, got list"):
        mc.add(mc.ones(3), 1, out=[])
    with pytest.raises(ValueError, match="shows the same memory several times"):
        mc.add(mc.ones(3), 1, out=mc.zeros(1).expand(3))
    x = mc.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="has no history"):
        mc.add(x, 1, out=mc.empty(3))
    with mc.no_grad():
        assert mc.add(x, 1, out=mc.empty(3)).tolist() == [2, 2, 2]


def test_a_change_is_seen_by_a_backward_pass():
    x = mc.ones(3, requires_grad=True)
    kept = mc.tensor([1.0, 2.0, 3.0])
    y = (x * kept).sum()
    mc.add(mc.ones(3), 1, out=kept)
    with pytest.raises(RuntimeError, match="changed it in place"):
        y.backward()
