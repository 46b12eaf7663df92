"""Selection: the reference by hand, the compiled kernels beside it, with ties, NaN, bad pivots and several threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from minicnn_kernels.threads import get_num_threads, set_num_threads


def test_by_hand():
    x = np.array([[3.0, np.nan, 1.0, 2.0], [0.0, 0.0, 0.0, -1.0]])
    assert reference.topk_forward(x, 2, True, True).tolist() == [[1, 0], [0, 1]]
    assert reference.topk_forward(x, 3, False, True).tolist() == [[2, 3, 0], [3, 0, 1]]
    assert reference.kthvalue_forward(x, 1).tolist() == [2, 3]
    assert reference.kthvalue_forward(x, 4).tolist() == [1, 2]


@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64, np.int64]))
def test_compiled_is_the_reference(data, dtype):
    """The same elements, in the same order where that is asked for; of equal ones perhaps others."""
    rows, columns = data.draw(st.integers(0, 4)), data.draw(st.integers(1, 300))
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    x = rng.integers(0, data.draw(st.sampled_from([1, 3, 50, 10**6])), (rows, columns)).astype(dtype)
    if dtype is not np.int64 and data.draw(st.booleans()):
        x[x == 1] = np.nan
    if data.draw(st.booleans()):
        x = np.asfortranarray(x)
    k = data.draw(st.integers(0, columns) | st.integers(0, min(columns, 4)))
    for largest in (True, False):
        for ordered in (True, False):
            places = cpu.topk_forward(x, k, largest, ordered)
            assert places.shape == (rows, k)
            assert all(len(set(row)) == k for row in places.tolist())
            taken = np.take_along_axis(x, places, 1)
            expected = np.take_along_axis(x, reference.topk_forward(x, k, largest, ordered), 1)
            if not ordered:
                taken, expected = np.sort(taken, 1), np.sort(expected, 1)
            np.testing.assert_array_equal(taken, expected)
    if k:
        taken = np.take_along_axis(x, cpu.kthvalue_forward(x, k)[:, None], 1)
        np.testing.assert_array_equal(taken, np.take_along_axis(x, reference.kthvalue_forward(x, k)[:, None], 1))


@pytest.mark.parametrize("k", [1, 40, 500, 999])
def test_rows_that_make_bad_pivots(k):
    """Sorted, reversed, constant, and the order that defeats a median of three: the heap takes over there."""
    n = 1000
    killer = np.empty(n)
    killer[::2], killer[1::2] = np.arange(n // 2), np.arange(n // 2, n)
    killer = np.concatenate([killer[: n // 2], killer[n // 2 :][::-1]])
    x = np.stack([np.arange(n), np.arange(n)[::-1], np.zeros(n), killer, np.arange(n) % 7]).astype(np.float64)
    for largest in (True, False):
        taken = np.take_along_axis(x, cpu.topk_forward(x, k, largest, True), 1)
        expected = np.sort(x, 1)[:, ::-1][:, :k] if largest else np.sort(x, 1)[:, :k]
        np.testing.assert_array_equal(taken, expected)
    taken = np.take_along_axis(x, cpu.kthvalue_forward(x, k)[:, None], 1)
    np.testing.assert_array_equal(taken[:, 0], np.sort(x, 1)[:, k - 1])


def test_the_heap_sorts_too():
    """Where no more parting is allowed: called directly, since pivots that bad are rare."""
    from minicnn_kernels.cpu import selection

    rng = np.random.default_rng(0)
    row = rng.integers(0, 20, 50).astype(np.float64)
    order = np.arange(50)
    selection._heap_select(row, False, order, 10, 35, 50)
    inside = sorted(row[order[10:35]].tolist())
    assert inside == sorted(row[10:].tolist())[:25]
    for end in range(34, 10, -1):
        selection._pop(row, False, order, 10, end, end)
    assert row[order[10:35]].tolist() == inside
    assert sorted(order.tolist()) == list(range(50))


def test_threads_change_nothing():
    x = np.random.default_rng(0).integers(0, 9, (300, 70)).astype(np.float32)
    before = get_num_threads()
    try:
        set_num_threads(1)
        alone = cpu.topk_forward(x, 5, True, True), cpu.kthvalue_forward(x, 9)
        set_num_threads(2)
        np.testing.assert_array_equal(cpu.topk_forward(x, 5, True, True), alone[0])
        np.testing.assert_array_equal(cpu.kthvalue_forward(x, 9), alone[1])
    finally:
        set_num_threads(before)
