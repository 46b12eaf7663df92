"""``mc.compile(model)``: trace once, then run the fused plan, as long as nothing it depended on has changed.

What a trace depends on is its *guard*: the inputs' shapes, types, memory orders and whether they require grad; the grad
mode; each module's identity, training flag and plain attributes (a stride, a probability); each parameter's and buffer's
identity, memory and whether it requires grad; hooks; the number of threads and the back end; and, where weights were folded,
all versions. Before each call the guard is worked out anew: a known one takes its plan, an unknown one traces again.

One thing no guard sees: state that Python code in ``forward`` changes or reads by itself (a counter, ``random.random()``).
Such a model is not for compiling.
"""

from __future__ import annotations

import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, overload

import numpy as np

from minicnn_kernels import backend_of
from minicnn_kernels.threads import get_num_threads

from ..autograd import Tensor, is_grad_enabled
from ..autograd.tracing import listening
from ..nn import Module
from ..random import default_generator
from .plan import Plan, describe
from .trace import Trace

MAX_PLANS = 16
_PLAIN = (bool, int, float, str, type(None))
_SETTING = (*_PLAIN, tuple, list)  # attributes of a module that its forward may depend on: training, stride, p, ...


class CompiledModule(Module):
    """A model that runs by plans. Made by :func:`compile`; has the model's attributes, parameters and state dict.

    Attributes
    ----------
    plan : the plan of the last call, or None where it ran eagerly.
    """

    def __init__(self, model: Module):
        super().__init__()
        self._orig_mod = model
        self._clear_plans()

    def _clear_plans(self) -> None:
        self.__dict__.update(plan=None, _plans=OrderedDict(), _lock=threading.Lock())

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        inputs = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        guard = self._guard(inputs, args, kwargs)
        plan = self._plans.get(guard)
        if plan is None:
            return self._trace(guard, inputs, args, kwargs)
        if isinstance(plan, Plan) and plan.folded and plan.versions != (versions := self._versions()):
            plan = plan.folded_anew(versions)  # an evaluation after each epoch, say: no reason to trace again
            self._keep(guard, plan)
        self.__dict__["plan"] = plan if isinstance(plan, Plan) else None  # else: known to break
        return plan.run(inputs) if isinstance(plan, Plan) else self._orig_mod(*args, **kwargs)

    def _trace(self, guard: Any, inputs: list[Tensor], args: tuple, kwargs: dict[str, Any]) -> Any:
        """Run the model eagerly, listening; then take its effects back and run the plan, so that the first result has the
        same bits as all later ones. A broken trace keeps the eager result, and leaves the reason for next time."""
        trace = Trace(self._orig_mod, inputs)
        if guard is None:
            trace.opaque("an argument is neither a tensor nor a plain value, or a module has hooks")
        if len({id(t) for t in inputs}) != len(inputs):
            trace.opaque("one tensor is passed twice")
        buffers = [(b, b._array.copy()) for b in self._orig_mod.buffers()]
        generator_state = default_generator.get_state()
        with listening(None if trace.broken else trace):
            result = self._orig_mod(*args, **kwargs)
            output = describe(result, trace)
        if trace.broken:
            if guard not in self._plans:
                name = type(self._orig_mod).__name__
                warnings.warn(f"compile: {name} runs eagerly, its trace broke: {trace.broken}", stacklevel=4)
            self._keep(guard, trace.broken)
            return result
        for buffer, values in buffers:
            np.copyto(buffer._array, values)
        default_generator.set_state(generator_state)
        plan = Plan(trace, output, self._orig_mod, self._versions())
        self._keep(guard, plan)
        return plan.run(inputs)

    def _keep(self, guard: Any, plan: Plan | str) -> None:
        with self._lock:
            self._plans[guard] = plan
            while len(self._plans) > MAX_PLANS:
                self._plans.popitem(last=False)
            self.__dict__["plan"] = plan if isinstance(plan, Plan) else None

    def _guard(self, inputs: list[Tensor], args: tuple, kwargs: dict[str, Any]) -> Any:
        """Everything the trace depends on, as a key; None where an argument or a hook cannot be guarded.

        Identities are safe as keys: a plan keeps the modules and tensors it was made from alive.
        """
        constants: list[tuple] = []
        for name, a in (*enumerate(args), *kwargs.items()):
            if isinstance(a, Tensor):
                constants.append((name, Tensor))
            elif isinstance(a, _PLAIN):
                constants.append((name, type(a), a))
            else:
                return None
        modules: list[Any] = []
        for module in self._orig_mod.modules():
            if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
                return None
            modules.append(id(module))
            modules += [_frozen(value) for value in module.__dict__.values() if isinstance(value, _SETTING)]
        model = self._orig_mod
        tensors = [
            (id(t), id(t._array), t._array.shape, t._array.dtype.char, t._leaf_requires_grad)
            for t in (*model.parameters(), *model.buffers())
        ]
        signatures = [(t._array.shape, t._array.dtype.char, t._array.strides, t.requires_grad) for t in inputs]
        backend = backend_of(inputs[0]._array) if inputs else None
        settings = is_grad_enabled(), get_num_threads(), backend
        return tuple(signatures), tuple(constants), settings, tuple(modules), tuple(tensors)

    def _versions(self) -> tuple[int, ...]:
        model = self._orig_mod
        return tuple(t._version_cell.value for t in (*model.parameters(), *model.buffers()))

    def __getstate__(self) -> dict[str, Any]:
        # A copy, or what comes out of a pickle, traces anew.
        return {key: value for key, value in self.__dict__.items() if key not in ("plan", "_plans", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._clear_plans()

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_orig_mod"), name)


def _frozen(setting: Any) -> Any:
    """A module's attribute as part of a key; what is not plain in it counts by its identity."""
    if isinstance(setting, (tuple, list)):
        return tuple(_frozen(part) for part in setting)
    return (type(setting), setting) if isinstance(setting, _PLAIN) else id(setting)


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
    operation      fused from             result        bytes
    Conv2d                                (4, 2, 6, 6)  1,152
    add_(1)                               ()
    BatchNormReLU  BatchNormTrain + ReLU  (4, 2, 6, 6)  1,152

    Raises
    ------
    TypeError : for anything but a module. NotImplementedError : for options.

    Warns
    -----
    UserWarning : where the trace breaks (a number taken out to Python, say); the model then runs eagerly.
    """
    if options:
        raise NotImplementedError(
            f"compile: the option {next(iter(options))!r} is not supported; call it without options"
        )
    if model is None:
        return compile
    if not isinstance(model, Module):
        raise TypeError(
            f"model: expected a Module, got {type(model).__name__}; put the function into a Module's forward"
        )
    return CompiledModule(model)
