"""Comparing our modules with PyTorch's: copy a state dict across, run both, compare everything."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch

import minicnn as mc

# float64: sums of at most a few thousand terms, in another order than torch's. float32 the same, at its epsilon.
TOLERANCE = {np.float64: {"rtol": 1e-10, "atol": 1e-11}, np.float32: {"rtol": 2e-4, "atol": 2e-5}}


def to_ours(value: torch.Tensor) -> mc.Tensor:
    """A copy of a torch tensor."""
    return mc.from_numpy(value.detach().numpy().copy())


def to_torch(value: mc.Tensor) -> torch.Tensor:
    """A copy of one of our tensors."""
    return torch.from_numpy(np.array(value.detach().numpy(), order="C"))


def copy_into_ours(ours: mc.nn.Module, theirs: torch.nn.Module) -> None:
    ours.load_state_dict(OrderedDict((name, to_ours(value)) for name, value in theirs.state_dict().items()))


def copy_into_torch(theirs: torch.nn.Module, ours: mc.nn.Module) -> None:
    theirs.load_state_dict(OrderedDict((name, to_torch(value)) for name, value in ours.state_dict().items()))


def assert_close(actual: mc.Tensor | None, expected: torch.Tensor | None, dtype: type, what: str) -> None:
    """Equal up to the dtype's rounding, with dtype and shape equal; None only to None."""
    assert (actual is None) == (expected is None), what
    if actual is None or expected is None:
        return
    expected_array = expected.detach().numpy()
    assert actual.detach().numpy().dtype == expected_array.dtype, what
    assert tuple(actual.shape) == expected_array.shape, what
    np.testing.assert_allclose(actual.detach().numpy(), expected_array, **TOLERANCE[dtype], err_msg=what)


def assert_same_state(ours: mc.nn.Module, theirs: torch.nn.Module, dtype: type) -> None:
    """The same keys in the same order, and close values."""
    expected = theirs.state_dict()
    actual = ours.state_dict()
    assert list(actual) == list(expected)
    for name, value in expected.items():
        assert_close(actual[name], value, dtype, name)


def assert_same_behaviour(
    ours: mc.nn.Module,
    theirs: torch.nn.Module,
    shape: tuple[int, ...],
    dtype: type = np.float64,
    steps: int = 3,
    seed: int = 0,
) -> None:
    """Outputs, input and parameter gradients for random cotangents, and buffers, over a few steps and then in eval mode.

    Gradients add up over the steps, as they do without zero_grad.
    """
    rng = np.random.default_rng(seed)
    for step in range(steps + 1):
        if step == steps:
            ours.eval()
            theirs.eval()
        array = rng.standard_normal(shape).astype(dtype)
        x, x_theirs = mc.from_numpy(array.copy()).requires_grad_(), torch.from_numpy(array.copy()).requires_grad_()
        y, y_theirs = ours(x), theirs(x_theirs)
        assert_close(y, y_theirs, dtype, f"output of step {step}")
        cotangent = rng.standard_normal(tuple(y_theirs.shape)).astype(dtype)
        y.backward(mc.from_numpy(cotangent.copy()))
        y_theirs.backward(torch.from_numpy(cotangent.copy()))
        assert_close(x.grad, x_theirs.grad, dtype, f"input gradient of step {step}")
        gradients = dict(theirs.named_parameters())
        for name, parameter in ours.named_parameters():
            assert_close(parameter.grad, gradients[name].grad, dtype, f"gradient of {name} in step {step}")
        assert_same_state(ours, theirs, dtype)


def assert_same_layer(make: Any, shape: tuple[int, ...], dtype: type = np.float64, **options: Any) -> None:
    """``make(nn)`` under both frameworks: the same repr, names and state, and then the same behaviour."""
    torch.manual_seed(0)
    mc.manual_seed(0)
    ours, theirs = make(mc.nn), make(torch.nn)
    if dtype == np.float64:
        ours, theirs = ours.double(), theirs.double()
    assert repr(ours) == repr(theirs)
    for kind in ("named_parameters", "named_buffers", "named_modules"):
        assert [n for n, _ in getattr(ours, kind)()] == [n for n, _ in getattr(theirs, kind)()]
    copy_into_ours(ours, theirs)
    assert_same_state(ours, theirs, dtype)
    assert_same_behaviour(ours, theirs, shape, dtype, **options)
