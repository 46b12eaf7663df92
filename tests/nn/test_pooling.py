"""Pooling layers against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import assert_close, assert_same_behaviour, to_ours

SHAPES = {1: (2, 3, 9), 2: (2, 3, 8, 7), 3: (2, 2, 6, 5, 7)}
# (name, arguments, options), for each number of dimensions
LAYERS = [
    ("MaxPool", (2,), {}),
    ("MaxPool", (3, 2, 1), {"ceil_mode": True}),
    ("MaxPool", (2, 1), {"dilation": 2}),
    ("AvgPool", (2,), {}),
    ("AvgPool", (3, 2, 1), {"ceil_mode": True, "count_include_pad": False}),
    ("LPPool", (2, 2), {}),
    ("LPPool", (3.0, 3, 2), {"ceil_mode": True}),
    ("AdaptiveMaxPool", (3,), {}),
    ("AdaptiveAvgPool", (1,), {}),
    ("AdaptiveAvgPool", (4,), {}),
]


def both(name, axes, *arguments, **options):
    return [getattr(nn, f"{name}{axes}d")(*arguments, **options) for nn in (mc.nn, torch.nn)]


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(("name", "arguments", "options"), LAYERS)
def test_as_torch(name, arguments, options, axes):
    ours, theirs = both(name, axes, *arguments, **options)
    assert repr(ours) == repr(theirs)
    assert not ours.state_dict()
    assert_same_behaviour(ours, theirs, SHAPES[axes], steps=1)
    assert_same_behaviour(ours, theirs, SHAPES[axes][1:], np.float32, steps=1)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("MaxPool2d", ((2, 3), (1, 2), (1, 0), (2, 1))),
        ("MaxPool3d", ((2, 3, 2), (1, 2, 2), (1, 0, 1))),
        ("AvgPool2d", ((2, 3), (1, 2), (1, 0), True, True, 5)),
        ("AvgPool3d", ((2, 3, 2), 2, 1, False, False, 7)),
        ("AdaptiveAvgPool2d", ((3, None),)),
        ("AdaptiveMaxPool3d", ((None, 2, 1),)),
        ("LPPool3d", (2, (1, 2, 3))),
    ],
)
def test_one_number_a_dimension(name, arguments):
    ours, theirs = both(name[:-2], int(name[-2]), *arguments)
    assert repr(ours) == repr(theirs)
    assert_same_behaviour(ours, theirs, SHAPES[int(name[-2])], steps=1)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_there_and_back(axes):
    """Indices of a pooling, and the unpooling that takes them."""
    array = np.random.default_rng(0).standard_normal(SHAPES[axes])
    results = []
    for nn, x in ((mc.nn, mc.from_numpy(array)), (torch.nn, torch.from_numpy(array))):
        pool = getattr(nn, f"MaxPool{axes}d")(2, return_indices=True)
        unpool = getattr(nn, f"MaxUnpool{axes}d")(2)
        out, indices = pool(x)
        adaptive, places = getattr(nn, f"AdaptiveMaxPool{axes}d")(3, return_indices=True)(x)
        results.append((out, indices, unpool(out, indices, output_size=x.shape), adaptive, places))
        assert repr(unpool) == repr(getattr(torch.nn, f"MaxUnpool{axes}d")(2))
    for ours, theirs in zip(*results, strict=True):
        assert_close(ours, theirs, np.float64, f"{axes}d")


def test_end_of_a_resnet():
    """Global average pooling of channels-last images, flattened: forward and backward."""
    theirs = torch.randn(4, 64, 7, 7, requires_grad=True)
    ours = to_ours(theirs.permute(0, 2, 3, 1)).permute(0, 3, 1, 2).requires_grad_()
    y = mc.nn.Flatten()(mc.nn.AdaptiveAvgPool2d(1)(ours))
    expected = torch.nn.Flatten()(torch.nn.AdaptiveAvgPool2d((1, 1))(theirs))
    assert_close(y, expected, np.float32, "output")
    g = torch.randn_like(expected)
    y.backward(to_ours(g))
    expected.backward(g)
    assert_close(ours.grad, theirs.grad, np.float32, "gradient")
