"""Attention in blocks of scores that stay in the cache: the products by ``gemm.py``, the softmax between them by NumPy.

    for each block of scores     several small heads, or some rows of queries of one head
        S = Q K^T                packed K: once a head
        P = softmax(S)           in place
        O = P V                  packed V: once a head

The scores of all heads together (batch x heads x queries x keys numbers) are never in memory. Under ``causal`` a block of
rows skips the keys that none of them sees, which halves the work. Backward goes through the same blocks: P comes again
from S and the sums that were kept; grad_Q is a block's own, grad_K and grad_V add up over the blocks of a head. The
threads share out the heads (forward: the blocks).
"""

from typing import NamedTuple

import numpy as np

from .. import workspace
from ..threads import parallel_for
from .gemm import multiply, n_panels, pack_columns, pack_rows, tile_scratch
from .jit import ZERO, jit
from .layout import contiguous
from .microkernel import tile_columns

BLOCK = 1 << 15  # scores of a block: 128 KB of float32, half of a second-level cache or less
ROWS = 56  # at least so many queries in a block, if there are: packing K costs about as much as 8 rows of the product
GRAIN_FLOPS = 2_000_000  # as in matmul.py


class _Block(NamedTuple):
    """Rows top .. bottom of the scores of heads first .. last, and how many keys they see."""

    first: int
    last: int
    top: int
    bottom: int
    seen: int


