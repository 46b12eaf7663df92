"""A loss that is no number: where it began, and what is left on the disk."""

import math

import numpy as np
import pytest

import minicnn as mc
from minicnn.training import Callback, Checkpointer, NonFiniteLossError, load_checkpoint
from minicnn.training.nan_guard import first_non_finite, non_finite_state
from minicnn.weights import load_state_dict_file


class Poison(Callback):
    """Puts a value into a parameter after a step."""

    def __init__(self, step, name, value):
        self.step, self.name, self.value = step, name, value

    def on_step(self, trainer):
        if trainer.step == self.step:
            with mc.no_grad():
                dict(trainer.model.named_parameters())[self.name].fill_(self.value)


@pytest.mark.parametrize(
    ("name", "value", "origin"),
    [
        ("0.weight", math.nan, "parameter '0.weight'"),
        ("1.bias", math.inf, "parameter '1.bias'"),
        ("6.weight", 3e38, r"the output of 6 \(Linear\)"),  # finite itself, but not what comes out
    ],
)
@pytest.mark.parametrize("compiled", [False, True])  # a plan knows no layers; the eager pass that looks again does
def test_training_stops_and_names_step_and_layer(make_trainer, name, value, origin, compiled):
    trainer = make_trainer(callbacks=[Poison(9, name, value)], compiled=compiled)
    message = rf"the loss is (nan|inf) at step 10 \(epoch 2, batch 3 of 7\).* is in {origin}"
    with pytest.raises(NonFiniteLossError, match=message) as caught:
        trainer.fit()
    assert caught.value.step == 10


def test_bad_images_are_named(make_trainer):
    trainer = make_trainer(epochs=1)
    trainer.train_loader.dataset.tensors[0].numpy()[5] = np.nan
    with pytest.raises(NonFiniteLossError, match="is in the input images"):
        trainer.fit()


def test_the_last_good_checkpoint_stays(make_trainer, tmp_path):
    """The step that spoilt the weights is not saved, though its own loss was still a number."""
    keeper = Checkpointer(tmp_path / "c", tmp_path / "w", every_steps=1)
    trainer = make_trainer(callbacks=[Poison(9, "6.bias", math.nan), keeper])
    with pytest.raises(NonFiniteLossError):
        trainer.fit()
    assert load_checkpoint(tmp_path / "c")["trainer"]["step"] == 8
    assert all(np.isfinite(t.numpy()).all() for t in load_state_dict_file(tmp_path / "w").values())


def test_weights_spoilt_by_the_very_last_step_are_noticed(make_trainer):
    trainer = make_trainer(epochs=1, callbacks=[Poison(7, "6.bias", math.nan)])
    with pytest.raises(NonFiniteLossError, match=r"step 7 \(evaluation after epoch 1\).*parameter or buffer '6.bias'"):
        trainer.fit()


def test_looking_again_drops_the_same_units_and_leaves_no_trace():
    mc.manual_seed(0)
    model = mc.nn.Sequential(mc.nn.Linear(4, 64), mc.nn.Dropout(0.5), mc.nn.Identity())
    images = mc.ones(1, 4)
    state = mc.random.default_generator.get_state()
    kept = model(images).detach().numpy() != 0
    after = mc.random.default_generator.get_state()
    seen = []
    handle = model[2].register_forward_hook(lambda module, args, output: seen.append(output.detach().numpy() != 0))
    assert first_non_finite(model, images, state).startswith("the loss function")
    handle.remove()
    np.testing.assert_array_equal(seen[0], kept)
    assert mc.random.default_generator.get_state() == after
    assert not model[0]._forward_hooks
    assert not model[0]._forward_pre_hooks


def test_buffers_are_put_back():
    model = mc.nn.Sequential(mc.nn.Conv2d(1, 2, 1), mc.nn.BatchNorm2d(2))
    before = {name: buffer.numpy().copy() for name, buffer in model.named_buffers()}
    images = mc.tensor(np.random.default_rng(0).normal(size=(2, 1, 3, 3)).astype(np.float32))
    first_non_finite(model, images, mc.random.default_generator.get_state())
    for name, buffer in model.named_buffers():
        np.testing.assert_array_equal(buffer.numpy(), before[name])


def test_non_finite_state_looks_at_buffers_too():
    model = mc.nn.BatchNorm2d(2)
    assert non_finite_state(model) is None
    with mc.no_grad():
        model.running_var.fill_(math.inf)
    assert non_finite_state(model) == "running_var"
