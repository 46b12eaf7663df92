"""The parts of fine-tuning: which images, which weights, what is frozen, and what a program gets."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

import minicnn as mc
from minicnn import models, nn, optim, transfer
from minicnn.data import DataLoader, DatasetError, TensorDataset
from minicnn.data.transforms import ImageClassification
from minicnn.models.restore import classes_in, restore
from minicnn.nn import functional as F
from minicnn.training import FinetuneConfig, FinetuneError, RunFolder, Trainer, finetune
from minicnn.training.finetuning import prepare
from minicnn.training.image_data import augmentation, open_images, open_test_images


@pytest.fixture(autouse=True)
def _threads_and_generator():
    threads, state = mc.get_num_threads(), mc.get_rng_state()
    yield
    mc.set_num_threads(threads)
    mc.set_rng_state(state)


def write(folder, count, seed=0):
    """Red and blue squares with noise, ``count`` of each."""
    rng = np.random.default_rng(seed)
    for name, channel in (("red", 0), ("blue", 2)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 120, (36, 40, 3), dtype=np.uint8)
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    return write(tmp_path_factory.mktemp("images") / "squares", 15)


def config(folder, **changes):
    return FinetuneConfig(str(folder), **{"model": "resnet20", "weights": "none", "epochs": 1, "threads": 1, **changes})


# ---- images


def test_division(squares, tmp_path):
    plain = open_images(config(squares))
    assert (len(plain.train), len(plain.test), plain.classes) == (24, 6, ("blue", "red"))
    assert plain.source == "6 of 30 images set aside, the same part of each class"
    assert sorted(plain.test.targets) == [0, 0, 0, 1, 1, 1]
    again = open_images(config(squares, seed=9))
    assert again.test.samples == plain.test.samples
    assert len(open_images(config(squares, val_split=0.5)).test) == 16  # round(7.5) of each is 8
    for part, count in (("train", 4), ("val", 2), ("else", 3)):
        write(tmp_path / "set" / part, count)
    own = open_images(config(tmp_path / "set"))
    assert (len(own.train), len(own.test)) == (8, 4)
    assert own.source == f"judged by those in {tmp_path / 'set' / 'val'}"
    other = open_images(config(tmp_path / "set", validation=str(tmp_path / "set" / "else")))
    assert (len(other.train), len(other.test)) == (8, 6)
    split = open_images(config(tmp_path / "set", val_split=0.25))  # of train/; val/ is not touched
    assert (len(split.train), len(split.test)) == (6, 2)
    assert all("train" in path for path, _ in split.test.samples)


def test_images_to_judge_by(squares, tmp_path):
    made = open_images(config(squares))
    test, name = open_test_images(config(squares))
    assert (test.samples, name) == (made.test.samples, "squares")
    assert len(open_test_images(config(squares), str(squares))[0]) == 30
    write(tmp_path / "set" / "train", 1)
    write(tmp_path / "set" / "test", 2)
    assert len(open_test_images(config(squares), str(tmp_path / "set"))[0]) == 4


def test_progress_and_bad_images(squares, tmp_path):
    seen = []
    open_images(config(squares), lambda *told: seen.append(told))
    assert seen[-1] == ("looking at the images", 30, 30)
    write(tmp_path / "some", 2)
    for i in range(2):
        (tmp_path / "some" / "red" / f"{i}.png").write_bytes(b"none")
    with pytest.raises(DatasetError, match=r"red: no readable image of this class"):
        open_images(config(tmp_path / "some", skip_bad_images=True))
    write(tmp_path / "few", 1)
    with pytest.raises(DatasetError, match="no image is left to judge by"):
        open_images(config(tmp_path / "few"))


def test_augmentation():
    preprocess = ImageClassification(crop_size=32, resize_size=36, mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 0.5))
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    mc.manual_seed(0)
    drawn = [augmentation(preprocess)(picture).numpy() for _ in range(2)]
    assert drawn[0].shape == (3, 32, 32)
    assert not np.array_equal(*drawn)
    white = augmentation(preprocess)(Image.new("RGB", (60, 80), (255, 255, 255)))
    assert white[:, 5, 5].tolist() == [1, 2, 1]  # each channel by its own deviation
    wide = Image.fromarray(np.repeat(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], 120, 0).repeat(3, 2))
    rising = [np.diff(augmentation(preprocess, flip=False)(wide).numpy()[0, 16]).mean() > 0 for _ in range(20)]
    assert all(rising)
    flipped = [np.diff(augmentation(preprocess)(wide).numpy()[0, 16]).mean() > 0 for _ in range(20)]
    assert 3 < sum(flipped) < 17


# ---- weights and freezing


def save_weights(path, seed=5, **header):
    mc.manual_seed(seed)
    state = models.resnet20(num_classes=header.pop("num_classes", 10)).state_dict()
    from minicnn.weights import save_state_dict

    save_state_dict(state, path, {key: json.dumps(value) for key, value in header.items()} or None)
    return state


def test_a_head_stays_where_the_classes_are_the_same(squares, tmp_path):
    path = tmp_path / "w.safetensors"
    for classes, stays in ((["blue", "red"], True), (["red", "blue"], False), (None, False)):
        header = {} if classes is None else {"classes": classes}
        state = save_weights(path, num_classes=2, **header)
        tuning = prepare(config(squares, weights=str(path)), open_images(config(squares)))
        own = tuning.model.state_dict()
        assert np.array_equal(own["fc.weight"].numpy(), state["fc.weight"].numpy()) == stays
        assert np.array_equal(own["layer2.0.conv1.weight"].numpy(), state["layer2.0.conv1.weight"].numpy())
        assert tuning.trained == ["fc"]
        assert tuning.frozen == ["conv1", "bn1", "layer1", "layer2", "layer3"]


def test_what_a_file_says_of_its_preprocessing_is_kept(squares, tmp_path):
    path = tmp_path / "w.safetensors"
    settings = ImageClassification(crop_size=24, resize_size=30, mean=(0.1, 0.2, 0.3), interpolation="bicubic").settings
    save_weights(path, preprocess=settings)
    tuning = prepare(config(squares, weights=str(path)), open_images(config(squares)))
    assert tuning.preprocess.settings == settings
    larger = prepare(config(squares, weights=str(path), image_size=40), open_images(config(squares)))
    assert larger.preprocess.settings == {**settings, "crop_size": [40, 40], "resize_size": 50}
    assert larger.data.train[0][0].shape == (3, 40, 40)


def test_a_file_of_another_model(squares, tmp_path):
    from minicnn.weights import CheckpointError, save_state_dict

    path = tmp_path / "w.safetensors"
    save_state_dict(models.resnet20().state_dict(), path, {"model": "resnet18"})
    with pytest.raises(CheckpointError, match="holds weights of resnet18: --model resnet18"):
        prepare(config(squares, weights=str(path)), open_images(config(squares)))


def test_rates_and_groups(squares, tmp_path):
    save_weights(tmp_path / "w.safetensors")
    choices = {"weights": str(tmp_path / "w.safetensors"), "lr": 0.1, "schedule": "none"}
    data = open_images(config(squares))

    def rates(**more):
        return [round(g["lr"], 6) for g in prepare(config(squares, **choices, **more), data).optimizer.param_groups]

    assert rates() == [0.1]
    assert rates(unfreeze=2) == [0.049, 0.07, 0.1]
    assert rates(unfreeze=2, layer_decay=1.0) == [0.1, 0.1, 0.1]
    assert set(rates(unfreeze=99)) == {round(0.1 * 0.7**i, 6) for i in range(5)}  # bn1 learns as conv1 does
    choices["weights"] = "none"
    assert rates() == [0.1] * 6


def test_the_doctor_is_asked(squares, monkeypatch):
    from minicnn.training import finetuning

    found = [transfer.Finding("warning", "a", "drifts"), transfer.Finding("error", "b", "wrong")]
    monkeypatch.setattr(finetuning, "diagnose", lambda *args: found)
    with pytest.raises(FinetuneError, match=r"^wrong$"):
        prepare(config(squares), open_images(config(squares)))
    monkeypatch.setattr(finetuning, "diagnose", lambda *args: found[:1])
    with pytest.warns(UserWarning, match="drifts"):
        finetune(config(squares))


def test_a_last_batch_of_one_image_is_left_out(squares):
    data = open_images(config(squares))
    assert [len(prepare(config(squares, batch_size=n), data).trainer().train_loader) for n in (23, 8, 24)] == [1, 3, 1]
    assert len(prepare(config(squares), data).trainer().train_loader) == 1  # all of them: fewer than 32


def test_in_a_program(squares, tmp_path):
    trainer = finetune(config(squares, epochs=2), tmp_path / "run", workers=1)
    assert [record["epoch"] for record in trainer.history] == [1, 2]
    run = RunFolder.open(tmp_path / "run")
    assert run.read_config()[0] == dataclasses.replace(config(squares, epochs=2))
    alone = finetune(config(squares, epochs=2))
    for name, tensor in trainer.model.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), alone.model.state_dict()[name].numpy())


# ---- what it is built of


def test_a_trainer_of_a_head_saves_the_whole_model():
    mc.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    data = TensorDataset(mc.randn(8, 4), mc.arange(8) % 2)
    loader = DataLoader(data, 4)
    smooth = lambda logits, labels: F.cross_entropy(logits, labels, label_smoothing=0.5)  # noqa: E731
    optimizer = optim.SGD(model[1].parameters(), lr=0.1)
    before = model[1].weight.detach().clone()
    trainer = Trainer(model, optimizer, None, loader, loader, epochs=1, network=model[1], loss=smooth)
    expected = nn.Linear(4, 2)
    expected.load_state_dict(model[1].state_dict())
    own = optim.SGD(expected.parameters(), lr=0.1)
    trainer.fit()
    for x, y in loader:
        own.zero_grad()
        smooth(expected(x), y).backward()
        own.step()
    np.testing.assert_array_equal(model[1].weight.detach().numpy(), expected.weight.detach().numpy())
    assert not np.array_equal(before.numpy(), expected.weight.detach().numpy())
    assert list(trainer.state_dict()["model"]) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    plain = F.cross_entropy(expected(data.tensors[0]), data.tensors[1]).item()
    assert trainer.last_evaluation.loss == pytest.approx(plain, rel=1e-6)  # without smoothing


@pytest.mark.parametrize("name", ["resnet20", "googlenet", "squeezenet1_1"])
def test_restore_draws_nothing_and_gives_the_model_back(name):
    mc.manual_seed(0)
    model = models.get_model(name, num_classes=4).eval()
    x = mc.randn(1, 3, 64, 64)
    if name == "googlenet":
        model.transform_input = True  # as its published weights expect
    expected = model(x).detach().numpy()
    state = {f"module.{key}": value for key, value in model.state_dict().items()}
    before = mc.get_rng_state()
    assert classes_in(name, state) == 4
    with pytest.warns(UserWarning, match=r"took 'module\.' off"):
        copy = restore(name, state, 4)
    assert mc.get_rng_state() == before
    np.testing.assert_array_equal(copy.eval()(x).detach().numpy(), expected)
    assert classes_in(name, {"a": mc.ones(3)}) == 0
