"""The rules beyond SGD and Adam: checked by hand, compiled against reference. (PyTorch: ``tests/optim``.)"""

from __future__ import annotations

import copy
import itertools
import os
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, ORDERS, arrange, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])

# name, how many arrays of state, and (params, grads, state, numbers of the steps) -> arguments; weight decay among them
CASES: dict[str, tuple[str, int, Any]] = {
    "adagrad": ("adagrad_update", 1, lambda s, t, w: (s[0], t, 0.1, 0.2, w, 1e-6, True)),
    "rmsprop": ("rmsprop_update", 1, lambda s, t, w: (s[0], None, None, 0.1, 0.9, 1e-3, w, 0.0, False)),
    "rmsprop-momentum": ("rmsprop_update", 2, lambda s, t, w: (s[0], s[1], None, 0.1, 0.9, 1e-3, w, 0.8, True)),
    "rmsprop-centered": ("rmsprop_update", 2, lambda s, t, w: (s[0], None, s[1], 0.1, 0.9, 1e-3, w, 0.0, False)),
    "rmsprop-both": ("rmsprop_update", 3, lambda s, t, w: (s[0], s[1], s[2], 0.1, 0.9, 1e-3, w, 0.8, False)),
    "adadelta": ("adadelta_update", 2, lambda s, t, w: (*s[:2], 0.5, 0.9, 1e-3, w, True)),
    "adamax": ("adamax_update", 2, lambda s, t, w: (*s[:2], t, 0.1, 0.8, 0.9, 1e-6, w, False)),
    "nadam": ("nadam_update", 2, lambda s, t, w: (*s[:2], t, t, t, 0.1, 0.8, 0.9, 1e-3, w, False, True)),
    "nadam-decoupled": ("nadam_update", 2, lambda s, t, w: (*s[:2], t, t, t, 0.1, 0.8, 0.9, 1e-3, w, True, False)),
    "radam": ("radam_update", 2, lambda s, t, w: (*s[:2], t, 0.1, 0.8, 0.9, 1e-3, w, False, False)),
    "radam-decoupled": ("radam_update", 2, lambda s, t, w: (*s[:2], t, 0.1, 0.8, 0.9, 1e-3, w, True, True)),
    "asgd": ("asgd_update", 1, lambda s, t, w: (s[0], [0.1 / x for x in t], [2 / x for x in t], 0.1, w, False)),
    "rprop": ("rprop_update", 2, lambda s, t, w: (*s[:2], 0.5, 1.2, 0.1, 1.5, False)),
}
EVERY = pytest.mark.parametrize("case", CASES)


def update(backend: Any, case: str, params: Any, grads: Any, state: Any, decay: float = 0.1) -> None:
    """One update in place; the parameters are at different steps, those where RAdam warms up among them."""
    name, _, arguments = CASES[case]
    steps = [2.0 + 3 * (i % 4) for i in range(len(params))]
    getattr(backend, name)(params, grads, *arguments(state, steps, decay))


