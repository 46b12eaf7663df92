"""Each pattern: that it is found, and that what it computes is what the operations compute one by one."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minicnn as mc
from minicnn import nn
from minicnn.nn import functional as F
from tests.compiler.test_guard import assert_equal, step


class Then(nn.Module):
    """``layers`` and then a function of the result and the input."""

    def __init__(self, function, *layers):
        super().__init__()
        self.layers, self.function = nn.Sequential(*layers), function

    def forward(self, x):
        return self.function(self.layers(x), x)


def conv(channels=20, **options):
    return nn.Conv2d(channels, channels, 3, padding=1, **options)


def flat(inputs=20 * 6 * 6):
    return nn.Flatten(), nn.Linear(inputs, 12)


def add_relu(y, x):
    return F.relu(y + x)


def relu_added(y, x):
    return F.relu(x + y)


# name -> model, what it is in training, what in evaluation without gradients
CASES = {
    "conv": (lambda: nn.Sequential(conv(), nn.ReLU()), ["Conv2d + ReLU"], ["Conv2d + ReLU"]),
    "conv, norm": (
        lambda: nn.Sequential(conv(), nn.BatchNorm2d(20)),
        ["bias + BatchNormTrain"],
        ["Conv2d + BatchNormEval"],
    ),
    "conv, norm, relu": (
        lambda: nn.Sequential(conv(bias=False), nn.BatchNorm2d(20), nn.ReLU()),
        ["BatchNormTrain + ReLU"],
        ["Conv2d + BatchNormEval + ReLU"],
    ),
    "few channels": (
        lambda: nn.Sequential(nn.Conv2d(20, 3, 3), nn.BatchNorm2d(3), nn.ReLU()),
        ["bias + BatchNormTrain + ReLU"],
        ["Conv2d + BatchNormEval + ReLU"],
    ),
    "no scale": (
        lambda: nn.Sequential(conv(groups=2), nn.BatchNorm2d(20, affine=False), nn.ReLU()),
        ["bias + BatchNormTrain + ReLU"],
        ["Conv2d + BatchNormEval + ReLU"],
    ),
    "pool": (
        lambda: nn.Sequential(conv(), nn.BatchNorm2d(20), nn.ReLU(), nn.MaxPool2d(2)),
        ["Conv2d + BatchNormTrain + ReLU + MaxPool2d"],
        ["Conv2d + BatchNormEval + ReLU"],
    ),
    "pool without conv": (
        lambda: nn.Sequential(nn.BatchNorm2d(20), nn.ReLU(), nn.MaxPool2d(2)),
        ["BatchNormTrain + ReLU + MaxPool2d"],
        [],
    ),
    "residual": (
        lambda: Then(add_relu, conv(), nn.BatchNorm2d(20)),
        ["bias + BatchNormTrain + Add + ReLU"],
        ["Conv2d + BatchNormEval + Add + ReLU"],
    ),
    "residual, the other way round": (
        lambda: Then(relu_added, conv(), nn.BatchNorm2d(20)),
        ["bias + BatchNormTrain + Add + ReLU"],
        ["Conv2d + BatchNormEval + Add + ReLU"],
    ),
    "residual without norm": (lambda: Then(add_relu, conv()), ["Add + ReLU"], ["Conv2d + Add + ReLU"]),
    "residual without relu": (
        lambda: Then(lambda y, x: y + x, conv(), nn.BatchNorm2d(20)),
        ["bias + BatchNormTrain"],
        ["Conv2d + BatchNormEval + Add"],
    ),
    "residual alone": (lambda: Then(lambda y, x: x + y, conv()), [], ["Conv2d + Add"]),
    "residual, depthwise": (
        lambda: Then(add_relu, conv(groups=20), nn.BatchNorm2d(20)),
        ["bias + BatchNormTrain + Add + ReLU"],
        ["Conv2d + BatchNormEval + Add + ReLU"],
    ),
    "added to itself": (
        lambda: Then(lambda y, x: F.relu(y + y), conv(), nn.BatchNorm2d(20)),
        ["bias + BatchNormTrain", "Add + ReLU"],
        ["Conv2d + BatchNormEval", "Add + ReLU"],
    ),
    "linear, norm": (lambda: nn.Sequential(*flat(), nn.BatchNorm1d(12)), ["bias + BatchNormTrain"], []),
    "linear": (lambda: nn.Sequential(*flat(), nn.ReLU()), ["Linear + ReLU"], ["Linear + ReLU"]),
    "dropout": (lambda: nn.Sequential(conv(), nn.Tanh(), nn.ReLU(), nn.Dropout(0.4)), ["ReLU + Dropout"], []),
    "linear, dropout": (
        lambda: nn.Sequential(*flat(), nn.ReLU(), nn.Dropout(0.4)),
        ["Linear + ReLU + Dropout"],
        ["Linear + ReLU"],
    ),
}

# What looks like a pattern and is none.
NONE = {
    "a result used twice": lambda: Then(lambda y, x: F.relu(y) + y, conv(bias=False), nn.BatchNorm2d(20)),
    "a convolution used twice": lambda: Then(lambda y, x: F.batch_norm(y, None, None, training=True) + y, conv()),
    "a result returned": lambda: Then(lambda y, x: (F.relu(y) + 0.5) * y, nn.BatchNorm2d(20)),
    "broadcast": lambda: Then(lambda y, x: F.relu(y + x[:1]), nn.BatchNorm2d(20)),
    "a number added": lambda: Then(lambda y, x: F.relu(y + 1.0), nn.BatchNorm2d(20)),
}


def images(dtype):
    return mc.randn(3, 20, 6, 6, dtype=dtype, generator=mc.Generator().manual_seed(2))


def trained(model):
    """Running statistics that are not the initial ones."""
    for seed in range(3):
        model(mc.randn(3, 20, 6, 6, generator=mc.Generator().manual_seed(seed)) * 2 + 1)
    return model


def fused(compiled):
    return [" + ".join(c.fused_from) for c in compiled.plan.calls if getattr(c, "fused_from", ())]


# Some ten roundings in another order, through a division by a deviation.
TOLERANCE = {mc.float64: 1e-11, mc.float32: 1e-4}


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("order", ["row-major", "channels-last"])
@pytest.mark.parametrize("name", CASES)
def test_patterns(name, order, dtype):
    make, in_training, in_evaluation = CASES[name]
    mc.manual_seed(1)
    eager = trained(make()).to(dtype)
    compiled = mc.compile(copy.deepcopy(eager))
    x = images(dtype)
    if order == "channels-last":
        x = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)

    def compare():
        for wants_gradient in (True, False):
            results = []
            for model in (compiled, eager):
                mc.manual_seed(7)
                results.append(step(model, x.detach().requires_grad_(wants_gradient)))
            assert_equal(*results, TOLERANCE[dtype])
            assert_equal([b.numpy() for b in compiled.buffers()], [b.numpy() for b in eager.buffers()], 1e-5)

    compare()
    assert fused(compiled) == in_training
    compiled.eval(), eager.eval()
    compare()  # with gradients nothing is folded
    assert not compiled.plan.folded
    with mc.no_grad():
        assert_equal([compiled(x).numpy()], [eager(x).numpy()], TOLERANCE[dtype])
    assert fused(compiled) == in_evaluation


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_pattern(name):
    eager = NONE[name]().double()
    compiled = mc.compile(copy.deepcopy(eager))
    x = images(mc.float64).requires_grad_()
    assert_equal(step(compiled, x), step(eager, x))
    assert fused(compiled) == []


def test_filters_that_are_computed_are_not_folded():
    class Hyper(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("mean", mc.zeros(3, dtype=mc.float64))
            self.register_buffer("var", mc.ones(3, dtype=mc.float64))

        def forward(self, x):
            return F.batch_norm(F.conv2d(x, x[:, :, :3, :3] * 2), self.mean, self.var)

    eager = Hyper().eval()
    compiled = mc.compile(eager)
    with mc.no_grad():
        for seed in range(3):
            x = mc.randn(3, 20, 6, 6, dtype=mc.float64, generator=mc.Generator().manual_seed(seed))
            assert_equal([compiled(x).numpy()], [eager(x).numpy()])
    assert fused(compiled) == []


def test_a_part_without_gradients_inside_a_part_with_them_is_not_folded():
    class Half(nn.Module):
        def __init__(self):
            super().__init__()
            self.frozen, self.norm, self.last = conv(), nn.BatchNorm2d(20), conv()

        def forward(self, x):
            with mc.no_grad():
                y = F.relu(self.norm(self.frozen(x)))
            return self.last(y)

    eager = Half().double().eval()
    compiled = mc.compile(copy.deepcopy(eager))
    for _ in range(2):
        assert_equal(step(compiled, images(mc.float64)), step(eager, images(mc.float64)))


class Between(nn.Module):
    """Effects between the operations of a chain."""

    def __init__(self, function):
        super().__init__()
        self.conv, self.norm, self.function = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2), function
        self.register_buffer("offset", mc.zeros(3, 2, 4, 4))

    def forward(self, x):
        return self.function(self, x)


def shared_norm(m, x):
    return F.relu(m.norm(x) + m.norm(x * 3 + 1))


def added_before_a_write(m, x):
    y = x + m.offset
    m.offset.add_(1.0)
    return F.relu(y)


def a_view_added_before_a_write(m, x):
    y = x.flatten(1) + m.offset.reshape(3, 32)
    m.offset.add_(1.0)
    return F.relu(y)


def statistics_looked_at(m, x):
    y = m.norm(x)
    statistics = m.norm.running_mean * 1
    return F.relu(y) + statistics.reshape(1, 2, 1, 1)


def statistics_changed(m, x):
    y = m.conv(x)
    m.norm.running_mean.add_(1.0)
    return F.relu(m.norm(y))


EFFECTS = shared_norm, added_before_a_write, a_view_added_before_a_write, statistics_looked_at, statistics_changed


@pytest.mark.parametrize("function", EFFECTS)
@pytest.mark.parametrize("training", [True, False])
def test_effects_keep_their_order(function, training):
    mc.manual_seed(0)
    eager = Between(function).double().train(training)
    compiled = mc.compile(copy.deepcopy(eager))
    for i in range(3):
        x = mc.randn(3, 2, 4, 4, dtype=mc.float64) * (i + 1) + i
        with mc.set_grad_enabled(training):
            assert_equal([compiled(x).detach().numpy()], [eager(x).detach().numpy()])
        assert compiled.plan is not None
        for ours, theirs in zip(compiled.buffers(), eager.buffers(), strict=True):
            assert_equal([ours.numpy()], [theirs.numpy()])


def test_a_count_in_between_is_no_obstacle():
    def counted(m, x):
        y = m.norm(x)
        m.offset.add_(1.0)
        return F.relu(y)

    compiled = mc.compile(Between(counted))
    compiled(mc.randn(3, 2, 4, 4))
    assert [" + ".join(call.fused_from) for call in compiled.plan.calls if hasattr(call, "fused_from")] == [
        "BatchNormTrain + ReLU"
    ]


def test_a_bias_in_front_of_batch_norm_moves_the_running_mean_alone():
    mc.manual_seed(0)
    eager = nn.Sequential(conv(), nn.BatchNorm2d(20), nn.ReLU()).double()
    model = copy.deepcopy(eager)
    for run in (eager, mc.compile(model)):
        run(images(mc.float64)).square().sum().backward()
    assert not model[0].bias.grad.numpy().any()  # eager: rounding errors
    assert_equal([model[1].running_mean.numpy()], [eager[1].running_mean.numpy()])


@pytest.mark.parametrize("frozen", ["bias", "weight"])
def test_a_bias_in_front_of_batch_norm_without_a_gradient(frozen):
    model = nn.Sequential(conv(), nn.BatchNorm2d(20), nn.ReLU())
    getattr(model[0], frozen).requires_grad_(False)
    compiled = mc.compile(model)
    compiled(images(mc.float32)).square().sum().backward()
    assert (model[0].bias.grad is None) == (frozen == "bias")
    assert (model[0].weight.grad is None) == (frozen == "weight")


def test_both_sides_of_an_addition_are_folded():
    """Where a stage of a ResNet begins, both ways end in a convolution and a batch norm: one of them gets the addition."""

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = nn.Conv2d(4, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6)
            self.around = nn.Sequential(nn.Conv2d(4, 6, 1, 2, bias=False), nn.BatchNorm2d(6))
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x):
            shortcut = self.around(x)
            return self.relu(self.bn(self.conv(x)) + shortcut)

    block = Block()
    block(mc.randn(8, 4, 6, 6))  # running statistics of its own
    block.eval()
    x = mc.randn(2, 4, 6, 6)
    compiled = mc.compile(block)
    with mc.no_grad():
        np.testing.assert_allclose(
            compiled(x).numpy(), block(x).numpy(), atol=1e-5
        )  # folded filters are rounded once more
    assert [call.name for call in compiled.plan.calls] == ["ConvEpilogue", "ConvEpilogue"]
