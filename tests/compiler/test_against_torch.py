"""Whole compiled models beside PyTorch: outputs, input and parameter gradients, buffers, in train and in eval mode."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import copy_into_torch
from tests.helpers.training import MODELS, batch, build, without_dropout

tnn = torch.nn


class TorchResidual(tnn.Module):
    """``tests.helpers.training.Residual``, in PyTorch."""

    def __init__(self, channels: int = 64):
        super().__init__()
        self.stem = tnn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)
        self.bn0, self.bn1, self.bn2 = (tnn.BatchNorm2d(channels) for _ in range(3))
        self.conv1 = tnn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = tnn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.depthwise = tnn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.head = tnn.Linear(channels, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.bn0(self.stem(x)))
        y = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(y)) + x)
        return self.head(torch.relu(self.depthwise(x)).mean(dim=(2, 3)))


class TorchMnistCNN(tnn.Module):
    def __init__(self) -> None:
        super().__init__()
        block = lambda i, o: [tnn.Conv2d(i, o, 3, padding=1), tnn.BatchNorm2d(o), tnn.ReLU(), tnn.MaxPool2d(2, 2)]  # noqa: E731
        self.features = tnn.Sequential(*block(1, 32), *block(32, 64))
        self.classifier = tnn.Sequential(
            tnn.Flatten(), tnn.Linear(64 * 7 * 7, 512), tnn.ReLU(), tnn.Dropout(0.0), tnn.Linear(512, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x))


class TorchLeNet5(tnn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c3 = tnn.Conv2d(1, 6, 5, padding=2), tnn.Conv2d(6, 16, 5)
        self.c5, self.f6, self.output = tnn.Linear(400, 120), tnn.Linear(120, 84), tnn.Linear(84, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pool = torch.nn.functional.avg_pool2d
        x = pool(torch.tanh(self.c1(x)), 2)
        x = pool(torch.tanh(self.c3(x)), 2)
        return self.output(torch.tanh(self.f6(torch.tanh(self.c5(x.flatten(1))))))


class TorchMLP(tnn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = tnn.Sequential(
            tnn.Flatten(), tnn.Linear(784, 512), tnn.ReLU(), tnn.Dropout(0.0), tnn.Linear(512, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


PEERS: dict[str, Any] = {
    "mnist_cnn": TorchMnistCNN,
    "lenet5": TorchLeNet5,
    "mlp": TorchMLP,
    "residual": TorchResidual,
}

# Relative to the largest number of each array. float64: sums of up to some ten thousand terms in another order. float32: the
# same at its epsilon, through all layers and, in train mode, through batch norm's division by a deviation; both frameworks
# are off, and PyTorch in float64 is the peer of both dtypes, so this bounds our own error.
TOLERANCE = {"float64": 1e-11, "float32": 5e-5}


def assert_close(actual: np.ndarray, expected: np.ndarray, dtype: str, what: str) -> None:
    assert actual.dtype == np.dtype(dtype), what
    assert actual.shape == expected.shape, what
    tolerance = TOLERANCE[dtype] * np.abs(expected).max(initial=1e-3)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=what)


def pair(name: str, dtype: str) -> tuple[mc.nn.Module, torch.nn.Module]:
    """Our model, compiled, and torch's in float64, with equal weights. Running statistics are not the initial ones."""
    ours = without_dropout(build(name, getattr(mc, dtype)))
    generator = mc.Generator().manual_seed(5)
    for buffer_name, buffer in ours.named_buffers():
        if "running" in buffer_name:
            buffer.copy_(mc.rand(*buffer.shape, generator=generator) + 0.5)
    theirs = PEERS[name]().double()
    copy_into_torch(theirs, ours)
    return mc.compile(ours), theirs


def compare_step(compiled: mc.nn.Module, theirs: torch.nn.Module, name: str, dtype: str, seed: int) -> None:
    """Output, gradients under a random cotangent (not added up), and what the step left in the buffers."""
    images, _ = batch(name, getattr(mc, dtype), seed)
    x, x_theirs = images.detach().requires_grad_(), torch.tensor(images.numpy().astype(np.float64), requires_grad=True)
    compiled.zero_grad()
    theirs.zero_grad()
    y, y_theirs = compiled(x), theirs(x_theirs)
    assert compiled.plan is not None
    assert_close(y.detach().numpy(), y_theirs.detach().numpy(), dtype, "output")
    cotangent = np.random.default_rng(seed).standard_normal(tuple(y.shape)).astype(dtype)
    y.backward(mc.from_numpy(cotangent))
    y_theirs.backward(torch.tensor(cotangent.astype(np.float64)))
    assert_close(x.grad.numpy(), x_theirs.grad.numpy(), dtype, "gradient of the input")
    expected = dict(theirs.named_parameters())
    assert {parameter_name.removeprefix("_orig_mod.") for parameter_name, _ in compiled.named_parameters()} == set(
        expected
    )
    for parameter_name, parameter in compiled.named_parameters():
        wanted = expected[parameter_name.removeprefix("_orig_mod.")].grad.numpy()
        if np.abs(wanted).max() < 1e-9:  # a bias before batch norm: its gradient is 0, and what is computed is rounding
            assert np.abs(parameter.grad.numpy()).max() < 100 * TOLERANCE[dtype], parameter_name
        else:
            assert_close(parameter.grad.numpy(), wanted, dtype, f"gradient of {parameter_name}")
    buffers = dict(theirs.named_buffers())
    for buffer_name, buffer in compiled.named_buffers():
        wanted = buffers[buffer_name.removeprefix("_orig_mod.")].numpy()
        if wanted.dtype.kind == "f":
            assert_close(buffer.numpy(), wanted, dtype, buffer_name)
        else:
            np.testing.assert_array_equal(buffer.numpy(), wanted)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", MODELS)
def test_training_mode(name, dtype):
    """The first call traces; the later ones run the plan."""
    compiled, theirs = pair(name, dtype)
    for seed in range(3):
        compare_step(compiled, theirs, name, dtype, seed)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", MODELS)
def test_evaluation_mode(name, dtype):
    """With gradients, and without them, where batch norm is folded into the convolutions; then back to training."""
    compiled, theirs = pair(name, dtype)
    compiled.eval()
    theirs.eval()
    for seed in range(2):
        compare_step(compiled, theirs, name, dtype, seed)
    images, _ = batch(name, getattr(mc, dtype), 7)
    with mc.no_grad(), torch.no_grad():
        expected = theirs(torch.tensor(images.numpy().astype(np.float64))).numpy()
        for _ in range(2):
            assert_close(compiled(images).numpy(), expected, dtype, "output without gradients")
    compiled.train()
    theirs.train()
    compare_step(compiled, theirs, name, dtype, 8)
