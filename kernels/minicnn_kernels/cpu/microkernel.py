"""The innermost loop of every matrix product, written as LLVM IR: one tile of C = A @ B that lives in vector registers.

A tile of `rows` x (2 vectors of `lanes`) numbers is accumulated over k: at each step two vectors of B and, row by
row, one number of A are loaded, the number is spread over a vector, and two multiply-adds follow. With AVX-512, 14
rows make 28 accumulators, which with the two vectors of B and the spread number fill 31 of 32 registers; every loaded
number is used 14 or 32 times. A compiler does not find this by itself (plain loops reach two thirds of it), so
``_emit`` writes the instructions through llvmlite.

The multiply and the add are separate instructions with the `contract` flag: LLVM fuses them where the processor can,
and never falls back to a library call where it cannot. ``gemm.py`` cuts whole matrices into such tiles.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import DISABLED
from .memory import start_of

VECTORS = 2
# Steps of k ahead that numbers are asked for. A transposed A has those for the next steps in other pages of memory, where no
# processor looks by itself; of B it finds the next lines too late where they come from memory (then a third slower).
PREFETCH, PREFETCH_B = 32, 16

# What may be done to a tile's sums before they are stored, added up: `ending`.
ADD_BIAS, ADD_OTHER, RECTIFY = 1, 2, 4


class Simd(NamedTuple):
    """The shape of the tiles for one kind of processor."""

    name: str
    vector_bytes: int
    rows: int
    few_rows: int  # a second, lower tile for what is left over


SIMDS = {
    "avx512": Simd("avx512", 64, rows=14, few_rows=4),
    "avx2": Simd("avx2", 32, rows=6, few_rows=2),
    "generic": Simd("generic", 16, rows=4, few_rows=1),
}


def _choose_simd() -> Simd:
    """By what the processor has; ``MINICNN_SIMD`` overrides it, for tests."""
    override = os.environ.get("MINICNN_SIMD")
    if override:
        if override not in SIMDS:
            raise ValueError(f"environment variable MINICNN_SIMD: {override!r} is none of {', '.join(SIMDS)}")
        return SIMDS[override]
    features = llvmlite.binding.get_host_cpu_features()
    if features.get("avx512f"):
        return SIMDS["avx512"]
    return SIMDS["avx2" if features.get("avx2") and features.get("fma") else "generic"]


SIMD = _choose_simd()


def tile_columns(dtype: np.dtype) -> int:
    """Columns of a tile: two vectors."""
    return VECTORS * SIMD.vector_bytes // dtype.itemsize


def _tile_product(rows: int) -> Callable[..., None]:
    """``tile(a, a_at, a_row, a_col, b, b_at, c, c_at, c_row, k, n_rows, accumulate, ending, bias, bias_at, other, ahead_at,
    ahead_step)``: the function for tiles of `rows` rows.

    a, b, c, bias and other are flat arrays; everything else counts in elements. For i < n_rows <= rows and j < columns:

        C[i, j] = end((C[i, j] if accumulate else 0) + sum_{p < k} A[i, p] * B[p, j])

    with A[i, p] = a[a_at + i * a_row + p * a_col], B[p, j] = b[b_at + p * columns + j], C[i, j] = c[c_at + i * c_row
    + j]. `ending` says what ``end`` adds, bias[bias_at + j] and what `other` has where C[i, j] lies in c, and whether it
    then takes the larger of the sum and 0 (a NaN stays). Nothing but these elements is read or written (of A also row 0 in
    place of the rows from n_rows on). At step p the cache line of b[ahead_at + p * ahead_step], which need not be there, is
    asked for: what a later tile will read.
    """
    if DISABLED:
        return _plain_tile

    @intrinsic
    def tile(
        typingctx, a, a_at, a_row, a_col, b, b_at, c, c_at, c_row, k, n_rows, accumulate, ending, bias, bias_at, other,
        ahead_at, ahead_step,
    ):  # fmt: skip
        size = types.int64
        factors = (a, size, size, size, b, size)
        sums = (c, size, size, size, size, types.boolean, size, bias, size, other)
        signature = types.void(*factors, *sums, size, size)

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            a, a_at, a_row, a_col, b, b_at, c, c_at, c_row, k, n_rows, accumulate, ending, bias, bias_at, other = args[
                :16
            ]
            ahead_at, ahead_step = args[16:]
            a_start, b_start, c_start, bias_start, other_start, ahead_start = (
                builder.gep(start_of(context, builder, signature.args[position], array), [at])
                for position, array, at in (
                    (0, a, a_at),
                    (4, b, b_at),
                    (6, c, c_at),
                    (13, bias, bias_at),
                    (15, other, c_at),
                    (4, b, ahead_at),
                )
            )
            vector = _vector_type(context, signature.args[0].dtype)
            present = [builder.icmp_signed("<", i, n_rows) for i in map(n_rows.type, range(rows))]
            row_at = [
                builder.select(there, builder.mul(a_row, a_row.type(i)), a_row.type(0))
                for i, there in enumerate(present)
            ]
            row_starts = [builder.gep(a_start, [offset]) for offset in row_at]
            b_row = b_at.type(VECTORS * vector.count)

            def step_at(step: ir.Value) -> ir.Value:
                return builder.mul(step, a_col)

            def prefetch(step: ir.Value, b_now: ir.Value) -> None:
                _prefetch_b(builder, b_now, vector, ahead_start, builder.mul(step, ahead_step))
                ahead = step_at(builder.add(step, step.type(PREFETCH)))
                for row_start in (row_starts[0], row_starts[-1]):
                    _prefetch(builder, builder.gep(row_start, [ahead]))

            factors = (row_starts, step_at, b_start, b_row)
            end = ending, bias_start, other_start
            _emit(builder, vector, factors, (c_start, c_row), k, n_rows, accumulate, end, prefetch)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _plain_tile(
    a, a_at, a_row, a_col, b, b_at, c, c_at, c_row, k, n_rows, accumulate, ending, bias, bias_at, other, ahead_at, ahead_step
):  # fmt: skip
    """The same in NumPy, for ``NUMBA_DISABLE_JIT=1``."""
    columns = tile_columns(a.dtype)
    for i in range(n_rows):
        row = a[a_at + i * a_row :][: (k - 1) * a_col + 1 : a_col]
        with np.errstate(all="ignore"):  # columns beyond the matrix may hold anything; nobody looks at their results
            total = row @ b[b_at : b_at + k * columns].reshape(k, columns)  # (k,) @ (k, columns) -> (columns,)
        place = slice(c_at + i * c_row, c_at + i * c_row + columns)
        target = c[place]
        total = target + total if accumulate else total
        target[:] = _plain_end(total, ending, bias[bias_at : bias_at + columns], other[place])


def _plain_end(total, ending, bias, other):
    """What `ending` says."""
    if ending & ADD_BIAS:
        total = total + bias
    if ending & ADD_OTHER:
        total = total + other
    return np.where(total < 0, 0, total) if ending & RECTIFY else total


def _indirect_product(rows: int) -> Callable[..., None]:
    """``tile(a, a_at, row_at, i_at, step_at, p_at, b, b_at, b_row, c, c_at, c_row, k, n_rows, accumulate, ending, bias,
    bias_at, other)``.

    As above, but where A's numbers lie is looked up in two tables of offsets, and B may be any rows of memory:
    A[i, p] = a[a_at + row_at[i_at + i] + step_at[p_at + p]], B[p, j] = b[b_at + p * b_row + j]. ``conv_direct.py`` uses it.
    """
    if DISABLED:
        return _plain_indirect_tile

    @intrinsic
    def tile(
        typingctx, a, a_at, row_at, i_at, step_at, p_at, b, b_at, b_row, c, c_at, c_row, k, n_rows, accumulate, ending,
        bias, bias_at, other,
    ):  # fmt: skip
        size = types.int64
        factors = (a, size, row_at, size, step_at, size, b, size, size)
        signature = types.void(*factors, c, size, size, size, size, types.boolean, size, bias, size, other)

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            b_row, c_at = args[8], args[10]
            c_row, k, n_rows, accumulate, ending = args[11:16]
            a_start, rows_start, steps_start, b_start, c_start, bias_start, other_start = (
                builder.gep(start_of(context, builder, kind, array), [at])
                for kind, array, at in zip(signature.args, args, (*args[1:], c_at), strict=True)
                if isinstance(kind, types.Array)
            )
            row_starts = []
            for i in map(b_row.type, range(rows)):
                there = builder.select(builder.icmp_signed("<", i, n_rows), i, b_row.type(0))
                row_starts.append(builder.gep(a_start, [builder.load(builder.gep(rows_start, [there]))]))

            def step_at(step: ir.Value) -> ir.Value:
                return builder.load(builder.gep(steps_start, [step]))

            vector = _vector_type(context, signature.args[0].dtype)
            factors = (row_starts, step_at, b_start, b_row)
            end = ending, bias_start, other_start
            _emit(builder, vector, factors, (c_start, c_row), k, n_rows, accumulate, end)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _plain_indirect_tile(
    a, a_at, row_at, i_at, step_at, p_at, b, b_at, b_row, c, c_at, c_row, k, n_rows, accumulate, ending, bias, bias_at, other
):  # fmt: skip
    """The same in NumPy, for ``NUMBA_DISABLE_JIT=1``."""
    columns = tile_columns(a.dtype)
    left = a[a_at + row_at[i_at : i_at + n_rows, None] + step_at[p_at : p_at + k]]  # (n_rows, k)
    right = b[b_at + np.arange(k)[:, None] * b_row + np.arange(columns)]  # (k, columns)
    places = c_at + np.arange(n_rows)[:, None] * c_row + np.arange(columns)
    total = c[places] + left @ right if accumulate else left @ right
    c[places] = _plain_end(
        total, ending, bias[bias_at : bias_at + columns], other[places] if ending & ADD_OTHER else None
    )


def _packed_product(rows: int) -> Callable[..., None]:
    """``tile(a, a_at, b, b_at, c, c_at, c_row, k, n_rows, accumulate, ending, bias, bias_at, other, ahead_at, ahead_step)``.

    As ``_tile_product``'s, of an A that was packed too, the numbers of a step side by side, ``SIMD.rows`` of them:
    A[i, p] = a[a_at + p * SIMD.rows + i]. They have one address, where rows as they lie have fourteen, of which most are
    fetched from the stack at each step. All of a step's first `rows` numbers are read, also of rows that are not there.
    """
    if DISABLED:
        return _plain_packed_tile

    @intrinsic
    def tile(
        typingctx, a, a_at, b, b_at, c, c_at, c_row, k, n_rows, accumulate, ending, bias, bias_at, other, ahead_at,
        ahead_step,
    ):  # fmt: skip
        size = types.int64
        signature = types.void(
            a, size, b, size, c, size, size, size, size, types.boolean, size, bias, size, other, size, size
        )

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            c_at, c_row, k, n_rows, accumulate, ending = args[5:11]
            ahead_at, ahead_step = args[14:]
            a_start, b_start, c_start, bias_start, other_start, ahead_start = (
                builder.gep(start_of(context, builder, signature.args[array], args[array]), [at])
                for array, at in ((0, args[1]), (2, args[3]), (4, c_at), (11, args[12]), (13, c_at), (2, ahead_at))
            )
            vector = _vector_type(context, signature.args[0].dtype)
            row_starts = [builder.gep(a_start, [c_at.type(i)]) for i in range(rows)]

            def step_at(step: ir.Value) -> ir.Value:
                return builder.mul(step, step.type(SIMD.rows))

            def prefetch(step: ir.Value, b_now: ir.Value) -> None:
                _prefetch_b(builder, b_now, vector, ahead_start, builder.mul(step, ahead_step))

            # C's cache lines, to be there when they are stored, and the other addend's: a fortieth of a large product.
            for i in range(rows):
                for v in range(VECTORS):
                    offset = builder.add(builder.mul(c_row, c_row.type(i)), c_row.type(v * vector.count))
                    for start in (c_start, other_start):
                        _prefetch(builder, builder.gep(start, [offset]), level=2)
            factors = (row_starts, step_at, b_start, c_at.type(VECTORS * vector.count))
            end = ending, bias_start, other_start
            _emit(builder, vector, factors, (c_start, c_row), k, n_rows, accumulate, end, prefetch)
            return context.get_dummy_value()

        return signature, generate

    return tile


def _plain_packed_tile(
    a, a_at, b, b_at, c, c_at, c_row, k, n_rows, accumulate, ending, bias, bias_at, other, ahead_at, ahead_step
):  # fmt: skip
    """The same in NumPy, for ``NUMBA_DISABLE_JIT=1``."""
    end = ending, bias, bias_at, other, ahead_at, ahead_step
    _plain_tile(a, a_at, 1, SIMD.rows, b, b_at, c, c_at, c_row, k, n_rows, accumulate, *end)


def _vector_type(context: Any, number: Any) -> ir.VectorType:
    return ir.VectorType(context.get_value_type(number), SIMD.vector_bytes // (number.bitwidth // 8))


def _prefetch(builder: ir.IRBuilder, pointer: ir.Value, level: int = 1) -> None:
    """Ask for a cache line, to be in the cache of this level; what lies outside an array may be asked for, too."""
    byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
    function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    for_reading, keep, data = flag(0), flag(4 - level), flag(1)
    builder.call(function, [builder.bitcast(pointer, byte), for_reading, keep, data])


def _prefetch_b(
    builder: ir.IRBuilder, b_now: ir.Value, vector: ir.VectorType, later: ir.Value, distance: ir.Value
) -> None:
    """Ask for B's numbers some steps ahead, and for what is read `later`, so far from its start."""
    for v in range(VECTORS):
        offset = distance.type((PREFETCH_B * VECTORS + v) * vector.count)
        _prefetch(builder, builder.gep(b_now, [offset]))
    _prefetch(builder, builder.gep(later, [distance]), level=2)


