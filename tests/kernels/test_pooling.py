"""Pooling: by hand -> nested loops and PyTorch -> reference -> compiled; sequences, images and volumes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from minicnn_kernels.windows import adaptive_windows, pool_divisors, window_tables
from tests.helpers import naive
from tests.helpers.kernel_cases import (
    ORDERS,
    PoolCase,
    arrange,
    assert_close,
    normal,
    num_threads,
    numbers,
    pool_cases,
)
from tests.helpers.untouched import assert_untouched
from tests.helpers.vector_widths import WIDTHS

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
ALL = (1, 2, 3)  # numbers of spatial axes
CHANNELS = st.sampled_from((1, 5, 8, 16, 17, 33, 64, 70, 130))  # around the lanes of all vectors, and four of them
IMAGE = window_tables((2, 2), ((2, 2), (2, 2), (0, 0), (1, 1)), False)


def windows_of(case: PoolCase):
    return window_tables(case.x.shape[2:], case[1:5], case.ceil_mode)


@BOTH
def test_max_by_hand(backend):
    x = np.array([[1.0, 5.0, 2.0, 2.0], [3.0, 5.0, 2.0, 2.0]])[None, None]
    windows = window_tables((2, 4), ((2, 2), (2, 2), (0, 0), (1, 1)), False)
    out, places = backend.max_pool_forward(x, windows)
    np.testing.assert_array_equal(out[0, 0], [[5, 2]])
    np.testing.assert_array_equal(places[0, 0], [[1, 2]])
    grad_x = backend.max_pool_backward_input(np.array([[[[10.0, 20.0]]]]), places, x.shape, windows)
    np.testing.assert_array_equal(grad_x[0, 0], [[0, 10, 20, 0], [0, 0, 0, 0]])  # of equal ones the first wins


@BOTH
@pytest.mark.parametrize("c", [1, 16])
def test_max_nan_wins(backend, c):
    x = np.repeat(np.array([[9.0, np.nan], [np.nan, 1.0]])[None, None], c, axis=1)
    out, places = backend.max_pool_forward(x, IMAGE)
    assert np.isnan(out).all()
    grad_x = backend.max_pool_backward_input(np.ones_like(out), places, x.shape, IMAGE)
    np.testing.assert_array_equal(grad_x[0, c - 1], [[0, 0], [1, 0]])  # the last of several


@BOTH
@pytest.mark.parametrize("c", [1, 16])
def test_max_of_minus_infinity_stays_on_the_image(backend, c):
    x = np.full((1, c, 2, 2), -np.inf)
    windows = window_tables((2, 2), ((2, 2), (2, 2), (1, 1), (1, 1)), False)
    out, places = backend.max_pool_forward(x, windows)
    np.testing.assert_array_equal(out, x)
    grad_x = backend.max_pool_backward_input(np.ones_like(out), places, x.shape, windows)
    np.testing.assert_array_equal(grad_x, np.ones_like(x))


@BOTH
@pytest.mark.parametrize("c", [1, 16])
def test_a_window_around_a_tiny_image_is_empty(backend, c):
    """Taps at -1 and 1 of an image of one pixel."""
    windows = window_tables((1, 1), ((2, 2), (1, 1), (1, 1), (2, 2)), False)
    out, places = backend.max_pool_forward(np.ones((1, c, 1, 1)), windows)
    np.testing.assert_array_equal(out, np.full((1, c, 1, 1), -np.inf))
    np.testing.assert_array_equal(places, np.full((1, c, 1, 1), -1))
    assert not backend.max_pool_backward_input(np.ones_like(out), places, (1, c, 1, 1), windows).any()


@BOTH
@pytest.mark.parametrize(
    ("ceil_mode", "include", "override", "expected"),
    [
        (False, True, None, [[0, 0.75], [2.25, 6]]),
        (False, False, None, [[0, 1.5], [4.5, 6]]),
        (False, True, 2, [[0, 1.5], [4.5, 12]]),
    ],
)
def test_avg_by_hand(backend, ceil_mode, include, override, expected):
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    window = (2, 2), (2, 2), (1, 1), (1, 1)
    windows = window_tables((3, 3), window, ceil_mode)
    out = backend.avg_pool_forward(x, windows, pool_divisors((3, 3), window, ceil_mode, include, override))
    np.testing.assert_array_equal(out[0, 0], expected)


@BOTH
def test_adaptive_by_hand(backend):
    """Three windows over five places: 0-1, 1-3, 3-4."""
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0])[None, None]
    windows = (adaptive_windows(5, 3),)
    out = backend.avg_pool_forward(x, windows, (windows[0].counts,))
    np.testing.assert_array_equal(out[0, 0], [1.5, 14 / 3, 12])
    grad_x = backend.avg_pool_backward_input(np.array([[[2.0, 3.0, 4.0]]]), x.shape, windows, (windows[0].counts,))
    np.testing.assert_array_equal(grad_x[0, 0], [1, 2, 1, 3, 2])
    out, places = backend.max_pool_forward(x, windows)
    np.testing.assert_array_equal(out[0, 0], [2, 8, 16])
    np.testing.assert_array_equal(places[0, 0], [1, 3, 4])


def test_quotients_of_integers_are_cut_off():
    windows = window_tables((4,), ((2,), (2,), (0,), (1,)), False)
    x = np.array([[[-3, 0, 3, 0]]])
    out = reference.avg_pool_forward(x, windows, (np.array([2, -2]),))
    assert out.dtype == np.int64
    np.testing.assert_array_equal(out[0, 0], [-1, -1])


@settings(max_examples=40)
@given(pool_cases(max_channels=2, axes=ALL))
def test_max_reference_against_loops(case: PoolCase):
    windows = windows_of(case)
    out, places = reference.max_pool_forward(case.x, windows)
    grad_out = normal(case.rng, out.shape, out.dtype)
    expected, expected_places, grad_x = naive.max_pool(case.x, grad_out, *case[1:5], ceil_mode=case.ceil_mode)
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(places, expected_places)
    assert_close(reference.max_pool_backward_input(grad_out, places, case.x.shape, windows), grad_x, 9)


@settings(max_examples=40)
@given(pool_cases(max_channels=2, dilated=False, axes=ALL), st.booleans(), st.sampled_from((None, 1, 3)))
def test_avg_reference_against_loops(case: PoolCase, include, override):
    windows = windows_of(case)
    divisors = pool_divisors(case.x.shape[2:], case[1:5], case.ceil_mode, include, override)
    out = reference.avg_pool_forward(case.x, windows, divisors)
    grad_out = normal(case.rng, out.shape, out.dtype)
    options = {"ceil_mode": case.ceil_mode, "count_include_pad": include, "divisor_override": override}
    expected, grad_x = naive.avg_pool(case.x, grad_out, *case[1:4], **options)
    assert_close(out, expected, 27)
    assert_close(reference.avg_pool_backward_input(grad_out, case.x.shape, windows, divisors), grad_x, 27)


@st.composite
def larger_cases(draw, dilated=True):
    """Cases with channels around the numbers where other loops take over, and windows given or adaptive."""
    case = draw(pool_cases(dilated=dilated, axes=ALL))
    size = case.x.shape[2:]
    x = case.rng.standard_normal((case.x.shape[0], draw(CHANNELS), *size))
    if draw(st.booleans()):
        x = np.round(x)
    if dilated and draw(st.booleans()):
        x[case.rng.random(x.shape) < 0.1] = np.nan
    x = arrange(x.astype(case.x.dtype), draw(st.sampled_from(ORDERS)))
    if draw(st.integers(0, 2)) == 0:
        n_out = draw(numbers(len(size), 1, 6))
        windows = tuple(map(adaptive_windows, size, n_out))
        return x, windows, tuple(axis.counts for axis in windows), case.rng
    divisors = pool_divisors(size, case[1:5], case.ceil_mode, draw(st.booleans()), draw(st.sampled_from((None, 3))))
    return x, windows_of(case), divisors, case.rng


@settings(max_examples=50)
@given(larger_cases(), st.integers(1, 3))
def test_max_cpu_against_reference(case, threads):
    x, windows, _, rng = case
    expected, expected_places = reference.max_pool_forward(x, windows)
    with num_threads(threads):
        out, places = cpu.max_pool_forward(x, windows)
        assert out.dtype == expected.dtype
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(places, expected_places)
        grad_out = normal(rng, out.shape, out.dtype)
        actual = cpu.max_pool_backward_input(grad_out, places, x.shape, windows)
    assert_close(actual, reference.max_pool_backward_input(grad_out, expected_places, x.shape, windows), 27)


@settings(max_examples=50)
@given(larger_cases(dilated=False), st.integers(1, 3))
def test_avg_cpu_against_reference(case, threads):
    x, windows, divisors, rng = case
    expected = reference.avg_pool_forward(x, windows, divisors)
    grad_out = normal(rng, expected.shape, expected.dtype)
    with num_threads(threads):
        assert_close(cpu.avg_pool_forward(x, windows, divisors), expected, 512)
        actual = cpu.avg_pool_backward_input(grad_out, x.shape, windows, divisors)
    assert_close(actual, reference.avg_pool_backward_input(grad_out, x.shape, windows, divisors), 27)


@pytest.mark.parametrize("c", [3, 16, 64])
def test_a_long_sum_keeps_its_digits(c):
    """Of 40,000 float32 between 0 and 1, added one by one, a mean would have lost three digits."""
    x = np.random.default_rng(0).random((1, c, 200, 200), np.float32)
    windows = tuple(adaptive_windows(s, 1) for s in x.shape[2:])
    out = cpu.avg_pool_forward(x, windows, tuple(axis.counts for axis in windows))
    np.testing.assert_allclose(out[..., 0, 0], x.mean(axis=(2, 3), dtype=np.float64), rtol=1e-6)


def test_few_images_are_shared_out_by_channels():
    x = np.random.default_rng(0).standard_normal((1, 70, 40, 40)).astype(np.float32)
    windows = window_tables((40, 40), ((3, 3), (2, 2), (1, 1), (1, 1)), False)
    out, places = cpu.max_pool_forward(x, windows)
    grads = []
    for threads in (1, 2, 3):
        with num_threads(threads):
            grads.append(cpu.max_pool_backward_input(out, places, x.shape, windows))
    expected = reference.max_pool_backward_input(out, places, x.shape, windows)
    for grad in grads:
        np.testing.assert_array_equal(grad, grads[0])
        assert_close(grad, expected, 4)


@settings(max_examples=40)
@given(pool_cases(dilated=False, axes=ALL), st.booleans(), st.sampled_from((None, 3)))
def test_avg_against_torch(case: PoolCase, include, override):
    """Sizes, divisors and cut windows are PyTorch's, for ceil_mode with padding too."""
    torch = pytest.importorskip("torch")
    axes = len(case.kernel_size)
    if axes == 3 and any(size < kernel for size, kernel in zip(case.x.shape[2:], case.kernel_size, strict=True)):
        return  # PyTorch refuses these for volumes alone
    options = [case.ceil_mode, include, *([override] if axes > 1 else [])]
    x = torch.tensor(np.ascontiguousarray(case.x, np.float64), requires_grad=True)
    out = getattr(torch.nn.functional, f"avg_pool{axes}d")(x, *case[1:4], *options)
    windows = windows_of(case)
    divisors = pool_divisors(case.x.shape[2:], case[1:5], case.ceil_mode, include, override if axes > 1 else None)
    actual = cpu.avg_pool_forward(case.x.astype(np.float64), windows, divisors)
    np.testing.assert_allclose(actual, out.detach().numpy(), rtol=1e-12, atol=1e-12)
    grad_out = case.rng.standard_normal(actual.shape)
    out.backward(torch.tensor(grad_out))
    actual = cpu.avg_pool_backward_input(grad_out, case.x.shape, windows, divisors)
    np.testing.assert_allclose(actual, x.grad.numpy(), rtol=1e-12, atol=1e-12)


