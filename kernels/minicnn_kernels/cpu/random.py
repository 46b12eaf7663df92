"""Philox4x32-10, compiled; the explanation is in ``reference/random.py``.

Words are held in 64-bit integers: then the high half of a 32 x 32 bit product is a shift away, and a loop over blocks
becomes vector instructions. Each block depends on its number alone, so threads take any ranges of blocks and draw the
same words.
"""

import numpy as np

from ..reference.random import KEY_STEPS, MULTIPLIERS, ROUNDS
from ..threads import parallel_for
from .jit import jit

MULTIPLIER_0, MULTIPLIER_1 = np.uint64(MULTIPLIERS[0]), np.uint64(MULTIPLIERS[1])
STEP_0, STEP_1 = np.uint64(KEY_STEPS[0]), np.uint64(KEY_STEPS[1])
LOW, HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
GRAIN = 1 << 12  # blocks below which another thread does not pay


def philox_words(seed: int, offset: int, n: int) -> np.ndarray:
    """The first n words of the blocks offset, offset + 1, ... of the stream `seed`, uint32."""
    n_blocks = -(-n // 4)
    words = np.empty(4 * n_blocks, np.uint32)

    def run(start: int, stop: int) -> None:
        philox_blocks(*stream(seed, offset + start), words[4 * start : 4 * stop])

    parallel_for(run, n_blocks, grain=GRAIN)
    return words[:n]


def stream(seed: int, offset: int) -> tuple[np.uint64, np.uint64, np.uint64]:
    """The two words of the key, and the number of the first block."""
    return np.uint64(seed & 0xFFFFFFFF), np.uint64((seed >> 32) & 0xFFFFFFFF), np.uint64(offset % 2**64)


@jit
def philox_blocks(key_0, key_1, first, words):
    """Fill words, four a block, from block number `first` on."""
    for block in range(words.size // 4):
        number = first + np.uint64(block)
        c0, c1, c2, c3 = number & LOW, number >> HALF, np.uint64(0), np.uint64(0)
        k0, k1 = key_0, key_1
        for _ in range(ROUNDS):
            product_0, product_1 = c0 * MULTIPLIER_0, c2 * MULTIPLIER_1
            c0, c1 = (product_1 >> HALF) ^ c1 ^ k0, product_1 & LOW
            c2, c3 = (product_0 >> HALF) ^ c3 ^ k1, product_0 & LOW
            k0, k1 = (k0 + STEP_0) & LOW, (k1 + STEP_1) & LOW
        words[4 * block] = c0
        words[4 * block + 1] = c1
        words[4 * block + 2] = c2
        words[4 * block + 3] = c3
