"""Fetching one batch: from indices (or an iterator) to collated tensors, with each sample's own random numbers.

Read next: `loader.py` decides when and in which thread this runs; `randomness.py` says what a sample's numbers are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from minicnn.random import Generator

from .collate import default_collate
from .dataset import Subset, batch_getter
from .randomness import (
    BATCH_STREAM,
    COLLATE_STREAM,
    ITERABLE_STREAM,
    SampleGenerators,
    SampleSource,
    drawing_from,
    index_key,
    keyed_generator,
)

END = object()  # what reading an exhausted iterable data set gives

TOO_SHORT = (
    "DataLoader: the loaded state has {} batches behind it, but this loader only has {}; "
    "was it saved with another data set or batch size?"
)

# A sample's index, and how often this epoch has drawn it before: sampling with replacement must not repeat the crop.
Key = tuple[Any, int]


class MapFetcher:
    """Batches of a map-style data set. Holds no state, so any thread may fetch any batch."""

    def __init__(self, dataset: Any, collate_fn: Callable[[Any], Any], batched: bool):
        self.dataset = dataset
        self.collate_fn = collate_fn
        self.batched = batched

    def fetch(self, epoch_seed: int, number: int, keys: Sequence[Key]) -> Any:
        """Batch ``number`` of the epoch, made of the samples ``keys``."""
        if not self.batched:
            return self._collate(self._sample(epoch_seed, number, keys[0]), epoch_seed, number, keys)
        indices = [index for index, _ in keys]
        whole = batch_getter(self.dataset) if self.collate_fn is default_collate else None
        if whole is not None:
            return _telling(
                lambda: whole(indices, SampleGenerators(epoch_seed, keys)), f"fetching {_several(indices, number)}"
            )
        many = items_getter(self.dataset)
        if many is not None:
            # One call for all samples has one generator: the first sample's key and the batch's number make it.
            index, occurrence = keys[0]
            generator = keyed_generator(epoch_seed, BATCH_STREAM, number, index_key(index), occurrence)
            with drawing_from(lambda: generator):
                samples = _telling(lambda: many(indices), f"fetching {_several(indices, number)}")
        else:
            samples = [self._sample(epoch_seed, number, key) for key in keys]
        return self._collate(samples, epoch_seed, number, keys)

    def _sample(self, epoch_seed: int, number: int, key: Key) -> Any:
        with drawing_from(SampleSource(epoch_seed, *key)):
            try:
                return self.dataset[key[0]]
            except Exception as error:
                _tell(error, f"fetching sample {key[0]!r} (batch {number})")
                raise

    def _collate(self, samples: Any, epoch_seed: int, number: int, keys: Sequence[Key]) -> Any:
        what = f"collating {_several([i for i, _ in keys], number)}"
        return _collated(self.collate_fn, samples, epoch_seed, number, what)


class IterableFetcher:
    """Batches of an iterable data set, read in order by whoever calls: one thread at a time."""

    def __init__(self, dataset: Any, collate_fn: Callable[[Any], Any], batch_size: int | None, drop_last: bool):
        self.dataset = dataset
        self.collate_fn = collate_fn
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._samples: Iterator[Any] | None = None
        self._generator: Generator | None = None

    def fetch(self, epoch_seed: int, number: int, skip: int) -> Any:
        """The next batch, or `END`; the first call passes over ``skip`` batches that an interrupted epoch has seen."""
        if self._generator is None:
            self._generator = keyed_generator(epoch_seed, ITERABLE_STREAM)
        generator = self._generator
        with drawing_from(lambda: generator):
            if self._samples is None:
                self._samples = iter(self.dataset)
                self._pass_over(self._samples, skip)
            return self._next(self._samples, epoch_seed, number)

    def _pass_over(self, source: Iterator[Any], skip: int) -> None:
        size = self.batch_size or 1
        n = sum(1 for _ in itertools.islice(source, skip * size))
        batches = n // size if self.drop_last else -(-n // size)
        if batches < skip:
            raise ValueError(TOO_SHORT.format(skip, batches))

    def _next(self, source: Iterator[Any], epoch_seed: int, number: int) -> Any:
        samples = _telling(
            lambda: list(itertools.islice(source, self.batch_size or 1)),
            f"reading batch {number} of an iterable data set",
        )
        if not samples or (self.drop_last and len(samples) < (self.batch_size or 1)):
            return END
        batch = samples if self.batch_size is not None else samples[0]
        return _collated(self.collate_fn, batch, epoch_seed, number, f"collating batch {number}")


def items_getter(dataset: Any) -> Callable[[list], list] | None:
    """``dataset.__getitems__`` where there is one that is more than a loop over items."""
    inherits = isinstance(dataset, Subset) and type(dataset).__getitems__ is Subset.__getitems__
    if inherits and (type(dataset).__getitem__ is not Subset.__getitem__ or items_getter(dataset.dataset) is None):
        return None
    return getattr(dataset, "__getitems__", None)


def _collated(collate_fn: Callable[[Any], Any], samples: Any, epoch_seed: int, number: int, what: str) -> Any:
    """The batch, made with random numbers of its own: the same in every worker, and after an interruption."""
    if collate_fn is default_collate:
        return _telling(lambda: collate_fn(samples), what)
    made: list[Generator] = []

    def generator() -> Generator:
        if not made:
            made.append(keyed_generator(epoch_seed, COLLATE_STREAM, number))
        return made[0]

    with drawing_from(generator):
        return _telling(lambda: collate_fn(samples), what)


def _telling(do: Callable[[], Any], what: str) -> Any:
    """``do()``; an error that it raises says where the loader was."""
    try:
        return do()
    except Exception as error:
        _tell(error, what)
        raise


def _tell(error: Exception, what: str) -> None:
    if isinstance(error, StopIteration):
        # It would end the epoch in silence.
        raise RuntimeError(f"DataLoader: StopIteration raised while {what}") from error
    error.add_note(f"DataLoader: {what}")


def _several(indices: Sequence[Any], number: int) -> str:
    shown = ", ".join(repr(index) for index in indices[:8]) + (", ..." if len(indices) > 8 else "")
    return f"samples {shown} (batch {number})"
