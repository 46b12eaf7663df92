"""Batch normalisation: by hand and PyTorch -> reference -> compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, ORDERS, arrange, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_by_hand(backend):
    x = np.array([[1.0, 10.0], [3.0, 10.0]])  # means 2 and 10, variances 1 and 0
    out, mean, var, inv_std = backend.batch_norm_forward_train(
        x, np.array([2.0, 3.0]), np.array([5.0, 7.0]), 0.0 + 1e-12
    )
    np.testing.assert_allclose(out, [[3, 7], [7, 7]], rtol=1e-9)
    np.testing.assert_array_equal(mean, [2, 10])
    np.testing.assert_array_equal(var, [1, 0])
    np.testing.assert_allclose(inv_std, [1, 1e6], rtol=1e-9)


@BOTH
@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 6), (2, 3, 5, 4), (2, 3, 2, 3, 2), (1, 3, 1, 2)])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_against_torch(backend, shape, affine, training):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, grad_out = rng.standard_normal(shape) * 3 + 2, rng.standard_normal(shape)
    weight, bias = rng.standard_normal((2, 3)) if affine else (None, None)
    mean, var = rng.standard_normal(3), rng.random(3) + 0.5

    tensors = {
        name: torch.tensor(array, requires_grad=True)
        for name, array in (("x", x), ("weight", weight), ("bias", bias))
        if array is not None
    }
    running = torch.tensor(mean), torch.tensor(var)
    expected = torch.nn.functional.batch_norm(
        tensors["x"], *running, tensors.get("weight"), tensors.get("bias"), training=training, eps=1e-3
    )
    expected.backward(torch.tensor(grad_out))
    if training:
        out, mean, _, inv_std = backend.batch_norm_forward_train(x, weight, bias, 1e-3)
        grads = backend.batch_norm_backward_train(grad_out, x, weight, mean, inv_std)
    else:
        out, inv_std = backend.batch_norm_forward_eval(x, mean, var, weight, bias, 1e-3)
        grads = backend.batch_norm_backward_eval(grad_out, x, weight, mean, inv_std)
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    for name, grad in zip(("x", "weight", "bias"), grads, strict=True):
        if name in tensors:
            np.testing.assert_allclose(grad, tensors[name].grad.numpy(), rtol=1e-9, atol=1e-10)


@settings(max_examples=60)
@given(
    st.integers(1, 4), st.integers(1, 40), st.lists(st.integers(1, 7), max_size=3), st.sampled_from(DTYPES),
    st.sampled_from(ORDERS), st.booleans(), st.floats(-50, 50), st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_cpu_against_reference(n, c, spatial, dtype, order, affine, centre, threads, seed):
    rng = np.random.default_rng(seed)
    shape = (n + 1, c, *spatial)
    x, grad_out = (arrange((rng.standard_normal(shape) + centre).astype(dtype), order) for _ in range(2))
    weight, bias = rng.standard_normal((2, c)).astype(dtype) if affine else (None, None)
    # x - mean loses |mean| / std digits, and a channel of few numbers may have a small std
    tolerance = 100 * float(np.finfo(dtype).eps) * (1 + abs(centre))

    def check(actual, expected):
        for one, other in zip(actual, expected, strict=True):
            assert one.shape == other.shape
            assert one.dtype == other.dtype
            scale = 1 + np.abs(other).max(initial=0)
            np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale)

    with num_threads(threads):
        expected = reference.batch_norm_forward_train(x, weight, bias, 0.1)
        check(cpu.batch_norm_forward_train(x, weight, bias, 0.1), expected)
        _, mean, var, inv_std = expected
        check(
            cpu.batch_norm_backward_train(grad_out, x, weight, mean, inv_std),
            reference.batch_norm_backward_train(grad_out, x, weight, mean, inv_std),
        )
        check(
            cpu.batch_norm_forward_eval(x, mean, var, weight, bias, 0.1),
            reference.batch_norm_forward_eval(x, mean, var, weight, bias, 0.1),
        )
        check(
            cpu.batch_norm_backward_eval(grad_out, x, weight, mean, inv_std),
            reference.batch_norm_backward_eval(grad_out, x, weight, mean, inv_std),
        )


@pytest.mark.parametrize("centre", [0.0, 1000.0])
def test_statistics_of_float32_keep_all_digits(centre):
    """Sums of squares in float32, without a shift, would leave no digit of this variance."""
    x = (np.random.default_rng(0).standard_normal((64, 5, 28, 28)) + centre).astype(np.float32)
    _, mean, var, _ = cpu.batch_norm_forward_train(x, None, None, 1e-5)
    np.testing.assert_allclose(mean, x.mean(axis=(0, 2, 3), dtype=np.float64), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(var, x.var(axis=(0, 2, 3), dtype=np.float64), rtol=1e-6)


@BOTH
def test_constant_channel_has_no_variance(backend):
    x = np.full((8, 2, 3, 3), 0.1, np.float32)
    out, mean, var, _ = backend.batch_norm_forward_train(x, None, None, 1e-5)
    np.testing.assert_array_equal(mean, np.float32([0.1, 0.1]))
    np.testing.assert_allclose(var, 0, atol=1e-15)
    np.testing.assert_allclose(out, 0, atol=1e-5)


def test_nan_stays_in_its_channel():
    x = np.random.default_rng(0).standard_normal((4, 3, 5, 5)).astype(np.float32)
    x[1, 1, 2, 2] = np.nan
    out, mean, var, _ = cpu.batch_norm_forward_train(x, None, None, 1e-5)
    np.testing.assert_array_equal(np.isnan(out).all(axis=(0, 2, 3)), [False, True, False])
    np.testing.assert_array_equal(np.isnan(out).any(axis=(0, 2, 3)), [False, True, False])
    np.testing.assert_array_equal(np.isnan(mean + var), [False, True, False])
