"""The algorithms of a convolution: which is chosen, how one is asked for, and that each computes the same."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minicnn as mc
import minicnn_kernels
from minicnn_kernels import cpu, reference, workspace
from minicnn_kernels.cpu import conv, conv_few_pixels
from minicnn_kernels.cpu.conv_choice import choose
from tests.helpers.kernel_cases import ConvCase, conv_cases, normal, num_threads


def assert_algorithm_is_right(case: ConvCase, algorithm: str) -> None:
    """Against the reference in float64; 60 eps of the largest sum of magnitudes is Winograd's bound, the others' is 8."""
    factor = 60 if algorithm == "winograd" else 8
    arrays = (case.x, case.weight, case.bias)
    x, weight, bias = (None if a is None else a.astype(float) for a in arrays)
    expected = reference.conv_forward(x, weight, bias, *case.window)
    grad_out = normal(case.rng, expected.shape, case.x.dtype)
    grad = grad_out.astype(float)
    before = [None if a is None else a.copy() for a in arrays]
    pairs = [
        (
            cpu.conv_forward(*arrays, *case.window, algorithm),
            expected,
            reference.conv_forward(abs(x), abs(weight), None if bias is None else abs(bias), *case.window),
        ),
        (
            cpu.conv_backward_input(grad_out, case.weight, x.shape, *case.window, algorithm),
            reference.conv_backward_input(grad, weight, x.shape, *case.window),
            reference.conv_backward_input(abs(grad), abs(weight), x.shape, *case.window),
        ),
        (
            cpu.conv_backward_weight(grad_out, case.x, weight.shape, *case.window, algorithm),
            reference.conv_backward_weight(grad, x, weight.shape, *case.window),
            reference.conv_backward_weight(abs(grad), abs(x), weight.shape, *case.window),
        ),
    ]
    for actual, wanted, scale in pairs:
        assert actual.dtype == case.x.dtype
        assert actual.shape == wanted.shape
        tolerance = factor * np.finfo(actual.dtype).eps * scale.max(initial=1)
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=tolerance)
    for array, copy in zip(arrays, before, strict=True):
        if array is not None:
            np.testing.assert_array_equal(array, copy)  # arguments are left as they were


@settings(max_examples=70, deadline=None)
@given(conv_cases(max_channels=40), st.sampled_from(["direct", "im2col", "exact", "auto"]), st.integers(1, 3))
def test_any_convolution(case, algorithm, threads):
    with num_threads(threads):
        assert_algorithm_is_right(case, algorithm)


@settings(max_examples=40, deadline=None)
@given(conv_cases(max_channels=40), st.integers(1, 3))
def test_filters_where_they_lie_on_any_shape(case, threads):
    """Of one group, and without the padding that would make a filter's rim useless: that is cut off before."""
    assume(case.x.size)
    weight = normal(case.rng, (case.weight.shape[0], case.x.shape[1], *case.weight.shape[2:]), case.x.dtype)
    with num_threads(threads), pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "algorithm_of", lambda *arguments, **options: conv_few_pixels)
        assert_algorithm_is_right(case._replace(weight=weight, groups=1), "im2col")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "stride", "padding"),
    [
        ((16, 160, 2, 2), (192, 160, 3, 3), 1, 1),  # as the last layers of ResNet-18 on images of 64x64
        ((3, 130, 9, 8), (300, 130, 3, 3), 2, 1),  # more than one KC, more than eight panels, nothing that tiles divide
        ((3, 70, 9, 8), (270, 70, 1, 1), 2, 0),
        ((2, 600, 5, 7), (260, 600, 1, 1), 1, 0),
        ((2, 20, 9, 9), (160, 20, 5, 5), 3, 2),  # more taps than lanes
    ],
)
def test_filters_where_they_lie_on_larger_shapes(dtype, x_shape, weight_shape, stride, padding):
    rng = np.random.default_rng(x_shape[1])
    x, bias = normal(rng, x_shape, dtype, "channels-last"), normal(rng, weight_shape[:1], dtype)
    case = ConvCase(x, normal(rng, weight_shape, dtype), bias, (stride,) * 2, (padding,) * 2, (1, 1), 1, rng)
    assert conv.algorithm_of(x_shape, weight_shape, *case.window, "exact") is conv_few_pixels
    for threads in (1, 2):
        with num_threads(threads):
            assert_algorithm_is_right(case, "exact")


