"""Each call that torch's signatures allow is possible here: names, order, defaults, keywords.

The signatures are those of torch's own stubs. A call is tried by ``inspect.signature(...).bind``: nothing runs.
"""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tests.helpers.surface import SIGNATURES, groups
from tests.helpers.torch_signatures import overloads, unbindable

# Arguments that are left out everywhere: named tensors, matrix products in other types, switches of other libraries.
ARGUMENTS = frozenset({"names", "cudnn_enabled", "cudnn_enable", "orig_func", "implicit", "_disable_byteorder_record"})


def cases() -> list[Any]:
    return [
        pytest.param(group.kind, name, theirs, ours, id=f"{group.title}.{name}")
        for group in groups()
        for name, theirs, ours in group
        if ours is not None and callable(ours)
    ]


@pytest.mark.parametrize(("kind", "name", "theirs", "ours"), cases())
def test_calls_are_possible(kind, name, theirs, ours, request):
    method = kind == "method"
    function = ours.__get__(object()) if method and hasattr(ours, "__get__") else ours
    if method and not list(inspect.signature(ours).parameters):
        return
    left_out = (
        ARGUMENTS | {"out"} if method else ARGUMENTS
    )  # two methods' stubs have an out that their documentation lacks
    title = request.node.callspec.id
    found = [text for o in overloads(theirs, name, kind) for text in unbindable(function, o, left_out)]
    if title in SIGNATURES:
        assert found, f"{title} is possible now: take it out of the list"
        return
    assert not found, "\n".join(found)
