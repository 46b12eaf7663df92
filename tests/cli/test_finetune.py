"""`minicnn finetune` end to end on photographs: what it learns, leaves, resumes and refuses; and what classifies then."""

import json
import re
import shutil
import signal
import sys
from importlib import resources

import numpy as np
import pytest
import torch
from PIL import Image

import minicnn as mc
from minicnn.models import resnet20
from minicnn.training import FinetuneConfig, RunFolder, load_checkpoint
from minicnn.weights import load_state_dict_file

# ResNet-20 is the smallest of the zoo: its steps at 32 x 32 take milliseconds.
SMALL = ("--model", "resnet20", "--batch-size", "8", "--threads", "2", "--workers", "0")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Pieces of two photographs that scikit-learn ships, a temple and a flower, as PNG and JPEG: 24 of each."""
    folder = tmp_path_factory.mktemp("images") / "photos"
    rng = np.random.default_rng(0)
    for name, file in (("temple", "china.jpg"), ("flower", "flower.jpg")):
        (folder / name).mkdir(parents=True)
        with resources.as_file(resources.files("sklearn.datasets.images") / file) as path:
            photo = np.asarray(Image.open(path))
        for i in range(24):
            y, x = rng.integers(0, 427 - 120), rng.integers(0, 640 - 120)
            piece = Image.fromarray(photo[y : y + 120, x : x + 120]).resize((48, 40))
            piece.save(folder / name / f"{i:02}.{'png' if i % 2 else 'jpg'}")
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A training checkpoint as PyTorch would leave it, of a network with ten classes."""
    state, threads = mc.get_rng_state(), mc.get_num_threads()
    mc.manual_seed(5)
    tensors = {f"module.{k}": torch.from_numpy(v.numpy().copy()) for k, v in resnet20().state_dict().items()}
    mc.set_rng_state(state)
    mc.set_num_threads(threads)
    path = tmp_path_factory.mktemp("weights") / "checkpoint.pth"
    torch.save({"epoch": 9, "state_dict": tensors}, path)
    return path


def metrics(run):
    """The lines of metrics.jsonl without the time, which no two runs share."""
    return [{**json.loads(line), "seconds": None} for line in RunFolder(run).metrics.read_text().splitlines()]


def changed(weights, run):
    """Which stages of the network are not those of the file."""
    before = {k.removeprefix("module."): v.numpy() for k, v in torch.load(weights)["state_dict"].items()}
    after = load_state_dict_file(RunFolder(run).weights)
    assert before.keys() == after.keys()
    different = [k for k in before if not np.array_equal(before[k], after[k].numpy())]
    return sorted({k.partition(".")[0] for k in different})


def test_it_learns_and_says_what_it_does(run_here, photos, tmp_path):
    """From nothing, so that all of it learns; then new pictures are classified, and the run is judged again."""
    command = ("finetune", photos, *SMALL, "--weights", "none", "--epochs", "5")
    code, out, err = run_here(*command, pictures=True)
    assert (code, err) == (0, "")
    assert re.fullmatch(r"[\n\x20-\x7e]*", out)
    path = tmp_path / "runs" / "photos-resnet20-1"
    run = RunFolder(path)
    assert {p.name for p in path.iterdir()} >= {
        *("config.json", "checkpoint.safetensors", "weights.safetensors", "metrics.jsonl"),
        *("confusion.json", "curves.png"),
    }
    for line in (
        "photos: 38 training and 10 validation images, 2 classes (10 of 48 images set aside",
        "resnet20: no weights to begin with",
        "trained: conv1, bn1, layer1, layer2, layer3, fc, 271,954 of 271,954 parameters\n",
        "images of 32 x 32, cropped and flipped at random",
        "val loss    val acc",
        "confusion matrix",
        "  minicnn classify IMAGE... --run runs/photos-resnet20-1\n",
    ):
        assert line in out
    last = metrics(path)[-1]
    assert last["test_accuracy"] >= 0.9
    assert f"val accuracy {100 * last['test_accuracy']:.2f} %" in out
    config, data = run.read_config()
    assert isinstance(config, FinetuneConfig)
    assert (config.model, config.threads, data["classes"]) == ("resnet20", 2, ["flower", "temple"])

    code, out, err = run_here("evaluate", path)
    assert (code, err) == (0, "")
    assert f"accuracy {100 * last['test_accuracy']:.2f} % (" in out
    assert f"loss {last['test_loss']:.4f}" in out
    assert run_here("evaluate", path, "--data", photos)[1].splitlines()[0].endswith("on the 48 test images of photos")
    assert "on the 2 test images" in run_here("evaluate", path, "--limit", "2")[1]

    pictures = [*sorted((photos / "flower").iterdir())[:8], *sorted((photos / "temple").iterdir())[:8]]
    code, out, err = run_here("classify", *pictures, "--run", path)
    assert (code, err) == (0, "")
    likeliest = re.findall(r"/(\w+)/\d\d\.\w+\n +[\d.]+ %  (\w+)\n +[\d.]+ %  (\w+)\n", out)
    assert len(likeliest) == 16
    assert sum(truth == guess for truth, guess, _ in likeliest) >= 12
    by_file = run_here("classify", *pictures, "--weights", run.weights)  # which says its model and classes
    assert by_file[1] == out


