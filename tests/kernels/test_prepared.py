"""Prepared convolutions: every algorithm, with every ending, for shapes whose tiles, panels and vectors have edges."""

import itertools

import numpy as np
import pytest

import minicnn as mc
from minicnn_kernels import cpu, reference

# n, c_in, c_out, spatial, kernel, stride, padding, groups; the algorithms that take it
SHAPES = {
    "edges": ((2, 5, 37), (9, 11), (3, 3), 1, 1, 1, ("im2col", "direct", "winograd")),
    "whole tiles": ((1, 32, 64), (8, 8), (3, 3), 1, 1, 1, ("im2col", "direct", "winograd")),
    "pointwise": ((1, 33, 96), (7, 7), (1, 1), 1, 0, 1, ("im2col", "direct")),
    "few pixels, many filters": ((1, 40, 300), (7, 7), (3, 3), 2, 1, 1, ("im2col",)),
    "few pixels, many filters, pointwise": ((1, 128, 512), (7, 7), (1, 1), 1, 0, 1, ("im2col",)),
    "deep": ((1, 600, 300), (5, 5), (1, 1), 1, 0, 1, ("im2col",)),  # two blocks of k, and many rows of panels
    "groups": ((2, 8, 20), (6, 5), (3, 3), 2, 1, 2, ("im2col", "direct")),
    "depthwise": ((2, 20, 20), (6, 5), (3, 3), 1, 1, 20, ("auto",)),
    "sequences": ((2, 6, 10), (30,), (5,), 2, 2, 1, ("im2col", "direct")),
    "volumes": ((1, 5, 9), (4, 6, 7), (3, 3, 3), 1, 1, 1, ("im2col", "direct", "winograd")),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_prepared_convolutions(name, dtype, threads):
    (n, c_in, c_out), size, kernel, stride, padding, groups, algorithms = SHAPES[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, c_in, *size)).astype(dtype)
    weight = rng.standard_normal((c_out, c_in // groups, *kernel)).astype(dtype)
    bias = rng.standard_normal(c_out).astype(dtype)
    window = *((value,) * len(size) for value in (stride, padding, 1)), groups
    plain = reference.conv_forward(*(a.astype(np.float64) for a in (x, weight, bias)), *window)
    other = rng.standard_normal(plain.shape).astype(dtype)
    # Sums of so many products of numbers around 1; Winograd's error is about ten times larger.
    atol = 100 * float(np.finfo(dtype).eps) * weight[0].size
    before = mc.get_num_threads()
    mc.set_num_threads(threads)
    try:
        for algorithm, rectify, with_bias in itertools.product(algorithms, (False, True), (False, True)):
            run = cpu.prepare_conv(weight, bias if with_bias else None, x.shape, *window, algorithm, rectify)
            for added in (None, other):
                expected = plain if with_bias else plain - bias.reshape(-1, *(1,) * len(size))
                expected = expected if added is None else expected + added
                expected = np.maximum(expected, 0) if rectify else expected
                result = run(x, added)
                np.testing.assert_allclose(result, expected, rtol=0, atol=atol, err_msg=algorithm)
                np.testing.assert_array_equal(run(x, added), result)  # the same bits again
    finally:
        mc.set_num_threads(before)


@pytest.mark.parametrize("algorithm", ["im2col", "direct", "winograd"])
@pytest.mark.parametrize("c_out", [5, 32])
def test_what_is_no_number_stays(algorithm, c_out):
    """A NaN is not rectified away, minus infinity is."""
    x = np.zeros((1, 16, 4, 4), np.float32)
    bias = np.zeros(c_out, np.float32)
    bias[:3] = np.nan, -np.inf, np.inf
    weight = np.zeros((c_out, 16, 3, 3), np.float32)
    result = cpu.prepare_conv(weight, bias, x.shape, (1, 1), (1, 1), (1, 1), 1, algorithm, True)(x)
    np.testing.assert_array_equal(result[0, :4, 2, 2], [np.nan, 0, np.inf, 0])


def test_reference_says_the_same():
    rng = np.random.default_rng(1)
    x, weight, other = (rng.standard_normal(s) for s in ((2, 3, 5, 5), (4, 3, 3, 3), (2, 4, 5, 5)))
    window = (1, 1), (1, 1), (1, 1), 1
    for rectify, added in itertools.product((False, True), (None, other)):
        results = [k.prepare_conv(weight, None, x.shape, *window, "auto", rectify)(x, added) for k in (cpu, reference)]
        np.testing.assert_allclose(*results, atol=1e-12)
