"""What an operation has to compute and to move: floating-point operations and bytes, from its operands alone.

*Flops.* Each addition, multiplication, comparison, or elementary function (exp, a division) counts as one. A product of
matrices, and a convolution, are counted by their definition, two for each multiply-add; an algorithm that needs fewer
(Winograd) can therefore be "faster than possible". What is done once a channel or once a row is left out.

*Bytes.* The traffic that nothing can avoid: each operand read once, each result written once, and what is kept for the
backward pass once each way. A view moves nothing. What a cache holds already need not come from memory, so this too can
be "faster than possible".

An operation that is not in the table has no cost: a blank is better than a guess. Where the operations are:
``minicnn/ops``, whose formulas are counted here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.geometry import conv_output_size

from ..autograd import Op, Tensor
from ..ops.activation import Hardsigmoid, Hardswish, Hardtanh, LeakyReLU, ReLU
from ..ops.activation_smooth import GELU, GELUTanh, SiLU
from ..ops.conv import Conv1d, Conv2d, Conv3d
from ..ops.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..ops.dropout import Dropout
from ..ops.elementwise import Add, Div, Exp, Log, Maximum, Minimum, Mul, Neg, Sigmoid, Sqrt, Sub, Tanh
from ..ops.fold import Fold, Unfold
from ..ops.fused import (
    BatchNormReLU,
    BatchNormReLUMaxPool2d,
    Conv2dBatchNormReLUMaxPool2d,
    Conv2dReLU,
    LinearReLU,
    LinearReLUDropout,
    ReLUDropout,
)
from ..ops.group_norm import GroupNorm
from ..ops.indexing import GetItem
from ..ops.inference import ConvEpilogue, LinearEpilogue, SqueezeExcite
from ..ops.joining import Cat, Split, Unbind
from ..ops.layer_norm import LayerNorm
from ..ops.matmul import Linear, MatMul
from ..ops.norm import BatchNormEval, BatchNormTrain
from ..ops.padding import Pad, PadFromInput
from ..ops.pooling import AvgPool, MaxPool1d, MaxPool2d, MaxPool3d, MaxPoolIndices
from ..ops.promotion import Cast
from ..ops.reduction import Mean, Sum
from ..ops.resampling import Resample
from ..ops.residual import AddReLU, BatchNormAddReLU
from ..ops.shape import Clone, Expand, Permute, Reshape
from ..ops.shuffling import Regroup
from ..ops.softmax import LogSoftmax, Softmax
from ..ops.unpooling import MaxUnpool


class Cost(NamedTuple):
    """Floating-point operations and bytes; None where they are not known."""

    flops: int | None
    bytes: int | None

    def __add__(self, other: Any) -> Cost:
        return Cost(_sum(self.flops, other.flops), _sum(self.bytes, other.bytes))


UNKNOWN = Cost(None, None)
NOTHING = Cost(0, 0)


def forward_cost(op: type[Op], args: tuple, options: dict[str, Any], outputs: tuple[Tensor, ...]) -> Cost:
    """What ``op.apply(*args, **options)``, which returned ``outputs``, cost.

    >>> import minicnn as mc
    >>> from minicnn.ops.matmul import MatMul
    >>> a, b = mc.ones(2, 3), mc.ones(3, 4)
    >>> forward_cost(MatMul, (a, b), {}, (a @ b,))
    Cost(flops=48, bytes=104)
    """
    rule = _RULES.get(op)
    if rule is None:
        return UNKNOWN
    flops = rule(_Call(args, options, outputs)).forward
    tensors = [t for t in args if isinstance(t, Tensor)]
    if op.returns_view and np.may_share_memory(tensors[0]._array, outputs[0]._array):
        return Cost(flops, 0)
    arrays = {id(t._array): t._array for t in (*tensors, *outputs)}
    arrays |= {id(a): a for a in _kept(outputs)}
    return Cost(flops, sum(a.nbytes for a in arrays.values()))


def backward_cost(op: type[Op], args: tuple, options: dict[str, Any], outputs: tuple[Tensor, ...]) -> Cost:
    """What the backward pass of that call will cost: the gradients of those operands that want one.

    >>> import minicnn as mc
    >>> from minicnn.ops.matmul import MatMul
    >>> a, b = mc.ones(2, 3, requires_grad=True), mc.ones(3, 4)
    >>> backward_cost(MatMul, (a, b), {}, (a @ b,))
    Cost(flops=48, bytes=104)
    """
    call = _Call(args, options, outputs)
    if not any(call.wanted):
        return NOTHING
    rule = _RULES.get(op)
    flops = None if rule is None else rule(call).backward
    if flops is None:
        return UNKNOWN
    if op in _VIEWS_OR_COPIES:
        return Cost(flops, None)
    if op in (Add, Sub):  # the gradient goes on as it is, but for a broadcast or a sign
        moved = [i for i, t in enumerate(args) if call.wanted[i] and (t.numel() < call.size or (op, i) == (Sub, 1))]
        return Cost(flops, sum(call.out.nbytes + args[i]._array.nbytes for i in moved))
    gradients = [t._array.nbytes for t, wanted in zip(args, call.wanted, strict=True) if wanted]
    if op is AddReLU:
        gradients = gradients[:1]  # one array for both
    return Cost(flops, sum(t._array.nbytes for t in outputs) + sum(a.nbytes for a in _kept(outputs)) + sum(gradients))


class _Flops(NamedTuple):
    forward: int
    backward: int | None


class _Call:
    """One call, as the rules see it."""

    def __init__(self, args: tuple, options: dict[str, Any], outputs: tuple[Tensor, ...]):
        self.args, self.options = args, options
        self.out = outputs[0]._array
        self.size = self.out.size
        node = _node(outputs)
        self.wanted = [False] * len(args) if node is None else [edge is not None for edge in node.edges]
        self.in_size = args[0].numel() if isinstance(args[0], Tensor) else 0


def _node(outputs: tuple[Tensor, ...]) -> Any:
    return next((t._node for t in outputs if t._node is not None), None)


def _kept(outputs: tuple[Tensor, ...]) -> list[np.ndarray]:
    """The arrays that the call keeps for its backward pass."""
    node = _node(outputs)
    return [] if node is None else list({id(a): a for a in node.ctx._saved or () if isinstance(a, np.ndarray)}.values())


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def _each(forward: int, backward: int | None = None) -> Callable[[_Call], _Flops]:
    """So many for each element of the result; in the backward pass too."""
    return lambda c: _Flops(forward * c.size, None if backward is None else backward * c.size)


def _of_input(forward: int, backward: int) -> Callable[[_Call], _Flops]:
    return lambda c: _Flops(forward * c.in_size, backward * c.in_size)


def _arithmetic(factors: tuple[int, int]) -> Callable[[_Call], _Flops]:
    """One for each element; the gradient of operand i takes ``factors[i]`` for each, and a sum where it was broadcast."""

    def rule(c: _Call) -> _Flops:
        backward = 0
        for operand, wanted, factor in zip(c.args, c.wanted, factors, strict=True):
            if wanted:
                backward += c.size * (factor + (operand.numel() < c.size))
        return _Flops(c.size, backward)

    return rule


def _product(inner: Callable[[_Call], int]) -> Callable[[_Call], _Flops]:
    """A sum of ``inner`` products for each element of the result, and a bias; each gradient is as large a product."""

    def rule(c: _Call) -> _Flops:
        multiply_add = 2 * c.size * inner(c)
        bias = len(c.args) == 3 and c.args[2] is not None
        backward = multiply_add * sum(c.wanted[:2]) + (c.size if bias and c.wanted[2] else 0)
        return _Flops(multiply_add + (c.size if bias else 0), backward)

    return rule


def _stamped(c: _Call) -> _Flops:
    """Each number of the input times a filter for each output channel of its group, (c_out / groups) taps, added up."""
    multiply_add = 2 * c.in_size * math.prod(c.args[1].shape[1:])
    bias = c.args[2] is not None
    backward = multiply_add * sum(c.wanted[:2]) + (c.size if bias and c.wanted[2] else 0)
    return _Flops(multiply_add + (c.size if bias else 0), backward)


def _taps(c: _Call) -> int:
    return math.prod(c.options["window"][0])  # kernel size


def _seen(c: _Call) -> int:
    """The places that all windows see, together."""
    return math.prod(c.out.shape[:2]) * math.prod(int(axis.counts.sum()) for axis in c.options["windows"])


def _resampled(c: _Call) -> _Flops:
    """Axis by axis, a multiply-add for each tap; those that shrink first, as the kernel does it, and backward the same."""
    shape, flops = list(c.args[0].shape), 0
    axes = [(pair[0], axis) for axis, pair in enumerate(c.options["matrices"], start=2) if pair is not None]
    for matrix, axis in sorted(axes, key=lambda one: (one[0].offsets.size - 1) / shape[one[1]]):
        flops += 2 * matrix.columns.size * math.prod(shape[:axis] + shape[axis + 1 :])
        shape[axis] = matrix.offsets.size - 1
    return _Flops(flops, flops)


def _then(first: Callable[[_Call], _Flops], forward: int, backward: int) -> Callable[[_Call], _Flops]:
    """A rule, and so many more for each element of the result."""

    def rule(c: _Call) -> _Flops:
        before = first(c)
        return _Flops(before.forward + forward * c.size, _sum(before.backward, backward * c.size))

    return rule


def _pooled(first: Callable[[_Call], _Flops]) -> Callable[[_Call], _Flops]:
    return lambda c: _then(first, _taps(c), 1)(c)  # comparisons; the gradient is added where the maximum was


def _conv_pooled(c: _Call) -> _Flops:
    """The product for each pixel of the convolution's result; a batch norm, a rectifier and a pooling of it."""
    sizes, kernel, stride, padding, dilation = (
        (*c.args[0].shape[2:],),
        c.args[1].shape[2:],
        *(c.options[name] for name in ("stride", "padding", "dilation")),
    )
    axes = zip(sizes, kernel, stride, padding, dilation, strict=True)
    pixels = c.args[0].shape[0] * c.args[1].shape[0] * math.prod(conv_output_size(*axis) for axis in axes)
    product = 2 * pixels * math.prod(c.args[1].shape[1:])
    forward = product + 7 * pixels + _taps(c) * c.size
    return _Flops(forward, product * sum(c.wanted[:2]) + 10 * pixels + c.size)


