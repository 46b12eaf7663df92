"""Counts against numbers found by hand, against a loop that counts as it computes, and against PyTorch's own counter."""

import itertools

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import minicnn as mc
from minicnn import nn
from minicnn.autograd.tracing import listening
from minicnn.nn import functional as F
from minicnn.profiler import Cost, backward_cost, forward_cost


class Listener:
    """The costs of each operation that runs, forward and backward."""

    def __init__(self):
        self.costs = []

    def operation(self, op, args, options, outputs):
        call = op, args, options, outputs
        self.costs.append((op.__name__, forward_cost(*call), backward_cost(*call)))

    def in_place(self, target, compute, name, sources, write):
        return write(target, compute, name, *sources)

    def read(self, tensor, how):
        pass

    opaque = read


def costs(function, *args):
    listener = Listener()
    with listening(listener):
        function(*args)
    return listener.costs


def cost(function, *args):
    """Of the only operation, or the one that took any memory."""
    (found,) = costs(function, *args)
    return found[1:]


def zeros(*shape, grad=True):
    return mc.zeros(*shape, requires_grad=grad)


FLOAT = 4  # bytes


@pytest.mark.parametrize(
    ("shape", "filters", "options"),
    [
        ((2, 3, 6, 5), (4, 3, 3, 3), {}),
        ((1, 4, 7, 7), (6, 2, 3, 2), {"stride": 2, "groups": 2}),
        ((2, 3, 6, 6), (3, 1, 3, 3), {"groups": 3, "dilation": 2}),
    ],
)
def test_a_convolution_counts_what_a_loop_counts(shape, filters, options):
    """(No padding: a loop would skip the zeros, and the count by definition does not.)"""
    x, weight, bias = zeros(*shape, grad=False), zeros(*filters), zeros(filters[0])
    out = F.conv2d(x, weight, bias, **options)
    n, c_out, h_out, w_out = out.shape
    counted = 0
    for _image, _out, _y, _x in itertools.product(range(n), range(c_out), range(h_out), range(w_out)):
        counted += 1  # the bias
        for _channel, _i, _j in itertools.product(*map(range, filters[1:])):
            counted += 2
    forward, backward = cost(lambda: F.conv2d(x, weight, bias, **options))
    assert forward.flops == counted
    assert backward.flops == counted  # the weight's gradient and the bias', and none for the images
    # x, weight, bias, out; backward: the incoming gradient, x again, and the two gradients
    assert forward.bytes == FLOAT * (x.numel() + weight.numel() + bias.numel() + out.numel())
    assert backward.bytes == FLOAT * (out.numel() + x.numel() + weight.numel() + bias.numel())


@pytest.mark.parametrize("padding", [0, 1])
def test_convolutions_and_products_count_what_pytorch_counts(padding):
    """(Without groups: PyTorch's counter forgets them on the way back.)"""

    def model(nn):
        conv = nn.Conv2d(4, 6, 3, padding=padding, bias=False)
        return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), nn.Linear(6 * 5 * 5, 7, bias=False))

    shape = (3, 4, 7 - 2 * padding, 7 - 2 * padding)
    with FlopCounterMode(display=False) as counter:
        model(torch.nn)(torch.zeros(shape)).sum().backward()
    counted = {name: f.flops + b.flops for name, f, b in costs(model(nn), mc.zeros(*shape))}
    # The first layer's forward pass and one gradient (the images want none); the second's, and two.
    assert counted["Conv2d"] + counted["Linear"] == counter.get_total_flops()


HAND = {
    # name: (function, operands' shapes, flops and numbers moved forward, flops and numbers moved backward)
    "linear": (F.linear, [(5, 3), (2, 3), (2,)], 60 + 10, 15 + 6 + 2 + 10, 120 + 10, 10 + 15 + 6 + 15 + 6 + 2),
    "matmul": (mc.matmul, [(4, 2, 3), (3, 5)], 240, 24 + 15 + 40, 480, 40 + 2 * (24 + 15)),
    "relu": (F.relu, [(3, 4)], 12, 24, 12, 36),
    "tanh": (mc.tanh, [(3, 4)], 12, 24, 36, 36),
    "sigmoid": (mc.sigmoid, [(3, 4)], 48, 24, 36, 36),
    "add": (mc.add, [(3, 4), (3, 4)], 12, 36, 0, 0),
    "add, broadcast": (mc.add, [(3, 4), (4,)], 12, 28, 12, 12 + 4),
    "sub": (mc.sub, [(3, 4), (3, 4)], 12, 36, 12, 24),
    "mul": (mc.mul, [(3, 4), (3, 4)], 12, 36, 24, 12 + 24 + 24),
    "softmax": (lambda x: F.softmax(x, 1), [(3, 4)], 60, 24, 48, 36),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), [(1, 2, 4, 6)], 48, 48 + 12, 48, 12 + 48),
    "avg_pool3d": (lambda x: F.avg_pool3d(x, 2), [(1, 2, 2, 2, 4)], 32, 32 + 4, 32, 4 + 32),
    "global average": (lambda x: F.adaptive_avg_pool2d(x, 1), [(1, 2, 3, 5)], 30, 30 + 2, 30, 2 + 30),
    # to twice the height and width: 2 taps for each element of (1, 1, 4, 3), then of (1, 1, 4, 6)
    "bilinear": (lambda x: F.interpolate(x, (4, 6), mode="bilinear"), [(1, 1, 2, 3)], 144, 30, 144, 30),
    "dropout": (lambda x: F.dropout(x, 0.5), [(3, 4)], 12, 24, 12, 24),
    "mean": (lambda x: x.mean(1), [(3, 4)], 12 + 3, 12 + 3, 3, None),
}  # fmt: skip


