"""The rectifier, and the table of other activations: by hand and torch -> reference -> compiled."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from minicnn_kernels.cpu import elementary
from tests.helpers.kernel_cases import DTYPES, ORDERS, arrange, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


@BOTH
def test_by_hand(backend):
    x = np.array([-2.0, -0.0, 0.0, 3.0, np.inf, -np.inf, np.nan], np.float32)
    out = backend.relu_forward(x)
    np.testing.assert_array_equal(out, [0, 0, 0, 3, np.inf, 0, np.nan])
    grad_x = backend.relu_backward_input(np.arange(1, 8, dtype=np.float32), out)
    np.testing.assert_array_equal(grad_x, [0, 0, 0, 4, 5, 0, 7])


@given(
    st.lists(st.integers(0, 6), max_size=5), st.sampled_from(DTYPES), st.sampled_from(ORDERS), st.sampled_from(ORDERS),
    st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_cpu_against_reference(shape, dtype, order, grad_order, threads, seed):
    rng = np.random.default_rng(seed)
    if not shape:
        order = grad_order = "row-major"
    x, grad_out = (
        arrange(rng.standard_normal(shape).astype(dtype), order),
        arrange(rng.standard_normal(shape).astype(dtype), grad_order),
    )
    with num_threads(threads):
        out = cpu.relu_forward(x)
        grad_x = cpu.relu_backward_input(grad_out, out)
    assert out.dtype == grad_x.dtype == dtype
    np.testing.assert_array_equal(out, reference.relu_forward(x))
    np.testing.assert_array_equal(grad_x, reference.relu_backward_input(grad_out, out))


@BOTH
def test_memory_order_is_kept(backend):
    x = arrange(np.random.default_rng(0).standard_normal((2, 3, 4, 5)), "channels-last")
    out = backend.relu_forward(x)
    assert out.strides == x.strides
    assert backend.relu_backward_input(np.ones(x.shape), out).strides == x.strides


def test_large_with_threads():
    x = np.random.default_rng(0).standard_normal(300_001).astype(np.float32)
    for threads in (1, 2, 3):
        with num_threads(threads):
            np.testing.assert_array_equal(cpu.relu_forward(x), np.maximum(x, 0))


# name -> the numbers it takes here
NAMES = {
    "gelu": (), "gelu_tanh": (), "hardsigmoid": (), "hardswish": (), "hardtanh": (-0.5, 1.5), "leaky_relu": (0.3,),
    "sigmoid": (), "silu": (),
}  # fmt: skip
SPECIAL = [-np.inf, -1e4, -90, -40, -3, -0.5, -1e-30, 0.0, 1e-30, 0.5, 1.5, 3, 40, 90, 1e4, np.inf, np.nan]


def torch_activation(name, x, numbers):
    F = pytest.importorskip("torch").nn.functional
    if name == "gelu_tanh":
        return F.gelu(x, approximate="tanh")
    return getattr(F, name)(x, *numbers)


def test_the_tables_have_the_same_rows():
    assert set(NAMES) == set(reference.activation.ACTIVATIONS) == set(cpu.activation._LOOPS)


@BOTH
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_table_against_torch(backend, name, dtype):
    torch = pytest.importorskip("torch")
    x = np.concatenate([np.random.default_rng(0).standard_normal(200) * 4, SPECIAL[3:-3]]).astype(dtype)
    grad_out = np.random.default_rng(1).standard_normal(x.size).astype(dtype)
    theirs = torch.tensor(x, requires_grad=True)
    expected = torch_activation(name, theirs, NAMES[name])
    expected.backward(torch.tensor(grad_out))
    out = backend.activation_forward(name, x, *NAMES[name])
    grad_x = backend.activation_backward_input(name, grad_out, out if name == "sigmoid" else x, *NAMES[name])
    assert out.dtype == grad_x.dtype == dtype
    # A few units in the last place of the function, some more where its factors cancel: gelu's torch form loses them.
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(out, expected.detach().numpy(), rtol=16 * eps, atol=16 * eps)
    rtol = 3e-8 if name == "hardsigmoid" else 0  # torch's slope is 1/6 rounded to float32, in float64 too
    np.testing.assert_allclose(grad_x, theirs.grad.numpy(), rtol=max(32 * eps, rtol), atol=32 * eps)


@pytest.mark.parametrize("name", NAMES)
def test_infinities_and_nan(name):
    torch = pytest.importorskip("torch")
    x = np.array([-np.inf, -1e4, 1e4, np.inf, np.nan], np.float32)
    expected = torch_activation(name, torch.tensor(x), NAMES[name]).numpy()
    for backend in (reference, cpu):
        with np.errstate(all="ignore"):
            out = backend.activation_forward(name, x, *NAMES[name])
        # torch's gelu of infinities is NaN, -0 or infinity, by the path taken; ours is -inf * 0, and infinity
        some = [1, 2, 4] if name.startswith("gelu") else [0, 1, 2, 3, 4]
        np.testing.assert_allclose(out[some], expected[some], rtol=1e-6, atol=1e-30)


@given(
    st.sampled_from(sorted(NAMES)), st.lists(st.integers(0, 6), max_size=4), st.sampled_from(DTYPES),
    st.sampled_from(ORDERS), st.sampled_from(ORDERS), st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_table_cpu_against_reference(name, shape, dtype, order, grad_order, threads, seed):
    rng = np.random.default_rng(seed)
    if not shape:
        order = grad_order = "row-major"
    x = rng.choice(np.array([-3, -0.5, 0, 1.5, 3]), size=shape) if seed % 2 else rng.standard_normal(shape) * 4
    x, grad_out = (
        arrange(np.asarray(x, dtype), order),
        arrange(np.asarray(rng.standard_normal(shape), dtype), grad_order),
    )
    with num_threads(threads):
        out = cpu.activation_forward(name, x, *NAMES[name])
        grad_x = cpu.activation_backward_input(name, grad_out, x, *NAMES[name])
    assert out.dtype == grad_x.dtype == dtype
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(out, reference.activation_forward(name, x, *NAMES[name]), rtol=16 * eps, atol=16 * eps)
    expected = reference.activation_backward_input(name, grad_out, x, *NAMES[name])
    np.testing.assert_allclose(grad_x, expected, rtol=64 * eps, atol=64 * eps)


@BOTH
@pytest.mark.parametrize("name", NAMES)
def test_table_keeps_the_memory_order(backend, name):
    x = arrange(np.random.default_rng(0).standard_normal((2, 3, 4, 5)), "channels-last")
    out = backend.activation_forward(name, x, *NAMES[name])
    assert out.strides == x.strides
    assert backend.activation_backward_input(name, np.ones(x.shape), out, *NAMES[name]).strides == x.strides


@pytest.mark.parametrize("dtype", DTYPES)
def test_elementary_functions(dtype):
    """Against the C library in float64, in digits: relative errors, in the tails too."""
    k = elementary.CONSTANTS[np.dtype(dtype)]
    few = 4e-7 if dtype == np.float32 else 1e-15
    for x in np.linspace(-80, 80, 481).astype(dtype):
        assert elementary.exp(x, k) == pytest.approx(math.exp(x), rel=few)
        assert elementary.sigmoid(x, k) == pytest.approx(1 / (1 + math.exp(-float(x))), rel=few)
    for x in np.linspace(-12, 12, 481).astype(dtype):
        cumulative, bell = elementary.normal(x, k)
        # x^2 is rounded before exp: half a unit in its last place times x^2 / 2
        rel = few * (1 + float(x) ** 2)
        assert cumulative == pytest.approx(0.5 * math.erfc(-float(x) / math.sqrt(2)), rel=rel)
        assert bell == pytest.approx(math.exp(-(float(x) ** 2) / 2), rel=rel)
    assert math.isnan(elementary.exp(dtype(np.nan), k))
    assert elementary.exp(dtype(-np.inf), k) == 0
    assert elementary.exp(dtype(np.inf), k) == np.inf
