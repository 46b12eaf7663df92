"""Fused kernels: by hand -> the composition of plain kernels and PyTorch -> reference -> compiled."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from minicnn_kernels.windows import window_tables
from tests.helpers.kernel_cases import DTYPES, ORDERS, PoolCase, arrange, assert_close, normal, num_threads, pool_cases
from tests.helpers.untouched import assert_untouched
from tests.helpers.vector_widths import WIDTHS

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
PLAIN = (2, 2), (2, 2), (0, 0), (1, 1), False
SIZES = st.sampled_from((1, 3, 16, 17, 20, 33, 64))  # channels: fewer than a vector has lanes, just so many, and others


def tolerance(dtype: type) -> float:
    """Batch norm adds up a few hundred numbers of size up to about 4, and divides by a deviation that may be small."""
    return 2000 * float(np.finfo(dtype).eps)


def check(actual, expected, dtype):
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        scale = 1 + np.abs(other[np.isfinite(other)]).max(initial=0)
        np.testing.assert_allclose(one, other, rtol=tolerance(dtype), atol=tolerance(dtype) * scale)


def unfused(backend, x, weight, bias, eps, window):
    """The same by plain kernels: out, and a function from grad_out to the gradients."""
    y, mean, _, inv_std = backend.batch_norm_forward_train(x, weight, bias, eps)
    r = backend.relu_forward(y)
    windows = window_tables(x.shape[2:], window[:4], window[4])
    out, places = backend.max_pool_forward(r, windows)

    def backward(grad_out):
        grad_r = backend.max_pool_backward_input(grad_out, places, x.shape, windows)
        grad_y = backend.relu_backward_input(grad_r, r)
        return backend.batch_norm_backward_train(grad_y, x, weight, mean, inv_std)

    return out, backward


# ---- batch norm + ReLU + max-pool


@BOTH
@pytest.mark.parametrize("c", [1, 16])
def test_by_hand(backend, c):
    """Values -3, -1, 1, 3: mean 0, variance 5. With weight sqrt(5) the result of batch norm is x again."""
    x = np.repeat(np.array([[-3.0, -1.0], [1.0, 3.0]])[None, None], c, axis=1)
    weight, bias = np.full(c, np.sqrt(5)), np.zeros(c)
    out, saved, mean, var, inv_std = backend.batch_norm_relu_max_pool2d_forward_train(x, weight, bias, 0.0, *PLAIN)
    np.testing.assert_allclose(out, np.full((1, c, 1, 1), 3.0))
    np.testing.assert_array_equal(saved, np.full((1, c, 1, 1), 3))
    np.testing.assert_array_equal([mean[0], var[0]], [0, 5])
    grad_x, grad_weight, grad_bias = backend.batch_norm_relu_max_pool2d_backward_train(
        np.ones_like(out), saved, x, weight, mean, inv_std, *PLAIN
    )
    # g = (0, 0, 0, 1): mean(g) = 1/4, x_hat = x / sqrt(5), mean(g x_hat) = 3 / (4 sqrt(5));
    # grad_x = g - 1/4 - x * 3/20
    np.testing.assert_allclose(grad_x[0, c - 1], [[0.2, -0.1], [-0.4, 0.3]], atol=1e-15)
    np.testing.assert_allclose(grad_weight, np.full(c, 3 / np.sqrt(5)))
    np.testing.assert_array_equal(grad_bias, np.ones(c))


@settings(max_examples=80)
@given(pool_cases(), SIZES, st.booleans(), st.integers(1, 3))
def test_pool_cpu_against_reference(case: PoolCase, c, affine, threads):
    """The record is the reference's in float64; in float32 two nearly equal numbers may change places."""
    n, _, h, w = case.x.shape
    dtype, window = case.x.dtype.type, case[1:6]
    x = case.rng.standard_normal((n + 1, c, h, w)) + 1
    x = arrange(x.astype(dtype), case.rng.choice(ORDERS))
    if x.size == c:
        return  # one value a channel has no variance
    weight, bias = case.rng.standard_normal((2, c)).astype(dtype) if affine else (None, None)
    expected = reference.batch_norm_relu_max_pool2d_forward_train(x, weight, bias, 0.1, *window)
    out, saved, mean, _, inv_std = expected
    with num_threads(threads):
        actual = cpu.batch_norm_relu_max_pool2d_forward_train(x, weight, bias, 0.1, *window)
        assert actual[1].dtype == saved.dtype
        check((actual[0], *actual[2:]), (out, *expected[2:]), dtype)
        if dtype == np.float64:
            np.testing.assert_array_equal(actual[1], saved)
        grad_out = normal(case.rng, out.shape, dtype, case.rng.choice(ORDERS))
        arguments = (grad_out, saved, x, weight, mean, inv_std)
        grads = cpu.batch_norm_relu_max_pool2d_backward_train(*arguments, *window)
    check(grads, reference.batch_norm_relu_max_pool2d_backward_train(*arguments, *window), dtype)


