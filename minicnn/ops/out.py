"""``out=``: a function's result written into a tensor that is there already, as torch's functions offer it.

No rule below knows of ``out``: :func:`takes_out` adds the argument to a finished function, once for all of them
(``ops/__init__.py`` says which). An ``out`` with no elements takes the result's shape; any other shape is an error here,
where torch warns and changes it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..autograd import Tensor, is_grad_enabled

F = TypeVar("F", bound=Callable[..., Any])


def takes_out(function: F) -> F:
    """The function with one more argument, ``out``: a tensor (or, where it returns several, a tuple of them) to write into.

    >>> import minicnn as mc
    >>> out = mc.empty(2)
    >>> mc.add(mc.tensor([1.0, 2.0]), 1, out=out) is out, out
    (True, tensor([2., 3.]))
    """

    @functools.wraps(function)
    def with_out(*args: Any, out: Any = None, **options: Any) -> Any:
        result = function(*args, **options)
        return result if out is None else place(result, out, function.__name__)

    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    at = len(parameters) - (bool(parameters) and parameters[-1].kind is inspect.Parameter.VAR_KEYWORD)
    parameters.insert(at, inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None))
    with_out.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return cast(F, with_out)


def place(result: Any, out: Any, name: str) -> Any:
    """Write ``result`` into ``out`` and return ``out``.

    Raises
    ------
    TypeError : an ``out`` that is no tensor, or of a type that the result cannot be written into.
    ValueError : an ``out`` of another shape.
    RuntimeError : a result or an ``out`` that wants a gradient: what is written has no history.
    """
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(
                f"out: {name} returns {len(result)} tensors; give a tuple of as many, got {type(out).__name__}"
            )
        return tuple(place(r, o, name) for r, o in zip(result, out, strict=True))
    if not isinstance(out, Tensor):
        raise TypeError(f"out: {name} writes into a Tensor, got {type(out).__name__}")
    if is_grad_enabled() and (result.requires_grad or out.requires_grad):
        raise RuntimeError(f"out: what {name} writes has no history; leave out= away, or use mc.no_grad()")
    if result.dtype.category > out.dtype.category:
        raise TypeError(f"out: a {result.dtype} result of {name} cannot be written into a {out.dtype} tensor")
    if out.numel() == 0 and out.shape != result.shape:
        out.data = result.to(out.dtype)
        return out
    if out.shape != result.shape:
        raise ValueError(
            f"out: {name} gives shape {tuple(result.shape)}, got a tensor of shape {tuple(out.shape)}; give one of that "
            "shape, or an empty one"
        )
    return out.copy_(result.detach())
