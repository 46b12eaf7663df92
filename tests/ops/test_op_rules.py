"""What every operation has to keep to, checked on all of them at once.

``ctx.save`` gets inputs, outputs or fresh arrays, never a view of an input (the version check would not see it), and a
backward changes neither the gradient it is given nor what was kept.
"""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import minicnn as mc
from minicnn.autograd import Function, Op
from minicnn.autograd.op import Context
from minicnn.ops.elementwise.table import UnaryOp

F = mc.nn.functional


def leaf(*shape):
    return (mc.rand(*shape, dtype=mc.float64) + 0.5).requires_grad_()


def recurrent(kind):
    layer = getattr(mc.nn, kind)(3, 2).double()
    return layer(leaf(4, 2, 3))[0]


CALLS = {
    "Attention": lambda: F.scaled_dot_product_attention(leaf(2, 3, 4), leaf(2, 5, 4), leaf(2, 5, 4)),
    "RNN": lambda: recurrent("RNN"),
    "LSTM": lambda: recurrent("LSTM"),
    "GRU": lambda: recurrent("GRU"),
    "Conv1d": lambda: F.conv1d(leaf(2, 3, 6), leaf(4, 3, 3), leaf(4), padding=1),
    "Conv3d": lambda: F.conv3d(leaf(1, 2, 4, 5, 4), leaf(3, 2, 3, 3, 3), leaf(3), padding=1),
    "ConvTranspose1d": lambda: F.conv_transpose1d(leaf(2, 3, 4), leaf(3, 2, 3), leaf(2), stride=2),
    "ConvTranspose2d": lambda: F.conv_transpose2d(leaf(2, 3, 4, 3), leaf(3, 2, 3, 3), leaf(2), stride=2),
    "ConvTranspose3d": lambda: F.conv_transpose3d(leaf(1, 2, 3, 3, 3), leaf(2, 2, 2, 2, 2), leaf(2), stride=2),
    "Solve": lambda: mc.linalg.solve(leaf(3, 3) + 4 * mc.eye(3, dtype=mc.float64), leaf(3, 2)),
    "SingularValues": lambda: mc.linalg.svdvals(leaf(3, 4)),
    "Add": lambda: leaf(2, 3) + leaf(3),
    "Sub": lambda: leaf(2, 3) - leaf(3),
    "Mul": lambda: leaf(2, 3) * leaf(3),
    "Div": lambda: leaf(2, 3) / leaf(3),
    "Pow": lambda: leaf(2, 3) ** leaf(3) + leaf(2, 3) ** 2 + leaf(3) ** 1.5,
    "Remainder": lambda: leaf(2, 3) % leaf(3),
    "Maximum": lambda: mc.maximum(leaf(2, 3), leaf(3)),
    "Minimum": lambda: mc.minimum(leaf(2, 3), leaf(3)),
    "Where": lambda: mc.where(mc.rand(2, 3) > 0.5, leaf(2, 3), leaf(3)),
    "Clamp": lambda: leaf(2, 3).clamp(0.7, 1.2) + leaf(2, 3).clamp(leaf(3), leaf(3)),
    "Neg": lambda: -leaf(3),
    "RoundedDiv": lambda: mc.div(leaf(2, 3), leaf(3), rounding_mode="floor"),
    "Fmod": lambda: mc.fmod(leaf(2, 3), leaf(3)),
    "Lerp": lambda: mc.lerp(leaf(2, 3), leaf(3), leaf(2, 1)) + mc.lerp(leaf(2, 3), leaf(3), 0.3),
    "Fmax": lambda: mc.fmax(leaf(2, 3), leaf(3)),
    "Fmin": lambda: mc.fmin(leaf(2, 3), leaf(3)),
    "Drawn": lambda: mc.normal(leaf(2, 3), 1.0) + mc.bernoulli(leaf(3) - 0.5),
    "Frexp": lambda: mc.frexp(leaf(2, 3)).mantissa,
    "NanToNum": lambda: mc.nan_to_num(leaf(3).log()),
    "Round": lambda: leaf(3).round(decimals=1),
    "Logit": lambda: mc.logit(leaf(3) - 0.5) + mc.logit(leaf(3), eps=0.1),
    "Atan2": lambda: mc.atan2(leaf(2, 3), leaf(3)),
    "Hypot": lambda: mc.hypot(leaf(2, 3), leaf(3)),
    "Copysign": lambda: mc.copysign(leaf(2, 3), leaf(3)),
    "Logaddexp": lambda: mc.logaddexp(leaf(2, 3), leaf(3)),
    "Logaddexp2": lambda: mc.logaddexp2(leaf(2, 3), leaf(3)),
    "Xlogy": lambda: mc.xlogy(leaf(2, 3), leaf(3)),
    "ReLU": lambda: leaf(3).relu(),
    "Hardtanh": lambda: F.hardtanh(leaf(3)),
    "LeakyReLU": lambda: F.leaky_relu(leaf(3)),
    "PReLU": lambda: F.prelu(leaf(2, 3), leaf(3)),
    "Hardsigmoid": lambda: F.hardsigmoid(leaf(3)),
    "Hardswish": lambda: F.hardswish(leaf(3)),
    "Threshold": lambda: F.threshold(leaf(3), 1, 2),
    "Hardshrink": lambda: F.hardshrink(leaf(3)),
    "Softshrink": lambda: F.softshrink(leaf(3)),
    "SiLU": lambda: F.silu(leaf(3)),
    "GELU": lambda: F.gelu(leaf(3)),
    "GELUTanh": lambda: F.gelu(leaf(3), approximate="tanh"),
    "ELU": lambda: F.elu(leaf(3)) + F.selu(leaf(3)),
    "Softplus": lambda: F.softplus(leaf(3)),
    "LogSigmoid": lambda: F.logsigmoid(leaf(3)),
    "Mish": lambda: F.mish(leaf(3)),
    "Softmax": lambda: leaf(2, 3).softmax(1),
    "LogSoftmax": lambda: leaf(2, 3).log_softmax(1),
    "Cast": lambda: leaf(3).float(),
    "Sum": lambda: leaf(2, 3).sum(1),
    "Mean": lambda: leaf(2, 3).mean((0, 1)),
    "Prod": lambda: leaf(2, 3).prod(1) + leaf(3).prod(),
    "LogSumExp": lambda: leaf(2, 3).logsumexp(1) + leaf(2, 3).logsumexp((0, 1), True)[0],
    "CumSum": lambda: leaf(2, 3).cumsum(1),
    "CumProd": lambda: leaf(2, 3).cumprod(1) + (leaf(2, 3) * mc.tensor([1.0, 0.0, 1.0])).cumprod(1),
    "CumExtremum": lambda: leaf(2, 3).cummax(1).values + leaf(2, 3).cummin(0).values,
    "LogCumSumExp": lambda: leaf(2, 3).logcumsumexp(1),
    "VectorNorm": lambda: sum(leaf(2, 3).norm(p, 1) for p in (0, 0.5, 1, 1.5, 2, 3, float("inf"), -float("inf"))),
    "Var": lambda: leaf(2, 3).var(1),
    "Std": lambda: leaf(2, 3).std(),
    "Extremum": lambda: leaf(2, 3).amax(1) + leaf(2, 3).min() + leaf(2, 3).amin((), True).sum(),
    "TakeAlong": lambda: leaf(2, 3).max(1).values + leaf(2, 3).min(1, True).values.squeeze(1),
    "Reshape": lambda: leaf(2, 3).reshape(6),
    "Permute": lambda: leaf(2, 3).T,
    "Expand": lambda: leaf(1, 3).expand(4, 3),
    "Diagonal": lambda: leaf(2, 3).diagonal(1) + leaf(4, 2, 3).diagonal(0, 1, 2)[0],
    "Windows": lambda: leaf(7).unfold(0, 3, 2) + leaf(2, 5).unfold(1, 3, 1)[0],
    "AsStrided": lambda: leaf(6).as_strided((2, 3), (1, 2)) + leaf(2, 6)[1].as_strided((2, 3), (0, 1), 1),
    "Split": lambda: mc.stack(leaf(4, 3).split(2)).sum(0) + leaf(4, 3).tensor_split((3, 1))[2][1:],
    "Unbind": lambda: leaf(2, 3).unbind(1)[1] + leaf(2, 3).unbind(1)[0],
    "BlockDiag": lambda: mc.block_diag(leaf(2, 1), leaf(3)),
    "Flip": lambda: leaf(2, 3).flip(0) + leaf(2, 3).rot90(2),
    "Roll": lambda: leaf(2, 3).roll(1) + leaf(2, 3).roll((1, -1), (0, 1)),
    "Triangle": lambda: leaf(3, 3).tril() + leaf(2, 3, 3).triu(1),
    "DiagEmbed": lambda: leaf(3).diag(1) + leaf(2, 3).diag_embed(-1, 0, 2)[:, 1],
    "Cat": lambda: mc.cat([leaf(2, 3), leaf(1, 3)]),
    "Clone": lambda: leaf(2, 3).clone(),
    "Pad": lambda: F.pad(leaf(2, 3), (1, -1, 0, 2)),
    "PadFromInput": lambda: F.pad(leaf(2, 3), (1, 2), "reflect") + F.pad(leaf(2, 3), (1, 2), "replicate"),
    "GetItem": lambda: leaf(2, 3)[:, 1] + leaf(2)[0],
    "Gather": lambda: leaf(4, 3)[[0, 0, 2]] + leaf(4, 3)[:, mc.tensor([0, 1, 1])][1] + leaf(3)[mc.ones(3) > 0],
    "Scatter": lambda: leaf(2, 3).scatter(1, mc.tensor([[0, 0], [2, 1]]), leaf(2, 2)),
    "ScatterReduce": lambda: sum(
        leaf(2, 3).scatter_reduce(1, mc.tensor([[0, 0], [2, 1]]), leaf(2, 2), reduce, include_self=reduce != "amax")
        for reduce in ("sum", "prod", "mean", "amax", "amin")
    ),
    "IndexAdd": lambda: leaf(2, 3).index_add(1, mc.tensor([0, 0]), leaf(2, 2), alpha=2),
    "IndexPutAdd": lambda: leaf(4, 3).index_put((mc.tensor([0, 0]), None), leaf(2, 3), accumulate=True),
    "MaskedScatter": lambda: leaf(2, 3).masked_scatter(mc.tensor([True, False, True]), leaf(5)),
    "SetItem": lambda: assigned(),
    "Overwrite": lambda: (leaf(3) * 1).copy_(leaf(3)),
    "MatMul": lambda: leaf(2, 3) @ leaf(3, 4) + leaf(5, 2, 3) @ leaf(3, 4) + leaf(3) @ leaf(3),
    "Linear": lambda: F.linear(leaf(2, 3), leaf(4, 3), leaf(4)) + F.linear(leaf(2, 2, 3), leaf(4, 3)),
    "Conv2d": lambda: F.conv2d(leaf(2, 4, 5, 5), leaf(4, 2, 3, 3), leaf(4), padding=1, groups=2),
    "Unfold": lambda: F.unfold(leaf(2, 2, 4, 4), 2),
    "Fold": lambda: F.fold(leaf(2, 8, 9), 4, 2),
    "MaxPool1d": lambda: F.max_pool1d(leaf(2, 3, 4), 2),
    "MaxPool2d": lambda: F.max_pool2d(leaf(2, 3, 4, 4), 2) + F.max_pool2d(leaf(2, 3, 4, 4), 3, 2, 1),
    "MaxPool3d": lambda: F.max_pool3d(leaf(2, 3, 4, 4, 4), 2),
    "MaxPoolIndices": lambda: F.max_pool2d(leaf(2, 3, 4, 4), 2, return_indices=True)[0],
    "MaxUnpool": lambda: F.max_unpool2d(leaf(2, 3, 2, 2), mc.arange(4).reshape(2, 2).expand(2, 3, 2, 2), 2),
    "AvgPool": lambda: F.avg_pool2d(leaf(2, 3, 4, 4), 2) + F.adaptive_avg_pool2d(leaf(2, 3, 4, 4), 2),
    "Resample": lambda: F.interpolate(leaf(2, 3, 4, 4), (3, 7), mode="bilinear"),
    "GridSample": lambda: F.grid_sample(leaf(2, 3, 4, 4), leaf(2, 3, 3, 2)),
    "Regroup": lambda: F.pixel_shuffle(leaf(2, 8, 4, 4), 2).sum() + F.channel_shuffle(leaf(2, 6, 2), 3).sum(),
    "BatchNormTrain": lambda: F.batch_norm(leaf(4, 3, 2, 2), mc.zeros(3).double(), None, leaf(3), leaf(3), True),
    "BatchNormEval": lambda: F.batch_norm(leaf(4, 3), mc.zeros(3).double(), mc.ones(3).double(), leaf(3), leaf(3)),
    "LayerNorm": lambda: F.layer_norm(leaf(4, 3), (3,), leaf(3), leaf(3)) + F.rms_norm(leaf(4, 3), (3,), leaf(3)),
    "GroupNorm": lambda: F.group_norm(leaf(2, 4, 3), 2, leaf(4), leaf(4)) + F.instance_norm(leaf(2, 4, 3)),
    "Embedding": lambda: F.embedding(mc.tensor([1, 0, 1]), leaf(3, 2), 0, scale_grad_by_freq=True),
    "Huber": lambda: F.huber_loss(leaf(3), leaf(3)) + F.smooth_l1_loss(leaf(3), leaf(3)),
    "BinaryCrossEntropy": lambda: F.binary_cross_entropy(leaf(3) - 0.5, leaf(3) - 0.5),
    "PairDistances": lambda: F.pdist(leaf(3, 2)),
    "CTCLoss": lambda: F.ctc_loss(leaf(4, 1, 3).log_softmax(2), mc.tensor([[1, 2]]), mc.tensor([4]), mc.tensor([2])),
    "Dropout": lambda: F.dropout(leaf(50), 0.5),
    "SharedDropout": lambda: F.dropout1d(leaf(3, 50, 2), 0.5),
    "CrossEntropy": lambda: F.cross_entropy(leaf(2, 3), mc.tensor([0, 2])),
    "WeightedNLL": lambda: (
        F.cross_entropy(leaf(2, 3), mc.tensor([0, 2]), mc.ones(3, dtype=mc.float64))
        + F.nll_loss(leaf(2, 3), mc.tensor([0, 2]))
    ),
}