@pytest.mark.parametrize("name", HAND)
def test_by_hand(name):
    function, shapes, *expected = HAND[name]
    forward, backward = cost(function, *(zeros(*shape) for shape in shapes))
    forward_flops, forward_numbers, backward_flops, backward_numbers = expected
    assert forward == Cost(forward_flops, FLOAT * forward_numbers)
    assert backward == Cost(backward_flops, None if backward_numbers is None else FLOAT * backward_numbers)


def test_max_pooling_by_hand():
    x = zeros(1, 2, 4, 6)
    out = F.max_pool2d(x, 2)
    kept = out._node.ctx.saved[0].nbytes  # who won: what kind of number is the kernel's affair
    assert cost(lambda x: F.max_pool2d(x, 2), x) == (
        Cost(4 * 12, FLOAT * (48 + 12) + kept),
        Cost(12, FLOAT * (12 + 48) + kept),
    )


def test_batch_norm_by_hand():
    x, weight, bias = zeros(5, 3, 2, 2), zeros(3), zeros(3)
    forward, backward = cost(lambda: F.batch_norm(x, None, None, weight, bias, training=True))
    # x, weight, bias, out, and mean and 1 / deviation, which are kept
    assert forward == Cost(6 * 60, FLOAT * (60 + 3 + 3 + 60 + 3 + 3))
    assert backward == Cost(9 * 60, FLOAT * (60 + (60 + 3 + 3 + 3) + (60 + 3 + 3)))


def test_nothing_is_moved_by_a_view_and_all_of_it_by_a_copy():
    x = zeros(4, 6, grad=False)
    assert cost(lambda: x.reshape(8, 3)) == (Cost(0, 0), Cost(0, 0))
    assert cost(lambda: x.T) == (Cost(0, 0), Cost(0, 0))
    assert cost(x.T.reshape, (24,)) == (Cost(0, FLOAT * 48), Cost(0, 0))
    assert cost(zeros(4, 6).reshape, (24,))[1] == Cost(0, None)  # a view or a copy, as the gradient lies


def test_what_is_not_in_the_table_is_not_guessed():
    assert cost(lambda x: x.std(), zeros(5)) == (Cost(None, None), Cost(None, None))
    assert Cost(1, 2) + Cost(3, None) == Cost(4, None)


def test_no_gradient_wanted_costs_nothing():
    with mc.no_grad():
        assert cost(F.relu, zeros(3))[1] == Cost(0, 0)
    assert cost(F.relu, zeros(3, grad=False)) == (Cost(3, 24), Cost(0, 0))


@pytest.mark.parametrize(
    "chain",
    [
        [nn.Conv2d(2, 3, 3), nn.ReLU()],
        [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU()],
        [nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)],
        [nn.Flatten(), nn.Linear(128, 3), nn.ReLU()],
        [nn.Flatten(), nn.Linear(128, 3), nn.ReLU(), nn.Dropout(0.5)],
        [nn.Tanh(), nn.ReLU(), nn.Dropout(0.5)],
    ],
    ids=lambda chain: " ".join(type(layer).__name__ for layer in chain),
)
def test_a_fused_operation_computes_what_its_parts_do_and_moves_less(chain):
    model = nn.Sequential(*chain)
    compiled = mc.compile(model)
    x = zeros(2, 2, 8, 8)
    plain = costs(model, x)
    compiled(x)
    fused = costs(compiled, x)
    assert len(fused) < len(plain)
    # A bias that batch norm takes away again is neither added nor summed: one operation for each of 2 x 3 x 6 x 6 numbers.
    without_bias = 2 * 3 * 6 * 6 if any(isinstance(layer, nn.BatchNorm2d) for layer in chain) else 0
    for direction in (1, 2):
        before, after = (total([row[direction] for row in rows]) for rows in (plain, fused))
        assert after.flops == before.flops - without_bias
        assert after.bytes < before.bytes


def total(rows):
    """The sum of costs, bytes that are not known (of a view's gradient) left out."""
    return Cost(sum(row.flops for row in rows), sum(row.bytes or 0 for row in rows))
