"""What ``print(compiled.plan)`` says, against numbers found by hand."""

from __future__ import annotations

import itertools

import pytest

import minicnn as mc
from minicnn import nn
from minicnn.compiler.show import kept_bytes
from minicnn.nn import functional as F
from minicnn.ops.prepared import PreparedConv2d


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.conv2, self.bn2 = nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + x)


def test_training():
    pooled = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)
    compiled = mc.compile(nn.Sequential(*pooled, nn.Flatten(), nn.Linear(8 * 4 * 4, 10)))
    compiled(mc.randn(5, 1, 8, 8))
    # Images 5 * 64 numbers, the convolution's result 5 * 8 * 64, two vectors of batch norm, pooling's record of one byte for
    # each of 5 * 8 * 16 windows, and what the linear layer got. Unfused ReLU keeps its result, and the record is int32.
    fused = 4 * (5 * 64 + 5 * 8 * 64 + 2 * 8 + 5 * 128) + 5 * 8 * 16
    unfused = fused + 4 * 5 * 8 * 64 + 3 * 5 * 8 * 16
    assert str(compiled.plan).splitlines() == [
        "Sequential: 6 operations traced, 3 run",
        "operation                     fused from                                  result        bytes",
        "add_(1)                                                                   ()",
        "Conv2dBatchNormReLUMaxPool2d  Conv2d + BatchNormTrain + ReLU + MaxPool2d  (5, 8, 4, 4)  2,560",
        "Reshape                                                                   (5, 128)      2,560",
        "Linear                                                                    (5, 10)         200",
        f"kept for the backward pass: {fused:,} bytes; unfused {unfused:,}",
    ]


def test_evaluation_shows_memory_going_round():
    compiled = mc.compile(nn.Sequential(Block(), Block(), Block()).eval())
    x = mc.randn(4, 32, 32, 32)
    with mc.no_grad():
        compiled(x)
    rows = compiled.plan.rows()
    assert [row[0] for row in rows] == ["PreparedConv2d"] * 6
    letters = [row[4] for row in rows]
    assert set(letters) == {"a", "b", "c"}  # a block's input, and the two it is at work on
    assert all(one != other for one, other in itertools.pairwise(letters))
    size = 4 * 4 * 32 * 32 * 32
    assert str(compiled.plan).endswith(f"large results: {6 * size:,} bytes, in {3 * size:,} bytes of memory")


def test_a_first_run_that_fails_leaves_nothing_half_noted(monkeypatch):
    compiled = mc.compile(Block().eval())
    x = mc.randn(4, 32, 32, 32)
    with mc.no_grad():
        compiled(x)
        plan = compiled.plan.folded_anew()  # one that has not run

        def fail(*args, **options):
            raise MemoryError

        with monkeypatch.context() as patch:
            patch.setattr(PreparedConv2d, "apply", fail)
            with pytest.raises(MemoryError):
                plan.run([x])
        assert len(str(plan).splitlines()) == 4  # no memory to show yet
        plan.run([x])
    assert [row[4] for row in plan.rows()] == [row[4] for row in compiled.plan.rows()]
    assert "large results" in str(plan)


def test_what_a_graph_keeps():
    weight = mc.ones(3, 3, requires_grad=True)
    x = mc.ones(2, 3)
    y = (x @ weight).exp()
    assert kept_bytes([y], []) == 4 * (2 * 3 + 2 * 3)  # x and the result of exp; the weight only for x's gradient
    x.requires_grad_()
    y = (x @ weight).exp()
    assert kept_bytes([y, y], []) == 4 * (2 * 3 + 3 * 3 + 2 * 3)
    assert kept_bytes([y], [weight]) == 4 * (2 * 3 + 2 * 3)
    assert kept_bytes([y.detach()], []) == 0
