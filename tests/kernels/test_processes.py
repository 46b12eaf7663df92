"""The compiled kernels in other circumstances: vector widths, no compiler, checked bounds, a read-only install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minicnn_kernels
from minicnn_kernels import cpu
from tests.helpers import kernel_smoke

ROOT = Path(__file__).parents[2]


def smoke(kernels: Path | None = None, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run every kernel once in a process of its own; a few with the option ``--few``."""
    path = os.pathsep.join([str(ROOT), str(kernels or Path(minicnn_kernels.__file__).parents[1])])
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("NUMBA_", "MINICNN_SIMD"))}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.helpers.kernel_smoke", *options],
        env=variables | {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"} | environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def outcome(run: subprocess.CompletedProcess[str]) -> list[str]:
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout.splitlines()


def test_the_processors_vector_width():
    """(All tests of the kernels run with the others: .ci/run.)"""
    assert outcome(smoke(MINICNN_SIMD=""))[0] in ("avx512", "avx2", "generic")


def test_unknown_vector_width():
    assert (
        "environment variable MINICNN_SIMD: 'mmx' is none of avx512, avx2, generic" in smoke(MINICNN_SIMD="mmx").stderr
    )


def test_without_the_compiler():
    """As a learner would step through it."""
    outcome(smoke(NUMBA_DISABLE_JIT="1"))


def test_every_kernel_is_tried(monkeypatch):
    """What ``kernel_smoke.py`` leaves out is not tried with checked bounds, nor between protected pages."""
    tried = set()

    class Noting:
        def __getattr__(self, name: str) -> Any:
            tried.add(name)
            return getattr(cpu, name)

    monkeypatch.setattr(kernel_smoke, "cpu", Noting())
    kernel_smoke.check_all()
    assert tried == set(cpu.__all__)


def test_checked_bounds_bite(tmp_path):
    """The test of .ci/run's stage, which runs all kernels with checked bounds: an array that is too short is an error."""
    code = "import numpy as np; from minicnn_kernels.cpu.activation import _relu; _relu(0, 9, np.ones(8), np.ones(9))"
    for checked in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ
            | {
                "PYTHONPATH": os.pathsep.join(sys.path),
                "MINICNN_CACHE_DIR": str(tmp_path),
                "NUMBA_BOUNDSCHECK": checked,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ("IndexError" in run.stderr) == (run.returncode != 0) == (checked == "1"), run.stderr


@pytest.mark.slow
def test_read_only_install(tmp_path):
    """Nothing is written beside the sources, and a second process finds what the first compiled."""
    install = tmp_path / "site"
    shutil.copytree(
        Path(minicnn_kernels.__file__).parent, install / "minicnn_kernels", ignore=shutil.ignore_patterns("__pycache__")
    )
    for folder in (*install.rglob("*"), install):
        folder.chmod(0o555 if folder.is_dir() else 0o444)
    before = sorted(install.rglob("*"))
    cache = tmp_path / "cache"
    try:
        folder = Path(outcome(smoke(install, "--few", MINICNN_CACHE_DIR=str(cache)))[1])
        assert folder.is_relative_to(cache)
        compiled = sorted((path.name, path.stat().st_mtime_ns) for path in folder.rglob("*.nbc"))
        assert compiled
        outcome(smoke(install, "--few", MINICNN_CACHE_DIR=str(cache)))
        assert sorted((path.name, path.stat().st_mtime_ns) for path in folder.rglob("*.nbc")) == compiled
        assert sorted(install.rglob("*")) == before
    finally:
        for folder in (install, *install.rglob("*")):
            folder.chmod(0o755)
