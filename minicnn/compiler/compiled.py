"""``mc.compile(model)``: trace once, then run the fused plan, as long as nothing it depended on has changed.

Before each call the *guard* is worked out (``guard.py``): a known one takes its plan, an unknown one traces again. Plans
with folded weights also look whether these are what they were. What cannot be traced runs eagerly, with one warning that
says why and where.

Plans have no state that a run changes, so threads may run one at the same time; one thread traces at a time. (Two threads
that *train* one model race for its running statistics and gradients, compiled or not, as in torch.)
"""

from __future__ import annotations

import random
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, overload

import numpy as np

from ..autograd import Tensor, anomaly, tracing
from ..autograd.tracing import listening
from ..nn import Module
from ..random import Generator, default_generator
from .guard import Guard, Unguarded, Watch, guard_of, model_state
from .plan import Plan, describe, tensors_in
from .show import kept_bytes
from .trace import Trace

MAX_PLANS = 16
_ROOT = "_orig_mod"


class _Cache:
    """What a compiled model has learnt: its plans, and the reasons of broken traces. Not copied with the model."""

    def __init__(self) -> None:
        self.lock = threading.RLock()  # held while tracing
        self.entries: OrderedDict[tuple, tuple[Plan | str, list[Tensor]]] = OrderedDict()  # with what keeps ids ours
        self.watch = Watch()
        self.last: Plan | None = None
        self.warned: set[str] = set()
        self.unsettled = 0  # traces in a row during which the model changed what they depend on
        self.drawn = 0  # traces in a row during which Python's or NumPy's generators moved
        self.given_up = False


