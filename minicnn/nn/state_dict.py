"""Saving and loading a module's state: ``state_dict()`` and ``load_state_dict()``.

A state dict is an ordered dictionary from dotted names ("features.0.weight") to tensors: parameters, then persistent
buffers, module by module in the order of registration, exactly the keys PyTorch writes. Where the names come from is
``tree.py``; files on disk are ``minicnn.weights``.
"""

from __future__ import annotations

import os
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from minicnn.autograd import RemovableHandle, Tensor, no_grad
from minicnn.nn.checkpoint_keys import unusual_prefix, unwrapped
from minicnn.nn.lazy import UninitializedTensorMixin, is_lazy
from minicnn.nn.parameter import Parameter
from minicnn.nn.tree import ModuleTree

STATE_HOOKS = (
    "_state_dict_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks",
)  # fmt: skip
MISMATCH = "size mismatch for "
EXTRA_STATE = "_extra_state"  # torch's key for what get_extra_state() returns


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` returns: keys that the model wanted and did not get, and keys it did not know."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class StateDict(OrderedDict[str, Any]):
    """An ordered dictionary that also notes each module's ``_version``, for layers to read what older ones wrote."""

    _metadata: dict[str, dict[str, Any]]


class StateDictMixin(ModuleTree):
    """``state_dict`` and ``load_state_dict``, and the two methods a layer overrides to change its own part of them."""

    _version: int = 1
    _state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _state_dict_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_pre_hooks: OrderedDict[int, Callable[..., Any]]
    _load_state_dict_post_hooks: OrderedDict[int, Callable[..., Any]]

    def __init__(self) -> None:
        super().__init__()
        for name in STATE_HOOKS:
            self.__dict__[name] = OrderedDict()

    def state_dict(
        self, *args: Any, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """The module's parameters and persistent buffers by dotted name.

        The tensors share memory with the module: train on, and they change. Copy what is to be kept
        (``{k: v.clone() for k, v in model.state_dict().items()}`` or ``copy.deepcopy``).

        Parameters
        ----------
        destination : dictionary to fill and return instead of a new one.
        prefix : put before every name.
        keep_vars : return the parameters themselves, which require grad, rather than detached tensors.

        >>> from minicnn import nn
        >>> list(nn.BatchNorm2d(4).state_dict())
        ['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']
        """
        if args:
            warnings.warn("state_dict: name the arguments, positional ones are deprecated", FutureWarning, stacklevel=2)
            given: tuple[Any, ...] = (destination, prefix, keep_vars)
            destination, prefix, keep_vars = (args + given[len(args) :])[:3]
        if destination is None:
            destination = StateDict()
            destination._metadata = {}
        local_metadata = {"version": self._version}
        metadata = getattr(destination, "_metadata", None)
        if metadata is not None:
            metadata[prefix[:-1]] = local_metadata
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self._state_dict_hooks.values()):
            if hook(self, destination, prefix, local_metadata) is not None:
                raise RuntimeError("state_dict post-hook must return None: change the dictionary it gets")
        return destination

    # ------------------------------------------------------------------ hooks

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before ``state_dict()`` looks at the module."""
        return RemovableHandle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` after the module and its children are in
        ``state_dict``, which it may change.
        """
        return RemovableHandle(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)``
        before ``load_state_dict`` reads the module's part of ``state_dict``, which it may change (rename keys, say).
        """
        return RemovableHandle(self._load_state_dict_pre_hooks, hook)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after the module and its children are loaded; it may change the lists
        of missing and unexpected keys, before ``strict`` looks at them.
        """
        return RemovableHandle(self._load_state_dict_post_hooks, hook)

    # ------------------------------------------------------------------ state beside tensors

    def get_extra_state(self) -> Any:
        """What ``state_dict()`` holds beside tensors, under ``_extra_state``. Define it, and ``set_extra_state``, if any."""
        raise RuntimeError("get_extra_state(): this module has none; define it together with set_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        """Take back what ``get_extra_state()`` gave."""
        raise RuntimeError("set_extra_state(): this module has none; define it together with get_extra_state()")

    def _has_extra_state(self, method: str) -> bool:
        return getattr(type(self), method) is not getattr(StateDictMixin, method)

    # ------------------------------------------------------------------ writing and reading

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Write this module's own tensors, not its children's, into ``destination``."""
        for name, value in self._own_state().items():
            destination[prefix + name] = value if keep_vars else value.detach()
        if self._has_extra_state("get_extra_state"):
            destination[prefix + EXTRA_STATE] = self.get_extra_state()

    def load_state_dict(
        self,
        state_dict: Mapping[str, Any],
        strict: bool = True,
        assign: bool = False,
        *,
        skip: str | Sequence[str] = (),
    ) -> IncompatibleKeys:
        """Copy values from a state dict into the parameters and buffers of the same names.

        A training checkpoint may be given as it is: weights under ``"state_dict"``, ``"model"`` or another name are found,
        the prefixes ``module.`` and ``_orig_mod.`` are taken off, and a warning says so.

        Everything is compared before anything is changed, so a load that fails leaves the module as it was (unless it has
        post-hooks: they see it loaded).

        Parameters
        ----------
        state_dict : as ``state_dict()`` returns it. Values are cast to the dtype that the module has.
        strict : whether a key without a place, or a place without a key, is an error. A size that differs always is.
        assign : put the given tensors in the module in place of its own, keeping their dtype, rather than copying.
            Make the optimizer afterwards: it would keep the old parameters.
        skip : names, such as ``"fc"``, of parts that keep their own values: a new head on pretrained weights.

        Returns
        -------
        ``(missing_keys, unexpected_keys)``, both empty under ``strict=True``.

        Raises
        ------
        TypeError : ``state_dict`` is no mapping of names.
        RuntimeError : one message that lists missing keys, unexpected keys, and mismatching sizes.

        >>> from minicnn import nn
        >>> model, other = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> model.load_state_dict(other.state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            remedy = (
                "mc.load(path) reads a file" if isinstance(state_dict, (str, os.PathLike)) else "give a state_dict()"
            )
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}: {remedy}.")
        own = {name for name, _ in self.named_parameters(remove_duplicate=False)}
        own |= {name for name, _ in self.named_buffers(remove_duplicate=False)}
        state_dict, taken_off = unwrapped(state_dict, own)
        if taken_off:
            warnings.warn(f"load_state_dict: {taken_off}", UserWarning, stacklevel=2)
        strange = next((key for key in state_dict if not isinstance(key, str)), None)
        if strange is not None:
            raise TypeError(f"state_dict: expected the names of parameters as keys, got the key {strange!r:.80}")
        skipped = tuple(f"{name}." for name in ([skip] if isinstance(skip, str) else skip))
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []
        metadata = getattr(state_dict, "_metadata", None) or {}
        plan: list[tuple[StateDictMixin, str, Any]] = []
        notes = (missing, unexpected, errors)
        kept = OrderedDict((k, v) for k, v in state_dict.items() if not f"{k}.".startswith(skipped))
        hooked = self._compare(kept, "", metadata, plan, notes)
        missing[:] = [key for key in missing if not f"{key}.".startswith(skipped)]
        result = IncompatibleKeys(missing, unexpected)
        if hooked and not errors:
            self._carry_out(plan, assign)
            plan = []
            for module in hooked:
                for hook in list(module._load_state_dict_post_hooks.values()):
                    if hook(module, result) is not None:
                        raise RuntimeError("load_state_dict post-hook must return None: change the lists it gets")
        if strict and unexpected:
            errors.insert(0, f"Unexpected key(s) in state_dict: {_quoted(unexpected)}. ")
        if strict and missing:
            errors.insert(0, f"Missing key(s) in state_dict: {_quoted(missing)}. ")
        if errors:
            details = "\n\t".join(errors)
            error = RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{details}")
            prefix = unusual_prefix(state_dict, own)
            if prefix is not None:
                error.add_note(
                    f"All its keys begin with {prefix!r}. Without it they are this model's: "
                    f"{{key.removeprefix({prefix!r}): value for key, value in state_dict.items()}}"
                )
            mismatched = [e.removeprefix(MISMATCH).partition(":")[0] for e in errors if e.startswith(MISMATCH)]
            if mismatched:
                parts = ", ".join(dict.fromkeys(repr(key.rpartition(".")[0]) for key in mismatched))
                error.add_note(
                    f"To load the rest and keep what the model has there: load_state_dict(..., skip=[{parts}])"
                )
            raise error
        self._carry_out(plan, assign)
        return result

    def _compare(
        self, state_dict: dict[str, Any], prefix: str, metadata: dict[str, Any], plan: list, notes: tuple
    ) -> list[StateDictMixin]:
        """Compare this module and those below it with ``state_dict``, which is this module's to change; returns those that
        have post-hooks, children first.
        """
        local_metadata = {**metadata.get(prefix[:-1], {}), "plan": plan}
        for hook in list(self._load_state_dict_pre_hooks.values()):
            hook(self, state_dict, prefix, local_metadata, True, *notes)
        self._load_from_state_dict(state_dict, prefix, local_metadata, True, *notes)
        hooked = []
        for name, child in self._modules.items():
            if child is not None:
                below = f"{prefix}{name}."
                part = OrderedDict((key, value) for key, value in state_dict.items() if key.startswith(below))
                hooked += child._compare(part, below, metadata, plan, notes)
        return [*hooked, self] if self._load_state_dict_post_hooks else hooked

    @staticmethod
    def _carry_out(plan: list[tuple[StateDictMixin, str, Any]], assign: bool) -> None:
        for module, name, value in plan:
            module._place(name, value, assign)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Compare this module's own tensors, not its children's, with ``state_dict``, and plan the copies.

        Layers override it, with torch's signature, to accept what earlier versions saved: they change ``state_dict``
        and then call this one. ``local_metadata["version"]`` is the version that wrote it, absent in files of other
        origin.
        """
        own = self._own_state()
        for name, value in own.items():
            key = prefix + name
            if key not in state_dict:
                if strict:
                    missing_keys.append(key)
                continue
            given = state_dict[key]
            if not isinstance(given, Tensor):
                error_msgs.append(
                    f'While copying the parameter named "{key}", expected a Tensor from checkpoint but received '
                    f"{type(given)}: wrap arrays with from_numpy"
                )
                continue
            if is_lazy(value) or is_lazy(given):
                if not is_lazy(value):
                    error_msgs.append(
                        f"{key} is uninitialized in the checkpoint, and has the shape {value.shape} in the current model: "
                        "call the lazy module once before you save it."
                    )
                elif not is_lazy(given):  # takes the shape that comes
                    local_metadata["plan"].append((self, name, given))
                continue
            if value.ndim == 0 and tuple(given.shape) == (1,):
                given = given.reshape(())  # PyTorch 0.3 saved scalars with one dimension
            if given.shape != value.shape:
                error_msgs.append(
                    f"{MISMATCH}{key}: copying a param with shape {given.shape} from checkpoint, "
                    f"the shape in current model is {value.shape}."
                )
                continue
            local_metadata["plan"].append((self, name, given))
        takes_extra, extra_key = self._has_extra_state("set_extra_state"), prefix + EXTRA_STATE
        if takes_extra and extra_key in state_dict:
            local_metadata["plan"].append((self, EXTRA_STATE, state_dict[extra_key]))
        elif takes_extra and strict:
            missing_keys.append(extra_key)
        if strict:
            for key in state_dict:
                if not key.startswith(prefix) or (takes_extra and key == extra_key):
                    continue
                head, dot, _ = key[len(prefix) :].partition(".")
                if (dot and head not in self._modules) or (not dot and head not in own):
                    unexpected_keys.append(key)

    def _place(self, name: str, value: Any, assign: bool) -> None:
        """Give the parameter or buffer ``name`` the values of ``value``, or ``value`` itself."""
        if name == EXTRA_STATE:
            self.set_extra_state(value)
            return
        current = self._own_state()[name]
        if not assign:
            with no_grad():
                if isinstance(current, UninitializedTensorMixin):
                    current.materialize(value.shape)
                current.copy_(value)
        elif isinstance(current, Parameter):
            given = value if isinstance(value, Parameter) else Parameter(value, requires_grad=current.requires_grad)
            self._parameters[name] = given.requires_grad_(current.requires_grad)
        else:
            self._buffers[name] = value

    def _own_state(self) -> dict[str, Tensor]:
        """This module's parameters and persistent buffers by name, without those that are ``None``."""
        own: dict[str, Tensor] = {name: value for name, value in self._parameters.items() if value is not None}
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                own[name] = buffer
        return own


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)
