"""A plan: the traced operations, fused, in the order they run, and when each value dies.

Running a plan is running its operations through ``Op.apply``, so the backward pass is the ordinary one, on the fused
operations: hooks, versions, ``retain_graph`` and errors work as in eager mode. A value is dropped right after its last use;
its memory goes back to the shelf (``minicnn_kernels/workspace.py``) and the next result of its size takes it. So a steady
step allocates nothing large, and memory that somebody outside still holds is never taken.
"""

from __future__ import annotations

import copy
import math
from typing import Any

from ..autograd import Tensor, enable_grad, is_grad_enabled, no_grad
from ..nn import Module
from .patterns import fuse
from .trace import Call, Trace, Value, Write


class Plan:
    """What :func:`minicnn.compile` made of one trace. ``print(plan)`` shows it as a table.

    Attributes
    ----------
    calls : the operations that run.
    traced : how many operations the model's forward consisted of.
    folded : whether weights were folded into others: then the plan is good for these ``versions`` of them only.
    """

    def __init__(self, trace: Trace, output: Any, model: Module, versions: tuple[int, ...]):
        self.name = type(model).__name__
        self.versions = versions
        self._alive = [*model.modules()]  # the guard knows modules by identity
        self.output = output  # the model's result, with values in place of tensors
        self.traced = sum(isinstance(c, Call) for c in trace.calls)
        self.shapes, self.dtypes = trace.shapes, trace.dtypes
        self._unfused = trace.calls
        self._fuse()

    def _fuse(self) -> None:
        results = set(_values_in(self.output))
        inference = not any(c.recording for c in self._unfused if isinstance(c, Call))
        self.calls = fuse(self._unfused, results, inference)
        self.folded = any(isinstance(c, Call) and "BatchNormEval" in c.fused_from[1:] for c in self.calls)
        self._dies_after = self._last_uses(results)

    def folded_anew(self, versions: tuple[int, ...]) -> Plan:
        """A plan of the same trace for weights that have other values now (their ``versions``). This one stays as it is: a
        thread may be running it."""
        plan = copy.copy(self)
        plan.versions = versions
        plan._fuse()
        return plan

    def run(self, inputs: list[Tensor]) -> Any:
        """Run the operations on new inputs; the result has the structure of the model's."""
        values: dict[int, Tensor] = dict(enumerate(inputs))
        recording = is_grad_enabled()
        for call, dying in zip(self.calls, self._dies_after, strict=True):
            if isinstance(call, Write):
                getattr(call.target, call.name)(call.other)
                continue
            args = [values[a.number] if type(a) is Value else a for a in call.args]
            if call.recording == recording:
                result = call.op.apply(*args, **call.options)
            else:
                with enable_grad() if call.recording else no_grad():
                    result = call.op.apply(*args, **call.options)
            if isinstance(result, tuple):
                values.update(zip(call.outputs, result, strict=True))
            else:
                values[call.outputs[0]] = result
            del args, result
            for number in dying:
                del values[number]
        return _rebuild(self.output, values)

    def _last_uses(self, results: set[int]) -> list[list[int]]:
        """For each call the values that nothing after it looks at."""
        last: dict[int, int] = {}
        for i, call in enumerate(self.calls):
            if isinstance(call, Call):
                for number in (*call.outputs, *(a.number for a in call.args if isinstance(a, Value))):
                    last[number] = i
        dying: list[list[int]] = [[] for _ in self.calls]
        for number, i in last.items():
            if number not in results:
                dying[i].append(number)
        return dying

    def rows(self) -> list[tuple[str, str, str, str]]:
        """For each call: what runs, what it was fused from, its result's shape, its result's size in bytes."""
        table = []
        for call in self.calls:
            if isinstance(call, Write):
                table.append((f"{call.name}({call.other})", "", str(tuple(call.target.shape)), ""))
                continue
            number = call.outputs[0]
            size = math.prod(self.shapes[number]) * self.dtypes[number].itemsize
            table.append((call.name, " + ".join(call.fused_from), str(self.shapes[number]), f"{size:,}"))
        return table

    def __str__(self) -> str:
        header = ("operation", "fused from", "result", "bytes")
        rows = [header, *self.rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [f"{self.name}: {self.traced} operations traced, {sum(isinstance(c, Call) for c in self.calls)} run"]
        for row in rows:
            cells = [
                cell.rjust(w) if i == 3 else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)


def describe(output: Any, trace: Trace) -> Any:
    """A model's result with values in place of tensors; tuples, lists and dicts may be nested."""
    if isinstance(output, Tensor):
        number = trace.number_of(output)
        return output if number is None else Value(number)
    if type(output) in (tuple, list):
        return type(output)(describe(part, trace) for part in output)
    if type(output) is dict:
        return {key: describe(part, trace) for key, part in output.items()}
    if output is None or isinstance(output, (bool, int, float, str)):
        return output
    trace.opaque(f"the model returns a {type(output).__name__}, which cannot be rebuilt")
    return output


def _values_in(output: Any) -> list[int]:
    if type(output) is Value:
        return [output.number]
    if isinstance(output, (tuple, list)):
        return [n for part in output for n in _values_in(part)]
    return [n for part in output.values() for n in _values_in(part)] if isinstance(output, dict) else []


def _rebuild(output: Any, values: dict[int, Tensor]) -> Any:
    if type(output) is Value:
        return values[output.number]
    if type(output) in (tuple, list):
        return type(output)(_rebuild(part, values) for part in output)
    if type(output) is dict:
        return {key: _rebuild(part, values) for key, part in output.items()}
    return output
