"""Random numbers from Philox4x32-10: a generator is a seed and an offset, and nothing else.

Philox (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) is counter-based: block number ``i`` under
key ``seed`` is a pure function of both, four 32-bit words. A draw takes the next blocks and moves ``offset`` on. So the
whole state fits in two integers (a checkpoint stores them), any thread can compute any part of a dropout mask, and a
CPU and a GPU draw the same one.

Words come from the kernels (``minicnn_kernels/reference/random.py`` explains the rounds); this file turns them into
uniform and normal numbers, integers and permutations with plain NumPy, so that every back end gives the same bits.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels import backend_of

_ANY_ARRAY = np.empty(0)
_DEFAULT_SEED = 67280421310721  # torch's, so that an unseeded run is repeatable too


class GeneratorState(NamedTuple):
    """All there is to a generator: the Philox key and the number of the next block."""

    seed: int
    offset: int


class Generator:
    """A source of random numbers that can be seeded, stored and put back.

    >>> import minicnn as mc
    >>> g = mc.Generator().manual_seed(0)
    >>> before = g.get_state()
    >>> a = mc.rand(2, generator=g)
    >>> g.set_state(before)
    >>> bool((mc.rand(2, generator=g) == a).all())
    True
    """

    def __init__(self, device: Any = "cpu"):
        from .device import require_cpu

        self.device = require_cpu(device)
        self._seed = _DEFAULT_SEED
        self._offset = 0

    def manual_seed(self, seed: int) -> Generator:
        """Start again from ``seed`` (-2**63 to 2**64 - 1). Returns the generator."""
        seed = _checked_seed(seed)
        self._seed, self._offset = seed, 0
        return self

    def seed(self) -> int:
        """Start again from a seed that the operating system draws, and return it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed this generator was last started from."""
        return self._seed

    def get_state(self) -> GeneratorState:
        """The generator's whole state."""
        return GeneratorState(self._seed, self._offset)

    def set_state(self, state: GeneratorState | Sequence[int]) -> None:
        """Put back what :meth:`get_state` returned."""
        try:
            seed, offset = (int(part) for part in state)
        except (TypeError, ValueError):
            raise TypeError(f"state: expected what get_state() returns, (seed, offset), got {state!r}") from None
        if offset < 0:
            raise ValueError(f"state: the offset counts blocks drawn and cannot be negative, got {offset}")
        self._seed, self._offset = _checked_seed(seed), offset

    def __repr__(self) -> str:
        return f"Generator(seed={self._seed}, offset={self._offset})"

    # What the framework draws, as arrays.

    def reserve(self, n: int) -> tuple[int, int]:
        """Take the blocks for ``n`` words without drawing them: (seed, first block), for kernels that draw inside."""
        first = self._offset
        self._offset = first + -(-n // 4)
        return self._seed, first

    def words(self, n: int) -> np.ndarray:
        """``n`` random words, (n,) uint32."""
        return backend_of(_ANY_ARRAY).philox_words(*self.reserve(n), n)

    def uniform(self, shape: Sequence[int], dtype: Any = np.float32, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """Uniform numbers in [low, high), from 24 random bits each in float32 and 53 in float64."""
        n = math.prod(shape)
        unit = _unit_interval(self, n, np.dtype(dtype)).reshape(tuple(shape))
        if (low, high) == (0.0, 1.0):
            return unit
        unit *= unit.dtype.type(high - low)
        unit += unit.dtype.type(low)
        # Rounding of low + (high - low) u may reach high itself, which the half-open interval excludes.
        return np.minimum(unit, np.nextafter(unit.dtype.type(high), unit.dtype.type(low)), out=unit)

    def normal(self, shape: Sequence[int], dtype: Any = np.float32) -> np.ndarray:
        """Standard normal numbers by Box and Muller (1958): sqrt(-2 ln u) cos(2 pi v) and its sine twin."""
        n = math.prod(shape)
        dtype = np.dtype(dtype)
        pairs = -(-n // 2)
        u, v = _unit_interval(self, 2 * pairs, dtype).reshape(2, pairs)
        radius = np.sqrt(-2 * np.log1p(-u))  # 1 - u is in (0, 1]: no logarithm of zero
        angle = dtype.type(2 * math.pi) * v
        return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:n].reshape(tuple(shape))

    def integers(self, low: int, high: int, shape: Sequence[int]) -> np.ndarray:
        """Integers in [low, high), int64.

        The high half of a 32 x 32 or 64 x 64-bit product: for spans below 2**32 each value's probability is off by at
        most 2**-32.
        """
        span = high - low
        n = math.prod(shape)
        if span <= 1 << 32:
            scaled = (self.words(n).astype(np.uint64) * np.uint64(span)) >> np.uint64(32)
        else:
            pairs = self.words(2 * n).astype(np.uint64).reshape(n, 2)
            scaled = ((pairs[:, 0] << np.uint64(32)) | pairs[:, 1]) % np.uint64(span)
        return (scaled.astype(np.int64) + low).reshape(tuple(shape))

    def permutation(self, n: int) -> np.ndarray:
        """A random order of 0 .. n - 1, (n,) int64: the order that sorts 64-bit random keys."""
        keys = self.words(2 * n).view(np.uint64)
        return np.argsort(keys, kind="stable")


def _unit_interval(generator: Generator, n: int, dtype: np.dtype) -> np.ndarray:
    """(n,) numbers in [0, 1), each a multiple of 2**-24 (float32) or 2**-53 (float64)."""
    if dtype == np.float32:
        return (generator.words(n) >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)
    pairs = generator.words(2 * n).view(np.uint64)
    return (pairs >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _checked_seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not -(1 << 63) <= seed < 1 << 64:
        raise ValueError(f"seed: expected an integer from -2**63 to 2**64 - 1, got {seed!r}")
    return int(seed) % (1 << 64)


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the generator that everything draws from unless given another. Returns it."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator from the operating system, and return the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator was last started from."""
    return default_generator.initial_seed()


def get_rng_state() -> GeneratorState:
    """The default generator's state."""
    return default_generator.get_state()


def set_rng_state(new_state: GeneratorState) -> None:
    """Put the default generator's state back."""
    default_generator.set_state(new_state)
