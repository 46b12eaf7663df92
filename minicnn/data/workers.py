"""The loader's background threads: an ordered promise for each batch, kept by whoever is free.

Threads, not processes: NumPy, Pillow and zlib let go of Python's lock while they work, nothing is pickled or copied
between processes, and nothing can be left behind by a crash. A transform that is pure Python gains nothing from them.

The threads hold the queue and nothing else, so a loader's iterator that is dropped halfway is collected at once, and
its finaliser sends them home. Read next: `loader.py`.
"""

from __future__ import annotations

import contextvars
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple


class WorkerInfo(NamedTuple):
    """What :func:`get_worker_info` tells a data set."""

    id: int
    num_workers: int
    dataset: Any


_here = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """Which worker of a `DataLoader` this is: None in the main thread, and while an `IterableDataset` is read.

    An iterable data set is read by one worker, whole: nothing needs to be divided, as torch's processes have to.

    >>> print(get_worker_info())
    None
    """
    return getattr(_here, "info", None)


class Promise:
    """A batch to come. Made by the consumer, kept by a worker."""

    def __init__(self, work: Callable[[], Any], context: contextvars.Context):
        self._work: Callable[[], Any] | None = work
        self._context = context
        self._done = threading.Event()
        self._value: Any = None
        self._error: BaseException | None = None

    def cancel(self) -> None:
        """If no worker has begun, none will."""
        self._work = None

    def keep(self, failed_start: str) -> None:
        """Called by the worker: do the work and remember what came of it; or that the worker is not fit for any."""
        work = self._work
        if work is not None:
            try:
                if failed_start:
                    raise RuntimeError(failed_start)
                self._value = self._context.run(work)
            except BaseException as error:
                self._error = error
        self._work = None
        self._done.set()

    def wait(self, timeout: float | None) -> bool:
        """True when the work is done, False after ``timeout`` seconds."""
        return self._done.wait(timeout)

    def result(self) -> Any:
        """What the work returned; what it raised is raised here."""
        if self._error is not None:
            try:
                raise self._error
            finally:
                self._error = None  # the traceback refers to this frame: break the cycle
        return self._value


class WorkerPool:
    """``n`` daemon threads that keep promises in the order they were made."""

    def __init__(self, n: int, init_fn: Callable[[int], None] | None, dataset: Any, iterable: bool):
        self.pid = os.getpid()
        self._queue: queue.SimpleQueue[Promise | None] = queue.SimpleQueue()
        self.threads = []
        for worker in range(n):
            info = None if iterable else WorkerInfo(worker, n, dataset)
            thread = threading.Thread(
                target=_work, args=(self._queue, worker, init_fn, info), name=f"minicnn-loader-{worker}", daemon=True
            )
            thread.start()
            self.threads.append(thread)

    def submit(self, work: Callable[[], Any], context: contextvars.Context) -> Promise:
        """Have ``work()`` run by a worker in a copy of ``context``."""
        promise = Promise(work, context.copy())
        self._queue.put(promise)
        return promise

    def close(self) -> None:
        """Tell the threads to go once the promises made so far are kept or cancelled. Does not wait for them."""
        for _ in self.threads:
            self._queue.put(None)


def _work(
    todo: queue.SimpleQueue[Promise | None],
    worker: int,
    init_fn: Callable[[int], None] | None,
    info: WorkerInfo | None,
) -> None:
    _here.info = info
    reason = ""
    if init_fn is not None:
        try:
            init_fn(worker)
        except BaseException as error:
            # Only its text: an error that was raised holds the frames of those it was raised to, their loader included.
            reason = f"DataLoader: worker_init_fn({worker}) failed: {type(error).__name__}: {error}"
    while (promise := todo.get()) is not None:
        promise.keep(reason)
        del promise  # a batch must not stay alive while this thread waits for the next