def _emit(
    builder: ir.IRBuilder,
    vector: ir.VectorType,
    factors: tuple[list[ir.Value], Callable[[ir.Value], ir.Value], ir.Value, ir.Value],
    c: tuple[ir.Value, ir.Value],
    k: ir.Value,
    n_rows: ir.Value,
    accumulate: ir.Value,
    end: tuple[ir.Value, ir.Value, ir.Value],
    prefetch: Callable[[ir.Value, ir.Value], None] | None = None,
) -> None:
    """Emit the loop over k and the stores.

    factors: where each row of A starts and, given a step, the offset of its column; B's start and row stride.
    c: start, row stride. end: `ending`, where the bias starts, and the other addend's tile.
    prefetch: asks for what is needed soon, given the step and where B is read.
    """
    row_starts, step_offset, b, b_row = factors
    rows = len(row_starts)
    c_start, c_row = c
    size = ir.IntType(64)
    align = 4 if isinstance(vector.element, ir.FloatType) else 8  # arrays are aligned to their elements, not to vectors
    vector_pointer = vector.as_pointer()
    spread = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    contract = ("contract",)

    def number(value: int) -> ir.Constant:
        return ir.Constant(size, value)

    def vectors_at(pointer: ir.Value) -> list[ir.Value]:
        places = [builder.gep(pointer, [number(v * vector.count)]) for v in range(VECTORS)]
        return [builder.bitcast(place, vector_pointer) for place in places]

    here_first = step_offset(number(0))
    before = builder.block
    head = builder.append_basic_block("tile.head")
    body = builder.append_basic_block("tile.body")
    done = builder.append_basic_block("tile.done")
    builder.branch(head)

    builder.position_at_end(head)
    step = builder.phi(size)
    here = builder.phi(size)
    b_now = builder.phi(b.type)
    sums = [[builder.phi(vector) for _ in range(VECTORS)] for _ in range(rows)]
    builder.cbranch(builder.icmp_signed("<", step, k), body, done)

    builder.position_at_end(body)
    b_values = [builder.load(place, align=align) for place in vectors_at(b_now)]
    if prefetch:
        prefetch(step, b_now)
    new_sums = []
    for i in range(rows):
        value = builder.load(builder.gep(row_starts[i], [here]), align=align)
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        values = builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), spread)
        products = [builder.fmul(values, b_value, flags=contract) for b_value in b_values]
        new_sums.append([builder.fadd(s, p, flags=contract) for s, p in zip(sums[i], products, strict=True)])
    b_next = builder.gep(b_now, [b_row])
    step_next = builder.add(step, number(1))
    # Looked up a step ahead, so that it is there when the loads begin: else LLVM puts the loads of all rows together to
    # hide the wait, and has no registers left for the sums (three times slower).
    last = builder.icmp_signed("<", step_next, k)
    here_next = step_offset(builder.select(last, step_next, step))
    end_of_body = builder.block
    builder.branch(head)

    zero = ir.Constant(vector, [0.0] * vector.count)
    for phi, start, following in [(step, number(0), step_next), (here, here_first, here_next), (b_now, b, b_next)]:
        phi.add_incoming(start, before)
        phi.add_incoming(following, end_of_body)
    for row, new_row in zip(sums, new_sums, strict=True):
        for phi, following in zip(row, new_row, strict=True):
            phi.add_incoming(zero, before)
            phi.add_incoming(following, end_of_body)

    builder.position_at_end(done)
    ending, bias_start, other_start = end

    def asked(what: int) -> ir.Value:
        return builder.icmp_signed("!=", builder.and_(ending, number(what)), number(0))

    def only_if(condition: ir.Value, otherwise: list[ir.Value], make: Callable[[], list[ir.Value]]) -> list[ir.Value]:
        """The vectors that `make` emits where the condition holds, else these."""
        before = builder.block
        with builder.if_then(condition):
            made = make()
            making = builder.block
        either = [builder.phi(vector) for _ in otherwise]
        for phi, old, new in zip(either, otherwise, made, strict=True):
            phi.add_incoming(old, before)
            phi.add_incoming(new, making)
        return either

    def loads(places: list[ir.Value]) -> list[ir.Value]:
        return [builder.load(place, align=align) for place in places]

    def plus(totals: list[ir.Value], addends: list[ir.Value]) -> list[ir.Value]:
        return [builder.fadd(total, addend) for total, addend in zip(totals, addends, strict=True)]

    def store_rows(finished: Callable[[list[ir.Value], ir.Value], list[ir.Value]]) -> None:
        """Of each row: the sums, and what was there before if that is wanted, finished."""
        for i, totals in enumerate(sums):
            with builder.if_then(builder.icmp_signed("<", number(i), n_rows)):
                at = builder.mul(number(i), c_row)
                places = vectors_at(builder.gep(c_start, [at]))
                old = cgutils.as_bool_bit(builder, accumulate)
                totals = only_if(old, totals, partial(lambda there, own: plus(own, loads(there)), places, totals))
                for place, result in zip(places, finished(totals, at), strict=True):
                    builder.store(result, place, align=align)

    with builder.if_else(builder.icmp_signed("==", ending, number(0))) as (then, otherwise):
        with then:
            store_rows(lambda totals, at: totals)
        with otherwise:
            lowest = builder.select(asked(RECTIFY), zero, ir.Constant(vector, [float("-inf")] * vector.count))
            biases = only_if(asked(ADD_BIAS), [zero] * VECTORS, lambda: loads(vectors_at(bias_start)))

            def ended(totals: list[ir.Value], at: ir.Value) -> list[ir.Value]:
                totals = plus(totals, biases)
                other = vectors_at(builder.gep(other_start, [at]))
                totals = only_if(asked(ADD_OTHER), totals, lambda: plus(totals, loads(other)))
                return [builder.select(builder.fcmp_ordered("<", t, lowest), lowest, t) for t in totals]

            store_rows(ended)


full_tile = _tile_product(SIMD.rows)
low_tile = _tile_product(SIMD.few_rows)
indirect_tile = _indirect_product(SIMD.rows)
packed_tile = _packed_product(SIMD.rows)
low_packed_tile = _packed_product(SIMD.few_rows)
