"""The linear maps of Winograd's F(4x4, 3x3), and their compiled form: one small tile, many channels at once.

F(m, r) computes m outputs of a filter of r taps with m + r - 1 multiplications in place of m r, by Toom and Cook's
trick: a filter is a polynomial product; evaluate both factors at m + r - 1 points, multiply point by point, and
interpolate. For F(4, 3) the points are 0, 1, -1, 2, -2 and infinity (Lavin and Gray 2016, "Fast Algorithms for
Convolutional Neural Networks", arXiv 1509.09308, section 4.1 for the form, 4.3 for these matrices):

    y = A^T [(G g) * (B^T d)]              6 inputs d, 3 taps g -> 4 outputs y;  * multiplies element by element  (eq. 6)
    Y = A^T [(G g G^T) * (B^T d B)] A      nested with itself: 6x6 inputs, 3x3 taps -> 4x4 outputs, 36 products (eq. 8)

The three matrices are below; the maps of images also stand as functions of plain numbers, written out with the sums that
their rows share, and the test holds one against the other. (Filters are few: their map is left to a matrix product.)
``conv_winograd.py`` uses them; ``tile_map`` turns a function into vector instructions, and need not be read.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import DISABLED
from .memory import start_of
from .microkernel import SIMD
from .simd import lanes

B_T = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ]
)
G = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)
A_T = np.array(
    [
        [1, 1, 1, 1, 1, 0],
        [0, 1, -1, 2, -2, 0],
        [0, 1, 1, 4, 4, 0],
        [0, 1, -1, 8, -8, 1],
    ]
)


def apply_b_t(d0: Any, d1: Any, d2: Any, d3: Any, d4: Any, d5: Any) -> Sequence[Any]:
    """B^T d. The rows of the points 1 and -1, and of 2 and -2, differ in the sign of the odd terms."""
    even_1, odd_1 = d4 - 4 * d2, d3 - 4 * d1
    even_2, odd_2 = d4 - d2, 2 * (d3 - d1)
    return (
        4 * d0 - 5 * d2 + d4,
        even_1 + odd_1,
        even_1 - odd_1,
        even_2 + odd_2,
        even_2 - odd_2,
        4 * d1 - 5 * d3 + d5,
    )


def apply_a_t(m0: Any, m1: Any, m2: Any, m3: Any, m4: Any, m5: Any) -> Sequence[Any]:
    """A^T m."""
    sum_1, difference_1 = m1 + m2, m1 - m2
    sum_2, difference_2 = m3 + m4, m3 - m4
    return (
        m0 + sum_1 + sum_2,
        difference_1 + 2 * difference_2,
        sum_1 + 4 * sum_2,
        difference_1 + 8 * difference_2 + m5,
    )


def apply_a(y0: Any, y1: Any, y2: Any, y3: Any) -> Sequence[Any]:
    """A y: the transpose of ``apply_a_t``."""
    even_1, odd_1 = y0 + y2, y1 + y3
    even_2, odd_2 = y0 + 4 * y2, 2 * y1 + 8 * y3
    return y0, even_1 + odd_1, even_1 - odd_1, even_2 + odd_2, even_2 - odd_2, y3


def apply_g(g0: Any, g1: Any, g2: Any) -> Sequence[Any]:
    """G g."""
    ends = g0 + g2
    sixth, far = (-1 / 6) * ends, (1 / 24) * g0 + (1 / 6) * g2
    return (
        (1 / 4) * g0,
        sixth - (1 / 6) * g1,
        sixth + (1 / 6) * g1,
        far + (1 / 12) * g1,
        far - (1 / 12) * g1,
        g2,
    )


def apply_g_t(u0: Any, u1: Any, u2: Any, u3: Any, u4: Any, u5: Any) -> Sequence[Any]:
    """G^T u."""
    near, far = (1 / 6) * (u1 + u2), u3 + u4
    return (
        (1 / 4) * u0 - near + (1 / 24) * far,
        (1 / 6) * (u2 - u1) + (1 / 12) * (u3 - u4),
        (1 / 6) * far - near + u5,
    )


# Of an image of 2 pixels between zeros, a filter of 3 taps makes 2:  y0 = g1 d0 + g2 d1,  y1 = g0 d0 + g1 d1. Three
# multiplications do for these four, as Karatsuba's do for a product of two numbers of two digits:
#
#     m = (g1, g2 - g1, g0 - g1) * (d0 + d1, d1, d0)        y = (m0 + m1, m0 + m2)


def apply_pair_b_t(d0: Any, d1: Any) -> Sequence[Any]:
    return d0 + d1, d1, d0


def apply_pair_g(g0: Any, g1: Any, g2: Any) -> Sequence[Any]:
    return g1, g2 - g1, g0 - g1


def apply_pair_a_t(m0: Any, m1: Any, m2: Any) -> Sequence[Any]:
    return m0 + m1, m0 + m2


def apply_pair_a(y0: Any, y1: Any) -> Sequence[Any]:
    """The transpose of ``apply_pair_a_t``."""
    return y0 + y1, y0, y1


def apply_pair_g_t(u0: Any, u1: Any, u2: Any) -> Sequence[Any]:
    """The transpose of ``apply_pair_g``."""
    return u2, u0 - u1 - u2, u1


def _both_sides(apply: Callable[..., Sequence[Any]], tile: list[list[Any]]) -> list[Sequence[Any]]:
    """M tile M^T for the matrix M that `apply` multiplies by: the columns first, then the rows."""
    columns = [apply(*column) for column in zip(*tile, strict=True)]
    return [apply(*row) for row in zip(*columns, strict=True)]


def tile_map(apply: Callable[..., Sequence[Any]], n: int) -> Callable[..., None]:
    """The function ``tile(source, at, row, column, target, t_at, t_row, t_column)``: target = M source M^T a channel.

    `source` and `target` are flat arrays, everything else counts in elements: the channels of number (i, j) of the n x n
    source tile start at ``at + i * row + j * column``, and of the result's at ``t_at + i * t_row + j * t_column``.
    ``lanes`` channels are read and written, no others.
    """
    if DISABLED:
        return _plain_tile_map(apply, n)

    @intrinsic
    def tile(typingctx, source, at, row, column, target, t_at, t_row, t_column):
        size = types.int64
        signature = types.void(source, size, size, size, target, size, size, size)

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            source, at, row, column, target, t_at, t_row, t_column = args
            element = context.get_value_type(signature.args[0].dtype)
            itemsize = signature.args[0].dtype.bitwidth // 8
            vector = ir.VectorType(element, SIMD.vector_bytes // itemsize)

            def place(kind: Any, array: ir.Value, start: ir.Value, offset: ir.Value) -> ir.Value:
                data = start_of(context, builder, kind, array)
                return builder.bitcast(builder.gep(data, [builder.add(start, offset)]), vector.as_pointer())

            def offset(i: int, j: int, row: ir.Value, column: ir.Value) -> ir.Value:
                return builder.add(builder.mul(row, row.type(i)), builder.mul(column, column.type(j)))

            def load(i: int, j: int) -> _Lanes:
                pointer = place(signature.args[0], source, at, offset(i, j, row, column))
                return _Lanes(builder, builder.load(pointer, align=itemsize))

            results = _both_sides(apply, [[load(i, j) for j in range(n)] for i in range(n)])
            for i, line in enumerate(results):
                for j, result in enumerate(line):
                    pointer = place(signature.args[4], target, t_at, offset(i, j, t_row, t_column))
                    builder.store(result.value, pointer, align=itemsize)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _plain_tile_map(apply: Callable[..., Sequence[Any]], n: int) -> Callable[..., None]:
    """The same in NumPy, for ``NUMBA_DISABLE_JIT=1``."""

    def tile(source, at, row, column, target, t_at, t_row, t_column):
        width = lanes(source.dtype)
        values = [[source[at + i * row + j * column :][:width] for j in range(n)] for i in range(n)]
        for i, results in enumerate(_both_sides(apply, values)):
            for j, result in enumerate(results):
                target[t_at + i * t_row + j * t_column :][:width] = result

    return tile


class _Lanes:
    """A vector register while code is generated: ``a + 4 * b`` emits a multiply and an add that LLVM may fuse."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    def __add__(self, other: "_Lanes") -> "_Lanes":
        return _Lanes(self.builder, self.builder.fadd(self.value, other.value, flags=("contract",)))

    def __sub__(self, other: "_Lanes") -> "_Lanes":
        return _Lanes(self.builder, self.builder.fsub(self.value, other.value, flags=("contract",)))

    def __rmul__(self, factor: float) -> "_Lanes":
        vector = self.value.type
        number = float(np.float32(factor)) if isinstance(vector.element, ir.FloatType) else float(factor)
        factors = ir.Constant(vector, [number] * vector.count)
        return _Lanes(self.builder, self.builder.fmul(factors, self.value, flags=("contract",)))


input_tile = tile_map(apply_b_t, 6)  # B^T d B: 6x6 -> 6x6
output_tile = tile_map(apply_a_t, 6)  # A^T m A: 6x6 -> 4x4
grad_tile = tile_map(apply_a, 4)  # A y A^T: 4x4 -> 6x6
filter_tile = tile_map(apply_g, 3)  # G g G^T: 3x3 -> 6x6
filter_back_tile = tile_map(apply_g_t, 6)  # G^T u G: 6x6 -> 3x3
pair_input_tile = tile_map(apply_pair_b_t, 2)  # the same for images of 2x2: 2x2 -> 3x3
pair_output_tile = tile_map(apply_pair_a_t, 3)  # 3x3 -> 2x2
pair_grad_tile = tile_map(apply_pair_a, 2)  # 2x2 -> 3x3
pair_filter_tile = tile_map(apply_pair_g, 3)  # 3x3 -> 3x3
pair_filter_back_tile = tile_map(apply_pair_g_t, 3)  # 3x3 -> 3x3