def test_head_alone_with_features_computed_once(run_here, photos, weights, tmp_path):
    """Only the head changes, and it learns what training through the whole network teaches it, but for rounding."""
    command = ("finetune", photos, *SMALL, "--weights", weights, "--epochs", "2", "--no-compile")
    code, out, err = run_here(*command, "--out", "once")
    assert (code, err) == (0, "")
    assert "took 'state_dict' out of the checkpoint and 'module.' off its keys" in out
    assert "a new head fc for 2 classes in place of its own" in out
    assert "trained: fc, 130 of 271,954 parameters; frozen: conv1, bn1, layer1, layer2, layer3\n" in out
    assert "not augmented: the frozen part runs once over them" in out
    assert changed(weights, tmp_path / "once") == ["fc"]
    code, out, _ = run_here(*command, "--unfreeze", "0", "--augment", "--out", "augmented")
    assert code == 0
    assert "cropped and flipped at random" in out
    assert changed(weights, tmp_path / "augmented") == ["fc"]

    from minicnn.training.finetuning import FineTuning

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FineTuning, "caches_features", False)
        assert run_here(*command, "--out", "whole")[0] == 0
    once, whole = (load_state_dict_file(tmp_path / name / "weights.safetensors") for name in ("once", "whole"))
    for name, tensor in once.items():
        # Ten steps; the features differ by rounding, as convolutions are summed in another order for other batches.
        np.testing.assert_allclose(tensor.numpy(), whole[name].numpy(), rtol=1e-4, atol=1e-6)


def test_unfreezing(run_here, photos, weights, tmp_path):
    command = ("finetune", photos, *SMALL, "--weights", weights, "--epochs", "2")
    code, out, err = run_here(*command, "--unfreeze", "1", "--head-epochs", "1", "--out", "run")
    assert (code, err) == (0, "")
    assert "trained: layer3, fc," in out
    assert "the head alone in the first 1 of 2 epochs" in out
    assert changed(weights, tmp_path / "run") == ["fc", "layer3"]
    groups = load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")["trainer"]["optimizer"]["param_groups"]
    assert [group["name"] for group in groups] == ["layer3", "fc"]
    assert groups[0]["initial_lr"] == pytest.approx(0.7 * groups[1]["initial_lr"])
    # The same classes: the head that was trained goes on.
    code, out, _ = run_here(*command, "--weights", tmp_path / "run" / "weights.safetensors", "--out", "more")
    assert code == 0
    assert "its head fc is of these 2 classes and stays" in out
    first, last = metrics(tmp_path / "more")[0], metrics(tmp_path / "run")[-1]
    assert first["test_loss"] == pytest.approx(last["test_loss"], abs=0.1)


