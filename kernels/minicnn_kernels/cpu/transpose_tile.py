"""A square of numbers, transposed in vector registers: as many rows as a vector has lanes.

Take the rows as cards and shuffle them like a deck: halve it, and let one card of each half follow the other, number by
number. Each shuffle moves one bit of an element's row number to its column number; after log2(lanes) of them row and column
have changed places. A shuffle is one instruction a vector, so a square of 16 x 16 takes 16 loads, 64 shuffles and 16 stores,
where loads and stores of single numbers would be 512. ``layout.py`` uses it,
``conv_few_pixels.py``, and ``winograd_filters.py``.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import DISABLED
from .memory import start_of
from .microkernel import SIMD


@intrinsic
def _tile(typingctx, x, at, row, out, out_at, out_row):
    size = types.int64
    signature = types.void(x, size, size, out, size, size)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        x, at, row, out, out_at, out_row = args
        itemsize = signature.args[0].dtype.bitwidth // 8
        vector = ir.VectorType(context.get_value_type(signature.args[0].dtype), SIMD.vector_bytes // itemsize)
        lanes = vector.count

        def places(kind: Any, array: ir.Value, at: ir.Value, row: ir.Value) -> list[ir.Value]:
            data = start_of(context, builder, kind, array)
            offsets = [builder.add(at, builder.mul(row, row.type(i))) for i in range(lanes)]
            return [builder.bitcast(builder.gep(data, [offset]), vector.as_pointer()) for offset in offsets]

        def shuffle(first: ir.Value, second: ir.Value, start: int) -> ir.Value:
            order = [start + i // 2 + i % 2 * lanes for i in range(lanes)]
            return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(ir.IntType(32), lanes), order))

        cards = [builder.load(place, align=itemsize) for place in places(signature.args[0], x, at, row)]
        for _ in range(lanes.bit_length() - 1):
            halves = list(zip(cards[: lanes // 2], cards[lanes // 2 :], strict=True))
            cards = [shuffle(*pair, start) for pair in halves for start in (0, lanes // 2)]
        for card, place in zip(cards, places(signature.args[3], out, out_at, out_row), strict=True):
            builder.store(card, place, align=itemsize)
        return context.get_dummy_value()

    return signature, generate


def _plain_tile(x: np.ndarray, at: int, row: int, out: np.ndarray, out_at: int, out_row: int) -> None:
    lanes = SIMD.vector_bytes // x.itemsize
    for j in range(lanes):
        out[out_at + j * out_row : out_at + j * out_row + lanes] = x[at + j : at + j + lanes * row : row][:lanes]


# out[out_at + j * out_row + i] = x[at + i * row + j] for i, j below the number of lanes; both arrays flat, of one type.
# Rows of `out` are stored in order: where out_row is less than a row's length, the next row begins over this one's end.
transpose_tile: Any = _plain_tile if DISABLED else _tile
