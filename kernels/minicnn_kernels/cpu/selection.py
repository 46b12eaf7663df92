"""Selection without sorting the whole row: quickselect, a row for each step, rows shared out among the threads.

All of these move places about, never elements. ``topk_forward`` takes the steps that the C++ library's ``nth_element``,
``partial_sort`` and ``sort`` take, and ``kthvalue_forward`` those of Hoare's "find" with the median of three as its pivot
(Numerical Recipes, section 8.5): of equal elements those come out, and in that order, that come out of PyTorch.

A row's places are ``order[first:last]``; an element "comes before" another where it is to be nearer to the front.
"""

import math

import numpy as np

from ..threads import parallel_for
from .jit import jit, jit_allocating, jit_part

GRAIN = 1 << 12  # elements of all rows below which another thread does not pay
HEAP_FROM = 64  # with so many times fewer than all to be found, a heap of them is quicker
SMALL = 16  # elements up to which insertion sorts a part


def topk_forward(x: np.ndarray, k: int, largest: bool, ordered: bool) -> np.ndarray:
    """x (rows, columns) floating point or int64 -> the places (rows, k) of the k largest or smallest elements of each row.

    ``ordered``: the first is the most extreme. Otherwise in any order.
    """
    rows, columns = x.shape
    out = np.empty((rows, k), np.int64)
    if out.size:
        grain = max(1, GRAIN // columns)
        parallel_for(_topk, rows, np.ascontiguousarray(x), bool(largest), bool(ordered), out, grain=grain)
    return out


def kthvalue_forward(x: np.ndarray, k: int) -> np.ndarray:
    """x (rows, columns) floating point or int64 -> the place (rows,) of the k-th smallest element of each row, k from 1."""
    out = np.empty(x.shape[0], np.int64)
    parallel_for(_kth, x.shape[0], np.ascontiguousarray(x), k - 1, out, grain=max(1, GRAIN // max(1, x.shape[1])))
    return out


@jit_allocating
def _topk(start, stop, x, largest, ordered, out):
    k, n = out.shape[1], x.shape[1]
    order = np.empty(n, np.int64)
    for i in range(start, stop):
        row = x[i]
        for j in range(n):
            order[j] = j
        if k * HEAP_FROM <= n:
            _heap_select(row, largest, order, 0, k, n)
            for last in range(k - 1, 0, -1):
                _pop(row, largest, order, 0, last, last)
        else:
            _select(row, largest, order, 0, k - 1, n)
            if ordered:
                _sort(row, largest, order, 0, k - 1)
        for j in range(k):
            out[i, j] = order[j]


@jit_part
def _before(row, largest, a, b):
    """Whether element a comes before element b. Where largest elements come first, NaN does; otherwise it comes last."""
    x, y = row[a], row[b]
    if largest:
        return x > y or (x != x and y == y)
    return x < y or (y != y and x == x)


@jit_part
def _swap(order, i, j):
    kept = order[i]
    order[i] = order[j]
    order[j] = kept


# ---- a heap whose root is the element that comes last


@jit_part
def _sift(row, largest, order, first, hole, length, item):
    """Let the hole sink to the bottom, always to the child that comes later, then let the item rise from there."""
    top, child = hole, hole
    while child < (length - 1) // 2:
        child = 2 * (child + 1)
        if _before(row, largest, order[first + child], order[first + child - 1]):
            child -= 1
        order[first + hole] = order[first + child]
        hole = child
    if length % 2 == 0 and child == (length - 2) // 2:
        child = 2 * (child + 1)
        order[first + hole] = order[first + child - 1]
        hole = child - 1
    parent = (hole - 1) // 2
    while hole > top and _before(row, largest, order[first + parent], item):
        order[first + hole] = order[first + parent]
        hole = parent
        parent = (hole - 1) // 2
    order[first + hole] = item


@jit
def _pop(row, largest, order, first, last, place):
    """Move the root of the heap first:last to a place, and what was there into the heap."""
    item = order[place]
    order[place] = order[first]
    _sift(row, largest, order, first, 0, last - first, item)


@jit
def _heap_select(row, largest, order, first, middle, last):
    """Bring those that come before all others to first:middle, as a heap."""
    length = middle - first
    for parent in range((length - 2) // 2, -1, -1):
        _sift(row, largest, order, first, parent, length, order[first + parent])
    for i in range(middle, last):
        if _before(row, largest, order[i], order[first]):
            _pop(row, largest, order, first, middle, i)


# ---- parts on either side of a pivot


@jit_part
def _partition(row, largest, order, first, last):
    """The median of three becomes the pivot, at first. Returns where the part begins that does not come before it."""
    a, b, c = first + 1, first + (last - first) // 2, last - 1
    if _before(row, largest, order[a], order[b]):
        if _before(row, largest, order[b], order[c]):
            _swap(order, first, b)
        elif _before(row, largest, order[a], order[c]):
            _swap(order, first, c)
        else:
            _swap(order, first, a)
    elif _before(row, largest, order[a], order[c]):
        _swap(order, first, a)
    elif _before(row, largest, order[b], order[c]):
        _swap(order, first, c)
    else:
        _swap(order, first, b)
    pivot, left, right = order[first], first + 1, last
    while True:
        while _before(row, largest, order[left], pivot):
            left += 1
        right -= 1
        while _before(row, largest, pivot, order[right]):
            right -= 1
        if left >= right:
            return left
        _swap(order, left, right)
        left += 1


@jit_part
def _insertion_sort(row, largest, order, first, last):
    for i in range(first + 1, last):
        item = order[i]
        j = i
        while j > first and _before(row, largest, item, order[j - 1]):
            order[j] = order[j - 1]
            j -= 1
        order[j] = item


@jit_part
def _select(row, largest, order, first, nth, last):
    """Bring the element that belongs there to place nth, and what comes before it to its left (introselect, Musser 1997)."""
    depth = 2 * int(math.log2(last - first))
    while last - first > 3:
        if depth == 0:  # the pivots were bad ones: a heap is never worse than n log n
            _heap_select(row, largest, order, first, nth + 1, last)
            _swap(order, first, nth)
            return
        depth -= 1
        cut = _partition(row, largest, order, first, last)
        if cut <= nth:
            first = cut
        else:
            last = cut
    _insertion_sort(row, largest, order, first, last)


@jit_allocating
def _sort(row, largest, order, first, last):
    """Sort order[first:last] (introsort): parts down to a small size, then insertion over all."""
    if last - first < 2:
        return
    # Parts still to be done, the one begun last first: first, last, how deep it may still be parted.
    parts = np.empty((128, 3), np.int64)
    parts[0, 0], parts[0, 1], parts[0, 2] = first, last, 2 * int(math.log2(last - first))
    count = 1
    while count:
        count -= 1
        left, right, depth = parts[count, 0], parts[count, 1], parts[count, 2]
        while right - left > SMALL:
            if depth == 0:
                _heap_select(row, largest, order, left, right, right)
                for end in range(right - 1, left, -1):
                    _pop(row, largest, order, left, end, end)
                break
            depth -= 1
            cut = _partition(row, largest, order, left, right)
            parts[count, 0], parts[count, 1], parts[count, 2] = left, cut, depth
            count += 1
            left = cut
    _insertion_sort(row, largest, order, first, last)


# ---- the k-th smallest


@jit_allocating
def _kth(start, stop, x, k, out):
    n = x.shape[1]
    order = np.empty(n, np.int64)
    for i in range(start, stop):
        row = x[i]
        for j in range(n):
            order[j] = j
        _find(row, order, k)
        out[i] = order[k]


@jit_part
def _find(row, order, k):
    """Bring the k-th smallest element (from 0) to its place."""
    low, high = 0, order.size - 1
    while high > low + 1:
        _swap(order, low + (high - low) // 2, low + 1)
        # order[low + 1] <= order[low] <= order[high]: the pivot is at low, and the others stop the loops below
        if _before(row, True, order[low + 1], order[high]):
            _swap(order, low + 1, high)
        if _before(row, True, order[low], order[high]):
            _swap(order, low, high)
        if _before(row, True, order[low + 1], order[low]):
            _swap(order, low + 1, low)
        i, j, pivot = low + 1, high, order[low]
        while True:
            i += 1
            while _before(row, True, pivot, order[i]):
                i += 1
            j -= 1
            while _before(row, True, order[j], pivot):
                j -= 1
            if j < i:
                break
            _swap(order, i, j)
        _swap(order, low, j)
        if j <= k:
            low = i
        if j >= k:
            high = j - 1
    if high == low + 1 and _before(row, True, order[low], order[high]):
        _swap(order, low, high)