class CompiledModule(Module):
    """A model that runs by plans. Made by :func:`compile`; has the model's attributes, parameters and state dict.

    Attributes
    ----------
    plan : the plan of the last call, or None where it ran eagerly.
    """

    def __init__(self, model: Module):
        super().__init__()
        self.__dict__.pop("training")  # the model's, below
        self._modules[_ROOT] = model
        self.__dict__["_cache"] = _Cache()

    @property
    def plan(self) -> Plan | None:
        return self.__dict__["_cache"].last

    @property
    def _orig_mod(self) -> Module:
        return self.__dict__["_modules"][_ROOT]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        model, cache = self._orig_mod, self.__dict__["_cache"]
        if isinstance(
            tracing.state.tracer, Trace
        ):  # part of a model that is being compiled: its trace sees the operations
            return model(*args, **kwargs)
        if cache.given_up or anomaly.is_enabled():  # whoever looks for a NaN wants the line of the layer
            cache.last = None
            return model(*args, **kwargs)
        try:
            guard = guard_of(model, args, kwargs, cache.watch)
        except Unguarded as reason:
            cache.last = None
            self._warn(str(reason), stacklevel=3)
            return model(*args, **kwargs)
        entry = cache.entries.get(guard.key)
        if entry is None:
            with cache.lock:
                entry = cache.entries.get(guard.key)  # another thread may have been faster
                if entry is None:
                    return self._trace(guard, args, kwargs)
        plan, alive = entry
        if not isinstance(plan, Plan):  # known to break
            cache.last = None
            return model(*args, **kwargs)
        if not plan.is_fresh():  # an evaluation after each epoch, say: no reason to trace again
            plan = plan.folded_anew()
            with cache.lock:
                cache.entries[guard.key] = plan, alive
        cache.last = plan
        return plan.run(guard.inputs)

    def _trace(self, guard: Guard, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Run the model eagerly, listening; then take its effects back and run the plan, so that the first result has the
        same bits as all later ones. A broken trace keeps the eager result, and leaves the reason for next time."""
        model, cache = self._orig_mod, self.__dict__["_cache"]
        trace = Trace(model, guard.inputs)
        tensors = [*model.parameters(), *model.buffers()]
        buffers = [(b, b._array.copy()) for b in model.buffers()]
        versions = [p._version_cell.value for p in model.parameters()]
        generators = [(g, g.get_state()) for g in _generators(model)]
        elsewhere = _other_random_states()
        with listening(trace):
            result = model(*args, **kwargs)
            output = describe(result, trace)
            # Once, it may have been another thread (a loader's); the next call tries again.
            drawn = _other_random_states() != elsewhere
            cache.drawn = cache.drawn + 1 if drawn else 0
            if cache.drawn > 1:
                cache.drawn = 0
                trace.opaque("forward draws random numbers from Python or NumPy, not from minicnn")
            if [p._version_cell.value for p in model.parameters()] != versions:
                trace.opaque("forward changes a parameter")
        settled = _same_model(model, guard)
        cache.unsettled = 0 if settled else cache.unsettled + 1
        if not settled and not trace.broken:
            # Something was made at the first call, to stay (fine: the next call traces); or it changes at every call.
            cache.last = None
            if cache.unsettled > 1:
                cache.given_up = True
                self._warn("each call changes attributes of the model, or of its modules, that a trace depends on", 4)
            return result
        if trace.broken:
            self._keep(guard, trace.broken, tensors)
            self._warn(trace.broken, stacklevel=4)
            return result
        if drawn:
            cache.last = None
            return result
        for buffer, values in buffers:
            np.copyto(buffer._array, values)
        for generator, state in generators:
            generator.set_state(state)
        plan = Plan(trace.program, output, type(model).__name__)
        self._keep(guard, plan, tensors)
        plan.memory.kept_unfused = kept_bytes(tensors_in(result), tensors)
        del trace, result  # and the memory with them
        result = plan.run(guard.inputs)
        plan.memory.kept = kept_bytes(tensors_in(result), tensors)
        return result

    def _warn(self, reason: str, stacklevel: int) -> None:
        """Say once why the model is not compiled; at the line that called it, ``stacklevel`` frames up from here."""
        if reason not in self._cache.warned:
            self._cache.warned.add(reason)
            where = reason if ", at " in reason else f"{reason}, at {anomaly.user_line()}"
            name = type(self._orig_mod).__name__
            warnings.warn(f"compile: {name} runs eagerly, its trace broke: {where}", stacklevel=stacklevel + 1)

    def _keep(self, guard: Guard, plan: Plan | str, tensors: list[Tensor]) -> None:
        cache = self._cache
        cache.last = plan if isinstance(plan, Plan) else None
        cache.entries[guard.key] = plan, tensors
        cache.entries.move_to_end(guard.key)
        if len(cache.entries) > MAX_PLANS:
            cache.entries.popitem(last=False)
            if "too many" not in cache.warned:
                cache.warned.add("too many")
                warnings.warn(
                    f"compile: {type(self._orig_mod).__name__} was called with more than {MAX_PLANS} kinds of inputs "
                    "or settings; the oldest plans are dropped, and tracing again costs more than it brings. Give inputs "
                    "of one shape (pad them, drop the last batch), or do not compile",
                    stacklevel=5,
                )

    def __getstate__(self) -> dict[str, Any]:
        # A copy, or what comes out of a pickle, traces anew.
        return {key: value for key, value in self.__dict__.items() if key != "_cache"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _cache=_Cache())

    # Everything else is the model's, as in torch: its attributes, its training flag.

    def __getattr__(self, name: str) -> Any:
        if _ROOT not in self.__dict__.get("_modules", ()):  # half made, or half unpickled
            raise AttributeError(name)
        return getattr(self._orig_mod, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == _ROOT or _ROOT not in self.__dict__.get("_modules", ()):
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._orig_mod)})


def _same_model(model: Module, guard: Guard) -> bool:
    """Whether the model's part of the guard is what it was before the trace."""
    try:
        return model_state(model) == guard.key[1]
    except Unguarded:
        return False


def _generators(model: Module) -> list[Generator]:
    """The default generator, and those that modules keep."""
    own = [v for module in model.modules() for v in module.__dict__.values() if isinstance(v, Generator)]
    return [default_generator, *own]


def _other_random_states() -> tuple:
    """Python's and NumPy's global generators."""
    return random.getstate(), _comparable(np.random.get_state(legacy=False))  # noqa: NPY002  a look, no draw


def _comparable(state: Any) -> Any:
    """A bit generator's state, whichever it is, as something that ``==`` compares."""
    if isinstance(state, dict):
        return {name: _comparable(part) for name, part in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


@overload
def compile(model: Module, **options: Any) -> CompiledModule: ...
@overload
def compile(model: None = None, **options: Any) -> Callable[[Module], CompiledModule]: ...
def compile(model: Module | None = None, **options: Any) -> CompiledModule | Callable[[Module], CompiledModule]:
    """A model that computes the same with fewer passes over memory.

    The first call for inputs of a shape runs eagerly and is traced; later calls run a plan in which known patterns are fused
    (``minicnn/compiler/patterns.py`` lists them). ``print(compiled.plan)`` shows it.

    Parameters
    ----------
    model : a module. It stays as it is, and shares its parameters with the result.
    options : torch.compile's (``mode``, ``fullgraph``, ``dynamic``, ``backend``) are not there.

    >>> import minicnn as mc
    >>> from minicnn import nn
    >>> model = mc.compile(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()))
    >>> x = mc.randn(4, 1, 8, 8)
    >>> first, second = model(x), model(x)
    >>> print(model.plan)
    Sequential: 3 operations traced, 2 run
    operation      fused from                    result        bytes
    Conv2d                                       (4, 2, 6, 6)  1,152
    add_(1)                                      ()
    BatchNormReLU  bias + BatchNormTrain + ReLU  (4, 2, 6, 6)  1,152
    kept for the backward pass: 3,344 bytes; unfused 3,344

    Raises
    ------
    TypeError : for anything but a module. NotImplementedError : for options.

    Warns
    -----
    UserWarning : where the trace breaks (a number taken out to Python, say); the model then runs eagerly. Also where more
        than 16 plans are needed at a time.
    """
    if options:
        raise NotImplementedError(
            f"compile: the option {next(iter(options))!r} is not supported; call it without options"
        )
    if model is None:
        return compile
    if isinstance(model, type):
        raise TypeError(
            f"model: expected a Module, got the class {model.__name__}; compile an object: {model.__name__}()"
        )
    if not isinstance(model, Module):
        raise TypeError(
            f"model: expected a Module, got {type(model).__name__}; put the function into a Module's forward"
        )
    return CompiledModule(model)
