"""Version cells: how a backward pass knows that an array it kept has been changed since.

Each storage (a block of memory that tensors look at) has one cell. Views and ``detach()`` share it. Every in-place
operation and every optimiser step bumps it; what an operation keeps for its backward pass remembers the number it saw
(``op.py``). A difference at backward time is an error, never a wrong gradient. Writes through a NumPy array that shares
the memory are not seen: after such a write the framework cannot help you.
"""

from __future__ import annotations

import weakref
from typing import Any


class VersionCell:
    """Counts the in-place changes of one storage, and remembers what made the last one."""

    __slots__ = ("_prune_at", "_views", "exported", "last_writer", "value", "viewed")

    def __init__(self) -> None:
        self.value = 0
        self.last_writer = ""
        self.viewed = False  # whether a second tensor has ever shared this storage
        self._views: list[weakref.ref[Any]] = []  # recorded views of it, oldest first (``views.py``)
        self._prune_at = 64
        self.exported = (
            False  # whether a NumPy array outside, or ``.data``, may look at the memory: it has to stay there
        )

    def bump(self, writer: str) -> None:
        self.value += 1
        self.last_writer = writer

    def add_view(self, view: Any) -> None:
        """Remember a view, as long as somebody else holds it."""
        self._views.append(weakref.ref(view))
        if len(self._views) > self._prune_at:  # the dead go when they may be the half of it
            self._views = [ref for ref in self._views if ref() is not None]
            self._prune_at = max(64, 2 * len(self._views))

    def views(self) -> list[Any]:
        """The recorded views that are alive, oldest first."""
        return [view for ref in self._views if (view := ref()) is not None]
