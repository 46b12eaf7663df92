"""Each call that torch's signatures allow is possible here: names, order, defaults, keywords."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tests.helpers.surface import groups
from tests.helpers.torch_signatures import overloads, unbindable

# Overloads and arguments that are left out on purpose, with the reason. "*" stands for all names of a group.
LEFT_OUT: dict[str, dict[str, str]] = {
    "torch": {
        "*": "names= (named tensors), generator, layout, pin_memory",
    },
}
ARGUMENTS = frozenset({"names"})


def cases() -> list[Any]:
    return [
        pytest.param(group.kind, name, theirs, ours, id=f"{group.title}.{name}")
        for group in groups()
        for name, theirs, ours in group
        if ours is not None and callable(ours)
    ]


@pytest.mark.parametrize(("kind", "name", "theirs", "ours"), cases())
def test_calls_are_possible(kind, name, theirs, ours):
    method = kind == "method"
    if method:
        parameters = list(inspect.signature(ours).parameters.values()) if not isinstance(ours, property) else []
        if not parameters:
            return
        function = ours.__get__(object()) if hasattr(ours, "__get__") else ours
    else:
        function = ours
    wrong = [text for overload in overloads(theirs, name, kind) for text in unbindable(function, overload, ARGUMENTS)]
    assert not wrong, "\n".join(wrong)
