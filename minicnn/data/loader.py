"""DataLoader: batches of a data set, in a repeatable order, fetched ahead by background threads.

Three parts meet here. A sampler yields lists of indices, always in the consumer's thread; `fetch.py` turns one list
into one batch, in any thread; `workers.py` keeps several such promises on the way and hands them over in order. All
random numbers of an epoch come from one 64-bit seed (`randomness.py`), so that (seed, number of batches handed over)
is all there is to remember of an epoch: see :meth:`DataLoader.state_dict`.
"""

from __future__ import annotations

import contextvars
import functools
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from minicnn.random import Generator

from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import END, TOO_SHORT, IterableFetcher, Key, MapFetcher
from .randomness import ORDER_STREAM, draw_epoch_seed, drawing_from, index_key, keyed_generator
from .sampler import BatchSampler, RandomSampler, SequentialSampler, may_repeat
from .workers import Promise, WorkerPool

_FIXED = frozenset({"dataset", "batch_size", "sampler", "batch_sampler", "drop_last", "persistent_workers"})


@dataclass
class _Progress:
    """How far an epoch has come: what `state_dict` returns."""

    epoch_seed: int | None = None
    position: int = 0


class DataLoader:
    """Iterates over a data set in batches; torch.utils.data.DataLoader's interface.

    Each ``iter(loader)`` draws one 64-bit epoch seed from ``generator``; the order and every random transform are a
    pure function of it and of the sample's index. So the batches do not depend on ``num_workers``, and an epoch that
    was interrupted continues exactly: see `state_dict`.

    Parameters
    ----------
    dataset : map-style (``dataset[i]``, ``len(dataset)``) or an `IterableDataset`.
    batch_size : samples a batch; None hands over single samples as they are (arrays become tensors).
    shuffle : a new random order each epoch.
    sampler : yields the indices instead; excludes shuffle.
    batch_sampler : yields lists of indices; excludes batch_size, shuffle, sampler and drop_last.
    num_workers : how many background *threads* fetch ahead; 0 fetches when asked. NumPy and Pillow release Python's
        lock while they work, so threads decode and resize in parallel; Python code in a transform does not gain. An
        iterable data set is read by one thread, whatever the number.
    collate_fn : list of samples -> batch; None means `default_collate`.
    pin_memory : accepted, and without effect: there is no device whose copies it would speed up.
    drop_last : leave out a last batch that is not full.
    timeout : seconds to wait for a worker's batch; 0 waits for ever.
    worker_init_fn : called with 0 .. num_workers - 1 in each thread at its start.
    generator : where epoch seeds are drawn from; None is the default generator, seeded by ``mc.manual_seed``.
    prefetch_factor : batches on their way, a worker; 2 unless given.
    persistent_workers : keep the threads from one epoch to the next.

    Raises
    ------
    ValueError : options that exclude each other or are out of range, each named; shuffling an empty data set.

    An error while a sample is fetched is raised where the batch is consumed, as it was, with a note that names the
    sample.

    >>> import minicnn as mc
    >>> from minicnn.data import TensorDataset
    >>> loader = DataLoader(TensorDataset(mc.arange(5)), batch_size=2)
    >>> [batch.tolist() for (batch,) in loader], len(loader)
    ([[0, 1], [2, 3], [4]], 3)
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = False,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        *,
        generator: Generator | None = None,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
    ):
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        self._iterable = isinstance(dataset, IterableDataset)
        _check_exclusive(self._iterable, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size = None
        elif not self._iterable:
            if sampler is None:
                sampler = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
            if batch_size is not None:
                batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        elif batch_size is not None:
            BatchSampler((), batch_size, drop_last)  # for its checks alone
        batched = batch_size is not None or batch_sampler is not None

        self.dataset = dataset
        self.batch_size = batch_size
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.prefetch_factor = prefetch_factor if prefetch_factor is not None or num_workers == 0 else 2
        self.persistent_workers = persistent_workers
        self._progress = _Progress()
        self._resume: _Progress | None = None
        self._pool: WorkerPool | None = None
        self._ready = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and "_ready" in self.__dict__:
            raise ValueError(
                f"{name} attribute should not be set after DataLoader is initialized; make a new DataLoader"
            )
        super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Any]:
        resume, self._resume = self._resume, None
        if resume is None:
            resume = _Progress(draw_epoch_seed(self.generator))
        self._progress = resume
        return _Epoch(self, resume)

    def __len__(self) -> int:
        if not self._iterable:
            return len(self.batch_sampler if self.batch_sampler is not None else self.sampler)  # type: ignore[arg-type]
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def state_dict(self) -> dict[str, int | None]:
        """Where the epoch that was begun last stands: ``{"epoch_seed": int | None, "position": int}``.

        ``position`` counts the batches handed over so far. Between epochs the seed is None and the position 0. Batches
        that workers have fetched ahead do not count: they are fetched again.
        """
        progress = self._resume or self._progress
        return {"epoch_seed": progress.epoch_seed, "position": progress.position}

    def load_state_dict(self, state: dict[str, int | None]) -> None:
        """Make the next ``iter()`` continue the epoch that ``state`` describes, without drawing a new seed.

        The data set, the batch size and the sampler must be those of the saved loader. A sampler with a generator or a
        state of its own must be put back where it was at the *beginning* of that epoch by the caller.

        Raises
        ------
        ValueError : not what `state_dict` returns. A position beyond the loader's end is an error of the next
            iteration.

        >>> import minicnn as mc
        >>> loader = DataLoader(range(6), batch_size=2, shuffle=True)
        >>> first = next(batches := iter(loader))
        >>> state = loader.state_dict()
        >>> loader.load_state_dict(state)
        >>> [b.tolist() for b in loader] == [b.tolist() for b in batches]
        True
        """
        seed, position = (state.get("epoch_seed"), state.get("position")) if isinstance(state, dict) else (None, None)
        if (
            not isinstance(position, int)
            or position < 0
            or not (position == 0 if seed is None else isinstance(seed, int) and 0 <= seed < 1 << 64)
        ):
            raise ValueError(f"state: expected what DataLoader.state_dict() returns, got {state!r}")
        self._progress = _Progress(seed, position)
        self._resume = None if seed is None else _Progress(seed, position)

    def _worker_pool(self) -> tuple[WorkerPool | None, bool]:
        """The threads of a new epoch, and whether they go home at its end."""
        if self.num_workers == 0:
            return None, False
        n = 1 if self._iterable else self.num_workers
        make = functools.partial(WorkerPool, n, self.worker_init_fn, self.dataset, self._iterable)
        if not self.persistent_workers:
            return make(), True
        if self._pool is None or self._pool.pid != os.getpid():  # threads do not survive a fork
            self._pool = make()
            weakref.finalize(self, self._pool.close).atexit = False
        return self._pool, False

    def _work(self, progress: _Progress) -> Iterator[Callable[[], Any]]:
        """The fetches of an epoch, in order, from where ``progress`` stands; made in the consumer's thread."""
        seed, skip = progress.epoch_seed, progress.position
        assert seed is not None
        if self._iterable:
            reader = IterableFetcher(self.dataset, self.collate_fn, self.batch_size, self.drop_last)
            for number in range(skip, 1 << 63):
                yield functools.partial(reader.fetch, seed, number, skip)
            return
        batched = self.batch_sampler is not None
        fetcher = MapFetcher(self.dataset, self.collate_fn, batched)
        number = -1
        for number, keys in enumerate(_keys(self.batch_sampler if batched else self.sampler, seed, batched)):
            if number >= skip:
                yield functools.partial(fetcher.fetch, seed, number, keys)
        if number + 1 < skip:
            raise ValueError(TOO_SHORT.format(skip, number + 1))


