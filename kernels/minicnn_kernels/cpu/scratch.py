"""Scratch memory that a compiled function makes for itself."""

import numpy as np

from .jit import jit_allocating
from .simd import VECTOR_BYTES


@jit_allocating
def aligned(n, like):
    """Memory for n numbers of this array's type, from where a vector may begin: one across two cache lines takes twice as
    long."""
    memory = np.empty(n + VECTOR_BYTES // like.itemsize, like.dtype)
    first = (VECTOR_BYTES - memory.ctypes.data % VECTOR_BYTES) % VECTOR_BYTES // like.itemsize
    return memory[first : first + n]
