"""A layer whose parameters will be filled by something else."""

from __future__ import annotations

import inspect
from typing import Any, TypeVar

from minicnn import random
from minicnn.nn.module import Module

AnyModule = TypeVar("AnyModule", bound=Module)


def skip_init(module_cls: type[AnyModule], *args: Any, **kwargs: Any) -> AnyModule:
    """A module of this class whose parameters are not initialised; do not rely on their values.

    No random numbers are taken from the default generator.

    Parameters
    ----------
    module_cls : a class whose ``__init__`` takes ``device``.
    args, kwargs : its arguments.

    Raises
    ------
    RuntimeError : not a module class, or one that does not take ``device``.

    >>> import minicnn as mc
    >>> skip_init(mc.nn.Linear, 3, 2)
    Linear(in_features=3, out_features=2, bias=True)
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    if kwargs.get("device") == "meta":
        kwargs = {**kwargs, "device": None}
    state = random.get_rng_state()
    try:
        return module_cls(*args, **kwargs)
    finally:
        random.set_rng_state(state)
