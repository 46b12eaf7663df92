"""`minicnn train` end to end: the files it leaves, its output, and its errors."""

import json
import re
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

import minicnn as mc
from minicnn.models import mlp, mnist_cnn
from minicnn.training import RunFolder, load_checkpoint
from minicnn.weights import load_state_dict_file

QUICK = ("--model", "mlp", "--epochs", "2", "--limit-train", "320", "--limit-test", "200", "--threads", "2")


def records(run):
    return [json.loads(line) for line in RunFolder(run).metrics.read_text().splitlines()]


@pytest.fixture(scope="module")
def images_folder(tmp_path_factory):
    """Two classes of pictures, bars across and bars upright, as folders."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for name, axis in (("across", 0), ("upright", 1)):
        (folder / name).mkdir()
        for i in range(20):
            picture = rng.integers(0, 60, (28, 28), dtype=np.uint8)
            np.moveaxis(picture, axis, 0)[10 + i % 8] = 255
            Image.fromarray(picture).save(folder / name / f"{i:02}.png")
    return folder


def test_cifar_in_colour(run_here, tmp_path):
    """Train, evaluate, look at a picture: with the model that fits, named or not."""
    rng = np.random.default_rng(0)
    (tmp_path / "files").mkdir()
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        pixels = rng.integers(0, 256, (2, 3073), dtype=np.uint8)
        pixels[:, 0] = np.arange(2)
        (tmp_path / "files" / f"{name}.bin").write_bytes(pixels.tobytes())
    (tmp_path / "files" / "batches.meta.txt").write_text("\n".join(f"class{i}" for i in range(10)))
    files = ("--data", "cifar-10", "--data-root", "files", "--epochs", "1", "--batch-size", "20", "--no-compile")
    code, out, err = run_here("train", *files, "--augment", "--out", "run")
    assert (code, err) == (0, "")
    assert "cifar10: 10 training and 2 test images, 10 classes\nresnet20: 272,474 parameters" in out
    config, data = RunFolder(tmp_path / "run").read_config()
    assert (config.model, config.data, len(data["mean"])) == ("resnet20", "cifar10", 3)
    accuracy = re.search(r"test accuracy (\S+) %", out)[1]
    assert f"accuracy {accuracy} %" in run_here("evaluate", "run")[1]
    Image.fromarray(rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)).save(tmp_path / "photo.png")
    code, out, _ = run_here("predict", "run", "photo.png")
    assert (code, out.count("%\n")) == (0, 3)
    code, _, err = run_here("train", *files, "--model", "cnn")
    assert code == 1
    assert "cifar10: images in colour, of 32 x 32 pixels; the model mnist_cnn takes grey ones of 28 x 28" in err
    assert not (tmp_path / "runs").exists()


def test_a_run_leaves_everything(run_here, tmp_path):
    (tmp_path / "mnist10k").mkdir()  # a data set's name means the data set, whatever lies around
    code, out, err = run_here("train", *QUICK, pictures=True)
    assert (code, err) == (0, "")
    assert "matplotlib.pyplot" not in sys.modules  # whose global state belongs to the user
    run = RunFolder(tmp_path / "runs" / "mnist10k-mlp-1")
    assert {p.name for p in run.path.iterdir()} == {
        *("config.json", "checkpoint.safetensors", "weights.safetensors", "metrics.jsonl"),
        *("confusion.json", "curves.png", "misclassified.png"),
    }
    assert [r["epoch"] for r in records(run.path)] == [1, 2]
    confusion = json.loads(run.confusion.read_text())
    counts = np.array(confusion["confusion"])
    assert counts.sum() == 200
    assert np.trace(counts) / 200 == confusion["accuracy"] == records(run.path)[-1]["test_accuracy"] > 0.5
    assert confusion["per_class_accuracy"]["3"] == counts[3, 3] / counts[3].sum()
    for picture in (run.curves, run.misclassified):
        with Image.open(picture) as image:
            image.load()
            assert image.width > 300
            assert np.asarray(image.convert("L")).std() > 5  # something is drawn
    config, data = run.read_config()
    assert (config.model, config.epochs, config.threads, data["classes"]) == ("mlp", 2, 2, list("0123456789"))
    assert f"test accuracy {100 * confusion['accuracy']:.2f} %" in out
    assert "confusion matrix" in out
    assert load_checkpoint(run.checkpoint)["trainer"]["epoch"] == 2


def test_output_that_is_no_terminal_is_plain(run_here):
    _, out, _ = run_here("train", *QUICK)
    assert re.fullmatch(r"[\n\x20-\x7e]*", out)
    lines = out.splitlines()
    header = next(i for i, line in enumerate(lines) if line.split()[:3] == ["epoch", "train", "loss"])
    for i in (1, 2):
        numbers = r" +\d\.\d{4} +\d+\.\d\d %" * 2
        assert re.fullmatch(rf" +{i}/2 {numbers} +\d\.\de-\d\d +\d+\.\d s", lines[header + i])
        assert len(lines[header + i]) == len(lines[header])


def test_runs_are_numbered_and_the_same_seed_gives_the_same_bytes(run_here, tmp_path):
    for _ in range(2):
        assert run_here("train", *QUICK)[0] == 0
    assert run_here("train", *QUICK, "--seed", "1")[0] == 0
    weights = [(tmp_path / f"runs/mnist10k-mlp-{i}/weights.safetensors").read_bytes() for i in (1, 2, 3)]
    assert weights[0] == weights[1] != weights[2]


def test_pytorch_loads_the_weights_and_computes_the_same(run_here, tmp_path):
    options = ("--epochs", "1", "--limit-train", "192", "--limit-test", "100", "--threads", "2", "--out", "run")
    assert run_here("train", *options)[0] == 0
    nn = torch.nn
    theirs = nn.Module()
    theirs.features = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2, 2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2, 2)),
    )
    theirs.classifier = nn.Sequential(
        nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10)
    )
    theirs.load_state_dict(safetensors.torch.load_file(tmp_path / "run" / "weights.safetensors"))
    theirs.eval()
    ours = mnist_cnn()
    ours.load_state_dict(load_state_dict_file(tmp_path / "run" / "weights.safetensors"))
    x = np.random.default_rng(0).normal(size=(4, 1, 28, 28)).astype(np.float32)
    with torch.no_grad(), mc.no_grad():
        expected = theirs.classifier(theirs.features(torch.from_numpy(x))).numpy()
        got = ours.eval()(mc.tensor(x)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)  # float32 sums of up to 3,136 in another order


def test_compiled_by_default_and_eager_when_asked(run_here, tmp_path):
    """The same run but for rounding: the configuration says which it was, its weights do not."""
    for name, extra in (("fused", ()), ("eager", ("--no-compile",))):
        code, out, err = run_here("train", *QUICK, "--optimizer", "sgd", *extra, "--out", name)
        assert (code, err) == (0, "")
        assert (", compiled\n" in out) == (name == "fused")
        assert RunFolder(tmp_path / name).read_config()[0].compile == (name == "fused")
        assert f"loss {records(tmp_path / name)[-1]['test_loss']:.4f}" in run_here("evaluate", name)[1]
    fused, eager = (load_state_dict_file(RunFolder(tmp_path / name).weights) for name in ("fused", "eager"))
    assert fused.keys() == eager.keys() == mlp().state_dict().keys()
    for name, tensor in fused.items():
        # Ten steps of float32 sums in another order.
        np.testing.assert_allclose(tensor.numpy(), eager[name].numpy(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "step", "none"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_recipe_runs(run_here, tmp_path, optimizer, schedule):
    recipe = ("--optimizer", optimizer, "--schedule", schedule, "--lr", "0.01", "--weight-decay", "1e-4")
    code, _, err = run_here("train", *QUICK, *recipe, "--limit-train", "100", "--out", "run", "--model", "lenet5")
    assert (code, err) == (0, "")
    rates = [r["lr"] for r in records(tmp_path / "run")]
    if schedule == "none":
        assert rates == [0.01, 0.01]
    else:
        assert rates[1] < rates[0]


def test_augmentation_changes_the_run_and_is_repeatable(run_here, tmp_path):
    for name, extra in (("plain", ()), ("a", ("--augment",)), ("b", ("--augment",))):
        assert run_here("train", *QUICK, *extra, "--out", name)[0] == 0
    plain, a, b = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("plain", "a", "b"))
    assert a == b != plain


def test_a_folder_of_pictures(run_here, images_folder, tmp_path):
    code, out, err = run_here("train", "--data", images_folder, "--model", "mlp", "--epochs", "3", "--batch-size", "8")
    assert (code, err) == (0, "")
    run = RunFolder(next((tmp_path / "runs").iterdir()))
    assert run.read_config()[1]["classes"] == ["across", "upright"]
    assert "across" in out
    code, out, _ = run_here("evaluate", run.path)
    assert code == 0
    assert "upright" in out


def test_without_matplotlib_one_line_says_how_to_get_it(run_here, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if it were not installed
    code, out, _ = run_here("train", *QUICK, "--out", "run", pictures=True)
    assert code == 0
    assert [line for line in out.splitlines() if 'pip install "minicnn[plots]"' in line]
    assert not (tmp_path / "run" / "curves.png").exists()
