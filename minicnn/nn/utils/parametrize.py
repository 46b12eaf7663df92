"""Parametrizations: a parameter computed from others each time it is read, ``weight = f(original)``.

``register_parametrization(layer, "weight", f)`` moves the parameter to ``layer.parametrizations.weight.original`` and
makes ``layer.weight`` a property that computes ``f(original)``; the optimiser trains the original. Weight and spectral
normalisation are made of it. The names in the state dict are torch's.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from minicnn.autograd import Tensor, no_grad
from minicnn.nn.container import ModuleDict, ModuleList
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter

_cached_blocks = 0  # how many cached() blocks are open
_cache: dict[tuple[int, str], Tensor] = {}


@contextmanager
def cached() -> Iterator[None]:
    """Inside the block each parametrized tensor is computed at its first use only.

    For modules that read a weight many times in one forward pass, such as a recurrent network over its steps.

    >>> from minicnn import nn
    >>> layer = nn.utils.parametrize.register_parametrization(nn.Linear(2, 2), "weight", nn.Identity())
    >>> with nn.utils.parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    global _cached_blocks
    _cached_blocks += 1
    try:
        yield
    finally:
        _cached_blocks -= 1
        if not _cached_blocks:
            _cache.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, applied in order to the original.

    The original is ``original``, or ``original0``, ``original1``, ... where the ``right_inverse`` of the first
    parametrization returns several tensors.

    Parameters
    ----------
    modules : the parametrizations.
    original : the parameter or buffer that they take the place of.
    unsafe : allow another shape or dtype than the original's.

    Raises
    ------
    ValueError : without modules, or where a parametrization changes shape or dtype and ``unsafe`` is not set.
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if not len(modules):
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        former = original.detach()
        value: Any = original
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    with suppress(NotImplementedError):  # as if it had none: the original is taken as it is
                        value = module.right_inverse(value)
        self.is_tensor = isinstance(value, Tensor)
        if not self.is_tensor and not isinstance(value, Sequence):
            raise ValueError(f"right_inverse: expected a Tensor or a sequence of them, got {type(value).__name__}")
        self.ntensors = 1 if self.is_tensor else len(value)
        for name, tensor in self._named(value):
            if not isinstance(tensor, Tensor):
                raise ValueError(f"right_inverse: expected tensors, got {type(tensor).__name__} for {name}")
            if self.is_tensor:
                _check_alike(tensor, original, "right_inverse", "the original", shape=not unsafe)
                if tensor is not original:
                    original.data = tensor.detach()  # the object stays, for an optimizer that has it already
                tensor = original
            elif isinstance(original, Parameter):
                tensor = Parameter(tensor.detach(), requires_grad=original.requires_grad)
            if isinstance(tensor, Parameter):
                self.register_parameter(name, tensor)
            else:
                self.register_buffer(name, tensor)
        if not unsafe:
            with no_grad():
                _check_alike(self(), former, "the parametrization", "the original")

    def _named(self, value: Any) -> list[tuple[str, Any]]:
        return [("original", value)] if self.is_tensor else [(f"original{i}", v) for i, v in enumerate(value)]

    def right_inverse(self, value: Tensor) -> None:
        """Set the originals so that ``forward()`` gives ``value``, as far as the parametrizations can be undone.

        Raises
        ------
        RuntimeError : a parametrization has no ``right_inverse``.
        """
        result: Any = value
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse, so the tensor it "
                        "computes cannot be assigned"
                    )
                result = module.right_inverse(result)
            for name, tensor in self._named(result):
                original = getattr(self, name)
                _check_alike(tensor, original, "right_inverse", name, shape=False)
                if tensor.shape == original.shape:
                    original.copy_(tensor)
                else:
                    original.data = tensor.detach()

    def forward(self) -> Tensor:
        """Compute the parametrized tensor."""
        first, *others = self
        value = first(*(getattr(self, name) for name, _ in self._named(range(self.ntensors))))
        for module in others:
            value = module(value)
        return value


