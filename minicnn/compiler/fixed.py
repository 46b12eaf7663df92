"""A plan for inference on memory that stays: a list of kernels' calls that is made ready once.

In a small network a layer takes some ten microseconds, and finding memory, packing weights, cutting up work and making
arrays takes as long. None of it depends on the numbers. So each value of the plan gets its place in memory before the first
run (those that are never alive at the same time share one), each operation says which kernels it would call on these places
(``launches``; of one that does not say, the forward rule is called and its result copied), and a run copies the inputs in,
makes the calls and copies the results out.

One run needs one such memory: when two threads run the plan at the same time, a second one is made. The packed weights are
shared. They were packed from weights that may change: the plan looks whether they did (``plan.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels import backend_of, current_conv_algorithm, workspace
from minicnn_kernels.launch import Launch, once, run

from ..autograd import Tensor
from ..autograd.op import Context
from ..ops.inference import ConvEpilogue
from .direct import Step
from .show import address_of
from .trace import Program, Write

CHANNELS_LAST = 0, 2, 3, 1


class Fixed:
    """A plan's calls, for runs without gradients."""

    def __init__(self, steps: list[Step | Write], program: Program, results: list[int], n_inputs: int):
        self.steps = [step for step in steps if isinstance(step, Step)]
        self.program, self.results, self.n_inputs = program, results, n_inputs
        self.kept: dict[str, list[dict[str, Any]]] = {}  # algorithm -> packed weights of each step
        self.idle: dict[str, list[_Memory]] = {}  # algorithm -> memory that no run is using

    def is_ready(self) -> bool:
        """Whether there is memory to run on; else that is made. Not where a convolution cannot be made ready."""
        algorithm = current_conv_algorithm()
        idle = self.idle.setdefault(algorithm, [])
        if not idle:
            kept = self.kept.setdefault(algorithm, [{} for _ in self.steps])
            made = _Memory.of(self, kept)
            if made is None:
                return False
            idle.append(made)
        return True

    def run(self, inputs: list[Tensor]) -> dict[int, Tensor] | None:
        """The results by their numbers; None where it cannot be made ready."""
        idle = self.idle.setdefault(current_conv_algorithm(), [])
        while True:
            try:
                memory = idle.pop()
                break
            except IndexError:  # the first run with this algorithm, or another thread is running too
                if not self.is_ready():
                    return None
        try:
            with np.errstate(all="ignore"):
                return memory.run(inputs, self.results)
        finally:
            idle.append(memory)

    def addresses(self) -> list[int | None]:
        """Where each step's result lies, for those who print the plan; None where it is small."""
        memory = next(found[0] for found in self.idle.values() if found)
        places = [memory.places[step.outputs[0]] for step in self.steps]
        return [address_of(place) if place.nbytes >= workspace.SMALLEST else None for place in places]


class _Memory:
    """Places for all values of a plan, and the calls that work on them."""

    def __init__(self, kernels: Any):
        self.kernels = kernels
        self.places: dict[int, np.ndarray] = {}
        self.launches: list[Launch] = []
        self.inputs: list[np.ndarray] = []
        self._free: list[np.ndarray] = []
        self._blocks: dict[int, np.ndarray] = {}  # value -> the block it lies in
        self._alive: dict[int, int] = {}  # id of a block -> how many values lie in it that are needed yet

    @staticmethod
    def of(plan: Fixed, kept: list[dict[str, Any]]) -> _Memory | None:
        """None where a convolution cannot be made ready."""
        shapes, dtypes = plan.program.shapes, plan.program.dtypes
        memory = _Memory(backend_of(np.empty(0)))
        for number in range(plan.n_inputs):
            memory.inputs.append(memory._place(number, shapes[number], dtypes[number].numpy))
        for step, constants in zip(plan.steps, kept, strict=True):
            args = [a._array if isinstance(a, Tensor) else a for a in step.args]
            for place, number in step.slots:
                args[place] = memory.places[number]
            if not memory._view(step, args):
                axes = getattr(step.op, "memory_axes", CHANNELS_LAST)
                outs = [memory._place(n, shapes[n], dtypes[n].numpy, axes) for n in step.outputs]
                made = _launches(step, outs, constants, args)
                if made is None:
                    return None
                memory.launches += made
            for number in step.dying:
                memory._release(number)
        return memory

    def run(self, inputs: list[Tensor], results: list[int]) -> dict[int, Tensor]:
        for place, tensor in zip(self.inputs, inputs, strict=True):
            self.kernels.copy_into(tensor._array, place)
        run(self.launches)
        return {number: Tensor(workspace.copied(self.places[number])) for number in results}

    def _view(self, step: Step, args: list[Any]) -> bool:
        """Whether the step only looks at its operand in another way; then that is all."""
        source = dict(step.slots).get(0)
        if not step.op.returns_view or source is None:
            return False
        result = step.op.forward(Context(step.op.__name__, (False,) * len(args)), *args, **step.options)
        views = result if isinstance(result, tuple) else (result,)
        if not all(np.may_share_memory(view, self._blocks[source]) for view in views):
            return False
        for number, view in zip(step.outputs, views, strict=True):
            self.places[number], self._blocks[number] = view, self._blocks[source]
            self._alive[id(self._blocks[source])] += 1
        return True

    def _place(
        self, number: int, shape: tuple[int, ...], dtype: np.dtype, axes: tuple[int, ...] = CHANNELS_LAST
    ) -> np.ndarray:
        """Memory for a value: with four axes in this order (images channels-last), everything else row-major."""
        size = max(1, int(np.prod(shape)) * dtype.itemsize)
        # What was given back last is in the cache, if anything is.
        fits = [i for i, block in enumerate(self._free) if size <= block.size <= 2 * size]
        block = self._free.pop(fits[-1]) if fits else workspace.empty((size,), np.uint8)
        self._blocks[number], self._alive[id(block)] = block, 1
        flat = block[: int(np.prod(shape)) * dtype.itemsize].view(dtype)
        if len(shape) == 4:
            back = sorted(range(4), key=axes.__getitem__)
            self.places[number] = flat.reshape([shape[axis] for axis in axes]).transpose(back)
        else:
            self.places[number] = flat.reshape(shape)
        return self.places[number]

    def _release(self, number: int) -> None:
        block = self._blocks[number]
        self._alive[id(block)] -= 1
        if not self._alive[id(block)]:
            self._free.append(block)


def _launches(step: Step, outs: list[np.ndarray], kept: dict[str, Any], args: list[Any]) -> list[Launch] | None:
    """What the operation makes ready; or its forward rule, and a copy of the result."""
    ready = getattr(step.op, "launches", None)
    if ready is not None:
        made = ready(outs[0], kept, *args, **step.options)
        if made is not None or step.op is ConvEpilogue:
            return made

    def forward() -> None:
        result = step.op.forward(Context(step.op.__name__, (False,) * len(args)), *args, **step.options)
        for out, array in zip(outs, result if isinstance(result, tuple) else (result,), strict=True):
            np.copyto(out, array)

    return [once(forward)]
