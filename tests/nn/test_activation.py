"""Activation layers against torch's: values, gradients, repr, attributes."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import assert_same_layer

LAYERS = {
    "celu": lambda nn: nn.CELU(1.5),
    "elu": lambda nn: nn.ELU(0.5),
    "gelu": lambda nn: nn.GELU(),
    "gelu-tanh": lambda nn: nn.GELU("tanh"),
    "glu": lambda nn: nn.GLU(1),
    "hardshrink": lambda nn: nn.Hardshrink(0.25),
    "hardswish": lambda nn: nn.Hardswish(),
    "hardtanh": lambda nn: nn.Hardtanh(-0.5, 1),
    "leaky-relu": lambda nn: nn.LeakyReLU(0.2),
    "log-sigmoid": lambda nn: nn.LogSigmoid(),
    "mish": lambda nn: nn.Mish(),
    "prelu": lambda nn: nn.PReLU(),
    "prelu-channels": lambda nn: nn.PReLU(6, 0.1),
    "relu6": lambda nn: nn.ReLU6(),
    "rrelu": lambda nn: nn.RReLU(0.3, 0.3),
    "selu": lambda nn: nn.SELU(),
    "silu": lambda nn: nn.SiLU(),
    "softmax2d": lambda nn: nn.Softmax2d(),
    "softmin": lambda nn: nn.Softmin(1),
    "softplus": lambda nn: nn.Softplus(2, 10),
    "softshrink": lambda nn: nn.Softshrink(0.25),
    "softsign": lambda nn: nn.Softsign(),
    "tanhshrink": lambda nn: nn.Tanhshrink(),
    "threshold": lambda nn: nn.Threshold(0.1, 20),
}
INPLACE = ["CELU", "ELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "Mish", "RReLU", "ReLU", "ReLU6", "SELU",
           "SiLU"]  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_layers(name, dtype):
    assert_same_layer(LAYERS[name], (2, 6, 3, 4), dtype)


@pytest.mark.parametrize("name", INPLACE)
def test_in_place(name):
    ours, theirs = getattr(mc.nn, name)(inplace=True), getattr(torch.nn, name)(inplace=True)
    assert repr(ours) == repr(theirs)
    ours.eval()
    theirs.eval()
    x = np.random.default_rng(0).standard_normal((3, 4))
    a, b = mc.tensor(x), torch.tensor(x)
    assert ours(a) is a
    theirs(b)
    np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_copies_and_pickles(name):
    layer = LAYERS[name](mc.nn)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert repr(other) == repr(layer)


def test_hardsigmoid():
    x = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(
        mc.nn.Hardsigmoid()(mc.tensor(x)).numpy(), torch.nn.Hardsigmoid()(torch.tensor(x)).numpy()
    )
    assert repr(mc.nn.Hardsigmoid()) == "Hardsigmoid()"


def test_attributes_are_torchs():
    for name in dir(mc.nn):
        if name not in INPLACE and name not in (
            "GELU",
            "GLU",
            "Hardshrink",
            "PReLU",
            "Softmin",
            "Softplus",
            "Softshrink",
        ):
            continue
        ours, theirs = getattr(mc.nn, name)(), getattr(torch.nn, name)()
        public = {k: v for k, v in vars(theirs).items() if not k.startswith("_")}
        assert {k: vars(ours).get(k) for k in public} == public, name


def test_hardtanh_arguments():
    with pytest.warns(FutureWarning, match="min_value is deprecated, use min_val"):
        assert mc.nn.Hardtanh(min_value=-3.0).min_val == -3.0
    with pytest.raises(ValueError, match="min_val: Hardtanh needs min_val < max_val, got 1 and 1"):
        mc.nn.Hardtanh(1, 1)


def test_softmax2d_wants_images():
    with pytest.raises(ValueError, match=r"input: Softmax2d takes \(n, c, h, w\) or \(c, h, w\), got shape \(2, 3\)"):
        mc.nn.Softmax2d()(mc.zeros(2, 3))
