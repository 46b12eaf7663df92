"""The clock: whose turn it is, and how long it took.

Forward, the recorder listens to operations (``minicnn/autograd/tracing.py``) and to the calls of modules (their hooks): each
layer has the time from the end of the one before it to its own end, Python between them included, so that the layers add up
to the whole. Backward, a hook on each result fires when its gradient is complete, which is when the engine turns to the
operation that made it: it has the time until the next hook fires. Nothing is measured, and nothing costs anything, when
nobody records.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ..autograd import Op, RemovableHandle, Tensor
from ..autograd.tracing import listening
from ..compiler import CompiledModule
from ..nn import Module
from .costs import NOTHING, UNKNOWN, backward_cost, forward_cost

clock = time.perf_counter


class Entry:
    """One layer's call (or an operation's, where no layer does it) in one pass."""

    def __init__(self, layer: str, kind: str):
        self.layer, self.kind = layer, kind
        self.shape: tuple[int, ...] = ()
        self.operations = 0
        self.forward = self.backward = 0.0
        self.forward_cost = self.backward_cost = NOTHING

    @property
    def key(self) -> tuple:
        """What must be the same in each pass."""
        return self.layer, self.kind, self.shape, self.operations


class Recorder:
    """Records one forward and one backward pass. ``count`` asks for the costs too, which takes time of its own."""

    def __init__(self, model: Module, count: bool = False):
        self.entries: list[Entry] = []
        self._model, self._count = model, count
        self._path = [""]
        self._layer: Entry | None = None  # the layer that is being computed
        self._unknown = ""  # what has run since the last operation that cannot be seen
        self._hooked: set[Any] = set()
        self._turns: list[tuple[float, Entry]] = []
        self._last = 0.0

    @contextmanager
    def forward(self) -> Iterator[None]:
        """Within the block, the model's forward pass runs."""
        handles: list[RemovableHandle] = []
        try:
            for path, module in _observed(self._model, "", set()):
                handles.append(module.register_forward_pre_hook(partial(self._enter, path)))
                handles.append(module.register_forward_hook(self._leave))
            with listening(self):
                self._last = clock()
                yield
                if self._unknown:
                    self._begin(self._unknown)
                if self.entries:
                    self.entries[-1].forward += clock() - self._last
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def backward(self) -> Iterator[None]:
        """Within the block, the backward pass runs."""
        start = clock()
        yield
        end = clock()
        # The time before the first turn is spent on finding the way: it belongs to the operation that comes first.
        times = [start, *(at for at, _ in self._turns[1:]), end]
        for (_, entry), begin, done in zip(self._turns, times, times[1:], strict=False):
            entry.backward += done - begin
        self._turns, self._hooked = [], set()

    # ------------------------------------------------------------------ modules

    def _enter(self, path: str, module: Module, args: Any) -> None:
        if _is_layer(module):
            if self._unknown:
                self._take_time(self._begin(self._unknown))
            self._layer = Entry(path, type(module).__name__)
            self.entries.append(self._layer)
        else:
            self._path.append(path)

    def _leave(self, module: Module, args: Any, output: Any) -> None:
        if not _is_layer(module):
            self._path.pop()
            return
        layer, self._layer = self._layer, None
        assert layer is not None, "a layer ends that has not begun"
        if isinstance(output, Tensor):
            layer.shape = tuple(output.shape)
            self._watch(output, layer)
        if self._unknown:
            layer.forward_cost = layer.backward_cost = UNKNOWN
            self._unknown = ""
        self._take_time(layer)

    # ------------------------------------------------------------------ operations: the listener's methods

    def operation(self, op: type[Op], args: tuple, options: dict[str, Any], outputs: tuple) -> None:
        now = clock()
        entry = self._layer
        if entry is None:
            entry = self._begin(f"{self._unknown} + {op.__name__}" if self._unknown else op.__name__)
            entry.shape = tuple(outputs[0].shape)
        entry.forward += now - self._last
        entry.operations += 1
        if self._count:
            entry.forward_cost += forward_cost(op, args, options, outputs)
            entry.backward_cost += backward_cost(op, args, options, outputs)
        for tensor in outputs:
            self._watch(tensor, entry)
        self._last = clock()

    def in_place(self, target: Any, compute: Callable, name: str, sources: tuple, write: Callable) -> Any:
        return write(target, compute, name, *sources)  # its operations report themselves

    def read(self, tensor: Any, how: str) -> None:
        """Numbers may be looked at."""

    def opaque(self, what: str) -> None:
        self._unknown = what

    # ------------------------------------------------------------------

    def _begin(self, kind: str) -> Entry:
        entry = Entry(self._path[-1], kind)
        if self._unknown:
            entry.forward_cost = entry.backward_cost = UNKNOWN
            self._unknown = ""
        self.entries.append(entry)
        return entry

    def _take_time(self, entry: Entry) -> None:
        now = clock()
        entry.forward += now - self._last
        self._last = clock()

    def _watch(self, tensor: Tensor, entry: Entry) -> None:
        """Note when the backward pass turns to what made this tensor."""
        result = tensor._node, tensor._output_number
        if tensor._node is not None and result not in self._hooked:
            self._hooked.add(result)
            with listening(None):  # of our own doing, and not the model's
                tensor.register_hook(lambda grad: self._turns.append((clock(), entry)))


def _is_layer(module: Module) -> bool:
    return not any(True for _ in module.children())


def _observed(module: Module, path: str, seen: set[Module]) -> Iterator[tuple[str, Module]]:
    """The modules below this one, each once, with their names; none inside a compiled one, which no hook may touch."""
    if isinstance(module, CompiledModule):
        return
    for name, child in module.named_children():
        if child not in seen:
            seen.add(child)
            inner = f"{path}.{name}" if path else name
            yield inner, child
            yield from _observed(child, inner, seen)