@settings(max_examples=40, deadline=None)
@given(conv_cases(max_channels=70, axes=(2,)), st.integers(1, 3), st.integers(0, 3), st.integers(0, 3))
def test_winograd_on_any_shape(case, threads, top, left):
    """The drawn case with a 3x3 filter, one group, no stride."""
    c_out, c_in = case.weight.shape[0], case.x.shape[1]
    n, _, h, w = case.x.shape
    x = normal(case.rng, (n, c_in, max(h, 3 - 2 * top), max(w, 3 - 2 * left)), case.x.dtype)
    weight = normal(case.rng, (c_out, c_in, 3, 3), case.x.dtype)
    with num_threads(threads):
        case = case._replace(x=x, weight=weight, stride=(1, 1), padding=(top, left), dilation=(1, 1), groups=1)
        assert_algorithm_is_right(case, "winograd")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n", "c_in", "c_out", "size", "kernel", "stride", "padding", "groups"),
    [
        (5, 1, 32, 28, 3, 1, 1, 1),
        (1, 3, 64, 40, 7, 2, 3, 1),
        (2, 33, 65, 15, 3, 1, 0, 1),  # no padding: read in place; no tile divides anything
        (2, 48, 96, 12, 5, 1, 2, 4),
        (1, 60, 40, 40, 3, 1, 1, 1),  # several bands of an image
    ],
)
def test_direct_on_larger_shapes(dtype, n, c_in, c_out, size, kernel, stride, padding, groups):
    rng = np.random.default_rng(c_in)
    x, bias = normal(rng, (n, c_in, size, size + 1), dtype, "channels-last"), normal(rng, (c_out,), dtype)
    weight = normal(rng, (c_out, c_in // groups, kernel, kernel), dtype)
    case = ConvCase(x, weight, bias, (stride,) * 2, (padding,) * 2, (1, 1), groups, rng)
    for threads in (1, 2, 3):
        with num_threads(threads):
            assert_algorithm_is_right(case, "direct")


CHOICES = [
    ((8, 64, 56, 56), (64, 64, 3, 3), (1, 1), (1, 1), 1, "winograd"),
    ((8, 256, 14, 14), (256, 256, 3, 3), (1, 1), (1, 1), 1, "winograd"),
    ((64, 32, 14, 14), (64, 32, 3, 3), (1, 1), (1, 1), 1, "winograd"),
    ((64, 1, 28, 28), (32, 1, 3, 3), (1, 1), (1, 1), 1, "direct"),
    ((64, 2, 32, 32), (32, 2, 3, 3), (1, 1), (1, 1), 1, "direct"),  # fewer channels than a vector has lanes
    ((64, 16, 32, 32), (16, 16, 3, 3), (1, 1), (1, 1), 1, "winograd"),
    ((8, 64, 56, 56), (64, 64, 3, 3), (2, 2), (1, 1), 1, "direct"),
    ((8, 256, 14, 14), (256, 256, 3, 3), (2, 2), (1, 1), 1, "im2col"),
    ((8, 256, 56, 56), (64, 256, 1, 1), (2, 2), (0, 0), 1, "direct"),
    ((32, 64, 4096), (64, 64, 7), (1,), (3,), 1, "direct"),
    ((8, 64, 56, 56), (64, 64, 1, 1), (1, 1), (0, 0), 1, "im2col"),
    ((8, 64, 56, 56), (64, 1, 3, 3), (1, 1), (1, 1), 64, "direct"),
    ((2, 16, 16, 56, 56), (16, 16, 3, 3, 3), (1, 1, 1), (1, 1, 1), 1, "winograd"),
    ((2, 64, 8, 28, 28), (64, 64, 1, 3, 3), (1, 1, 1), (0, 1, 1), 1, "winograd"),
    ((2, 64, 8, 28, 28), (64, 64, 3, 1, 1), (1, 1, 1), (1, 0, 0), 1, "direct"),
    ((2, 256, 8, 28, 28), (64, 256, 3, 3, 3), (2, 1, 1), (1, 1, 1), 1, "im2col"),
    ((2, 64, 8, 28, 28), (64, 64, 1, 1, 1), (1, 1, 1), (0, 0, 0), 1, "im2col"),
    ((2, 64, 100), (64, 1, 3), (1,), (1,), 64, "direct"),
    ((1, 256, 2, 2), (256, 256, 3, 3), (1, 1), (1, 1), 1, "im2col"),  # a tile of 16 for 4 pixels
    ((16, 256, 4, 4), (256, 256, 3, 3), (1, 1), (1, 1), 1, "winograd"),  # filters that outweigh the images
    ((16, 512, 2, 2), (512, 512, 3, 3), (1, 1), (1, 1), 1, "winograd"),  # 9 points
    ((2, 256, 4, 4), (256, 256, 3, 3), (1, 1), (1, 1), 1, "im2col"),  # too few tiles for mapping the filters
    ((16, 250, 4, 4), (256, 250, 3, 3), (1, 1), (1, 1), 1, "im2col"),  # no whole vectors of channels
    ((16, 128, 8, 8), (256, 128, 3, 3), (2, 2), (1, 1), 1, "im2col"),
    ((16, 128, 8, 8), (128, 128, 3, 3), (1, 1), (1, 1), 1, "winograd"),
    ((16, 512, 8, 8), (512, 512, 3, 3), (1, 1), (1, 1), 1, "winograd"),
]


@pytest.mark.parametrize(("x_shape", "weight_shape", "stride", "padding", "groups", "algorithm"), CHOICES)
def test_choice(x_shape, weight_shape, stride, padding, groups, algorithm):
    ones = (1,) * len(stride)
    choice = choose(x_shape, weight_shape, stride, padding, ones, groups)
    assert choice.algorithm == algorithm
    assert choice.reason
    assert choose(x_shape, weight_shape, stride, padding, ones, groups, standing=True).reason
    assert choose(x_shape, weight_shape, stride, padding, ones, groups, "exact").algorithm != "winograd"


@pytest.mark.parametrize(
    ("weight_shape", "stride", "dilation", "groups", "problem"),
    [
        ((4, 4, 5, 5), (1, 1), (1, 1), 1, "the filters are 5x5"),
        ((4, 4, 3, 3), (2, 1), (1, 1), 1, r"stride is \(2, 1\)"),
        ((4, 4, 3, 3), (1, 1), (1, 2), 1, r"dilation is \(1, 2\)"),
        ((4, 2, 3, 3), (1, 1), (1, 1), 2, "groups is 2"),
    ],
)
def test_winograd_where_it_cannot(weight_shape, stride, dilation, groups, problem):
    message = rf"conv_algorithm\('winograd'\): .* but {problem}; use 'auto'"
    with pytest.raises(ValueError, match=message):
        choose((1, 4, 9, 9), weight_shape, stride, (0, 0), dilation, groups, "winograd")
    with mc.conv_algorithm("winograd"), pytest.raises(ValueError, match=message):
        mc.nn.functional.conv2d(
            mc.zeros(1, 4, 9, 9), mc.zeros(*weight_shape), stride=stride, dilation=dilation, groups=groups
        )


def test_unknown_algorithm():
    message = r"conv_algorithm\(\): there is no algorithm 'fft'; choose one of 'auto', "
    with pytest.raises(ValueError, match=message), mc.conv_algorithm("fft"):
        pass


def conv_results(forward: str, backward: str) -> list[np.ndarray]:
    """Output and gradients of one convolution whose backward pass runs within another setting."""
    mc.manual_seed(0)
    x, weight = mc.randn(2, 16, 9, 9, requires_grad=True), mc.randn(32, 16, 3, 3, requires_grad=True)
    with mc.conv_algorithm(forward):
        out = mc.nn.functional.conv2d(x, weight, padding=1)
    with mc.conv_algorithm(backward):
        out.backward(mc.ones(*out.shape) / 3)
    return [out.detach().numpy(), x.grad.numpy(), weight.grad.numpy()]


@pytest.mark.parametrize("forward", ["im2col", "direct", "winograd"])
def test_a_graph_keeps_its_algorithm(forward):
    own = conv_results(forward, forward)
    for backward in ("im2col", "direct", "winograd"):
        for one, other in zip(own, conv_results(forward, backward), strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(own[2], conv_results("winograd" if forward != "winograd" else "im2col", "auto")[2])


@pytest.mark.parametrize("algorithm", ["im2col", "direct", "winograd"])
@pytest.mark.parametrize("n", [1, 16])
def test_a_weights_gradient_owns_its_memory(n, algorithm):
    """So that the backward pass hands it over as it is; else each step would copy all gradients."""
    x, grad_out, weight_shape = np.ones((n, 96, 6, 6), np.float32), np.ones((n, 96, 6, 6), np.float32), (96, 96, 3, 3)
    assert workspace.owns(cpu.conv_backward_weight(grad_out, x, weight_shape, (1, 1), (1, 1), (1, 1), 1, algorithm))


def test_exact_mode():
    assert minicnn_kernels.current_conv_algorithm() == "auto"
    mc.set_exact_convolutions(True)
    try:
        assert minicnn_kernels.current_conv_algorithm() == "exact"
        with mc.conv_algorithm("winograd"):
            assert minicnn_kernels.current_conv_algorithm() == "winograd"
    finally:
        mc.set_exact_convolutions(False)


@pytest.mark.parametrize(("setting", "expected"), [("", "auto"), ("0", "auto"), ("1", "exact")])
def test_exact_mode_from_the_environment(setting, expected, monkeypatch):
    monkeypatch.setenv("MINICNN_EXACT", setting)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    code = "import minicnn_kernels as k; print(k.current_conv_algorithm())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == expected


def test_the_reference_takes_no_notice():
    x, weight = np.ones((1, 2, 5, 5)), np.ones((3, 2, 5, 5))
    for algorithm in ("auto", "winograd"):
        assert reference.conv_forward(x, weight, None, (1, 1), (0, 0), (1, 1), 1, algorithm)[0, 0, 0, 0] == 50
