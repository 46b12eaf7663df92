"""Waiting awake: for the microseconds between two parallel regions, a thread looks at a number instead of going to sleep.

To wake a sleeping thread takes 40 to 100 microseconds, for the work and once more for the interpreter lock.
A training step has dozens of regions. So a worker that has finished looks for a while (about 100 microseconds) whether there
is more to do, and so does the caller whether the workers are done; then they go to sleep as before (``threads.py``). Looking
holds no interpreter lock, and the processor's pause instruction leaves the core's units to a neighbour.

The numbers are read and written as atomics, `acquire` and `release`: who sees one sees all that was written before it.
"""

import platform
import sys
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..threads import wait_awake
from .jit import DISABLED, jit
from .memory import start_of

APART = 8  # numbers from one thread's to the next: a cache line, so that nobody's looking slows another's writing
X86 = platform.machine().lower() in ("x86_64", "amd64", "i686", "x86")


def _pointer(context: Any, builder: ir.IRBuilder, kind: Any, array: ir.Value, at: ir.Value) -> ir.Value:
    return builder.gep(start_of(context, builder, kind, array), [at])


@intrinsic
def _look_intrinsic(typingctx, array, at):
    def generate(context, builder, signature, args):
        place = _pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array, types.int64), generate


@intrinsic
def _tell_intrinsic(typingctx, array, at, value):
    def generate(context, builder, signature, args):
        place = _pointer(context, builder, signature.args[0], args[0], args[1])
        builder.store_atomic(args[2], place, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64), generate


@intrinsic
def _pause_intrinsic(typingctx):
    def generate(context, builder, signature, args):
        if X86:
            function = builder.module.declare_intrinsic("llvm.x86.sse2.pause", [], ir.FunctionType(ir.VoidType(), []))
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


look: Any = _look_intrinsic  # (Any: for the type checker an intrinsic still takes its typing context)
tell: Any = _tell_intrinsic
pause: Any = _pause_intrinsic


@jit
def await_work(work, done, at, number, tries, grace):
    """Say that job `number` is done, and look for the next one; then give its sender `grace` pauses to get going."""
    tell(done, at, number)
    for _ in range(tries):
        if look(work, at) != number:
            for _ in range(grace):
                pause()
            return
        pause()


@jit
def send_work(work, count, number):
    """Let the first `count` workers see that there is a job `number`."""
    for i in range(count):
        tell(work, i * APART, number)


@jit
def await_done(done, count, number, tries):
    """Look whether the first `count` workers have done job `number`."""
    i = 0
    for _ in range(tries):
        while i < count and look(done, i * APART) == number:
            i += 1
        if i == count:
            return
        pause()


if not DISABLED:
    wait_awake(sys.modules[__name__])
