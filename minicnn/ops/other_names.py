"""Arguments that torch knows by other names too: ``max(x, other=y)`` beside ``max(x, dim=0)``, ``x.permute(dims=(1, 0))``
beside ``x.permute(1, 0)``.

torch's functions have several signatures each; ours have one, and the tables below say which names of the others mean which
argument. :func:`with_other_names` puts them on finished functions, for ``ops/__init__.py`` and ``tensor_methods.py``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])

_SECTIONS = {"sections": "indices_or_sections", "indices": "indices_or_sections"}

# function -> {torch's name: ours}. A name after "*" is that of arguments given one by one.
OTHER_NAMES: dict[str, dict[str, str]] = {
    "max": {"other": "dim"},
    "min": {"other": "dim"},
    "hsplit": _SECTIONS,
    "vsplit": _SECTIONS,
    "dsplit": _SECTIONS,
    "tensor_split": {**_SECTIONS, "tensor_indices_or_sections": "indices_or_sections"},
    "split": {"split_size": "split_size_or_sections"},
    "isin": {"element": "elements", "test_element": "test_elements"},
    "dropout": {"train": "training"},
    "permute": {"dims": "*"},
    "flip": {"dims": "*"},
    "tile": {"dims": "*"},
    "reshape": {"shape": "*"},
    "view": {"size": "*", "dtype": "*"},
    "expand": {"size": "*"},
    "resize_": {"size": "*"},
    "repeat": {"repeats": "*"},
    "sum_to_size": {"size": "*"},
}


def with_other_names(function: F, names: dict[str, str]) -> F:
    """The function, which also takes ``names`` as keywords.

    >>> import minicnn as mc
    >>> mc.max(mc.tensor([1, 5]), other=mc.tensor([3, 4])), mc.zeros(2, 3).permute(dims=(1, 0)).shape
    (tensor([3, 5]), minicnn.Size([3, 2]))
    """

    @functools.wraps(function)
    def with_names(*args: Any, **options: Any) -> Any:
        if options:
            for name in names.keys() & options.keys():
                if names[name] == "*":
                    args = (*args, options.pop(name))
                else:
                    options[names[name]] = options.pop(name)
        return function(*args, **options)

    with_names.other_names = names  # type: ignore[attr-defined]
    return cast(F, with_names)


def named(functions: dict[str, Any]) -> dict[str, Any]:
    """Those of ``functions`` that have other names, with them."""
    return {n: with_other_names(functions[n], names) for n, names in OTHER_NAMES.items() if n in functions}
