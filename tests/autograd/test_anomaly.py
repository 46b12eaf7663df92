"""detect_anomaly names the line that made the first NaN."""

from __future__ import annotations

import re

import numpy as np
import pytest

import minicnn as mc


def test_a_nan_in_the_forward_pass():
    x = mc.tensor([-1.0, 1.0], requires_grad=True)
    y = x * 2
    with mc.autograd.detect_anomaly(), pytest.raises(RuntimeError) as error:
        y.sqrt()  # this line
    where = r"Sqrt made the first NaN in its forward pass.*test_anomaly.py:\d+, in test_a_nan_in_the_forward_pass"
    assert re.search(where + r": y.sqrt\(\)  # this line", str(error.value))


def test_a_nan_in_the_backward_pass():
    x = mc.tensor([0.0, 1.0], requires_grad=True)
    with mc.autograd.detect_anomaly():
        y = x.sqrt()  # the slope is infinite
        z = (y * 0.0).sum()
        with pytest.raises(RuntimeError) as error:
            z.backward()
    assert re.search(
        r"Sqrt made the first NaN in its backward pass.*test_anomaly.py:\d+.*y = x.sqrt\(\)", str(error.value)
    )


def test_a_nan_in_the_backward_pass_of_single_numbers():
    x = mc.tensor(0.0, requires_grad=True)
    with mc.autograd.detect_anomaly():
        y = x.sqrt() * 0.0
        with pytest.raises(RuntimeError, match=r"Sqrt made the first NaN in its backward pass"):
            y.backward()


def test_a_forward_outside_was_not_recorded():
    x = mc.tensor([0.0], requires_grad=True)
    y = (x.sqrt() * 0.0).sum()
    with mc.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"run the forward pass inside detect_anomaly"):
        y.backward()


def test_nans_that_came_in_are_not_blamed():
    x = mc.tensor([float("nan"), 1.0], requires_grad=True)
    with mc.autograd.detect_anomaly():
        y = (x * 2).exp().sum()
        y.backward()
    assert mc.isnan(x.grad).tolist() == [True, False]


def test_switched_off():
    x = mc.tensor([-1.0], requires_grad=True)
    with mc.autograd.detect_anomaly():
        with mc.autograd.detect_anomaly(check_nan=False):
            x.sqrt()
        with pytest.raises(RuntimeError):
            x.sqrt()
    x.sqrt().sum().backward()


def test_inside_layers_the_line_is_the_users():
    layer = mc.nn.Linear(1, 1)
    with mc.no_grad():
        layer.weight.fill_(float("inf"))
    with mc.autograd.detect_anomaly(), pytest.raises(RuntimeError) as error:
        layer(mc.zeros(1, 1))
    assert re.search(r"Linear made .*test_anomaly.py:\d+.*layer\(mc.zeros\(1, 1\)\)", str(error.value))


def test_custom_functions():
    class Bad(mc.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return mc.from_numpy(np.full(1, np.nan, np.float32))

    x = mc.ones(1, requires_grad=True)
    with mc.autograd.detect_anomaly():
        y = Bad.apply(x).sum()
        with pytest.raises(RuntimeError, match=r"Bad made the first NaN in its backward pass.*test_anomaly.py"):
            y.backward()


@mc.autograd.detect_anomaly()
def decorated(x):
    return x.log()


def test_as_a_decorator():
    with pytest.raises(RuntimeError, match=r"Log made the first NaN.*in decorated"):
        decorated(mc.tensor([-1.0]))
    assert decorated(mc.tensor([1.0])).item() == 0
    assert mc.isnan(mc.tensor([-1.0]).log()).all()


def test_by_a_flag():
    x = mc.tensor([-1.0], requires_grad=True)
    with mc.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="made the first NaN"):
        x.sqrt()
    x.sqrt()
    mode = mc.autograd.set_detect_anomaly(True)
    try:
        with pytest.raises(RuntimeError, match="made the first NaN"):
            x.sqrt()
        with mc.autograd.set_detect_anomaly(False):
            x.sqrt()
    finally:
        mode.__exit__(None, None, None)
    x.sqrt()
