"""Functions that are called around an optimizer's step, and around saving and loading its state."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from minicnn.autograd import RemovableHandle


class OptimizerHooks:
    """The half of ``Optimizer`` that keeps the hooks."""

    _stepping = False  # a step() that calls its base class's runs the hooks once

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each ``step``; returns a handle with ``remove()``.

        Parameters
        ----------
        hook : gets the arguments of ``step``, the optimizer first; returns ``None``, or new ``(args, kwargs)``.

        >>> import minicnn as mc
        >>> optimizer = mc.optim.SGD([mc.nn.Parameter(mc.zeros(1))], lr=0.1)
        >>> handle = optimizer.register_step_pre_hook(lambda optimizer, args, kwargs: print("before"))
        >>> optimizer.step()
        before
        >>> handle.remove()
        """
        return RemovableHandle(self._optimizer_step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each ``step``; returns a handle with ``remove()``."""
        return RemovableHandle(self._optimizer_step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` before the state is read; ``prepend`` runs it before those registered so far."""
        return _registered(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` after; what it returns, unless ``None``, replaces the state."""
        return _registered(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer, state_dict)`` before it is loaded; what it returns, unless ``None``, is loaded instead."""
        return _registered(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(optimizer)`` after a state has been loaded."""
        return _registered(self._optimizer_load_state_dict_post_hooks, hook, prepend)

    def _make_hooks(self) -> None:
        self._optimizer_step_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_step_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_state_dict_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_state_dict_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_load_state_dict_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._optimizer_load_state_dict_post_hooks: OrderedDict[int, Any] = OrderedDict()


def _registered(hooks: OrderedDict[int, Any], hook: Callable[..., Any], prepend: bool) -> RemovableHandle:
    handle = RemovableHandle(hooks, hook)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


_global_step_pre_hooks: OrderedDict[int, Any] = OrderedDict()
_global_step_post_hooks: OrderedDict[int, Any] = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before every step of every optimizer; returns a handle with ``remove()``."""
    return RemovableHandle(_global_step_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after every step of every optimizer; returns a handle with ``remove()``."""
    return RemovableHandle(_global_step_post_hooks, hook)


def with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with the hooks around it, which notes that it was called."""

    @functools.wraps(step)
    def stepping(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        if self._stepping:
            return step(self, *args, **kwargs)
        given: tuple[Any, ...] = (self, *args)  # what hooks get, as in torch
        for before in (*_global_step_pre_hooks.values(), *self._optimizer_step_pre_hooks.values()):
            result = before(self, given, kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        f"{before} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                    )
                given, kwargs = result
        self._stepping = True
        try:
            out = step(*given, **kwargs)
        finally:
            self._stepping = False
        for after in (*self._optimizer_step_post_hooks.values(), *_global_step_post_hooks.values()):
            after(self, given, kwargs)
        return out

    return stepping
