"""How many threads kernels use, and who runs on them.

A kernel that is worth it splits its work into contiguous chunks and calls ``parallel_for``: the caller computes the
first chunk itself, the others go to a persistent pool of daemon threads (handing over takes 10 to 20 microseconds where
the last region is not long ago, as in a training step; the compiled loops release the interpreter lock). The split depends
only on the number of items, the grain and the number of threads, never on timing: for one thread count results are bitwise
repeatable. (Pieces whose numbers are the same whoever computes them may go to who is free: ``cpu/handing_out.py``.)

One region runs at a time. When a second Python thread comes while the pool is busy, it computes all of its chunks
itself, the same chunks in the same order: the same bits, and at most one thread of work for each Python thread that calls
besides those that were asked for.
"""

import operator
import os
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np

MAX_WORKERS = 64  # of those that wait awake; more would look at each other's work for longer than it takes
TRIES = (
    1 << 13
)  # looks and pauses before going to sleep: about 100 microseconds on x86, less without a pause instruction
GRACE = 1 << 7  # pauses that a worker leaves its sender to call its own kernel, which lets go of the interpreter lock

Chunk = tuple[int, int]


def get_num_threads() -> int:
    """Number of threads a kernel may use: what was set, else ``MINICNN_NUM_THREADS``, else the cores at hand."""
    return _num_threads or _default_num_threads()


def set_num_threads(num: int) -> None:
    """Let kernels use at most `num` threads, the calling one included.

    Raises
    ------
    TypeError
        If `num` is not an integer.
    ValueError
        If it is less than 1.
    """
    global _num_threads
    _num_threads = _checked_count(num, "set_num_threads(num)")


def split(n_items: int, grain: int = 1) -> list[Chunk]:
    """Cut the items 0 .. n_items - 1 into one contiguous chunk a thread, none of much less than `grain` items.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(3)
    >>> split(10), split(10, grain=5), split(0)
    ([(0, 3), (3, 6), (6, 10)], [(0, 5), (5, 10)], [])
    >>> set_num_threads(before)
    """
    return [*_split(n_items, grain, get_num_threads())]