class _Epoch:
    """One pass over the data: what ``iter(loader)`` returns."""

    def __init__(self, loader: DataLoader, progress: _Progress):
        self._progress = progress
        self._todo = loader._work(progress)
        self._timeout = loader.timeout
        self._pool, self._own_pool = loader._worker_pool()
        self._pid = os.getpid()
        self._promises: deque[Promise] = deque()
        if self._pool is not None:
            self._ahead = (loader.prefetch_factor or 1) * len(self._pool.threads)
            self._context = contextvars.copy_context()  # the back end is the consumer's choice, in workers too
            self._dismiss = weakref.finalize(self, _dismiss, self._promises, self._pool if self._own_pool else None)
            self._dismiss.atexit = False
            self._fill()

    def __iter__(self) -> _Epoch:
        return self

    def __next__(self) -> Any:
        batch = next(self._todo, lambda: END)() if self._pool is None else self._from_workers(self._pool)
        if batch is END:
            self._finish()
            raise StopIteration
        self._progress.position += 1
        return batch

    def _from_workers(self, pool: WorkerPool) -> Any:
        if os.getpid() != self._pid:
            raise RuntimeError(
                "DataLoader: this iteration was begun before a fork, and its threads stayed behind; begin a new one"
            )
        if not self._promises:
            return END
        # Not taken out before it is kept: after a Ctrl-C the same batch is next.
        if not self._promises[0].wait(self._timeout or None):
            raise RuntimeError(
                f"DataLoader timed out after {self._timeout} seconds waiting for batch {self._progress.position}"
            )
        promise = self._promises.popleft()
        try:
            return promise.result()
        finally:
            self._fill()

    def _fill(self) -> None:
        """Keep enough promises on the way."""
        assert self._pool is not None
        while len(self._promises) < self._ahead and (work := next(self._todo, None)) is not None:
            self._promises.append(self._pool.submit(work, self._context))

    def _finish(self) -> None:
        self._progress.epoch_seed, self._progress.position = None, 0
        self._todo = iter(())
        if self._pool is not None:
            self._dismiss()
            if self._own_pool:
                for thread in self._pool.threads:
                    thread.join()


