"""For one number of threads every result is the same, bit by bit: within a process, and from one process to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.kernel_cases import num_threads
from tests.helpers.training import DTYPES, MODELS, trained

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("n_threads", [1, 2, 3])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("name", MODELS)
def test_twice_in_one_process(name, compiled, n_threads):
    """All parameters, gradients, buffers and losses; dropout on; the second time on memory that was used before."""
    with num_threads(n_threads):
        assert trained(name, compiled=compiled) == trained(name, compiled=compiled)


def test_another_seed_gives_other_bits():
    """The test of the test."""
    assert trained("mlp", seed=1) != trained("mlp", seed=2)


@pytest.mark.parametrize(
    "n_threads", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_in_processes_of_their_own(n_threads):
    """Two processes with different hash seeds; every model, float32 and float64, eager and compiled."""
    prints = [
        subprocess.run(
            [sys.executable, "-m", "tests.helpers.training", str(n_threads)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]
    assert len(prints[0]) == len(MODELS) * len(DTYPES) * 2
    assert len(set(prints[0])) == len(prints[0])
    assert prints[0] == prints[1]
