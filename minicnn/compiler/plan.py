"""A plan: the traced operations, fused, in the order they run, and when each value dies.

The first run goes through ``Op.apply``, operation by operation; later ones of all but unusual plans are one operation of
the graph (``direct.py``). Hooks, versions, ``retain_graph`` and errors work as in eager mode. A value is dropped right after
its last use; its memory goes back to the shelf (``minicnn_kernels/workspace.py``) and the next result of its size takes it.
So a steady step allocates nothing large, and memory that somebody outside still holds is never taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Tensor, is_grad_enabled, set_grad_enabled, tracing
from .direct import Direct, Step
from .epilogues import with_epilogues
from .fixed import Fixed
from .patterns import fuse
from .show import Memory, place_of, rows, text
from .trace import Call, Program, Trace, Value, Write


class _Source:
    """A tensor whose numbers went into a constant of the plan, and how to tell that it still has them."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor
        self.cell, self.version = tensor._version_cell, tensor._version_cell.value
        # Memory that NumPy, or .data, looks at may change behind the version's back: compare the numbers themselves.
        self.values = tensor._array.copy() if self.cell.exported else None

    def is_fresh(self) -> bool:
        if self.tensor._version_cell is not self.cell or self.cell.value != self.version:
            return False
        return not self.cell.exported or (self.values is not None and np.array_equal(self.values, self.tensor._array))


class Plan:
    """What :func:`minicnn.compile` made of one trace. ``print(plan)`` shows it as a table.

    Attributes
    ----------
    calls : the operations that run.
    traced : how many operations the model's forward consisted of.
    memory : where results lay in the first run, and what it kept for the backward pass.
    folded : whether weights were folded into others: then the plan is good for as long as these are what they were.
    """

    def __init__(self, program: Program, output: Any, name: str):
        self.name = name
        self.output = output  # the model's result, with values in place of tensors
        self.traced = sum(isinstance(c, Call) for c in program.calls)
        self._unfused = program
        program = program.copy()
        results = set(_values_in(output))
        inference = not any(c.recording for c in program.calls if isinstance(c, Call))
        self._program, self.shapes, self.dtypes = program, program.shapes, program.dtypes
        self._fixed = self._on_fixed_memory(results) if inference else None
        if self._fixed is None:
            self.calls = fuse(program, results, inference)
        sources = {id(t): t for c in self.calls if isinstance(c, Call) for t in (c.folded or _packed(c))}
        self._sources = [_Source(t) for t in sources.values()]
        self.folded = bool(self._sources)
        self._steps = self._prepared(results)
        self.memory = Memory()  # of the first run
        if self._fixed is not None:
            self.memory.places = self._fixed.addresses()
        self._direct: Direct | None = None
        self._looked = False  # whether it can be run directly

    def folded_anew(self) -> Plan:
        """A plan of the same trace for weights that have other values now. This one stays as it is: a thread may be running
        it."""
        return Plan(self._unfused, self.output, self.name)

    def is_fresh(self) -> bool:
        """Whether the weights that were folded are what they were."""
        return all(source.is_fresh() for source in self._sources)

    def run(self, inputs: list[Tensor]) -> Any:
        """Run the operations on new inputs; the result has the structure of the model's."""
        mode = is_grad_enabled()
        places: list[int | None] | None = None if self.memory.places else []
        if tracing.state.tracer is None:
            found = None if self._fixed is None else self._fixed.run(inputs)
            if found is not None:
                return _rebuild(self.output, found)
            if not self._looked and places is None:
                self._look(inputs, mode)
            if self._direct is not None and places is None:
                return _rebuild(self.output, self._direct.run(inputs))
        values: list[Any] = [*inputs, *[None] * (len(self.shapes) - len(inputs))]
        for step in self._steps:
            if isinstance(step, Write):
                getattr(step.target, step.name)(step.other)
                continue
            op, args, slots, options, outputs, recording, dying = step
            args = args.copy()
            for place, number in slots:
                args[place] = values[number]
            if recording == mode:
                result = op.apply(*args, **options)
            else:
                with set_grad_enabled(recording):
                    result = op.apply(*args, **options)
            if isinstance(result, tuple):
                for number, tensor in zip(outputs, result, strict=True):
                    values[number] = tensor
            else:
                values[outputs[0]] = result
            if places is not None:
                places.append(place_of(result))
            del args, result  # what dies here has to be gone before the next result asks for memory
            for number in dying:
                values[number] = None
        if places is not None:
            self.memory.places = places  # at once, and only of a whole run: other threads may run too
        return _rebuild(self.output, values)

    def _on_fixed_memory(self, results: set[int]) -> Fixed | None:
        """For inference: the calls with their epilogues, all ready to run; or None, where that cannot be."""
        calls = with_epilogues(self._program, results)
        if not calls or not any(isinstance(c, Call) and hasattr(c.op, "launches") for c in calls):
            return None
        order = _values_in(self.output)
        if not Direct.possible(calls, order, mode=False):
            return None
        n_inputs = min(c.outputs[0] for c in self._program.calls if isinstance(c, Call))  # inputs are numbered first
        self.calls = calls
        fixed = Fixed(self._prepared(results), self._program, order, n_inputs)
        return fixed if n_inputs and fixed.is_ready() else None

    def _look(self, inputs: list[Tensor], mode: bool) -> None:
        results = _values_in(self.output)
        if Direct.possible(self.calls, results, mode):
            self._direct = Direct(self._steps, self._program, results, inputs, mode)
        self._looked = True

    def _prepared(self, results: set[int]) -> list[Step | Write]:
        last: dict[int, int] = {}  # value -> the call after which nothing looks at it
        for i, call in enumerate(self.calls):
            if isinstance(call, Call):
                last |= dict.fromkeys((*call.outputs, *(a.number for a in call.args if isinstance(a, Value))), i)
        steps: list[Step | Write] = []
        for i, call in enumerate(self.calls):
            if isinstance(call, Write):
                steps.append(call)
                continue
            slots = tuple((place, a.number) for place, a in enumerate(call.args) if isinstance(a, Value))
            args = [None if isinstance(a, Value) else a for a in call.args]
            dying = tuple(number for number, at in last.items() if at == i and number not in results)
            steps.append(Step(call.op, args, slots, call.options, call.outputs, call.recording, dying))
        return steps

    def rows(self) -> list[tuple[str, ...]]:
        """For each call: what runs, what it was fused from, its result's shape, size in bytes, and memory."""
        return rows(self)

    def __str__(self) -> str:
        return text(self)


