"""The updates against PyTorch's optimisers over several steps, and compiled against reference."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, ORDERS, arrange, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])
STEPS = 5
SHAPES = [(4, 7), (), (0, 3), (300,), (2, 3, 1, 5)]  # nothing, one element, and more than a block among them


@BOTH
def test_sgd_by_hand(backend):
    param, buffer = np.array([1.0]), np.zeros(1)
    backend.sgd_update([param], [np.array([2.0])], [buffer], [True], 0.1, 0.5, 0.0, 0.0, False, False)
    assert (param[0], buffer[0]) == (1 - 0.1 * 2, 2)
    backend.sgd_update([param], [np.array([4.0])], [buffer], [False], 0.1, 0.5, 0.0, 0.0, False, False)
    assert (param[0], buffer[0]) == (0.8 - 0.1 * 5, 5)


@BOTH
def test_adam_moves_by_the_learning_rate_at_first(backend):
    param, m, v = np.array([1.0, 1.0]), np.zeros(2), np.zeros(2)
    grad = np.array([1e-3, -50.0])
    backend.adam_update([param], [grad], [m], [v], None, [1], 0.1, 0.9, 0.999, 0.0, 0.0, False, False)
    np.testing.assert_allclose(param, [0.9, 1.1], rtol=1e-12)


@BOTH
def test_nothing_to_do(backend):
    backend.sgd_update([], [], None, [], 0.1, 0.0, 0.0, 0.0, False, False)
    backend.adam_update([], [], [], [], None, [], 0.1, 0.9, 0.999, 1e-8, 0.0, False, False)


def numbers(rng: np.random.Generator, dtype: Any) -> list[np.ndarray]:
    return [np.asarray(rng.standard_normal(shape), dtype) for shape in SHAPES]


def torch_run(make, values: list[np.ndarray], grads: list[list[np.ndarray]]) -> list[np.ndarray]:
    torch = pytest.importorskip("torch")
    params = [torch.tensor(value, requires_grad=True) for value in values]
    optimizer = make(torch.optim, params)
    for step in grads:
        for param, grad in zip(params, step, strict=True):
            param.grad = torch.tensor(grad)
        optimizer.step()
    return [param.detach().numpy() for param in params]


def assert_all_close(actual: list[np.ndarray], expected: list[np.ndarray], roundings: int) -> None:
    for one, other in zip(actual, expected, strict=True):
        eps = np.finfo(other.dtype).eps
        np.testing.assert_allclose(one, other, rtol=roundings * eps, atol=roundings * eps)


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
    values, grads = numbers(rng, dtype), [numbers(rng, dtype) for _ in range(STEPS)]
    options = {
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": decay,
        "nesterov": nesterov,
        "maximize": maximize,
    }
    expected = torch_run(lambda optim, params: optim.SGD(params, lr=0.05, foreach=False, **options), values, grads)
    # What the buffers hold before the first step does not matter.
    buffers = [np.full_like(value, np.nan) for value in values] if momentum else None
    for step, grad in enumerate(grads):
        first = [step == 0] * len(values)
        backend.sgd_update(values, grad, buffers, first, 0.05, momentum, dampening, decay, nesterov, maximize)
    assert_all_close(values, expected, 8)  # one or two roundings a step


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("decay", "decoupled", "amsgrad", "maximize"),
    [(0, False, False, False), (0.1, False, True, False), (0.1, True, False, True), (0.1, True, True, False)],
)
def test_adam_against_torch(backend, dtype, decay, decoupled, amsgrad, maximize):
    rng = np.random.default_rng(0)
    values, grads = numbers(rng, dtype), [numbers(rng, dtype) for _ in range(STEPS)]
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
    m, v, largest = ([np.zeros_like(value) for value in values] for _ in range(3))
    for step, grad in enumerate(grads, start=1):
        steps = [step] * len(values)
        backend.adam_update(
            *(values, grad, m, v, largest if amsgrad else None, steps),
            *(0.05, 0.8, 0.99, 1e-8, decay, decoupled, maximize),
        )
    assert_all_close(values, expected, 16)  # a handful of roundings a step


def update_every_way(backend, params, grads, m, v, largest) -> None:
    """All four compiled loops, with steps of different numbers for the parameters, changing everything in place."""
    steps = [2.0 + i % 3 for i in range(len(params))]
    first = [i % 2 == 1 for i in range(len(params))]
    backend.adam_update(params, grads, m, v, largest, steps, 0.1, 0.9, 0.999, 1e-8, 0.1, False, False)
    backend.adam_update(params, grads, m, v, None, steps, 0.1, 0.9, 0.999, 1e-8, 0.1, True, False)
    backend.sgd_update(params, grads, None, first, 0.1, 0.0, 0.0, 0.1, False, False)
    backend.sgd_update(params, grads, m, first, 0.1, 0.9, 0.1, 0.0, True, True)


def random_state(rng: np.random.Generator, shapes, dtypes) -> list[list[np.ndarray]]:
    """params, grads, m, v, largest."""
    return [
        [np.asarray(np.abs(rng.standard_normal(shape)), dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
        for _ in range(5)
    ]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("param_order", "grad_order"),
    list(itertools.product(("row-major", "channels-last", "gaps", "unaligned"), ORDERS)),
)
def test_any_memory_order(dtype, param_order, grad_order):
    rng = np.random.default_rng(0)
    expected = random_state(rng, [(3, 4, 5, 2), (7,)], [dtype] * 2)
    orders = (param_order, grad_order, param_order, param_order, param_order)
    actual = [[arrange(array, order) for array in arrays] for arrays, order in zip(expected, orders, strict=True)]
    layouts = [(a.strides, a.ctypes.data) for arrays in actual for a in arrays]
    update_every_way(reference, *expected)
    update_every_way(cpu, *actual)
    for one, other in zip(actual, expected, strict=True):
        assert_all_close(one, other, 32)
    assert [(a.strides, a.ctypes.data) for arrays in actual for a in arrays] == layouts  # updated in place


# Around blocks of 256, vectors, and the 64 blocks from which a second thread takes part.
sizes = st.one_of(st.integers(0, 70), st.sampled_from([255, 256, 257, 1000, 256 * 64, 256 * 65 + 3, 40_001]))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), sizes=st.lists(sizes, min_size=1, max_size=6), seed=st.integers(0, 2**32))
def test_segments_of_any_sizes(data, sizes, seed):
    """Against the reference for any list of sizes and dtypes; the same bits for any number of threads."""
    dtypes = [data.draw(st.sampled_from(DTYPES)) for _ in sizes]
    start = random_state(np.random.default_rng(seed), sizes, dtypes)
    expected = copy.deepcopy(start)
    update_every_way(reference, *expected)
    results = []
    for threads in (1, 2, 3):
        state = copy.deepcopy(start)
        with num_threads(threads):
            update_every_way(cpu, *state)
        results.append(state)
    for one, other in zip(results[0], expected, strict=True):
        assert_all_close(one, other, 64)  # four updates of a handful of roundings
    for other in results[1:]:
        for one, two in zip(itertools.chain(*results[0]), itertools.chain(*other), strict=True):
            np.testing.assert_array_equal(one, two)


def test_parameters_that_share_memory_are_updated_in_order():
    """Mentioned twice, overlapping, or interleaved: as one after the other, whatever the number of threads."""
    rng = np.random.default_rng(0)
    size = 40_000
    memory = np.abs(rng.standard_normal(2 * size))
    grads, m, v = (list(np.abs(rng.standard_normal((5, size)))) for _ in range(3))
    cut = [
        slice(0, size),
        slice(0, size),
        slice(size // 2, size // 2 + size),
        slice(1, 2 * size, 2),
        slice(0, 2 * size, 2),
    ]
    results = []
    for backend, threads in ((reference, 1), (cpu, 1), (cpu, 3)):
        own, own_m, own_v = copy.deepcopy((memory, m, v))
        with num_threads(threads):
            params = [own[part] for part in cut]
            backend.adam_update(
                params, grads, own_m, own_v, None, [1, 2, 1, 1, 1], 0.1, 0.9, 0.99, 1e-8, 0.1, False, False
            )
        results.append(own)
    np.testing.assert_allclose(results[1], results[0], rtol=1e-13, atol=1e-14)  # three updates of an element at most
    np.testing.assert_array_equal(results[2], results[1])


@BOTH
@pytest.mark.parametrize("dtype", DTYPES)
def test_without_decay_infinite_parameters_stay_infinite(backend, dtype):
    """0 * inf is NaN: without weight decay the parameter must not enter the gradient. (NaN stays NaN.)"""
    for momentum, nesterov in ((False, False), (True, False), (True, True)):
        param = np.array([np.inf, -np.inf, np.nan] * 11, dtype)
        grad, buffer = np.ones_like(param), np.zeros_like(param)
        backend.sgd_update(
            [param], [grad], [buffer] if momentum else None, [True], 0.1, 0.9 * momentum, 0, 0, nesterov, False
        )
        np.testing.assert_array_equal(param, [np.inf, -np.inf, np.nan] * 11)
        np.testing.assert_array_equal(buffer, 1 if momentum else 0)
    for amsgrad, decoupled in itertools.product((False, True), repeat=2):
        param = np.array([np.inf, -np.inf, np.nan] * 11, dtype)
        m, v, largest = np.zeros((3, *param.shape), dtype)
        backend.adam_update(
            *([param], [np.ones_like(param)], [m], [v], [largest] if amsgrad else None, [1]),
            *(0.1, 0.9, 0.99, 1e-8, 0.0, decoupled, False),
        )
        np.testing.assert_array_equal(param, [np.inf, -np.inf, np.nan] * 11)
        assert np.isfinite(m).all()


@BOTH
def test_amsgrad_takes_a_nan_over(backend):
    param, m, v, largest = np.ones((4, 40), np.float32)
    grad = np.ones(40, np.float32)
    grad[::3] = np.nan
    backend.adam_update([param], [grad], [m], [v], [largest], [3], 0.1, 0.9, 0.99, 1e-8, 0.0, False, False)
    for array in (param, m, v, largest):
        np.testing.assert_array_equal(np.isnan(array), np.isnan(grad))