@settings(max_examples=40)
@given(pool_cases(axes=ALL))
def test_max_against_torch(case: PoolCase):
    """Places too, and who wins among equal ones and among NaNs."""
    torch = pytest.importorskip("torch")
    axes = len(case.kernel_size)
    values = np.ascontiguousarray(case.x, np.float64)
    x = torch.tensor(values, requires_grad=True)
    pool = getattr(torch.nn.functional, f"max_pool{axes}d")
    out, indices = pool(x, *case[1:6], return_indices=True)
    windows = windows_of(case)
    actual, places = cpu.max_pool_forward(values, windows)
    np.testing.assert_array_equal(actual, out.detach().numpy())
    if any(case.dilation[a] > 1 and case.padding[a] > 0 for a in range(axes)):
        return  # what PyTorch says of a dilated window around a tiny image is undefined
    np.testing.assert_array_equal(places, indices.numpy())
    grad_out = case.rng.standard_normal(actual.shape)
    out.backward(torch.tensor(grad_out))
    actual = cpu.max_pool_backward_input(grad_out, places, case.x.shape, windows)
    np.testing.assert_allclose(actual, x.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages with mprotect")
@pytest.mark.parametrize("simd", WIDTHS)
def test_nothing_outside_the_arrays_is_touched(simd):
    assert_untouched("guarded_pooling", MINICNN_SIMD=simd)


def test_plain_python_runs_the_same_loops():
    """NUMBA_DISABLE_JIT: a debugger can follow the loops."""
    code = "from tests.helpers.kernel_smoke import *; rng = np.random.default_rng(0)\\n"
    code += "[check_pooling(rng, d, c, (4, 5)) for d in DTYPES for c in (5, 66)]"
    run = subprocess.run(
        [sys.executable, "-c", code.replace("\\n", "\n")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "NUMBA_DISABLE_JIT": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
