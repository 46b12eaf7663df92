"""What a benchmark is made of: cases, each the same work done by several peers.

A file ``bench_<name>.py`` has a function ``cases(setting)`` that yields them; ``registry.py`` lists the files, ``worker.py``
measures them, ``report.py`` prints the ratios.
"""

from __future__ import annotations

import importlib.util
import itertools
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Call = Callable[[], Any]
Maker = Callable[[], Call]  # prepares the operands and returns what is timed; imports its library itself

MINICNN, COMPILED = "minicnn", "minicnn, compiled"
TORCH, CHANNELS_LAST, INDUCTOR = "torch", "torch, channels_last", "torch.compile"
JAX = "JAX jit"
ONNX = "onnxruntime"

LIBRARIES = ("torch", "jax", "onnxruntime")  # that may be missing

UNCACHED = 96 << 20  # bytes: several times the last-level cache of common machines


class Setting(NamedTuple):
    """How a bench is to be run: threads of every peer; ``quick`` for tiny shapes that only show that everything works."""

    threads: int = 1
    quick: bool = False


@dataclass(frozen=True)
class Case:
    """One piece of work.

    peers : by name, what prepares it; the first is what the others are compared with.
    flops, bytes : what the work needs at least; 0 where that says nothing. The floor is the longer of flops / peak and
        bytes / bandwidth.
    operands : bytes that one call touches. If given, calls take in turn so many copies of their operands that these fit no
        cache: as in a training step, data come from memory while the code stays warm.
    """

    name: str
    peers: Mapping[str, Maker]
    flops: float = 0
    bytes: float = 0
    operands: int = 0

    def calls(self, peer: str, cached: bool = False) -> Call:
        """What is to be timed for a peer."""
        make = self.peers[peer]
        copies = 1 if cached or not self.operands else -(-UNCACHED // self.operands)
        if copies == 1:
            return make()
        turns = itertools.cycle([make() for _ in range(copies)])
        return lambda: next(turns)()


@dataclass(frozen=True)
class ProcessCase:
    """Something measured on whole processes: each peer starts one and returns a number, in ``unit``."""

    name: str
    unit: str
    peers: Mapping[str, Callable[[], float]]
    rounds: int = 3
    flops: float = field(default=0, init=False)
    bytes: float = field(default=0, init=False)


def library_of(peer: str) -> str:
    """The package that a peer's name stands for: ``"torch, channels_last"`` and ``"torch.compile"`` for torch."""
    return re.split("[ ,.]", peer)[0].lower()


def missing(peer: str) -> str | None:
    """Why a peer cannot run here; None where it can."""
    library = library_of(peer)
    if library in LIBRARIES and importlib.util.find_spec(library) is None:
        return f"{library} is not installed"
    if peer == INDUCTOR and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        return "torch.compile needs a C++ compiler"
    if peer == ONNX and (lacks := [name for name in ("onnx", "torch") if importlib.util.find_spec(name) is None]):
        return f"{lacks[0]} is not installed, which makes its graph"
    return None
