"""The fused operations of a residual block against the sequences that they stand for, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from minicnn.ops.activation import ReLU
from minicnn.ops.elementwise import Add
from minicnn.ops.norm import BatchNormTrain
from minicnn.ops.residual import AddReLU, BatchNormAddReLU
from tests.helpers.oracle import FLOATS, SEEDS
from tests.ops.test_fused import batch_norm_options, check_statistics, compare, tensors


@given(SEEDS, FLOATS, st.sampled_from([(4,), (2, 3, 4, 5), (0, 3)]))
def test_add_relu(seed, dtype, shape):
    compare(AddReLU.apply, lambda a, b: ReLU.apply(Add.apply(a, b)), dtype, seed, shape, shape)


@given(SEEDS, FLOATS, st.integers(1, 40), st.sampled_from([(), (3,), (4, 5)]), st.integers(0, 1))
def test_batch_norm_add_relu(seed, dtype, c, spatial, offset):
    ours, theirs = batch_norm_options(c, dtype), batch_norm_options(c, dtype)
    compare(
        lambda *operands: BatchNormAddReLU.apply(*operands, **ours),
        lambda x, weight, bias, other, *offset: ReLU.apply(
            Add.apply(other, BatchNormTrain.apply(x, weight, bias, *offset, **theirs))
        ),
        *(dtype, seed, (3, c, *spatial), (c,), (c,), (3, c, *spatial), *[(c,)] * offset),
    )
    check_statistics(ours, theirs)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("c", [2, 9])
def test_gradcheck(backend, c):
    norm = {"eps": 1e-2, "momentum": 0.1, "running_mean": None, "running_var": None}
    with mc.use_backend(backend):
        shapes = (3, c, 4), (c,), (c,), (3, c, 4)
        assert mc.autograd.gradcheck(lambda *t: BatchNormAddReLU.apply(*t, **norm), tensors(5, np.float64, *shapes))
        assert mc.autograd.gradcheck(AddReLU.apply, tensors(5, np.float64, (4, c), (4, c)))


def test_both_operands_may_be_one_tensor():
    (a,) = tensors(0, np.float64, (5,))
    AddReLU.apply(a, a).sum().backward()
    np.testing.assert_array_equal(a.grad.numpy(), np.where(a.detach().numpy() > 0, 2.0, 0.0))