def _check_alike(tensor: Any, wanted: Tensor, what: str, whose: str, shape: bool = True) -> None:
    if not isinstance(tensor, Tensor):
        raise ValueError(f"{what}: expected a Tensor, got {type(tensor).__name__}")
    if tensor.dtype != wanted.dtype:
        raise ValueError(f"{what} gives {tensor.dtype}, expected the dtype of {whose}, {wanted.dtype}")
    if shape and tensor.shape != wanted.shape:
        raise ValueError(
            f"{what} gives shape {tuple(tensor.shape)}, expected that of {whose}, {tuple(wanted.shape)}; "
            "pass unsafe=True if this is wanted"
        )


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Let ``module.<tensor_name>`` be computed by ``parametrization`` from the tensor that is there. Returns ``module``.

    Parameters
    ----------
    module : the layer; its class becomes a subclass of its own.
    tensor_name : a parameter or buffer of it. One that is parametrized already gets a further one, applied after.
    parametrization : a module from the original to the tensor. A method ``right_inverse`` goes back, and makes
        assignment to ``module.<tensor_name>`` possible; it is also called now, to start from the present value.
    unsafe : allow another shape or dtype than the original's.

    >>> import minicnn as mc
    >>> from minicnn import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x + x.mT
    >>> layer = nn.utils.parametrize.register_parametrization(nn.Linear(2, 2), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.mT).all()), list(layer.state_dict())
    (True, ['bias', 'parametrizations.weight.original'])

    Raises
    ------
    ValueError : no parameter or buffer of that name, or a parametrization that changes shape or dtype.
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        present = module.parametrizations[tensor_name]
        if not unsafe:
            with no_grad():
                before = getattr(module, tensor_name)
                _check_alike(parametrization(before), before, "the parametrization", "what it is applied to")
                if hasattr(parametrization, "right_inverse"):
                    back = parametrization.right_inverse(before)
                    _check_alike(back, before, "right_inverse", "the tensor")
        present.append(parametrization)
        present.unsafe |= unsafe
    elif tensor_name in module._parameters or tensor_name in module._buffers:
        original = getattr(module, tensor_name)
        if original is None:
            raise ValueError(f"tensor_name: {tensor_name!r} of {type(module).__name__} is None")
        listed = ParametrizationList([parametrization], original, unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _give_own_class(module)
            module.parametrizations = ModuleDict()
        setattr(type(module), tensor_name, _computed(tensor_name))
        module.parametrizations[tensor_name] = listed
    else:
        raise ValueError(
            f"Module '{type(module).__name__}' does not have a parameter, a buffer, or a parametrized element with name "
            f"'{tensor_name}'"
        )
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether ``module`` has parametrized tensors, or whether that one is."""
    parametrizations = module.__dict__.get("_modules", {}).get("parametrizations")
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Make ``module.<tensor_name>`` an ordinary parameter (or buffer) again. Returns ``module``.

    Parameters
    ----------
    leave_parametrized : keep the computed value; False puts the original back, which must then be a single tensor.

    Raises
    ------
    ValueError : it is not parametrized, or there are several originals to put back.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {type(module).__name__} does not have a parametrization on {tensor_name}")
    listed = module.parametrizations[tensor_name]
    first = listed.original if listed.is_tensor else listed.original0
    if not leave_parametrized and not listed.is_tensor:
        raise ValueError(
            "leave_parametrized=False: there are several originals, none of which is the tensor; only True is possible"
        )
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name).detach()
        if listed.is_tensor and value.shape == first.shape and value.dtype == first.dtype:
            with no_grad():
                first.copy_(value.clone())
        elif isinstance(first, Parameter):
            first = Parameter(value.clone(), requires_grad=first.requires_grad)
        else:
            first = value.clone()
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(first, Parameter):
        module.register_parameter(tensor_name, first)
    else:
        module.register_buffer(tensor_name, first)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type_before_parametrizations(module)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class the module had before it was parametrized, or has."""
    return type(module).__bases__[0] if issubclass(type(module), _Parametrized) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Parametrize ``to_module`` as ``from_module`` is, sharing the parametrizations, with its values. Returns it.

    Raises
    ------
    ValueError : ``from_module`` is not parametrized (there).
    """
    if not is_parametrized(from_module, tensor_name):
        raise ValueError(f"from_module: {type(from_module).__name__} is not parametrized there ({tensor_name})")
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        source = from_module.parametrizations[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization, unsafe=source.unsafe)
        target = to_module.parametrizations[name]
        with no_grad():
            for key, _ in source._named(range(source.ntensors)):
                getattr(target, key).copy_(getattr(source, key))
    return to_module


class _Parametrized:
    """Marks the classes that parametrized modules get; they are copied as their instances."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = memo.get(id(self))
        if twin is None:
            kind = type(self)
            own = {name: value for name, value in vars(kind).items() if isinstance(value, property)}
            twin = kind.__new__(type(kind.__name__, kind.__bases__, own))
            memo[id(self)] = twin
            twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return twin

    def __getstate__(self) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(): save that, or "
            "remove_parametrizations first"
        )


def _give_own_class(module: Module) -> None:
    kind = type(module)
    module.__class__ = type(f"Parametrized{kind.__name__}", (kind, _Parametrized), {})


def _computed(tensor_name: str) -> property:
    """The property that computes the tensor, and sets its originals when assigned to."""

    def get(self: Any) -> Tensor:
        if not _cached_blocks:
            return self.parametrizations[tensor_name]()
        key = (id(self), tensor_name)
        if key not in _cache:
            _cache[key] = self.parametrizations[tensor_name]()
        return _cache[key]

    def put(self: Any, value: Tensor) -> None:
        self.parametrizations[tensor_name].right_inverse(value)

    return property(get, put)
