"""The loop: it learns, counts right, stops when asked, and goes on as if it had never stopped."""

import numpy as np
import pytest

import minicnn as mc
from minicnn.data import DataLoader, TensorDataset
from minicnn.training import Callback, TrainingStopped, evaluate, load_checkpoint, save_checkpoint
from minicnn.training.trainer import Running


def weights(trainer):
    return {name: tensor.numpy().copy() for name, tensor in trainer.model.state_dict().items()}


def assert_same_bits(a, b):
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].tobytes() == b[name].tobytes(), name


class StopAt(Callback):
    def __init__(self, step):
        self.step = step

    def on_step(self, trainer):
        if trainer.step == self.step:
            trainer.request_stop()


class Recorder(Callback):
    def __init__(self):
        self.events = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda trainer: self.events.append((name, trainer.epoch, trainer.step))
        return super().__getattribute__(name)


def test_it_learns_and_records(make_trainer):
    trainer = make_trainer(epochs=6, n=200)
    history = trainer.fit()
    assert [record["epoch"] for record in history] == [1, 2, 3, 4, 5, 6]
    assert [record["step"] for record in history] == [13 * e for e in range(1, 7)]
    assert history[-1]["test_accuracy"] > 0.9
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert trainer.last_evaluation.accuracy == history[-1]["test_accuracy"]


def test_the_epochs_mean_loss_weighs_examples_not_batches(make_trainer):
    trainer = make_trainer(epochs=1, n=20, batch_size=16)  # a batch of 16 and one of 4
    losses = []

    class Losses(Callback):
        def on_step(self, trainer):
            losses.append((trainer.running.loss_sum, trainer.running.count))

    trainer.callbacks.append(Losses())
    trainer.fit()
    assert [count for _, count in losses] == [16, 20]
    assert trainer.history[0]["train_loss"] == losses[-1][0] / 20


def test_the_rate_on_record_is_that_of_the_epochs_last_step(make_trainer):
    rates = []

    class Rates(Callback):
        def on_step(self, trainer):
            rates.append(trainer.learning_rate)  # the next step's

    trainer = make_trainer(epochs=2, n=32, callbacks=[Rates()])
    first = trainer.learning_rate
    history = trainer.fit()
    assert [record["lr"] for record in history] == [[first, *rates][1], [first, *rates][3]]
    assert history[1]["lr"] < 1e-6 < rates[3]  # one step past its end, OneCycle rises again


def test_events_come_in_order(make_trainer):
    recorder = Recorder()
    make_trainer(epochs=2, n=32, callbacks=[recorder]).fit()
    assert recorder.events == [
        ("on_train_begin", 0, 0),
        *(("on_step", 0, 1), ("on_step", 0, 2), ("on_epoch_end", 1, 2)),
        *(("on_step", 1, 3), ("on_step", 1, 4), ("on_epoch_end", 2, 4)),
        ("on_train_end", 2, 4),
    ]


def test_a_stop_is_told_and_raised_after_the_step(make_trainer):
    recorder = Recorder()
    trainer = make_trainer(callbacks=[StopAt(3), recorder])
    with pytest.raises(TrainingStopped):
        trainer.fit()
    assert recorder.events[-2:] == [("on_step", 0, 3), ("on_stop", 0, 3)]


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "SGD"])
@pytest.mark.parametrize(("schedule", "compiled"), [(True, False), (False, False), (True, True)])
def test_stopping_anywhere_and_resuming_gives_the_same_bits(make_trainer, tmp_path, optimizer, schedule, compiled):
    options = {"optimizer": optimizer, "schedule": schedule, "compiled": compiled}
    options["n"] = 50  # 4 steps an epoch, the last of 2 images
    whole = make_trainer(**options)
    history = whole.fit()
    for step in range(1, whole.step):
        first = make_trainer(**options, callbacks=[StopAt(step)])
        with pytest.raises(TrainingStopped):
            first.fit()
        save_checkpoint(tmp_path / "c", first.state_dict())
        mc.manual_seed(999)  # nothing may depend on what the process did before
        mc.rand(7)
        second = make_trainer(**options, seed=step)
        second.load_state_dict(load_checkpoint(tmp_path / "c"))
        resumed = second.fit()
        assert_same_bits(weights(second), weights(whole))
        for a, b in zip(resumed, history, strict=True):
            assert {**a, "seconds": 0} == {**b, "seconds": 0}


