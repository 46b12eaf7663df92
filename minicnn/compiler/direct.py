"""Running a plan as *one* operation of the graph.

Operation by operation, a plan makes a tensor, a node and an entry in the engine's books for every call, and Python's share
of a small network's training step is a tenth of it with one thread, a fifth with two. Nobody outside sees the values in
between; so here the calls' forward rules run on arrays, one node stands for all of them, and its backward rule walks
through the calls the other way round, by what was worked out before: which results need a gradient, and where it goes.

The rules, what they save, the order they run in and the checks of versions are those of ``Op.apply`` and the engine (which
lends ``run_rule``). Different is only when the parameters get their gradients: all at the end of the node's backward.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd import Op, Tensor
from ..autograd.engine import Pending, arrive, run_rule
from ..autograd.op import Context, record
from .trace import Call, Program, Write

Edge = tuple[Any, int, tuple[int, ...], np.dtype]  # ("value" or "leaf", its number, shape, dtype), as in a Node


class Step(NamedTuple):
    """One call, prepared: ``op.forward(ctx, *args, **options)``, ``args[place] = values[number]`` for each of ``slots``."""

    op: type[Op]
    args: list[Any]
    slots: tuple[tuple[int, int], ...]
    options: dict[str, Any]
    outputs: tuple[int, ...]
    recording: bool
    dying: tuple[int, ...]  # values that nothing after it looks at


def _write(step: Write) -> None:
    """Counting batches, of all writes by far the most frequent, straight into the memory."""
    target, array = step.target, step.target._array
    if step.name == "add_" and type(step.other) is int and array.dtype == np.int64 and array.flags.writeable:
        np.add(array, step.other, out=array)
        target._bump_version("add_")
    else:
        getattr(target, step.name)(step.other)


class Compiled(Op):
    """The operation: its forward is ``Direct.run``."""

    @classmethod
    def run_backward(cls, ctx: Any, grad_outs: tuple) -> tuple:
        if ctx._saved is None:
            ctx.saved  # noqa: B018  raises: the graph was freed
        return ctx.direct.backward(ctx, grad_outs)


class _Context(Context):
    """What one run keeps: a context for each call."""

    materialize_grads = False  # a result that nobody used gives no gradients, rather than zeros

    def __init__(self, direct: Direct, contexts: list[Context]):
        super().__init__("a compiled model", ())
        self.direct, self.contexts = direct, contexts

    def release(self) -> None:
        for context in self.contexts:
            context.release()
        self._saved = None


class Direct:
    """A plan's calls, for runs without a tensor for each value.

    Attributes
    ----------
    steps : all of them, in order. calls : those that are no ``Write``; of each the next three.
    needs : which operands want a gradient. edges : where it goes. outputs : each result's shape and type.
    leaves : the tensors outside that get a gradient: inputs (by their number) and tensors of the model.
    results : the values that the model returns. recorded : those of them that depend on a leaf.
    roots : value -> the input (by its number) or tensor of the model whose memory it may show.
    """

    def __init__(
        self, steps: list[Step | Write], program: Program, results: list[int], inputs: list[Tensor], mode: bool
    ):
        self.steps, self.results, self.n_values = steps, results, len(program.shapes)
        self.calls = [step for step in steps if not isinstance(step, Write)]
        self.leaves: list[int | Tensor] = []
        self.needs: list[tuple[bool, ...]] = []
        self.edges: list[tuple[Edge | None, ...]] = []
        self.outputs = [tuple((program.shapes[n], program.dtypes[n].numpy) for n in c.outputs) for c in self.calls]
        self.roots: dict[int, int | Tensor] = {number: number for number in range(len(inputs))}
        wanted: dict[int, Edge] = {}  # values that want a gradient, and where it goes
        places: dict[int, int] = {}  # id of a tensor outside -> its number among the leaves

        def leaf(tensor: Tensor, stands_for: int | Tensor) -> Edge | None:
            if not (mode and tensor.requires_grad):
                return None
            if id(tensor) not in places:
                places[id(tensor)] = len(self.leaves)
                self.leaves.append(stands_for)
            return "leaf", places[id(tensor)], tensor._array.shape, tensor._array.dtype

        for number, tensor in enumerate(inputs):
            edge = leaf(tensor, number)
            if edge:
                wanted[number] = edge
        for step, outputs in zip(self.calls, self.outputs, strict=True):
            numbers = dict(step.slots)
            edges = tuple(
                wanted.get(numbers[i]) if i in numbers else leaf(a, a) if isinstance(a, Tensor) else None
                for i, a in enumerate(step.args)
            )
            self.edges.append(edges)
            self.needs.append(tuple(edge is not None for edge in edges))
            root = self.roots.get(numbers[0]) if 0 in numbers else step.args[0]
            for number, (shape, dtype) in zip(step.outputs, outputs, strict=True):
                if any(edges) and dtype.kind == "f":
                    wanted[number] = "value", number, shape, dtype
                if step.op.returns_view and isinstance(root, (int, Tensor)):
                    self.roots[number] = root
        self.recorded = [number for number in results if number in wanted]

    @staticmethod
    def possible(calls: list[Call | Write], results: list[int], mode: bool) -> bool:
        """Whether all calls are recorded alike, by rules of the usual kind; and the results are no views, and different."""
        made: set[int] = set()
        for call in calls:
            if isinstance(call, Write):
                continue
            usual = all(
                getattr(call.op, name).__func__ is getattr(Op, name).__func__ for name in ("apply", "run_backward")
            )
            if call.recording != mode or not usual:
                return False
            made.update(() if call.op.returns_view else call.outputs)
        return made.issuperset(results) and len(set(results)) == len(results)

    def run(self, inputs: list[Tensor]) -> dict[int, Tensor]:
        """The results by their numbers."""
        values: list[Any] = [*(t._array for t in inputs), *[None] * (self.n_values - len(inputs))]
        cells = {id(t._array): t._version_cell for t in inputs}
        contexts: list[Context] = []
        with np.errstate(all="ignore"):  # infinities and NaNs are results here, as in torch, not warnings
            for step in self.steps:
                if isinstance(step, Write):
                    _write(step)
                    continue
                op, args, slots, options, outputs, _, dying = step
                args = args.copy()
                for i, a in enumerate(args):
                    if isinstance(a, Tensor):
                        args[i] = a._array
                        cells[id(a._array)] = a._version_cell
                for place, number in slots:
                    args[place] = values[number]
                ctx = Context(op.__name__, self.needs[len(contexts)])
                contexts.append(ctx)
                result = op.forward(ctx, *args, **options)
                for number, array in zip(outputs, result if isinstance(result, tuple) else (result,), strict=True):
                    values[number] = array if type(array) is np.ndarray else np.asarray(array)
                    if number in self.roots:
                        root = self.roots[number]
                        root = inputs[root] if isinstance(root, int) else root
                        if np.may_share_memory(array, root._array):
                            cells[id(array)] = root._version_cell
                del args, result  # what dies here has to be gone before the next result asks for memory
                for number in dying:
                    values[number] = None
        results = {number: Tensor(values[number]) for number in self.results}
        if self.recorded:
            cells |= {id(t._array): t._version_cell for t in results.values()}
            for ctx in contexts:
                ctx.seal_cells(cells)
            leaves = tuple(inputs[a] if isinstance(a, int) else a for a in self.leaves)
            record(Compiled, _Context(self, contexts), leaves, tuple(results[n] for n in self.recorded), None)
        return results

    def backward(self, ctx: _Context, grad_outs: tuple) -> tuple:
        """The gradients of the leaves."""
        pending: Pending = {}
        for number, grad in zip(self.recorded, grad_outs, strict=True):
            if grad is not None:
                arrive(pending, "value", number, grad, False)
        calls = zip(self.calls, ctx.contexts, self.edges, self.outputs, strict=True)
        for step, context, edges, outputs in reversed([*calls]):
            grads = [pending.pop(("value", number), (None, False))[0] for number in step.outputs]
            if any(edges) and any(g is not None for g in grads):
                run_rule(step.op, context, edges, outputs, grads, None, pending)
            del grads
            if not ctx.retained:
                context.release()
        found = [pending.pop(("leaf", i), (None, True)) for i in range(len(self.leaves))]
        # (The engine takes what is no view for an array of its own.)
        return tuple(grad if ours or grad is None else grad.view() for grad, ours in found)