def problem(case: str, rng: np.random.Generator, shapes: Any, dtypes: Any) -> tuple[list, list, list]:
    """Parameters, gradients and state, positive where it is a mean of squares and large enough for the centered form."""

    def arrays(draw: Any) -> list[np.ndarray]:
        return [np.asarray(draw(shape), dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]

    def positive(shape: Any) -> Any:
        return 1 + np.abs(rng.standard_normal(shape))

    kept = [arrays(positive) for _ in range(CASES[case][1])]
    if case == "rmsprop-centered":
        kept[1] = arrays(lambda shape: 0.3 * rng.uniform(-1, 1, shape))
    elif case == "rmsprop-both":
        kept[2] = arrays(lambda shape: 0.3 * rng.uniform(-1, 1, shape))
    elif case == "rprop":
        kept[0] = arrays(lambda shape: rng.integers(-1, 2, shape))
    return arrays(rng.standard_normal), arrays(rng.standard_normal), kept


def flat(arrays: Any) -> list[np.ndarray]:
    return [a for part in arrays for a in (flat(part) if isinstance(part, list) else [part])]


def assert_close(actual: Any, expected: Any) -> None:
    for one, other in zip(flat(actual), flat(expected), strict=True):
        eps = np.finfo(other.dtype).eps  # a handful of roundings of numbers around 1
        np.testing.assert_allclose(one, other, rtol=32 * eps, atol=32 * eps)


@BOTH
class TestByHand:
    def test_adagrad(self, backend):
        param, total = np.array([1.0]), np.array([5.0])
        backend.adagrad_update([param], [np.array([2.0])], [total], [3], 0.6, 0.5, 0.0, 1.0, False)
        assert (param[0], total[0]) == (pytest.approx(1 - 0.6 / 2 * 2 / (3 + 1)), 9)

    def test_rmsprop(self, backend):
        param, v, b, a = np.array([1.0]), np.array([12.0]), np.array([2.0]), np.array([4.0])
        backend.rmsprop_update([param], [np.array([2.0])], [v], [b], [a], 0.1, 0.5, 0.5, 0.0, 0.25, True)
        # g = -2, v = 8, a = 1, b = 0.5 - 2 / (sqrt(8 - 1) + 0.5)
        expected = 0.5 - 2 / (7**0.5 + 0.5)
        assert [x[0] for x in (v, a)] == [8, 1]
        assert b[0] == pytest.approx(expected)
        assert param[0] == pytest.approx(1 - 0.1 * expected)

    def test_adadelta(self, backend):
        param, v, u = np.array([1.0]), np.array([14.0]), np.array([3.0])
        backend.adadelta_update([param], [np.array([2.0])], [v], [u], 0.5, 0.5, 1.0, 0.0, False)
        # v = 7 + 2 = 9; d = sqrt(4) / sqrt(10) * 2; u = 1.5 + d^2 / 2
        assert v[0] == 9
        assert u[0] == pytest.approx(1.5 + 1.6 / 2)
        assert param[0] == pytest.approx(1 - 0.5 * 1.6**0.5)

    def test_adamax(self, backend):
        param, m, u = np.ones(3), np.zeros(3), np.array([8.0, 1.0, np.nan])
        backend.adamax_update([param], [np.array([2.0, -3.0, 1.0])], [m], [u], [1], 0.1, 0.5, 0.5, 1.0, 0.0, False)
        np.testing.assert_array_equal(u, [4, 4, np.nan])
        np.testing.assert_allclose(param, [1 - 0.2 * 1 / 4, 1 + 0.2 * 1.5 / 4, np.nan])

    def test_nadam(self, backend):
        param, m, v = np.array([1.0]), np.array([0.0]), np.array([0.0])
        backend.nadam_update(
            *([param], [np.array([2.0])], [m], [v], [1], [0.7], [0.3]), *(0.1, 0.5, 0.75, 1.0, 0.2, True, False)
        )
        # p = 1 - 0.02; m = 1; v = 1, corrected 4; 0.7 * 2 + 0.3 * 1 over 2 + 1
        assert (m[0], v[0]) == (1, 1)
        assert param[0] == pytest.approx(0.98 - 0.1 * 1.7 / 3)

    def test_radam_before_and_after_its_warm_up(self, backend):
        # beta2 = 0.9: rho_inf = 19; rho is 1 at step 1 and 14.28... at step 20
        rho = 19 - 40 * 0.9**20 / (1 - 0.9**20)
        r = ((rho - 4) * (rho - 2) * 19 / (15 * 17 * rho)) ** 0.5
        for step, change in ((1, 0.1 * 1 / 0.5), (20, 0.1 / (1 - 0.5**20) * r * (1 - 0.9**20) ** 0.5 / (0.4**0.5 + 1))):
            param, m, v = np.array([1.0]), np.array([0.0]), np.array([0.0])
            backend.radam_update([param], [np.array([2.0])], [m], [v], [step], 0.1, 0.5, 0.9, 1.0, 0.0, False, False)
            assert param[0] == pytest.approx(1 - change)

    def test_asgd(self, backend):
        param, average = np.array([2.0, 2.0]), np.array([0.0, 0.0])
        grads = [np.array([1.0, 1.0])]
        backend.asgd_update([param], grads, [average], [0.5], [1.0], 0.2, 0.0, False)
        np.testing.assert_allclose((param, average), [[1.3, 1.3]] * 2)
        backend.asgd_update([param], grads, [average], [0.5], [0.25], 0.0, 0.0, False)
        np.testing.assert_allclose((param, average), [[0.8, 0.8], [1.3 - 0.125] * 2])

    def test_rprop(self, backend):
        """Same sign, other sign, none before, zero now, clipped above and below, NaN."""
        grad = np.array([2.0, 2.0, 2.0, 0.0, 3.0, -3.0, np.nan])
        prev = np.array([1.0, -1.0, 0.0, 1.0, 1.0, 1.0, 1.0])
        size = np.array([1.0, 1.0, 1.0, 1.0, 9.0, 0.1, 1.0])
        param = np.zeros(7)
        backend.rprop_update([param], [grad], [prev], [size], 0.5, 1.5, 0.1, 10.0, False)
        np.testing.assert_allclose(size, [1.5, 0.5, 1, 1, 10, 0.1, np.nan])
        np.testing.assert_array_equal(prev, [2, 0, 2, 0, 3, 0, np.nan])
        np.testing.assert_allclose(param, [-1.5, 0, -1, 0, -10, 0, np.nan])


@EVERY
@pytest.mark.parametrize("dtype", DTYPES)
def test_any_memory_order(case, dtype):
    shapes = [(3, 4, 5, 2), (7,), (0, 3)]
    for param_order, grad_order in itertools.product(("row-major", "channels-last", "gaps", "unaligned"), ORDERS):
        expected = problem(case, np.random.default_rng(0), shapes, [dtype] * len(shapes))
        params, grads, kept = copy.deepcopy(expected)
        params = [arrange(array, param_order) for array in params]
        grads = [arrange(array, grad_order) for array in grads]
        kept = [[arrange(array, param_order) for array in arrays] for arrays in kept]
        places = [(a.strides, a.ctypes.data) for a in flat([params, kept])]
        update(reference, case, *expected)
        update(cpu, case, params, grads, kept)
        assert_close([params, grads, kept], list(expected))
        assert [(a.strides, a.ctypes.data) for a in flat([params, kept])] == places  # updated in place


# Around blocks of 256, vectors, and the 64 blocks from which a second thread takes part.
sizes = st.one_of(st.integers(0, 70), st.sampled_from([255, 257, 1000, 256 * 65 + 3, 40_001]))


@EVERY
@settings(max_examples=10, deadline=None)
@given(data=st.data(), sizes=st.lists(sizes, min_size=1, max_size=5), seed=st.integers(0, 2**32))
def test_segments_of_any_sizes(case, data, sizes, seed):
    """Against the reference for any list of sizes and dtypes; the same bits for any number of threads."""
    dtypes = [data.draw(st.sampled_from(DTYPES)) for _ in sizes]
    expected = problem(case, np.random.default_rng(seed), sizes, dtypes)
    start = copy.deepcopy(expected)
    update(reference, case, *expected)
    results = []
    for threads in (1, 3):
        own = copy.deepcopy(start)
        with num_threads(threads):
            update(cpu, case, *own)
        results.append(list(own))
    assert_close(results[0], list(expected))
    for one, other in zip(*map(flat, results), strict=True):
        # With checked bounds LLVM contracts products and sums differently at a chunk's edge: a unit in the last place.
        ulps = 4 if os.environ.get("NUMBA_BOUNDSCHECK") == "1" else 0
        np.testing.assert_allclose(one, other, rtol=ulps * np.finfo(one.dtype).eps, atol=ulps * np.finfo(one.dtype).eps)


@BOTH
@pytest.mark.parametrize("case", [case for case in CASES if case != "asgd"])  # its average would be inf - inf
@pytest.mark.parametrize("dtype", DTYPES)
def test_without_decay_infinite_parameters_stay_infinite(backend, case, dtype):
    """0 * inf is NaN: without weight decay the parameter must not enter the gradient. (NaN stays NaN.)"""
    values = [np.inf, -np.inf, np.nan] * 11
    params = [np.array(values, dtype)]
    kept = [[np.ones_like(params[0])] for _ in range(CASES[case][1])]
    if "centered" in case or "both" in case:
        kept[-1][0][...] = 0.1
    update(backend, case, params, [np.ones_like(params[0])], kept, decay=0.0)
    np.testing.assert_array_equal(params[0], values)
    assert all(np.isfinite(array).all() for array in flat(kept))
