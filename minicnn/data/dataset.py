"""What a data set is, and how data sets are cut and joined: torch.utils.data's classes.

A map-style data set answers ``dataset[i]`` and ``len(dataset)``; an iterable one is read from its beginning. Two
optional methods fetch many samples at once: torch's ``__getitems__(indices)``, which returns a list of samples, and
``get_batch(indices, generators)`` below, which returns the batch ready made and keeps random transforms repeatable.

Read next: `sampler.py` chooses the indices, `collate.py` joins samples into a batch, `loader.py` drives all three.
"""

from __future__ import annotations

import bisect
import itertools
import math
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from minicnn import random as mc_random
from minicnn.autograd import Tensor
from minicnn.random import Generator

T_co = TypeVar("T_co", covariant=True)

# get_batch(indices, generators) -> what default_collate([dataset[i] for i in indices]) returns. generators[k] is the
# generator of sample indices[k]; made when asked for.
BatchGetter = Callable[[Sequence[Any], Sequence[Generator]], Any]


class Dataset(Generic[T_co]):
    """A map-style data set: subclasses define ``__getitem__`` and, nearly always, ``__len__``.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, i):
    ...         return i * i
    >>> Squares()[3], len(Squares() + Squares())
    (9, 8)
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """A data set that is read in its own order: subclasses define ``__iter__``, and ``__len__`` if they know it."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")

    def __add__(self, other: Any) -> Any:
        raise TypeError(
            f"{type(self).__name__} + {type(other).__name__}: an iterable data set has no indices to join by; "
            "chain the iterators instead, with itertools.chain in an IterableDataset of your own"
        )


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Sample i is ``tuple(tensor[i] for tensor in tensors)``.

    Parameters
    ----------
    *tensors : each (n, ...), of one first size n.

    Raises
    ------
    ValueError : no tensors, a tensor without dimensions, or first sizes that differ.

    >>> import minicnn as mc
    >>> data = TensorDataset(mc.zeros(3, 2), mc.arange(3))
    >>> len(data), data[2][1].item()
    (3, 2)
    """

    def __init__(self, *tensors: Tensor):
        if not tensors:
            raise ValueError("tensors: expected at least one, got none")
        for position, tensor in enumerate(tensors):
            if not isinstance(tensor, Tensor):
                raise TypeError(
                    f"tensors[{position}]: expected a Tensor, got {type(tensor).__name__}; "
                    "minicnn.from_numpy makes one of a NumPy array"
                )
        if any(tensor.ndim == 0 for tensor in tensors) or len({tensor.shape[0] for tensor in tensors}) != 1:
            shapes = ", ".join(str(tuple(tensor.shape)) for tensor in tensors)
            raise ValueError(f"tensors: size mismatch: expected one first size (the number of samples), got {shapes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def get_batch(self, indices: Sequence[Any], generators: Sequence[Generator]) -> list[Tensor]:
        """The batch by one gather a tensor, instead of one slice a sample."""
        where = as_index_array(indices)
        return [tensor[where] if tensor.requires_grad else gather(tensor, where) for tensor in self.tensors]


class Subset(Dataset[T_co]):
    """The samples of ``dataset`` at ``indices``, renumbered from 0.

    >>> part = Subset("abcdef", [4, 0])
    >>> part[0], part[1], len(part)
    ('e', 'a', 2)
    """

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]):
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[T_co]:
        chosen = [self.indices[i] for i in indices]
        many = getattr(self.dataset, "__getitems__", None)
        return many(chosen) if many is not None else [self.dataset[i] for i in chosen]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def get_batch(self) -> BatchGetter | None:
        """The whole data set's fast path, or None where it has none."""
        whole = batch_getter(self.dataset)
        if whole is None:
            return None
        return lambda indices, generators: whole([self.indices[i] for i in indices], generators)


class ConcatDataset(Dataset[T_co]):
    """Several map-style data sets one after the other; ``cumulative_sizes`` says where each ends.

    Raises
    ------
    ValueError : no data sets. TypeError : one of them is an IterableDataset.

    >>> both = ConcatDataset(["abc", "xy"])
    >>> both[3], both[-1], both.cumulative_sizes
    ('x', 'y', [3, 5])
    """

    def __init__(self, datasets: Iterable[Dataset[T_co]]):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets: expected at least one, got none")
        for position, dataset in enumerate(self.datasets):
            if isinstance(dataset, IterableDataset):
                raise TypeError(f"datasets[{position}]: an IterableDataset has no indices and cannot be concatenated")
        self.cumulative_sizes = list(itertools.accumulate(len(dataset) for dataset in self.datasets))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"index {index} is outside a data set of {n} samples")
        index %= n
        which = bisect.bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - before]


def random_split(
    dataset: Dataset[T_co], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[T_co]]:
    """Cut a data set at random into parts that do not overlap.

    Parameters
    ----------
    dataset : map-style.
    lengths : sizes that add up to ``len(dataset)``; or fractions that add up to 1, of which each part gets
        floor(n * fraction) samples, and what is left over goes one each to the first parts.
    generator : decides who goes where; None draws from the default generator.

    Raises
    ------
    ValueError : the lengths do not add up, or a fraction is outside 0..1.

    >>> [len(part) for part in random_split(range(10), [0.5, 0.25, 0.25])]
    [6, 2, 2]
    """
    n = len(dataset)  # type: ignore[arg-type]
    total = math.fsum(lengths)
    # As in torch, the sum tells the two kinds apart, so [1] is one part with everything.
    if math.isclose(total, 1) and total <= 1:
        sizes = []
        for position, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"lengths[{position}]: expected a fraction between 0 and 1, got {fraction}")
            sizes.append(math.floor(n * fraction))
        for position in range(n - sum(sizes)):
            sizes[position % len(sizes)] += 1
        for position, size in enumerate(sizes):
            if size == 0:
                warnings.warn(
                    f"Length of split at index {position} is 0. This might result in an empty dataset.", stacklevel=2
                )
    else:
        if not all(isinstance(length, (int, np.integer)) for length in lengths):
            raise ValueError(f"lengths: expected sizes that add up to {n} or fractions that add up to 1, got {lengths}")
        sizes = [int(length) for length in lengths]
    if sum(sizes) != n or any(size < 0 for size in sizes):
        raise ValueError(
            f"lengths: Sum of input lengths does not equal the length of the input dataset! "
            f"Expected sizes of at least 0 that add up to {n}, got {lengths}"
        )
    order = (generator or mc_random.default_generator).permutation(n).tolist()
    ends = itertools.accumulate(sizes)
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def batch_getter(dataset: Any) -> BatchGetter | None:
    """``dataset.get_batch`` if it may stand for ``dataset[i]``: not when a subclass has changed what an item is."""
    classes = type(dataset).__mro__
    has_batch = next((i for i, cls in enumerate(classes) if "get_batch" in vars(cls)), None)
    has_item = next((i for i, cls in enumerate(classes) if "__getitem__" in vars(cls)), len(classes))
    if has_batch is None or has_batch > has_item:
        return None
    return dataset.get_batch


def as_index_array(indices: Sequence[Any]) -> np.ndarray:
    """Indices as (k,) int64. Raises TypeError for what is not a whole number."""
    return np.fromiter((operator.index(i) for i in indices), dtype=np.int64, count=len(indices))


def gather(tensor: Tensor, where: np.ndarray) -> Tensor:
    """``tensor[where]`` for a tensor that needs no gradient: one copy, no graph."""
    return Tensor(np.take(tensor._array, where, axis=0))
