"""Configurations: what is out of range is named, before anything happens."""

import dataclasses

import pytest

from minicnn.training import TrainConfig


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "epochs: expected at least 1, got 0"),
        ({"batch_size": -1}, "batch_size: expected at least 1"),
        ({"threads": 0}, "threads: expected at least 1"),
        ({"limit_test": 0}, "limit_test: expected at least 1"),
        ({"lr": 0.0}, "lr: expected a positive learning rate, got 0.0"),
        ({"lr": float("nan")}, "lr: expected a positive"),
        ({"momentum": 1.0}, "momentum: expected a number from 0 to below 1, got 1.0"),
        ({"weight_decay": -1e-4}, "weight_decay: expected 0 or more, got -0.0001"),
        ({"seed": -1}, r"seed: expected a number from 0 to 2\*\*64 - 1, got -1"),
        ({"seed": 1 << 64}, "seed: expected a number from 0"),
        ({"model": "resnet"}, "model 'resnet' is not known; expected one of lenet5, mlp, mnist_cnn, resnet20"),
        ({"optimizer": "lion"}, "optimizer 'lion' is not known; expected one of adam, adamw, sgd"),
        ({"schedule": "poly"}, "schedule 'poly' is not known; expected one of onecycle, cosine, step, none"),
    ],
)
def test_out_of_range(values, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 2.5}, "epochs: expected int, got 2.5"),
        ({"epochs": True}, "epochs: expected int, got True"),
        ({"augment": "no"}, "augment: expected bool, got 'no'"),
        ({"data": 5}, "data: expected str, got 5"),
        ({"data_root": 5}, "data_root: expected str or null, got 5"),
        ({"threads": "2"}, "threads: expected int or null, got '2'"),
        ({"model": ["mlp"]}, r"model: expected str, got \['mlp'\]"),
    ],
)
def test_wrong_types(values, message):
    with pytest.raises(TypeError, match=message):
        TrainConfig(**values)
    assert TrainConfig(lr=1, data_root=None).lr == 1


def test_dict_round_trip():
    config = TrainConfig(model="mlp", augment=True, lr=1 / 3)
    assert TrainConfig.from_dict(config.to_dict()) == config
    older = {key: value for key, value in config.to_dict().items() if key != "compile"}
    assert TrainConfig.from_dict(older) == dataclasses.replace(config, compile=False)  # nothing was compiled then
    with pytest.raises(ValueError, match="unknown configuration a, b"):
        TrainConfig.from_dict({"b": 1, "a": 2})
