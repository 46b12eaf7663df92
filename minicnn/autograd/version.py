"""Version cells: how a backward pass knows that an array it kept has been changed since.

Each storage (a block of memory that tensors look at) has one cell. Views and ``detach()`` share it. Every in-place
operation and every optimiser step bumps it; what an operation keeps for its backward pass remembers the number it saw
(``op.py``). A difference at backward time is an error, never a wrong gradient. Writes through a NumPy array that shares
the memory are not seen: after such a write the framework cannot help you.
"""

from __future__ import annotations


class VersionCell:
    """Counts the in-place changes of one storage, and remembers what made the last one."""

    __slots__ = ("exported", "last_writer", "value", "viewed")

    def __init__(self) -> None:
        self.value = 0
        self.last_writer = ""
        self.viewed = False  # whether a second tensor has ever shared this storage
        self.exported = (
            False  # whether a NumPy array outside, or ``.data``, may look at the memory: it has to stay there
        )

    def bump(self, writer: str) -> None:
        self.value += 1
        self.last_writer = writer
