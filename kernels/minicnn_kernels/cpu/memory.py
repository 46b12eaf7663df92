"""Where an array's numbers lie; copying and clearing runs of them inside compiled functions: ``memcpy`` and ``memset``.

``target[i : i + n] = source[j : j + n]`` does the same; but Numba takes a tenth of a second to compile each such line, and a
test for overlap at every run of it.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import DISABLED


def start_of(context: Any, builder: ir.IRBuilder, kind: types.Array, array: ir.Value) -> ir.Value:
    """Where the numbers begin, while code is generated. (``context.make_array`` would write the whole array, seven words, to
    memory first, and LLVM would have to find out that nobody reads it there.)"""
    return builder.extract_value(array, context.data_model_manager[kind].get_field_position("data"))


if DISABLED:

    def copy(source: Any, at: Any, target: Any, t_at: Any, n: Any) -> None:
        target[t_at : t_at + n] = source[at : at + n]

    def clear(target: Any, at: Any, n: Any) -> None:
        target[at : at + n] = 0

else:

    @intrinsic
    def copy(typingctx, source, at, target, t_at, n):
        """target[t_at : t_at + n] = source[at : at + n]; flat arrays that do not overlap; nothing is checked."""
        size = types.int64

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            source, at, target, t_at, n = args
            from_ = builder.gep(start_of(context, builder, signature.args[0], source), [at])
            to = builder.gep(start_of(context, builder, signature.args[2], target), [t_at])
            cgutils.raw_memcpy(builder, to, from_, n, signature.args[0].dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(source, size, target, size, size), generate

    @intrinsic
    def clear(typingctx, target, at, n):
        """target[at : at + n] = 0. Nothing is checked."""
        size = types.int64

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            target, at, n = args
            to = builder.gep(start_of(context, builder, signature.args[0], target), [at])
            cgutils.memset(builder, to, builder.mul(n, n.type(signature.args[0].dtype.bitwidth // 8)), 0)
            return context.get_dummy_value()

        return types.void(target, size, size), generate
