"""Handing out work piece by piece: who has finished a piece takes the next.

Where cores run at different speeds (other programs, other machines on the same host) equal shares are done at different
times, and the slowest thread decides: of a large product with two threads on a virtual machine that was a tenth. So where
pieces are large and a piece's numbers do not depend on who computes it, the threads draw them from a counter.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..launch import Launch, once
from .jit import DISABLED, launch
from .memory import start_of


@intrinsic
def _take_intrinsic(typingctx, counter):
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        place = start_of(context, builder, signature.args[0], args[0])
        return builder.atomic_rmw("add", place, ir.IntType(64)(1), "acq_rel")

    return types.int64(counter), generate


_lock = threading.Lock()


def _plain_take(counter: np.ndarray) -> int:
    with _lock:
        counter[0] += 1
        return int(counter[0]) - 1


take: Any = _plain_take if DISABLED else _take_intrinsic  # the number of the next piece, each number once


def handed_out(function: Callable[..., Any], n_items: int, *args: Any, grain: int = 1) -> list[Launch]:
    """``function(start, stop, counter, *args)`` on as many threads as pay: it takes pieces from the counter as long as there
    are any, whatever start and stop say."""
    counter = np.zeros(1, np.int64)
    return [once(counter.fill, 0), launch(function, n_items, counter, *args, grain=grain)]