@settings(max_examples=60)
@given(pool_cases(max_channels=2), st.booleans())
def test_pool_reference_against_unfused(case: PoolCase, affine):
    """Ties, NaN and infinities included; where a NaN or an infinity is in a channel, all of it is NaN."""
    if case.x.size <= case.x.shape[1]:
        return
    dtype, window, c = case.x.dtype.type, case[1:6], case.x.shape[1]
    weight, bias = case.rng.standard_normal((2, c)).astype(dtype) if affine else (None, None)
    with np.errstate(all="ignore"):
        expected, backward = unfused(reference, case.x, weight, bias, 0.1, window)
        out, saved, mean, _, inv_std = reference.batch_norm_relu_max_pool2d_forward_train(
            case.x, weight, bias, 0.1, *window
        )
        np.testing.assert_array_equal(out, expected)
        grad_out = normal(case.rng, out.shape, dtype)
        grads = reference.batch_norm_relu_max_pool2d_backward_train(
            grad_out, saved, case.x, weight, mean, inv_std, *window
        )
        check(grads, backward(grad_out), dtype)


def special_arrays():
    """Name, x and weight (20 channels) that try what is easy to get wrong."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 20, 7, 6))
    weight = rng.standard_normal(20)
    weight[::3] = 0  # gamma 0: every window is a tie
    yield "weights of both signs and zero", x, weight
    yield "ties", np.round(x), np.ones(20)
    yield "ties upside down", np.round(x), -np.ones(20)
    poisoned = x.copy()
    poisoned[1, 4, 2, 3] = np.nan
    poisoned[0, 17, 2, 3] = np.inf
    yield "NaN and infinity", poisoned, weight
    yield "constant", np.ones_like(x), weight


@pytest.mark.parametrize(("x", "weight"), [pytest.param(*c[1:], id=c[0]) for c in special_arrays()])
@pytest.mark.parametrize(
    "window",
    [
        PLAIN,
        ((3, 3), (2, 2), (1, 1), (1, 1), False),
        ((2, 2), (2, 2), (1, 1), (1, 1), True),
        ((1, 1), (3, 2), (0, 0), (1, 1), False),
        ((2, 3), (1, 1), (0, 1), (2, 2), False),
    ],
)
@pytest.mark.parametrize("bias", [-0.3, 0.0, 0.3])
def test_special_values(x, weight, window, bias):
    """Compiled, in float64, against the unfused compiled kernels."""
    shift = np.full(20, bias)
    with np.errstate(all="ignore"):
        expected, backward = unfused(cpu, x, weight, shift, 1e-5, window)
        out, saved, mean, _, inv_std = cpu.batch_norm_relu_max_pool2d_forward_train(x, weight, shift, 1e-5, *window)
        grad_out = np.random.default_rng(1).standard_normal(out.shape)
        grads = cpu.batch_norm_relu_max_pool2d_backward_train(grad_out, saved, x, weight, mean, inv_std, *window)
        check((out, *grads), (expected, *backward(grad_out)), np.float64)


@BOTH
def test_window_off_the_image(backend):
    """A dilated window whose taps all lie on the padding: the largest of nothing, as for the pooling alone."""
    x = np.random.default_rng(0).standard_normal((4, 16, 1, 1)).astype(np.float32)
    window = (2, 2), (1, 1), (1, 1), (2, 2), False
    expected, backward = unfused(reference, x, None, None, 0.1, window)
    out, saved, mean, _, inv_std = backend.batch_norm_relu_max_pool2d_forward_train(x, None, None, 0.1, *window)
    np.testing.assert_array_equal(np.isneginf(out), np.isneginf(expected))
    grads = backend.batch_norm_relu_max_pool2d_backward_train(np.ones_like(out), saved, x, None, mean, inv_std, *window)
    check(grads, backward(np.ones_like(out)), np.float32)


@BOTH
@pytest.mark.parametrize(("kernel", "record"), [((3, 5), np.uint8), ((16, 16), np.uint16)])
def test_record_is_small(backend, kernel, record):
    x = np.random.default_rng(0).standard_normal((2, 16, 16, 32)).astype(np.float32)
    window = kernel, kernel, (0, 0), (1, 1), False
    expected, backward = unfused(backend, x, None, None, 0.1, window)
    out, saved, mean, _, inv_std = backend.batch_norm_relu_max_pool2d_forward_train(x, None, None, 0.1, *window)
    assert saved.dtype == record
    grad_out = np.random.default_rng(1).standard_normal(out.shape).astype(np.float32)
    grads = backend.batch_norm_relu_max_pool2d_backward_train(grad_out, saved, x, None, mean, inv_std, *window)
    check((out, *grads), (expected, *backward(grad_out)), np.float32)


def test_threads_change_rounding_only_in_sums():
    """Bitwise the same again for one number of threads; a large case, so that there are chunks to share out."""
    x = np.random.default_rng(0).standard_normal((8, 24, 30, 30)).astype(np.float32)
    results = []
    for threads in (1, 2, 2, 3):
        with num_threads(threads):
            out, saved, mean, _, inv_std = cpu.batch_norm_relu_max_pool2d_forward_train(x, None, None, 1e-5, *PLAIN)
            grads = cpu.batch_norm_relu_max_pool2d_backward_train(out, saved, x, None, mean, inv_std, *PLAIN)
        results.append((out, mean, *grads))
    for one, other in zip(results[1], results[2], strict=True):
        np.testing.assert_array_equal(one, other)
    for result in results[1:]:
        check(result, results[0], np.float32)


# ---- batch norm + ReLU


@settings(max_examples=60)
@given(
    st.integers(1, 4), SIZES, st.lists(st.integers(1, 7), max_size=3), st.sampled_from(DTYPES), st.sampled_from(ORDERS),
    st.booleans(), st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_batch_norm_relu(n, c, spatial, dtype, order, affine, threads, seed):
    rng = np.random.default_rng(seed)
    shape = (n + 1, c, *spatial)
    x, grad_out = normal(rng, shape, dtype, order), normal(rng, shape, dtype, order)
    weight, bias = rng.standard_normal((2, c)).astype(dtype) if affine else (None, None)
    expected = reference.batch_norm_relu_forward_train(x, weight, bias, 0.1)
    y, mean, _, inv_std = reference.batch_norm_forward_train(x, weight, bias, 0.1)
    np.testing.assert_array_equal(expected[0], np.maximum(y, 0))
    with num_threads(threads):
        check(cpu.batch_norm_relu_forward_train(x, weight, bias, 0.1), expected, dtype)
        arguments = grad_out, expected[0], x, weight, mean, inv_std
        actual = cpu.batch_norm_relu_backward_train(*arguments)
    check(actual, reference.batch_norm_relu_backward_train(*arguments), dtype)
    grad_y = np.where(y > 0, grad_out, dtype(0))
    check(actual, reference.batch_norm_backward_train(grad_y, x, weight, mean, inv_std), dtype)


@pytest.mark.parametrize("c", [2, 40])
def test_against_torch(c):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((3, c, 6, 8)) * 2 + 1, rng.standard_normal(c), rng.standard_normal(c)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
    y = torch.relu(torch.nn.functional.batch_norm(tensors[0], None, None, *tensors[1:], training=True, eps=1e-3))
    expected = torch.nn.functional.max_pool2d(y, 3, 2, 1)
    grad_out = rng.standard_normal(tuple(expected.shape))
    expected.backward(torch.tensor(grad_out))
    window = (3, 3), (2, 2), (1, 1), (1, 1), False
    out, saved, mean, _, inv_std = cpu.batch_norm_relu_max_pool2d_forward_train(x, weight, bias, 1e-3, *window)
    grads = cpu.batch_norm_relu_max_pool2d_backward_train(grad_out, saved, x, weight, mean, inv_std, *window)
    check((out, *grads), [expected.detach().numpy(), *(t.grad.numpy() for t in tensors)], np.float64)


@pytest.mark.parametrize("centre", [0.0, 1000.0])
def test_statistics_of_float32_keep_all_digits(centre):
    x = (np.random.default_rng(0).standard_normal((16, 20, 28, 28)) + centre).astype(np.float32)
    for threads in (1, 3):
        with num_threads(threads):
            _, mean, var, _ = cpu.batch_norm_relu_forward_train(x, None, None, 1e-5)
        np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(var, x.var(axis=(0, 2, 3), dtype=np.float64), rtol=1e-6)


# ---- ReLU after a convolution or a linear layer, and before dropout


@BOTH
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("order", ["row-major", "channels-last"])
def test_conv2d_relu(backend, biased, order):
    rng = np.random.default_rng(0)
    x, weight = normal(rng, (2, 3, 7, 8), np.float64, order), rng.standard_normal((5, 3, 3, 3))
    bias = rng.standard_normal(5) if biased else None
    for window in (((1, 1), (1, 1), (1, 1), 1), ((2, 1), (0, 1), (1, 2), 1)):
        y = reference.conv_forward(x, weight, bias, *window)
        assert_close(backend.conv2d_relu_forward(x, weight, bias, *window), np.where(y > 0, y, 0.0), 27)


@BOTH
@pytest.mark.parametrize("rows", [0, 1, 5, 70])
@pytest.mark.parametrize("biased", [True, False])
def test_linear_relu(backend, rows, biased):
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((rows, 30)), rng.standard_normal((12, 30))
    bias = rng.standard_normal(12) if biased else None
    y = x @ weight.T + (bias if biased else 0)
    assert_close(backend.linear_relu_forward(x, weight, bias), np.where(y > 0, y, 0.0), 30)


@BOTH
@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("order", ORDERS)
def test_relu_dropout(backend, p, dtype, order):
    rng = np.random.default_rng(0)
    x = normal(rng, (5, 3, 37), dtype, order)
    grad_out = normal(rng, x.shape, dtype)
    expected = reference.dropout_forward(np.maximum(x, 0), p, 7, 11)
    grad_r = reference.dropout_backward_input(grad_out, p, 7, 11)
    for threads in (1, 3):
        with num_threads(threads):
            out = backend.relu_dropout_forward(x, p, 7, 11)
            grad_x = backend.relu_dropout_backward_input(grad_out, out, p)
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_array_equal(grad_x, np.where(x > 0, grad_r, dtype(0)))


def test_relu_dropout_keeps_nan():
    x = np.array([np.nan, -1.0, 2.0, np.inf], np.float32)
    out = cpu.relu_dropout_forward(x, 0.0, 0, 0)
    np.testing.assert_array_equal(out, [np.nan, 0, 2, np.inf])


# ---- memory that the vector instructions may touch


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages with mprotect")
@pytest.mark.parametrize("simd", WIDTHS)
def test_nothing_outside_the_arrays_is_touched(simd):
    assert_untouched("guarded_fused", MINICNN_SIMD=simd)


@pytest.mark.skipif(sys.platform != "linux", reason="protects pages with mprotect")
def test_without_compilation():
    """The same loops as plain Python: a debugger can step through them."""
    assert_untouched("guarded_fused", "--few", NUMBA_DISABLE_JIT="1")
