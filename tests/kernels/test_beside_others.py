"""Beside PyTorch and scikit-learn in one process: right results, and each keeps its own number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from minicnn_kernels import threads
from tests.helpers.kernel_cases import num_threads
from tests.helpers.training import batch, bits, build, steps, trained, without_dropout

ROOT = Path(__file__).parents[2]
ROUNDS = 4


def torch_steps() -> Callable[[], np.ndarray]:
    """A function that does one training step of a small network and returns its weights."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(16, 3, 20, 20, generator=generator)
    weight = (torch.randn(32, 3, 3, 3, generator=generator) / 5).requires_grad_()
    head = (torch.randn(10, 32 * 400, generator=generator) / 100).requires_grad_()
    optimizer = torch.optim.SGD([weight, head], lr=0.01)

    def step() -> np.ndarray:
        optimizer.zero_grad()
        hidden = torch.relu(torch.nn.functional.conv2d(images, weight, padding=1))
        (hidden.flatten(1) @ head.T).square().mean().backward()
        optimizer.step()
        return weight.detach().numpy().copy()

    return step


def sklearn_fit() -> Callable[[], np.ndarray]:
    """A function that clusters: OpenMP loops of its own around products by BLAS, whose threads it limits meanwhile."""
    cluster = pytest.importorskip("sklearn.cluster", reason="scikit-learn is not installed")
    points = np.random.default_rng(0).standard_normal((3000, 8))
    return lambda: cluster.KMeans(8, n_init=1, random_state=0).fit(points).cluster_centers_


def our_steps() -> Callable[[], bytes]:
    """Without dropout, since threads of a test must not share the default generator."""
    model = without_dropout(build("mnist_cnn"))
    running = steps(model, *batch("mnist_cnn"), 1000)
    return lambda: bits(model, [next(running)])


def thread_counts() -> Any:
    """Ours, torch's, and those of every BLAS and OpenMP in the process."""
    threadpoolctl = pytest.importorskip("threadpoolctl", reason="threadpoolctl comes with scikit-learn")
    pools = sorted((pool["filepath"], pool["num_threads"]) for pool in threadpoolctl.threadpool_info())
    assert pools, "nobody's threads were found"
    return threads.get_num_threads(), torch.get_num_threads(), torch.get_num_interop_threads(), pools


PEERS = {"torch": torch_steps, "scikit-learn": sklearn_fit}


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_in_turn(peer, n_threads):
    """A step of ours, one of theirs, and so on: ours to the bit as alone, theirs but for the order of their sums."""
    with num_threads(n_threads):
        step, other = our_steps(), PEERS[peer]()
        ours, theirs = [step() for _ in range(ROUNDS)], [other() for _ in range(ROUNDS)]
        step, other = our_steps(), PEERS[peer]()
        counts = thread_counts()
        for i in range(ROUNDS):
            assert step() == ours[i]
            np.testing.assert_allclose(other(), theirs[i], rtol=1e-4, atol=1e-6)
        assert thread_counts() == counts
        assert counts[0] == n_threads


@pytest.mark.parametrize("peer", PEERS)
def test_at_once(peer):
    """They in one Python thread, we in another."""
    with num_threads(2):
        step, other = our_steps(), PEERS[peer]()
        ours, theirs = [step() for _ in range(3 * ROUNDS)], [other() for _ in range(ROUNDS)]
        step, other = our_steps(), PEERS[peer]()
        counts = thread_counts()
        found: list[np.ndarray] = []
        worker = threading.Thread(target=lambda: found.extend(other() for _ in range(ROUNDS)))
        worker.start()
        results = [step() for _ in range(3 * ROUNDS)]
        worker.join()
        assert results == ours
        np.testing.assert_allclose(found, theirs, rtol=1e-4, atol=1e-6)
        assert thread_counts() == counts


def test_nobody_sets_the_others_threads():
    before = torch.get_num_threads()
    try:
        with num_threads(3):
            counts = thread_counts()
            torch.set_num_threads(1)
            assert threads.get_num_threads() == 3
            threads.set_num_threads(2)
            assert torch.get_num_threads() == 1
            torch.set_num_threads(before)
            assert thread_counts() == (2, *counts[1:])
            trained("mlp")
            assert thread_counts() == (2, *counts[1:])
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["minicnn torch sklearn.cluster", "torch sklearn.cluster minicnn"])
def test_any_order_of_import(order):
    """Each library brings a runtime of its own (OpenMP, BLAS, LLVM): whoever comes first, all of them work."""
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    code = f"import {order.replace(' ', ', ')}\n" + (
        "from tests.kernels.test_beside_others import *\n"
        "test_in_turn('torch', 2), test_in_turn('scikit-learn', 2), test_at_once('torch'), print('done')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout == "done\n"
