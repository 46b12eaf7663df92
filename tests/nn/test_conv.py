"""Convolution layers in one, two and three dimensions, transposed ones, Unfold and Fold against PyTorch's."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import assert_close, assert_same_behaviour, assert_same_state, copy_into_ours, to_torch

AXES = pytest.mark.parametrize("axes", [1, 2, 3])
SIZES = (9, 8, 7)

# Arguments after the channels; a list is cut to the number of axes.
CONVOLUTIONS = {
    "plain": {"kernel_size": 3},
    "everything": {
        "kernel_size": [3, 2, 2], "stride": [2, 1, 2], "padding": [1, 2, 0], "dilation": [1, 2, 1], "groups": 2,
        "bias": False,
    },
    "depthwise": {"kernel_size": 3, "groups": 4, "padding": 2, "dilation": 2},
    "same": {"kernel_size": [3, 4, 2], "padding": "same"},
    "valid": {"kernel_size": 3, "padding": "valid", "stride": 2},
    "reflect": {"kernel_size": 3, "padding": [2, 1, 1], "padding_mode": "reflect", "stride": 2},
    "replicate": {"kernel_size": [3, 2, 3], "padding": 1, "padding_mode": "replicate", "dilation": 2},
    "circular": {"kernel_size": 3, "padding": [1, 2, 3], "padding_mode": "circular"},
    "circular-same": {"kernel_size": [4, 3, 2], "padding": "same", "padding_mode": "circular"},
    "reflect-valid": {"kernel_size": 3, "padding": "valid", "padding_mode": "reflect"},
}  # fmt: skip
TRANSPOSED = {
    "plain": {"kernel_size": 3},
    "everything": {
        "kernel_size": [3, 2, 2], "stride": [2, 3, 2], "padding": [1, 2, 0], "output_padding": [1, 2, 1], "groups": 2,
        "bias": False, "dilation": [1, 2, 1],
    },
    "positional": {"kernel_size": 4, "stride": 2, "padding": 1},
}  # fmt: skip


def cut(options: dict, axes: int) -> dict:
    return {name: tuple(value[:axes]) if isinstance(value, list) else value for name, value in options.items()}


@AXES
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name, axes):
    options = cut(CONVOLUTIONS[name], axes)
    ours, theirs = (getattr(nn, f"Conv{axes}d")(4, 8, **options) for nn in (mc.nn, torch.nn))
    assert repr(ours) == repr(theirs)
    theirs.double()
    ours.double()
    copy_into_ours(ours, theirs)
    assert_same_behaviour(ours, theirs, (2, 4, *SIZES[:axes]), steps=1)
    assert_same_behaviour(ours, theirs, (4, *SIZES[:axes]), steps=1)


@AXES
@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed_convolutions(name, axes):
    options = cut(TRANSPOSED[name], axes)
    ours, theirs = (getattr(nn, f"ConvTranspose{axes}d")(4, 6, **options) for nn in (mc.nn, torch.nn))
    assert repr(ours) == repr(theirs)
    theirs.double()
    ours.double()
    copy_into_ours(ours, theirs)
    assert_same_behaviour(ours, theirs, (2, 4, *(4, 5, 3)[:axes]), steps=1)
    assert_same_behaviour(ours, theirs, (4, *(4, 5, 3)[:axes]), steps=1)


@AXES
@pytest.mark.parametrize("kind", ["Conv{}d", "ConvTranspose{}d", "LazyConv{}d", "LazyConvTranspose{}d"])
def test_signatures(axes, kind):
    ours, theirs = (inspect.signature(getattr(nn, kind.format(axes)).__init__) for nn in (mc.nn, torch.nn))
    assert [(p.name, p.kind, p.default) for p in ours.parameters.values()] == [
        (p.name, p.kind, p.default) for p in theirs.parameters.values()
    ]


@AXES
def test_initial_values(axes):
    """Uniform in +-1/sqrt(fan_in): the bounds, and the variance of a few thousand of them."""
    for kind, fan in ((f"Conv{axes}d", 16), (f"ConvTranspose{axes}d", 32)):
        layer = getattr(mc.nn, kind)(32, 64, 5, groups=2)
        taps = 5**axes
        bound = 1 / np.sqrt(fan * taps)
        for values in (layer.weight.detach().numpy(), layer.bias.detach().numpy()):
            assert abs(values).max() <= bound
            assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.25 if values.size < 100 else 0.05)


@AXES
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_output_size(axes, stride):
    ours, theirs = (getattr(nn, f"ConvTranspose{axes}d")(2, 3, 3, stride, 1) for nn in (mc.nn, torch.nn))
    copy_into_ours(ours, theirs)
    x = torch.randn(2, 2, *(4, 5, 3)[:axes])
    for extra in range(stride):
        size = [(n - 1) * stride + 1 + extra for n in x.shape[2:]]
        for wanted in (size, [2, 3, *size]):
            actual = ours(mc.from_numpy(x.numpy().copy()), output_size=wanted)
            assert_close(actual, theirs(x, output_size=wanted), np.float32, f"{wanted}")
    for wrong, message in ((size[1:], "output_size must have"), ([100] * axes, "valid sizes range from")):
        for module, tensor in ((ours, mc.from_numpy(x.numpy().copy())), (theirs, x)):
            with pytest.raises(ValueError, match=message):
                module(tensor, output_size=wrong)


def test_errors():
    for nn in (mc.nn, torch.nn):
        with pytest.raises(ValueError, match='Only "zeros" padding mode is supported for ConvTranspose2d'):
            nn.ConvTranspose2d(2, 2, 3, padding_mode="reflect")
    with pytest.raises(ValueError, match=r"padding must be .* got 'same'|padding should be an int"):
        mc.nn.ConvTranspose2d(2, 2, 3, padding="same")
    with pytest.raises(ValueError, match="output_padding must be smaller"):
        mc.nn.ConvTranspose1d(2, 2, 3, output_padding=1)(mc.zeros(1, 2, 4))
    with pytest.raises(ValueError, match="make the layer with in_channels=3"):
        mc.nn.Conv3d(2, 2, 3)(mc.zeros(1, 3, 4, 4, 4))


def test_a_subclass_may_change_the_weight():
    """Weight standardisation and the like call ``_conv_forward`` with a weight of their own."""

    class Doubled(mc.nn.Conv1d):
        def forward(self, input):
            return self._conv_forward(input, 2 * self.weight, None)

    layer = Doubled(2, 3, 2, padding=1, padding_mode="circular", bias=False)
    x = mc.randn(1, 2, 5)
    assert layer(x).allclose(2 * mc.nn.Conv1d.forward(layer, x))


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda nn: nn.Unfold((2, 3), dilation=(1, 2), padding=1, stride=2), (2, 3, 6, 7)),
        (lambda nn: nn.Unfold(2), (3, 6, 7)),
        (lambda nn: nn.Fold((5, 6), (2, 3), padding=1), (2, 18, 36)),
        (lambda nn: nn.Fold(5, 2, stride=1), (8, 16)),
    ],
)
def test_unfold_and_fold(make, shape):
    ours, theirs = make(mc.nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    assert_same_behaviour(ours, theirs, shape, steps=1)


def test_training_a_small_video_network():
    """3-D convolution, batch norm by hand, transposed convolution; the same parameters after three steps."""

    def network(nn):
        return nn.Sequential(nn.Conv3d(2, 6, 3, padding=1), nn.ReLU(), nn.ConvTranspose3d(6, 3, 2, stride=2))

    ours, theirs = network(mc.nn), network(torch.nn)
    copy_into_ours(ours, theirs)
    optimizers = mc.optim.SGD(ours.parameters(), lr=0.05), torch.optim.SGD(theirs.parameters(), lr=0.05)
    x = mc.randn(2, 2, 4, 6, 5)
    for _ in range(3):
        for model, optimizer, value in zip((ours, theirs), optimizers, (x, to_torch(x)), strict=True):
            optimizer.zero_grad()
            (model(value) ** 2).mean().backward()
            optimizer.step()
    assert_same_state(ours, theirs, np.float32)