# The functions of one operand: all that the table makes.
CALLS |= {op.__name__: lambda op=op: op.apply(leaf(3)) for op in UnaryOp.__subclasses__()}


def assigned():
    x = leaf(4, 3) * 1
    x[1:, [0, 2]] = leaf(3, 2)
    x[0] = leaf(1, 3)
    return x


def subclasses(cls):
    for sub in cls.__subclasses__():
        yield sub
        yield from subclasses(sub)


def test_the_sweep_covers_every_operation():
    """An operation without a line in CALLS fails here: add one."""
    known = {
        op.__name__
        for op in subclasses(Op)
        if op.__module__.startswith("minicnn.ops.") and not issubclass(op, Function) and not op.__name__.startswith("_")
    }
    known -= {"FloorDivide", "Heaviside", "Nextafter"}  # they refuse a backward pass, as in torch
    assert known - set(CALLS) <= FUSED | BASES, known - set(CALLS)
    assert set(CALLS) <= known


BASES = {
    "Convolution",
    "TransposedConvolution",
    "FormulaActivation",
    "KernelActivation",
    "UnaryOp",
}  # of operations, and none themselves

# Operations that only the compiler makes are tested beside it.
COMPILED = [f"minicnn.ops.{name}" for name in ("fused", "residual", "prepared", "inference")]
for name in COMPILED:  # whichever tests were collected before
    importlib.import_module(name)
