"""For inference: convolutions and linear layers take over what follows them.

The calls of a network in evaluation, as they were traced, are gone through in order. Each rule looks at one call and at who
made its operand, which nobody else may look at:

    Conv2d, Linear                   become ConvEpilogue, LinearEpilogue (``minicnn/ops/inference.py``), which have room for:
    BatchNormEval behind a Conv2d    moves into the filters (``folding.py``)
    Add behind one of these          the other operand (a residual branch) is added there
    activation behind one of these   done while the result is in the cache
    ReLU behind an Add               one pass, where none of these is near
    x * gate(mean(x))                squeeze-and-excitation's two layers become one SqueezeExcite; the 1x1 convolution that
                                     reads the product multiplies as it reads

A call only moves to a later place: the joined call runs where its last part ran. That is safe where nothing changes memory
in between; a program that does (batch statistics, counters) is left as it is. So is one with a convolution that cannot be
made ready (``fixed.py``); then ``patterns.py`` has its turn.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from ..autograd import Tensor
from ..ops.activation import Hardsigmoid, Hardswish, Hardtanh, KernelActivation, ReLU
from ..ops.activation_smooth import GELU, SiLU
from ..ops.conv import Conv2d
from ..ops.elementwise import Add, Mul, Sigmoid
from ..ops.inference import ConvEpilogue, LinearEpilogue, SqueezeExcite
from ..ops.matmul import Linear
from ..ops.norm import BatchNormEval, BatchNormTrain
from ..ops.pooling import AvgPool
from ..ops.residual import AddReLU
from .folding import folded_filters, sources_of
from .trace import Call, Program, Value, Write

_LAYERS = {Conv2d: ConvEpilogue, Linear: LinearEpilogue}
_ACTIVATIONS = {ReLU: "relu", Hardtanh: "hardtanh", Hardswish: "hardswish", Hardsigmoid: "hardsigmoid", Sigmoid: "sigmoid",
                SiLU: "silu", GELU: "gelu"}  # fmt: skip
_OTHER = 3  # its place among the operands


def with_epilogues(program: Program, outputs: set[int]) -> list[Call | Write] | None:
    """The calls with every rule applied; None where that would not be safe. ``outputs``: values that
    somebody outside looks at."""
    calls = [call for call in program.calls if isinstance(call, Call)]
    if len(calls) < len(program.calls) or any(call.op is BatchNormTrain or call.recording for call in calls):
        return None
    return _Joining(calls, program, outputs).calls()


class _Joining:
    """The calls so far, and who made which value."""

    def __init__(self, calls: list[Call], program: Program, outputs: set[int]):
        self.program = program
        self.uses = Counter(outputs)
        for call in calls:
            self.uses.update(a.number for a in call.args if isinstance(a, Value))
        self.made: dict[int, Call] = {}  # by the number of the first result, in the order in which they run
        for call in calls:
            self._add(call)

    def calls(self) -> list[Call | Write]:
        # A layer alone was fused from nothing.
        return [c if len(c.fused_from) > 1 else c._replace(fused_from=()) for c in self.made.values()]

    def _add(self, call: Call) -> None:
        name = _ACTIVATIONS.get(call.op)
        if call.op in _LAYERS and all(a is None or isinstance(a, Tensor) for a in call.args[1:]):
            options = {"activation": "", **call.options}
            call = self._gated(call._replace(op=_LAYERS[call.op], options=options, fused_from=(call.name,)))
        elif call.op is BatchNormEval and (before := self._layer_behind(call.args[0])) and before.op is ConvEpilogue:
            call = self._normalised(before, call)
        elif name is not None and (before := self._layer_behind(call.args[0])):
            numbers = call.options.get("numbers", ()) if issubclass(call.op, KernelActivation) else ()
            call = self._joined(before, call, before.args, activation=name, numbers=numbers)
        elif call.op is ReLU and (before := self._alone(call.args[0])) and before.op is Add and self._is_plain(before):
            del self.made[before.outputs[0]]
            call = Call(AddReLU, before.args, {}, call.outputs, call.recording, ("Add", "ReLU"))
        elif call.op is Add and (found := self._branch(call)):
            before, other = found
            call = self._joined(before, call, (*before.args[:_OTHER], other, *before.args[_OTHER + 1 :]))
        elif call.op is Mul:
            self._squeeze(call)
        self.made[call.outputs[0]] = call

    def _alone(self, value: Any) -> Call | None:
        """Who made the value, if nobody but one looks at it."""
        return self.made.get(value.number) if isinstance(value, Value) and self.uses[value.number] == 1 else None

    def _layer_behind(self, value: Any) -> Call | None:
        """The layer that made the value, if it has room for an activation."""
        call = self._alone(value)
        return call if call and call.op in (ConvEpilogue, LinearEpilogue) and not call.options["activation"] else None

    def _branch(self, call: Call) -> tuple[Call, Value] | None:
        """The layer that made one operand of an addition, and the other operand, of the same shape and type."""
        if not self._is_plain(call) or call.args[0] == call.args[1]:
            return None
        for value, other in (call.args, call.args[::-1]):
            before = self._layer_behind(value)
            if before and (len(before.args) <= _OTHER or before.args[_OTHER] is None):
                return before, other
        return None

    def _is_plain(self, add: Call) -> bool:
        """Whether two values of one shape and type are added."""
        shapes, dtypes = self.program.shapes, self.program.dtypes
        about = {(shapes[a.number], dtypes[a.number]) if isinstance(a, Value) else None for a in add.args}
        return len(about) == 1 and None not in about

    def _joined(self, before: Call, call: Call, args: tuple, **options: Any) -> Call:
        """``before`` in the place of ``call``, which it does as well."""
        del self.made[before.outputs[0]]
        names = (*before.fused_from, *(call.fused_from or (call.name,)))
        return before._replace(
            args=args, options=before.options | options, outputs=call.outputs, fused_from=names,
            folded=before.folded + call.folded,
        )  # fmt: skip

    def _normalised(self, conv: Call, norm: Call) -> Call:
        """The convolution with other filters and another bias."""
        x, weight, bias, *rest = conv.args
        sources = sources_of(weight, bias, norm)
        if (rest and rest[0] is not None) or not all(t is None or isinstance(t, Tensor) for t in sources):
            return norm
        before = conv._replace(folded=(*conv.folded, *(t for t in sources if t is not None)))
        args = x, *map(Tensor, folded_filters(weight, bias, norm)), *rest
        return self._joined(before, norm, args)

    def _squeeze(self, call: Call) -> None:
        """x * gate(mean(x)): the calls that make the gate become one."""
        for x, gate in (call.args, call.args[::-1]):
            second = self._alone(gate)
            first = self._alone(second.args[0]) if second and _is_small(second) else None
            pool = self._alone(first.args[0]) if first and _is_small(first) else None
            if not (second and first and pool and pool.op is AvgPool and pool.args[0] == x and self._is_mean(pool)):
                continue
            if second.options["activation"] not in ("sigmoid", "hardsigmoid"):
                continue
            for gone in (pool, first, second):
                del self.made[gone.outputs[0]]
            options = {"activation": first.options["activation"], "gate": second.options["activation"]}
            args = x, *first.args[1:3], *second.args[1:3]
            names = ("mean", *first.fused_from, *second.fused_from)
            self.made[second.outputs[0]] = Call(
                SqueezeExcite, args, options, second.outputs, call.recording, names, first.folded + second.folded
            )
            return

    def _is_mean(self, pool: Call) -> bool:
        """Whether the windows are whole images."""
        value = pool.args[0]
        sizes = self.program.shapes[value.number][2:]
        alone = math.prod(self.program.shapes[pool.outputs[0]][2:]) == 1
        return alone and len(sizes) == 2 and all(
            axis.counts[0] == size for axis, size in zip(pool.options["windows"], sizes, strict=True)
        )  # fmt: skip

    def _gated(self, conv: Call) -> Call:
        """A convolution of single pixels that reads x * gate: it multiplies by itself."""
        product = self._alone(conv.args[0])
        if product is None or product.op is not Mul or not _is_pixelwise(conv):
            return conv
        for x, gate in (product.args, product.args[::-1]):
            maker = self.made.get(gate.number) if isinstance(gate, Value) else None
            if maker is None or maker.op is not SqueezeExcite or maker.args[0] != x:
                continue
            del self.made[product.outputs[0]]
            weights = (*conv.args[1:], None)[:3]
            return conv._replace(args=(x, *weights[:2], None, gate), fused_from=("Mul", *conv.fused_from))
        return conv


def _is_pixelwise(conv: Call) -> bool:
    window = tuple(conv.options[name] for name in ("stride", "padding", "dilation", "groups"))
    return conv.op is ConvEpilogue and conv.args[1].shape[2:] == (1, 1) and window == ((1, 1), (0, 0), (1, 1), 1)


def _is_small(conv: Call) -> bool:
    """A plain layer of a gate: nothing added, no gate of its own, no numbers with its activation."""
    plain = not any(a is not None for a in conv.args[3:]) and not conv.options.get("numbers")
    return conv.op is ConvEpilogue and plain and _is_pixelwise(conv)
