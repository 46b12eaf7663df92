"""Matrix products and convolutions in memory that is fenced in: run as a script, since a stray access kills the process.

Each operand ends just before a page that may not be touched, or begins just after one, and every byte that is not the
operand's is poison: NaN to read, and looked at again afterwards. NumPy in float64 is the oracle.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from minicnn_kernels import reference, workspace
from minicnn_kernels.cpu import conv_direct, conv_winograd, gemm
from minicnn_kernels.cpu.microkernel import ADD_BIAS, ADD_OTHER, RECTIFY, SIMD, tile_columns

PAGE = mmap.PAGESIZE
POISON = -12345.678


def fenced(values: np.ndarray, at_end: bool) -> np.ndarray:
    """A flat copy that touches a forbidden page at its end or at its start. (It lives as long as the array: a process may
    have some 20,000 of them at once.)"""
    size = -(-max(1, values.nbytes) // PAGE) * PAGE
    memory = mmap.mmap(-1, size + 2 * PAGE)
    whole = np.frombuffer(memory, np.uint8)
    address = whole.ctypes.data
    libc = ctypes.CDLL(None, use_errno=True)
    for page in (address, address + PAGE + size):
        if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    start = PAGE + (size - values.nbytes if at_end else 0)
    array = whole[start : start + values.nbytes].view(values.dtype)
    array[:] = values.reshape(-1)
    return array


def check_product(
    rng: np.random.Generator, dtype: Any, m: int, n: int, k: int, transposed: bool, add: int, at_end: bool
) -> None:
    """C (m, n) in rows three longer than n; A row-major or transposed; B packed from rows or from columns."""
    columns = tile_columns(np.dtype(dtype))
    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((m, k), (k, n), (m, n)))
    a_flat = fenced(a.T.copy() if transposed else a, at_end)
    a_row, a_col = (1, m) if transposed else (k, 1)
    panels = gemm.n_panels(n, np.dtype(dtype))
    packed = fenced(np.full(panels * k * columns, np.nan, dtype), at_end)
    if transposed:
        gemm.pack_columns(0, panels, fenced(b.T.copy(), at_end), 0, k, k, n, columns, packed)
    else:
        gemm.pack_rows(0, panels, fenced(b, at_end), 0, n, k, n, columns, packed)
    wide = np.full((m, n + 3), POISON, dtype)
    wide[:, :n] = c if add else np.nan
    c_flat = fenced(wide.reshape(-1)[: wide.size - 3 if m else 0], at_end)  # the last row ends with its last number
    scratch = fenced(np.full(SIMD.rows * columns, np.nan, dtype), at_end)
    ending = (m + 2 * n + k) % 8  # every combination of what may be done to the sums
    bias, other = rng.standard_normal(n).astype(dtype), rng.standard_normal((m, n + 3)).astype(dtype)
    ends = ending, fenced(bias, at_end), 0, fenced(other.reshape(-1)[: wide.size - 3 if m else 0], at_end)
    gemm.multiply(
        gemm.ONE_PRODUCT, m, n, k, a_flat, 0, a_row, a_col, packed, 0, c_flat, 0, n + 3, columns, add, scratch, *ends
    )
    result = np.append(c_flat, np.full(3 if m else 0, POISON, dtype)).reshape(m, n + 3)
    expected = a.astype(np.float64) @ b.astype(np.float64) + (c if add else 0)
    expected += (bias if ending & ADD_BIAS else 0) + (other[:, :n] if ending & ADD_OTHER else 0)
    expected = np.maximum(expected, 0) if ending & RECTIFY else expected
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(result[:, :n], expected, rtol=16 * eps, atol=16 * eps * (k + 1) ** 0.5 * 4)
    np.testing.assert_array_equal(result[:, n:], np.full((m, 3), POISON, dtype))


def check_direct(
    rng: np.random.Generator, dtype: Any, shape: tuple[int, ...], window: tuple[Any, ...], at_end: bool
) -> None:
    """Convolutions by tables of offsets: the image, the filters and the output are fenced, forward and weight gradient."""
    n, c_in, c_out, h, w, kh, kw = shape
    x, weight, bias = (
        rng.standard_normal(s).astype(dtype) for s in ((n, c_in, h, w), (c_out, c_in // window[-1], kh, kw), (c_out,))
    )
    expected = reference.conv_forward(*(a.astype(float) for a in (x, weight, bias)), *window)
    grad = rng.standard_normal(expected.shape).astype(dtype)
    x_last, grad_last = (
        fenced(a.transpose(0, 2, 3, 1), at_end).reshape(a.transpose(0, 2, 3, 1).shape).transpose(0, 3, 1, 2)
        for a in (x, grad)
    )
    fenced_weight = fenced(weight, at_end).reshape(weight.shape)
    tolerance = 100 * float(np.finfo(dtype).eps) * c_in * kh * kw
    algorithms = [conv_direct]
    if (kh, kw, *window[:1], *window[2:]) == (3, 3, (1, 1), (1, 1), 1):
        algorithms.append(conv_winograd)
    for algorithm in algorithms:
        with fenced_results(at_end):
            out = algorithm.forward(x_last, fenced_weight, fenced(bias, at_end), *window)
            grad_x = algorithm.backward_input(grad_last, fenced_weight, x.shape, *window)
            grad_weight = algorithm.backward_weight(grad_last, x_last, weight.shape, *window)
        np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance)
        wanted = reference.conv_backward_input(grad.astype(float), weight.astype(float), x.shape, *window)
        np.testing.assert_allclose(grad_x, wanted, rtol=0, atol=tolerance * c_out)
        wanted = reference.conv_backward_weight(grad.astype(float), x.astype(float), weight.shape, *window)
        np.testing.assert_allclose(grad_weight, wanted, rtol=0, atol=tolerance * grad.size)


@contextmanager
def fenced_results(at_end: bool) -> Iterator[None]:
    """Let the kernels' own memory for results and transformed tiles be fenced as well."""
    ordinary = workspace.empty
    workspace.empty = lambda shape, dtype: fenced(np.full(shape, np.nan, dtype), at_end).reshape(shape)
    try:
        yield
    finally:
        workspace.empty = ordinary


