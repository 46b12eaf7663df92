"""Padding layers against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import assert_same_behaviour

KINDS = ("Constant", "Zero", "Reflection", "Replication", "Circular")
SHAPES = {1: (2, 3, 5), 2: (2, 3, 5, 4), 3: (1, 2, 5, 4, 3)}


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amounts", ["one", "each"])
def test_as_torch(kind, dims, amounts):
    padding = 2 if amounts == "one" else (1, 2, 0, 1, 2, -1)[: 2 * dims]
    arguments = (padding, 3.5) if kind == "Constant" else (padding,)
    ours, theirs = (getattr(nn, f"{kind}Pad{dims}d")(*arguments) for nn in (mc.nn, torch.nn))
    assert repr(ours) == repr(theirs)
    assert ours.padding == theirs.padding
    assert_same_behaviour(ours, theirs, SHAPES[dims], steps=1)
    assert_same_behaviour(ours, theirs, SHAPES[dims][1:], steps=1)


def test_base_classes_are_torchs():
    assert isinstance(mc.nn.ZeroPad2d(1), mc.nn.ConstantPad2d)


def test_circular_looks_at_the_dimensions():
    for dims in (1, 2, 3):
        for nn, ones in ((mc.nn, mc.ones), (torch.nn, torch.ones)):
            with pytest.raises(ValueError, match=rf"expected {dims + 1}D or {dims + 2}D input \(got 6D input\)"):
                getattr(nn, f"CircularPad{dims}d")(1)(ones(1, 1, 1, 1, 1, 1))


def test_pickle_and_state():
    layer = mc.nn.ReflectionPad2d((1, 2, 0, 1))
    assert not layer.state_dict()
    np.testing.assert_array_equal(layer(mc.arange(12.0).reshape(1, 3, 4))[0, 0].numpy(), [1, 0, 1, 2, 3, 2, 1])
