"""The short list of patterns that fusion knows.

Each pattern is a chain of operations, every one consuming the result of the one before it, which nobody else uses; it is
replaced by one operation (``minicnn/ops/fused.py``) that computes the same in fewer passes over memory. Longer patterns come
first.

    Conv2d -> BatchNormTrain -> ReLU -> MaxPool2d    the same, a few images at a time while they are in the cache
    BatchNormTrain -> ReLU -> MaxPool2d     one pass after the statistics, instead of three
    BatchNormTrain -> Add -> ReLU           the end of a residual block: one pass after the statistics, instead of three
    BatchNormTrain -> ReLU                  one pass after the statistics, instead of two
    Conv2d -> BatchNormEval -> Add -> ReLU  the normalisation moves into the filters, the rest is done to the sums; so too
                                            without any but the first of these
    Conv2d -> ReLU, Linear -> ReLU          the ReLU is done while the result is in the cache
    Linear -> ReLU -> Dropout               the ReLU is done with the dropout, and the mask need not be drawn again
    ReLU -> Dropout, Add -> ReLU            one pass instead of two

After that, a convolution or Linear hands its bias to the BatchNormTrain (or what that was fused into) behind it, where it
changes the running mean and nothing else (``ops/norm.py``, ``without_effect``). Its gradient is exactly 0 then, where adding
up leaves rounding errors.

Evaluation without gradients: batch norm moves into the filters (``folding.py``). The new ones, or the old ones where there
is no batch norm, become part of the operation, in the form that kernels work with (``minicnn/ops/prepared.py``), and with
them of the plan, which dies with the versions of the tensors they came from (``plan.py``).

A chain through ``Add`` may come from either side; the other operand, of the same shape and type, is an operand of the fused
operation, after those of the first.

The operation that replaces a chain runs where the chain's last one ran. So a chain is left alone where another call in
between (a batch norm that is used twice, a count) changes memory that the chain looks at, or looks at what it changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from ..autograd import Op, Tensor
from ..ops.activation import ReLU
from ..ops.conv import Conv2d
from ..ops.dropout import Dropout
from ..ops.elementwise import Add
from ..ops.fused import (
    BatchNormReLU,
    BatchNormReLUMaxPool2d,
    Conv2dBatchNormReLUMaxPool2d,
    Conv2dReLU,
    LinearReLU,
    LinearReLUDropout,
    ReLUDropout,
)
from ..ops.matmul import Linear
from ..ops.norm import BatchNormEval, BatchNormTrain
from ..ops.pooling import MaxPool2d
from ..ops.prepared import FixedConv2d, PreparedConv2d
from ..ops.residual import AddReLU, BatchNormAddReLU
from .folding import folded_filters, sources_of
from .show import address_of
from .trace import Call, Program, Value, Write


class Link(NamedTuple):
    """One call of a chain, and its operands besides the result of the call before."""

    call: Call
    others: tuple


class Pattern(NamedTuple):
    """A chain of operations, and the calls that take its place."""

    chain: tuple[type[Op], ...]
    fuse: Callable[[list[Link], Program], list[Call]]
    inference_only: bool = False


class Effects(NamedTuple):
    """The memory of the model's tensors that one call looks at, and what it changes; by address."""

    reads: set[int]
    writes: set[int]


def _joined(op: type[Op]) -> Callable[[list[Link], Program], list[Call]]:
    """The first call's operands, then the others', and all calls' options, given to ``op``."""

    def join(links: list[Link], program: Program) -> list[Call]:
        first, last = links[0].call, links[-1].call
        options: dict[str, Any] = {}
        for link in links:
            options |= link.call.options
        args = (*first.args, *(a for link in links[1:] for a in link.others))
        return [Call(op, args, options, last.outputs, first.recording, _names(links))]

    return join


