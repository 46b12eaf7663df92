"""Layer, RMS and group normalisation: by hand and torch -> reference -> compiled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, ORDERS, arrange, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


def check(actual, expected, tolerance):
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        scale = 1 + np.abs(other).max(initial=0)
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance * scale)


@BOTH
def test_by_hand(backend):
    x = np.array([[1.0, 3.0], [10.0, 10.0]])  # means 2 and 10, variances 1 and 0
    out, mean, inv_std = backend.layer_norm_forward(x, np.array([2.0, 3.0]), np.array([5.0, 7.0]), 1e-12, True)
    np.testing.assert_allclose(out, [[3, 10], [5, 7]], rtol=1e-9)
    np.testing.assert_array_equal(mean, [2, 10])
    np.testing.assert_allclose(inv_std, [1, 1e6], rtol=1e-9)
    out, _, inv_rms = backend.layer_norm_forward(np.array([[3.0, 4.0]]), None, None, 0.0, False)
    np.testing.assert_allclose(inv_rms, [1 / np.sqrt(12.5)])
    np.testing.assert_allclose(out, [[3 / np.sqrt(12.5), 4 / np.sqrt(12.5)]])


@BOTH
def test_groups_by_hand(backend):
    x = np.array([[1.0, 3.0, 0.0, 4.0]])  # two groups: means 2 and 2, variances 1 and 4
    out, mean, var, inv_std = backend.group_norm_forward(x, np.array([1.0, 1, 1, 2]), np.array([0.0, 0, 0, 5]), 2, 0.0)
    np.testing.assert_array_equal(out, [[-1, 1, -1, 7]])
    np.testing.assert_array_equal(mean, [[2, 2]])
    np.testing.assert_array_equal(var, [[1, 4]])
    np.testing.assert_array_equal(inv_std, [[1, 0.5]])


@BOTH
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_against_torch(backend, centred, affine):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, grad_out = rng.standard_normal((2, 7, 37)) * 3 + 1
    weight, bias = rng.standard_normal((2, 37)) if affine else (None, None)
    bias = bias if centred else None
    tensors = {
        k: torch.tensor(v, requires_grad=True) for k, v in (("x", x), ("w", weight), ("b", bias)) if v is not None
    }
    if centred:
        expected = torch.nn.functional.layer_norm(tensors["x"], (37,), tensors.get("w"), tensors.get("b"), 1e-3)
    else:
        expected = torch.nn.functional.rms_norm(tensors["x"], (37,), tensors.get("w"), 1e-3)
    expected.backward(torch.tensor(grad_out))
    out, mean, inv_std = backend.layer_norm_forward(x, weight, bias, 1e-3, centred)
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    grads = backend.layer_norm_backward(grad_out, x, weight, mean, inv_std, centred)
    for name, grad in zip("xwb", grads, strict=True):
        if name in tensors:
            np.testing.assert_allclose(grad, tensors[name].grad.numpy(), rtol=1e-10, atol=1e-11)


@BOTH
@pytest.mark.parametrize(("shape", "groups"), [((3, 6), 2), ((2, 6, 5), 6), ((2, 12, 5, 4), 3), ((2, 4, 2, 3, 2), 1)])
@pytest.mark.parametrize("affine", [True, False])
def test_group_norm_against_torch(backend, shape, groups, affine):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x, grad_out = rng.standard_normal((2, *shape)) * 3 + 1
    weight, bias = rng.standard_normal((2, shape[1])) if affine else (None, None)
    tensors = {
        k: torch.tensor(v, requires_grad=True) for k, v in (("x", x), ("w", weight), ("b", bias)) if v is not None
    }
    expected = torch.nn.functional.group_norm(tensors["x"], groups, tensors.get("w"), tensors.get("b"), 1e-3)
    expected.backward(torch.tensor(grad_out))
    out, mean, _, inv_std = backend.group_norm_forward(x, weight, bias, groups, 1e-3)
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=1e-11, atol=1e-12)
    grads = backend.group_norm_backward(grad_out, x, weight, mean, inv_std, groups)
    for name, grad in zip("xwb", grads, strict=True):
        if name in tensors:
            np.testing.assert_allclose(grad, tensors[name].grad.numpy(), rtol=1e-10, atol=1e-11)


@given(
    st.integers(0, 40), st.integers(1, 70), st.sampled_from(DTYPES), st.sampled_from(ORDERS), st.booleans(),
    st.booleans(), st.floats(-50, 50), st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_layer_norm_cpu_against_reference(rows, features, dtype, order, centred, affine, centre, threads, seed):
    rng = np.random.default_rng(seed)
    x, grad_out = (arrange((rng.standard_normal((rows, features)) + centre).astype(dtype), order) for _ in range(2))
    weight, bias = rng.standard_normal((2, features)).astype(dtype) if affine else (None, None)
    # x - mean loses |mean| / std digits, and a row of few numbers may have a small std
    tolerance = 100 * float(np.finfo(dtype).eps) * (1 + abs(centre))
    with num_threads(threads):
        expected = reference.layer_norm_forward(x, weight, bias, 0.1, centred)
        check(cpu.layer_norm_forward(x, weight, bias, 0.1, centred), expected, tolerance)
        arguments = grad_out, x, weight, *expected[1:], centred
        check(cpu.layer_norm_backward(*arguments), reference.layer_norm_backward(*arguments), tolerance)


@given(
    st.integers(0, 4), st.integers(1, 4), st.integers(1, 9), st.lists(st.integers(1, 7), max_size=3),
    st.sampled_from(DTYPES), st.sampled_from(ORDERS), st.booleans(), st.floats(-50, 50), st.integers(1, 3),
    st.integers(0, 2**32),
)  # fmt: skip
def test_group_norm_cpu_against_reference(n, groups, width, spatial, dtype, order, affine, centre, threads, seed):
    rng = np.random.default_rng(seed)
    c = groups * width
    shape = (n, c, *spatial)
    x, grad_out = (arrange((rng.standard_normal(shape) + centre).astype(dtype), order) for _ in range(2))
    weight, bias = rng.standard_normal((2, c)).astype(dtype) if affine else (None, None)
    tolerance = 100 * float(np.finfo(dtype).eps) * (1 + abs(centre))  # as above
    if n == 0:
        return
    with num_threads(threads):
        expected = reference.group_norm_forward(x, weight, bias, groups, 0.1)
        check(cpu.group_norm_forward(x, weight, bias, groups, 0.1), expected, tolerance)
        _, mean, _, inv_std = expected
        arguments = grad_out, x, weight, mean, inv_std, groups
        check(cpu.group_norm_backward(*arguments), reference.group_norm_backward(*arguments), tolerance)


@pytest.mark.parametrize("centre", [0.0, 1000.0])
def test_statistics_of_float32_keep_all_digits(centre):
    x = (np.random.default_rng(0).standard_normal((4, 6, 28, 28)) + centre).astype(np.float32)
    _, mean, var, _ = cpu.group_norm_forward(x, None, None, 2, 1e-5)
    wide = x.astype(np.float64).reshape(4, 2, -1)
    np.testing.assert_allclose(mean, wide.mean(axis=2), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(var, wide.var(axis=2), rtol=1e-6)
    _, mean, inv_std = cpu.layer_norm_forward(wide.reshape(8, -1).astype(np.float32), None, None, 0.0, True)
    np.testing.assert_allclose(mean, wide.mean(axis=2).ravel(), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(inv_std, wide.std(axis=2).ravel() ** -1, rtol=1e-6)


@BOTH
def test_nan_stays_in_its_group(backend):
    x = np.random.default_rng(0).standard_normal((2, 4, 3, 3)).astype(np.float32)
    x[1, 2, 0, 0] = np.nan
    out, *_ = backend.group_norm_forward(x, None, None, 2, 1e-5)
    assert np.isnan(out[1, 2:]).all()
    assert not np.isnan(out[1, :2]).any()
    assert not np.isnan(out[0]).any()
    out, *_ = backend.layer_norm_forward(x.reshape(8, 9), None, None, 1e-5, True)
    np.testing.assert_array_equal(np.isnan(out).any(axis=1), np.arange(8) == 6)
