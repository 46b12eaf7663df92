"""Kernels' calls that are made ready once and then made many times, on the same memory.

A kernel's wrapper looks at shapes, packs weights, finds memory and cuts work into chunks; for a small image that takes
longer than the arithmetic. A plan for inference knows all of it beforehand (``minicnn/compiler/fixed.py``): it asks
functions such as ``conv_launches`` once, and from then on only calls what is in the list.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .threads import Chunk, run_chunks, split


class Launch(NamedTuple):
    """``function(start, stop, *args)`` for each chunk, shared out among the threads."""

    function: Callable[..., Any]
    chunks: Sequence[Chunk]
    args: tuple


def over(function: Callable[..., Any], n_items: int, *args: Any, grain: int = 1) -> Launch:
    """What ``parallel_for`` would do, for later."""
    return Launch(function, tuple(split(n_items, grain)), args)


def once(function: Callable[..., Any], *args: Any) -> Launch:
    """``function(*args)``, which is no compiled loop; as a launch."""
    return Launch(_once, ((0, 1),), (function, args))


def run(launches: Sequence[Launch]) -> None:
    """Make the calls, one after the other."""
    for function, chunks, args in launches:
        if len(chunks) == 1:
            start, stop = chunks[0]
            function(start, stop, *args)
        else:
            run_chunks(function, chunks, args)


def _once(start: int, stop: int, function: Callable[..., Any], args: tuple) -> None:
    function(*args)
