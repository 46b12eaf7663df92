"""Matrix product: ``gemm.py`` for large operands, plain loops for a handful of rows, shared out among the threads."""

import math
from collections.abc import Callable

import numpy as np

from .. import workspace
from ..threads import get_num_threads, parallel_for
from .gemm import ONE_PRODUCT, ROWS, empty_panels, multiply, n_panels, pack_columns, pack_rows, tile_scratch
from .jit import ZERO, jit, jit_allocating
from .layout import contiguous, transpose_into
from .microkernel import tile_columns

GRAIN_FLOPS = (
    2_000_000  # about 25 microseconds of work: below that, handing over to another thread costs more than it brings
)
VECTOR_ROWS = 2  # up to so many rows the product is bound by reading b once, and packing b would triple that


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(..., m, k) @ (..., k, n) -> (..., m, n)."""
    if a.ndim == 2 and b.ndim == 2:
        out = workspace.empty((a.shape[0], b.shape[1]), a.dtype)
        _matmul_2d(a, b, out)
        return out
    if b.ndim == 2 and a.flags.c_contiguous:  # one product with all rows of a
        rows = a.reshape(-1, a.shape[-1]) if a.size else np.empty((int(np.prod(a.shape[:-1])), a.shape[-1]), a.dtype)
        return matmul(rows, b).reshape(*a.shape[:-1], b.shape[1])
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    (m, k), n = a.shape[-2:], b.shape[-1]
    if 0 < 2 * m * k * n < GRAIN_FLOPS and math.prod(batch) > 1:
        return _small_products(a, b, batch)
    a_all = np.broadcast_to(a, (*batch, *a.shape[-2:]))
    b_all = np.broadcast_to(b, (*batch, *b.shape[-2:]))
    out = workspace.empty((*batch, a.shape[-2], b.shape[-1]), a.dtype)
    for index in np.ndindex(batch):
        _matmul_2d(a_all[index], b_all[index], out[index])
    return out


def _small_products(a: np.ndarray, b: np.ndarray, batch: tuple[int, ...]) -> np.ndarray:
    """(..., m, k) @ (..., k, n) -> (*batch, m, n), of matrices so small that a call for each would outlast its work."""
    count, (m, k), n = math.prod(batch), a.shape[-2:], b.shape[-1]
    out = workspace.empty((*batch, m, n), a.dtype)
    a_flat, a_step, a_row, a_col = _flat_batch(a, batch)
    b_flat, b_step, b_row, b_col = _flat_batch(b, batch)
    layout = (a_step, a_row, a_col, b_step, b_row, b_col)
    arguments = m, n, k, a_flat, b_flat, layout, tile_columns(a.dtype), out.reshape(-1)
    parallel_for(_products, count, *arguments, grain=max(1, GRAIN_FLOPS // (2 * m * k * n)))
    return out


def _flat_batch(matrices: np.ndarray, batch: tuple[int, ...]) -> tuple[np.ndarray, int, int, int]:
    """(..., m, n), row-major or each transposed -> its memory, and the steps to the next matrix, row and column.

    A matrix that all products share has a step of 0.
    """
    m, n = matrices.shape[-2:]
    if matrices.ndim > 2 and matrices.shape[:-2] != batch and math.prod(matrices.shape[:-2]) > 1:
        matrices = np.broadcast_to(matrices, (*batch, m, n))
    shared = math.prod(matrices.shape[:-2]) == 1
    swapped = np.swapaxes(matrices, -1, -2)
    if swapped.flags.carray and not matrices.flags.carray:
        return swapped.reshape(-1), 0 if shared else m * n, 1, m
    return contiguous(matrices).reshape(-1), 0 if shared else m * n, n, 1


def _matmul_2d(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """(m, k) @ (k, n) into the row-major out (m, n)."""
    (m, k), n = a.shape, b.shape[1]
    if m == 0 or n == 0:
        return
    if k == 0:
        out[...] = 0
    elif m <= VECTOR_ROWS:
        _few_rows(a, b, out)
    elif 2 * m * (n + k) <= k * n:
        # Packing b would cost more than packing a and transposing the result: (a @ b).T = b.T @ a.T
        swapped = workspace.empty((1, n, m), a.dtype)
        _packed(b.T, a.T, swapped[0])  # (n, k) @ (k, m) -> (n, m)
        transpose_into(swapped, out.reshape(1, m, n))  # (1, n, m) -> (1, m, n)
    else:
        _packed(a, b, out)


def prepare_matmul(b: np.ndarray) -> Callable[[np.ndarray, np.ndarray], None]:
    """b (k, n) -> a function of a (m, k) and out (m, n), contiguous, that computes ``out += a @ b``: b is packed once."""
    packed = pack_panels(b) if b.size else None

    def add_product(a: np.ndarray, out: np.ndarray) -> None:
        if packed is not None and a.size:
            _multiply(a, packed, b.shape[0], out, 1)

    return add_product


def _packed(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    _multiply(a, pack_panels(b), b.shape[0], out, 0)


def _multiply(a: np.ndarray, packed: np.ndarray, k: int, out: np.ndarray, accumulate: int) -> None:
    """out = a @ b, or with accumulate = 1 out += a @ b, from the panels of b."""
    m, n = out.shape
    a_flat, a_row, a_col = _flat(a)
    columns, panels = tile_columns(a.dtype), n_panels(n, a.dtype)
    c_flat = out.reshape(-1)  # (m, n) -> (m*n,)
    tiles = -(-m // ROWS)
    by_rows = tiles >= panels or tiles >= 8 * get_num_threads()

    def run(start: int, stop: int) -> None:
        scratch = tile_scratch(a.dtype)
        if by_rows:
            top, bottom = start * ROWS, min(stop * ROWS, m)
            part, a_at, b_at, c_at = (bottom - top, n), top * a_row, 0, top * n
        else:
            left, right = start * columns, min(stop * columns, n)
            part, a_at, b_at, c_at = (m, right - left), 0, left * k, left
        multiply(
            ONE_PRODUCT,
            *part,
            k,
            a_flat,
            a_at,
            a_row,
            a_col,
            packed,
            b_at,
            c_flat,
            c_at,
            n,
            columns,
            accumulate,
            scratch,
            0,
            c_flat,
            0,
            c_flat,
        )

    if by_rows:
        parallel_for(run, tiles, grain=max(1, GRAIN_FLOPS // (2 * ROWS * k * n)))
    else:
        parallel_for(run, panels, grain=max(1, GRAIN_FLOPS // (2 * m * k * columns)))


def pack_panels(b: np.ndarray) -> np.ndarray:
    """(k, n), row-major or transposed -> the panels that ``gemm.multiply`` reads, flat."""
    k, n = b.shape
    b_flat, b_row, b_col = _flat(b)
    columns, panels = tile_columns(b.dtype), n_panels(n, b.dtype)
    packed = empty_panels(k, n, b.dtype)
    grain = max(1, GRAIN_FLOPS // 32 // (k * columns))  # packing an element takes about as long as 32 operations
    if b_col == 1:
        parallel_for(pack_rows, panels, b_flat, 0, b_row, k, n, columns, packed, grain=grain)
    else:
        parallel_for(pack_columns, panels, b_flat, 0, b_col, k, n, columns, packed, grain=grain)
    return packed


def _few_rows(a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    """For one or two rows: read b once, where it lies."""
    n, k = out.shape[1], a.shape[1]
    a = contiguous(a)
    b_flat, b_row, b_col = _flat(b)
    grain = max(1, GRAIN_FLOPS // 8 // k)
    if b_col == 1:
        parallel_for(_row_times_rows, n, a, b_flat, b_row, out, grain=max(grain, 64))
    else:
        parallel_for(_row_times_columns, n, a, b_flat, b_col, out, grain=grain)


def _flat(matrix: np.ndarray) -> tuple[np.ndarray, int, int]:
    """(m, n), row-major or transposed -> its memory as a flat array, and the row and column strides in elements."""
    if matrix.T.flags.carray and not matrix.flags.carray:
        return matrix.T.reshape(-1), 1, matrix.shape[0]
    return contiguous(matrix).reshape(-1), matrix.shape[1], 1


@jit_allocating
def _products(start, stop, m, n, k, a, b, layout, columns, out):
    """Each product by itself: b packed, then multiplied. The panels stay in the cache."""
    a_step, a_row, a_col, b_step, b_row, b_col = layout
    panels = (n + columns - 1) // columns
    packed = np.empty(panels * k * columns, a.dtype)
    scratch = np.empty(ROWS * columns, a.dtype)
    for i in range(start, stop):
        if i == start or b_step > 0:
            if b_col == 1:
                pack_rows(ZERO, panels, b, i * b_step, b_row, k, n, columns, packed)
            else:
                pack_columns(ZERO, panels, b, i * b_step, b_col, k, n, columns, packed)
        at, to = i * a_step, i * m * n
        multiply(
            ONE_PRODUCT, m, n, k, a, at, a_row, a_col, packed, ZERO, out, to, n, columns, ZERO, scratch, ZERO, out, ZERO, out
        )  # fmt: skip


@jit
def _row_times_rows(start, stop, a, b, b_row, out):
    """out[i, start:stop] = sum_p a[i, p] * b[p, start:stop]: add up scaled rows of b."""
    for i in range(a.shape[0]):
        total = out[i, start:stop]
        total[:] = 0
        for p in range(a.shape[1]):
            factor = a[i, p]
            row = b[p * b_row + start : p * b_row + stop]
            for j in range(total.size):
                total[j] += factor * row[j]


@jit
def _row_times_columns(start, stop, a, b, b_col, out):
    """out[i, j] = a[i] . b[:, j]: inner products of contiguous vectors."""
    k = a.shape[1]
    for j in range(start, stop):
        column = b[j * b_col : j * b_col + k]
        for i in range(a.shape[0]):
            row = a[i]
            total = row[0] * column[0]
            for p in range(1, k):
                total += row[p] * column[p]
            out[i, j] = total