def test_the_last_steps_of_an_epoch_can_be_resumed_before_its_evaluation(make_trainer):
    """A state saved after an epoch's last step: nothing is left to train, and it is evaluated."""
    states = {}

    class Save(Callback):
        def on_step(self, trainer):
            states[trainer.step] = trainer.state_dict()

    whole = make_trainer(epochs=1, n=32, callbacks=[Save()])
    whole.fit()
    resumed = make_trainer(epochs=1, n=32, seed=5)
    resumed.load_state_dict(states[2])
    resumed.fit()
    assert resumed.step == 2
    assert resumed.history[0]["train_loss"] == whole.history[0]["train_loss"]


def test_a_checkpoint_does_not_know_whether_the_model_was_compiled(make_trainer):
    compiled, plain = make_trainer(compiled=True), make_trainer()
    assert compiled.network.plan is None
    compiled.fit()
    assert compiled.network.plan is not None
    assert compiled.model is compiled.network._orig_mod
    assert plain.network is plain.model
    assert list(compiled.state_dict()["model"]) == list(plain.state_dict()["model"])
    plain.load_state_dict(compiled.state_dict())
    assert_same_bits(weights(plain), weights(compiled))


def test_a_compiled_evaluation_sees_the_weights_of_the_moment(make_trainer):
    """Batch norm is folded into the filters for an evaluation, and training goes on with them unfolded."""
    compiled, plain = make_trainer(compiled=True), make_trainer()
    for trainer in (compiled, plain):
        trainer.fit()
    before = weights(compiled)
    seen = compiled.evaluate()
    assert compiled.network.plan.folded
    assert_same_bits(weights(compiled), before)
    plain.model.load_state_dict(compiled.model.state_dict())
    assert seen.loss == pytest.approx(plain.evaluate().loss, rel=1e-5)  # float32, folded and not
    assert seen.loss == compiled.history[-1]["test_loss"]


def test_evaluation_does_not_change_what_training_draws(make_trainer):
    trainer = make_trainer(epochs=1, n=32)
    before = mc.random.default_generator.get_state()
    evaluate(trainer.model, trainer.test_loader)
    assert mc.random.default_generator.get_state() == before


def test_evaluate_against_counting(make_trainer):
    trainer = make_trainer(epochs=2)
    trainer.fit()
    model = trainer.model
    result = evaluate(model, trainer.test_loader)
    assert model.training
    images, labels = (t.numpy() for t in trainer.test_loader.dataset.tensors)
    model.eval()
    with mc.no_grad():
        logits = model(mc.tensor(images)).numpy().astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(50), labels]
    assert result.loss == pytest.approx(losses.mean(), rel=1e-5)  # float32 against float64
    np.testing.assert_array_equal(result.predictions, logits.argmax(1))
    np.testing.assert_array_equal(result.labels, labels)
    assert result.accuracy == np.mean(logits.argmax(1) == labels)
    assert result.confusion.sum() == 50


def test_no_batches_is_an_error(make_trainer):
    with pytest.raises(ValueError, match="nothing to evaluate"):
        evaluate(mc.nn.Identity(), [])
    empty = DataLoader(TensorDataset(mc.zeros(3, 2), mc.zeros(3, dtype=mc.int64)), 4, drop_last=True)
    trainer = make_trainer()
    with pytest.raises(ValueError, match="nothing to train on"):
        type(trainer)(trainer.model, trainer.optimizer, None, empty, empty, epochs=1)


def test_running_starts_at_zero():
    assert (Running().loss, Running().accuracy) == (0.0, 0.0)
