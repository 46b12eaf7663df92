"""A convolution, batch norm, ReLU and max-pooling as one, against the reference: a few images at a time is as all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from minicnn_kernels.cpu.channels import Statistics
from tests.helpers.kernel_cases import num_threads

POOLINGS = [
    ((2, 2), (2, 2), (0, 0), (1, 1), False),
    ((3, 3), (2, 2), (1, 1), (1, 1), False),
    ((2, 3), (1, 2), (1, 0), (2, 1), True),
]
# stride, padding, dilation, groups, algorithm
CONVOLUTIONS = [
    ((1, 1), (1, 1), (1, 1), 1, "auto"),
    ((2, 2), (2, 1), (1, 1), 1, "direct"),
    ((1, 1), (0, 2), (2, 1), 3, "exact"),
    ((1, 1), (1, 1), (1, 1), 1, "winograd"),
    ((1, 1), (1, 1), (1, 1), 1, "im2col"),
]


def operands(seed, dtype, n, c_in, c, size, convolution, affine=True):
    """x, filters, weight and bias; images channels-last, as in a network."""
    rng = np.random.default_rng(seed)
    groups = convolution[3]
    x = rng.standard_normal((n, *size, c_in * groups)).astype(dtype).transpose(0, 3, 1, 2)
    filters = rng.standard_normal((c * groups, c_in, 3, 3)).astype(dtype)
    weight, bias = rng.standard_normal((2, c * groups)).astype(dtype) if affine else (None, None)
    return x, filters, weight, bias


def both(arguments, convolution, pooling, wants_x):
    """Results and gradients of one back end after the other. The gradients are of the reference's results."""
    x, filters, weight, bias = arguments
    forward = [
        backend.conv_batch_norm_relu_max_pool2d_forward_train(x, filters, weight, bias, 0.1, convolution, pooling)
        for backend in (cpu, reference)
    ]
    out, saved, y, mean, _, inv_std = forward[1]
    grad_out = np.random.default_rng(1).standard_normal(out.shape).astype(out.dtype)
    kept = grad_out, saved, y, weight, mean, inv_std
    operands = x, filters if wants_x else None, x.shape, filters.shape
    backward = [
        backend.conv_batch_norm_relu_max_pool2d_backward_train(*kept, *operands, convolution, pooling)
        for backend in (cpu, reference)
    ]
    return forward, backward


@settings(max_examples=40)
@given(
    st.integers(0, 1000),
    st.sampled_from([np.float32, np.float64]),
    st.integers(1, 13),
    st.sampled_from([1, 2, 17]),
    st.sampled_from([5, 16, 33]),
    st.sampled_from([(7, 8), (5, 3), (12, 12)]),
    st.sampled_from(CONVOLUTIONS),
    st.sampled_from(POOLINGS),
    st.booleans(),
    st.integers(1, 3),
)
def test_cpu_against_reference(seed, dtype, n, c_in, c, size, convolution, pooling, wants_x, threads):
    arguments = operands(seed, dtype, n, c_in, c, size, convolution, affine=seed % 4 > 0)
    with num_threads(threads):
        (actual, expected), (grads, expected_grads) = both(arguments, convolution, pooling, wants_x)
    # The convolution's error goes through a division by a deviation; Winograd's is ten times the direct sum's.
    tolerance = 3e-4 if dtype == np.float32 else 1e-11
    for i in (0, 2, 3, 4, 5):
        np.testing.assert_allclose(actual[i], expected[i], rtol=tolerance, atol=tolerance * 10)
    if dtype == np.float64:
        np.testing.assert_array_equal(actual[1], expected[1])
    for one, other in zip(grads, expected_grads, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            scale = max(1.0, float(np.abs(other).max()))
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale)
    assert (grads[0] is None) == (not wants_x)


@pytest.mark.parametrize("c_in", [1, 16], ids=["direct", "winograd"])
@pytest.mark.parametrize("threads", [1, 2])
def test_many_images(c_in, threads):
    """More than stay in the cache at a time, and a last few; the same bits each time, as with float64's reference."""
    convolution, pooling = CONVOLUTIONS[0], POOLINGS[0]
    arguments = operands(0, np.float64, 27, c_in, 32, (28, 28), convolution)
    with num_threads(threads):
        (one, expected), (grads, expected_grads) = both(arguments, convolution, pooling, wants_x=False)
        (again, _), (grads_again, _) = both(arguments, convolution, pooling, wants_x=False)
    for a, b, c in zip((*one, *grads[1:]), (*again, *grads_again[1:]), (*expected, *expected_grads[1:]), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_allclose(a, c, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("c", [16, 21])
def test_statistics_of_parts(c):
    """Whatever the parts, and however far apart their origins: NumPy's, in float64."""
    rng = np.random.default_rng(0)
    rows = (rng.standard_normal((50, c)) + 1000).astype(np.float32)
    rows[20], rows[35] = -4000, 70  # origins far from the mean
    moments = Statistics(rows, 3)
    for index, start, stop in ((0, 0, 7), (1, 20, 30), (2, 35, 36), (0, 7, 20), (2, 36, 50), (1, 30, 35)):
        moments.see(index, start, stop)
    mean, var = moments.result()
    wide = rows.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(var, wide.var(axis=0), rtol=1e-11)