@lru_cache(maxsize=1024)
def _split(n_items: int, grain: int, n_threads: int) -> tuple[Chunk, ...]:
    n_chunks = min(n_threads, -(-n_items // grain))
    return tuple((i * n_items // n_chunks, (i + 1) * n_items // n_chunks) for i in range(n_chunks))


def parallel_for(fn: Callable[..., Any], n_items: int, *args: Any, grain: int = 1) -> None:
    """Call ``fn(start, stop, *args)`` for chunks that cover 0 .. n_items - 1, at most one a thread, and wait for all.

    `grain` is the number of items below which a thread of its own does not pay. What a chunk raises is raised here.
    """
    if n_items > 0:
        _run(fn, _split(n_items, grain, get_num_threads()), args)


def parallel_chunks(fn: Callable[..., Any], chunks: Sequence[Chunk], *args: Any) -> None:
    """Call ``fn(index, start, stop, *args)`` for each of `chunks` (from ``split``): for one accumulator a chunk."""
    _run(fn, [(index, *chunk) for index, chunk in enumerate(chunks)], args)


def run_chunks(fn: Callable[..., Any], chunks: Sequence[Chunk], args: tuple[Any, ...]) -> None:
    """Call ``fn(start, stop, *args)`` for each of `chunks`: ``parallel_for`` with a split that was made before."""
    _run(fn, chunks, args)


def _run(fn: Callable[..., Any], chunks: Sequence[tuple[int, ...]], args: tuple[Any, ...]) -> None:
    if len(chunks) < 2 or not _pool.busy.acquire(blocking=False):
        for chunk in chunks:
            fn(*chunk, *args)
        return
    pool = _pool
    try:
        pool.run(fn, chunks, args)
    finally:
        pool.busy.release()


class _Pool:
    """Daemon threads that wait, each at a queue of its own; before they go to sleep there, they look for work a while."""

    def __init__(self) -> None:
        self.busy = threading.Lock()  # held for the whole of a region
        self.inboxes: list[SimpleQueue] = []
        self.board: _Board | None = None

    def run(self, fn: Callable[..., Any], chunks: Sequence[tuple[int, ...]], args: tuple[Any, ...]) -> None:
        others = len(chunks) - 1
        while len(self.inboxes) < others:
            if self.board is None:
                self.board = _Board()
            inbox: SimpleQueue = SimpleQueue()
            arguments = (inbox, self.board, len(self.inboxes))
            threading.Thread(target=_work, args=arguments, name="minicnn-worker", daemon=True).start()
            self.inboxes.append(inbox)
        board = self.board
        assert board is not None
        finished: list[BaseException | None] = []
        signal: SimpleQueue = SimpleQueue()
        board.number += 1
        sent = 0
        error: BaseException | None = None
        try:
            for inbox, chunk in zip(self.inboxes, chunks[1:], strict=False):
                inbox.put((fn, chunk, args, finished, signal, board.number))
                sent += 1
            board.send(others)
            fn(*chunks[0], *args)
            board.await_done(others)
        except BaseException as own:
            error = own
        # Whatever happens here (Ctrl-C included), wait: the workers write into the caller's arrays. A worker first
        # appends to `finished`, then signals, so a signal that an interrupt swallowed is not missed.
        while len(finished) < sent:
            try:
                signal.get()
            except BaseException as interrupt:
                error = interrupt
        error = error or next((e for e in finished if e is not None), None)
        if error is not None:
            raise error


class Waiting(Protocol):
    """How to wait awake; ``cpu/spinning.py`` brings the compiled functions."""

    APART: int

    def send_work(self, work: np.ndarray, count: int, number: int) -> None: ...
    def await_work(self, work: np.ndarray, done: np.ndarray, at: int, number: int, tries: int, grace: int) -> None: ...
    def await_done(self, done: np.ndarray, count: int, number: int, tries: int) -> None: ...


def wait_awake(waiting: Waiting) -> None:
    """Let the threads of the pool look for work with these functions. Without, everybody sleeps at the queues."""
    global _waiting
    _waiting = waiting


class _Board:
    """Where the number of the last job stands, for each worker: sent to it, and done by it."""

    def __init__(self) -> None:
        self.number = 0
        self.waiting = _waiting
        apart = self.waiting.APART if self.waiting else 1
        self.work, self.done = (np.zeros(MAX_WORKERS * apart, np.int64) for _ in range(2))
        if (
            self.waiting
        ):  # compiled or loaded here, where an error reaches the caller; in a worker nobody would hear of it
            self.waiting.send_work(self.work, 0, 0)
            self.waiting.await_work(self.work, self.done, 0, 0, 0, 0)
            self.waiting.await_done(self.done, 0, 0, 0)

    def send(self, workers: int) -> None:
        if self.waiting and workers <= MAX_WORKERS:
            self.waiting.send_work(self.work, workers, self.number)

    def await_done(self, workers: int) -> None:
        if self.waiting and workers <= MAX_WORKERS:
            self.waiting.await_done(self.done, workers, self.number, TRIES)

    def await_work(self, worker: int, number: int) -> None:
        if self.waiting and worker < MAX_WORKERS:
            self.waiting.await_work(self.work, self.done, worker * self.waiting.APART, number, TRIES, GRACE)


def _work(inbox: SimpleQueue, board: _Board, worker: int) -> None:
    number = 0
    while True:
        board.await_work(worker, number)
        fn, chunk, args, finished, signal, number = inbox.get()
        error = None
        try:
            fn(*chunk, *args)
        except BaseException as raised:
            error = raised
        del fn, args  # before saying so: the caller may count on being the only one who still holds these arrays
        finished.append(error)
        signal.put(None)
        del finished, signal, error


def _checked_count(n: Any, who: str) -> int:
    try:
        count = operator.index(n)
    except TypeError:
        raise TypeError(f"{who} must be an integer of at least 1, got {n!r}") from None
    if count < 1:
        raise ValueError(f"{who} must be at least 1, got {count}")
    return count


def _default_num_threads() -> int:
    """Read the environment at the first use, and remember."""
    global _num_threads
    setting = os.environ.get("MINICNN_NUM_THREADS")
    if setting:
        name = "environment variable MINICNN_NUM_THREADS"
        try:
            _num_threads = _checked_count(int(setting), name)
        except ValueError:
            raise ValueError(f"{name} must be an integer of at least 1, got {setting!r}") from None
    elif hasattr(os, "sched_getaffinity"):
        _num_threads = len(os.sched_getaffinity(0))
    else:
        _num_threads = os.cpu_count() or 1
    return _num_threads


def _forget_pool() -> None:
    """After a fork: threads do not survive it, and the lock may have been held by one of them."""
    global _pool
    _pool = _Pool()


_num_threads = 0  # not decided yet
_waiting: Waiting | None = None
_pool = _Pool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)
