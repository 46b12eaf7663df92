"""A vector as a value inside a compiled function: load it, compute with it, store it.

The innermost loop of most kernels runs over the channels of one pixel. There may be only 16 of them, and for so short a
loop a compiler's own vectorisation spends more time on getting ready than on computing; nor does it keep sums in
registers from pixel to pixel. With these few operations a kernel says so itself:

    total = number(0, load(x, at))
    for p in range(pixels):
        total = total + load(x, at + p * c)
    store(sums, at, total)

A vector has as many lanes as numbers of the array's type fill the processor's widest register (``lanes``); `+ - * /`
work lane by lane, comparisons give masks for ``where``. Offsets count elements from the start of a C-contiguous array
of any shape, and *nothing checks them*. With ``NUMBA_DISABLE_JIT=1`` the same kernels run on short NumPy arrays.
``fused.py`` is the reader to go to next.
"""

import operator
from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import lower_builtin
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, models, register_model

from .jit import DISABLED
from .memory import start_of
from .microkernel import SIMD

VECTOR_BYTES = SIMD.vector_bytes


# Whether the processor that is compiled for estimates reciprocals of whole vectors, and scales them by powers of two.
ESTIMATES = (
    SIMD.name == "avx512" and llvmlite.binding.get_host_cpu_features().get("avx512f") and not numba.config.CPU_NAME  # type: ignore[attr-defined]
)


def lanes(dtype: np.dtype) -> int:
    """How many numbers a vector holds. (Inside a compiled function: ``VECTOR_BYTES // x.itemsize``.)"""
    return VECTOR_BYTES // np.dtype(dtype).itemsize


class Vector(types.Type):
    """Numba's type of a vector: element float32, float64, int32, or boolean for a mask."""

    def __init__(self, element: Any, count: int):
        self.element, self.count = element, count
        super().__init__(name=f"Vector({element} x {count})")


_ELEMENTS = {
    types.float32: ir.FloatType(),
    types.float64: ir.DoubleType(),
    types.int32: ir.IntType(32),
    types.boolean: ir.IntType(1),
}


def _llvm(vector: Vector) -> ir.VectorType:
    return ir.VectorType(_ELEMENTS[vector.element], vector.count)


@register_model(Vector)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector):
        super().__init__(manager, vector, _llvm(vector))


def _spread(builder: ir.IRBuilder, value: ir.Value, count: int) -> ir.Value:
    """A number in all lanes."""
    vector = ir.VectorType(value.type, count)
    index = ir.IntType(32)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(index, 0))
    return builder.shuffle_vector(
        first, ir.Constant(vector, ir.Undefined), ir.Constant(ir.VectorType(index, count), [0] * count)
    )


def _place(context: Any, builder: ir.IRBuilder, array_type: Any, array: ir.Value, at: ir.Value, count: int) -> ir.Value:
    """A pointer to `count` elements of the array, as one vector."""
    data = start_of(context, builder, array_type, array)
    element = context.get_data_type(array_type.dtype)
    return builder.bitcast(builder.gep(data, [at]), ir.VectorType(element, count).as_pointer())


def _bytes(array_type: Any) -> int:
    return array_type.dtype.bitwidth // 8


