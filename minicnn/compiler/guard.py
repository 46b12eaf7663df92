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

from collections.abc import Callable, Iterator
from itertools import chain
from operator import attrgetter, is_
from types import BuiltinFunctionType, FunctionType
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
        *("_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
    )
)
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_NEVER_CHANGED = (FunctionType, BuiltinFunctionType, type)
_SMALL = 1 << 12  # bytes: up to here a NumPy array counts by its numbers too
_DEPTH = 6  # of containers in containers


class Unguarded(Exception):
    """Something no key can stand for; the message says what."""


class Guard(NamedTuple):
    """``key`` is ``(call, model)``; ``inputs`` are the tensors among the arguments, each once."""

    key: tuple[tuple, ModelState]
    inputs: list[Tensor]


class ModelState:
    """The model's part of a key, with its hash, which for a long tuple takes as long as making it."""

    __slots__ = ("_hash", "_parts")

    def __init__(self, parts: tuple):
        self._parts, self._hash = parts, hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, ModelState) and self._parts == other._parts)


class Watch:
    """Tells a model's state, and tells it again at once as long as the model is *the very same*: this is asked before each
    call.

    The quick look compares identities, of what a state is made of: the attributes of each module, and what its registries
    hold. It is there for models whose attributes cannot change under their identity (numbers, strings, tuples of these,
    functions); for others the state is worked out each time.
    """

    def __init__(self) -> None:
        self._known: tuple[ModelState, Callable[[], bool]] | None = None

    def state(self, model: Module) -> ModelState:
        """The state now. Raises :class:`Unguarded`."""
        known = self._known  # once: another thread may be putting another in its place
        if known is not None and known[1]():
            return known[0]
        look = _quick_look(model)  # before the state: what another thread changes meanwhile will be seen next time
        state = model_state(model)
        self._known = None if look is None else (state, look)
        return state


def _quick_look(model: Module) -> Callable[[], bool] | None:
    """A function that says whether the model is as it is now; None where that cannot be told by identity.

    A model of two hundred modules has some thousands of attributes, so they are compared in a few long rows, without a step
    of Python for each.
    """
    modules = [*model.modules()]
    rows: list[dict] = []  # attributes and registries
    for module in modules:
        attributes = module.__dict__
        rows.append(attributes)
        for name, value in attributes.items():
            kind = type(value)
            if name in _HOOKS or name in _REGISTRIES:
                rows += [value] if name in ("_parameters", "_buffers", "_modules", *_HOOKS) else []
            elif kind not in _PLAIN and not isinstance(value, _NEVER_CHANGED):
                if kind is not tuple or not _PLAIN.issuperset(map(type, value)):
                    return None
    full, empty = [row for row in rows if row], [row for row in rows if not row]
    names, values = [*chain.from_iterable(full)], [v for row in full for v in row.values()]
    kinds: list[Any] = [*map(type, modules)]
    forwards = {kind: kind.forward for kind in kinds}
    registered = [t for module in modules for row in (module._parameters, module._buffers) for t in row.values()]
    tensors = [t for t in registered if t is not None]
    arrays, grads = [t._array for t in tensors], [t._leaf_requires_grad for t in tensors]
    layouts = [*map(_LAYOUT, arrays)]

    def same() -> bool:
        return (
            not any(empty)
            and [*map(type, modules)] == kinds
            and all(kind.forward is forward for kind, forward in forwards.items())
            and [*chain.from_iterable(full)] == names
            and all(map(is_, chain.from_iterable(map(dict.values, full)), values))
            and all(map(is_, map(_ARRAY, tensors), arrays))
            and all(map(is_, map(_GRAD, tensors), grads))
            and [*map(_LAYOUT, arrays)] == layouts
        )

    return same


_ARRAY, _GRAD, _LAYOUT = (
    attrgetter("_array"),
    attrgetter("_leaf_requires_grad"),
    attrgetter("shape", "strides", "dtype"),
)


def guard_of(model: Module, args: tuple, kwargs: dict[str, Any], watch: Watch) -> Guard:
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
    return Guard((tuple(call), watch.state(model)), inputs)


def model_state(model: Module) -> ModelState:
    """The model's part of the key, worked out. Raises :class:`Unguarded`."""
    state: list[Any] = []
    _note_module(model, state, set())
    return ModelState(tuple(state))


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
    """``seen`` has the ids of the modules that are noted, or being noted: a module may hold the one that holds it."""
    if id(module) in seen:
        state.append(module)
        return
    seen.add(id(module))
    attributes = module.__dict__
    if any(attributes[hooks] for hooks in _HOOKS):
        raise Unguarded(f"the module {path[1:] or type(module).__name__!r} has hooks")
    state += (module, type(module).forward)
    for name, value in attributes.items():
        kind = type(value)
        if kind in _PLAIN:
            state += (name, kind, value)
        elif name in _REGISTRIES or name in _HOOKS:
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
