"""Whose time it is: with a clock that only the operations turn, every second has an owner that is known."""

import contextlib

import pytest

import minicnn as mc
from minicnn import nn
from minicnn.autograd import Function, Op
from minicnn.profiler import record
from minicnn.profiler.record import Recorder


@pytest.fixture
def now(monkeypatch):
    """The clock's hand, as a list of one number; only the code under test turns it."""
    hand = [0.0]
    monkeypatch.setattr(record, "clock", lambda: hand[0])
    return hand


@pytest.fixture
def slow(now):
    """slow(ahead, back) -> a function of a tensor that takes so long, and so does its gradient."""

    class Slow(Op):
        @staticmethod
        def forward(ctx, x, *, ahead, back):
            ctx.back = back
            now[0] += ahead
            return x * 1

        @staticmethod
        def backward(ctx, grad_out):
            now[0] += ctx.back
            return grad_out * 1

    return lambda ahead, back: lambda x: Slow.apply(x, ahead=ahead, back=back)


class Layer(nn.Module):
    def __init__(self, *steps):
        super().__init__()
        self.steps = steps

    def forward(self, x):
        for step in self.steps:
            x = step(x)
        return x


class Around(nn.Module):
    """Two layers, with operations of its own between them and after them."""

    def __init__(self, first, between, second, after):
        super().__init__()
        self.first, self.second = first, second
        self.between, self.after = between, after

    def forward(self, x):
        return self.after(self.second(self.between(self.first(x))))


def recorded(model, x, backward=True):
    recorder = Recorder(model)
    with recorder.forward():
        y = model(x)
    with recorder.backward() if backward else contextlib.nullcontext():
        if backward:
            y.backward(mc.ones_like(y))
    return [(e.layer, e.kind, e.operations, e.forward, e.backward) for e in recorder.entries]


def test_layers_have_their_operations_and_others_stand_alone(slow):
    inner = Around(Layer(slow(1, 10), slow(2, 20)), slow(4, 40), Layer(slow(8, 80)), slow(16, 160))
    model = Around(Layer(slow(32, 320)), slow(64, 640), inner, slow(128, 1280))
    assert recorded(model, mc.ones(3, requires_grad=True)) == [
        ("first", "Layer", 1, 32, 320),
        ("", "Slow", 1, 64, 640),
        ("second.first", "Layer", 2, 3, 30),
        ("second", "Slow", 1, 4, 40),
        ("second.second", "Layer", 1, 8, 80),
        ("second", "Slow", 1, 16, 160),
        ("", "Slow", 1, 128, 1280),
    ]


def test_python_between_two_layers_belongs_to_the_second(slow, now):
    def think(x):
        now[0] += 100
        return x

    model = nn.Sequential(Layer(slow(1, 10), think), Layer(think, slow(2, 20), think), nn.Identity())
    assert recorded(model, mc.ones(3, requires_grad=True)) == [
        ("0", "Layer", 1, 101, 10),
        ("1", "Layer", 1, 202, 20),
        ("2", "Identity", 0, 0, 0),
    ]


def test_a_model_that_is_one_layer_is_shown_by_operations(slow):
    assert recorded(Layer(slow(1, 10), slow(2, 20)), mc.ones(3, requires_grad=True)) == [
        ("", "Slow", 1, 1, 10),
        ("", "Slow", 1, 2, 20),
    ]


def test_a_layer_used_twice_has_two_rows(slow):
    layer = Layer(slow(1, 10))
    model = nn.Sequential(layer, nn.Sequential(layer))
    assert recorded(model, mc.ones(3, requires_grad=True)) == [("0", "Layer", 1, 1, 10)] * 2


def test_a_custom_function_is_timed_though_nobody_can_look_into_it(slow, now):
    class Own(Function):
        @staticmethod
        def forward(ctx, x):
            now[0] += 3
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            now[0] += 30
            return grad.clone()

    model = nn.Sequential(Layer(slow(1, 10)), Layer(Own.apply), Layer(slow(2, 20)))
    recorder, x = Recorder(model, count=True), mc.ones(3, requires_grad=True)
    with recorder.forward():
        y = model(x)
    with recorder.backward():
        y.backward(mc.ones_like(y))
    assert [(e.forward, e.backward) for e in recorder.entries] == [(1, 10), (3, 30), (2, 20)]
    assert recorder.entries[1].forward_cost.flops is None


def test_branches_and_in_place_operations(slow):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right = Layer(slow(1, 10)), Layer(slow(2, 20))

        def forward(self, x):
            y = self.left(x) + self.right(x)
            y += 1
            return y

    rows = recorded(Block(), mc.ones(3, requires_grad=True))
    assert [row[:3] for row in rows[:3]] == [("left", "Layer", 1), ("right", "Layer", 1), ("", "Add", 1)]
    assert [row[3:] for row in rows[:2]] == [(1, 10), (2, 20)]


def test_nothing_is_left_behind(slow):
    model = nn.Sequential(Layer(slow(1, 10)), nn.Sequential(nn.Linear(3, 3)))
    recorded(model, mc.ones(2, 3))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    with pytest.raises(ValueError), Recorder(model).forward():
        model(mc.ones(2, 4))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert mc.autograd.tracing.state.tracer is None


def test_the_operations_of_a_plan(slow, now):
    """(The clock stands still for the real operations.) A compiled part of a model is not touched by hooks."""
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    compiled = mc.compile(model)
    x = mc.ones(5, 3)
    compiled(x)
    assert [row[:3] for row in recorded(compiled, x)] == [("", "LinearReLU", 1), ("", "Linear", 1)]
    whole = nn.Sequential(nn.Linear(3, 3), compiled)
    whole(x)
    assert [row[:2] for row in recorded(whole, x)] == [("0", "Linear"), ("1", "LinearReLU"), ("1", "Linear")]
