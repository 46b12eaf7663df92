"""``profile(model, inputs)``: run a model many times, and say where the time went. The clock itself is in ``record.py``."""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from minicnn_kernels.threads import get_num_threads

from ..autograd import Tensor, backward, no_grad
from ..compiler import CompiledModule
from ..nn import Module
from ..ops import randn
from ..random import Generator, default_generator
from .peak import Peak, measure_peak
from .record import Entry, Recorder
from .report import Profile, Row

WARM_UP = 3  # the first calls compile kernels, trace, and find memory


class ProfileError(RuntimeError):
    """A model that cannot be profiled; the message says why."""


def profile(model: Module, *inputs: Tensor, repeats: int = 20, peak: Peak | None = None) -> Profile:
    """Measure a model layer by layer: time, arithmetic, traffic, and how near each layer comes to the machine's peak.

    In training mode (``model.training``) forward and backward, with a random gradient for the result; in evaluation mode
    forward, without gradients. A compiled model (``mc.compile``) has the operations of its plan in place of layers. The
    parameters, their gradients, the buffers and the default random generator are left as they were.

    Parameters
    ----------
    model : a module.
    inputs : what to call it with: tensors.
    repeats : how many times; medians are taken.
    peak : what to compare with; measured, for a second or so, unless given.

    Raises
    ------
    TypeError : something else than a module, or than tensors. ValueError : ``repeats`` below 1.
    ProfileError : a compiled model that runs eagerly because its trace breaks, or a model that does something else each
        time.

    >>> import minicnn as mc
    >>> from minicnn import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> result = profile(model, mc.randn(5, 1, 8, 8), repeats=3)
    >>> [(row.kind, row.shape) for row in result.rows]
    [('Conv2d', (5, 4, 6, 6)), ('ReLU', (5, 4, 6, 6)), ('Flatten', (5, 144)), ('Linear', (5, 2))]
    """
    if not isinstance(model, Module):
        raise TypeError(f"model: expected a Module, got {type(model).__name__}")
    if not inputs or not all(isinstance(x, Tensor) for x in inputs):
        raise TypeError(f"inputs: expected tensors, got {', '.join(type(x).__name__ for x in inputs) or 'none'}")
    if repeats < 1:
        raise ValueError(f"repeats: expected at least 1, got {repeats}")
    plain = model._orig_mod if isinstance(model, CompiledModule) else model
    with unchanged(model), nullcontext() if plain.training else no_grad():
        run = _Pass(model, inputs)
        _warm_up(run)
        counted = run(Recorder(model, count=True))
        passes, steps = [], []
        for _ in range(repeats):
            passes.append(run(Recorder(model)))
            start = time.perf_counter()
            run(None)
            steps.append(time.perf_counter() - start)
    keys = [entry.key for entry in counted]
    if any([entry.key for entry in entries] != keys for entries in passes):
        raise ProfileError("the model does something else each time it is called: there are no layers to compare")
    dtype = inputs[0].dtype
    return Profile(
        model=type(plain).__name__,
        mode="train" if plain.training else "eval",
        compiled=isinstance(model, CompiledModule),
        inputs=tuple(tuple(x.shape) for x in inputs),
        dtype=dtype.name,
        threads=get_num_threads(),
        repeats=repeats,
        step=statistics.median(steps),
        rows=tuple(_row(*each, plain.training) for each in zip(counted, *passes, strict=True)),
        peak=peak or measure_peak(dtype.numpy if dtype.is_floating_point else np.float32),
    )


class _Pass:
    """One pass over a model: forward, and in training mode backward."""

    def __init__(self, model: Module, inputs: tuple[Tensor, ...]):
        self.model, self.inputs = model, inputs
        self.gradients: list[Tensor] = []

    def __call__(self, recorder: Recorder | None) -> list[Entry]:
        for parameter in self.model.parameters():
            parameter.grad = None
        with recorder.forward() if recorder else nullcontext():
            result = self.model(*self.inputs)
        results = [t for t in _tensors(result) if t.requires_grad]
        if results:
            if [g.shape for g in self.gradients] != [t.shape for t in results]:
                generator = Generator().manual_seed(0)
                self.gradients = [randn(*t.shape, dtype=t.dtype, generator=generator) for t in results]
            with recorder.backward() if recorder else nullcontext():
                backward(results, self.gradients)
        return recorder.entries if recorder else []


def _warm_up(run: _Pass) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(WARM_UP):
            run(None)
    if isinstance(run.model, CompiledModule) and run.model.plan is None:
        reasons = [str(w.message) for w in caught if str(w.message).startswith("compile:")]
        reason = reasons[0] if reasons else "compile: the model runs eagerly, its trace breaks"
        raise ProfileError(f"{reason}. Profile the model itself, without compiling it")
    for w in caught:
        warnings.warn_explicit(w.message, w.category, w.filename, w.lineno)


def _row(counted: Entry, *measured_and_mode: Any) -> Row:
    *measured, training = measured_and_mode
    cost = counted.forward_cost + counted.backward_cost if training else counted.forward_cost
    return Row(
        layer=counted.layer,
        kind=counted.kind,
        shape=counted.shape,
        operations=counted.operations,
        forward=statistics.median(entry.forward for entry in measured),
        backward=statistics.median(entry.backward for entry in measured) if training else None,
        flops=cost.flops,
        bytes=cost.bytes,
    )


@contextmanager
def unchanged(model: Module) -> Iterator[None]:
    """Put back what running a model changes: gradients, buffers, the default generator."""
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    state = default_generator.get_state()
    try:
        yield
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient
        with no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        default_generator.set_state(state)


def _tensors(result: Any) -> list[Tensor]:
    """The tensors in a result that may be nested."""
    if isinstance(result, Tensor):
        return [result]
    parts = result.values() if isinstance(result, dict) else result if isinstance(result, (tuple, list)) else ()
    return [t for part in parts for t in _tensors(part)]
