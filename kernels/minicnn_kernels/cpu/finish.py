"""What follows a product while its result is still in the first-level cache: another array added, an activation.

The activations are those of ``activation.py``, by number, because a compiled loop takes no names; and on whole vectors
(``simd.py``), twice as wide as those that a compiler chooses by itself. exp and the normal distribution are those of
``elementary.py``, save that infinities need not come out: the arguments are clamped to where all powers of two are normal
numbers. A NaN stays one.
"""

import numpy as np

from .elementary import CONSTANTS
from .jit import jit_part
from .simd import VECTOR_BYTES, floor, load, load_part, number, reciprocal, store, store_part, times_power_of_two, where

# Their places are the numbers that ``finish`` knows them by.
ACTIVATIONS = ("", "relu", "hardtanh", "hardswish", "silu", "gelu", "hardsigmoid", "sigmoid")
LARGEST = 87.0  # e^87 and its reciprocal are normal numbers of either type


def finishing(activation: str, numbers: tuple[float, ...], dtype: np.dtype) -> tuple:
    """What ``finish`` is told about an activation and its numbers."""
    a, b = (*numbers, 0.0, 0.0)[:2]
    return ACTIVATIONS.index(activation), dtype.type(a), dtype.type(b), dtype.type(LARGEST), CONSTANTS[dtype]


@jit_part
def finish(out, at, n, other, other_at, how):
    """out[at : at + n] = f(out + other); `other` may be empty."""
    if how[0] == 0 and other.size == 0:
        return
    lanes = VECTOR_BYTES // out.itemsize
    whole = n // lanes * lanes
    for i in range(0, whole, lanes):
        y = load(out, at + i)
        if other.size > 0:
            y = y + load(other, other_at + i)
        store(out, at + i, _activated(y, how))
    if whole < n:
        y = load_part(out, at + whole, n - whole)
        if other.size > 0:
            y = y + load_part(other, other_at + whole, n - whole)
        store_part(out, at + whole, n - whole, _activated(y, how))


@jit_part
def finish_rows(out, at, row, n_rows, n, how):
    """The same for n numbers, whole vectors, of rows that lie `row` apart. (One loop of two: for each short row by itself
    the polynomials' coefficients would be spread over vectors anew, which takes as long as GELU.)"""
    lanes = VECTOR_BYTES // out.itemsize
    for j in range(0, n, lanes):
        for i in range(n_rows):
            place = at + i * row + j
            store(out, place, _activated(load(out, place), how))


def _inlined(function):
    """Without leave to reorder sums: the reduction of exp's argument depends on it."""
    return jit_part(function, fastmath={"contract"}, forceinline=True)


@_inlined
def _between(y, low, high):
    """A NaN is neither, and stays."""
    y = where(number(low, y) > y, number(low, y), y)
    return where(y > number(high, y), number(high, y), y)


@_inlined
def bounded_exp(x, k):
    """e^x for -87 <= x <= 87."""
    n = floor(x * number(k.per_ln2, x) + number(k.half, x))
    r = (x - n * number(k.ln2_high, x)) - n * number(k.ln2_low, x)
    total = number(k.taylor[0], x)
    for coefficient in k.taylor[1:]:
        total = total * r + number(coefficient, x)
    return times_power_of_two(total, n)


@_inlined
def _sigmoid(x, largest, k):
    """Where it is below the smallest normal number it is 0: what is multiplied with numbers that small takes a processor a
    hundred cycles, and a layer of them ten times as long."""
    e = bounded_exp(number(k.zero, x) - _between(x, -largest, largest), k)
    return where(number(-largest, x) > x, number(k.zero, x), reciprocal(e + number(k.one, x)))


@_inlined
def _normal(x, k):
    """Phi(x), see ``elementary.normal``; beyond 13 it is 0 or 1 for float32, and nearly so for float64."""
    zero, one, four = number(k.zero, x), number(k.one, x), number(k.four, x)
    u = _between(where(zero > x, zero - x, x), k.zero, k.thirteen)
    bell = bounded_exp(zero - number(k.half, x) * u * u, k)
    t = (u - four) / (u + four)
    square = t * t
    even, odd = number(k.tail_even[0], x), number(k.tail_odd[0], x)
    for coefficient in k.tail_even[1:]:
        even = even * square + number(coefficient, x)
    for coefficient in k.tail_odd[1:]:
        odd = odd * square + number(coefficient, x)
    tail = (even + t * odd) * bell
    return where(zero > x, tail, one - tail)


@_inlined
def _activated(y, how):
    code, a, b, largest, k = how
    zero = number(k.zero, y)
    if code == 1:
        return where(zero > y, zero, y)
    if code == 2:
        return _between(y, a, b)
    if code == 3:
        return y * _between(y + number(k.three, y), k.zero, k.six) * number(k.sixth, y)
    if code == 4:
        return y * _sigmoid(y, largest, k)
    if code == 5:
        return y * _normal(y, k)
    if code == 6:
        return _between(y + number(k.three, y), k.zero, k.six) * number(k.sixth, y)
    if code == 7:
        return _sigmoid(y, largest, k)
    return y