# All that an interrupted run has to put back: a schedule, moments, augmentation, running averages, and whether more than the
# head trains already.
RECIPE = (*SMALL, "--batch-size", "8", "--epochs", "3", "--seed", "3", "--unfreeze", "2", "--head-epochs", "1")

TELLING = """
import time
from minicnn.training import Trainer
from minicnn import cli
step = Trainer.train_step
def telling(self, images, labels):
    print("step", self.step, flush=True)
    time.sleep(0.02)
    return step(self, images, labels)
Trainer.train_step = telling
cli.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize(
    "recipe", [(*RECIPE, "--label-smoothing", "0.1"), (*RECIPE, "--unfreeze", "0")], ids=["unfrozen", "head"]
)
def test_interrupted_runs_come_to_the_same_bytes(run_here, start, photos, weights, tmp_path, recipe):
    mine = tmp_path / "mine.pth"
    shutil.copy(weights, mine)
    command = ("finetune", photos, *recipe, "--weights", mine)
    assert run_here(*command, "--out", "whole")[0] == 0
    process = start(*command, "--out", "run", code=TELLING)
    for line in process.stdout:
        if line == "step 4\n":
            break
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "stopping after this step" in err
    assert out.endswith("everything is saved. Continue with:\n  minicnn finetune --resume run\n")
    run = RunFolder(tmp_path / "run")
    step = load_checkpoint(run.checkpoint)["trainer"]["step"]
    assert 4 <= step < 15
    mine.unlink()  # the checkpoint has the weights
    code, out, err = run_here("finetune", "--resume", "run")
    assert (code, err) == (0, "")
    assert "weights from the run's checkpoint" in out
    assert metrics(run.path) == metrics(tmp_path / "whole")
    assert run.weights.read_bytes() == RunFolder(tmp_path / "whole").weights.read_bytes()
    code, out, _ = run_here("finetune", "--resume", "run")
    assert (code, "all 3 epochs are done already" in out) == (0, True)


@pytest.fixture
def fails(run_here):
    """fails(*arguments) -> the error's text, after checking that it is one line and the exit code is ``code``."""

    def check(*arguments, code=1):
        got, _, err = run_here(*arguments)
        assert (got, err.count("\n")) == (code, 1), err
        assert err.startswith("error: ")
        return err

    return check


def test_folders_that_are_none(fails, photos, tmp_path):
    command = ("finetune", *SMALL, "--weights", "none")
    assert "IMAGE_FOLDER is missing" in fails(*command, code=2)
    assert "no such folder" in fails(*command, "nowhere")
    (tmp_path / "empty").mkdir()
    assert "couldn't find any class folder" in fails(*command, "empty")
    (tmp_path / "empty" / "cats").mkdir()
    assert "no valid file for the classes cats" in fails(*command, "empty")
    shutil.copytree(photos / "flower", tmp_path / "one" / "flower")
    assert "one class only, flower; there is nothing to tell apart" in fails(*command, "one")
    shutil.copytree(photos / "flower", tmp_path / "test" / "tree")
    assert "test: classes tree that " in fails(*command, photos, "--validation", "test")
    assert "give one of them" in fails(*command, photos, "--validation", "test", "--val-split", "0.5", code=2)
    assert "val_split: expected a number between 0 and 1" in fails(*command, photos, "--val-split", "1", code=2)
    assert not (tmp_path / "runs").exists()


def test_an_unreadable_image(fails, run_here, photos, tmp_path):
    shutil.copytree(photos, tmp_path / "mine")
    (tmp_path / "mine" / "temple" / "03.png").write_bytes((photos / "temple" / "03.png").read_bytes()[:300])
    command = ("finetune", "mine", *SMALL, "--weights", "none", "--epochs", "1")
    message = fails(*command)
    assert "temple/03.png" in message
    assert "--skip-bad-images" in message
    code, out, _ = run_here(*command, "--skip-bad-images", "--out", "run")
    assert code == 0
    assert "skipped 1 unreadable image: " in out
    (tmp_path / "mine" / "temple" / "04.jpg").unlink()
    assert "are not those that the run began with" in fails("finetune", "--resume", "run")
    shutil.rmtree(tmp_path / "mine" / "temple")
    shutil.copytree(photos / "temple", tmp_path / "mine" / "pagoda")
    assert "classes: are not those of " in fails("finetune", "--resume", "run")


