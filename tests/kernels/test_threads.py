"""The thread pool: splits, errors, several Python threads, forks, and never more threads at work than asked for."""

from __future__ import annotations

import os
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import cpu, threads
from tests.helpers.kernel_cases import num_threads


@given(st.integers(0, 200), st.integers(1, 9), st.integers(1, 50))
def test_split_covers_everything_once(n_items, n, grain):
    with num_threads(n):
        chunks = threads.split(n_items, grain)
        assert chunks == threads.split(n_items, grain)
    assert [i for start, stop in chunks for i in range(start, stop)] == list(range(n_items))
    assert len(chunks) <= n
    assert len(chunks) <= -(-n_items // grain)
    assert all(stop > start for start, stop in chunks)


@pytest.mark.parametrize("bad", [0, -1])
def test_refuses_no_threads(bad):
    with pytest.raises(ValueError, match=f"must be at least 1, got {bad}"):
        threads.set_num_threads(bad)


def test_refuses_what_is_no_number():
    with pytest.raises(TypeError, match=r"must be an integer of at least 1, got 1\.5"):
        threads.set_num_threads(1.5)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_every_item_is_done_by_at_most_n_threads_at_once(n):
    """Count how many chunks run at the same time, and which threads run them."""
    lock, running, most, seen = threading.Lock(), 0, 0, set()
    done = np.zeros(40, int)

    def work(start: int, stop: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            seen.add(threading.get_ident())
        done[start:stop] += 1
        time.sleep(0.002)
        with lock:
            running -= 1

    with num_threads(n):
        for _ in range(5):
            threads.parallel_for(work, 40)
    np.testing.assert_array_equal(done, 5)
    assert most <= n
    assert threading.get_ident() in seen
    assert len(seen) <= n


def test_one_thread_never_touches_the_pool():
    before = threading.active_count()
    ran = []
    with num_threads(1):
        threads.parallel_for(lambda start, stop: ran.append((start, stop, threading.get_ident())), 10)
    assert ran == [(0, 10, threading.get_ident())]
    assert threading.active_count() == before


@pytest.mark.parametrize("where", [0, 1, 2])
def test_errors_come_through_and_the_pool_lives_on(where):
    def fail(index: int, start: int, stop: int) -> None:
        if index == where:
            raise ZeroDivisionError(f"in chunk {index}")

    with num_threads(3):
        with pytest.raises(ZeroDivisionError, match=f"in chunk {where}"):
            threads.parallel_chunks(fail, threads.split(9))
        total = np.zeros(9)
        threads.parallel_for(lambda start, stop: total[start:stop].__iadd__(1), 9)
    np.testing.assert_array_equal(total, 1)


def test_a_region_within_a_region_runs_on_its_own_thread():
    inner = []

    def outer(start: int, stop: int) -> None:
        me = threading.get_ident()
        threads.parallel_for(lambda a, b: inner.append(threading.get_ident() == me), 4)

    with num_threads(2):
        threads.parallel_for(outer, 2)
    assert inner == [True] * 4


def test_several_python_threads_get_the_same_bits():
    """While one thread holds the pool, the others compute their chunks themselves."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((200, 300)).astype(np.float32), rng.standard_normal((300, 170)).astype(np.float32)
    x = rng.standard_normal((4, 8, 20, 20)).astype(np.float32)
    weight = rng.standard_normal((16, 8, 3, 3)).astype(np.float32)
    window = (1, 1), (1, 1), (1, 1), 1
    grad_out = rng.standard_normal((4, 16, 20, 20)).astype(np.float32)

    def compute() -> list[np.ndarray]:
        return [
            cpu.matmul(a, b),
            cpu.conv_forward(x, weight, None, *window),
            cpu.conv_backward_weight(grad_out, x, weight.shape, *window),
            *cpu.batch_norm_forward_train(x, None, None, 1e-5),
        ]

    with num_threads(2):
        expected = compute()
        failures: list[BaseException] = []

        def check() -> None:
            try:
                for _ in range(20):
                    for one, other in zip(compute(), expected, strict=True):
                        np.testing.assert_array_equal(one, other)
            except BaseException as error:
                failures.append(error)

        workers = [threading.Thread(target=check) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    assert not failures


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_fork():
    """The child has none of the parent's threads; its pool starts anew. (Even if the fork happens within a region.)"""
    a = np.random.default_rng(0).standard_normal((300, 300)).astype(np.float32)
    with num_threads(2):
        expected = cpu.matmul(a, a)
        threads._pool.busy.acquire()  # as if another thread were in a region just now
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore", DeprecationWarning
                )  # Python warns of forks with threads: that is the point
                child = os.fork()
            if child == 0:
                ok = np.array_equal(cpu.matmul(a, a), expected) and threads._pool.inboxes
                os._exit(0 if ok else 1)
        finally:
            threads._pool.busy.release()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_idle_threads_hold_no_arrays():
    array = np.ones(10)
    with num_threads(2):
        threads.parallel_for(lambda start, stop, x: None, 10, array)
    assert sys.getrefcount(array) == 2  # the name, and the argument of this call
