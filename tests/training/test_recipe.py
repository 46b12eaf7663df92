"""From a configuration to a trainer: every choice has its effect, and a run in Python is a run on the command line."""

import dataclasses
import gzip
import json
import time

import numpy as np
import pytest

import minicnn as mc
from minicnn.data import DatasetError
from minicnn.training import (
    Callback,
    RunFolder,
    TrainConfig,
    TrainingStopped,
    build_trainer,
    load_checkpoint,
    open_data,
    save_checkpoint,
    train,
)
from minicnn.training.recipe import build_optimizer, build_scheduler, claim_threads, resume_run, start_run

SMALL = TrainConfig(model="mlp", epochs=1, limit_train=192, limit_test=64, threads=1)


def test_train_with_and_without_a_folder(tmp_path):
    trainer = train(SMALL)
    again = train(SMALL, tmp_path / "run")
    run = RunFolder.open(tmp_path / "run")
    model = mc.models.mlp()
    run.load_weights(model, "mlp")
    for name, tensor in model.state_dict().items():
        for other in (trainer, again):
            np.testing.assert_array_equal(tensor.numpy(), other.model.state_dict()[name].numpy())
    assert load_checkpoint(run.checkpoint)["config"] == SMALL.to_dict()


def test_compiled_and_not_agree_and_each_repeats_to_the_bit():
    """The CNN, several steps of two epochs with an evaluation between, where the folded weights go stale."""
    # SGD: Adam would blow up the rounding in gradients that are nearly zero.
    base = dataclasses.replace(SMALL, model="mnist_cnn", epochs=2, optimizer="sgd", lr=0.01, batch_size=50)
    results = {}
    for compiled in (True, False):
        first, again = (train(dataclasses.replace(base, compile=compiled)) for _ in range(2))
        assert isinstance(first.network, mc.compiler.CompiledModule) == compiled
        assert {**first.history[-1], "seconds": 0} == {**again.history[-1], "seconds": 0}
        states = [trainer.model.state_dict() for trainer in (first, again)]
        for name, tensor in states[0].items():
            assert tensor.numpy().tobytes() == states[1][name].numpy().tobytes(), name
        results[compiled] = first.history, states[0]
    assert results[True][1].keys() == results[False][1].keys() == mc.models.mnist_cnn().state_dict().keys()
    # float32 over 8 steps. Where rounding decides otherwise which pixel ReLU lets through or pooling takes, the gradient of
    # the filters jumps by a thousandth: each of the two was seen as far from float64 as they are from each other.
    for ours, theirs in zip(results[True][0], results[False][0], strict=True):
        for name in ("train_loss", "test_loss"):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3)
    for name, tensor in results[True][1].items():
        np.testing.assert_allclose(tensor.numpy(), results[False][1][name].numpy(), rtol=1e-3, atol=2e-3, err_msg=name)


def test_a_run_from_before_there_was_a_choice_goes_on_as_it_began(tmp_path):
    """Its files do not say ``compile``: it was not."""
    config = claim_threads(dataclasses.replace(SMALL, compile=False, epochs=2, batch_size=64))
    data = open_data(config)
    whole = train(config)

    class Stop(Callback):
        def on_step(self, trainer):
            if trainer.step == 4:
                trainer.request_stop()

    run = RunFolder.create(tmp_path / "run")
    first = build_trainer(config, data, [Stop()])
    start_run(first, run, config, data)
    with pytest.raises(TrainingStopped):
        first.fit()
    contents = json.loads(run.config.read_text())
    del contents["config"]["compile"]
    run.config.write_text(json.dumps(contents))
    state = load_checkpoint(run.checkpoint)
    del state["config"]["compile"]
    save_checkpoint(run.checkpoint, state)

    config, _ = run.read_config()
    assert not config.compile
    second = build_trainer(config, data)
    resume_run(second, run, config, data)
    second.fit()
    for name, tensor in second.model.state_dict().items():
        assert tensor.numpy().tobytes() == whole.model.state_dict()[name].numpy().tobytes(), name