def check_convolutions(rng: np.random.Generator, dtype: Any) -> None:
    """Edges of every kind, with and without padding: channels that do and do not fill vectors."""
    lanes = tile_columns(np.dtype(dtype)) // 2
    for at_end in (False, True):
        for c_in, c_out in ((1, 1), (3, lanes), (lanes, 2 * lanes), (2 * lanes, 3 * lanes), (5, 2 * lanes + 1)):
            for padding in ((0, 0), (1, 1), (2, 3)):
                check_direct(rng, dtype, (2, c_in, c_out, 6, 9, 3, 3), ((1, 1), padding, (1, 1), 1), at_end)
        check_direct(rng, dtype, (2, 4, 6, 9, 8, 3, 2), ((2, 3), (1, 0), (1, 2), 2), at_end)


def main() -> None:
    """Every tail of every dimension, both dtypes, both sides of the fence."""
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        columns = tile_columns(np.dtype(dtype))
        for m in range(SIMD.rows + SIMD.few_rows + 2):
            for n, k in itertools.product((1, columns - 1, columns, columns + 1), (0, 1, 7)):
                for transposed, at_end in itertools.product((False, True), repeat=2):
                    check_product(rng, dtype, m, n, k, transposed, (m + n + k) % 2, at_end)
        for n in range(1, 2 * columns + 2):
            check_product(rng, dtype, SIMD.rows + 1, n, 3, False, n % 2, True)
        for k in (gemm.KC - 1, gemm.KC, gemm.KC + 1, 2 * gemm.KC + 5):
            for add in (0, 1):
                check_product(rng, dtype, SIMD.rows + 1, columns + 1, k, True, add, True)
        check_convolutions(rng, dtype)
    print("untouched")


if __name__ == "__main__":
    main()
