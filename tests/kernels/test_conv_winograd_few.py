"""Winograd convolution of few tiles by many filters: against float64, and the same bits with any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import reference
from minicnn_kernels.cpu import conv, conv_winograd, conv_winograd_few, winograd_filters
from minicnn_kernels.cpu.conv_choice import LANES, choose, few_tiles
from minicnn_kernels.cpu.simd import lanes
from tests.helpers.kernel_cases import normal, num_threads


def results(module, x, weight, bias, grad_out, window):
    return (
        module.forward(x, weight, bias, *window),
        module.backward_input(grad_out, weight, x.shape, *window),
        module.backward_weight(grad_out, x, weight.shape, *window),
    )


def assert_right(n, c_in, c_out, size, padding, dtype, all_threads=(1, 2, 3), factor=60):
    """Forward, with bias, and both gradients, beside the reference in float64: 60 eps of the largest sum of magnitudes, the
    bound of ``test_conv_winograd.py``. No thread adds up what another one has begun, so bits do not depend on how many."""
    rng = np.random.default_rng(n + c_in)
    x, weight = normal(rng, (n, c_in, *size), dtype, "channels-last"), normal(rng, (c_out, c_in, 3, 3), dtype)
    bias, window = normal(rng, (c_out,), dtype), ((1, 1), padding, (1, 1), 1)
    wide = [a.astype(float) for a in (x, weight, bias)]
    grad_out = normal(rng, reference.conv_forward(*wide, *window).shape, dtype)
    actual = []
    for threads in all_threads:
        with num_threads(threads):
            actual.append(results(conv_winograd_few, x, weight, bias, grad_out, window))
    wide.append(grad_out.astype(float))
    expected = results(Reference, *wide, window)
    scales = results(Reference, *map(abs, wide), window)
    for first, *others, wanted, scale in zip(*actual, expected, scales, strict=True):
        assert first.dtype == dtype
        assert first.shape == wanted.shape
        np.testing.assert_allclose(first, wanted, rtol=0, atol=factor * np.finfo(dtype).eps * scale.max(initial=1))
        for other in others:
            np.testing.assert_array_equal(first, other)


class Reference:
    forward = staticmethod(reference.conv_forward)
    backward_input = staticmethod(reference.conv_backward_input)
    backward_weight = staticmethod(reference.conv_backward_weight)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n", "c_in", "c_out", "size", "padding"),
    [
        (16, 80, 112, (4, 4), (1, 1)),  # half a panel at the end
        (3, 144, 96, (5, 7), (1, 1)),  # more than a block of rows of filters; tiles at the edge
        (2, 64, 64, (9, 4), (0, 2)),
        (2, 32, 64, (6, 5), (3, 2)),  # padding beyond the filter
        (20, 32, 32, (14, 10), (1, 1)),  # more tiles than are summed at once
        (0, 32, 32, (4, 4), (1, 1)),
    ],
)
def test_against_float64(n, c_in, c_out, size, padding, dtype):
    assert_right(n, c_in, c_out, size, padding, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "c_in", "c_out"), [(1, 32, 32), (16, 160, 112), (37, 64, 96)])
def test_images_of_two_by_two(n, c_in, c_out, dtype):
    """9 points, with sums of four numbers at most, whose errors are the direct sum's."""
    assert_right(n, c_in, c_out, (2, 2), (1, 1), dtype, factor=8)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 5),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.sampled_from([np.float32, np.float64]),
)
def test_any_shape(n, i, o, size, padding, dtype):
    wide = lanes(np.dtype(dtype))
    assert_right(n, i * wide, o * wide, size, padding, dtype, all_threads=(1, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("turned", [False, True])
def test_filters_mapped_by_vectors(turned, dtype):
    """As the matrix product maps them, in the order that ``conv_winograd.convolve`` wants; in one strip or in several."""
    weight = normal(np.random.default_rng(0), (3 * LANES, 4 * LANES, 3, 3), dtype)
    rows, channels = (3, 4) if turned else (4, 3)
    columns = conv_winograd.tile_columns(np.dtype(dtype))
    points = np.einsum("ai,ocij,bj->aboc", *(conv_winograd.G, weight.astype(float), conv_winograd.G))
    if turned:
        points = np.einsum("ai,ocij,bj->abco", conv_winograd.G, weight[..., ::-1, ::-1].astype(float), conv_winograd.G)
    points = points.reshape(36, channels * LANES, rows * LANES).transpose(0, 2, 1)  # (36, rows, channels)
    for threads in (1, 3):
        with num_threads(threads):
            u = winograd_filters.mapped(weight, turned).reshape(36, -1)[:, : -winograd_filters.PAD]
        panels = u.reshape(36, -1, rows * LANES, columns).transpose(0, 2, 1, 3).reshape(36, rows * LANES, -1)
        np.testing.assert_allclose(panels[..., : channels * LANES], points, rtol=0, atol=8 * np.finfo(dtype).eps)


def test_who_takes_what():
    """By shapes alone: few tiles for many filters; for their gradient, more tiles."""
    filters, ones = (256, 256, 3, 3), ((1, 1), (1, 1), (1, 1), 1)
    for shape, forward, summing in [
        ((16, 256, 4, 4), conv_winograd_few, conv_winograd_few),
        ((4, 256, 14, 14), conv_winograd_few, conv_winograd_few),
        ((8, 256, 14, 14), conv_winograd, conv_winograd_few),
        ((16, 256, 28, 28), conv_winograd, conv_winograd),  # tiles that no cache would keep for the next panel
        ((64, 256, 56, 56), conv_winograd, conv_winograd),
    ]:
        assert conv.algorithm_of(shape, filters, *ones) is forward
        assert conv.algorithm_of(shape, filters, *ones, summing=True) is summing
        assert conv.algorithm_of(shape, filters, *ones, standing=True) is conv_winograd
        assert choose(shape, filters, *ones).algorithm == "winograd"
    assert not few_tiles((16, 250, 4, 4), (256, 250, 3, 3), (1, 1))  # no whole vectors of channels
    assert not few_tiles((16, 32, 4, 4), (64, 32, 3, 3), (1, 1))  # few filters
    assert not few_tiles((0, 256, 4, 4), filters, (1, 1))
