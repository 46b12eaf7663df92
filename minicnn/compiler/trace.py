"""Tracing: run a model's forward once, and write down the operations it consists of.

The trace is a straight line of calls, ``op(values and constants) -> values``. Values are numbered: first the inputs, then
each result. Parameters and buffers are constants of the program that are looked at anew at each run. What Python did in
between (loops over layers, ``if self.training``) is gone; what it may depend on is guarded (``compiled.py``).

Some things cannot be written down: a number taken out to Python (``if x.sum() > 0``, ``x.item()``), a tensor that did not
come from the traced operations, a custom ``Function``. Then the trace is *broken*, with a reason and the line it happened
in, and the model runs eagerly. A broken trace is never guessed round.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..autograd import Op, Tensor
from ..autograd.anomaly import user_line
from ..autograd.grad_mode import is_grad_enabled
from ..autograd.tracing import listening
from ..dtypes import DType
from ..nn import Module

_ARITHMETIC = ("add_", "sub_", "mul_", "div_")


class Value(NamedTuple):
    """The result number ``number`` of the trace, standing for a tensor."""

    number: int


class Call(NamedTuple):
    """One operation: ``outputs = op.apply(*args, **options)``, recorded for backward or not.

    ``args`` holds :class:`Value`, tensors of the model (parameters, buffers) and constants; ``folded`` the tensors of the
    model that constants were computed from.
    """

    op: type[Op]
    args: tuple
    options: dict[str, Any]
    outputs: tuple[int, ...]
    recording: bool
    fused_from: tuple[str, ...] = ()
    folded: tuple[Tensor, ...] = ()

    @property
    def name(self) -> str:
        return self.op.__name__


class Write(NamedTuple):
    """``target.name(other)``: an in-place change of a buffer by a constant, such as counting batches."""

    target: Tensor
    name: str
    other: Any


class Program:
    """What was written down: the calls, and each value's shape and type."""

    def __init__(self, calls: list[Call | Write], shapes: list[tuple[int, ...]], dtypes: list[DType]):
        self.calls, self.shapes, self.dtypes = calls, shapes, dtypes

    def copy(self) -> Program:
        return Program([*self.calls], [*self.shapes], [*self.dtypes])

    def new_value(self, shape: tuple[int, ...], dtype: DType) -> int:
        """The number of one more value."""
        self.shapes.append(shape)
        self.dtypes.append(dtype)
        return len(self.shapes) - 1


class Trace:
    """The listener (see ``minicnn/autograd/tracing.py``) that fills ``program``; ``broken`` says why it could not."""

    def __init__(self, model: Module, inputs: list[Tensor]):
        self.program = Program([], [tuple(t.shape) for t in inputs], [t.dtype for t in inputs])
        self.broken: str | None = None
        self._n_inputs = len(inputs)
        self._numbers = {id(t): i for i, t in enumerate(inputs)}
        self._alive: list[Tensor] = list(inputs)  # keeps the ids ours
        self._model = {id(t): t for t in [*model.parameters(), *model.buffers()]}
        if any(id(t) in self._model for t in inputs):
            self._break("an input is one of the model's own tensors")

    def operation(self, op: type[Op], args: tuple, options: dict[str, Any], outputs: tuple) -> None:
        if self.broken:
            return
        written = tuple(self._reference(a, op.__name__) for a in args)
        for name, option in options.items():
            if isinstance(option, np.ndarray) or (isinstance(option, Tensor) and id(option) not in self._model):
                self._break(f"{op.__name__} takes numbers as its option {name!r} that no traced operation made")
        numbers = []
        for tensor in outputs:
            self._numbers[id(tensor)] = self.program.new_value(tuple(tensor.shape), tensor.dtype)
            numbers.append(self._numbers[id(tensor)])
            self._alive.append(tensor)
        self.program.calls.append(Call(op, written, options, tuple(numbers), is_grad_enabled()))

    def in_place(self, target: Tensor, compute: Any, name: str, sources: tuple, write: Any) -> Tensor:
        if id(target) in self._numbers:
            return self._overwrite(target, compute, name, sources, write)
        with listening(None):
            write(target, compute, name, *sources)
        if id(target) in self._model and name in _ARITHMETIC and not isinstance(sources[0], Tensor):
            self.program.calls.append(Write(target, name, sources[0]))
        else:
            self._break(f"{name} changes a tensor in place")
        return target

    def _overwrite(self, target: Tensor, compute: Any, name: str, sources: tuple, write: Any) -> Tensor:
        """An in-place change of a value nobody else looks at: in the plan, the tensor simply stands for the new value."""
        if target._version_cell.viewed:
            self._break(f"{name} changes memory in place that other tensors share")
        if self._numbers[id(target)] < self._n_inputs:
            self._break(f"{name} changes an input in place")
        results: list[Tensor] = []

        def listen(x: Tensor) -> Tensor:
            self._numbers[id(x)] = self._numbers[id(target)]  # x is the target, or a copy of it
            results.append(compute(x))
            self._alive += [x, results[0]]
            return results[0]

        write(target, listen, name, *sources)
        number = self._numbers.get(id(results[0]))
        if number is None:
            self._break(f"{name} writes what no traced operation made")
        else:
            self._numbers[id(target)] = number
        return target

    def read(self, tensor: Tensor, how: str) -> None:
        if id(tensor) in self._numbers:
            self._break(f"{how} takes a traced tensor's numbers out to Python")
        else:
            self._break(f"{how} takes numbers out to Python that the trace would not look at again")

    def opaque(self, what: str) -> None:
        self._break(what)

    def stands_for(self, tensor: Tensor) -> Value | Tensor:
        """A tensor that the model returns, as a value; one of its own as it is; any other breaks the trace."""
        number = self._numbers.get(id(tensor))
        if number is not None:
            return Value(number)
        if id(tensor) not in self._model:
            self._break("the model returns a tensor that no traced operation made")
        return tensor

    def _reference(self, argument: Any, name: str) -> Any:
        if not isinstance(argument, Tensor):
            return argument
        if id(argument) in self._numbers:
            return Value(self._numbers[id(argument)])
        if id(argument) in self._model:
            return argument
        self._break(
            f"{name} takes a tensor that is neither an input, a parameter, a buffer nor the result of a traced operation "
            "(from a factory, a comparison, detach()?)"
        )
        return argument

    def _break(self, reason: str) -> None:
        if self.broken is None:
            self.broken = f"{reason}, at {user_line()}"
