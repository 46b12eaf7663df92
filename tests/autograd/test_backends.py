"""The back end is chosen at the forward pass; a node remembers it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import minicnn as mc

F = mc.nn.functional


def network(x, w, v, targets):
    h = F.relu(F.conv2d(x, w, padding=1))
    h = F.batch_norm(h, None, None, training=True)
    h = F.dropout(F.avg_pool2d(F.max_pool2d(h, 2), 2), 0.5, generator=mc.Generator().manual_seed(3))
    return F.cross_entropy(F.linear(h.flatten(1), v), targets)


def run(forward_on, backward_on):
    g = mc.Generator().manual_seed(0)
    x, w, v = (
        mc.randn(s, dtype=mc.float64, generator=g).requires_grad_() for s in ((2, 3, 8, 8), (4, 3, 3, 3), (5, 16))
    )
    with mc.use_backend(forward_on):
        loss = network(x, w, v, mc.tensor([1, 4]))
    with mc.use_backend(backward_on):
        loss.backward()
    return [loss.item(), *(t.grad.numpy() for t in (x, w, v))]


def test_forward_on_one_and_backward_under_another():
    expected = run("cpu", "cpu")
    for forward_on, backward_on in (("reference", "reference"), ("reference", "cpu"), ("cpu", "reference")):
        for a, b in zip(run(forward_on, backward_on), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_a_node_asks_its_own_back_end():
    x = mc.ones(2, requires_grad=True)
    with mc.use_backend("reference"):
        y = F.relu(x)
    assert y.grad_fn.ctx.kernels.__name__ == "minicnn_kernels.reference"
    assert F.relu(x).grad_fn.ctx.kernels.__name__ == "minicnn_kernels.cpu"


def test_unknown_back_end():
    with pytest.raises(ValueError, match=r"no back end 'gpu'; choose one of 'cpu', 'reference'"), mc.use_backend("gpu"):
        pass


STEP = """
import sys
import minicnn as mc
from minicnn import nn

def step():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(4 * 4 * 4, 10),
    )
    optimizer = mc.optim.Adam(model.parameters(), lr=0.01)
    x, y = mc.randn(5, 1, 8, 8), mc.randint(0, 10, (5,))
    losses = []
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0], losses

{call}
loaded = [name for name in ("numba", "llvmlite", "minicnn_kernels.cpu") if name in sys.modules]
assert not loaded, loaded
"""


@pytest.mark.parametrize(
    ("call", "environment"),
    [("with mc.use_backend('reference'): step()", {}), ("step()", {"MINICNN_BACKEND": "reference"})],
)
def test_a_whole_training_step_without_numba(call, environment, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    result = subprocess.run([sys.executable, "-c", STEP.format(call=call)], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_a_bad_environment_variable_says_so(monkeypatch):
    monkeypatch.setenv("MINICNN_BACKEND", "cuda")
    code = "import minicnn as mc; mc.relu(mc.ones(2))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "MINICNN_BACKEND: there is no back end 'cuda'; choose one of 'cpu', 'reference'" in result.stderr
