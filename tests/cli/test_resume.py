"""A run that was interrupted, terminated or killed ends with the very bytes of one that was left alone."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import pytest

from minicnn.training import RunFolder, load_checkpoint

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

# Batches of 8, so that there are many steps to be interrupted at; the CNN has all kinds of state (running statistics,
# dropout, augmentation, moments, schedule).
CNN = (
    *("--epochs", "2", "--batch-size", "8", "--limit-train", "600", "--limit-test", "100", "--threads", "2"),
    *("--seed", "3", "--augment"),
)
MLP = ("--model", "mlp", *CNN)

# The command line, but it tells each step and takes its time over it, so that a signal finds it in the middle.
TELLING = """
import time
from minicnn.training import Trainer
from minicnn import cli
step = Trainer.train_step
def telling(self, images, labels):
    print("step", self.step, flush=True)
    time.sleep(0.01)
    return step(self, images, labels)
Trainer.train_step = telling
cli.main()
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """whole(options) -> the weights' bytes and the metrics of an uninterrupted run; each is trained once."""
    from tests.cli.conftest import ROOT

    done = {}

    def train(options):
        if options not in done:
            folder = tmp_path_factory.mktemp("whole")
            environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}"}
            command = [sys.executable, "-m", "minicnn", "train", *options, "--out", "run"]
            subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=300)
            run = RunFolder(folder / "run")
            done[options] = run.weights.read_bytes(), metrics(run)
        return done[options]

    return train


def metrics(run):
    """The lines of metrics.jsonl without the time, which no two runs share."""
    return [{**json.loads(line), "seconds": None} for line in run.metrics.read_text().splitlines()]


def wait_for(process, text):
    """Read the process's output up to a line with ``text``."""
    for line in process.stdout:
        if text in line:
            return
    raise AssertionError(f"{text!r} never came: {process.stderr.read()}")


def finish(run_apart, run, whole):
    code, _, err = run_apart("train", "--resume", run.path)
    assert (code, err) == (0, "")
    weights, expected = whole
    assert metrics(run) == expected
    assert run.weights.read_bytes() == weights
    assert load_checkpoint(run.checkpoint)["trainer"]["epoch"] == 2


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_saves_and_says_how_to_go_on(start, run_apart, whole, tmp_path, name, code):
    process = start("train", *CNN, "--out", "my run", code=TELLING)
    wait_for(process, "step 20")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=120)
    assert process.returncode == code
    assert "stopping after this step" in err
    assert "error" not in err
    assert re.search(r"\n  minicnn train --resume 'my run'\n$", out), out
    run = RunFolder(tmp_path / "my run")
    state = load_checkpoint(run.checkpoint)["trainer"]
    assert 20 <= state["running"]["batches"] < 75  # in the middle of an epoch: what this test is about
    assert run.weights.exists()
    finish(run_apart, run, whole(CNN))


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(MLP, id="compiled"), pytest.param((*MLP, "--no-compile"), id="eager", marks=pytest.mark.slow)],
)
def test_interrupted_again_and_again(start, run_apart, whole, tmp_path, recipe):
    options = ("train", *recipe, "--out", "run")
    steps = []
    for wanted in (5, 20, 90):
        process = start(*options, code=TELLING)
        wait_for(process, f"step {wanted}\n")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
        steps.append(load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")["trainer"]["step"])
        options = ("train", "--resume", "run")
    assert steps == sorted(set(steps))  # each went on a little
    run = RunFolder(tmp_path / "run")
    assert run.read_config()[0].compile == ("--no-compile" not in recipe)
    finish(run_apart, run, whole(recipe))


def test_a_second_interrupt_aborts_at_once(start, tmp_path):
    """The process sits in a computation that does not end: only the operating system can stop it."""
    code = """
import sys, time
from minicnn.training import Trainer
from minicnn import cli
def endless(self, images, labels):
    print("in the step", flush=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        sum(range(1000))
Trainer.train_step = endless
cli.main()
"""
    process = start("train", *MLP, "--out", "run", code=code)
    wait_for(process, "in the step")
    process.send_signal(signal.SIGINT)
    for line in process.stderr:
        if "once more to abort at once" in line:
            break
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == -signal.SIGINT  # half the time that the step would take
    load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")


@pytest.mark.slow
def test_killed_at_random_moments(start, run_apart, whole, tmp_path):
    """With a checkpoint after every step, much of the time goes into writing it: kills hit that too."""
    rng = random.Random(0)
    killed = 0
    run = RunFolder(tmp_path / "run")
    options = ("train", *MLP, "--out", "run")
    for _ in range(5):
        process = start(*options, "--checkpoint-every", "1")
        wait_for(process, "epoch")
        time.sleep(rng.uniform(0, 0.4))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL  # or it was quicker
        if run.checkpoint.exists():
            load_checkpoint(run.checkpoint)
        options = ("train", "--resume", "run")
    assert killed >= 2
    finish(run_apart, run, whole(MLP))


def test_killed_before_the_first_checkpoint(start, run_apart, whole, tmp_path):
    code = """
import os, signal
from minicnn.training import callbacks
from minicnn import cli
callbacks.save_checkpoint = lambda *arguments: os.kill(os.getpid(), signal.SIGKILL)
cli.main()
"""
    process = start("train", *MLP, "--out", "run", code=code)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    run = RunFolder(tmp_path / "run")
    assert not run.checkpoint.exists()
    finish(run_apart, run, whole(MLP))


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_killed_inside_the_writing_of_a_checkpoint(start, run_apart, whole, tmp_path, moment):
    """Just before and just after the new file's bytes are on the disk, in the middle of the second epoch."""
    code = f"""
import os, signal
from minicnn.training import callbacks
from minicnn.weights import atomic
from minicnn import cli
real, save = os.{moment}, callbacks.save_checkpoint
def deadly(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)
def watch(path, state):
    if state["trainer"]["step"] == 100:
        os.{moment} = deadly
    save(path, state)
callbacks.save_checkpoint = watch
cli.main()
"""
    process = start("train", *MLP, "--out", "run", "--checkpoint-every", "10", code=code)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    run = RunFolder(tmp_path / "run")
    assert (tmp_path / "run" / "checkpoint.safetensors.partial").exists()
    assert load_checkpoint(run.checkpoint)["trainer"]["step"] == 90
    finish(run_apart, run, whole(MLP))
    assert not (tmp_path / "run" / "checkpoint.safetensors.partial").exists()


def test_resuming_a_finished_run_changes_nothing(run_here, tmp_path):
    options = ("--model", "mlp", "--epochs", "1", "--limit-train", "64", "--limit-test", "50")
    assert run_here("train", *options, "--out", "run")[0] == 0
    run = RunFolder(tmp_path / "run")
    before = [file.read_bytes() for file in (run.weights, run.checkpoint, run.metrics, run.confusion)]
    code, out, _ = run_here("train", "--resume", "run")
    assert code == 0
    assert "all 1 epochs are done already" in out
    assert "test accuracy" in out
    assert before == [file.read_bytes() for file in (run.weights, run.checkpoint, run.metrics, run.confusion)]


def test_ignored_signals_stay_ignored(start, tmp_path):
    """As under nohup: a closed terminal must not stop the run."""
    code = """
import signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from minicnn import cli
cli.main()
"""
    process = start("train", *MLP, "--out", "run", code=code)
    wait_for(process, "epoch")
    process.send_signal(signal.SIGHUP)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert "test accuracy" in out
