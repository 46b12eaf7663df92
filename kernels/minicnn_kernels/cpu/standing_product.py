"""Products of a fixed matrix, ready to be made many times: linear layers, and convolutions of one pixel.

    out = f(x @ W + bias + other)       x (rows, k), W (k, n), out and other (rows, n)

The result is cut into blocks of rows and columns that are finished (bias, other branch, activation) while they lie in the
first-level cache. A block of columns is so narrow that its part of W stays in the second-level cache for all rows. With one
or two rows nothing of W is used twice; then it is read where it lies, and not packed.
"""

import numpy as np

from ..launch import Launch
from ..threads import get_num_threads
from .finish import finish, finishing
from .gemm import ONE_PRODUCT, ROWS, multiply
from .jit import ONE, ZERO, jit, jit_allocating, jit_part, launch
from .layout import contiguous
from .matmul import pack_panels
from .microkernel import ADD_BIAS, ADD_OTHER, RECTIFY, tile_columns
from .scratch import aligned
from .simd import VECTOR_BYTES, load, load_part, store, store_part
from .tall_product import is_tall, tall_launches

GRAIN_FLOPS = 1_000_000  # about 12 microseconds: a region right after another is handed over quickly
FEW_ROWS = 2
BLOCK = 1 << 12  # numbers of a block of the result: 16 KB of float32, a third of a first-level cache
FEW_WEIGHTS = 1 << 16  # of a block: they are read again quickly
MANY = 210 * 256  # numbers of a block of the result where they are not: tall blocks
SCALED = 1 << 16  # numbers of x, times a gate: 256 KB
BLOCK_COLUMNS = 256  # KC x 256 numbers of W: 400 KB, a part of a second-level cache


def linear_launches(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    other: np.ndarray | None,
    activation: str,
    numbers: tuple[float, ...],
    out: np.ndarray,
    kept: dict,
) -> list[Launch] | None:
    """See the reference. x, other and out are row-major."""
    arrays = [a for a in (x, other, out) if a is not None]
    if not all(a.size and a.flags.carray for a in arrays):
        return None
    flat = None if other is None else other.reshape(-1)
    return product_launches(x.reshape(-1), weight, bias, flat, None, 1, activation, numbers, out.reshape(-1), kept)


