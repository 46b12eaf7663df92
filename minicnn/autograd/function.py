"""Function: the public door into autograd, for your own differentiable operations on tensors. As torch's.

>>> import minicnn as mc
>>> class Exp(mc.autograd.Function):
...     @staticmethod
...     def forward(ctx, x):
...         y = x.exp()
...         ctx.save_for_backward(y)
...         return y
...     @staticmethod
...     def backward(ctx, grad_out):
...         (y,) = ctx.saved_tensors
...         return grad_out * y
>>> x = mc.tensor([0.0, 1.0], requires_grad=True)
>>> Exp.apply(x).sum().backward()
>>> x.grad
tensor([1.0000, 2.7183])

The framework's own operations use ``Op`` (``op.py``), whose rules work on arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import anomaly, tracing, views
from .grad_mode import is_grad_enabled, no_grad
from .op import Context, Op, record
from .tensor import Tensor


class FunctionContext(Context):
    """The ``ctx`` of a custom :class:`Function`."""

    def __init__(self, name: str, needs_input_grad: tuple[bool, ...]):
        super().__init__(name, needs_input_grad)
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._tensors: tuple[Tensor | None, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep inputs or outputs (or fresh tensors) for the backward pass; they come back as ``saved_tensors``."""
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    f"save_for_backward: expected tensors or None, got {type(tensor).__name__}; keep other values as "
                    "attributes of ctx"
                )
        self._tensors = tensors
        self.save(*(None if t is None else t._array for t in tensors))

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What :meth:`save_for_backward` kept, checked for in-place changes."""
        return tuple(None if a is None else Tensor(a) for a in self.saved)

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that these outputs have no gradient (indices, masks)."""
        self._non_differentiable = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether the gradient of an output that was not used arrives as zeros (the default) or as None."""
        self.materialize_grads = bool(value)

    def mark_dirty(self, *inputs: Tensor) -> None:
        """Say that these inputs have been changed in place. ``forward`` must return them."""
        self._dirty = inputs

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """For ``jvp`` in torch; there is no forward mode here, so nothing is kept."""


class Function(Op):
    """Base of custom differentiable functions: define static ``forward(ctx, ...)`` and ``backward(ctx, *grads)``.

    ``forward`` takes tensors and anything else and returns a tensor or a tuple of them; ``backward`` returns one gradient
    (or None) for each argument of ``forward``. torch's newer style, ``forward(...)`` without ctx beside
    ``setup_context(ctx, inputs, output)``, works too. Call it by ``MyFunction.apply(...)``.
    """

    setup_context: Any = None

    @staticmethod
    def forward(*args: Any, **options: Any) -> Any:
        raise NotImplementedError("forward: define a static method forward(ctx, ...) in your Function")

    @staticmethod
    def backward(ctx: Any, *grad_outs: Any) -> Any:
        raise NotImplementedError(
            f"{ctx.name}: define a static method backward(ctx, *grads) to differentiate through it"
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        raise NotImplementedError("vmap: functions are not batched here; write forward for a batch")

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        raise NotImplementedError("jvp: there is no forward mode; autograd.functional.jvp goes by the Jacobian")

    @classmethod
    def apply(cls, *args: Any, **options: Any) -> Any:
        if tracing.state.tracer is not None:
            tracing.state.tracer.opaque(f"a custom Function, {cls.__name__}")
        recording = is_grad_enabled()
        ctx = FunctionContext(
            cls.__name__, tuple([recording and isinstance(a, Tensor) and a.requires_grad for a in args])
        )
        with no_grad():
            if cls.setup_context is None:
                result = cls.forward(ctx, *args, **options)
            else:
                result = cls.forward(*args, **options)
                cls.setup_context(ctx, args, result)
        results = result if isinstance(result, tuple) else (result,)
        tensors = [a for a in args if isinstance(a, Tensor)]
        outputs: list[Tensor] = []
        changed = [(number, t) for t in ctx._dirty for number, r in enumerate(results) if r is t]
        if len(changed) < len(ctx._dirty):
            raise RuntimeError(f"{cls.__name__}.forward: an input given to mark_dirty must be returned as well")
        if any(ctx.needs_input_grad):
            for t in ctx._dirty:
                views.require_changeable(t, cls.__name__)
        for i, r in enumerate(results):
            if not isinstance(r, Tensor):
                raise TypeError(f"{cls.__name__}.forward: expected tensors, output {i} is a {type(r).__name__}")
            # An input returned as it is becomes a tensor of its own, or it would be its own ancestor; so does an output
            # returned twice, to have a gradient of its own.
            outputs.append(r.detach() if any(r is t for t in (*tensors, *outputs)) else r)
        line = anomaly.user_line() if anomaly.is_enabled() else None
        if line is not None:
            anomaly.check_forward(cls.__name__, [t._array for t in tensors], [t._array for t in outputs], line)
        if any(ctx.needs_input_grad):
            record(cls, ctx, args, tuple(outputs), line)
            for tensor in ctx._non_differentiable:
                tensor._node, tensor._output_number = None, 0
            ctx.seal(tensors + outputs + [t for t in ctx._tensors if t is not None])
            for number, target in changed:
                views.follow(target, outputs[number])
        for number, target in changed:  # the same tensor, with a new history
            outputs[number] = target
        ctx._tensors = ()  # the arrays are enough from here on: an output kept here would keep its own graph alive
        return tuple(outputs) if isinstance(result, tuple) else outputs[0]

    @classmethod
    def run_backward(cls, ctx: Any, grad_outs: tuple) -> tuple:
        if ctx._saved is None:
            ctx.saved  # noqa: B018  raises: the graph was freed
        grads = cls.backward(ctx, *(None if g is None else Tensor(g) for g in grad_outs))
        grads = grads if isinstance(grads, tuple) else (grads,)
        expected = len(ctx.needs_input_grad)
        if len(grads) > expected and all(g is None for g in grads[expected:]):
            grads = grads[:expected]
        if len(grads) != expected:
            raise RuntimeError(
                f"{cls.__name__}.backward returned {len(grads)} gradients, expected {expected}: one for each argument of "
                "forward, None where there is none"
            )
        return tuple(_as_array(cls.__name__, i, g) for i, g in enumerate(grads))


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """For a ``backward`` that cannot be differentiated itself. Here none can, so this returns it as it is."""
    return function


def _as_array(name: str, i: int, grad: Any) -> np.ndarray | None:
    if grad is None:
        return None
    if not isinstance(grad, Tensor):
        raise TypeError(f"{name}.backward: gradient {i} is a {type(grad).__name__}, expected a Tensor or None")
    # A view, so that the engine never takes the user's tensor for an array of its own.
    return grad._array.view()
