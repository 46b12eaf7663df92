"""Attention without a mask, ready to be computed many times (for one call, masks and gradients: ``attention.py``).

One head after the other: its keys and values are packed, then for some queries at a time the scores are multiplied, turned
into weights and multiplied with the values while they are in the cache. Queries, keys and values are read where they lie, so
the three may be parts of one array, and the result is written where the next layer reads it.
"""

import numpy as np

from ..launch import Launch
from .elementary import CONSTANTS
from .finish import LARGEST, bounded_exp
from .gemm import ONE_PRODUCT, ROWS, multiply, pack_columns, pack_rows
from .handing_out import handed_out, take
from .jit import ONE, ZERO, jit_allocating, jit_part
from .microkernel import tile_columns
from .simd import VECTOR_BYTES, lanes, load, load_part, number, store, store_part, where

QUERIES = 4 * ROWS  # of a block: with some hundred keys, its scores are a part of a second-level cache
GRAIN_FLOPS = 1_000_000


def attention_launches(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None, scale: float, causal: bool, out: np.ndarray
) -> list[Launch] | None:
    """See the reference."""
    batch, heads, queries, width = q.shape
    keys, value_width = v.shape[2:]
    arrays = [_flat(a) for a in (q, k, v, out)]
    if mask is not None or causal or keys < lanes(q.dtype) or not out.size or any(a is None for a in arrays):
        return None
    steps = tuple(step for a in (q, k, v, out) for step in _steps(a))
    sizes = heads, queries, keys, width, value_width, tile_columns(q.dtype)
    how = q.dtype.type(scale), q.dtype.type(LARGEST), CONSTANTS[q.dtype]
    grain = max(1, GRAIN_FLOPS // (2 * queries * keys * (width + value_width)))
    return handed_out(_heads, batch * heads, *arrays, batch, sizes, steps, how, grain=grain)


def _flat(a: np.ndarray) -> np.ndarray | None:
    """The memory from an array's first to its last number; None unless its rows have no gaps."""
    steps = [step // a.itemsize for step in a.strides]
    if not a.size or min(steps) < 0 or (steps[-1] != 1 and a.shape[-1] > 1) or any(s % a.itemsize for s in a.strides):
        return None
    extent = sum((size - 1) * step for size, step in zip(a.shape, steps, strict=True)) + 1
    return np.lib.stride_tricks.as_strided(a[0, 0, 0], (extent,), (a.itemsize,))


def _steps(a: np.ndarray) -> tuple[int, int, int]:
    """From one batch, head and row to the next."""
    batch, head, row, _ = (step // a.itemsize for step in a.strides)
    return batch, head, row


@jit_allocating
def _heads(start, stop, counter, q, k, v, out, batch, sizes, steps, how):
    """Heads of all the batch, as long as there are any."""
    heads, queries, keys, width, value_width, columns = sizes
    q_batch, q_head, q_row, k_batch, k_head, k_row, v_batch, v_head, v_row, o_batch, o_head, o_row = steps
    k_panels, v_panels = (keys + columns - 1) // columns, (value_width + columns - 1) // columns
    packed_k, packed_v = np.empty(k_panels * width * columns, q.dtype), np.empty(v_panels * keys * columns, q.dtype)
    block = min(queries, QUERIES)
    scores, scratch = np.empty(block * keys, q.dtype), np.empty(ROWS * columns, q.dtype)
    parts = np.empty(VECTOR_BYTES // q.itemsize, q.dtype)
    item = take(counter)
    while item < batch * heads:
        b, h = item // heads, item % heads
        pack_columns(ZERO, k_panels, k, b * k_batch + h * k_head, k_row, width, keys, columns, packed_k)
        pack_rows(ZERO, v_panels, v, b * v_batch + h * v_head, v_row, keys, value_width, columns, packed_v)
        for top in range(0, queries, block):
            rows = min(block, queries - top)
            at, to = b * q_batch + h * q_head + top * q_row, b * o_batch + h * o_head + top * o_row
            left, place = (q, at, q_row, ONE), (scores, ZERO, keys, columns, ZERO, scratch)
            end = ZERO, out, ZERO, out  # nothing is done to the sums
            multiply(ONE_PRODUCT, rows, keys, width, *left, packed_k, ZERO, *place, *end)
            for r in range(rows):
                _softmax(scores, r * keys, keys, parts, how)
            left, place = (scores, ZERO, keys, ONE), (out, to, o_row, columns, ZERO, scratch)
            multiply(ONE_PRODUCT, rows, value_width, keys, *left, packed_v, ZERO, *place, *end)
        item = take(counter)


@jit_part
def _softmax(x, at, n, parts, how):
    """x[at : at + n] = softmax(scale * x), in place; n fills a vector, as does `parts`."""
    scale, largest, k = how
    lanes = VECTOR_BYTES // x.itemsize
    whole = n // lanes * lanes
    some = load(x, at) * number(scale, load(x, at))
    for i in range(0, n, lanes):
        y = load(x, at + min(i, n - lanes)) * number(scale, some)
        some = where(y > some, y, some)
    store(parts, ZERO, some)
    top = parts[0]
    for i in range(1, lanes):
        top = max(top, parts[i])
    lowest, peak = number(-largest, some), number(top, some)
    total = number(k.zero, some)
    for i in range(0, whole, lanes):
        y = load(x, at + i) * number(scale, some) - peak
        y = bounded_exp(where(lowest > y, lowest, y), k)
        store(x, at + i, y)
        total = total + y
    if whole < n:
        y = load_part(x, at + whole, n - whole) * number(scale, some) - peak
        store_part(x, at + whole, n - whole, bounded_exp(where(lowest > y, lowest, y), k))
        total = total + load_part(x, at + whole, n - whole)
    store(parts, ZERO, total)
    sum_ = parts[0]
    for i in range(1, lanes):
        sum_ += parts[i]
    share = number(k.one / sum_, some)
    for i in range(0, whole, lanes):
        store(x, at + i, load(x, at + i) * share)
    if whole < n:
        store_part(x, at + whole, n - whole, load_part(x, at + whole, n - whole) * share)
