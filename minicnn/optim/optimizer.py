"""``Optimizer``, the base class of the update rules: parameter groups, state per parameter, saving and loading.

A rule defines ``step``: it gathers the parameters that have a gradient, and hands their arrays to a kernel in
``minicnn_kernels``, which changes them in place, all in one call. ``hooks.py`` is the other half of the class. Read
``sgd.py``, then ``elementwise.py``, from which most of the others come.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.optim.hooks import (
    OptimizerHooks,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    with_hooks,
)
from minicnn.optim.options import scalar

__all__ = ["Optimizer", "Params", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]

Params = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[dict[str, Any]]


class Optimizer(OptimizerHooks):
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
    # State that has its parameter's shape: checked when it is loaded.
    _of_parameter_shape: tuple[str, ...] = ()
    # State that is one number: a 0-d tensor, though older versions wrote Python's numbers.
    _numbers: tuple[str, ...] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

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
