"""The short list of patterns that fusion knows.

Each pattern is a chain of operations, every one consuming the result of the one before it, which nobody else uses; it is
replaced by one operation (``minicnn/ops/fused.py``) that computes the same in fewer passes over memory. Longer patterns come
first.

    BatchNormTrain -> ReLU -> MaxPool2d     one pass after the statistics, instead of three
    BatchNormTrain -> ReLU                  one pass after the statistics, instead of two
    Conv2d -> BatchNormEval -> ReLU         the normalisation moves into the filters, the ReLU into the convolution
    Conv2d -> BatchNormEval                 the normalisation moves into the filters
    Conv2d -> ReLU, Linear -> ReLU          the ReLU is done while the result is in the cache
    ReLU -> Dropout                         one pass instead of two

Folding, the ones with BatchNormEval, is for evaluation without gradients: with s = gamma / sqrt(var + eps), ``conv(x, w) +
b`` normalised is ``conv(x, s w) + s (b - mean) + beta``. The new filters are constants of the plan, which dies with the
versions of the tensors they came from (``compiled.py``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..autograd import Op, Tensor
from ..ops.activation import ReLU
from ..ops.conv import Conv2d
from ..ops.dropout import Dropout
from ..ops.fused import BatchNormReLU, BatchNormReLUMaxPool2d, Conv2dReLU, LinearReLU, ReLUDropout
from ..ops.matmul import Linear
from ..ops.norm import BatchNormEval, BatchNormTrain
from ..ops.pooling import MaxPool2d
from .trace import Call, Value, Write


class Pattern(NamedTuple):
    """A chain of operations, and what makes one call of them."""

    chain: tuple[type, ...]
    fuse: Callable[[list[Call]], Call]
    inference_only: bool = False


def _joined(op: type[Op]) -> Callable[[list[Call]], Call]:
    """The first call's operands and all calls' options, given to ``op``."""

    def join(calls: list[Call]) -> Call:
        options: dict[str, Any] = {}
        for call in calls:
            options |= call.options
        first, last = calls[0], calls[-1]
        return Call(op, first.args, options, last.outputs, first.recording, _names(calls))

    return join


def _fold_batch_norm(calls: list[Call]) -> Call:
    """A convolution and its batch norm, and what may follow: ReLU."""
    conv, norm = calls[:2]
    x, weight, bias = conv.args
    _, gamma, beta = norm.args
    mean, var = norm.options["running_mean"], norm.options["running_var"]
    # In float64: the folded filters are rounded once.
    scale = 1 / np.sqrt(var.astype(np.float64) + norm.options["eps"])
    if gamma is not None:
        scale = scale * gamma._array
    shift = -mean.astype(np.float64) * scale if bias is None else (bias._array - mean.astype(np.float64)) * scale
    if beta is not None:
        shift = shift + beta._array
    dtype = weight._array.dtype
    folded = Tensor((weight._array * scale[:, None, None, None]).astype(dtype))
    op = Conv2dReLU if len(calls) == 3 else Conv2d
    args = (x, folded, Tensor(shift.astype(dtype)))
    return Call(op, args, conv.options, calls[-1].outputs, conv.recording, _names(calls))


PATTERNS = (
    Pattern((BatchNormTrain, ReLU, MaxPool2d), _joined(BatchNormReLUMaxPool2d)),
    Pattern((BatchNormTrain, ReLU), _joined(BatchNormReLU)),
    Pattern((Conv2d, BatchNormEval, ReLU), _fold_batch_norm, inference_only=True),
    Pattern((Conv2d, BatchNormEval), _fold_batch_norm, inference_only=True),
    Pattern((Conv2d, ReLU), _joined(Conv2dReLU)),
    Pattern((Linear, ReLU), _joined(LinearReLU)),
    Pattern((ReLU, Dropout), _joined(ReLUDropout)),
)


def fuse(calls: list[Call | Write], outputs: set[int], inference: bool) -> list[Call | Write]:
    """``calls`` with every chain of a pattern replaced. ``outputs`` are values somebody outside looks at."""
    uses = Counter(a.number for call in calls if isinstance(call, Call) for a in call.args if isinstance(a, Value))
    uses.update(outputs)
    consumer = {
        a.number: i for i, call in enumerate(calls) if isinstance(call, Call) for a in call.args if isinstance(a, Value)
    }
    replaced: dict[int, Call] = {}  # index of a chain's last call -> the fused call
    gone: set[int] = set()
    for i, call in enumerate(calls):
        if i in gone or not isinstance(call, Call):
            continue
        for pattern in PATTERNS:
            chain = _chain_at(calls, i, pattern, uses, consumer)
            if chain and (inference or not pattern.inference_only):
                # The fused call takes the last one's place: everything it needs is there by then.
                replaced[chain[-1]] = pattern.fuse([calls[k] for k in chain])  # type: ignore[misc]
                gone.update(chain)
                break
    return [replaced.get(i, call) for i, call in enumerate(calls) if i not in gone or i in replaced]


def _chain_at(
    calls: list[Call | Write], start: int, pattern: Pattern, uses: Counter[int], consumer: dict[int, int]
) -> list[int] | None:
    """The indices of the pattern's chain that begins with call ``start``, or None."""
    chain: list[int] = []
    at: int | None = start
    for op in pattern.chain:
        if at is None:
            return None
        call = calls[at]
        if not isinstance(call, Call) or call.op is not op or call.recording != calls[start].recording:  # type: ignore[union-attr]
            return None
        if chain and call.args[0] != Value(calls[chain[-1]].outputs[0]):  # type: ignore[union-attr]
            return None
        if pattern.inference_only and any(isinstance(a, Value) for a in call.args[1:]):
            return None  # weights that are computed cannot be folded
        chain.append(at)
        result = call.outputs[0]
        at = consumer.get(result) if uses[result] == 1 else None
    return chain


def _names(calls: list[Call]) -> tuple[str, ...]:
    return tuple(call.name for call in calls)
