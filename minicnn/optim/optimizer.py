"""``Optimizer``, the base class of the update rules: parameter groups, state per parameter, saving and loading.

A rule (``sgd.py``, ``adam.py``) defines ``step``: it gathers the parameters that have a gradient, and hands their arrays
to a kernel in ``minicnn_kernels``, which changes them in place, all in one call.
"""

from __future__ import annotations

import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from minicnn.autograd import Tensor, enable_grad

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

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _noting_the_call(cls.__dict__["step"])  # type: ignore[method-assign]

    def __init__(self, params: Params, defaults: dict[str, Any]) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"{type(params).__name__}: put it in a list"
            )
        self.defaults = defaults
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
                    "all optimizer param groups should be with/without names: name the parameters of all groups or none"
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
        index: dict[int, int] = {}
        packed = []
        for group in self.param_groups:
            for parameter in group["params"]:
                index.setdefault(id(parameter), len(index))
            options = {option: value for option, value in group.items() if option != "params"}
            packed.append({**options, "params": [index[id(parameter)] for parameter in group["params"]]})
        state = {index[id(key)] if isinstance(key, Tensor) else key: value for key, value in self.state.items()}
        return {"state": state, "param_groups": packed}

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
                state[parameter] = {name: _copied(parameter, key, name, item) for name, item in value.items()}
            else:
                state[key] = deepcopy(value)
        for group, saved in zip(self.param_groups, saved_groups, strict=True):
            saved["params"] = group["params"]
        self.state = state
        self.param_groups = saved_groups
        self._fill_in_options()

    def _fill_in_options(self) -> None:
        """Give groups that an older version saved the options that came later."""
        for group in self.param_groups:
            for option, value in self.defaults.items():
                group.setdefault(option, value)

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
    """Raise for options of torch's that would change what a step is, rather than how fast it runs."""
    for option, remedy in (
        ("differentiable", "steps cannot be differentiated through; compute the update with tensor operations"),
        ("capturable", "there is no graph to capture a step in; leave it out"),
    ):
        if group.get(option):
            raise NotImplementedError(f"{name}({option}=True) is not supported: {remedy}")
    if group.get("foreach") and group.get("fused"):
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def as_number(value: float | Tensor) -> float:
    """An option that may be a tensor of one element, as a Python number."""
    return value.item() if isinstance(value, Tensor) else value


def check_not_negative(what: str, value: float | Tensor) -> None:
    """Raise torch's ``ValueError("Invalid learning rate: -1")`` and the like for a negative value or NaN."""
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"Tensor {what} must be 1-element, got shape {tuple(value.shape)}")
    if not as_number(value) >= 0:
        raise ValueError(f"Invalid {what}: {value}")


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


def _copied(parameter: Tensor, index: Any, name: str, value: Any) -> Any:
    """A copy of one state value for ``parameter``; tensors but ``step`` in its dtype and memory order."""
    if not isinstance(value, Tensor) or name == "step":
        return deepcopy(value)
    if value.ndim and value.shape != parameter.shape:
        raise ValueError(
            f"loaded state dict has {name!r} of shape {tuple(value.shape)} for parameter {index}, which has shape "
            f"{tuple(parameter.shape)}: it was saved for another model, or for parameters in another order"
        )
    array = np.empty_like(parameter._array) if value.ndim else np.empty((), parameter._array.dtype)
    array[...] = value._array
    return Tensor(array)


def _noting_the_call(step: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(step)
    def noting(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        return step(self, *args, **kwargs)

    return noting