def test_the_seed_decides_weights_and_order():
    data = open_data(SMALL)

    def begin(seed):
        trainer = build_trainer(dataclasses.replace(SMALL, seed=seed), data)
        weights = trainer.model.state_dict()["layers.1.weight"].numpy()
        _, labels = next(iter(trainer.train_loader))
        return weights, labels.numpy()

    (w0, y0), (w0_again, y0_again), (w1, y1) = begin(0), begin(0), begin(1)
    np.testing.assert_array_equal(w0, w0_again)
    np.testing.assert_array_equal(y0, y0_again)
    assert not np.array_equal(w0, w1)
    assert not np.array_equal(y0, y1)


def test_limits_normalisation_and_augmentation():
    plain = open_data(SMALL)
    assert (len(plain.train), len(plain.test)) == (192, 64)
    assert (round(plain.mean, 5), round(plain.std, 5)) == (0.13112, 0.30868)  # of all 8,300, whatever the limit
    image = plain.test[3][0].numpy()[0]
    np.testing.assert_allclose(image, (plain.test.images[3] / 255 - 0.13112) / 0.30868, atol=1e-4)
    other = open_data(SMALL, mean=0.5, std=0.25)
    np.testing.assert_allclose(other.test[3][0].numpy()[0], (plain.test.images[3] / 255 - 0.5) / 0.25, atol=1e-6)
    augmented = open_data(dataclasses.replace(SMALL, augment=True))
    assert augmented.train.transform is not None
    assert augmented.test.transform is None


def test_images_of_another_size_are_refused(tmp_path):
    for part in ("train", "t10k"):
        images = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 32, 0, 0, 0, 32]) + bytes(1024) + bytes([9]) * 1024
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2, 0, 1])))
    with pytest.raises(DatasetError, match="images grey, of 32 x 32 pixels; the model mlp takes grey ones of 28 x 28"):
        open_data(dataclasses.replace(SMALL, data=str(tmp_path)))


def test_optimisers_get_their_settings():
    model = mc.nn.Linear(2, 2)
    config = TrainConfig(lr=0.25, weight_decay=0.125, momentum=0.75)
    for name, cls in (("adam", mc.optim.Adam), ("adamw", mc.optim.AdamW), ("sgd", mc.optim.SGD)):
        optimizer = build_optimizer(dataclasses.replace(config, optimizer=name), model)
        assert type(optimizer) is cls
        group = optimizer.param_groups[0]
        assert (group["lr"], group["weight_decay"]) == (0.25, 0.125)
        assert group.get("momentum", 0.75) == 0.75


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("none", [1.0] * 6),
        ("step", [1.0, 1.0, 0.1, 0.1, 0.01, 0.01]),
        ("cosine", [0.5 + 0.5 * np.cos(np.pi * i / 6) for i in range(6)]),
        # From 1/25 up to 1 at 0.3 * 6 - 1 steps, then down to 1/250,000 at the last step (Smith and Topin; torch's numbers)
        ("onecycle", [0.04] + [4e-6 + (1 - 4e-6) * (1 + np.cos(np.pi * (i - 0.8) / 4.2)) / 2 for i in range(1, 6)]),
    ],
)
def test_schedules_reach_over_the_run(schedule, expected):
    optimizer = mc.optim.SGD(mc.nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = build_scheduler(TrainConfig(lr=1.0, schedule=schedule), optimizer, steps=6)
    rates = []
    for _ in range(6):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
    np.testing.assert_allclose(rates, expected, rtol=1e-9, atol=1e-12)


def test_the_number_of_threads_is_part_of_a_run():
    before = mc.get_num_threads()
    assert claim_threads(TrainConfig()).threads == before
    assert claim_threads(TrainConfig(threads=3)).threads == 3 == mc.get_num_threads()


def test_a_checkpoint_is_never_much_older_than_it_may_be(make_trainer, tmp_path, monkeypatch):
    from minicnn.training import Checkpointer

    hours = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(hours)))
    seen = []

    class Look(Callback):
        def on_step(self, trainer):
            seen.append(trainer.step - load_checkpoint(tmp_path / "c")["trainer"]["step"])

    keeper = Checkpointer(tmp_path / "c", tmp_path / "w", every_seconds=2.5)
    make_trainer(epochs=1, n=16 * 12, callbacks=[keeper, Look()]).fit()
    assert max(seen) == 2  # each step is a look at the clock, and a second
    assert seen.count(0) >= 3
