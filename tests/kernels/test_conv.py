"""Convolution: by hand -> nested loops -> reference -> compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from minicnn_kernels import cpu, reference
from minicnn_kernels.cpu.conv_choice import choose
from tests.helpers import naive
from tests.helpers.kernel_cases import ConvCase, assert_close, conv_cases, normal, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_checkerboard(backend):
    x = (np.indices((5, 5)).sum(axis=0) % 2 == 0).astype(np.float32)[None, None]
    weight = (np.indices((3, 3)).sum(axis=0) % 2 == 0).astype(np.float32)[None, None]
    out = backend.conv_forward(x, weight, None, (1, 1), (0, 0), (1, 1), 1)
    np.testing.assert_array_equal(out[0, 0], [[5, 0, 5], [0, 5, 0], [5, 0, 5]])


@BOTH
def test_gradients_by_hand(backend):
    """One window of 1x2 over 1x3: out = [a*u + b*v, b*u + c*v]."""
    x = np.array([[[[2.0, 3.0, 5.0]]]])
    weight = np.array([[[[7.0, 11.0]]]])
    grad_out = np.array([[[[1.0, 10.0]]]])
    parameters = (1, 1), (0, 0), (1, 1), 1
    out = backend.conv_forward(x, weight, np.array([0.5]), *parameters)
    np.testing.assert_array_equal(out[0, 0], [[47.5, 76.5]])
    np.testing.assert_array_equal(
        backend.conv_backward_input(grad_out, weight, x.shape, *parameters)[0, 0], [[7, 81, 110]]
    )
    np.testing.assert_array_equal(
        backend.conv_backward_weight(grad_out, x, weight.shape, *parameters)[0, 0], [[32, 53]]
    )
    np.testing.assert_array_equal(backend.conv_backward_bias(grad_out), [11])


@settings(max_examples=60)
@given(conv_cases(max_channels=3, max_batch=2, max_size=4))
def test_reference_against_loops(case: ConvCase):
    out = reference.conv_forward(case.x, case.weight, case.bias, *case.window)
    grad_out = normal(case.rng, out.shape, out.dtype)
    expected, grad_x, grad_weight = naive.conv(
        case.x, case.weight, case.bias, grad_out, case.stride, case.padding, case.dilation, groups=case.groups
    )
    terms = case.weight[0].size + 1
    assert_close(out, expected, terms)
    assert_close(reference.conv_backward_input(grad_out, case.weight, case.x.shape, *case.window), grad_x, 9 * terms)
    actual = reference.conv_backward_weight(grad_out, case.x, case.weight.shape, *case.window)
    assert_close(actual, grad_weight, grad_out.size)
    assert_close(
        reference.conv_backward_bias(grad_out), grad_out.sum(axis=(0, *range(2, grad_out.ndim))), grad_out.size
    )


def assert_cpu_equals_reference(case: ConvCase) -> None:
    arguments = (case.x, case.weight, case.bias)
    before = [None if a is None else a.copy() for a in arguments]
    expected = reference.conv_forward(*arguments, *case.window)
    terms = case.weight[0].size + 1
    choice = choose(case.x.shape, case.weight.shape, *case.window)
    scale = 40.0 if choice.algorithm == "winograd" else 4.0  # its rounding errors are ten times as large
    assert_close(cpu.conv_forward(*arguments, *case.window), expected, terms, scale)
    grad_out = normal(case.rng, expected.shape, expected.dtype)
    keep = grad_out.copy()
    assert_close(
        cpu.conv_backward_input(grad_out, case.weight, case.x.shape, *case.window),
        reference.conv_backward_input(grad_out, case.weight, case.x.shape, *case.window),
        terms * case.weight.shape[0],
        scale,
    )
    actual = cpu.conv_backward_weight(grad_out, case.x, case.weight.shape, *case.window)
    assert actual.flags.c_contiguous
    wanted = reference.conv_backward_weight(grad_out, case.x, case.weight.shape, *case.window)
    assert_close(actual, wanted, grad_out.size, scale)
    assert_close(cpu.conv_backward_bias(grad_out), reference.conv_backward_bias(grad_out), grad_out.size)
    for array, copy in zip((*arguments, grad_out), (*before, keep), strict=True):
        if array is not None:
            np.testing.assert_array_equal(array, copy)  # arguments are left as they were


@settings(max_examples=80)
@given(conv_cases())
def test_cpu_against_reference(case: ConvCase):
    assert_cpu_equals_reference(case)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n", "c_in", "c_out", "size", "kernel", "stride", "padding", "groups"),
    [
        (3, 32, 64, 14, 3, 1, 1, 1),  # whole tiles only
        (2, 33, 65, 15, 3, 1, 1, 1),  # no tile divides anything
        (2, 130, 40, 9, 3, 2, 1, 1),  # more than one block of the long axis
        (1, 256, 70, 7, 1, 1, 0, 1),
        (5, 1, 32, 28, 3, 1, 1, 1),
        (2, 24, 24, 13, 3, 1, 1, 24),
        (2, 24, 48, 13, 3, 2, 1, 24),  # two filters a channel
        (2, 48, 96, 12, 5, 1, 2, 4),
        (1, 3, 64, 40, 7, 2, 3, 1),
    ],
)
def test_larger_shapes(dtype, n, c_in, c_out, size, kernel, stride, padding, groups):
    """Shapes beyond one block of pixels, one panel of columns, one KC of depth."""
    rng = np.random.default_rng(c_in)
    x, bias = normal(rng, (n, c_in, size, size + 1), dtype, "channels-last"), normal(rng, (c_out,), dtype)
    weight = normal(rng, (c_out, c_in // groups, kernel, kernel), dtype)
    case = ConvCase(x, weight, bias, (stride,) * 2, (padding,) * 2, (1, 1), groups, rng)
    for threads in (1, 2, 3):
        with num_threads(threads):
            assert_cpu_equals_reference(case)


@pytest.mark.parametrize("channels", [1, 16, 24, 37])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "dilation"),
    [
        ((21,), (3,), (1,), (1,), (1,)),
        ((40,), (5,), (4,), (3,), (2,)),  # a stride and a dilation with a common divisor
        ((3,), (7,), (1,), (6,), (1,)),  # wider than the image
        ((11, 12), (3, 3), (1, 1), (1, 1), (1, 1)),
        ((11, 12), (3, 3), (2, 2), (1, 1), (1, 1)),
        ((7, 7), (5, 4), (3, 2), (0, 3), (1, 3)),
        ((5, 6, 9), (3, 2, 3), (1, 2, 1), (1, 0, 2), (2, 1, 1)),
        ((2, 4, 7), (1, 3, 3), (2, 1, 3), (3, 1, 0), (1, 1, 2)),  # padding beyond the filter
    ],
)
def test_depthwise(channels, size, kernel, stride, padding, dilation):
    """Strips of pixels whole and cut, channels that fill no vector, or overlap in the last one."""
    rng = np.random.default_rng(channels)
    for dtype in (np.float32, np.float64):
        x, bias = normal(rng, (2, channels, *size), dtype), normal(rng, (channels,), dtype)
        weight = normal(rng, (channels, 1, *kernel), dtype)
        with num_threads(2):
            assert_cpu_equals_reference(ConvCase(x, weight, bias, stride, padding, dilation, channels, rng))


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 5), (3, 1)])
def test_filters_that_lie_over_the_rim(size, dilation, stride):
    """Most of a 5x5 filter only ever sees padding on an image of one pixel: what does not, counts; its gradient is 0."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, *size))
    weight = rng.standard_normal((6, 2, 5, 3))
    geometry = (stride, stride), (2 * dilation, dilation), (dilation, dilation), 2
    out = reference.conv_forward(x, weight, None, *geometry)
    grad_out = rng.standard_normal(out.shape)
    np.testing.assert_allclose(cpu.conv_forward(x, weight, None, *geometry), out, rtol=1e-12, atol=1e-12)
    for name, arguments in (
        ("conv_backward_input", (grad_out, weight, x.shape)),
        ("conv_backward_weight", (grad_out, x, weight.shape)),
    ):
        actual, expected = (getattr(kernels, name)(*arguments, *geometry) for kernels in (cpu, reference))
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 32])
def test_repeatable_for_one_number_of_threads(threads, groups):
    rng = np.random.default_rng(0)
    x, weight = (
        normal(rng, (6, 32, 20, 20), np.float32),
        normal(rng, (64 if groups == 1 else 32, 32 // groups, 3, 3), np.float32),
    )
    window = (1, 1), (1, 1), (1, 1), groups
    grad_out = normal(rng, (6, weight.shape[0], 20, 20), np.float32)
    with num_threads(threads):
        results = [
            (
                cpu.conv_forward(x, weight, None, *window),
                cpu.conv_backward_input(grad_out, weight, x.shape, *window),
                cpu.conv_backward_weight(grad_out, x, weight.shape, *window),
                cpu.conv_backward_bias(grad_out),
            )
            for _ in range(3)
        ]
    for again in results[1:]:
        for first, other in zip(results[0], again, strict=True):
            np.testing.assert_array_equal(first, other)


@BOTH
def test_empty_batch(backend):
    x, weight = np.zeros((0, 2, 5, 5), np.float32), np.ones((4, 2, 3, 3), np.float32)
    window = (1, 1), (1, 1), (1, 1), 1
    assert backend.conv_forward(x, weight, None, *window).shape == (0, 4, 5, 5)
    grad_out = np.zeros((0, 4, 5, 5), np.float32)
    assert backend.conv_backward_input(grad_out, weight, x.shape, *window).shape == x.shape
    np.testing.assert_array_equal(
        backend.conv_backward_weight(grad_out, x, weight.shape, *window), np.zeros_like(weight)
    )
    np.testing.assert_array_equal(backend.conv_backward_bias(grad_out), np.zeros(4, np.float32))


@BOTH
def test_nan_reaches_the_windows_that_see_it(backend):
    x, weight = np.zeros((1, 1, 5, 5), np.float32), np.ones((1, 1, 3, 3), np.float32)
    x[0, 0, 0, 0] = np.nan
    out = backend.conv_forward(x, weight, None, (1, 1), (0, 0), (1, 1), 1)
    assert np.isnan(out[0, 0, 0, 0])
    assert np.isfinite(out).sum() == 8


def test_bias_gradient_of_many_pixels():
    """Float32 sums in order would be off by 1e-3 here."""
    grad_out = np.full((64, 3, 100, 100), 0.1, np.float32)
    np.testing.assert_allclose(cpu.conv_backward_bias(grad_out), np.full(3, np.float32(0.1) * 640_000.0), rtol=1e-7)
