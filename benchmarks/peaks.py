"""The machine's limits, measured: multiply-adds a second out of the first-level cache, bytes a second from memory.

The first with the framework's own innermost loop (``minicnn_kernels/cpu/microkernel.py``), whose operands stay in the
cache; the second by copying arrays that fit no cache, and by changing one in place, counting what is read and what is
written: a copy may be the slower, where the memory is also read before it is overwritten.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minicnn_kernels.cpu.jit import jit
from minicnn_kernels.cpu.microkernel import SIMD, full_tile, tile_columns
from minicnn_kernels.threads import parallel_for, set_num_threads

from .roofline import Peaks

DEPTH = 128  # of the tile's product: 7 + 16 KB with AVX-512
REPEATS = 4000
NBYTES = 64 << 20


def measure(threads: int, quick: bool = False) -> Peaks:
    """The peaks for so many threads: the best of several tries."""
    set_num_threads(threads)
    tries = 2 if quick else 7
    return Peaks(_gflops(threads, tries, 10 if quick else REPEATS), _gbs(tries, 1 << 20 if quick else NBYTES))


def _gflops(threads: int, tries: int, repeats: int) -> float:
    rows, columns = SIMD.rows, tile_columns(np.dtype(np.float32))
    a, b = np.ones(rows * DEPTH, np.float32), np.ones(columns * DEPTH, np.float32)
    results = [np.empty(rows * columns, np.float32) for _ in range(threads)]

    def run(start: int, stop: int) -> None:
        for thread in range(start, stop):
            _tiles(repeats, a, b, results[thread], DEPTH, rows, columns)

    flops = 2.0 * rows * columns * DEPTH * repeats * threads
    return flops / _best(lambda: parallel_for(run, threads), tries) / 1e9


@jit
def _tiles(repeats, a, b, c, depth, rows, columns):
    for _ in range(repeats):
        # Nothing is added at the end, and nothing asked for.
        full_tile(a, 0, depth, 1, b, 0, c, 0, columns, depth, rows, False, 0, c, 0, c, 0, 0)


def _gbs(tries: int, nbytes: int) -> float:
    source, target = np.ones(nbytes // 4, np.float32), np.zeros(nbytes // 4, np.float32)

    def copy(start: int, stop: int) -> None:
        np.copyto(target[start:stop], source[start:stop])

    def change(start: int, stop: int) -> None:
        np.negative(target[start:stop], out=target[start:stop])

    seconds = min(_best(partial(parallel_for, function, source.size), tries) for function in (copy, change))
    return 2 * source.nbytes / seconds / 1e9


def _best(call: Callable[[], Any], tries: int) -> float:
    """Seconds of the fastest call: a peak is what the machine can do when nothing disturbs it."""
    call()
    best = float("inf")
    for _ in range(tries):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best
