"""Lazy layers against PyTorch's: before, during and after the first call; saved, loaded, copied."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import minicnn as mc
from minicnn.nn.lazy import LazyModuleMixin
from tests.helpers.modules import assert_same_behaviour, copy_into_torch

LAYERS = {
    "linear": (lambda nn: nn.LazyLinear(3), (2, 5)),
    "linear-no-bias": (lambda nn: nn.LazyLinear(3, bias=False), (2, 4, 5)),
    "conv1d": (lambda nn: nn.LazyConv1d(4, 3, padding=1), (2, 3, 7)),
    "conv2d": (lambda nn: nn.LazyConv2d(4, (3, 2), stride=2, groups=2, bias=False), (2, 6, 7, 6)),
    "conv2d-unbatched": (lambda nn: nn.LazyConv2d(4, 3), (3, 7, 6)),
    "conv3d": (lambda nn: nn.LazyConv3d(4, 2, padding="same"), (2, 3, 4, 5, 3)),
    "transpose1d": (lambda nn: nn.LazyConvTranspose1d(4, 3, 2), (2, 3, 7)),
    "transpose2d": (lambda nn: nn.LazyConvTranspose2d(4, 3, stride=2, output_padding=1, groups=2), (2, 6, 4, 5)),
    "transpose3d": (lambda nn: nn.LazyConvTranspose3d(4, 2, bias=False), (2, 3, 2, 3, 2)),
    "batchnorm1d": (lambda nn: nn.LazyBatchNorm1d(), (4, 3)),
    "batchnorm2d": (lambda nn: nn.LazyBatchNorm2d(1e-3, 0.2), (4, 3, 2, 3)),
    "batchnorm3d": (lambda nn: nn.LazyBatchNorm3d(bias=False), (2, 3, 2, 3, 2)),
    "batchnorm2d-plain": (lambda nn: nn.LazyBatchNorm2d(affine=False, track_running_stats=False), (4, 3, 2, 3)),
}
PARAMETRISED = pytest.mark.parametrize("name", LAYERS)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Lazy modules are a new feature"),
    pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel"),
]


@PARAMETRISED
def test_the_first_call_makes_an_ordinary_layer(name):
    make, shape = LAYERS[name]
    ours, theirs = make(mc.nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours(mc.zeros(*shape))
    theirs(torch.zeros(*shape))
    assert repr(ours) == repr(theirs)
    assert type(ours).__name__ == type(theirs).__name__
    assert {type(p).__name__ for p in ours.parameters()} == {type(p).__name__ for p in theirs.parameters()}
    theirs.double()
    ours.double()
    copy_into_torch(theirs, ours)
    assert_same_behaviour(ours, theirs, shape, steps=1)


@PARAMETRISED
def test_converted_and_copied_before_the_first_call(name):
    make, shape = LAYERS[name]
    lazy = make(mc.nn).double()
    lazy.requires_grad_(False)
    for other in (lazy, copy.deepcopy(lazy), pickle.loads(pickle.dumps(lazy))):
        assert other(mc.zeros(*shape, dtype=mc.float64)).dtype == mc.float64
        assert not any(p.requires_grad for p in other.parameters())
    assert not isinstance(lazy, LazyModuleMixin)


@PARAMETRISED
def test_loading(name):
    make, shape = LAYERS[name]
    trained, empty, target = make(mc.nn), make(mc.nn), make(mc.nn)
    trained(mc.randn(*shape))
    state = trained.state_dict()
    # Into a lazy layer: it takes the shapes that come.
    target.load_state_dict(state)
    assert all(target.state_dict()[key].equal(value) for key, value in state.items())
    x = mc.randn(*shape)
    assert target.eval()(x).equal(trained.eval()(x))
    assert repr(target) == repr(trained)
    # A lazy layer's own state, into another lazy one: nothing happens. Into an ordinary one: an error.
    target = make(mc.nn)
    target.load_state_dict(empty.state_dict())
    assert target.has_uninitialized_params() == (name != "batchnorm2d-plain")
    if target.has_uninitialized_params():
        with pytest.raises(RuntimeError, match="weight is uninitialized in the checkpoint"):
            trained.load_state_dict(empty.state_dict())


def test_one_can_tell_what_is_missing():
    layer = mc.nn.LazyLinear(3)
    assert repr(layer.weight) == "<UninitializedParameter>"
    assert layer.weight.dtype == mc.float32
    assert layer.weight.grad is None
    assert layer.weight.is_leaf
    assert layer.weight.is_floating_point()
    with pytest.raises(RuntimeError, match="Can't access the shape of an uninitialized parameter"):
        _ = layer.weight.shape
    for use in (
        lambda p: p.clone(),
        lambda p: p + 1,
        lambda p: p.numel(),
        lambda p: mc.nn.init.ones_(p),
        lambda p: mc.nn.functional.linear(mc.ones(2), p),
    ):
        with pytest.raises((ValueError, RuntimeError), match="uninitialized parameter"):
            use(layer.weight)


def test_a_layer_of_ones_own():
    class Scale(LazyModuleMixin, mc.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = mc.nn.UninitializedParameter()
            self.offset = mc.nn.UninitializedBuffer(dtype=mc.float64, persistent=False)

        def initialize_parameters(self, x):
            if self.has_uninitialized_params():
                self.scale.materialize(x.shape[-1:])
                mc.nn.init.ones_(self.scale)
                self.offset.materialize((1,), dtype=mc.float32)
                self.offset.zero_()

        def forward(self, x):
            return x * self.scale + self.offset

    layer = Scale()
    assert list(layer.state_dict()) == ["scale"]
    x = mc.randn(2, 3)
    assert layer(x).equal(x)
    assert layer(x).equal(x)  # a class of its own has nothing to become
    assert [type(t).__name__ for t in (layer.scale, layer.offset)] == ["Parameter", "Tensor"]


def test_errors():
    class Forgetful(LazyModuleMixin, mc.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = mc.nn.UninitializedParameter()

    with pytest.raises(NotImplementedError, match="initialize_parameters is not implemented for Forgetful"):
        Forgetful()(mc.ones(2))
    Forgetful.initialize_parameters = lambda self, x: None  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="module Forgetful has not been fully initialized"):
        Forgetful()(mc.ones(2))
    with pytest.raises(RuntimeError, match=r"Expected 3D \(unbatched\) or 4D \(batched\) input to LazyConv2d"):
        mc.nn.LazyConv2d(3, 2)(mc.zeros(2, 2))
    with pytest.raises(ValueError, match="in_channels must be divisible by groups, got in_channels=3, groups=2"):
        mc.nn.LazyConv2d(4, 2, groups=2)(mc.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match="out_channels must be divisible by groups"):
        mc.nn.LazyConv2d(3, 2, groups=2)


@pytest.mark.parametrize("early", [False, True])
def test_in_a_model_with_an_optimizer(early):
    """An optimizer made before the first call holds the same parameters, as in torch."""
    model = mc.nn.Sequential(
        mc.nn.LazyConv2d(4, 3), mc.nn.LazyBatchNorm2d(), mc.nn.ReLU(), mc.nn.Flatten(), mc.nn.LazyLinear(2)
    )
    optimizer = mc.optim.SGD(model.parameters(), lr=0.1)
    model(mc.zeros(2, 1, 6, 6))
    if not early:
        optimizer = mc.optim.SGD(model.parameters(), lr=0.1)
    before = [p.detach().clone() for p in model.parameters()]
    model(mc.randn(2, 1, 6, 6)).square().mean().backward()
    optimizer.step()
    after = [p.detach().numpy() for p in model.parameters()]
    changed = [not np.array_equal(old.numpy(), new) for old, new in zip(before, after, strict=True)]
    assert changed.count(True) >= 5  # (the convolution's bias is taken off again by the batch norm)
