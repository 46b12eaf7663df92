"""Whole training steps, as bytes: what the tests of repeatability, of threads and of forks compare.

python -m tests.helpers.training THREADS        prints a digest for each model, dtype and mode: for a process of its own
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minicnn as mc
from minicnn import models, nn
from minicnn.nn import functional as F
from minicnn_kernels import threads

DTYPES = {"float32": mc.float32, "float64": mc.float64}


class Residual(nn.Module):
    """A stem, a residual block with as many channels as Winograd takes by itself, a head: what a small ResNet is made of."""

    def __init__(self, channels: int = 64):
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, stride=2, padding=1, bias=False)
        self.bn0, self.bn1, self.bn2 = (nn.BatchNorm2d(channels) for _ in range(3))
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.head = nn.Linear(channels, 10)

    def forward(self, x: mc.Tensor) -> mc.Tensor:
        x = F.relu(self.bn0(self.stem(x)))
        y = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(y)) + x)
        return self.head(F.relu(self.depthwise(x)).mean(dim=(2, 3)))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, int, int]]] = {
    "mnist_cnn": (models.mnist_cnn, (1, 28, 28)),
    "lenet5": (models.lenet5, (1, 28, 28)),
    "mlp": (models.mlp, (1, 28, 28)),
    "residual": (Residual, (3, 16, 16)),
}


def without_dropout(model: nn.Module) -> nn.Module:
    """The same model, with nothing drawn at random: so that it does not matter who else draws."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def build(name: str, dtype: mc.dtype = mc.float32, seed: int = 0) -> nn.Module:
    """A model of MODELS with weights that depend on the seed only."""
    mc.manual_seed(seed)
    return MODELS[name][0]().to(dtype)


def batch(name: str, dtype: mc.dtype = mc.float32, seed: int = 0, n: int = 12) -> tuple[mc.Tensor, mc.Tensor]:
    """Random images and labels for it."""
    rng = np.random.default_rng(seed)
    images = mc.from_numpy(rng.standard_normal((n, *MODELS[name][1]))).to(dtype)
    return images, mc.from_numpy(rng.integers(0, 10, n))


def steps(model: Any, images: mc.Tensor, labels: mc.Tensor, count: int) -> Iterator[float]:
    """Train, and give the losses."""
    optimizer = mc.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(count):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        yield loss.item()


def bits(model: Any, losses: list[float]) -> bytes:
    """All parameters, gradients, buffers and losses, to the last bit."""
    parts = [np.array(losses).tobytes()]
    for p in model.parameters():
        parts += [np.ascontiguousarray(p.detach().numpy()).tobytes(), np.ascontiguousarray(p.grad.numpy()).tobytes()]
    parts += [np.ascontiguousarray(b.numpy()).tobytes() for b in model.buffers()]
    return b"".join(parts)


def trained(name: str, dtype: mc.dtype = mc.float32, compiled: bool = False, count: int = 3, seed: int = 0) -> bytes:
    """Everything that some steps of training leave behind. Dropout is on: it draws from the default generator."""
    model = build(name, dtype, seed)
    runner = mc.compile(model) if compiled else model
    losses = list(steps(runner, *batch(name, dtype, seed), count))
    assert np.isfinite(losses).all()
    if compiled:
        assert runner.plan is not None
    return bits(model, losses)


def main() -> None:
    """Digests of all models, both dtypes, eager and compiled."""
    threads.set_num_threads(int(sys.argv[1]))
    for name in MODELS:
        for dtype in DTYPES:
            for compiled in (False, True):
                digest = hashlib.sha256(trained(name, DTYPES[dtype], compiled)).hexdigest()
                print(name, dtype, "compiled" if compiled else "eager", digest)


if __name__ == "__main__":
    main()
