"""Mistakes end in one line on standard error that names what is wrong and what to do, and a run that is whole."""

import errno
import gzip
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from minicnn.training import RunFolder, load_checkpoint, save_checkpoint
from tests.cli.conftest import ROOT

QUICK = ("--model", "mlp", "--epochs", "1", "--limit-train", "128", "--limit-test", "100")


@pytest.fixture
def fails(run_here):
    """fails(*arguments) -> the error's text, after checking that it is one line and the exit code is ``code``."""

    def check(*arguments, code=1):
        got, _, err = run_here(*arguments)
        assert got == code, err
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        return err

    return check


@pytest.fixture
def run(run_here, tmp_path):
    """A finished small run."""
    assert run_here("train", *QUICK, "--out", "run")[0] == 0
    return RunFolder(tmp_path / "run")


def test_a_run_that_exists(fails, run, run_here):
    before = run.weights.read_bytes()
    message = fails("train", *QUICK, "--out", "run", "--seed", "5")
    assert "already holds a run" in message
    assert "--overwrite" in message
    assert run.weights.read_bytes() == before
    assert run_here("train", *QUICK, "--out", "run", "--seed", "5", "--overwrite")[0] == 0
    assert run.weights.read_bytes() != before


def test_a_folder_that_is_no_run(fails, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").write_text("dear")
    for extra in ((), ("--overwrite",)):
        assert "nothing there was touched" in fails("train", *QUICK, "--out", "home", *extra)


def test_options_out_of_range(fails):
    assert "--epochs" in fails("train", "--epochs", "0", code=2)
    assert "lr: expected a positive learning rate" in fails("train", "--lr", "-1", code=2)
    assert "--optimizer" in fails("train", "--optimizer", "lion", code=2)
    assert "lenet5" in fails("train", "--model", "resnet", code=2)
    assert "--epcohs" in fails("train", "--epcohs", "3", code=2)
    assert "leave out --out" in fails("train", "--resume", "a", "--out", "b", code=2)
    assert "paint" in fails("paint", code=2)


def test_unknown_data(fails, tmp_path):
    message = fails("train", "--data", "minst")
    assert "minst" in message
    assert "mnist10k" in message
    assert not (tmp_path / "runs").exists()


def test_no_network(fails, monkeypatch):
    from minicnn.data import DownloadError
    from minicnn.training import recipe

    def unreachable(*arguments, **options):
        raise DownloadError("mnist: no mirror delivered it, put it into a folder of your own")

    monkeypatch.setattr(recipe, "open_dataset", unreachable)
    assert "put it into a folder of your own (with --data-root)" in fails("train", "--data", "mnist")


def test_a_folder_without_images(fails, tmp_path):
    (tmp_path / "pictures" / "cats").mkdir(parents=True)
    assert "pictures" in fails("train", "--data", "pictures")


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(rng.integers(0, 255, (28, 28), np.uint8)).save(tmp_path / "pictures" / name / f"{i}.png")
    return tmp_path / "pictures"


def test_an_unreadable_image(fails, run_here, pictures):
    (pictures / "cats" / "3.png").write_bytes(b"not a picture")
    command = ("train", "--data", pictures, "--model", "mlp", "--epochs", "1")
    message = fails(*command)
    assert "3.png" in message
    assert "--skip-bad-images" in message
    code, out, _ = run_here(*command, "--skip-bad-images")
    assert code == 0
    assert "skipped 1 unreadable image" in out
    assert "3.png" in out


def test_a_label_outside_the_classes(fails, tmp_path):
    """An MNIST in which an eleven was written."""
    for part, n in (("train", 20), ("t10k", 10)):
        labels = bytes([0, 0, 8, 1, 0, 0, 0, n, *(i % 10 for i in range(n - 1)), 11])
        images = bytes([0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 28, 0, 0, 0, 28]) + bytes(n * 784)
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
    message = fails("train", "--data", "mnist", "--data-root", tmp_path, "--model", "mlp", "--epochs", "1")
    assert "11" in message


def test_a_loss_that_is_no_number(fails, tmp_path):
    message = fails("train", *QUICK, "--out", "run", "--lr", "1e30", "--schedule", "none", "--optimizer", "sgd")
    assert "training stopped: the loss is" in message
    assert "at step " in message
    assert "checkpoint.safetensors" in message
    load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")


@pytest.mark.parametrize("after", [0, 3, 4, 6])
def test_a_full_disk(fails, run_here, tmp_path, monkeypatch, after):
    """From some write on nothing goes to the disk any more."""
    real, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    message = fails("train", *QUICK, "--out", "run", "--checkpoint-every", "1")
    assert "the disk is full" in message
    assert str(tmp_path / "run") in message or "run/" in message
    assert not list((tmp_path / "run").glob("*.partial"))
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    if after >= 6:
        assert "--resume run" in message
        load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")


def test_resuming_nothing(fails, tmp_path):
    assert "is not a folder" in fails("train", "--resume", "none")
    assert "holds no config.json" in fails("train", "--resume", tmp_path)


def test_resuming_with_other_choices(fails, run):
    message = fails("train", "--resume", run.path, "--model", "lenet5", "--epochs", "9", "--seed", "0", "--no-compile")
    assert "--model lenet5 (the run has mlp)" in message
    assert "--epochs 9 (the run has 1)" in message
    assert "--no-compile (the run is with it)" in message
    assert "--augment (the run is without)" in fails("train", "--resume", run.path, "--augment")
    assert "--seed" not in message


def test_a_checkpoint_of_another_model(fails, run, run_here, tmp_path):
    assert run_here("train", *QUICK, "--model", "lenet5", "--out", "other")[0] == 0
    other = RunFolder(tmp_path / "other")
    shutil.copy(other.checkpoint, run.checkpoint)
    shutil.copy(other.weights, run.weights)
    for command in (("train", "--resume", run.path), ("evaluate", run.path)):
        message = fails(*command)
        assert "'lenet5'" in message
        assert "'mlp'" in message


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_checkpoint(fails, run, damage):
    whole = run.checkpoint.read_bytes()
    middle = len(whole) // 2
    run.checkpoint.write_bytes(
        {
            "cut": whole[:middle],
            "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "empty": b"",
            "text": b"hello, I am a checkpoint",
        }[damage]
    )
    message = fails("train", "--resume", run.path)
    assert "checkpoint.safetensors: " in message


def test_damaged_weights(fails, run):
    run.weights.write_bytes(run.weights.read_bytes()[:-1])
    assert "weights.safetensors: " in fails("evaluate", run.path)


def test_other_data_than_the_run_began_with(fails, run_here, pictures):
    assert run_here("train", "--data", pictures, "--model", "mlp", "--epochs", "1", "--out", "run")[0] == 0
    (pictures / "cats" / "0.png").unlink()
    assert "not those that the run began with" in fails("train", "--resume", "run")


def test_evaluating_on_other_classes(fails, run, pictures):
    message = fails("evaluate", run.path, "--data", pictures)
    assert "cats, dogs" in message
    assert "10: 0, 1, 2, 3, 4, ..." in message


def test_predicting_what_is_no_picture(fails, run, tmp_path):
    (tmp_path / "a.png").write_text("text")
    assert "a.png: not a readable image" in fails("predict", run.path, "a.png")
    assert "there is no such file" in fails("predict", run.path, "b.png")
    Image.new("L", (30, 30), 255).save(tmp_path / "blank.png")
    assert "blank.png: it has no digit in it" in fails("predict", run.path, "blank.png")


def test_a_config_that_was_edited(fails, run):
    """It would go on as something that is neither the old run nor the new one."""
    config = json.loads(run.config.read_text())
    for name, value in (("epochs", 5), ("optimizer", "sgd"), ("lr", 0.5)):
        run.config.write_text(json.dumps({**config, "config": {**config["config"], name: value}}))
        message = fails("train", "--resume", run.path)
        assert f"is not that of config.json: {name} was {config['config'][name]!r} and is {value!r}" in message


def test_a_checkpoint_whose_parts_do_not_fit(fails, run):
    state = load_checkpoint(run.checkpoint)
    for name, value in (
        ("generator", (0, -1)),
        ("train_loader", {"position": -1}),
        ("optimizer", {"param_groups": []}),
    ):
        save_checkpoint(run.checkpoint, {**state, "trainer": {**state["trainer"], name: value}})
        assert "checkpoint.safetensors: state: cannot be used" in fails("train", "--resume", run.path)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_a_run_that_another_process_trains(fails, run):
    with run.locked():
        assert "is in use" in fails("train", "--resume", run.path)
        assert "is in use" in fails("train", *QUICK, "--out", run.path, "--overwrite")


def test_environment_variables(fails, monkeypatch):
    monkeypatch.setenv("MINICNN_BACKEND", "abacus")
    for command in (("info",), ("train", *QUICK)):
        assert "MINICNN_BACKEND: expected cpu or reference, got 'abacus'" in fails(*command)


def test_environment_variables_of_a_fresh_process(run_apart):
    code, _, err = run_apart("info", env={"MINICNN_NUM_THREADS": "many"})
    assert code == 1
    assert err == "error: environment variable MINICNN_NUM_THREADS must be an integer of at least 1, got 'many'\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux's full device")
def test_nowhere_to_print_to(tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "minicnn", "info"], stdout=full, stderr=subprocess.PIPE, env=environment, text=True
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: the disk is full: standard output could not be written")
    assert done.stderr.count("\n") == 1


def test_names_that_the_terminal_cannot_show(run_apart, pictures):
    (pictures / "cats").rename(pictures / "кошки")
    options = ("--model", "mlp", "--epochs", "1", "--out", "run")
    code, out, err = run_apart("train", "--data", "pictures", *options, env={"PYTHONIOENCODING": "ascii"})
    assert (code, err) == (0, "")
    assert r"\u043a\u043e\u0448\u043a\u0438" in out
