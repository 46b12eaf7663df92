"""Small trainings: a few hundred noisy two-dimensional bars, which a small network learns in a few steps."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn.data import DataLoader, TensorDataset
from minicnn.random import Generator
from minicnn.training import Trainer


@pytest.fixture(autouse=True)
def _leave_the_process_as_it_was():
    threads, state = mc.get_num_threads(), mc.random.default_generator.get_state()
    yield
    mc.set_num_threads(threads)
    mc.random.default_generator.set_state(state)


def bars(n, seed):
    """(n, 1, 8, 8) float32 images of four classes: a bright row or column, near or far."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    images = rng.normal(size=(n, 1, 8, 8)).astype(np.float32) * 0.5
    for image, label in zip(images, labels, strict=True):
        line = 2 + 3 * (label % 2)
        if label < 2:
            image[0, line] += 1.5
        else:
            image[0, :, line] += 1.5
    return TensorDataset(mc.tensor(images), mc.tensor(labels))


@pytest.fixture
def make_trainer():
    """make_trainer(epochs=2, callbacks=(), n=100, ...) -> a fresh Trainer, the same each time."""

    def make(
        epochs=2, callbacks=(), n=100, batch_size=16, lr=1e-2, schedule=True, optimizer="Adam", seed=0, compiled=False
    ):
        mc.manual_seed(seed)
        nn = mc.nn
        model = nn.Sequential(
            *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Dropout(0.3), nn.Linear(64, 4)),
        )
        train = DataLoader(bars(n, 0), batch_size, shuffle=True)
        test = DataLoader(bars(50, 1), 32, generator=Generator())
        extra = {"momentum": 0.9} if optimizer == "SGD" else {}
        updater = getattr(mc.optim, optimizer)(model.parameters(), lr=lr, **extra)
        steps = epochs * len(train)
        scheduler = mc.optim.lr_scheduler.OneCycleLR(updater, max_lr=lr, total_steps=steps) if schedule else None
        model = mc.compile(model) if compiled else model
        return Trainer(model, updater, scheduler, train, test, epochs=epochs, callbacks=callbacks)

    return make