def _squeezed(c: _Call) -> _Flops:
    """The means, and two layers of one pixel."""
    x, weight = c.args[0], c.args[1]
    return _Flops(math.prod(x.shape) + 4 * x.shape[0] * math.prod(weight.shape), 0)


_LINEAR = _product(lambda c: c.args[0].shape[-1])
_CONV = _product(lambda c: math.prod(c.args[1].shape[1:]))  # (c_in / groups) taps
# mean (1), variance (3), x scale + shift (2); sum g (1), x_hat (2), sum g x_hat (2), a g + b x_hat + c (4)
_NORM = _of_input(6, 9)
_NOTHING = _each(0, 0)

# Their gradients are views or copies, as the memory of what arrives happens to lie.
_VIEWS_OR_COPIES = (Reshape, Permute, Expand, GetItem, Cat, Split, Unbind, Sum, Mean)

_RULES: dict[type[Op], Callable[[_Call], _Flops]] = {
    Conv1d: _CONV,
    Conv2d: _CONV,
    Conv3d: _CONV,
    ConvTranspose1d: _stamped,
    ConvTranspose2d: _stamped,
    ConvTranspose3d: _stamped,
    Conv2dReLU: _then(_CONV, 1, 1),
    ConvEpilogue: _then(_CONV, 1, 0),
    LinearEpilogue: _then(_LINEAR, 1, 0),
    SqueezeExcite: _squeezed,
    Unfold: _each(0, 1),
    Fold: _of_input(1, 0),
    Linear: _LINEAR,
    LinearReLU: _then(_LINEAR, 1, 1),
    LinearReLUDropout: _then(_LINEAR, 2, 2),
    MatMul: _product(lambda c: c.args[0].shape[-1]),
    BatchNormTrain: _NORM,
    GroupNorm: _NORM,
    LayerNorm: _NORM,
    BatchNormEval: _each(2, 6),  # x scale + shift; sum g, x_hat, sum g x_hat, g scale
    BatchNormReLU: _then(_NORM, 1, 1),
    BatchNormAddReLU: _then(_NORM, 2, 1),
    BatchNormReLUMaxPool2d: _pooled(_of_input(7, 10)),
    Conv2dBatchNormReLUMaxPool2d: _conv_pooled,
    **dict.fromkeys((MaxPool1d, MaxPool2d, MaxPool3d), lambda c: _Flops(_taps(c) * c.size, c.size)),
    MaxPoolIndices: lambda c: _Flops(_seen(c), c.size),
    AvgPool: lambda c: _Flops(_seen(c), _seen(c)),
    MaxUnpool: _NOTHING,
    Regroup: _NOTHING,
    Resample: _resampled,
    Pad: _NOTHING,
    PadFromInput: _NOTHING,
    ReLU: _each(1, 1),
    LeakyReLU: _each(2, 2),
    Hardtanh: _each(2, 3),
    Hardsigmoid: _each(4, 3),  # min(max(x + 3, 0), 6) / 6
    Hardswish: _each(5, 5),
    SiLU: _each(4, 9),  # x / (1 + exp(-x)); g s (1 + x (1 - s))
    GELU: _each(2, 8),  # x Phi(x); g (Phi(x) + x e^(-x^2 / 2) / sqrt(2 pi))
    GELUTanh: _each(9, 16),
    Softmax: _each(5, 4),  # max, -, exp, sum, /; y (g - sum y g)
    LogSoftmax: _each(5, 4),  # max, -, exp, sum, -; g - e^y sum g
    Dropout: _each(1, 1),  # the random numbers are not counted
    ReLUDropout: _each(2, 2),
    Add: _arithmetic((0, 0)),
    AddReLU: _each(2, 1),
    Sub: _arithmetic((0, 1)),
    Mul: _arithmetic((1, 1)),
    Div: _each(1),
    Neg: _each(1, 1),
    Exp: _each(1, 1),
    Log: _each(1, 1),
    Sqrt: _each(1, 2),  # g / (2 y)
    Tanh: _each(1, 3),  # g (1 - y y)
    Sigmoid: _each(4, 3),  # 1 / (1 + exp(-x)); g y (1 - y)
    Maximum: _each(1),
    Minimum: _each(1),
    Sum: _of_input(1, 0),
    Mean: lambda c: _Flops(c.in_size + c.size, c.size),
    Reshape: _NOTHING,
    Permute: _NOTHING,
    Expand: _NOTHING,
    GetItem: _NOTHING,
    Cat: _NOTHING,
    Split: _NOTHING,
    Unbind: _NOTHING,
    Clone: _NOTHING,
    Cast: _NOTHING,
}
