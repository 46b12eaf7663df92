"""Resampling and shuffling layers against PyTorch's."""

from __future__ import annotations

import pytest
import torch

import minicnn as mc
from tests.helpers.modules import assert_same_behaviour

LAYERS = {
    "Upsample": [
        ((), {"size": 7}, (2, 3, 4)),
        ((), {"scale_factor": 2}, (2, 3, 4, 5)),
        (((7, 3),), {"mode": "bicubic", "align_corners": True}, (2, 3, 4, 5)),
        ((None, (1.5, 2.3)), {"mode": "bilinear", "recompute_scale_factor": True}, (2, 3, 4, 5)),
        ((), {"scale_factor": 1.5, "mode": "trilinear"}, (1, 2, 3, 4, 5)),
    ],
    "UpsamplingNearest2d": [((), {"scale_factor": 2}, (2, 3, 4, 5)), ((3,), {}, (2, 3, 4, 5))],
    "UpsamplingBilinear2d": [((), {"scale_factor": 2}, (2, 3, 4, 5)), (((3, 9),), {}, (2, 3, 4, 5))],
    "PixelShuffle": [((2,), {}, (2, 8, 3, 4))],
    "PixelUnshuffle": [((2,), {}, (2, 3, 6, 4))],
    "ChannelShuffle": [((3,), {}, (2, 6, 3, 4))],
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in LAYERS.items() for case in cases])
def test_as_torch(name, case):
    arguments, options, shape = case
    ours, theirs = (getattr(nn, name)(*arguments, **options) for nn in (mc.nn, torch.nn))
    assert repr(ours) == repr(theirs)
    assert not ours.state_dict()
    for attribute in ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "name"):
        assert getattr(ours, attribute, None) == getattr(theirs, attribute, None)
    assert_same_behaviour(ours, theirs, shape, steps=1)
