"""Run folders: made without harm to what is there, and read back."""

import json
import sys

import pytest
import torch

import minicnn as mc
from minicnn.training import RunFolder, TrainConfig
from minicnn.training.run_folder import RunFolderError
from minicnn.weights import CheckpointError, save_state_dict

DATA = {"name": "toy", "classes": ["a", "b"], "mean": 0.5, "std": 0.25, "train_size": 3, "test_size": 2}


def test_config_round_trip(tmp_path):
    run = RunFolder.create(tmp_path / "deep" / "run")
    config = TrainConfig(epochs=3, lr=0.1, limit_train=7, optimizer="sgd")
    run.write_config(config, DATA, "1.2.3")
    read, data = RunFolder.open(run.path).read_config()
    assert read == config
    assert data == {key: DATA[key] for key in ("name", "classes", "mean", "std")}
    assert json.loads(run.config.read_text())["minicnn"] == "1.2.3"


def test_a_run_is_replaced_only_when_asked_and_only_its_own_files(tmp_path):
    run = RunFolder.create(tmp_path / "run")
    run.write_config(TrainConfig(), DATA, "1")
    run.weights.write_text("old")
    (run.path / "notes.txt").write_text("mine")
    with pytest.raises(
        RunFolderError, match=r"already holds a run: continue it with --resume .*, replace it with --over"
    ):
        RunFolder.create(run.path)
    assert run.weights.exists()
    RunFolder.create(run.path, overwrite=True)
    assert sorted(p.name for p in run.path.iterdir()) == ["notes.txt"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_never_touched(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(RunFolderError, match="is not a run of minicnn: nothing there was touched"):
        RunFolder.create(tmp_path, overwrite=overwrite)
    with pytest.raises(RunFolderError, match="is a file"):
        RunFolder.create(tmp_path / "thesis.tex", overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "important"


def test_numbered_folders_take_the_first_free_number(tmp_path):
    names = [RunFolder.create_numbered(tmp_path / "runs", "mnist-cnn").path.name for _ in range(3)]
    assert names == ["mnist-cnn-1", "mnist-cnn-2", "mnist-cnn-3"]


def test_numbered_folders_below_a_link_to_nowhere(tmp_path):
    (tmp_path / "runs").symlink_to(tmp_path / "gone")
    with pytest.raises(OSError, match="runs"):
        RunFolder.create_numbered(tmp_path / "runs", "mnist-cnn")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_one_process_at_a_time(tmp_path):
    run = RunFolder.create(tmp_path / "run")
    run.write_config(TrainConfig(), DATA, "1")
    with run.locked():
        with pytest.raises(RunFolderError, match="is in use: another process trains there"), run.locked():
            pass
        with pytest.raises(RunFolderError, match="is in use"):
            RunFolder.create(run.path, overwrite=True)
        assert run.config.exists()
    with run.locked():  # free again, and no file is left of it
        assert [p.name for p in run.path.iterdir()] == ["config.json"]


def test_opening_what_is_no_run(tmp_path):
    with pytest.raises(RunFolderError, match="is not a folder"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(RunFolderError, match=r"holds no config\.json"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '{"config": {}, "data": {}}', json.dumps({"config": {"epochs": "many"}, "data": DATA})),
        *(
            json.dumps({"config": {}, "data": {**DATA, **wrong}})
            for wrong in ({"classes": []}, {"classes": "ab"}, {"std": 0}, {"std": "inf"}, {"mean": "nan"}, {"mean": []})
        ),
    ],
)
def test_a_damaged_config_is_named(tmp_path, text):
    run = RunFolder(tmp_path)
    run.config.write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json: contents: cannot be used"):
        run.read_config()


def test_a_config_of_another_version_says_so(tmp_path):
    run = RunFolder(tmp_path)
    run.config.write_text(json.dumps({"config": {"quantum": True}, "data": DATA}))
    with pytest.raises(CheckpointError, match="unknown configuration quantum: from another version"):
        run.read_config()


def test_weights_of_another_model(tmp_path):
    run = RunFolder(tmp_path)
    model = mc.nn.Linear(2, 3)
    with pytest.raises(RunFolderError, match="has no weights yet: finish an epoch with `minicnn train --resume"):
        run.load_weights(model, "mlp")
    save_state_dict(mc.nn.Linear(2, 3).state_dict(), run.weights, {"model": "lenet5"})
    with pytest.raises(CheckpointError, match="is of the model 'lenet5', and this run's is 'mlp'"):
        run.load_weights(model, "mlp")
    save_state_dict(mc.nn.Linear(2, 4).state_dict(), run.weights, {"model": "mlp"})
    with pytest.raises(CheckpointError, match="tensors: do not fit the model 'mlp'"):
        run.load_weights(model, "mlp")
    save_state_dict({"weight": mc.ones(3, 2), "bias": mc.zeros(3)}, run.weights)
    run.load_weights(model, "mlp")
    assert torch.equal(torch.from_numpy(model.weight.detach().numpy()), torch.ones(3, 2))
