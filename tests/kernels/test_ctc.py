"""Connectionist temporal classification: all paths by hand and torch -> reference -> compiled."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn_kernels import cpu, reference
from tests.helpers.kernel_cases import DTYPES, num_threads

BOTH = pytest.mark.parametrize("backend", [reference, cpu], ids=["reference", "cpu"])


def case(rng, steps, n, classes, longest, dtype=np.float64):
    log_probs = np.log(rng.dirichlet(np.ones(classes), size=(steps, n))).astype(dtype)
    targets = rng.integers(0, classes, (n, longest))
    targets[targets == 1] = 2 % classes  # 1 is the blank here
    return log_probs, targets, rng.integers(0, steps + 1, n), rng.integers(0, longest + 1, n), 1


def probability_of_all_paths(log_probs, labels, blank):
    """The definition: every path is tried."""
    steps, classes = log_probs.shape
    total = 0.0
    for path in itertools.product(range(classes), repeat=steps):
        merged = [k for k, _ in itertools.groupby(path) if k != blank]
        if merged == list(labels):
            total += np.exp(sum(log_probs[t, k] for t, k in enumerate(path)))
    return total


@BOTH
@pytest.mark.parametrize("labels", [[], [0], [0, 0], [0, 2], [2, 0, 2], [0, 2, 2, 0]])
def test_loss_is_that_of_all_paths(backend, labels):
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(3), size=(5, 1)))
    targets = np.array([[*labels, 0]])
    losses, _ = backend.ctc_loss_forward(log_probs, targets, np.array([5]), np.array([len(labels)]), 1)
    expected = probability_of_all_paths(log_probs[:, 0], labels, 1)
    np.testing.assert_allclose(np.exp(-losses), [expected], rtol=1e-12)


@BOTH
def test_gradient_by_differences(backend):
    """Of the logits under a log-softmax, whose gradient this is."""
    rng = np.random.default_rng(1)
    logits, targets = rng.standard_normal((6, 1, 4)), np.array([[2, 2, 0]])
    arguments = targets, np.array([6]), np.array([3]), 1

    def log_softmax(x):
        return x - np.log(np.exp(x).sum(-1, keepdims=True))

    def loss(x):
        return float(backend.ctc_loss_forward(log_softmax(x), *arguments)[0][0])

    losses, alphas = backend.ctc_loss_forward(log_softmax(logits), *arguments)
    grad = backend.ctc_loss_backward(np.ones(1), log_softmax(logits), *arguments[:3], losses, alphas, 1)
    for index in np.ndindex(logits.shape):
        step = np.zeros(logits.shape)
        step[index] = 1e-5
        assert grad[index] == pytest.approx((loss(logits + step) - loss(logits - step)) / 2e-5, abs=1e-8)


@BOTH
def test_targets_that_do_not_fit(backend):
    log_probs = np.log(np.full((2, 3, 3), 1 / 3))
    targets = np.array([[0, 2, 0], [0, 0, 0], [0, 0, 0]])
    losses, _ = backend.ctc_loss_forward(log_probs, targets, np.array([2, 2, 0]), np.array([3, 2, 0]), 1)
    np.testing.assert_array_equal(losses, [np.inf, np.inf, 0])  # two equal labels need a blank between them


@given(
    st.integers(1, 9), st.integers(1, 4), st.integers(2, 5), st.integers(0, 4), st.sampled_from(DTYPES),
    st.integers(1, 3), st.integers(0, 2**32),
)  # fmt: skip
def test_cpu_against_reference(steps, n, classes, longest, dtype, threads, seed):
    rng = np.random.default_rng(seed)
    arguments = case(rng, steps, n, classes, longest, dtype)
    grad_out = rng.standard_normal(n).astype(dtype)
    with np.errstate(all="ignore"), num_threads(threads):
        losses, alphas = reference.ctc_loss_forward(*arguments)
        actual_losses, actual_alphas = cpu.ctc_loss_forward(*arguments)
        np.testing.assert_allclose(actual_losses, losses, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(actual_alphas, alphas, rtol=1e-12, atol=1e-12)
        rest = grad_out, *arguments[:4], losses, alphas, 1
        grad, expected = cpu.ctc_loss_backward(*rest), reference.ctc_loss_backward(*rest)
    assert grad.dtype == expected.dtype == dtype
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(grad, expected, rtol=1e3 * eps, atol=1e3 * eps)
