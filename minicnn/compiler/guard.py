"""The guard: everything a trace depends on, as a key. Equal keys, equal traces.

* The inputs: shape, type, memory order, whether they require grad, and which of them are one and the same tensor. Arguments
  that are no tensors, by value.
* The settings: grad mode, number of threads, back end, default type. (The convolution algorithm is looked up by each
  convolution when it runs: no plan depends on it.)
* The model: each module, its class's ``forward`` and its attributes (training flag, stride, probability, a function, ...),
  and each parameter's and buffer's identity, shape, type, memory order and whether it requires grad. Their *values* are
  looked at anew in each run; weights that were folded into others are the plan's own business (``plan.py``).

Attributes count by value where they are plain, containers and simple objects of plain values included, and by identity
elsewhere. What the key does not know, in ``docs/compile.md`` too: globals, class attributes, methods other than ``forward``
that are replaced in the class, NumPy arrays above 4 KB that are changed in place, and what lies deeper inside objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels import backend_of
from minicnn_kernels.threads import get_num_threads

from ..autograd import Tensor, is_grad_enabled
from ..dtypes import get_default_dtype
from ..nn import Module
from ..random import Generator

_PLAIN = frozenset((bool, int, float, complex, str, bytes, type(None)))
_REGISTRIES = frozenset(
    (
        *("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set"),
        *("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"),
    )
)
_SMALL = 1 << 12  # bytes: up to here a NumPy array counts by its numbers too
_DEPTH = 6  # of containers in containers


class Unguarded(Exception):
    """Something no key can stand for; the message says what."""


class Guard(NamedTuple):
    """``key`` is ``(call, model)``; ``inputs`` are the tensors among the arguments, each once."""

    key: tuple[tuple, tuple]
    inputs: list[Tensor]


def guard_of(model: Module, args: tuple, kwargs: dict[str, Any]) -> Guard:
    """The guard of one call. Raises :class:`Unguarded`."""
    inputs: list[Tensor] = []
    call: list[Any] = [is_grad_enabled(), get_num_threads(), get_default_dtype()]
    for argument in args:
        _note_argument(argument, call, inputs)
    for name, argument in kwargs.items():
        call.append(name)
        _note_argument(argument, call, inputs)
    if inputs:
        call.append(backend_of(inputs[0]._array))
    return Guard((tuple(call), model_state(model)), inputs)


def model_state(model: Module) -> tuple:
    """The model's part of the key."""
    state: list[Any] = []
    _note_module(model, state, set())
    return tuple(state)


def _note_argument(argument: Any, call: list[Any], inputs: list[Tensor]) -> None:
    kind = type(argument)
    call.append(kind)
    if isinstance(argument, Tensor):
        for i, known in enumerate(inputs):
            if known is argument:
                call.append(i)
                return
        inputs.append(argument)
        array = argument._array
        call += (array.shape, array.dtype.char, array.strides, argument.requires_grad)
    elif kind in _PLAIN:
        call.append(argument)
    elif kind is tuple or kind is list:
        call.append(len(argument))
        for part in argument:
            _note_argument(part, call, inputs)
    elif kind is dict and all(type(key) in _PLAIN for key in argument):
        call.append(tuple(argument))
        for part in argument.values():
            _note_argument(part, call, inputs)
    else:
        raise Unguarded(f"an argument is a {kind.__name__}, neither a tensor nor a plain value")


def _note_module(module: Module, state: list[Any], seen: set[int], path: str = "") -> None:
    """Hot: this runs over all modules before each call. ``seen`` has the ids of those that are noted, or being noted: a
    module may hold the one that holds it."""
    if id(module) in seen:
        state.append(module)
        return
    seen.add(id(module))
    attributes = module.__dict__
    if attributes["_forward_hooks"] or attributes["_forward_pre_hooks"] or attributes["_backward_hooks"]:
        raise Unguarded(f"the module {path[1:] or type(module).__name__!r} has hooks")
    state += (module, type(module).forward)
    for name, value in attributes.items():
        kind = type(value)
        if kind in _PLAIN:
            state += (name, kind, value)
        elif name in _REGISTRIES:
            continue
        elif kind is tuple and _PLAIN.issuperset(kinds := [type(part) for part in value]):  # a stride, a padding
            state += (name, value, *kinds)
        else:
            state += (name, _frozen(value, seen))
    for registry in (attributes["_parameters"], attributes["_buffers"]):
        for name, tensor in registry.items():
            if tensor is None:
                state += (name, None)
            else:
                array, grad = tensor._array, tensor._leaf_requires_grad
                state += (name, id(tensor), array.shape, array.dtype.char, array.strides, grad)
    for name, child in attributes["_modules"].items():
        state.append(name)
        if child is not None:
            _note_module(child, state, seen, f"{path}.{name}")


class _Identity:
    """Stands for an object in a key: equal to itself alone, and keeps it alive, so that nothing else gets its id."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any):
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return type(other) is _Identity and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def _frozen(value: Any, seen: set[int], depth: int = 0) -> Any:
    """A value as part of a key."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, np.generic):
        return kind, value
    if depth < _DEPTH:
        if kind is tuple or kind is list:
            return kind, *(_frozen(part, seen, depth + 1) for part in value)
        if kind is dict:
            return kind, *((_frozen(k, seen, depth + 1), _frozen(v, seen, depth + 1)) for k, v in value.items())
        if kind is set or kind is frozenset:
            return kind, frozenset(_frozen(part, seen, depth + 1) for part in value)
        if isinstance(value, np.ndarray):
            return _Identity(value), value.shape, value.dtype, value.tobytes() if value.nbytes <= _SMALL else None
        if isinstance(value, Module):  # one that is not registered: in a list, say
            state: list[Any] = []
            _note_module(value, state, seen)
            return tuple(state)
    return _Identity(value), *_plain_attributes(value)


def _plain_attributes(value: Any) -> Iterator[tuple[str, type, Any]]:
    """What a simple object (a namespace, a dataclass) holds, as far as it is plain."""
    if isinstance(value, (type, Generator)) or callable(value):
        return  # a class, a function; a generator's state is looked at by whoever draws
    for name, part in list(getattr(value, "__dict__", {}).items()):
        if type(part) in _PLAIN:
            yield name, type(part), part
