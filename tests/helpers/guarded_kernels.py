"""Every compiled kernel in memory that is fenced in: run as a script, since a stray access kills the process.

All arguments, all results and all scratch memory end just before a page that may not be touched, or begin just after one.
What runs is ``kernel_smoke.py`` (each kernel against its reference), and each algorithm of the convolution over the edges of
its tiles. Fresh memory is NaN, so that a number which was never written shows too.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

from minicnn_kernels import cpu, reference, threads, workspace
from minicnn_kernels.cpu import (
    conv_depthwise,
    conv_direct,
    conv_few_pixels,
    conv_im2col,
    conv_winograd,
    conv_winograd_few,
)
from minicnn_kernels.cpu.conv_choice import MANY_FILTERS
from minicnn_kernels.cpu.simd import lanes
from minicnn_kernels.launch import Launch, run
from tests.helpers import kernel_smoke
from tests.helpers.guarded_products import fenced

CPU_MODULES = [module for name, module in sys.modules.items() if name.startswith("minicnn_kernels.cpu.")]


def fence(array: np.ndarray, at_end: bool) -> np.ndarray:
    """A fenced copy in the same memory order."""
    axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    dense = np.ascontiguousarray(array.transpose(axes))
    return fenced(dense, at_end).reshape(dense.shape).transpose(np.argsort(axes))


def poisoned(shape: Any, dtype: Any, at_end: bool) -> np.ndarray:
    dtype = np.dtype(dtype)
    value = np.nan if dtype.kind == "f" else np.iinfo(dtype).max
    return fenced(np.full(shape, value, dtype), at_end).reshape(shape)


class FencedNumpy:
    """NumPy as the kernels' wrappers see it; what they allocate is fenced."""

    def __init__(self, at_end: bool):
        self.at_end = at_end

    def empty(self, shape: Any, dtype: Any = float) -> np.ndarray:
        return poisoned(shape, dtype, self.at_end)

    def zeros(self, shape: Any, dtype: Any = float) -> np.ndarray:
        return fenced(np.zeros(shape, dtype), self.at_end).reshape(shape)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@contextmanager
def fenced_memory(at_end: bool) -> Iterator[None]:
    """Let the kernels allocate nothing but fenced memory. What is not compiled yet cannot be compiled in here."""
    ordinary = workspace.empty
    own = [(module, "np") for module in CPU_MODULES if getattr(module, "np", None) is np]
    workspace.empty = lambda shape, dtype: poisoned(shape, dtype, at_end)
    for module, name in own:
        setattr(module, name, FencedNumpy(at_end))
    try:
        yield
    finally:
        workspace.empty = ordinary
        for module, name in own:
            setattr(module, name, np)


def fenced_argument(argument: Any, at_end: bool) -> Any:
    """A fenced copy of an array, or of each array in a list; anything else as it is."""
    if isinstance(argument, list):
        return [fenced_argument(item, at_end) for item in argument]
    return fence(argument, at_end) if isinstance(argument, np.ndarray) else argument


def copy_back(argument: Any, copy: Any) -> None:
    if isinstance(argument, np.ndarray):
        np.copyto(argument, copy)
    elif isinstance(argument, list):
        for item, copied in zip(argument, copy, strict=True):
            copy_back(item, copied)


def guarded(function: Callable[..., Any], at_end: bool) -> Callable[..., Any]:
    """The kernel, called with fenced copies of its arguments; what it changed in them is copied back."""

    def call(*arguments: Any) -> Any:
        copies = [fenced_argument(a, at_end) for a in arguments]
        with fenced_memory(at_end):
            result = function(*copies)
            if isinstance(result, list) and result and isinstance(result[0], Launch):  # the work is still to be done
                run(result)
                result = []
        for argument, copy in zip(arguments, copies, strict=True):
            copy_back(argument, copy)
        return result

    return call


def check_smoke(at_end: bool) -> None:
    """All of kernel_smoke, twice: the first time compiles."""
    kernel_smoke.check_all()
    names = {name: guarded(getattr(cpu, name), at_end) for name in cpu.__all__}
    kernel_smoke.cpu = SimpleNamespace(**names)
    try:
        kernel_smoke.check_all()
    finally:
        kernel_smoke.cpu = cpu


