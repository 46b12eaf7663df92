"""Devices: the CPU, and errors for what is not there."""

from __future__ import annotations

import pytest
import torch

import minicnn as mc
from minicnn.device import require_cpu


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1"])
def test_as_in_torch(name):
    ours, theirs = mc.device(name), torch.device(name)
    assert repr(ours) == repr(theirs)
    assert str(ours) == str(theirs)
    assert ours.type == theirs.type
    assert ours.index == theirs.index
    assert mc.device(ours) == ours
    assert len({ours, mc.device(name)}) == 1


def test_equality():
    assert mc.device("cuda", 1) == mc.device("cuda:1")
    assert mc.device("cuda") != mc.device("cpu")
    assert mc.zeros(1).device == mc.device("cpu")
    assert mc.device("cpu") == "cpu"
    assert mc.device("cpu") != 3


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "cpu:-1"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r"is not known; expected one of cpu, cuda"):
        mc.device(name)


def test_device_agnostic_code_stays_on_the_cpu():
    device = mc.device("cuda" if mc.cuda.is_available() else "cpu")
    assert device.type == "cpu"
    assert mc.cuda.device_count() == 0
    model = mc.nn.Linear(2, 1).to(device)
    assert model(mc.ones(1, 2, device=device)).device == device


def test_what_is_not_there_is_an_error():
    with pytest.raises(mc.DeviceUnavailable, match=r"device 'cuda:0' is not there.*is_available\(\)"):
        require_cpu("cuda:0")
    assert require_cpu(None) == require_cpu("cpu") == mc.device("cpu")