def attention_forward(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None, scale: float, causal: bool
) -> tuple[np.ndarray, np.ndarray]:
    """See the reference. q, k, v (batch, heads, ...) -> out (batch, heads, queries, value_width), log_sum."""
    shape, value_width = q.shape[:3], v.shape[3]
    mask, groups = _groups(q, k, mask)
    blocks = [block for group in groups for block in _blocks(group, q.shape[2], k.shape[2], causal)]
    q, k, v = _by_head(q), _by_head(k), _by_head(v)  # (batch, heads, rows, width) -> (batch*heads, rows, width)
    out = workspace.empty((*q.shape[:2], value_width), q.dtype)
    log_sum = np.empty(q.shape[:2], q.dtype)

    @np.errstate(divide="ignore", invalid="ignore")  # here, because each thread has a state of its own
    def run(start: int, stop: int) -> None:
        packed_k, packed_v = _Packed(k, transposed=True), _Packed(v)
        scratch = _Scratch(blocks, q.dtype)
        for block in blocks[start:stop]:
            first, last, top, bottom, seen = block
            scores = _scores(q, packed_k, mask, scale, causal, block, scratch.of(block))
            largest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
            largest[largest == -np.inf] = 0
            scores -= largest
            np.exp(scores, out=scores)
            total = scores.sum(axis=-1, keepdims=True)
            np.copyto(log_sum[first:last, top:bottom], np.where(total == 0, np.inf, largest + np.log(total))[..., 0])
            total[total == 0] = 1
            scores /= total
            _product(scores, scores, packed_v.of(first, last, 0, seen), out, first, top)

    flops = 2 * q.shape[0] * q.shape[1] * k.shape[1] * (q.shape[2] + value_width)
    parallel_for(run, len(blocks), grain=max(1, GRAIN_FLOPS * len(blocks) // max(1, flops)))
    return out.reshape(*shape, value_width), log_sum.reshape(shape)


def attention_backward(
    grad_out: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None, scale: float,
    causal: bool, out: np.ndarray, log_sum: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """See the reference: -> grad_q, grad_k, grad_v."""
    shapes = q.shape, k.shape, v.shape
    mask, groups = _groups(q, k, mask)
    q, k, v, grad_out = _by_head(q), _by_head(k), _by_head(v), _by_head(grad_out)
    sums = (grad_out * out.reshape(grad_out.shape)).sum(axis=-1)  # rowsum(P grad_P)
    log_sum = log_sum.reshape(sums.shape)
    queries, keys = q.shape[1], k.shape[1]
    grad_q, grad_k, grad_v = (workspace.zeros(x.shape, x.dtype) for x in (q, k, v))

    @np.errstate(invalid="ignore")
    def run(start: int, stop: int) -> None:
        packed_k, packed_v = _Packed(k, transposed=True), _Packed(v, transposed=True)
        rows_k, rows_q, rows_grad = _Packed(k), _Packed(q), _Packed(grad_out)
        blocks = [block for group in groups[start:stop] for block in _blocks(group, queries, keys, causal)]
        scratch, second = _Scratch(blocks, q.dtype), _Scratch(blocks, q.dtype)
        for block in blocks:
            first, last, top, bottom, seen = block
            weights = _scores(q, packed_k, mask, scale, causal, block, scratch.of(block))
            weights -= log_sum[first:last, top:bottom, None]
            np.exp(weights, out=weights)
            grad_scores = second.of(block)
            _product(grad_out, grad_out[first:last, top:bottom], packed_v.of(first, last, 0, keys), grad_scores)
            grad_scores -= sums[first:last, top:bottom, None]
            grad_scores *= weights
            grad_scores *= q.dtype.type(scale)
            _product(grad_scores, grad_scores, rows_k.of(first, last, 0, seen), grad_q, first, top)
            rows = first, last, top, bottom
            _product(weights, weights.swapaxes(1, 2), rows_grad.of(*rows), grad_v, first, accumulate=1)
            _product(grad_scores, grad_scores.swapaxes(1, 2), rows_q.of(*rows), grad_k, first, accumulate=1)

    flops = 2 * q.shape[0] * queries * keys * (3 * q.shape[2] + 2 * v.shape[2])
    parallel_for(run, len(groups), grain=max(1, GRAIN_FLOPS * len(groups) // max(1, flops)))
    return grad_q.reshape(shapes[0]), grad_k.reshape(shapes[1]), grad_v.reshape(shapes[2])


def _by_head(x: np.ndarray) -> np.ndarray:
    """(batch, heads, rows, width) -> (batch*heads, rows, width), contiguous."""
    return contiguous(x).reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _groups(q: np.ndarray, k: np.ndarray, mask: np.ndarray | None) -> tuple[np.ndarray | None, list[tuple[int, int]]]:
    """Heads (all of the batch counted through) that are computed together, so that blocks are not too small; none goes
    over from one element of the batch to the next where these have masks of their own. And the mask by head.
    """
    batch, heads, queries, _ = q.shape
    keys = k.shape[2]
    if mask is None or mask.shape[0] == 1:
        heads, batch = batch * heads, 1
        if mask is not None and mask.shape[1] != 1:
            batch, heads = q.shape[:2]
    size = max(1, BLOCK // max(1, queries * keys))
    groups = [
        (b * heads + first, b * heads + min(first + size, heads))
        for b in range(batch)
        for first in range(0, heads, size)
    ]
    return None if mask is None else np.broadcast_to(mask, (batch, heads, queries, keys)), groups


def _blocks(group: tuple[int, int], queries: int, keys: int, causal: bool) -> list[_Block]:
    rows = max(ROWS, BLOCK // max(1, (group[1] - group[0]) * keys))
    bounds = [(top, min(top + rows, queries)) for top in range(0, queries, rows)]
    return [_Block(*group, top, bottom, min(keys, bottom) if causal else keys) for top, bottom in bounds]


class _Scratch:
    """Memory for the largest of some blocks, used by one after the other."""

    def __init__(self, blocks: list[_Block], dtype: np.dtype):
        sizes = [(b.last - b.first) * (b.bottom - b.top) * b.seen for b in blocks]
        self.memory = np.empty(max(sizes, default=0), dtype)

    def of(self, block: _Block) -> np.ndarray:
        shape = block.last - block.first, block.bottom - block.top, block.seen
        return self.memory[: shape[0] * shape[1] * shape[2]].reshape(shape)


class _Packed:
    """Rows of each of some heads of a (heads, rows, width) array, packed as the right side of a product: as they are,
    or transposed. What was packed last is kept, for the next block of the same head.
    """

    def __init__(self, array: np.ndarray, transposed: bool = False):
        self.array, self.transposed = array, transposed
        self.key: tuple[int, ...] = ()
        self.panels = np.empty(0, array.dtype)

    def of(self, first: int, last: int, top: int, bottom: int) -> tuple[np.ndarray, int, int]:
        """-> panels, numbers from one head's to the next, depth of the product"""
        _, rows, width = self.array.shape
        depth, n = (width, bottom - top) if self.transposed else (bottom - top, width)
        dtype, columns = self.array.dtype, tile_columns(self.array.dtype)
        step = n_panels(n, dtype) * depth * columns
        if self.key != (first, last, top, bottom):
            self.key = first, last, top, bottom
            if self.panels.size != step * (last - first):
                self.panels = np.empty(step * (last - first), dtype)
            at = (first * rows + top) * width
            flat = self.array.reshape(-1)
            _pack_heads(
                last - first, flat, at, rows * width, width, depth, n, columns, self.transposed, self.panels, step
            )
        return self.panels, step, depth


def _scores(
    q: np.ndarray,
    packed_k: _Packed,
    mask: np.ndarray | None,
    scale: float,
    causal: bool,
    block: _Block,
    out: np.ndarray,
) -> np.ndarray:
    first, last, top, bottom, seen = block
    _product(q, q[first:last, top:bottom], packed_k.of(first, last, 0, packed_k.array.shape[1]), out)
    out *= out.dtype.type(scale)
    if mask is not None:
        heads = mask.shape[1]
        b, h = divmod(first, heads)
        out += mask[b, h : h + last - first, top:bottom, :seen]
    if causal and seen > top:  # keys 0 .. top are seen by all of these rows
        hidden = np.arange(top, seen) > np.arange(top, bottom)[:, None]
        np.copyto(out[:, :, top:], -np.inf, where=hidden)
    return out


def _product(
    memory: np.ndarray, a: np.ndarray, packed: tuple[np.ndarray, int, int], out: np.ndarray, first: int = 0, top: int = 0,
    accumulate: int = 0,
) -> None:  # fmt: skip
    """a (heads, m, depth), somewhere in `memory` in any order, times each head's packed matrix, into rows top .. top + m
    of heads first ... of `out`.
    """
    panels, step, depth = packed
    (count, m, _), size = a.shape, a.itemsize
    at = (a.__array_interface__["data"][0] - memory.__array_interface__["data"][0]) // size
    head_step, row, column = (stride // size for stride in a.strides)
    _, rows, n = out.shape
    flat = out.reshape(-1)
    multiply(
        (count, head_step, step, rows * n), m, n, depth, memory.reshape(-1), at, row, column, panels, 0,
        flat, (first * rows + top) * n, n, tile_columns(a.dtype), accumulate, tile_scratch(a.dtype), 0, flat, 0, flat,
    )  # fmt: skip


@jit
def _pack_heads(count, b, at, step, width, depth, n, columns, transposed, packed, packed_step):
    panels = (n + columns - 1) // columns
    for head in range(count):
        target = packed[head * packed_step : (head + 1) * packed_step]
        if transposed:
            pack_columns(ZERO, panels, b, at + head * step, width, depth, n, columns, target)
        else:
            pack_rows(ZERO, panels, b, at + head * step, width, depth, n, columns, target)
