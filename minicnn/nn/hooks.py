"""What happens in ``module(x)`` when the module has hooks: pre-hooks, ``forward``, forward hooks, backward hooks.

``Module.__call__`` goes straight to ``forward`` when there are none: a network without hooks pays nothing for this.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minicnn.autograd import Function, RemovableHandle, Tensor, is_grad_enabled

if TYPE_CHECKING:
    from minicnn.nn.module import Module


def register(hooks: OrderedDict[int, Any], entry: Any, prepend: bool) -> RemovableHandle:
    """File ``entry`` in ``hooks``, last or (``prepend``) first; the handle that is returned takes it out again."""
    handle = RemovableHandle(hooks, entry)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def call_with_hooks(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module.forward(*args, **kwargs)`` with all of the module's hooks around it."""
    called: set[int] = set()
    output = None
    try:
        args, kwargs = _run_forward_pre_hooks(module, args, kwargs)
        backward = _BackwardHooks(module) if module._backward_hooks or module._backward_pre_hooks else None
        if backward is not None and module._backward_hooks:
            args = backward.watch_inputs(args)
        output = module.forward(*args, **kwargs)
        for hook_id, (hook, with_kwargs, _) in list(module._forward_hooks.items()):
            called.add(hook_id)
            replacement = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
            output = output if replacement is None else replacement
        return output if backward is None else backward.watch_outputs(output)
    except Exception:
        for hook_id, (hook, with_kwargs, always_call) in list(module._forward_hooks.items()):
            if always_call and hook_id not in called:
                try:
                    _ = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
                except Exception as error:
                    warnings.warn(
                        "module forward hook with ``always_call=True`` raised an exception that was silenced as "
                        f"another error was raised in forward: {error}",
                        stacklevel=3,
                    )
        raise


def _run_forward_pre_hooks(
    module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for hook, with_kwargs in list(module._forward_pre_hooks.values()):
        if with_kwargs:
            replacement = hook(module, args, kwargs)
            if replacement is None:
                continue
            if not (isinstance(replacement, tuple) and len(replacement) == 2):
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replacement}."
                )
            args, kwargs = replacement
        else:
            replacement = hook(module, args)
            if replacement is not None:
                args = replacement if isinstance(replacement, tuple) else (replacement,)
    return args, kwargs


class _Tap(Function):
    """The identity on several tensors at once; its backward hands all their gradients to a callback together."""

    @staticmethod
    def forward(ctx: Any, callback: Callable[[tuple[Any, ...]], tuple[Any, ...]], *tensors: Tensor) -> Any:
        ctx.callback = callback
        return tensors

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.callback(grads))


class _BackwardHooks:
    """The backward hooks of one call: a tap on its outputs notes their gradients, one on its inputs runs the hooks."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.pre_hooks = list(module._backward_pre_hooks.values())
        self.hooks = list(module._backward_hooks.values())
        self.n_inputs = 0
        self.inputs_watched = False
        self.grad_output: tuple[Any, ...] | None = None

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        positions = [i for i, arg in enumerate(args) if isinstance(arg, Tensor)]

        def run_hooks(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            if self.grad_output is None:
                return grads  # the gradient did not come through this module's output
            grad_input = _scatter(positions, grads, self.n_inputs)
            for hook in self.hooks:
                replacement = hook(self.module, grad_input, self.grad_output)
                if replacement is None:
                    continue
                replacement = replacement if isinstance(replacement, tuple) else (replacement,)
                if len(replacement) != len(grad_input):
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(replacement)}, "
                        f"but expected {len(grad_input)}"
                    )
                grad_input = replacement
            self.grad_output = None
            return tuple(grad_input[i] for i in positions)

        watched = _tapped(run_hooks, args, positions)
        self.inputs_watched = watched is not args
        return watched

    def watch_outputs(self, output: Any) -> Any:
        if not isinstance(output, (Tensor, tuple)):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received "
                f"{type(output)}",
                stacklevel=4,
            )
            return output
        outputs = output if isinstance(output, tuple) else (output,)
        positions = [i for i, item in enumerate(outputs) if isinstance(item, Tensor)]

        def note_gradients(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            self.grad_output = self._through_pre_hooks(_scatter(positions, grads, len(outputs)))
            grads = tuple(self.grad_output[i] for i in positions)
            if not self.inputs_watched:
                # No input requires grad, so no gradient of theirs will ever arrive: run the hooks now.
                for hook in self.hooks:
                    replacement = hook(self.module, (None,) * self.n_inputs, self.grad_output)
                    if replacement is not None and any(item is not None for item in replacement):
                        raise RuntimeError(
                            "Backward hook for Modules where no input requires gradient should always return None "
                            "or None for all gradients."
                        )
            return grads

        watched = _tapped(note_gradients, outputs, positions)
        return watched if isinstance(output, tuple) else watched[0]

    def _through_pre_hooks(self, grad_output: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.pre_hooks:
            replacement = hook(self.module, grad_output)
            if replacement is None:
                continue
            replacement = replacement if isinstance(replacement, tuple) else (replacement,)
            if len(replacement) != len(grad_output):
                raise RuntimeError(
                    f"Backward pre hook returned an invalid number of grad_output, got {len(replacement)}, "
                    f"but expected {len(grad_output)}"
                )
            grad_output = replacement
        return grad_output


def _tapped(callback: Callable[..., Any], values: tuple[Any, ...], positions: list[int]) -> tuple[Any, ...]:
    """``values`` with the tensors at ``positions`` behind a tap; the same object when no gradient will flow."""
    if not (is_grad_enabled() and any(values[i].requires_grad for i in positions)):
        return values
    tapped = list(values)
    for i, tensor in zip(positions, _Tap.apply(callback, *(values[i] for i in positions)), strict=True):
        tapped[i] = tensor
    return tuple(tapped)


def _scatter(positions: list[int], values: tuple[Any, ...], length: int) -> tuple[Any, ...]:
    spread: list[Any] = [None] * length
    for i, value in zip(positions, values, strict=True):
        spread[i] = value
    return tuple(spread)
