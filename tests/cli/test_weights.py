"""`minicnn inspect` and `minicnn classify`: files of weights on the command line."""

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn as mc
from minicnn import models


def test_inspect_a_checkpoint(run_here, tmp_path):
    state = {k: torch.from_numpy(v.numpy()) for k, v in models.squeezenet1_1(num_classes=3).state_dict().items()}
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 7}, tmp_path / "checkpoint.pth")
    code, out, err = run_here("inspect", "checkpoint.pth")
    assert (code, err) == (0, "")
    assert "names in the pickle: torch._utils._rebuild_tensor_v2, torch.FloatStorage, collections.OrderedDict" in out
    line = next(line for line in out.splitlines() if line.startswith("state_dict/module.features.0.weight"))
    norm = f"{np.linalg.norm(state['features.0.weight'].double().numpy()):.6g}"
    assert line.split()[1:] == ["(64,", "3,", "3,", "3)", "float32", "6.8", "KiB", norm]
    assert "epoch: 7" in out
    assert "52 tensors" in out
    assert (
        "fits squeezenet1_1: 96.2% of the keys and shapes; another shape: classifier.1.weight, classifier.1.bias" in out
    )


def test_inspect_safetensors(run_here, tmp_path):
    mc.save({"w": mc.ones(2, 2)}, tmp_path / "w.safetensors")
    code, out, _ = run_here("inspect", "w.safetensors")
    assert code == 0
    assert "w       (2, 2)  float32  0.0 KiB  2" in out


def test_inspect_runs_nothing(run_here, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "canary"), "w")

    (tmp_path / "trap.pth").write_bytes(pickle.dumps(Trap()))
    code, _, err = run_here("inspect", "trap.pth")
    assert code == 1
    assert "io.open, which no file of weights needs. Nothing was run" in err  # _io.open since Python 3.13
    torch.save(Trap(), tmp_path / "trap2.pth")
    code, out, err = run_here("inspect", "trap2.pth")
    assert code == 1
    assert "names in the pickle: io.open" in out or "names in the pickle: _io.open" in out
    assert "Nothing was run" in err
    assert not (tmp_path / "canary").exists()


def test_inspect_other_files(run_here, tmp_path):
    (tmp_path / "x.pth").write_text("hello, world")
    code, _, err = run_here("inspect", "x.pth")
    assert code == 1
    assert err.startswith("error: x.pth: start: is neither")
    assert run_here("inspect", "y.pth")[0] == 1


@pytest.fixture
def picture(tmp_path):
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    return "grey.png"


def test_classify(run_here, picture):
    code, out, err = run_here("classify", picture, "--model", "efficientnet_lite0", "--top", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "grey.png"
    assert len(lines) == 3
    assert lines[1].split()[1] == "%"


def test_classify_mistakes(run_here, picture, tmp_path, monkeypatch):
    monkeypatch.setenv("MINICNN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINICNN_OFFLINE", "1")
    code, _, err = run_here("classify", picture, "--model", "resnet18")
    assert code == 1
    assert "MINICNN_OFFLINE forbids" in err
    assert run_here("classify", picture, "--model", "resnet19")[0] == 2
    code, out, err = run_here("classify", "missing.png", picture, "--model", "efficientnet_lite0")
    assert code == 1
    assert err == "error: missing.png: there is no such file\n"
    assert out.startswith("grey.png\n")  # the others are classified all the same
    for options, message in (
        (("--weights", "IMAGENET1K_V9"), "ResNet18_Weights has IMAGENET1K_V1"),
        (("--weights", "none"), "ResNet18_Weights has IMAGENET1K_V1"),
        (("--model", "resnet20"), "has no published weights"),
        (("--model", "lenet5"), "takes grey images, not photographs"),
        (("--model", "r3d_18"), "takes clips of video, not photographs"),
    ):
        code, _, err = run_here("classify", picture, *options)
        assert (code, err.count("\n")) == (1, 1)
        assert message in err
    mc.save(models.resnet20().state_dict(), tmp_path / "mine.pth")
    assert (
        "mine.pth does not say what it is; name the model" in run_here("classify", picture, "--weights", "mine.pth")[2]
    )
    for other in ("resnet18", "vgg11"):
        code, _, err = run_here("classify", picture, "--weights", "mine.pth", "--model", other)
        assert (code, err.count("\n")) == (1, 1)
        assert "mine.pth: tensors: " in err
    assert run_here("classify", picture, "--weights", "mine.pth", "--model", "resnet20")[1].count("class ") == 5
