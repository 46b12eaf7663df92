"""What a plan looks like: ``print(compiled.plan)``.

The table says what runs, what it was fused from, and which memory its result got in the plan's first run: equal letters, the
same memory. (Results below 256 KiB have no letter: their memory is the C library's.) In training most results stay for the
backward pass, and fusing shows in how many bytes that are; in evaluation each dies after its last use, and the next of its
size takes over. Nobody plans that beforehand: it is what recycling comes to (``minicnn_kernels/workspace.py``).
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.workspace import SMALLEST

from ..autograd import Tensor
from ..autograd.op import Node
from .trace import Write

if TYPE_CHECKING:
    from .plan import Plan

_HEADER = ("operation", "fused from", "result", "bytes", "memory")
_TO_THE_RIGHT = (3,)  # columns


class Memory:
    """Notes of one run: where each result lay, and what the graph keeps of it."""

    def __init__(self) -> None:
        self.places: list[int | None] = []  # for each operation what place_of says
        self.kept = 0  # bytes that the backward pass needs
        self.kept_unfused = 0


def place_of(result: Any) -> int | None:
    """The address of an operation's result's memory; None where it is small."""
    array = (result[0] if isinstance(result, tuple) else result)._array
    return address_of(array) if array.nbytes >= SMALLEST else None


def kept_bytes(results: Iterable[Tensor], own: Iterable[Tensor]) -> int:
    """The memory that the graph behind ``results`` keeps for the backward pass, without the model's ``own`` tensors."""
    sizes: dict[int, int] = {}
    seen: set[Node] = set()
    stack = [t._node for t in results if t._node is not None]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        for array in getattr(node.ctx, "_saved", None) or ():
            if isinstance(array, np.ndarray):
                sizes[address_of(array)] = max(array.nbytes, sizes.get(address_of(array), 0))
        stack += [edge[0] for edge in node.edges if edge is not None and isinstance(edge[0], Node)]
    for tensor in own:
        sizes.pop(address_of(tensor._array), None)
    return sum(sizes.values())


def address_of(array: np.ndarray) -> int:
    """Where the memory begins that the array looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.__array_interface__["data"][0]


def rows(plan: Plan) -> list[tuple[str, ...]]:
    """For each call what :data:`_HEADER` says."""
    table: list[tuple[str, ...]] = []
    places = iter(plan.memory.places)
    letters: dict[int, str] = {}
    for call in plan.calls:
        if isinstance(call, Write):
            table.append((f"{call.name}({call.other})", "", str(tuple(call.target.shape)), "", ""))
            continue
        place = next(places, None)
        letter = "" if place is None else letters.setdefault(place, _letter(len(letters)))
        size = f"{_size(plan, call.outputs[0]):,}"
        table.append((call.name, " + ".join(call.fused_from), str(plan.shapes[call.outputs[0]]), size, letter))
    return table


def text(plan: Plan) -> str:
    """The table, with a line above it and one or two below."""
    lines = [f"{plan.name}: {plan.traced} operations traced, {sum(not isinstance(c, Write) for c in plan.calls)} run"]
    table = [_HEADER, *rows(plan)]
    if not any(plan.memory.places):
        table = [row[:-1] for row in table]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [
            cell.rjust(width) if i in _TO_THE_RIGHT else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    memory = plan.memory
    if memory.kept_unfused:
        lines.append(f"kept for the backward pass: {memory.kept:,} bytes; unfused {memory.kept_unfused:,}")
    elif any(memory.places):
        results = [c.outputs[0] for c in plan.calls if not isinstance(c, Write)]
        large = {p: _size(plan, n) for p, n in zip(memory.places, results, strict=True) if p is not None}
        total = sum(_size(plan, n) for p, n in zip(memory.places, results, strict=True) if p is not None)
        lines.append(f"large results: {total:,} bytes, in {sum(large.values()):,} bytes of memory")
    return "\n".join(lines)


def _size(plan: Plan, number: int) -> int:
    return math.prod(plan.shapes[number]) * plan.dtypes[number].itemsize


def _letter(n: int) -> str:
    """a, b, ..., z, a2, b2, ..."""
    again, which = divmod(n, 26)
    return string.ascii_lowercase[which] + (str(again + 1) if again else "")
