"""The end of a residual block: by hand -> plain kernels and PyTorch -> reference -> compiled.

That the compiled loops touch nothing outside their arrays is tested with the other fused kernels (``test_fused.py``).
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, ORDERS, normal, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
CHANNELS = st.sampled_from((1, 3, 16, 17, 20, 33))  # fewer than a vector has lanes, just so many, and others


def check(actual, expected, dtype):
    """Sums of a few hundred numbers of size up to about 4, divided by a deviation that may be small."""
    tolerance = 2000 * float(np.finfo(dtype).eps)
    for one, other in zip(actual, expected, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        scale = 1 + np.abs(other[np.isfinite(other)]).max(initial=0)
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale)


@BOTH
@pytest.mark.parametrize("c", [1, 16])
def test_by_hand(backend, c):
    """Values -3, -1, 1, 3: mean 0, variance 5; with weight sqrt(5) batch norm gives x again. Then 2 more to each."""
    x = np.repeat(np.array([[-3.0, -1.0], [1.0, 3.0]])[None, None], c, axis=1)
    weight, bias, other = np.full(c, np.sqrt(5)), np.zeros(c), np.full_like(x, 2)
    out, mean, var, inv_std = backend.batch_norm_add_relu_forward_train(x, weight, bias, other, 0.0)
    np.testing.assert_allclose(out[0, c - 1], [[0, 1], [3, 5]], atol=1e-15)
    np.testing.assert_array_equal([mean[0], var[0]], [0, 5])
    grad_out = np.repeat(np.array([[7.0, 0.0], [0.0, 1.0]])[None, None], c, axis=1)
    grad_x, grad_weight, grad_bias, grad_other = backend.batch_norm_add_relu_backward_train(
        grad_out, out, x, weight, mean, inv_std
    )
    # The 7 is where the rectifier was shut. g = (0, 0, 0, 1) as in test_fused.py.
    np.testing.assert_array_equal(grad_other[0, c - 1], [[0, 0], [0, 1]])
    np.testing.assert_allclose(grad_x[0, c - 1], [[0.2, -0.1], [-0.4, 0.3]], atol=1e-15)
    np.testing.assert_allclose(grad_weight, np.full(c, 3 / np.sqrt(5)))
    np.testing.assert_array_equal(grad_bias, np.ones(c))


@BOTH
@given(st.sampled_from(DTYPES), st.sampled_from(ORDERS), st.sampled_from(ORDERS), st.integers(1, 3))
def test_add_relu(backend, dtype, order_a, order_b, threads):
    rng = np.random.default_rng(0)
    a, b = normal(rng, (2, 3, 5, 4), dtype, order_a), normal(rng, (2, 3, 5, 4), dtype, order_b)
    with num_threads(threads):
        np.testing.assert_array_equal(backend.add_relu_forward(a, b), np.maximum(a + b, 0))


@BOTH
def test_add_relu_keeps_nan(backend):
    a, b = np.array([np.nan, np.inf, -np.inf, 1.0], np.float32), np.array([1.0, -np.inf, 0.0, -1.0], np.float32)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(backend.add_relu_forward(a, b), [np.nan, np.nan, 0, 0])
    assert backend.add_relu_forward(a[:0], b[:0]).shape == (0,)


@settings(max_examples=60)
@given(
    st.integers(1, 4), CHANNELS, st.lists(st.integers(1, 7), max_size=3), st.sampled_from(DTYPES),
    st.sampled_from(ORDERS), st.sampled_from(ORDERS), st.booleans(), st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_batch_norm_add_relu(n, c, spatial, dtype, order, other_order, affine, threads, seed):
    rng = np.random.default_rng(seed)
    shape = (n + 1, c, *spatial)
    x, other, grad_out = (normal(rng, shape, dtype, o) for o in (order, other_order, other_order))
    weight, bias = rng.standard_normal((2, c)).astype(dtype) if affine else (None, None)
    expected = reference.batch_norm_add_relu_forward_train(x, weight, bias, other, 0.1)
    y, mean, _, inv_std = reference.batch_norm_forward_train(x, weight, bias, 0.1)
    np.testing.assert_array_equal(expected[0], np.maximum(y + other, 0))
    with num_threads(threads):
        check(cpu.batch_norm_add_relu_forward_train(x, weight, bias, other, 0.1), expected, dtype)
        arguments = grad_out, expected[0], x, weight, mean, inv_std
        actual = cpu.batch_norm_add_relu_backward_train(*arguments)
    check(actual, reference.batch_norm_add_relu_backward_train(*arguments), dtype)
    np.testing.assert_array_equal(actual[3], np.where(expected[0] > 0, grad_out, dtype(0)))


@pytest.mark.parametrize("c", [2, 40])
def test_against_torch(c):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, other = rng.standard_normal((2, 3, c, 6, 8)) * 2 + 1
    weight, bias = rng.standard_normal((2, c))
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias, other)]
    y = torch.nn.functional.batch_norm(leaves[0], None, None, *leaves[1:3], training=True, eps=1e-3)
    expected = torch.relu(y + leaves[3])
    grad_out = rng.standard_normal(x.shape)
    expected.backward(torch.tensor(grad_out))
    out, mean, _, inv_std = cpu.batch_norm_add_relu_forward_train(x, weight, bias, other, 1e-3)
    grads = cpu.batch_norm_add_relu_backward_train(grad_out, out, x, weight, mean, inv_std)
    check((out, *grads), [expected.detach().numpy(), *(t.grad.numpy() for t in leaves)], np.float64)


def test_the_same_bits_again_for_one_number_of_threads():
    rng = np.random.default_rng(0)
    x, other = rng.standard_normal((2, 8, 24, 30, 30)).astype(np.float32)
    results = []
    for threads in (2, 2, 3):
        with num_threads(threads):
            out, mean, _, inv_std = cpu.batch_norm_add_relu_forward_train(x, None, None, other, 1e-5)
            results.append((out, *cpu.batch_norm_add_relu_backward_train(other, out, x, None, mean, inv_std)))
    for one, same in zip(*results[:2], strict=True):
        np.testing.assert_array_equal(one, same)
    check(results[2], results[0], np.float32)