def check_convolution(
    algorithm: Any, x_shape: tuple[int, ...], weight_shape: tuple[int, ...], window: tuple[Any, ...], dtype: Any
) -> None:
    """Forward and both gradients, without and with fences on each side."""
    rng = np.random.default_rng(x_shape[1])
    x, weight, bias = (rng.standard_normal(s).astype(dtype) for s in (x_shape, weight_shape, weight_shape[:1]))
    wide = [a.astype(np.float64) for a in (x, weight, bias)]
    expected = [reference.conv_forward(*wide, *window)]
    grad = rng.standard_normal(expected[0].shape).astype(dtype)
    wide_grad = grad.astype(np.float64)
    expected.append(reference.conv_backward_input(wide_grad, wide[1], x_shape, *window))
    expected.append(reference.conv_backward_weight(wide_grad, wide[0], weight_shape, *window))
    # Sums of k products of numbers of size up to 4, Winograd's errors ten times larger: a wrong number is off by about 1.
    tolerance = 200 * float(np.finfo(dtype).eps) * max(weight[0].size, grad[0].size) ** 0.5 * 4

    def compute(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        results = (
            wrap(algorithm.forward)(x, weight, bias, *window),
            wrap(algorithm.backward_input)(grad, weight, x_shape, *window),
            wrap(algorithm.backward_weight)(grad, x, weight_shape, *window),
        )
        for one, other in zip(results, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)

    compute(lambda function: function)
    for at_end in (False, True):
        compute(lambda function, at_end=at_end: guarded(function, at_end))


def check_edges(dtype: Any) -> None:
    """Images on both sides of each tile's size, channels on both sides of each vector's."""
    wide = lanes(np.dtype(dtype))
    sizes = [(1, 1), (2, 3), (3, 3), (4, 4), (5, 6), (6, 5), (7, 9), (9, 10), (4, 15)]
    counts = [(1, 1), (3, wide), (wide, 2 * wide), (wide + 1, wide - 1), (5, 2 * wide + 1)]
    plain = (1, 1), (1, 1), (1, 1), 1
    for (h, w), (c_in, c_out) in itertools.product(sizes, counts):
        for algorithm in (conv_winograd, conv_direct, conv_im2col, conv_few_pixels):
            check_convolution(algorithm, (2, c_in, h, w), (c_out, c_in, 3, 3), plain, dtype)
    for padding in ((0, 0), (2, 0), (0, 3)):
        for algorithm in (conv_winograd, conv_direct, conv_im2col, conv_few_pixels):
            window = (1, 1), padding, (1, 1), 1
            check_convolution(algorithm, (2, wide + 3, 6, 7), (wide, wide + 3, 3, 3), window, dtype)
    for size, padding in itertools.product(((2, 2), (4, 4), (5, 6), (9, 3)), ((1, 1), (0, 2))):
        for c_in, c_out in ((wide, wide), (3 * wide, 2 * wide), (wide, 3 * wide)):
            if min(size) + 2 * min(padding) > 2:
                window = (1, 1), padding, (1, 1), 1
                check_convolution(conv_winograd_few, (3, c_in, *size), (c_out, c_in, 3, 3), window, dtype)
    check_convolution(conv_winograd, (2, 6 * wide, 5, 6), (MANY_FILTERS // (6 * wide), 6 * wide, 3, 3), plain, dtype)
    check_convolution(conv_winograd, (5, 48, 14, 15), (40, 48, 3, 3), plain, dtype)  # more than one block
    check_convolution(conv_winograd, (1, 400, 5, 5), (20, 400, 3, 3), plain, dtype)  # more than one KC of depth
    for c_in, c_out, kernel in (
        (400, 20, 2),
        (wide + 1, 600, 1),
        (wide, 9 * wide, 5),
    ):  # more than one KC, or eight panels
        window = (2, 1), (kernel // 2, 0), (1, 2), 1
        check_convolution(conv_few_pixels, (2, c_in, 7, 11), (c_out, c_in, kernel, kernel), window, dtype)
    for channels, size in itertools.product((2, wide - 1, wide, wide + 1, 2 * wide + 3), ((1, 1), (4, 5), (7, 6))):
        for window in (((1, 1), (1, 1), (1, 1), channels), ((2, 1), (2, 2), (1, 2), channels)):
            check_convolution(conv_depthwise, (2, channels, *size), (channels, 1, 3, 3), window, dtype)
    for c_in, c_out in ((wide, wide), (wide + 3, 2 * wide + 1), (5, wide - 1)):  # volumes
        window = (1, 1, 1), (1, 1, 1), (1, 1, 1), 1
        for algorithm in (conv_winograd, conv_direct, conv_im2col, conv_few_pixels):
            check_convolution(algorithm, (2, c_in, 5, 6, 5), (c_out, c_in, 3, 3, 3), window, dtype)
    strided = (2, 1, 2), (1, 0, 2), (1, 2, 1), wide + 1
    check_convolution(conv_depthwise, (2, wide + 1, 4, 5, 9), (wide + 1, 1, 2, 3, 3), strided, dtype)
    for algorithm in (conv_direct, conv_im2col):  # sequences
        check_convolution(algorithm, (2, 6, 40), (2 * wide + 2, 3, 5), ((1,), (2,), (2,), 2), dtype)
    for window in (((2, 3), (1, 0), (1, 2), 2), ((1, 2), (2, 1), (2, 1), 2)):
        for algorithm in (conv_direct, conv_im2col):
            check_convolution(algorithm, (2, 6, 9, 8), (2 * wide + 2, 3, 3, 2), window, dtype)


def main() -> None:
    """Both dtypes; two threads, so that there are chunks."""
    threads.set_num_threads(2)
    for at_end in (False, True):
        check_smoke(at_end)
    for dtype in (np.float32, np.float64):
        check_edges(dtype)
    print("untouched")


if __name__ == "__main__":
    main()
