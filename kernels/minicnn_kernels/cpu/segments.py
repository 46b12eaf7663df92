"""One compiled call over many arrays: a table of addresses, shared out evenly among the threads.

A model has dozens of parameters, most of them tiny. A call for each would spend more time in Python than in the loop, and
a thread would get a whole small array or none of it. So a kernel gets a table with a row for each parameter - where it and
its gradient and state lie, and how long they are - and walks it:

    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        p = elements(segments[s, 2], at, n, constants)
        for i in range(n): ...

What is counted and split among the threads are blocks of BLOCK elements, which belong to one parameter each. A vector
loop that starts at a block computes each element with the same instructions however the blocks were split: the bits do
not depend on the number of threads.

The table is made anew at each call, from the arrays that are there now: nothing in it can go stale.
``optim.py`` is the reader to go to next.
"""

import ctypes
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.lib.array_utils import byte_bounds

from ..threads import parallel_for
from .jit import DISABLED, jit_inline
from .layout import contiguous

BLOCK = 256  # elements: several vectors of 16, four times unrolled
GRAIN = 64  # blocks below which another thread does not pay


def update_in_place(
    kernel: Callable[..., Any],
    constants: Sequence[tuple[float, ...]],
    grads: Sequence[np.ndarray],
    *written: Sequence[np.ndarray],
) -> None:
    """Run ``kernel(start, stop, segments, constants)`` over all parameters.

    ``written`` are the parameters, then each kind of state; all lists have one entry a parameter. A row of ``segments``
    is (first block, elements, address in each list of ``written``, address of the gradient); ``constants`` come in the
    parameters' dtype, a row for each.
    """
    by_dtype: dict[np.dtype, list[int]] = {}
    for i, param in enumerate(written[0]):
        if param.size:
            by_dtype.setdefault(param.dtype, []).append(i)
    parameters = list(zip(*written, grads, strict=True))
    for dtype, indices in by_dtype.items():
        _run(kernel, np.array([constants[i] for i in indices], dtype), [parameters[i] for i in indices])


def _run(kernel: Callable[..., Any], constants: np.ndarray, parameters: list[tuple[np.ndarray, ...]]) -> None:
    """One call of the kernel; or one for each parameter, in order, where some share memory."""
    address_of, view = ctypes.addressof, ctypes.c_char.from_buffer  # as array.ctypes.data, four times faster
    table, bounds, blocks = [], [], 0
    copied: list[tuple[np.ndarray, np.ndarray]] = []
    kept_alive = []  # the table knows addresses only
    for arrays in parameters:
        param, rows = arrays[0], arrays
        if not all(array.flags.carray for array in arrays):
            rows = _row_major(arrays, copied)
            kept_alive.append(rows)
        size = param.size
        addresses = [address_of(view(row)) for row in rows]  # type: ignore[arg-type]
        bounds.append((addresses[0], addresses[0] + param.nbytes) if rows[0] is param else byte_bounds(param))
        table.append((blocks, size, *addresses))
        blocks += -(-size // BLOCK)
    bounds.sort()
    if any(end > start for (_, end), (start, _) in itertools.pairwise(bounds)):
        for i, one in enumerate(parameters):
            _run(kernel, constants[i : i + 1], [one])
        return
    parallel_for(kernel, blocks, np.array(table, np.int64), constants, grain=GRAIN)
    for array, row in copied:
        array[...] = row


def _row_major(arrays: tuple[np.ndarray, ...], copied: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, ...]:
    """The arrays of one parameter with their axes in the order in which the parameter lies in memory, row-major: views
    where they are so already, else copies. Those to be written back are noted in ``copied``, as (array, copy).
    """
    param = arrays[0]
    if not param.flags.c_contiguous:
        axes = sorted(range(param.ndim), key=lambda axis: -param.strides[axis])
        arrays = tuple(array.transpose(axes) for array in arrays)
    rows = tuple(contiguous(array) for array in arrays)
    copied += [(array, row) for array, row in zip(arrays[:-1], rows[:-1], strict=True) if row is not array]
    return rows


@jit_inline
def part(start, stop, segments, s):
    """Which elements of parameter s are in the blocks start .. stop - 1: the first, and how many (0 or less: none)."""
    first, size = segments[s, 0], segments[s, 1]
    at = max(start - first, 0) * BLOCK
    return at, min((stop - first) * BLOCK, size) - at


if DISABLED:

    def elements(address: Any, at: Any, n: Any, like: Any) -> Any:
        start = int(address) + int(at) * like.itemsize
        return np.frombuffer((ctypes.c_char * (int(n) * like.itemsize)).from_address(start), like.dtype)

else:

    @intrinsic
    def elements(typingctx, address, at, n, like):
        """The elements at .. at + n - 1 of what lies at the address, as an array of the dtype of ``like``."""
        kind = types.Array(like.dtype, 1, "C")

        def generate(context, builder, signature, args):
            from numba.np.arrayobj import populate_array  # (loaded with the compiler)

            address, at, n, _ = args
            array = context.make_array(kind)(context, builder)
            itemsize = address.type(kind.dtype.bitwidth // 8)
            start = builder.gep(builder.inttoptr(address, array.data.type), [at])
            populate_array(array, data=start, shape=[n], strides=[itemsize], itemsize=itemsize, meminfo=None)
            return array._getvalue()

        return kind(types.int64, types.int64, types.int64, like), generate
