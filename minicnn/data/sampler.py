"""Samplers decide which sample comes when: torch.utils.data's, drawing from minicnn's generators.

A sampler without a generator of its own draws from :func:`~minicnn.data.sample_generator`. Inside a `DataLoader` that
is the epoch's own generator, so the order is a pure function of the epoch seed; elsewhere it is the default generator.
A sampler *with* a generator moves it on at each epoch, and after a resumed epoch its state is the caller's to restore.

Read next: `loader.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from minicnn.autograd import Tensor
from minicnn.random import Generator

from .randomness import sample_generator

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """Base class: ``__iter__`` yields the indices of an epoch; ``__len__``, where known, says how many."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ..., n - 1."""

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A new random order each epoch, or ``num_samples`` draws with replacement.

    Parameters
    ----------
    data_source : only its length n is used.
    replacement : draw each index independently of the others.
    num_samples : how many indices an epoch has; None means n. Above n without replacement, whole orders follow one
        another.
    generator : where to draw from; None is :func:`~minicnn.data.sample_generator`.

    Raises
    ------
    TypeError : replacement is not a bool. ValueError : no samples to draw.

    >>> sorted(RandomSampler(range(4)))
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ):
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if num_samples is None and len(data_source) == 0:
            raise ValueError(
                "num_samples should be a positive integer value, but got num_samples=0: the data set is empty"
            )
        _check_count("num_samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        n = len(self.data_source)
        generator = self.generator or sample_generator()
        if self.replacement:
            yield from generator.integers(0, n, (self.num_samples,)).tolist()
            return
        for first in range(0, self.num_samples, n):
            yield from generator.permutation(n)[: self.num_samples - first].tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in a new random order each epoch."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None):
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        generator = self.generator or sample_generator()
        for position in generator.permutation(len(self.indices)).tolist():
            yield self.indices[position]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Draws index i with a probability in proportion to ``weights[i]``; for classes of unequal size, for example.

    Without replacement the draws follow one another, each among the indices that are left, as in torch.multinomial: by
    the keys of Efraimidis and Spirakis (2006), the ``num_samples`` smallest of e_i / w_i with e_i ~ Exp(1).

    Parameters
    ----------
    weights : (n,) numbers, at least 0, not all 0.
    num_samples : how many indices an epoch has.
    replacement : whether an index may come again.
    generator : where to draw from; None is :func:`~minicnn.data.sample_generator`.

    Raises
    ------
    ValueError : weights that are not as above, or fewer positive ones than samples to draw without replacement.

    >>> set(WeightedRandomSampler([0.0, 1.0, 0.0], 5))
    {1}
    """

    def __init__(
        self,
        weights: Sequence[float] | np.ndarray | Tensor,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ):
        _check_count("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        values = np.asarray(weights.numpy() if isinstance(weights, Tensor) else weights, dtype=np.float64)
        if values.ndim != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {values.shape}")
        if not np.isfinite(values).all() or (values < 0).any() or not (values > 0).any():
            raise ValueError("weights: expected finite numbers of at least 0, one of them above 0")
        positive = int((values > 0).sum())
        if not replacement and positive < num_samples:
            raise ValueError(
                f"num_samples: cannot draw {num_samples} different samples where {positive} have a weight above 0; "
                "draw fewer, or with replacement=True"
            )
        self.weights = values
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        generator = self.generator or sample_generator()
        if self.replacement:
            ends = np.cumsum(self.weights / self.weights.sum())
            drawn = np.searchsorted(ends / ends[-1], generator.uniform((self.num_samples,), np.float64), side="right")
        else:
            waits = -np.log1p(-generator.uniform(self.weights.shape, np.float64))  # Exp(1)
            with np.errstate(divide="ignore", invalid="ignore"):
                keys = np.where(self.weights > 0, waits / self.weights, np.inf)
            drawn = np.argsort(keys, kind="stable")[: self.num_samples]
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Groups the indices of another sampler into lists of ``batch_size``.

    Raises
    ------
    ValueError : a batch size below 1, or a ``drop_last`` that is not a bool.

    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=True))
    [[0, 1], [2, 3]]
    """

    def __init__(self, sampler: Iterable[Any], batch_size: int, drop_last: bool):
        _check_count("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        n: int = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)


def may_repeat(sampler: Any) -> bool:
    """Whether an epoch of ``sampler`` can hold an index twice; True where that is not known."""
    if type(sampler) is BatchSampler:
        return may_repeat(sampler.sampler)
    if type(sampler) is RandomSampler:
        return sampler.replacement or sampler.num_samples > len(sampler.data_source)
    if type(sampler) is WeightedRandomSampler:
        return sampler.replacement
    return type(sampler) is not SequentialSampler


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")
