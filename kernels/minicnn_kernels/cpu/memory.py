"""Copying and clearing runs of numbers inside compiled functions: ``memcpy`` and ``memset``.

``target[i : i + n] = source[j : j + n]`` does the same; but Numba takes a tenth of a second to compile each such line, and a
test for overlap at every run of it.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .jit import DISABLED

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
            from_ = builder.gep(context.make_array(signature.args[0])(context, builder, source).data, [at])
            to = builder.gep(context.make_array(signature.args[2])(context, builder, target).data, [t_at])
            cgutils.raw_memcpy(builder, to, from_, n, signature.args[0].dtype.bitwidth // 8)
            return context.get_dummy_value()

        return types.void(source, size, target, size, size), generate

    @intrinsic
    def clear(typingctx, target, at, n):
        """target[at : at + n] = 0. Nothing is checked."""
        size = types.int64

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
            target, at, n = args
            to = builder.gep(context.make_array(signature.args[0])(context, builder, target).data, [at])
            cgutils.memset(builder, to, builder.mul(n, n.type(signature.args[0].dtype.bitwidth // 8)), 0)
            return context.get_dummy_value()

        return types.void(target, size, size), generate
