"""A steady step allocates nothing large; memory that anybody holds is never taken."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest

import minicnn as mc
from minicnn import models, nn
from minicnn.nn import functional as F
from minicnn_kernels import workspace

CHANNELS = 32


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS)
        self.conv2, self.bn2 = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False), nn.BatchNorm2d(CHANNELS)

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + x)


def residual():
    mc.manual_seed(0)
    head = nn.Flatten(), nn.Linear(CHANNELS * 16, 10)
    return nn.Sequential(nn.Conv2d(1, CHANNELS, 3, padding=1), Block(), Block(), nn.MaxPool2d(7), *head)


def mnist_cnn():
    mc.manual_seed(0)
    return models.get_model("mnist_cnn", dropout=0.0)


MODELS = {"mnist_cnn": mnist_cnn, "residual": residual, "lenet5": lambda: models.get_model("lenet5")}


def batch(seed, n=32):
    return mc.randn(n, 1, 28, 28, generator=mc.Generator().manual_seed(seed)), mc.arange(n) % 10


@pytest.mark.parametrize("name", ["mnist_cnn", "residual"])  # (what LeNet keeps is all small)
def test_a_steady_training_step_allocates_nothing_large(name, monkeypatch):
    model = MODELS[name]()
    compiled = mc.compile(model)
    optimizer = mc.optim.Adam(model.parameters())

    def train(seed):
        x, target = batches[seed]
        optimizer.zero_grad()
        F.cross_entropy(compiled(x), target).backward()
        optimizer.step()

    batches = [batch(seed) for seed in range(6)]
    for seed in range(3):
        train(seed)
    made = []
    new_block = workspace._new_block
    monkeypatch.setattr(workspace, "_new_block", lambda size: made.append(size) or new_block(size))
    results = sum(int(row[3].replace(",", "") or 0) for row in compiled.plan.rows())
    assert results > 1e6  # what the step would ask for, the forward pass alone
    tracemalloc.start()  # NumPy tells it of all its memory
    try:
        train(3)  # the tracer's own first time
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        train(4)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made == []
    assert after - before < 1 << 16
    # At no time, all together. Blocks below 256 KiB are left to the C library: a convolution's scratch for each thread, what
    # a loss computes in between.
    assert peak - before < 8 * workspace.SMALLEST


def test_an_evaluation_needs_few_blocks():
    """Each value dies after its last use, and the next takes its memory: of equal sizes, two at a time are enough."""
    workspace.clear()
    layers = [nn.Conv2d(32, 32, 3, padding=1, bias=False) for _ in range(6)]
    compiled = mc.compile(nn.Sequential(*layers))
    x = mc.randn(8, 32, 28, 28)
    with mc.no_grad():
        compiled(x)
        gc.collect()
        workspace.clear()
        result = compiled(x)
    size = result.numpy().nbytes
    blocks = workspace._shelf.get(workspace._size_class(size), [])
    assert len(blocks) <= 2  # besides the result itself: the value before, and the input's other memory order


class Held:
    """Things a user may keep of a step, and the numbers they had."""

    def __init__(self, compiled, seed):
        x, target = batch(seed)
        x.requires_grad_()
        compiled.zero_grad()
        y = compiled(x)
        loss = F.cross_entropy(y, target, reduction="none")
        seen = []
        y.register_hook(lambda grad: seen.append(grad))
        loss.sum().backward(retain_graph=True)
        detached = y.detach()
        self.things = {
            "result": detached,
            "view of a view": detached[1:].T[2:, ::2],
            "array": detached.numpy()[::3],
            "loss": loss.detach(),
            "input's gradient": x.grad,
            "view of a gradient": x.grad[3:, 0].permute(2, 0, 1),
            "gradient in a hook": seen[0],
            **{f"gradient {i}": p.grad for i, p in enumerate(compiled.parameters())},
        }
        self.before = {name: np.array(thing) for name, thing in self.things.items()}
        self.again = lambda: (x.grad.zero_(), loss.sum().backward())

    def check(self):
        for name, thing in self.things.items():
            np.testing.assert_array_equal(np.array(thing), self.before[name], err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_what_the_user_holds_keeps_its_numbers(name):
    compiled = mc.compile(MODELS[name]())
    held = []
    for seed in range(5):
        held.append(Held(compiled, seed))
        if seed == 2:
            del held[0].things["result"]  # its views stay
            gc.collect()
        for each in held:
            each.check()


@pytest.mark.parametrize("name", MODELS)
def test_a_graph_that_is_kept_alive_still_has_what_it_saved(name):
    """Backward through an old step, after others have come and gone (the parameters have not changed)."""
    model = MODELS[name]()
    compiled = mc.compile(model)
    old = Held(compiled, 0)
    for seed in range(1, 4):
        Held(compiled, seed)
    gc.collect()
    model.zero_grad()
    old.again()
    old.check()  # bitwise: the same graph, the same threads
    for i, p in enumerate(model.parameters()):
        np.testing.assert_array_equal(p.grad.numpy(), old.before[f"gradient {i}"])


def test_an_activation_that_is_returned_is_never_overwritten():
    class Inside(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.block = nn.Conv2d(1, CHANNELS, 3, padding=1), Block()

        def forward(self, x):
            first = self.conv(x)
            return first, self.block(first), first[:, :3]

    compiled = mc.compile(Inside()).eval()
    with mc.no_grad():
        compiled(batch(9)[0])
        kept = [compiled(batch(seed)[0]) for seed in range(4)]
        copies = [[t.clone() for t in each] for each in kept]
        kept = [each[2:] if i % 2 else each for i, each in enumerate(kept)]  # of some, the view alone
        gc.collect()
        for seed in range(4):
            compiled(batch(seed + 10)[0])
    for each, copied in zip(kept, copies, strict=True):
        for a, b in zip(each, copied[-len(each) :], strict=True):
            assert mc.equal(a, b)
