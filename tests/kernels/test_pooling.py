"""Pooling: by hand -> nested loops and PyTorch -> reference -> compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers import naive
from tests.helpers.kernel_cases import PoolCase, assert_close, normal, num_threads, pool_cases

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_max_by_hand(backend):
    x = np.array([[1.0, 5.0, 2.0, 2.0], [3.0, 5.0, 2.0, 2.0]])[None, None]
    window = (2, 2), (2, 2), (0, 0), (1, 1), False
    out, saved = backend.max_pool2d_forward(x, *window)
    np.testing.assert_array_equal(out[0, 0], [[5, 2]])
    grad_x = backend.max_pool2d_backward_input(np.array([[[[10.0, 20.0]]]]), saved, x.shape, *window)
    np.testing.assert_array_equal(grad_x[0, 0], [[0, 10, 20, 0], [0, 0, 0, 0]])  # of equal ones the first wins


@BOTH
def test_max_nan_wins(backend):
    x = np.array([[9.0, np.nan], [np.nan, 1.0]])[None, None]
    window = (2, 2), (2, 2), (0, 0), (1, 1), False
    out, saved = backend.max_pool2d_forward(x, *window)
    assert np.isnan(out).all()
    grad_x = backend.max_pool2d_backward_input(np.ones_like(out), saved, x.shape, *window)
    np.testing.assert_array_equal(grad_x[0, 0], [[0, 1], [0, 0]])


@BOTH
def test_max_of_minus_infinity_stays_on_the_image(backend):
    x = np.full((1, 1, 2, 2), -np.inf)
    window = (2, 2), (2, 2), (1, 1), (1, 1), False
    out, saved = backend.max_pool2d_forward(x, *window)
    np.testing.assert_array_equal(out, x)
    grad_x = backend.max_pool2d_backward_input(np.ones_like(out), saved, x.shape, *window)
    np.testing.assert_array_equal(grad_x, np.ones_like(x))


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
    out = backend.avg_pool2d_forward(x, (2, 2), (2, 2), (1, 1), ceil_mode, include, override)
    np.testing.assert_array_equal(out[0, 0], expected)


@settings(max_examples=60)
@given(pool_cases(max_channels=2))
def test_max_reference_against_loops(case: PoolCase):
    window = case[1:6]
    out, saved = reference.max_pool2d_forward(case.x, *window)
    grad_out = normal(case.rng, out.shape, out.dtype)
    expected, grad_x = naive.max_pool2d(case.x, grad_out, *window)
    np.testing.assert_array_equal(out, expected)
    assert_close(reference.max_pool2d_backward_input(grad_out, saved, case.x.shape, *window), grad_x, 9)


@settings(max_examples=60)
@given(pool_cases(max_channels=2, dilated=False), st.booleans(), st.sampled_from((None, 1, 3)))
def test_avg_reference_against_loops(case: PoolCase, include, override):
    window = case.kernel_size, case.stride, case.padding, case.ceil_mode, include, override
    out = reference.avg_pool2d_forward(case.x, *window)
    grad_out = normal(case.rng, out.shape, out.dtype)
    expected, grad_x = naive.avg_pool2d(case.x, grad_out, *window)
    assert_close(out, expected, 9)
    assert_close(reference.avg_pool2d_backward_input(grad_out, case.x.shape, *window), grad_x, 9)


@settings(max_examples=60)
@given(pool_cases(), st.integers(1, 3))
def test_max_cpu_against_reference(case: PoolCase, threads):
    window = case[1:6]
    expected, expected_saved = reference.max_pool2d_forward(case.x, *window)
    with num_threads(threads):
        out, saved = cpu.max_pool2d_forward(case.x, *window)
        assert out.dtype == expected.dtype
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(saved, expected_saved)
        grad_out = normal(case.rng, out.shape, out.dtype)
        actual = cpu.max_pool2d_backward_input(grad_out, saved, case.x.shape, *window)
    assert_close(actual, reference.max_pool2d_backward_input(grad_out, expected_saved, case.x.shape, *window), 9)


@settings(max_examples=60)
@given(pool_cases(dilated=False), st.booleans(), st.sampled_from((None, 1, 3)), st.integers(1, 3))
def test_avg_cpu_against_reference(case: PoolCase, include, override, threads):
    window = case.kernel_size, case.stride, case.padding, case.ceil_mode, include, override
    expected = reference.avg_pool2d_forward(case.x, *window)
    grad_out = normal(case.rng, expected.shape, expected.dtype)
    with num_threads(threads):
        assert_close(cpu.avg_pool2d_forward(case.x, *window), expected, 9)
        actual = cpu.avg_pool2d_backward_input(grad_out, case.x.shape, *window)
    assert_close(actual, reference.avg_pool2d_backward_input(grad_out, case.x.shape, *window), 9)


@settings(max_examples=80)
@given(pool_cases(dilated=False), st.booleans(), st.sampled_from((None, 3)))
def test_avg_against_torch(case: PoolCase, include, override):
    """Sizes, divisors and cut windows are PyTorch's, for ceil_mode with padding too."""
    torch = pytest.importorskip("torch")
    window = case.kernel_size, case.stride, case.padding, case.ceil_mode, include, override
    x = torch.tensor(np.ascontiguousarray(case.x, np.float64), requires_grad=True)
    out = torch.nn.functional.avg_pool2d(x, *window)
    actual = cpu.avg_pool2d_forward(case.x.astype(np.float64), *window)
    np.testing.assert_allclose(actual, out.detach().numpy(), rtol=1e-12, atol=1e-12)
    grad_out = case.rng.standard_normal(actual.shape)
    out.backward(torch.tensor(grad_out))
    actual = cpu.avg_pool2d_backward_input(grad_out, case.x.shape, *window)
    np.testing.assert_allclose(actual, x.grad.numpy(), rtol=1e-12, atol=1e-12)


@settings(max_examples=80)
@given(pool_cases())
def test_max_against_torch(case: PoolCase):
    torch = pytest.importorskip("torch")
    window = case[1:6]
    values = np.nan_to_num(
        np.ascontiguousarray(case.x, np.float64), nan=7.0
    )  # which of several NaNs wins is not promised
    x = torch.tensor(values, requires_grad=True)
    out = torch.nn.functional.max_pool2d(x, *window)
    actual, saved = cpu.max_pool2d_forward(values, *window)
    np.testing.assert_array_equal(actual, out.detach().numpy())
    if any(case.dilation[a] > 1 and case.padding[a] > 0 for a in range(2)):
        return  # PyTorch's gradient of a dilated window around a tiny image is undefined
    grad_out = case.rng.standard_normal(actual.shape)
    out.backward(torch.tensor(grad_out))
    actual = cpu.max_pool2d_backward_input(grad_out, saved, case.x.shape, *window)
    np.testing.assert_allclose(actual, x.grad.numpy(), rtol=1e-12, atol=1e-12)
