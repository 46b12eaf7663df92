"""Philox4x32-10: random numbers as a pure function of (key, counter).

Salmon, Moraes, Dror and Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3. There is no state to
carry along: block number b of the stream with key `seed` can be computed at once, by any thread and in any order, so
a mask is the same for any number of threads, and the backward pass draws it again instead of storing it.

One block turns a counter of four 32-bit words into four random words by ten rounds of multiplication and
exclusive or.
"""

import numpy as np

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and sqrt(3) - 1, as 32-bit fractions
ROUNDS = 10
LOW = np.uint64(0xFFFFFFFF)


def philox_words(seed: int, offset: int, n: int) -> np.ndarray:
    """The first n words of the blocks offset, offset + 1, ... of the stream `seed`, uint32.

    Words 0 and 1 of a block's counter are its number (64 bit, low half first), words 2 and 3 are zero; the key is
    (low, high half of the seed).
    """
    n_blocks = -(-n // 4)
    number = np.uint64(offset % 2**64) + np.arange(n_blocks, dtype=np.uint64)  # wraps around at 2**64
    zero = np.zeros(n_blocks, np.uint64)
    block = philox_blocks(
        (number & LOW, number >> np.uint64(32), zero, zero), (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF)
    )
    return np.stack(block, axis=1).astype(np.uint32).reshape(-1)[:n]  # 4 of (n_blocks,) -> (n_blocks, 4) -> (n,)


def philox_blocks(counter: tuple[np.ndarray, ...], key: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Four words of counter, two of key -> four random words. Held in uint64: a product keeps its high half."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0 = c0 * np.uint64(MULTIPLIERS[0])
        product1 = c2 * np.uint64(MULTIPLIERS[1])
        c0 = (product1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0)
        c1 = product1 & LOW
        c2 = (product0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1)
        c3 = product0 & LOW
        k0, k1 = (k0 + KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + KEY_STEPS[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3
