"""Normalisation layers against torch's: values, gradients, buffers after training steps, state dicts, repr."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import assert_same_layer

LAYERS = {
    "batch-3d": (lambda nn: nn.BatchNorm3d(3), (2, 3, 2, 3, 4)),
    "batch-3d-cumulative": (lambda nn: nn.BatchNorm3d(3, momentum=None), (2, 3, 2, 3, 4)),
    "group": (lambda nn: nn.GroupNorm(2, 6), (3, 6, 4, 5)),
    "group-plain": (lambda nn: nn.GroupNorm(3, 6, eps=0.1, affine=False), (3, 6, 4)),
    "group-no-bias": (lambda nn: nn.GroupNorm(6, 6, bias=False), (3, 6, 4)),
    "instance-1d": (lambda nn: nn.InstanceNorm1d(3), (2, 3, 5)),
    "instance-1d-alone": (lambda nn: nn.InstanceNorm1d(3, affine=True), (3, 5)),
    "instance-2d": (lambda nn: nn.InstanceNorm2d(3, affine=True, track_running_stats=True), (2, 3, 5, 4)),
    "instance-2d-alone": (lambda nn: nn.InstanceNorm2d(3, track_running_stats=True, momentum=0.3), (3, 5, 4)),
    "instance-2d-no-bias": (lambda nn: nn.InstanceNorm2d(3, affine=True, bias=False), (2, 3, 5, 4)),
    "instance-3d": (lambda nn: nn.InstanceNorm3d(2, eps=0.1), (2, 2, 3, 2, 4)),
    "layer": (lambda nn: nn.LayerNorm(6), (3, 4, 6)),
    "layer-several": (lambda nn: nn.LayerNorm([4, 6], eps=1e-3), (3, 4, 6)),
    "layer-no-bias": (lambda nn: nn.LayerNorm(6, bias=False), (3, 6)),
    "layer-plain": (lambda nn: nn.LayerNorm(6, elementwise_affine=False), (3, 6)),
    "local-response": (lambda nn: nn.LocalResponseNorm(3, alpha=0.1), (2, 5, 3, 4)),
    "rms": (lambda nn: nn.RMSNorm(6), (3, 4, 6)),
    "rms-plain": (lambda nn: nn.RMSNorm((4, 6), 0.1, elementwise_affine=False), (3, 4, 6)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_layers(name, dtype):
    make, shape = LAYERS[name]
    assert_same_layer(make, shape, dtype)


@pytest.mark.parametrize("name", LAYERS)
def test_learned_parameters_matter(name):
    """The parameters begin as ones and zeros: here they are others."""
    make, shape = LAYERS[name]

    def moved(nn):
        layer = make(nn)
        m = torch if nn is torch.nn else mc
        for i, parameter in enumerate(layer.parameters()):
            parameter.data.copy_(m.linspace(-1, 1 + i, parameter.numel()).reshape(parameter.shape))
        return layer

    assert_same_layer(moved, shape)


def test_refusals():
    with pytest.raises(NotImplementedError, match="BatchNorm1d, BatchNorm2d and BatchNorm3d compute the same"):
        mc.nn.SyncBatchNorm(3)
    with pytest.raises(NotImplementedError, match="LocalResponseNorm, with the same arguments"):
        mc.nn.CrossMapLRN2d(3)
    with pytest.raises(ValueError, match=r"num_channels \(4\) must be divisible by num_groups \(3\)"):
        mc.nn.GroupNorm(3, 4)
    with pytest.raises(ValueError, match=r"expected 5D input \(n, c, depth, h, w\), got 4D"):
        mc.nn.BatchNorm3d(3)(mc.zeros(2, 3, 4, 4))
    with pytest.raises(ValueError, match="expected 3D or 4D input, got 2D"):
        mc.nn.InstanceNorm2d(3)(mc.zeros(2, 3))
    with pytest.raises(ValueError, match="expected 3 channels, as num_features, got 4"):
        mc.nn.InstanceNorm2d(3, affine=True)(mc.zeros(2, 4, 3, 3))


def test_instance_norm_of_other_channels_warns():
    with pytest.warns(UserWarning, match="4 channels, and num_features is 3"):
        mc.nn.InstanceNorm2d(3)(mc.rand(2, 4, 3, 3))