def _packed(call: Call) -> list[Tensor]:
    """Tensors of the model whose numbers are kept in another form (``fixed.py``)."""
    return [a for a in call.args if isinstance(a, Tensor)] if hasattr(call.op, "launches") else []


def describe(output: Any, trace: Trace) -> Any:
    """A model's result with values in place of tensors; tuples, lists and dicts may be nested."""
    if isinstance(output, Tensor):
        return trace.stands_for(output)
    if _rebuildable(output):
        return _of_type(output, (describe(part, trace) for part in output))
    if type(output) is dict:
        return {key: describe(part, trace) for key, part in output.items()}
    if output is None or isinstance(output, (bool, int, float, str)):
        return output
    trace.opaque(f"the model returns a {type(output).__name__}, which cannot be rebuilt")
    return output


def tensors_in(output: Any) -> list[Tensor]:
    """The tensors of a model's result."""
    if isinstance(output, Tensor):
        return [output]
    parts = output.values() if isinstance(output, dict) else output if _rebuildable(output) else ()
    return [tensor for part in parts for tensor in tensors_in(part)]


def _rebuildable(output: Any) -> bool:
    """Whether it is a tuple, a list or a named tuple (a Value is one, but stands for a tensor)."""
    named = isinstance(output, tuple) and hasattr(output, "_fields")
    return type(output) in (tuple, list) or (named and type(output) is not Value)


def _of_type(output: Any, parts: Any) -> Any:
    return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)


def _values_in(output: Any) -> list[int]:
    if type(output) is Value:
        return [output.number]
    if _rebuildable(output):
        return [n for part in output for n in _values_in(part)]
    return [n for part in output.values() for n in _values_in(part)] if isinstance(output, dict) else []


def _rebuild(output: Any, values: Any) -> Any:
    """The model's result; ``values[number]`` are its tensors."""
    if type(output) is Value:
        return values[output.number]
    if _rebuildable(output):
        return _of_type(output, (_rebuild(part, values) for part in output))
    if type(output) is dict:
        return {key: _rebuild(part, values) for key, part in output.items()}
    return output
