"""nn.utils.clip_grad_norm_ and clip_grad_value_ against PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.nn.utils import clip_grad_norm_, clip_grad_value_
from tests.helpers.modules import assert_close

SHAPES = [(3, 4), (5,), (), (2, 0)]


def parameters(dtype, scale=1.0):
    rng = np.random.default_rng(2)
    ours, theirs = [], []
    for shape in SHAPES:
        value, grad = (np.asarray(scale * rng.standard_normal(shape), dtype) for _ in range(2))
        ours.append(mc.nn.Parameter(mc.tensor(value)))
        ours[-1].grad = mc.tensor(grad)
        theirs.append(torch.nn.Parameter(torch.tensor(value)))
        theirs[-1].grad = torch.tensor(grad)
    ours.append(mc.nn.Parameter(mc.zeros(2)))  # without a gradient
    return ours, theirs


@pytest.mark.parametrize("norm_type", [2.0, 1, 3.5, math.inf, "inf"])
@pytest.mark.parametrize("max_norm", [0.5, 1000.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norm(norm_type, max_norm, dtype):
    ours, theirs = parameters(dtype)
    if norm_type in (math.inf, "inf"):  # the largest of no elements is an error in torch
        ours, theirs = ours[:3], theirs[:3]
    total = clip_grad_norm_(iter(ours), max_norm, norm_type)
    expected = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    assert_close(total, expected, dtype, "norm")
    for p, q in zip(ours, theirs, strict=False):
        assert_close(p.grad, q.grad, dtype, "gradient")


def test_value():
    ours, theirs = parameters(np.float64, 3.0)
    clip_grad_value_(ours, 1.5)
    torch.nn.utils.clip_grad_value_(theirs, 1.5)
    for p, q in zip(ours, theirs, strict=False):
        assert_close(p.grad, q.grad, np.float64, "gradient")


def test_one_tensor_and_none():
    ours, _ = parameters(np.float32)
    assert clip_grad_norm_(ours[0], 1.0).item() > 1
    assert clip_grad_norm_([], 1.0).item() == 0
    clip_grad_value_(ours[0], 0.1)
    assert np.abs(ours[0].grad.numpy()).max() <= np.float32(0.1)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_not_finite(bad):
    weight = mc.nn.Parameter(mc.zeros(2))
    weight.grad = mc.tensor([bad, 1.0])
    with pytest.raises(RuntimeError, match=r"The total norm of order 2.0 .* is non-finite"):
        clip_grad_norm_([weight], 1.0, error_if_nonfinite=True)
    assert weight.grad.numpy()[1] == 1
    clip_grad_norm_([weight], 1.0)
    expected = torch.tensor([bad, 1.0])
    theirs = torch.nn.Parameter(torch.zeros(2))
    theirs.grad = expected
    torch.nn.utils.clip_grad_norm_([theirs], 1.0)
    np.testing.assert_array_equal(weight.grad.numpy(), theirs.grad.numpy())