def product_launches(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    other: np.ndarray | None,
    gate: np.ndarray | None,
    pixels: int,
    activation: str,
    numbers: tuple[float, ...],
    out: np.ndarray,
    kept: dict,
) -> list[Launch]:
    """All flat but weight (n, k). gate (images, k), one for each `pixels` rows, multiplies x."""
    n, k = weight.shape
    m = out.size // n
    end = ADD_BIAS * (bias is not None) + ADD_OTHER * (other is not None) + RECTIFY * (activation == "relu")
    how = finishing("" if activation == "relu" else activation, numbers, out.dtype)
    other = out if other is None else other  # stands for what there is not
    bias = out if bias is None else contiguous(bias)
    gate = np.empty(0, out.dtype) if gate is None else gate
    if m <= FEW_ROWS and gate.size == 0:
        rows = contiguous(weight).reshape(-1)
        grain = max(1, GRAIN_FLOPS // (8 * m * k))
        return [launch(_few_rows, n, x, rows, bias, other, (m, n, k, end), how, out, grain=grain)]
    if "packed" not in kept:
        kept["packed"] = pack_panels(weight.T)
    columns = tile_columns(out.dtype)
    if gate.size == 0 and is_tall(m, n, k, columns):
        return tall_launches(x, kept["packed"], bias, other, (m, n, k, columns, end), how, out)
    height, width = _block(m, n, k, columns, gated=gate.size > 0)
    sizes = (m, n, k, columns, height, width, pixels, end)
    blocks = -(-m // height) * -(-n // width)
    grain = max(1, GRAIN_FLOPS // (2 * height * width * k))
    return [launch(_blocks, blocks, x, gate, kept["packed"], bias, other, sizes, how, out, grain=grain)]


def _block(m: int, n: int, k: int, columns: int, gated: bool) -> tuple[int, int]:
    """Rows and columns of a block: small enough for the cache, and enough blocks for all threads, if there is work.

    `gated`: each block scales its rows of x once, for whole rows of the result; few, so that they stay in the cache.
    """
    width = -(-n // columns) * columns
    if not gated:
        width = min(BLOCK_COLUMNS, width)
    block = BLOCK if k * width <= FEW_WEIGHTS else MANY
    height = min(-(-m // ROWS), max(1, block // width // ROWS)) * ROWS
    if gated:
        height = min(height, max(1, SCALED // k // ROWS) * ROWS)
    elif height >= m and -(-n // width) >= 2 * get_num_threads():
        width = _even(-(-n // columns), width // columns) * columns
    wanted = min(2 * get_num_threads(), 2 * m * n * k // GRAIN_FLOPS) if get_num_threads() > 1 else 1
    while -(-m // height) * -(-n // width) < wanted:
        if height > ROWS:
            height = (height // ROWS + 1) // 2 * ROWS
        elif width > columns and not gated:
            width = (width // columns + 1) // 2 * columns
        else:
            break
    return height, width


def _even(panels: int, most: int) -> int:
    """Panels of a block, more than half of `most`: with what number the busiest thread has the fewest of all to do?"""
    threads = get_num_threads()

    def busiest(width: int) -> int:
        blocks = -(-panels // width)
        return -(-blocks // threads) * width

    return min(range(most, most // 2, -1), key=busiest)


@jit_allocating
def _blocks(start, stop, x, gate, packed, bias, other, sizes, how, out):
    """Blocks start .. stop of the result, one column of blocks after the other."""
    m, n, k, columns, height, width, pixels, end = sizes
    tall = (m + height - 1) // height
    scratch, nothing = aligned(ROWS * columns, out), out[:0]
    scaled = aligned(height * k if gate.size > 0 else 0, out)
    for block in range(start, stop):
        left, top = block // tall * width, block % tall * height
        wide, rows = min(width, n - left), min(height, m - top)
        source, source_at = x, top * k
        if gate.size > 0:
            source, source_at = scaled, ZERO
            _scale(top, rows, k, pixels, x, gate, scaled)
        to = top * n + left
        multiply(
            ONE_PRODUCT, rows, wide, k, source, source_at, k, ONE, packed, left * k, out, to, n, columns, ZERO, scratch, end,
            bias, left, other,
        )  # fmt: skip
        if wide == n:
            finish(out, to, rows * n, nothing, ZERO, how)
        else:
            for p in range(rows):
                finish(out, to + p * n, wide, nothing, ZERO, how)


@jit_part
def _scale(top, rows, k, pixels, x, gate, scaled):
    """Rows top .. top + rows of x, times their images' gates."""
    lanes = VECTOR_BYTES // x.itemsize
    whole = k // lanes * lanes
    first = 0
    while first < rows:
        image = (top + first) // pixels
        last = min(rows, (image + 1) * pixels - top)
        for p in range(first, last):
            at, to = (top + p) * k, p * k
            for j in range(0, whole, lanes):
                store(scaled, to + j, load(x, at + j) * load(gate, image * k + j))
            if whole < k:
                product = load_part(x, at + whole, k - whole) * load_part(gate, image * k + whole, k - whole)
                store_part(scaled, to + whole, k - whole, product)
        first = last


@jit
def _few_rows(start, stop, x, weight, bias, other, sizes, how, out):
    """Columns start .. stop: inner products with rows of the weights."""
    m, n, k, end = sizes
    for j in range(start, stop):
        column = weight[j * k : (j + 1) * k]
        for i in range(m):
            row = x[i * k : (i + 1) * k]
            total = row[0] * column[0]
            for p in range(1, k):
                total += row[p] * column[p]
            total = total + bias[j] if end & ADD_BIAS else total
            total = total + other[i * n + j] if end & ADD_OTHER else total
            out[i * n + j] = how[4].zero if end & RECTIFY and total < 0 else total  # a NaN is not, and stays
    for i in range(m):
        finish(out, i * n + start, stop - start, out[:0], ZERO, how)
