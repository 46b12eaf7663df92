"""A listener to operations: how ``minicnn/compiler`` sees what a forward pass does.

While a tracer listens in this thread, ``Op.apply`` and the in-place operations report each call to it, and whatever takes
a tensor's numbers out to Python (``item()``, ``bool()``, ``numpy()``) reports that too; so does what has an effect besides
its result (a hook registered, a gradient set).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol


class Tracer(Protocol):
    """What listens."""

    def operation(self, op: Any, args: tuple, options: dict[str, Any], outputs: tuple) -> None:
        """``op.apply(*args, **options)`` gave ``outputs``."""

    def in_place(self, target: Any, compute: Any, name: str, sources: tuple, write: Any) -> Any:
        """Do ``write(target, compute, name, *sources)``, an in-place operation called ``name``, and return its result."""

    def read(self, tensor: Any, how: str) -> None:
        """``how`` (``item()`` ...) took the tensor's numbers out to Python."""

    def opaque(self, what: str) -> None:
        """Something ran that cannot be recorded."""


class _State(threading.local):
    tracer: Tracer | None = None


state = _State()


def note_effect(what: str) -> None:
    """Tell who listens, if anybody, of something that a record of operations would lose."""
    if state.tracer is not None:
        state.tracer.opaque(what)


@contextmanager
def listening(tracer: Tracer | None) -> Iterator[None]:
    """Let ``tracer`` listen (None: nobody) inside the block."""
    former = state.tracer
    state.tracer = tracer
    try:
        yield
    finally:
        state.tracer = former
