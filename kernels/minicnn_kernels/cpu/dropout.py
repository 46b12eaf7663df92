"""Dropout in one pass: a few hundred random words at a time are drawn into the first-level cache and used at once.

What it computes, and how elements and words are numbered, is in ``reference/dropout.py``.
"""

import math

import numpy as np

from .. import workspace
from ..threads import parallel_chunks, split
from .jit import jit
from .layout import contiguous
from .random import philox_blocks, stream

BATCH = 256  # blocks of four words: 4 KB
GRAIN = 1 << 12  # blocks below which another thread does not pay


def dropout_forward(x: np.ndarray, p: float, seed: int, offset: int) -> np.ndarray:
    """x of any shape -> x / (1 - p) where kept and 0 elsewhere, row-major."""
    return drop(x, p, seed, offset, -np.inf)


def dropout_backward_input(grad_out: np.ndarray, p: float, seed: int, offset: int) -> np.ndarray:
    """grad_out of any shape -> grad_x: the same mask and scale, so the same function."""
    return dropout_forward(grad_out, p, seed, offset)


def drop(x: np.ndarray, p: float, seed: int, offset: int, floor: float) -> np.ndarray:
    """The dropout of x, but of `floor` where x is less: of ReLU(x) for a floor of 0."""
    source = contiguous(x).reshape(-1)
    out = workspace.empty((source.size,), x.dtype)
    constants = (*stream(seed, offset), np.uint64(math.floor(p * 2**32)), scale_of(p, x.dtype), x.dtype.type(floor))
    chunks = split(-(-source.size // 4), GRAIN)
    parallel_chunks(_drop, chunks, source, *constants, out, workspace.empty((len(chunks), 4 * BATCH), np.uint32))
    return out.reshape(x.shape)


def scale_of(p: float, dtype: np.dtype) -> np.floating:
    """What is kept is multiplied by it."""
    return dtype.type(0 if p == 1 else 1 / (1 - p))


@jit
def _drop(index, start, stop, x, key_0, key_1, offset, threshold, scale, floor, out, scratch):
    """Elements 4 * start .. 4 * stop."""
    words = scratch[index]
    for batch in range(start, stop, BATCH):
        n_blocks = min(BATCH, stop - batch)
        philox_blocks(key_0, key_1, offset + np.uint64(batch), words[: 4 * n_blocks])
        source = x[4 * batch : 4 * (batch + n_blocks)]
        target = out[4 * batch : 4 * (batch + n_blocks)]
        for i in range(target.size):
            value = floor if source[i] < floor else source[i]  # a NaN stays
            target[i] = value * (scale if words[i] >= threshold else scale * 0)
