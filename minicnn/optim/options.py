"""Checks of optimizers' options, with torch's messages, and what the rules share in reading them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from minicnn.autograd import Tensor, enable_grad
from minicnn.dtypes import float64, get_default_dtype


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
