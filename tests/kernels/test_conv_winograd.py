"""Winograd convolution: maps against matrices, results against float64, rounding errors against two bounds."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn_kernels import reference
from minicnn_kernels.cpu import conv_winograd
from minicnn_kernels.cpu import winograd_tiles as tiles
from tests.helpers.kernel_cases import normal, num_threads

PAIR_B_T = np.array([[1, 1], [0, 1], [1, 0]])
PAIR_G = np.array([[0, 1, 0], [0, -1, 1], [1, -1, 0]])
PAIR_A_T = np.array([[1, 1, 0], [1, 0, 1]])
MAPS = [
    (tiles.apply_b_t, tiles.B_T),
    (tiles.apply_a_t, tiles.A_T),
    (tiles.apply_a, tiles.A_T.T),
    (tiles.apply_g, tiles.G),
    (tiles.apply_g_t, tiles.G.T),
    (tiles.apply_pair_b_t, PAIR_B_T),
    (tiles.apply_pair_a_t, PAIR_A_T),
    (tiles.apply_pair_a, PAIR_A_T.T),
    (tiles.apply_pair_g, PAIR_G),
    (tiles.apply_pair_g_t, PAIR_G.T),
]


def test_the_matrices_convolve():
    """F(4, 3) itself (eq. 6): exact for small integers times 24."""
    rng = np.random.default_rng(0)
    d, g = rng.integers(-9, 9, 6), 24 * rng.integers(-9, 9, 3)
    y = tiles.A_T @ ((tiles.G @ g) * (tiles.B_T @ d))
    np.testing.assert_allclose(y, [d[i : i + 3] @ g for i in range(4)], rtol=0, atol=1e-9)
    d[[0, 3]] = 0  # two pixels between zeros
    y = PAIR_A_T @ ((PAIR_G @ g) * (PAIR_B_T @ d[1:3]))
    assert y.tolist() == [d[i : i + 3] @ g for i in range(2)]


@pytest.mark.parametrize(("function", "matrix"), MAPS, ids=[f.__name__ for f, _ in MAPS])
def test_functions_are_the_matrices(function, matrix):
    """Column j of the matrix is the image of the j-th unit vector."""
    columns = [function(*unit) for unit in np.eye(matrix.shape[1])]
    np.testing.assert_allclose(np.transpose(columns), matrix, rtol=1e-15, atol=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("function", "matrix"), MAPS, ids=[f.__name__ for f, _ in MAPS])
def test_compiled_maps(function, matrix, dtype):
    """M tile M^T for each channel, at any strides, and nothing else written."""
    compiled = {
        "apply_b_t": tiles.input_tile,
        "apply_a_t": tiles.output_tile,
        "apply_a": tiles.grad_tile,
        "apply_g": tiles.filter_tile,
        "apply_g_t": tiles.filter_back_tile,
        "apply_pair_b_t": tiles.pair_input_tile,
        "apply_pair_a_t": tiles.pair_output_tile,
        "apply_pair_a": tiles.pair_grad_tile,
        "apply_pair_g": tiles.pair_filter_tile,
        "apply_pair_g_t": tiles.pair_filter_back_tile,
    }[function.__name__]
    import numba

    @numba.njit
    def call(source, at, row, column, target, t_at, t_row, t_column):
        compiled(source, at, row, column, target, t_at, t_row, t_column)

    wide = tiles.lanes(np.dtype(dtype))
    m, n = matrix.shape
    source = np.random.default_rng(1).standard_normal((n, n, wide + 3)).astype(dtype)
    target = np.full((m, m + 1, wide + 1), 7, dtype)
    call(source.reshape(-1), 2, n * (wide + 3), wide + 3, target.reshape(-1), 1, (m + 1) * (wide + 1), wide + 1)
    expected = np.full_like(target, 7)
    expected[:, :m, 1:] = np.einsum("ai,ijc,bj->abc", matrix, source[:, :, 2 : 2 + wide], matrix)
    tolerance = 300 * np.finfo(dtype).eps  # entries up to 64, sums of 36
    np.testing.assert_allclose(target, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(target[:, m], 7)


def magnitudes(x: np.ndarray, weight: np.ndarray, padding: int) -> np.ndarray:
    """The algorithm with absolute values everywhere, in float64: what rounding errors are relative to."""
    n, _, h, w = x.shape
    h_out, w_out = h + 2 * padding - 2, w + 2 * padding - 2
    down, across = -(-h_out // 4), -(-w_out // 4)
    padded = np.zeros((n, x.shape[1], 4 * down + 2, 4 * across + 2))
    padded[:, :, padding : padding + h, padding : padding + w] = abs(x)
    b_t, g, a_t = abs(tiles.B_T), abs(tiles.G), abs(tiles.A_T)
    u = np.einsum("pi,ocij,qj->ocpq", g, abs(weight).astype(float), g)
    out = np.empty((n, weight.shape[0], 4 * down, 4 * across))
    for i in range(down):
        for j in range(across):
            tile = padded[:, :, 4 * i : 4 * i + 6, 4 * j : 4 * j + 6]
            v = np.einsum("pi,ncij,qj->ncpq", b_t, tile, b_t)
            m = np.einsum("ocpq,ncpq->nopq", u, v)
            out[:, :, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = np.einsum("ap,nopq,bq->noab", a_t, m, a_t)
    return out[:, :, :h_out, :w_out]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 16, 64, 256])
def test_rounding_error(channels, dtype):
    """Two bounds on the error of the forward pass.

    The certain one: every map and sum is a dot product, so to first order each result is off by at most (additions on its
    way) * eps/2 times the same computation with absolute values: c_in for the sum over channels, and 2 * (6 + 3 + 6) for the
    maps on both sides. The practical one: errors are random and mostly cancel, and those of c_in terms add up like
    sqrt(c_in), while sum |x||w| grows like c_in: 60 eps of the largest sum |x||w| holds with a factor of 2 to spare for one
    channel, more for many. (The direct sum: about 1 eps.)
    """
    rng = np.random.default_rng(channels)
    x, weight = normal(rng, (2, channels, 13, 14), dtype), normal(rng, (32, channels, 3, 3), dtype)
    window = (1, 1), (1, 1), (1, 1), 1
    wide = np.longdouble if dtype == np.float64 else np.float64
    exact = reference.conv_forward(x.astype(wide), weight.astype(wide), None, *window)
    error = abs(conv_winograd.forward(x, weight, None, *window) - exact)
    eps = float(np.finfo(dtype).eps)
    assert np.all(error <= (channels + 30) * eps / 2 * magnitudes(x, weight, 1))
    sums = reference.conv_forward(abs(x).astype(float), abs(weight).astype(float), None, *window)
    assert error.max() <= 60 * eps * sums.max()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize(
    ("n", "c_in", "c_out", "size", "padding", "kernel"),
    [
        (0, 3, 4, (5, 5), (1, 1), ()),
        (1, 1, 1, (3, 3), (0, 0), ()),  # one output pixel
        (2, 1, 1, (1, 1), (1, 1), ()),  # nothing but edge
        (3, 5, 7, (9, 11), (0, 1), ()),
        (2, 33, 65, (6, 5), (3, 2), ()),  # padding beyond the filter: the input gradient reads a smaller image
        (2, 64, 32, (8, 8), (1, 1), ()),  # whole vectors, whole tiles
        (9, 48, 40, (14, 15), (1, 1), ()),  # more than one block
        (1, 400, 20, (6, 6), (1, 1), ()),  # more than one KC of depth
        (0, 3, 4, (5, 5, 5), (1, 1, 1), (3,)),
        (2, 3, 2, (4, 6, 5), (0, 1, 1), (1,)),  # no sum over depths
        (2, 16, 16, (16, 9, 10), (1, 1, 1), (3,)),  # two depths a row of the product
        (1, 5, 7, (17, 6, 5), (0, 2, 1), (3,)),  # the same, the second stack shorter than the first
        (3, 9, 5, (1, 4, 9), (1, 1, 1), (3,)),  # one depth
        (2, 7, 11, (6, 5, 7), (1, 0, 1), (2,)),  # an even number of taps in depth
        (1, 40, 33, (9, 8, 8), (3, 1, 1), (3,)),  # padding beyond the filter
        (2, 130, 70, (5, 6, 6), (2, 1, 0), (5,)),  # more than one KC of depth
    ],
)
def test_against_float64(n, c_in, c_out, size, padding, kernel, dtype, threads):
    """Forward, with bias, and both gradients. Tolerance: 60 eps of the largest sum of magnitudes, as above."""
    rng = np.random.default_rng(n + c_in)
    x, weight = normal(rng, (n, c_in, *size), dtype, "channels-last"), normal(rng, (c_out, c_in, *kernel, 3, 3), dtype)
    ones = (1,) * len(size)
    bias, window = normal(rng, (c_out,), dtype), (ones, padding, ones, 1)
    exact = reference.conv_forward(x.astype(float), weight.astype(float), bias.astype(float), *window)
    grad_out = normal(rng, exact.shape, dtype)
    with num_threads(threads):
        results = [
            (
                conv_winograd.forward(x, weight, bias, *window),
                conv_winograd.backward_input(grad_out, weight, x.shape, *window),
                conv_winograd.backward_weight(grad_out, x, weight.shape, *window),
            )
            for _ in range(2)
        ]
    for first, again in zip(*results, strict=True):
        np.testing.assert_array_equal(first, again)  # for one number of threads, bit by bit
    x, weight, grad_out = x.astype(float), weight.astype(float), grad_out.astype(float)
    expected = (
        exact,
        reference.conv_backward_input(grad_out, weight, x.shape, *window),
        reference.conv_backward_weight(grad_out, x, weight.shape, *window),
    )
    scales = (
        reference.conv_forward(abs(x), abs(weight), abs(bias.astype(float)), *window),
        reference.conv_backward_input(abs(grad_out), abs(weight), x.shape, *window),
        reference.conv_backward_weight(abs(grad_out), abs(x), weight.shape, *window),
    )
    for actual, wanted, scale in zip(results[0], expected, scales, strict=True):
        assert actual.dtype == dtype
        assert actual.shape == wanted.shape
        np.testing.assert_allclose(actual, wanted, rtol=0, atol=60 * np.finfo(dtype).eps * scale.max(initial=1))


def test_nan_stays_in_its_volume():
    """The rows of the product that begin in one stack end in the next, which may belong to another volume."""
    for channels in (8, 40):
        x = np.ones((3, channels, 4, 8, 8), np.float32)
        x[1] = np.nan
        weight, window = np.ones((channels, channels, 3, 3, 3), np.float32), ((1, 1, 1), (1, 1, 1), (1, 1, 1), 1)
        for result in (
            conv_winograd.forward(x, weight, None, *window),
            conv_winograd.backward_input(x, weight, x.shape, *window),
        ):
            assert np.isnan(result).all(axis=(1, 2, 3, 4)).tolist() == [False, True, False]
            assert np.isfinite(result[::2]).all()
