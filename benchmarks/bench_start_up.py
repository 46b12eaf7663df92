"""Seconds from starting Python to the end of the first training step, or of an import alone; each in a fresh process.

minicnn with an empty compile cache (the very first run) and with a filled one. Python's bytecode is there in all cases, as
it is for anything that has been imported before. The floor of an import is Python's own start and ``import numpy``; a first
step with a filled cache has to import Numba besides. (``torch.compile`` with an empty cache of its own would take a minute,
and is left out.)
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from functools import partial

from .case import COMPILED, JAX, MINICNN, TORCH, ProcessCase, Setting, library_of, missing
from .harness import run_pinned

PROCESSES = True


def seconds(code: str, threads: int, cache: str | None = None) -> float:
    """Wall-clock time of a fresh interpreter that runs ``code``."""
    variables = {"PYTHONDONTWRITEBYTECODE": "", **({"MINICNN_CACHE_DIR": cache} if cache else {})}
    start = time.perf_counter()
    run_pinned(["-W", "ignore", "-c", code], threads, variables)
    return time.perf_counter() - start


def _first_step(peer: str, batch: int) -> str:
    return f"from benchmarks.bench_train_step import peers; peers({batch})[{peer!r}]()()"


def _empty_cache(code: str, threads: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return seconds(code, threads, folder)


def cases(setting: Setting) -> Iterator[ProcessCase]:
    threads, batch = setting.threads, 2 if setting.quick else 64
    imports = {name: f"import {library_of(name)}" for name in (MINICNN, "numpy", TORCH, JAX)} | {"python alone": "pass"}
    for name, code in imports.items():
        if missing(name) is None:
            seconds(code, threads)  # for the bytecode
    yield ProcessCase(
        "import", "s", {name: partial(seconds, code, threads) for name, code in imports.items()}, rounds=5
    )
    with tempfile.TemporaryDirectory() as folder:
        filled = {peer: partial(seconds, _first_step(peer, batch), threads, folder) for peer in (MINICNN, COMPILED)}
        for fill in filled.values():
            fill()
        others = {peer: partial(seconds, _first_step(peer, batch), threads) for peer in (TORCH, JAX)}
        yield ProcessCase("first training step, filled cache", "s", filled | others)
    if not setting.quick:
        empty = {peer: partial(_empty_cache, _first_step(peer, batch), threads) for peer in (MINICNN, COMPILED)}
        yield ProcessCase("first training step, empty cache", "s", empty | others)