def _dismiss(promises: deque[Promise], pool: WorkerPool | None) -> None:
    """Called once, when an epoch ends, or when its iterator is dropped halfway."""
    for promise in promises:
        promise.cancel()
    promises.clear()
    if pool is not None:
        pool.close()


def _keys(sampler: Any, epoch_seed: int, batched: bool) -> Iterator[list[Key]]:
    """The epoch's samples, batch by batch."""
    order = keyed_generator(epoch_seed, ORDER_STREAM)
    seen: dict[int, int] | None = {} if may_repeat(sampler) else None
    with drawing_from(lambda: order):
        indices = iter(sampler)
    while True:
        with drawing_from(lambda: order):  # closed before each yield: the consumer must not see it
            try:
                drawn = next(indices)
            except StopIteration:
                return
        keys = []
        for index in drawn if batched else [drawn]:
            occurrence = 0
            if seen is not None:
                key = index_key(index)
                occurrence = seen.get(key, 0)
                seen[key] = occurrence + 1
            keys.append((index, occurrence))
        yield keys


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if not isinstance(num_workers, int) or num_workers < 0:
        raise ValueError(
            f"num_workers option should be a non-negative integer, got {num_workers!r}; 0 fetches in the main thread"
        )
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, got {timeout}")
    if num_workers == 0:
        for name, value in (("prefetch_factor", prefetch_factor), ("timeout", timeout or None)):
            if value is not None:
                raise ValueError(f"{name} option needs num_workers > 0: without workers nothing is fetched ahead")
        if persistent_workers:
            raise ValueError("persistent_workers option needs num_workers > 0")
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ValueError(f"prefetch_factor option should be at least 1, got {prefetch_factor}")


def _check_exclusive(
    iterable: bool, batch_size: int | None, shuffle: bool | None, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    if iterable:
        for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
            if value is not None:
                raise ValueError(
                    f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}; "
                    "an iterable data set decides its own order"
                )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
    if batch_size is None and batch_sampler is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
