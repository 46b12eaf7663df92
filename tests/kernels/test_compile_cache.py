"""Where compiled kernels are kept: the choice of the folder, and what happens if it is of no use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minicnn_kernels import compile_cache, compile_cache_dir, compile_cache_status


def status(**environment: str) -> list[str]:
    """compile_cache_status() in a new process."""
    code = (
        "import minicnn_kernels as k; s = k.compile_cache_status(); print(s.folder, s.persistent, s.reason, sep='\\n')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()


def test_folder_of_this_process():
    assert compile_cache_dir() == compile_cache_status().folder
    assert compile_cache_dir().is_dir()


def test_environment_variable_comes_first(tmp_path):
    folder, persistent, reason = status(
        MINICNN_CACHE_DIR=str(tmp_path / "a"), XDG_CACHE_HOME=str(tmp_path / "b"), HOME=str(tmp_path)
    )
    assert Path(folder).parent == tmp_path / "a"
    assert (persistent, reason) == ("True", "environment variable MINICNN_CACHE_DIR")


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of other systems differ")
def test_user_cache_folder(tmp_path):
    folder, _, reason = status(XDG_CACHE_HOME=str(tmp_path / "xdg"), HOME=str(tmp_path))
    assert Path(folder).parent == tmp_path / "xdg" / "minicnn" / "numba"
    assert reason == "the user's cache folder"
    folder, _, _ = status(HOME=str(tmp_path))
    assert Path(folder).parent == tmp_path / ".cache" / "minicnn" / "numba"


def test_folder_that_cannot_be_written(tmp_path):
    """(A file where the folder should be: permissions do not stop root.)"""
    (tmp_path / "file").write_text("")
    (tmp_path / "tmp").mkdir()
    folder, persistent, reason = status(MINICNN_CACHE_DIR=str(tmp_path / "file"), TMPDIR=str(tmp_path / "tmp"))
    assert Path(folder).is_relative_to(tmp_path / "tmp")
    assert persistent == "False"
    assert "temporary folder, because" in reason
    assert "cannot be written: Not a directory" in reason


def test_name_depends_on_sources_and_settings(tmp_path, monkeypatch):
    def fingerprint() -> str:
        return compile_cache._fingerprint()

    before = fingerprint()
    assert before == fingerprint()
    for name in ("MINICNN_SIMD", "NUMBA_BOUNDSCHECK"):
        monkeypatch.setenv(name, "1")
        assert fingerprint() != before
        monkeypatch.setenv(name, "")
        assert fingerprint() == before
        monkeypatch.delenv(name)
    package = tmp_path / "kernels"
    shutil.copytree(Path(compile_cache.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(compile_cache, "__file__", str(package / "compile_cache.py"))
    assert fingerprint() == before
    for name in ("cpu/gemm.py", "reference/random.py"):  # the compiled generator takes its constants from the latter
        former = fingerprint()
        with (package / name).open("a") as source:
            source.write("# changed\n")
        assert fingerprint() != former


# A function of our own in a file of its own, compiled with the decorator.
FUNCTION = """
from minicnn_kernels.cpu.jit import jit

@jit
def double(x):
    return 2 * x
"""


def double_in_new_process(tmp_path: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    (tmp_path / "ours.py").write_text(FUNCTION)
    code = f"import ours\n{before}\nprint(ours.double(21))\nprint(sum(ours.double.stats.cache_hits.values()))"
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "MINICNN_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_damaged_cache_is_compiled_anew(tmp_path):
    assert double_in_new_process(tmp_path).stdout.split() == ["42", "0"]
    assert double_in_new_process(tmp_path).stdout.split() == ["42", "1"]
    for compiled in (tmp_path / "cache").rglob("*.nbc"):
        compiled.write_bytes(compiled.read_bytes()[:100])
    run = double_in_new_process(tmp_path)
    assert run.stdout.split() == ["42", "0"]
    assert "cannot be loaded, compiling it again" in run.stderr
    assert double_in_new_process(tmp_path).stdout.split() == ["42", "1"]


def test_full_disk_only_warns(tmp_path):
    full = (
        "import errno, numba.core.caching as c\n"
        "def no_space(*a, **k): raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "c.IndexDataCacheFile.save = no_space"
    )
    run = double_in_new_process(tmp_path, full)
    assert run.stdout.split() == ["42", "0"]
    assert "compiled kernel cannot be saved for the next run: [Errno 28] No space left on device" in run.stderr


def test_kernels_are_cached_in_the_folder():
    from minicnn_kernels import cpu

    cpu.relu_forward(np.ones(3, np.float32))
    assert list(compile_cache_dir().rglob("activation._relu-*.nbc"))


def test_parts_are_for_compiled_functions_only():
    from minicnn_kernels.cpu.jit import jit, jit_part

    @jit_part
    def twice(x):
        return 2 * x

    @jit
    def four_times(x):
        return twice(twice(x))

    assert four_times(3) == 12
    with pytest.raises(TypeError, match="only compiled functions can call this one"):
        twice(3)