@intrinsic
def _load(typingctx, array, at):
    vector = Vector(array.dtype, VECTOR_BYTES // _bytes(array))

    def generate(context, builder, signature, args):
        place = _place(context, builder, array, args[0], args[1], vector.count)
        return builder.load(place, align=_bytes(array))  # arrays are aligned to their elements, not to vectors

    return signature(vector, array, types.int64), generate


@intrinsic
def _spread_from(typingctx, array, at):
    """A number of the array in all lanes."""
    vector = Vector(array.dtype, VECTOR_BYTES // _bytes(array))

    def generate(context, builder, signature, args):
        data = start_of(context, builder, array, args[0])
        return _spread(builder, builder.load(builder.gep(data, [args[1]])), vector.count)

    return signature(vector, array, types.int64), generate


@intrinsic
def _load_wide(typingctx, array, at, like):
    vector = Vector(types.float64, like.count)

    def generate(context, builder, signature, args):
        return builder.load(_place(context, builder, array, args[0], args[1], vector.count), align=8)

    return signature(vector, array, types.int64, like), generate


@intrinsic
def _load_integers(typingctx, array, at, like):
    vector = Vector(types.int32, like.count)

    def generate(context, builder, signature, args):
        place = _place(context, builder, array, args[0], args[1], like.count)
        loaded = builder.load(place, align=_bytes(array))
        return builder.zext(loaded, _llvm(vector)) if _bytes(array) < 4 else loaded

    return signature(vector, array, types.int64, like), generate


@intrinsic
def _store(typingctx, array, at, vector):
    def generate(context, builder, signature, args):
        value = args[2]
        if vector.element == types.int32 and _bytes(array) < 4:
            value = builder.trunc(value, ir.VectorType(ir.IntType(8 * _bytes(array)), vector.count))
        builder.store(value, _place(context, builder, array, args[0], args[1], vector.count), align=_bytes(array))
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, vector), generate


@intrinsic
def _number(typingctx, value, like):
    def generate(context, builder, signature, args):
        return _spread(builder, args[0], like.count)

    return signature(like, like.element, like), generate


@intrinsic
def _integer(typingctx, value, like):
    def generate(context, builder, signature, args):
        return _spread(builder, args[0], like.count)

    return signature(Vector(types.int32, like.count), types.int32, like), generate


@intrinsic
def _widen(typingctx, vector):
    wide = Vector(types.float64, vector.count)

    def generate(context, builder, signature, args):
        return args[0] if vector == wide else builder.fpext(args[0], _llvm(wide))

    return signature(wide, vector), generate


@intrinsic
def _where(typingctx, mask, yes, no):
    def generate(context, builder, signature, args):
        return builder.select(*args)

    return signature(yes, mask, yes, no), generate


def _partial(builder: ir.IRBuilder, count: ir.Value, vector: ir.VectorType) -> ir.Value:
    """A mask of the first `count` lanes."""
    integers = ir.VectorType(count.type, vector.count)
    lane = ir.Constant(integers, [*range(vector.count)])
    return builder.icmp_signed("<", lane, _spread(builder, count, vector.count))


def _masked(builder: ir.IRBuilder, name: str, place: ir.Value, result: ir.Type, *values: ir.Value) -> ir.Value:
    """LLVM's masked load or store, whose name says the types."""
    vector = place.type.pointee
    element = {"float": "f32", "double": "f64"}[str(vector.element)]
    function = ir.FunctionType(result, [value.type for value in values])
    full = f"llvm.masked.{name}.v{vector.count}{element}.p0v{vector.count}{element}"
    declared = cgutils.get_or_insert_function(builder.module, function, full)
    return builder.call(declared, values)


@intrinsic
def _load_part(typingctx, array, at, count):
    vector = Vector(array.dtype, VECTOR_BYTES // _bytes(array))

    def generate(context, builder, signature, args):
        place = _place(context, builder, array, args[0], args[1], vector.count)
        kind = place.type.pointee
        align, zeros = ir.Constant(ir.IntType(32), _bytes(array)), ir.Constant(kind, [0.0] * vector.count)
        return _masked(builder, "load", place, kind, place, align, _partial(builder, args[2], kind), zeros)

    return signature(vector, array, types.int64, types.int64), generate


@intrinsic
def _store_part(typingctx, array, at, count, vector):
    def generate(context, builder, signature, args):
        place = _place(context, builder, array, args[0], args[1], vector.count)
        align, mask = ir.Constant(ir.IntType(32), _bytes(array)), _partial(builder, args[2], place.type.pointee)
        _masked(builder, "store", place, ir.VoidType(), args[3], place, align, mask)
        return context.get_dummy_value()

    return signature(types.void, array, types.int64, types.int64, vector), generate


@intrinsic
def _prefetch(typingctx, array, at):
    """Ask for a cache line, to be in the second-level cache soon; what lies outside the array may be asked for, too."""

    def generate(context, builder, signature, args):
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        place = _place(context, builder, array, args[0], args[1], 1)
        for_reading, second_level, data = flag(0), flag(2), flag(1)
        builder.call(function, [builder.bitcast(place, byte), for_reading, second_level, data])
        return context.get_dummy_value()

    return signature(types.void, array, types.int64), generate


@intrinsic
def _floor(typingctx, vector):
    def generate(context, builder, signature, args):
        kind = _llvm(vector)
        name = f"llvm.floor.v{kind.count}{'f32' if vector.element == types.float32 else 'f64'}"
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
        return builder.call(function, args)

    return signature(vector, vector), generate


@intrinsic
def _times_power_of_two(typingctx, vector, exponents):
    """x * 2^n for whole numbers n for which 2^n is a normal number; NaN where n is. AVX-512 has an instruction for it; else
    n is written into the bits of the exponents."""
    single = vector.element == types.float32
    bits, mantissa, bias = (32, 23, 127) if single else (64, 52, 1023)

    def generate(context, builder, signature, args):
        x, n = args
        kind = _llvm(vector)
        if ESTIMATES:
            mask, rounding = ir.IntType(kind.count), ir.IntType(32)
            function = ir.FunctionType(kind, [kind, kind, kind, mask, rounding])
            name = f"llvm.x86.avx512.mask.scalef.{'ps' if single else 'pd'}.512"
            scale = cgutils.get_or_insert_function(builder.module, function, name)
            as_set = 4
            return builder.call(scale, [x, n, ir.Constant(kind, ir.Undefined), mask(-1), rounding(as_set)])
        integers = ir.VectorType(ir.IntType(bits), vector.count)
        is_nan = builder.fcmp_unordered("uno", n, n)
        whole = builder.fptosi(builder.select(is_nan, ir.Constant(kind, [0.0] * kind.count), n), integers)
        biased = builder.add(whole, ir.Constant(integers, [bias] * vector.count))
        shifted = builder.shl(biased, ir.Constant(integers, [mantissa] * vector.count))
        return builder.select(is_nan, n, builder.fmul(x, builder.bitcast(shifted, kind)))

    return signature(vector, vector, vector), generate


@intrinsic
def _reciprocal(typingctx, vector):
    """1 / x for 1 <= x < 1e38. With AVX-512 an estimate of 14 bits and one step of Newton's method, r + r (1 - x r): a
    division takes as long as ten multiplications."""

    def generate(context, builder, signature, args):
        kind, x = _llvm(vector), args[0]
        one = ir.Constant(kind, [1.0] * kind.count)
        if not ESTIMATES or vector.element != types.float32:
            return builder.fdiv(one, x)
        mask = ir.IntType(16)
        function = ir.FunctionType(kind, [kind, kind, mask])
        estimate = cgutils.get_or_insert_function(builder.module, function, "llvm.x86.avx512.rcp14.ps.512")
        r = builder.call(estimate, [x, ir.Constant(kind, [0.0] * kind.count), ir.Constant(mask, -1)])
        flags = ("contract",)
        error = builder.fsub(one, builder.fmul(x, r, flags=flags), flags=flags)
        return builder.fadd(r, builder.fmul(r, error, flags=flags), flags=flags)

    return signature(vector, vector), generate


def _operator(function: Any, n_operands: int, emit: Any, gives_mask: bool = False) -> None:
    """Teach Numba an operator between equal vectors."""

    @infer_global(function)
    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            if len(args) != n_operands or not isinstance(args[0], Vector) or len(set(args)) != 1:
                return None
            return signature(Vector(types.boolean, args[0].count) if gives_mask else args[0], *args)

    @lower_builtin(function, *(Vector,) * n_operands)
    def lower(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return emit(builder, signature.args[0].element == types.int32, *args)


def _compare(symbol: str) -> Any:
    def emit(builder: ir.IRBuilder, integers: bool, a: ir.Value, b: ir.Value) -> ir.Value:
        if integers:
            return builder.icmp_signed(symbol, a, b)
        # with a NaN every comparison is false, save !=
        return builder.fcmp_unordered("!=", a, b) if symbol == "!=" else builder.fcmp_ordered(symbol, a, b)

    return emit


for _function, _emit in (
    (operator.add, lambda builder, integers, a, b: builder.fadd(a, b)),
    (operator.sub, lambda builder, integers, a, b: builder.fsub(a, b)),
    (operator.mul, lambda builder, integers, a, b: builder.fmul(a, b)),
    (operator.truediv, lambda builder, integers, a, b: builder.fdiv(a, b)),
    (operator.and_, lambda builder, integers, a, b: builder.and_(a, b)),
    (operator.or_, lambda builder, integers, a, b: builder.or_(a, b)),
):
    _operator(_function, 2, _emit)
_operator(operator.invert, 1, lambda builder, integers, a: builder.not_(a))
for _function, _symbol in ((operator.gt, ">"), (operator.le, "<="), (operator.eq, "=="), (operator.ne, "!=")):
    _operator(_function, 2, _compare(_symbol), gives_mask=True)


def _plain_store(array: np.ndarray, at: int, vector: np.ndarray) -> None:
    array.reshape(-1)[at : at + vector.size] = vector


def _plain_load_part(array: np.ndarray, at: int, count: int) -> np.ndarray:
    vector = np.zeros(lanes(array.dtype), array.dtype)
    vector[:count] = array.reshape(-1)[at : at + count]
    return vector


if DISABLED:
    load: Any = lambda array, at: array.reshape(-1)[at : at + lanes(array.dtype)].copy()  # noqa: E731
    spread_from: Any = lambda array, at: np.full(lanes(array.dtype), array.reshape(-1)[at])  # noqa: E731
    load_wide: Any = lambda array, at, like: array.reshape(-1)[at : at + like.size].copy()  # noqa: E731
    load_integers: Any = lambda array, at, like: array.reshape(-1)[at : at + like.size].astype(np.int32)  # noqa: E731
    store: Any = _plain_store
    number: Any = lambda value, like: np.full_like(like, value)  # noqa: E731
    integer: Any = lambda value, like: np.full(like.size, value, np.int32)  # noqa: E731
    widen: Any = lambda vector: vector.astype(np.float64)  # noqa: E731
    load_part: Any = _plain_load_part
    store_part: Any = lambda array, at, count, vector: _plain_store(array, at, vector[:count])  # noqa: E731
    floor: Any = np.floor
    times_power_of_two: Any = lambda x, n: np.where(n == n, np.ldexp(x, np.where(n == n, n, 0).astype(int)), n)  # noqa: E731
    reciprocal: Any = lambda vector: 1 / vector  # noqa: E731
    where: Any = np.where
    prefetch: Any = lambda array, at: None  # noqa: E731
else:
    load, load_wide, load_integers, store = _load, _load_wide, _load_integers, _store
    number, integer, widen, where = _number, _integer, _widen, _where
    load_part, store_part, prefetch, spread_from = _load_part, _store_part, _prefetch, _spread_from
    floor, times_power_of_two, reciprocal = _floor, _times_power_of_two, _reciprocal