FUSED = {op.__name__ for op in subclasses(Op) if op.__module__ in COMPILED}


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("name", CALLS)
def test_rules(name, backend, monkeypatch):
    applied, kept = set(), []

    def seal(self, tensors):
        applied.add(self.name)
        for array in self._saved:
            if isinstance(array, np.ndarray) and not any(array is t._array for t in tensors):
                for t in tensors:
                    shared = np.shares_memory(array, t._array)
                    assert not shared, f"{self.name} keeps a view of an input or output of shape {t._array.shape}"
            if isinstance(array, np.ndarray):
                kept.append((self.name, array, array.copy()))
        original_seal(self, tensors)

    def run_backward(cls, ctx, grad_outs):
        copies = [g.copy() for g in grad_outs]
        grads = original_run.__func__(cls, ctx, grad_outs)
        for g, before in zip(grad_outs, copies, strict=True):
            np.testing.assert_array_equal(g, before, err_msg=f"{cls.__name__} changed the gradient it was given")
        for g, needed in zip(grads, ctx.needs_input_grad, strict=True):
            assert g is None or isinstance(g, (np.ndarray, np.generic)), f"{cls.__name__} returned a {type(g)}"
            assert g is not None or not needed, f"{cls.__name__} returned no gradient for an input that needs one"
        return grads

    original_seal, original_run = Context.seal, Op.run_backward
    monkeypatch.setattr(Context, "seal", seal)
    monkeypatch.setattr(Op, "run_backward", classmethod(run_backward))
    with mc.use_backend(backend):
        out = CALLS[name]()
        assert name in applied
        out.backward(mc.randn(out.shape, dtype=mc.float64), retain_graph=True)
        first = [array.copy() for _, array, _ in kept]
        out.backward(mc.randn(out.shape, dtype=mc.float64))
    for (op, _, before), after in zip(kept, first, strict=True):
        np.testing.assert_array_equal(after, before, err_msg=f"{op}: the backward pass changed what was kept")


@pytest.mark.parametrize("name", CALLS)
def test_a_second_backward_through_a_retained_graph_gives_the_same(name):
    out = CALLS[name]()
    found = collect_leaves(out)
    cotangent = mc.randn(out.shape, dtype=mc.float64)
    out.backward(cotangent, retain_graph=True)
    first = [x.grad.numpy().copy() for x in found]
    for x in found:
        x.grad = None
    out.backward(cotangent)
    for x, expected in zip(found, first, strict=True):
        np.testing.assert_array_equal(x.grad.numpy(), expected)


def collect_leaves(tensor):
    seen, stack, found = set(), [tensor.grad_fn], []
    while stack:
        node = stack.pop()
        if isinstance(node, mc.Tensor):
            found += [node] * (node.requires_grad and all(node is not x for x in found))
        elif node is not None and node not in seen:
            seen.add(node)
            stack += [target for target, _ in node.next_functions]
    return found