def test_models_and_weights_that_do_not_do(fails, photos, weights, tmp_path):
    assert "did you mean resnet18" in fails("finetune", photos, "--model", "resnet81", code=2)
    assert "minicnn train --data FOLDER --model lenet5" in fails("finetune", photos, "--model", "lenet5", code=2)
    assert "takes clips of video" in fails("finetune", photos, "--model", "r3d_18", code=2)
    assert "no published weights" in fails("finetune", photos, "--model", "resnet20")
    assert "ResNet18_Weights has IMAGENET1K_V1" in fails("finetune", photos, "--weights", "IMAGENET1K_V9")
    assert "`minicnn inspect` says which" in fails("finetune", photos, "--model", "resnet18", "--weights", weights)
    assert "nowhere.pth" in fails("finetune", photos, *SMALL, "--weights", "nowhere.pth")
    message = fails("finetune", photos, *SMALL, "--weights", "none", "--batch-size", "100")
    assert "only 38 to train with; choose --batch-size 38 or less" in message
    message = fails("finetune", photos, "--model", "vit_b_32", "--weights", "none", "--image-size", "64")
    assert "vit_b_32 cannot take images of 64 x 64" in message
    assert not (tmp_path / "runs").exists()


def test_commands_for_other_runs(fails, run_here, photos, tmp_path):
    assert run_here("finetune", photos, *SMALL, "--weights", "none", "--epochs", "1", "--out", "run")[0] == 0
    assert "was fine-tuned on photographs: minicnn classify IMAGE... --run run" in fails("predict", "run", "x.png")
    assert "was made by `minicnn finetune`: minicnn finetune --resume run" in fails("train", "--resume", "run")
    assert "--unfreeze 3 (the run has None)" in fails("finetune", "--resume", "run", "--unfreeze", "3")
    assert "leave out --model and --weights" in fails("classify", "x.png", "--run", "run", "--model", "a", code=2)
    assert "is it a run? --run run" in fails("classify", "x.png", "--model", "resnet18", "--weights", "run")
    (tmp_path / "other").mkdir()
    shutil.copytree(photos / "temple", tmp_path / "other" / "a")
    assert "has other classes (a) than run learnt (flower, temple)" in fails("evaluate", "run", "--data", "other")
    (tmp_path / "run" / "weights.safetensors").unlink()
    for command in (("evaluate", "run"), ("classify", "x.png", "--run", "run")):
        assert "has no weights yet: finish an epoch with `minicnn finetune --resume run`" in fails(*command)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    config["data"]["preprocess"]["size"] = 3
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert "config.json: contents: cannot be used" in fails("evaluate", "run")
    small = ("--model", "mlp", "--epochs", "1", "--limit-train", "64", "--limit-test", "50", "--out", "digits")
    assert run_here("train", *small)[0] == 0
    assert "minicnn predict digits IMAGE..." in fails("classify", "x.png", "--run", "digits")
    assert "was made by `minicnn train`" in fails("finetune", "--resume", "digits")


def test_interrupted_while_features_are_computed(run_here, photos, weights, tmp_path, monkeypatch):
    from minicnn.training import finetuning

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    command = ("finetune", photos, *SMALL, "--weights", weights, "--epochs", "1", "--out", "run")
    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "cached_features", interrupted)
        code, out, err = run_here(*command)
    assert (code, err) == (130, "")
    assert out.endswith("stopped before the first step. Begin again with:\n  minicnn finetune --resume run\n")
    assert run_here("finetune", "--resume", "run")[0] == 0
    assert changed(weights, tmp_path / "run") == ["fc"]