def _prepared(links: list[Link], program: Program) -> list[Call]:
    """A convolution with weights that stay as they are, and what may follow: batch norm, an addition, ReLU."""
    conv, last = links[0].call, links[-1].call
    x, weight, bias = conv.args
    sources: list[Tensor | None] = [weight, bias]
    arrays = weight._array, None if bias is None else bias._array
    if len(links) > 1 and links[1].call.op is BatchNormEval:
        sources = sources_of(weight, bias, links[1].call)
        arrays = folded_filters(weight, bias, links[1].call)
    others = [a for link in links if link.call.op is Add for a in link.others]
    layer = FixedConv2d(*arrays, conv.options, rectify=last.op is ReLU)
    folded = tuple(t for t in sources if t is not None)
    names = _names(links) if len(links) > 1 else ()
    return [Call(PreparedConv2d, (x, *others), {"layer": layer}, last.outputs, conv.recording, names, folded)]


PATTERNS = (
    Pattern((Conv2d, BatchNormTrain, ReLU, MaxPool2d), _joined(Conv2dBatchNormReLUMaxPool2d)),
    Pattern((BatchNormTrain, ReLU, MaxPool2d), _joined(BatchNormReLUMaxPool2d)),
    Pattern((BatchNormTrain, Add, ReLU), _joined(BatchNormAddReLU)),
    Pattern((BatchNormTrain, ReLU), _joined(BatchNormReLU)),
    Pattern((Conv2d, BatchNormEval, Add, ReLU), _prepared, inference_only=True),
    Pattern((Conv2d, BatchNormEval, Add), _prepared, inference_only=True),
    Pattern((Conv2d, BatchNormEval, ReLU), _prepared, inference_only=True),
    Pattern((Conv2d, BatchNormEval), _prepared, inference_only=True),
    Pattern((Conv2d, Add, ReLU), _prepared, inference_only=True),
    Pattern((Conv2d, Add), _prepared, inference_only=True),
    Pattern((Conv2d, ReLU), _prepared, inference_only=True),
    Pattern((Conv2d,), _prepared, inference_only=True),
    Pattern((Conv2d, ReLU), _joined(Conv2dReLU)),
    Pattern((Linear, ReLU, Dropout), _joined(LinearReLUDropout)),
    Pattern((Linear, ReLU), _joined(LinearReLU)),
    Pattern((ReLU, Dropout), _joined(ReLUDropout)),
    Pattern((Add, ReLU), _joined(AddReLU)),
)

_NORMS = (BatchNormTrain, BatchNormReLU, BatchNormReLUMaxPool2d, BatchNormAddReLU)


def fuse(program: Program, outputs: set[int], inference: bool) -> list[Call | Write]:
    """The program's calls with every chain of a pattern replaced. ``outputs`` are values somebody outside looks at."""
    calls = program.calls
    uses = Counter(outputs)
    consumer: dict[int, int] = {}  # value -> index of the last call that takes it
    for i, call in enumerate(calls):
        for a in call.args if isinstance(call, Call) else ():
            if isinstance(a, Value):
                uses[a.number] += 1
                consumer[a.number] = i
    only_consumer = {number: i for number, i in consumer.items() if uses[number] == 1}

    effects = _effects(calls)

    replaced: dict[int, list[Call]] = {}  # index of a chain's last call -> the fused calls
    gone: set[int] = set()
    for i in range(len(calls)):
        for pattern in PATTERNS if i not in gone else ():
            chain = _chain_at(program, i, pattern, only_consumer) if inference or not pattern.inference_only else None
            if not chain or gone & chain.keys():
                continue  # no such chain, or the other operand of an addition has taken its end
            if not _disturbed(chain, effects, pattern.inference_only):
                # The fused call takes the last one's place: everything it needs is there by then.
                replaced[max(chain)] = pattern.fuse([*chain.values()], program)
                gone.update(chain)
                break
    fused: list[Call | Write] = []
    for i, call in enumerate(calls):
        fused += replaced.get(i, [] if i in gone else [call])
    return _biases_moved(fused, {number for number in only_consumer if number not in outputs}, effects)


