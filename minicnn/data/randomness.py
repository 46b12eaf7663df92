"""Random numbers that belong to a sample, so that nothing but the sample decides them.

A loader draws one 64-bit *epoch seed*. From it, every source of randomness in the epoch gets a generator of its own:
the sampler (which decides the order) one, each sample one, keyed by its index, each batch one for what its
``collate_fn`` draws (MixUp). Random transforms ask :func:`sample_generator` for the one in force. So the augmented
batches are a pure function of the epoch seed: the same for any number of workers, with or without prefetching, and
after resuming in the middle of an epoch.

Read next: `loader.py`, which opens these scopes, and `transforms/`, which draws.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

from minicnn import random as mc_random
from minicnn.random import Generator

_current: ContextVar[Callable[[], Generator] | None] = ContextVar("minicnn.data.sample_generator", default=None)

_MASK = (1 << 64) - 1
# Streams of an epoch that no sample's key can meet: samples use (index, occurrence) below one more word.
SAMPLE_STREAM, ORDER_STREAM, ITERABLE_STREAM, BATCH_STREAM, COLLATE_STREAM = range(5)


def sample_generator() -> Generator:
    """The generator that random transforms draw from.

    Inside a `DataLoader`: that of the sample being fetched, keyed by (epoch seed, sample index), or in its
    ``collate_fn`` that of the batch. Elsewhere: the default
    generator, which ``mc.manual_seed`` seeds. Use it in transforms of your own to make them repeatable too.

    >>> import minicnn as mc
    >>> _ = mc.manual_seed(0)
    >>> sample_generator() is mc.random.default_generator
    True
    """
    source = _current.get()
    return mc_random.default_generator if source is None else source()


class drawing_from:
    """``with drawing_from(source):`` makes :func:`sample_generator` return ``source()`` within the block.

    A class, because the loader enters one for every sample, and contextlib's generators cost five times as much.
    """

    def __init__(self, source: Callable[[], Generator]):
        self._source = source

    def __enter__(self) -> None:
        self._token = _current.set(self._source)

    def __exit__(self, *error: Any) -> None:
        _current.reset(self._token)


def draw_epoch_seed(generator: Generator | None) -> int:
    """64 bits from ``generator`` (None: the default generator)."""
    low, high = (int(word) for word in (generator or mc_random.default_generator).words(2))
    return low | high << 32


def keyed_generator(epoch_seed: int, stream: int, *key: int) -> Generator:
    """A generator that is a pure function of the epoch's seed, the stream and the key."""
    mixed = epoch_seed
    for word in (stream, *key):
        mixed = _mix(mixed ^ _mix(word & _MASK))
    return Generator().manual_seed(mixed)


def index_key(index: Any) -> int:
    """64 bits that stand for a sample's index: the number itself, or a digest of any other key a sampler may give."""
    try:
        return operator.index(index)
    except TypeError:
        return int.from_bytes(hashlib.blake2b(repr(index).encode(), digest_size=8).digest(), "little")


class SampleSource:
    """Makes one sample's generator when it is first asked for: most data sets never ask."""

    __slots__ = ("_generator", "_key")

    def __init__(self, epoch_seed: int, index: Any, occurrence: int):
        self._key = (epoch_seed, index, occurrence)
        self._generator: Generator | None = None

    def __call__(self) -> Generator:
        if self._generator is None:
            epoch_seed, index, occurrence = self._key
            self._generator = keyed_generator(epoch_seed, SAMPLE_STREAM, index_key(index), occurrence)
        return self._generator


class SampleGenerators(Sequence[Generator]):
    """The generators of a batch's samples, each made when it is first asked for and then kept."""

    def __init__(self, epoch_seed: int, keys: Sequence[tuple[Any, int]]):
        self.epoch_seed = epoch_seed
        self.keys = keys  # (index, how often the epoch has drawn that index before)
        self._sources: dict[int, SampleSource] = {}

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, position: Any) -> Any:
        if position not in self._sources:
            self._sources[position] = SampleSource(self.epoch_seed, *self.keys[position])
        return self._sources[position]()


def _mix(word: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014): a bijection that spreads each bit over all 64."""
    word = (word + 0x9E3779B97F4A7C15) & _MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _MASK
    return word ^ (word >> 31)
