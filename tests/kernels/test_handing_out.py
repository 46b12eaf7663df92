"""Pieces of work that go to the thread that is free: each is done once, whoever does it."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn_kernels.cpu.handing_out import handed_out, take
from minicnn_kernels.cpu.jit import jit
from minicnn_kernels.cpu.tall_product import TILES, _group_starts
from minicnn_kernels.launch import run
from minicnn_kernels.threads import get_num_threads, set_num_threads


@jit
def _count(start, stop, counter, times):
    item = take(counter)
    while item < times.size:
        times[item] += 1
        item = take(counter)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_piece_is_done_once_a_run(threads):
    before, times = get_num_threads(), np.zeros(1000, np.int64)
    set_num_threads(threads)
    try:
        launches = handed_out(_count, times.size, times)
        assert len(launches[-1].chunks) == threads
        for runs in (1, 2, 3):
            run(launches)
            np.testing.assert_array_equal(times, runs)
    finally:
        set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2, 16])
@pytest.mark.parametrize("tiles", [1, 8, 9, 113, 1000])
def test_groups_of_rows(tiles, threads):
    """They cover all tiles, none has more than it may, and of several threads' the last are small."""
    sizes = np.diff(_group_starts(tiles, threads))
    assert sizes.sum() == tiles
    assert 1 <= sizes.min() <= sizes.max() <= TILES
    if threads == 1:
        assert sizes.max() - sizes.min() <= 1
    else:
        assert sizes[-1] <= 2
        assert (np.diff(sizes) <= 0).all()