def _biases_moved(calls: list[Call | Write], alone: set[int], effects: list[Effects]) -> list[Call | Write]:
    """The calls, with each bias that a batch norm takes away again given to that batch norm.

    ``alone`` : values that one operation looks at, and nobody else.
    """
    written = set().union(*(effect.writes for effect in effects))
    maker = {c.outputs[0]: i for i, c in enumerate(calls) if isinstance(c, Call) and c.op in (Conv2d, Linear)}
    moved = [*calls]
    for i, norm in enumerate(calls):
        if not isinstance(norm, Call) or norm.op not in _NORMS or not isinstance(norm.args[0], Value):
            continue
        at = maker.get(norm.args[0].number) if norm.args[0].number in alone else None
        if at is None:
            continue
        before = calls[at]
        assert isinstance(before, Call)
        *others, bias = before.args
        if isinstance(bias, Tensor) and not _memory(bias) & written and before.recording == norm.recording:
            moved[at] = before._replace(args=(*others, None))
            names = "bias", *(norm.fused_from or (norm.name,))
            moved[i] = norm._replace(args=(*norm.args, bias), fused_from=names)
    return moved


def _chain_at(program: Program, start: int, pattern: Pattern, only_consumer: dict[int, int]) -> dict[int, Link] | None:
    """The pattern's chain that begins with call ``start``, by the calls' indices; or None."""
    chain: dict[int, Link] = {}
    at: int | None = start
    before: Value | None = None
    for op in pattern.chain:
        call = None if at is None else program.calls[at]
        if at is None or not isinstance(call, Call) or call.op is not op:
            return None
        place = 0 if before is None else call.args.index(before)
        others = (*call.args[:place], *call.args[place + 1 :])
        if not _alike(program, call, call.args) if op is Add else place:
            return None  # something is broadcast, or the chain's value is not what the call works on
        if chain and call.recording != next(iter(chain.values())).call.recording:
            return None
        if pattern.inference_only and op is not Add and any(isinstance(a, Value) for a in call.args[1:]):
            return None  # weights that are computed cannot be folded
        chain[at] = Link(call, others)
        before = Value(call.outputs[0])
        at = only_consumer.get(before.number)
    return chain


def _effects(calls: list[Call | Write]) -> list[Effects]:
    """What each call does to memory that outlives it. A tensor that nothing changes counts for nothing."""
    written: set[int] = set()
    for call in calls:
        written |= _written(call)
    behind: dict[int, set[int]] = {}  # value -> the memory it may be a view of
    effects = []
    for call in calls:
        if isinstance(call, Write):
            effects.append(Effects(_written(call), _written(call)))
            continue
        seen: set[int] = set()
        for a in call.args:
            seen |= behind.get(a.number, set()) if isinstance(a, Value) else _memory(a)
        seen &= written
        behind |= dict.fromkeys(call.outputs, seen)
        options = {place for option in call.options.values() for place in _memory(option)}
        effects.append(Effects(seen | (options & written), _written(call)))
    return effects


def _written(call: Call | Write) -> set[int]:
    if isinstance(call, Write):
        return _memory(call.target)
    if call.op is BatchNormTrain:
        return _memory(call.options["running_mean"]) | _memory(call.options["running_var"])
    return set()


def _memory(thing: Any) -> set[int]:
    return {address_of(thing._array)} if isinstance(thing, Tensor) else set()


def _disturbed(chain: dict[int, Link], effects: list[Effects], folding: bool) -> bool:
    """Whether the chain and a call between its first and its last one depend on their order. What is folded is looked at
    before the plan runs, so there any change counts."""
    reads = set().union(*(effects[i].reads for i in chain))
    writes = set().union(*(effects[i].writes for i in chain))
    between = range(len(effects)) if folding else range(min(chain), max(chain))
    return any(effects[i].writes & (reads | writes) or effects[i].reads & writes for i in between if i not in chain)


def _alike(program: Program, call: Call, operands: tuple) -> bool:
    """Whether the operands are tensors of the result's shape and type: nothing is broadcast."""
    number = call.outputs[0]
    shapes = [
        (program.shapes[a.number], program.dtypes[a.number]) if isinstance(a, Value) else (tuple(a.shape), a.dtype)
        for a in operands
        if isinstance(a, (Value, Tensor))
    ]
    return len(shapes) == len(operands) and all(s == (program.shapes[number], program.dtypes[number]) for s in shapes)


def _names(links: list[Link]) -> tuple[str, ...]:
    return tuple(link.call.name for link in links)
