"""``Optimizer``, the base class of the update rules: parameter groups, state per parameter, saving and loading, hooks.

A rule defines ``step``: it gathers the parameters that have a gradient, and hands their arrays to a kernel in
``minicnn_kernels``, which changes them in place, all in one call. Read ``sgd.py``, then ``elementwise.py``, from which
most of the others come.
"""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from minicnn.autograd import RemovableHandle, Tensor, enable_grad
from minicnn.dtypes import float64, get_default_dtype

Params = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]


class Optimizer:
    """Base class of all optimizers.

    Parameters
    ----------
    params : tensors; or ``(name, tensor)`` pairs; or groups, dictionaries with a key ``"params"`` and options of their
        own. The order must be the same in every run, for what is saved is found again by position.
    defaults : options for groups that do not set them.

    Attributes
    ----------
    param_groups : the groups, each a dictionary with ``"params"`` and every option; change ``group["lr"]`` at will.
    state : what the rule keeps for each parameter, by parameter.

    Raises
    ------
    TypeError : ``params`` is one tensor or a set, or holds something else than tensors.
    ValueError : no parameters, one that is not a leaf, or one in two groups.
    """

    _opt_called = False  # whether step() ever ran: what schedulers look at to warn of a wrong order
    _stepping = False  # a step() that calls its base class's runs the hooks once
    _of_parameter_shape: tuple[str, ...] = ()  # state that has its parameter's shape: checked when it is loaded
    _numbers: tuple[
        str, ...
    ] = ()  # state that is one number: a 0-d tensor, though older versions wrote Python's numbers

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__name__}: put it in a list"
            )
        self.defaults = defaults
        self._make_hooks()
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        _refuse_set(params)
        entries: list[Any] = list(params)
        if not entries:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(entries[0], dict):
            entries = [{"params": entries}]
        for group in entries:
            self.add_param_group(group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change every parameter that has a gradient.

        Parameters
        ----------
        closure : clears the gradients, computes the loss and its gradients, and returns the loss; called first.

        Returns
        -------
        What ``closure`` returned, or ``None``.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define step()")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of all parameters: to ``None``, or to zeros in place with ``set_to_none=False``.

        A parameter whose gradient is ``None`` is left alone by ``step``; one whose gradient is zero may still move, by
        its momentum or weight decay.
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad.detach_().zero_()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters: to train layers that were frozen, or with options of their own.

        Parameters
        ----------
        param_group : ``"params"`` (a tensor or an iterable of them), and any options; the defaults fill the rest.

        Raises
        ------
        TypeError : not a dictionary, or parameters that are no tensors.
        ValueError : a tensor that is not a leaf, or that is in another group.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        given = param_group["params"]
        _refuse_set(given)
        entries = [given] if isinstance(given, Tensor) else list(given)
        names = [entry[0] for entry in entries if isinstance(entry, tuple)]
        params = [entry[1] if isinstance(entry, tuple) else entry for entry in entries]
        if names and len(names) != len(params):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(
                    f"optimizer can only optimize Tensors, but one of the params is {type(parameter).__name__}"
                )
            if not (parameter.is_leaf or parameter.retains_grad):
                raise ValueError(
                    "can't optimize a non-leaf Tensor: it was computed from others; optimize those, or use detach()"
                )
        identities = {id(parameter) for parameter in params}
        if len(identities) != len(params):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; each is updated once per mention",
                stacklevel=3,
            )
        for group in self.param_groups:
            if not identities.isdisjoint(id(parameter) for parameter in group["params"]):
                raise ValueError("some parameters appear in more than one parameter group")
            if ("param_names" in group) != bool(names):
                raise ValueError(
                    "all optimizer param groups should be with/without names. cannot add param group "
                    f"{'with' if names else 'without'} names to the optimizer: name the parameters of all groups or none"
                )
        param_group["params"] = params
        if names:
            param_group["param_names"] = names
        for option, value in self.defaults.items():
            param_group.setdefault(option, value)
        self.param_groups.append(param_group)

    def state_dict(self) -> dict[str, Any]:
        """What it takes to continue later, in torch's form.

        Returns
        -------
        ``{"state": {index: {name: value}}, "param_groups": [{option: value, "params": [index]}]}``. Parameters are
        numbered through all groups. The tensors share memory with the optimizer's: deepcopy what is to be kept.

        >>> import minicnn as mc
        >>> layer = mc.nn.Linear(2, 1)
        >>> optimizer = mc.optim.SGD(layer.parameters(), lr=0.1)
        >>> optimizer.state_dict()["param_groups"][0]["params"]
        [0, 1]
        """
        for before in self._optimizer_state_dict_pre_hooks.values():
            before(self)
        index: dict[int, int] = {}
        packed = []
        for group in self.param_groups:
            for parameter in group["params"]:
                index.setdefault(id(parameter), len(index))
            options = {option: value for option, value in group.items() if option != "params"}
            packed.append({**options, "params": [index[id(parameter)] for parameter in group["params"]]})
        state = {index[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        saved: dict[str, Any] = {"state": state, "param_groups": packed}
        for after in self._optimizer_state_dict_post_hooks.values():
            replaced = after(self, saved)
            saved = saved if replaced is None else replaced
        return saved

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what ``state_dict()`` returned, matching parameters by position.

        Everything is copied. State tensors take their parameter's dtype, save ``step``.

        Parameters
        ----------
        state_dict : of an optimizer with as many groups, and as many parameters in each.

        Raises
        ------
        ValueError : another number of groups, of parameters in a group, or a state tensor of another shape.
        """
        state_dict = dict(state_dict)  # hooks may change it
        for before in self._optimizer_load_state_dict_pre_hooks.values():
            replaced = before(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        saved_groups = deepcopy(state_dict["param_groups"])
        if len(saved_groups) != len(self.param_groups):
            raise ValueError(
                "loaded state dict has a different number of parameter groups: "
                f"got {len(saved_groups)}, the optimizer has {len(self.param_groups)}"
            )
        parameter_of: dict[Any, Tensor] = {}
        for i, (group, saved) in enumerate(zip(self.param_groups, saved_groups, strict=True)):
            if len(group["params"]) != len(saved["params"]):
                raise ValueError(
                    "loaded state dict contains a parameter group that doesn't match the size of optimizer's group: "
                    f"group {i} has {len(saved['params'])} parameters there and {len(group['params'])} here"
                )
            parameter_of.update(zip(saved["params"], group["params"], strict=True))
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in parameter_of:
                parameter = parameter_of[key]
                self._check_loaded(parameter, key, value)
                state[parameter] = {name: _copied(parameter, name, item) for name, item in value.items()}
            else:
                state[key] = deepcopy(value)
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            saved["params"] = group["params"]
        self.state = state
        self.param_groups = saved_groups
        self._fill_in_options()
        for after in self._optimizer_load_state_dict_post_hooks.values():
            after(self)

    def _check_loaded(self, parameter: Tensor, index: Any, state: Mapping[str, Any]) -> None:
        for name in self._of_parameter_shape:
            value = state.get(name)
            if isinstance(value, Tensor) and value.ndim and value.shape != parameter.shape:
                raise ValueError(
                    f"loaded state dict has {name!r} of shape {tuple(value.shape)} for parameter {index}, which has shape "
                    f"{tuple(parameter.shape)}: it was saved for another model, or for parameters in another order"
                )

    def _fill_in_options(self) -> None:
        """Bring what an older version saved up to date: options that came later, and numbers that became tensors."""
        for group in self.param_groups:
            for option, value in self.defaults.items():
                group.setdefault(option, value)
        for state in self.state.values():
            for name in self._numbers:
                if name in state and not isinstance(state[name], Tensor):
                    state[name] = scalar(float(state[name]))

    # ---- hooks

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

    # ---- copying, pickling, printing

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a pickle takes along: everything but the hooks."""
        return {name: value for name, value in self.__dict__.items() if not name.startswith("_optimizer_")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._make_hooks()
        self.__dict__.update(state)

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines += [""] * (i > 0) + [f"Parameter Group {i}"]
            lines += [f"    {option}: {group[option]}" for option in sorted(group) if option != "params"]
        return "\n".join([*lines, ")"])


def call_closure(closure: Callable[[], Any] | None) -> Any:
    """What a ``step`` does first: the closure's loss, with gradients recorded even under ``no_grad``."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


def refuse_options(name: str, group: Mapping[str, Any]) -> None:
    """Raise for options of torch's that would change what a step is, rather than how fast it runs, and contradictions."""
    if group.get("fused") and group.get("differentiable"):
        raise RuntimeError("`fused` does not support `differentiable`")
    if group.get("foreach") and group.get("fused"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    for option, remedy in (
        ("differentiable", "steps cannot be differentiated through; compute the update with tensor operations"),
        ("capturable", "there is no graph to capture a step in; leave it out"),
    ):
        if group.get(option):
            raise NotImplementedError(f"{name}({option}=True) is not supported: {remedy}")


def scalar(value: float) -> Tensor:
    """A number as a 0-d tensor, in float32 unless the default is float64: so files are torch's."""
    return Tensor(np.array(value, np.float64 if get_default_dtype() == float64 else np.float32))


def as_number(value: float | Tensor) -> float:
    """An option that may be a tensor of one element, as a Python number."""
    return value.item() if isinstance(value, Tensor) else value


def check_not_negative(what: str, value: float | Tensor) -> None:
    """Raise torch's ``ValueError("Invalid learning rate: -1")`` and the like for a negative value or NaN."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(
            f"Tensor {'lr' if what == 'learning rate' else what} must be 1-element, got {tuple(value.shape)}"
        )
    if not as_number(value) >= 0:
        raise ValueError(f"Invalid {what}: {value}")


def check_betas(betas: Iterable[float | Tensor]) -> None:
    """Raise for a beta outside [0, 1)."""
    for i, beta in enumerate(betas):
        if not 0.0 <= as_number(beta) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def check_state(parameter: Tensor, state: Mapping[str, Any], *names: str) -> None:
    """Raise where the kept tensors no longer fit the parameter: it was converted or replaced after its first step."""
    array = parameter._array
    for name in names:
        kept = state[name]._array
        if kept.dtype != array.dtype or kept.shape != array.shape:
            raise RuntimeError(
                f"{name} is {kept.dtype} of shape {kept.shape}, but its parameter is {array.dtype} of shape "
                f"{array.shape}: convert the model before its first step, or make a new optimizer after"
            )


def _refuse_set(params: object) -> None:
    if isinstance(params, (set, frozenset)):
        raise TypeError(
            "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
            "will change between runs. Please use a list instead."
        )


def _copied(parameter: Tensor, name: Any, value: Any) -> Any:
    """A copy of one state value for ``parameter``; tensors but ``step`` in its dtype, and in its memory order."""
    if isinstance(value, Mapping):
        return {key: _copied(parameter, key, item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(parameter, name, item) for item in value)
    if not isinstance(value, Tensor) or name == "step" or not parameter.is_floating_point():
        return deepcopy(value)
    dtype = parameter._array.dtype
    array = np.empty_like(parameter._array if value.shape == parameter.shape else value._array, dtype)
    array[...] = value._array
    return Tensor(array)


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


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with the hooks around it, which notes that it was called."""

    @functools.wraps(step)
    def stepping(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
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
