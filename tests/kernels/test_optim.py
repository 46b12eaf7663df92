"""The updates against PyTorch's optimisers over several steps, and compiled against reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, ORDERS, arrange, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
STEPS = 5


@BOTH
def test_sgd_by_hand(backend):
    param, buffer = np.array([1.0]), np.zeros(1)
    backend.sgd_update(param, np.array([2.0]), buffer, 0.1, 0.5, 0.0, 0.0, False, False, True)
    assert (param[0], buffer[0]) == (1 - 0.1 * 2, 2)
    backend.sgd_update(param, np.array([4.0]), buffer, 0.1, 0.5, 0.0, 0.0, False, False, False)
    assert (param[0], buffer[0]) == (0.8 - 0.1 * 5, 5)


@BOTH
def test_adam_moves_by_the_learning_rate_at_first(backend):
    param, m, v = np.array([1.0, 1.0]), np.zeros(2), np.zeros(2)
    backend.adam_update(param, np.array([1e-3, -50.0]), m, v, None, 1, 0.1, 0.9, 0.999, 0.0, 0.0, False, False)
    np.testing.assert_allclose(param, [0.9, 1.1], rtol=1e-12)


def torch_run(make, values: np.ndarray, grads: np.ndarray) -> np.ndarray:
    torch = pytest.importorskip("torch")
    param = torch.tensor(values, requires_grad=True)
    optimizer = make(torch.optim, [param])
    for grad in grads:
        param.grad = torch.tensor(grad)
        optimizer.step()
    return param.detach().numpy()


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("momentum", "dampening", "decay", "nesterov", "maximize"),
    [
        (0, 0, 0, False, False),
        (0, 0, 0.1, False, True),
        (0.9, 0, 0, False, False),
        (0.9, 0.3, 0.1, False, True),
        (0.9, 0, 0.1, True, False),
    ],
)
def test_sgd_against_torch(backend, dtype, momentum, dampening, decay, nesterov, maximize):
    rng = np.random.default_rng(0)
    values, grads = rng.standard_normal((4, 7)).astype(dtype), rng.standard_normal((STEPS, 4, 7)).astype(dtype)
    options = {
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": decay,
        "nesterov": nesterov,
        "maximize": maximize,
    }
    expected = torch_run(lambda optim, params: optim.SGD(params, lr=0.05, foreach=False, **options), values, grads)
    buffer = (
        np.full_like(values, np.nan) if momentum else None
    )  # what the buffer holds before the first step does not matter
    for step, grad in enumerate(grads):
        backend.sgd_update(values, grad, buffer, 0.05, momentum, dampening, decay, nesterov, maximize, step == 0)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(values, expected, rtol=8 * eps, atol=8 * eps)  # one or two roundings a step


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("decay", "decoupled", "amsgrad", "maximize"),
    [(0, False, False, False), (0.1, False, True, False), (0.1, True, False, True), (0.1, True, True, False)],
)
def test_adam_against_torch(backend, dtype, decay, decoupled, amsgrad, maximize):
    rng = np.random.default_rng(0)
    values, grads = rng.standard_normal((4, 7)).astype(dtype), rng.standard_normal((STEPS, 4, 7)).astype(dtype)
    options = {
        "lr": 0.05,
        "betas": (0.8, 0.99),
        "weight_decay": decay,
        "amsgrad": amsgrad,
        "maximize": maximize,
        "foreach": False,
    }
    expected = torch_run(
        lambda optim, params: (optim.AdamW if decoupled else optim.Adam)(params, **options), values, grads
    )
    m, v, largest = np.zeros((3, *values.shape), dtype)
    for step, grad in enumerate(grads, start=1):
        backend.adam_update(
            values, grad, m, v, largest if amsgrad else None, step, 0.05, 0.8, 0.99, 1e-8, decay, decoupled, maximize
        )
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(values, expected, rtol=16 * eps, atol=16 * eps)  # a handful of roundings a step


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("param_order", "grad_order"),
    list(itertools.product(("row-major", "channels-last", "gaps", "unaligned"), ORDERS[:3])),
)
def test_any_memory_order(dtype, param_order, grad_order):
    rng = np.random.default_rng(0)
    arrays = np.abs(rng.standard_normal((4, 3, 4, 5, 2))).astype(dtype)
    grad = rng.standard_normal((3, 4, 5, 2)).astype(dtype)
    expected = [array.copy() for array in arrays]
    actual = [arrange(array, param_order) for array in arrays]
    layouts = [(a.strides, a.ctypes.data) for a in actual]
    for backend, (param, m, v, largest), g in ((reference, expected, grad), (cpu, actual, arrange(grad, grad_order))):
        backend.adam_update(param, g, m, v, largest, 2, 0.1, 0.9, 0.999, 1e-8, 0.1, False, False)
        backend.adam_update(param, g, m, v, None, 3, 0.1, 0.9, 0.999, 1e-8, 0.1, True, False)
        backend.sgd_update(param, g, None, 0.1, 0.0, 0.0, 0.1, False, False, False)
        backend.sgd_update(param, g, m, 0.1, 0.9, 0.1, 0.1, True, True, False)
    eps = np.finfo(dtype).eps
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=32 * eps, atol=32 * eps)
    assert [(a.strides, a.ctypes.data) for a in actual] == layouts  # updated in place


def test_large_is_the_same_for_any_number_of_threads():
    rng = np.random.default_rng(0)
    arrays, grad = (
        np.abs(rng.standard_normal((3, 100_003))).astype(np.float32),
        rng.standard_normal(100_003).astype(np.float32),
    )
    results = []
    for threads in (1, 2, 3):
        param, m, v = arrays.copy()
        with num_threads(threads):
            cpu.adam_update(param, grad, m, v, None, 2, 0.1, 0.9, 0.999, 1e-8, 0.1, False, False)
        results.append((param, m, v))
    for other in results[1:]:
        np.testing.assert_allclose(
            other, results[0], rtol=1e-6
        )  # the ends of chunks may round without a fused multiply-add
