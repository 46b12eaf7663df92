"""The tree under a ``Module``: which parameters, buffers and submodules it holds, their names, and how to walk them.

``self.conv = nn.Conv2d(...)`` in a constructor lands in ``__setattr__`` below, which files the value by its type in one
of three dictionaries; everything else (``parameters()``, ``state_dict()``, ``repr``) reads those dictionaries. Saving
and loading are in ``state_dict.py``; calling, modes and conversion in ``module.py``, where ``Module`` is put together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from minicnn.autograd import Tensor
from minicnn.nn.parameter import Buffer, Parameter

if TYPE_CHECKING:
    from minicnn.nn.module import Module

T = TypeVar("T")


class ModuleTree:
    """Named parameters, buffers and submodules, with torch's rules for attribute assignment."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _non_persistent_buffers_set: set[str]
    _modules: dict[str, Module | None]

    def __init__(self) -> None:
        # Straight into __dict__: __setattr__ below needs these four to exist before it can file anything.
        self.__dict__["_parameters"] = {}
        self.__dict__["_buffers"] = {}
        self.__dict__["_non_persistent_buffers_set"] = set()
        self.__dict__["_modules"] = {}

    # ------------------------------------------------------------------ registration

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under ``name``; ``None`` reserves the name (a layer without a bias does this).

        Raises
        ------
        AttributeError : before ``super().__init__()`` was called.
        KeyError : a name that is empty, has a dot, or is taken by another kind of attribute.
        TypeError : ``param`` is neither a ``Parameter`` nor ``None``.
        ValueError : ``param`` is the result of an operation rather than a leaf.
        """
        self._check_name("parameter", "_parameters", name)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_typename(param)}' object to parameter '{name}' (nn.Parameter or None required): "
                "wrap a tensor as nn.Parameter(tensor)"
            )
        if param is not None and not param.is_leaf:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not trained, such as a running mean.

        Parameters
        ----------
        name : attribute name.
        tensor : the value, or ``None`` to reserve the name; a ``None`` buffer is left out of ``state_dict()``.
        persistent : whether ``state_dict()`` includes it.

        Raises
        ------
        AttributeError : before ``super().__init__()`` was called.
        KeyError : a name that is empty, has a dot, or is taken by another kind of attribute.
        TypeError : ``tensor`` is neither a Tensor nor ``None``.

        >>> from minicnn import nn, zeros
        >>> layer = nn.Identity()
        >>> layer.register_buffer("running_mean", zeros(3))
        >>> list(layer.state_dict())
        ['running_mean']
        """
        self._check_name("buffer", "_buffers", name)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (a Tensor or None required): "
                "wrap an array with from_numpy(array)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under ``name``, which then is an attribute; the same as ``add_module``.

        Raises
        ------
        AttributeError : before ``super().__init__()`` was called.
        KeyError : a name that is empty, has a dot, or is taken by another kind of attribute.
        TypeError : ``module`` is neither a ``Module`` nor ``None``.
        """
        if module is not None and not isinstance(module, ModuleTree):
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        self._check_name("module", "_modules", name)
        self._modules[name] = module

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under ``name``: see ``register_module``."""
        self.register_module(name, module)

    def _check_name(self, kind: str, registry: str, name: str) -> None:
        """Refuse names that could not be looked up again, or that hide an attribute of another kind."""
        if registry not in self.__dict__:
            raise _before_init(kind, self)
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {_typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if name not in self.__dict__[registry] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    # ------------------------------------------------------------------ attributes

    def __setattr__(self, name: str, value: Any) -> None:
        """File ``value`` by its type: Parameter, Module, Buffer; or what the name is already; or a plain attribute."""
        state = self.__dict__
        if isinstance(value, Parameter):
            if "_parameters" not in state:
                raise _before_init("parameter", self)
            self._forget(name, keep="_parameters")
            self.register_parameter(name, value)
        elif isinstance(value, ModuleTree):
            if "_modules" not in state:
                raise _before_init("module", self)
            self._forget(name, keep="_modules")
            self._modules[name] = cast("Module", value)
        elif isinstance(value, Buffer):
            if "_buffers" not in state:
                raise _before_init("buffer", self)
            self._forget(name, keep="_buffers")
            self.register_buffer(name, value, value.persistent)
        elif name in state.get("_parameters", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as parameter '{name}' (nn.Parameter or None expected): "
                    "to change its values, use `with no_grad(): parameter.copy_(value)`"
                )
            self._parameters[name] = None
        elif name in state.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as child module '{name}' (nn.Module or None expected)"
                )
            self._modules[name] = None
        elif name in state.get("_buffers", ()):
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(f"cannot assign '{_typename(value)}' as buffer '{name}' (a Tensor or None expected)")
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def _forget(self, name: str, keep: str) -> None:
        """Drop ``name`` wherever it is registered, except in ``keep``: a name belongs to one kind at a time."""
        self.__dict__.pop(name, None)
        for registry in ("_parameters", "_buffers", "_modules"):
            if registry != keep:
                self.__dict__[registry].pop(name, None)
        if keep != "_buffers":
            self._non_persistent_buffers_set.discard(name)

    def __getattr__(self, name: str) -> Any:
        # Reached only when ordinary lookup failed, so plain attributes cost nothing extra.
        state = self.__dict__
        for registry in ("_parameters", "_buffers", "_modules"):
            if registry in state and name in state[registry]:
                return state[registry][name]
        hint = ""
        if "_parameters" not in state:
            hint = ": its __init__ has not called super().__init__() yet"
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{hint}", name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        for registry in (self._parameters, self._buffers, self._modules):
            if name in registry:
                del registry[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        registered = (*self._parameters, *self._buffers, *self._modules)
        return sorted({*object.__dir__(self), *(name for name in registered if name.isidentifier())})

    # ------------------------------------------------------------------ walking the tree

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield ``(dotted name, module)`` for this module and all below it, parents first.

        Parameters
        ----------
        memo : modules to leave out; those yielded are added to it.
        prefix : put before every name.
        remove_duplicate : yield a module that is reachable by two names only once, under the first.

        >>> from minicnn import nn
        >>> [name for name, _ in nn.Sequential(nn.ReLU(), nn.Sequential(nn.ReLU())).named_modules()]
        ['', '0', '1', '1.0']
        """
        memo = set() if memo is None else memo
        module = cast("Module", self)
        if module in memo:
            return
        if remove_duplicate:
            memo.add(module)
        yield prefix, module
        for name, child in self._modules.items():
            if child is not None:
                yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Yield this module and all below it, each once unless ``remove_duplicate=False``."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield ``(name, module)`` for the direct submodules, each once."""
        seen: set[Module] = set()
        for name, child in self._modules.items():
            if child is not None and child not in seen:
                seen.add(child)
                yield name, child

    def children(self) -> Iterator[Module]:
        """Yield the direct submodules, each once."""
        return (module for _, module in self.named_children())

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield ``(dotted name, parameter)``; one shared by two layers comes once, unless ``remove_duplicate=False``.

        >>> from minicnn import nn
        >>> [(name, tuple(p.shape)) for name, p in nn.Linear(3, 2).named_parameters()]
        [('weight', (2, 3)), ('bias', (2,))]
        """
        return self._named_members(lambda module: module._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters, each once: what an optimizer takes."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield ``(dotted name, buffer)``, persistent or not."""
        return self._named_members(lambda module: module._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield the buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def _named_members(
        self,
        members_of: Callable[[Module], Iterable[tuple[str, T | None]]],
        prefix: str,
        recurse: bool,
        remove_duplicate: bool,
    ) -> Iterator[tuple[str, T]]:
        seen: set[int] = set()  # by id: tensors compare element by element
        modules: Iterable[tuple[str, Module]] = [(prefix, cast("Module", self))]
        if recurse:
            modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for module_name, module in modules:
            for name, value in members_of(module):
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{module_name}.{name}" if module_name else name), value

    # ------------------------------------------------------------------ lookup by dotted name

    def get_submodule(self, target: str) -> Module:
        """The submodule at a dotted path such as ``"features.3"``; ``""`` is this module.

        Raises
        ------
        AttributeError : a part of the path is missing, or is not a module.
        """
        module = cast("Module", self)
        for part in target.split(".") if target else ():
            if not hasattr(module, part):
                raise AttributeError(f"{type(module).__name__} has no attribute `{part}`")
            module = getattr(module, part)
            if not isinstance(module, ModuleTree):
                raise AttributeError(f"`{part}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put ``module`` at a dotted path such as ``"features.3"``, in place of the one that is there.

        Parameters
        ----------
        target : the path; all but its last part must lead to modules.
        module : the new one.
        strict : there must be one already.

        Raises
        ------
        ValueError : an empty path, or something that is no module.
        AttributeError : a part of the path is missing, or is not a module.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, ModuleTree):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict or hasattr(parent, name):
            parent.get_submodule(name)
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a dotted path such as ``"features.0.weight"``.

        Raises
        ------
        AttributeError : the path leads nowhere, or to something that is not a parameter.
        """
        return self._get_member(target, lambda module: module._parameters, "an nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a dotted path such as ``"features.1.running_mean"``.

        Raises
        ------
        AttributeError : the path leads nowhere, or to something that is not a buffer.
        """
        return self._get_member(target, lambda module: module._buffers, "a buffer")

    def _get_member(self, target: str, members_of: Callable[[Module], dict[str, T | None]], kind: str) -> T:
        path, _, name = target.rpartition(".")
        module = self.get_submodule(path)
        value = members_of(module).get(name)
        if value is None:
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            raise AttributeError(f"`{name}` is not {kind}")
        return value


def _typename(value: object) -> str:
    """``minicnn.nn.Linear`` for objects of classes, ``int`` for built-in ones: how error messages name a type."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _before_init(kind: str, module: object) -> AttributeError:
    return AttributeError(
        f"cannot assign {kind} before Module.__init__() call: "
        f"call super().__init__() first in {type(module).__name__}.__init__"
    )
