"""What the tests of the kernels share: random arrays in every memory order, windows, tolerances, back ends, threads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from minicnn_kernels import threads

ORDERS = ("row-major", "channels-last", "gaps", "read-only", "unaligned", "reversed")
DTYPES = (np.float32, np.float64)


def arrange(array: np.ndarray, order: str) -> np.ndarray:
    """Equal numbers in another memory order."""
    if order == "channels-last" and array.ndim > 2:
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)
    if order == "gaps":
        wide = np.full((*array.shape[:-1], 2 * array.shape[-1] + 1), np.nan, array.dtype)
        view = wide[..., 1::2]
        view[...] = array
        return view
    if order == "reversed":
        return np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    if order == "unaligned":
        memory = np.empty(array.nbytes + 1, np.uint8)[1:]
        view = memory.view(array.dtype).reshape(array.shape) if array.size else array.copy()
        view[...] = array
        return view
    copy = np.array(array, order="C")
    copy.flags.writeable = order != "read-only"
    return copy


def normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any, order: str = "row-major") -> np.ndarray:
    """Standard normal numbers."""
    return arrange(rng.standard_normal(shape).astype(dtype), order)


def assert_close(actual: np.ndarray, expected: np.ndarray, terms: int = 1, scale: float = 4.0) -> None:
    """Equal up to rounding: sums of `terms` products of size up to about `scale`, in whatever order.

    Rounding errors of a sum add up like a random walk; 16 allows for the tail of the distribution.
    """
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    eps = float(np.finfo(expected.dtype).eps)
    np.testing.assert_allclose(actual, expected, rtol=16 * eps, atol=16 * eps * scale * math.sqrt(max(1, terms)))


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Run with n threads."""
    before = threads.get_num_threads()
    threads.set_num_threads(n)
    try:
        yield
    finally:
        threads.set_num_threads(before)


class ConvCase(NamedTuple):
    """A convolution: arrays and parameters."""

    x: np.ndarray
    weight: np.ndarray
    bias: np.ndarray | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    rng: np.random.Generator

    @property
    def window(self) -> tuple[Any, ...]:
        return self.stride, self.padding, self.dilation, self.groups


def pairs(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    """Two integers in low .. high."""
    return st.tuples(st.integers(low, high), st.integers(low, high))


def tuples(n: int, low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    """n integers in low .. high."""
    return st.tuples(*(st.integers(low, high),) * n)


@st.composite
def conv_cases(
    draw: st.DrawFn, max_channels: int = 20, max_batch: int = 3, max_size: int = 9, axes: tuple[int, ...] = (1, 2, 3)
) -> ConvCase:
    """Any convolution whose kernel fits into the padded image; along one of so many axes."""
    n_axes = draw(st.sampled_from(axes))
    max_size = min(max_size, 6) if n_axes == 3 else max_size
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype, order = draw(st.sampled_from(DTYPES)), draw(st.sampled_from(ORDERS))
    kernel, stride, dilation, padding = (draw(tuples(n_axes, *limits)) for limits in ((1, 3), (1, 3), (1, 2), (0, 3)))
    reach = [max(1, dilation[a] * (kernel[a] - 1) + 1 - 2 * padding[a]) for a in range(n_axes)]
    size = [draw(st.integers(reach[a], reach[a] + max_size - 1)) for a in range(n_axes)]
    groups = draw(st.sampled_from((1, 1, 2, 3)))
    inputs, outputs = draw(st.integers(1, max_channels)), draw(st.integers(1, max_channels))
    if draw(st.integers(0, 5)) == 0:
        inputs = outputs = 1  # with groups: depthwise
    if draw(st.integers(0, 5)) == 0:
        kernel, stride, padding = (1,) * n_axes, (1,) * n_axes, (0,) * n_axes
    x = normal(rng, (draw(st.integers(0, max_batch)), inputs * groups, *size), dtype, order)
    weight = normal(rng, (outputs * groups, inputs, *kernel), dtype, draw(st.sampled_from(ORDERS)))
    bias = normal(rng, (outputs * groups,), dtype) if draw(st.booleans()) else None
    return ConvCase(x, weight, bias, stride, padding, dilation, groups, rng)


class PoolCase(NamedTuple):
    """A pooling: a sequence, an image or a volume, and parameters."""

    x: np.ndarray
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool
    rng: np.random.Generator


@st.composite
def pool_cases(draw: st.DrawFn, max_channels: int = 20, dilated: bool = True, axes: tuple[int, ...] = (2,)) -> PoolCase:
    """Any pooling whose window fits into the padded input; often with ties, sometimes with NaN and infinities."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.sampled_from(axes))
    kernel, stride = draw(numbers(n, 1, 3)), draw(numbers(n, 1, 4))
    dilation = draw(numbers(n, 1, 2)) if dilated else (1,) * n
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    low = [max(1, d * (k - 1) + 1 - 2 * p) for k, p, d in zip(kernel, padding, dilation, strict=True)]
    size = [draw(st.integers(least, least + (8 if n < 3 else 4))) for least in low]
    x = rng.standard_normal((draw(st.integers(0, 3)), draw(st.integers(1, max_channels)), *size))
    kind = draw(st.sampled_from(("normal", "ties", "special")))
    if kind == "ties":
        x = np.round(x)
    if kind == "special" and dilated:
        x[rng.random(x.shape) < 0.2] = np.nan
        x[rng.random(x.shape) < 0.5] = -np.inf
    x = arrange(x.astype(draw(st.sampled_from(DTYPES))), draw(st.sampled_from(ORDERS)))
    return PoolCase(x, kernel, stride, padding, dilation, draw(st.booleans()), rng)


def numbers(n: int, low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    """n integers in low .. high."""
    return st.tuples(*(st.integers(low, high) for _ in range(n)))
