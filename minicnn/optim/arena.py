"""Where an optimiser's state lies: side by side in one flat block of memory, its arena.

A step is one call of a kernel over all parameters of a group (``minicnn_kernels/cpu/segments.py``), bound by memory
alone. What may be moved together for its sake, and what may not:

* *State* is the optimiser's own. That of all parameters that take their first step together is cut from one block; each
  tensor in ``optimizer.state`` is an ordinary one that looks at its piece. On the 12 parameters of the MNIST CNN this was
  mostly up to 5 percent faster than an array for each (small pieces share pages); on 62 parameters of a ResNet-18 it made no
  clear difference.
* *Parameters* stay where they are. Moving them would have brought another 3 to 6 percent, and a NumPy array, a
  ``.data`` or a view that a user holds would silently have been cut off; in torch ``step`` never moves them.
* *Gradients* come from the backward pass in arrays of their own. To copy them together costs 8 bytes an element, on top
  of the 28 that Adam moves.

Nothing depends on the pieces staying together: where a piece lies is looked up at each step. A parameter that is new, or
was replaced by one of another shape or dtype, gets a piece of a new block at its first step; state that was loaded or
copied brings its own memory; a saved piece is saved alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ALIGNMENT = 64  # bytes: a cache line, and the widest vector


def zeros_like(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Zeros of each array's shape, dtype and memory order, cut from one block.

    >>> a, b = zeros_like([np.ones((2, 3)), np.ones(5, np.float32)])
    >>> a.shape, b.dtype, a.base is b.base
    ((2, 3), dtype('float32'), True)
    """
    sizes = [-(-array.nbytes // ALIGNMENT) * ALIGNMENT for array in arrays]
    block = np.zeros(sum(sizes) + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    pieces = []
    for array, size in zip(arrays, sizes, strict=True):
        strides = np.empty_like(array).strides  # dense, in the order of the array
        pieces.append(np.ndarray(array.shape, array.dtype, buffer=block, offset=start, strides=strides))
        start += size
    return pieces
