"""Thirty training steps of the MNIST network beside PyTorch, from the same weights, dropout 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import copy_into_ours

STEPS, BATCH = 30, 16


def network(nn):
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, 512),
        nn.ReLU(),
        nn.Dropout(0.0),
        nn.Linear(512, 10),
    )


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Blurred class-dependent blobs and noise: learnable, so that losses move, and no two pixels equal."""
    rng = np.random.default_rng(0)
    prototypes = rng.standard_normal((10, 1, 28, 28))
    return [
        (prototypes[labels] + rng.standard_normal((BATCH, 1, 28, 28)), labels)
        for labels in rng.integers(0, 10, (STEPS, BATCH))
    ]


def losses(library, model, dtype: type, data) -> np.ndarray:
    optimizer = library.optim.Adam(model.parameters(), lr=1e-3)
    criterion = library.nn.CrossEntropyLoss()
    history = []
    for images, labels in data:
        optimizer.zero_grad()
        loss = criterion(model(library.from_numpy(images.astype(dtype))), library.from_numpy(labels))
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return np.array(history)


@pytest.fixture(scope="module")
def curves() -> dict[tuple[str, type], np.ndarray]:
    torch.manual_seed(0)
    initial = network(torch.nn)
    data = batches()
    curves = {}
    for dtype in (np.float64, np.float32):
        theirs, ours = network(torch.nn), network(mc.nn)
        theirs.load_state_dict(initial.state_dict())
        copy_into_ours(ours, initial)
        if dtype == np.float64:
            theirs, ours = theirs.double(), ours.double()
        curves["torch", dtype] = losses(torch, theirs, dtype, data)
        curves["ours", dtype] = losses(mc, ours, dtype, data)
    return curves


def test_it_learns(curves):
    losses = curves["ours", np.float32]
    assert losses[-1] < losses[0] / 3


def test_float64_losses_are_torchs(curves):
    np.testing.assert_allclose(curves["ours", np.float64], curves["torch", np.float64], rtol=1e-9)


def test_float32_is_as_close_to_float64_as_torchs(curves):
    """Training amplifies rounding, so the yardstick is torch's own float32 against its float64: ten times that."""
    exact = curves["torch", np.float64]
    ours, theirs = curves["ours", np.float32], curves["torch", np.float32]
    assert abs(ours[0] / exact[0] - 1) < 1e-5
    assert np.abs(ours - exact).max() < 10 * np.abs(theirs - exact).max()
