"""PyTorch's signatures, read from the stubs and sources that come with it: which calls must be possible here.

Built-in functions have no signature that Python could ask for; their stubs (``torch/_C/*.pyi``) list every overload.
A :class:`Overload` holds the names, and :func:`unbindable` says which of the calls that PyTorch's overload allows a
function of ours cannot take: all arguments by position as far as they go, all by name, the defaults left out.
"""

from __future__ import annotations

import ast
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

STUBS = Path(torch.__file__).parent / "_C"
# Arguments that concern other devices, layouts or generators than there are here.
FOREIGN = {"layout", "pin_memory", "generator", "sparse_grad"}


@dataclass(frozen=True)
class Overload:
    """One way to call a function: names by position, names by keyword only, how many positional ones have no default."""

    positional: tuple[str, ...]
    keyword_only: tuple[str, ...]
    required: int
    variadic: bool

    def __str__(self) -> str:
        star = ["*size"] if self.variadic else (["*"] if self.keyword_only else [])
        return "(" + ", ".join([*self.positional, *star, *self.keyword_only]) + ")"


def _overload(node: ast.FunctionDef, method: bool) -> Overload | None:
    a = node.args
    names = [x.arg for x in (*a.posonlyargs, *a.args)]
    if method:
        names = names[1:]
    if names[0:1] == ["beta"] or {"alpha", "value"} & set(names[1:2]) or tuple(names[:2]) == ("beta", "self"):
        return None  # a deprecated order of arguments, kept by torch for old code
    if "out_dtype" in names or names[-2:] == ["other", "alpha"]:
        return None  # products in another type; and another deprecated order
    named = tuple(x.arg for x in a.kwonlyargs)
    return Overload(tuple(names), named, max(0, len(names) - len(a.defaults)), a.vararg is not None)


@functools.cache
def _functions(stub: str) -> dict[str, list[Overload]]:
    found: dict[str, list[Overload]] = {}
    for node in ast.parse((STUBS / stub).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and (overload := _overload(node, False)):
            found.setdefault(node.name, []).append(overload)
    return found


@functools.cache
def _methods() -> dict[str, list[Overload]]:
    found: dict[str, list[Overload]] = {}
    for node in ast.parse((STUBS / "__init__.pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == "TensorBase":
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and (overload := _overload(method, True)):
                    found.setdefault(method.name, []).append(overload)
    return found


def overloads(function: Any, name: str, kind: str) -> list[Overload]:
    """All overloads of torch's function ``name``: kind ``"function"``, ``"method"``, ``"nn"`` or ``"python"``."""
    if kind == "method":
        return _methods().get(name, []) or _of_python(function, method=True)
    if kind == "function" and (found := _functions("_VariableFunctions.pyi").get(name)):
        return found
    if kind == "nn" and (found := _functions("_nn.pyi").get(name)) and not inspect.isfunction(function):
        return found
    return _of_python(function)


def _of_python(function: Any, method: bool = False) -> list[Overload]:
    function = getattr(function, "__wrapped__", function)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []
    if method:
        parameters = parameters[1:]
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
    required = sum(p.default is p.empty for p in positional)
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if variadic and not positional:
        return []  # a wrapper that says nothing about its arguments
    return [Overload(tuple(p.name for p in positional), named, required, variadic)]


def unbindable(ours: Callable[..., Any], overload: Overload, leave_out: frozenset[str] = frozenset()) -> list[str]:
    """Which calls of the overload ``ours`` cannot take; ``self`` of a method is to be left out of the overload already."""
    try:
        signature = inspect.signature(ours)
    except (TypeError, ValueError):
        return []
    named = {name: 0 for name in overload.keyword_only if name not in FOREIGN | leave_out}
    names = [name for name in overload.positional if name not in leave_out]
    if names[-1:] == ["out"]:  # goes by name in torch's documentation
        named["out"] = 0
        names.pop()
    other = getattr(ours, "other_names", {})
    calls = {"by position": ([0] * len(names), named), "with defaults": ([0] * overload.required, {})}
    if not overload.variadic and "self" not in names:
        known = [other.get(name, name) for name in names]
        many = "*" in known  # given one by one here: a name for all of them is for the wrapper to see
        calls["by name"] = ([0] * len(known), named) if many else ([], {**dict.fromkeys(known, 0), **named})
    wrong = []
    for how, (positional, keywords) in calls.items():
        try:
            signature.bind(*positional, **keywords)
        except TypeError as error:
            wrong.append(f"{overload} {how}: {error}")
    return wrong
