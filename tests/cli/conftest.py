"""Running the command line: in this process (quick, for errors and output) and in one of its own (for signals)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn as mc

ROOT = Path(__file__).parents[2]


@pytest.fixture
def run_here(monkeypatch, capsys, tmp_path):
    """run_here(*arguments, pictures=False) -> (exit code, standard output, standard error); in the folder tmp_path.

    Without ``pictures`` it runs as if matplotlib were missing: drawing takes longer than these trainings.
    """
    from minicnn import cli
    from minicnn.training import figures

    monkeypatch.chdir(tmp_path)
    threads, state = mc.get_num_threads(), mc.random.default_generator.get_state()

    def run(*arguments, pictures=False):
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["minicnn", *map(str, arguments)])
            if not pictures:
                patch.setattr(figures, "available", lambda: False)
            capsys.readouterr()
            code = cli._run()
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    yield run
    mc.set_num_threads(threads)
    mc.random.default_generator.set_state(state)


@pytest.fixture
def start(tmp_path):
    """start(*arguments) -> a process that runs the command in tmp_path. Those still running are ended after the test."""
    processes = []
    # A job in the background of a script ignores SIGINT, and its children with it; tests of Ctrl-C need it heard.
    # (A handler, unlike "ignore", is not inherited by a new program.)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def begin(*arguments, code=None, env=None):
        program = ["-c", code] if code else ["-m", "minicnn"]
        path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **(env or {})}
        process = subprocess.Popen(
            [sys.executable, *program, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process

    yield begin
    signal.signal(signal.SIGINT, before)
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def run_apart(start):
    """run_apart(*arguments) -> (exit code, standard output, standard error) of a process of its own."""

    def run(*arguments, **options):
        process = start(*arguments, **options)
        out, err = process.communicate(timeout=300)
        return process.returncode, out, err

    return run
