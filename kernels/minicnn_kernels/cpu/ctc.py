"""Connectionist temporal classification (maths: ``reference/ctc.py``). Threads share the batch."""

import math

import numpy as np

from ..threads import parallel_for
from .jit import jit, jit_allocating, jit_inline
from .layout import contiguous


def ctc_loss_forward(
    log_probs: np.ndarray, targets: np.ndarray, input_lengths: np.ndarray, target_lengths: np.ndarray, blank: int
) -> tuple[np.ndarray, np.ndarray]:
    """log_probs (steps, n, c), targets (n, longest) int64, lengths (n,) -> losses (n,), ln alpha (n, steps, states).

    Both are float64.
    """
    steps, n, _ = log_probs.shape
    alphas = np.full((n, steps, 2 * targets.shape[1] + 1), -np.inf)
    losses = np.empty(n)
    arrays = [contiguous(a) for a in (log_probs, targets, input_lengths, target_lengths)]
    parallel_for(_forward, n, *arrays, int(blank), alphas, losses)
    return losses, alphas


def ctc_loss_backward(
    grad_out: np.ndarray,
    log_probs: np.ndarray,
    targets: np.ndarray,
    input_lengths: np.ndarray,
    target_lengths: np.ndarray,
    losses: np.ndarray,
    alphas: np.ndarray,
    blank: int,
) -> np.ndarray:
    """grad_out and losses (n,), the rest as above -> grad_log_probs (steps, n, c)."""
    grad = np.zeros(log_probs.shape, log_probs.dtype)
    arrays = [contiguous(a) for a in (grad_out, log_probs, targets, input_lengths, target_lengths, losses, alphas)]
    parallel_for(_backward, len(losses), *arrays, int(blank), grad)
    return grad


@jit_inline
def _log_add(a, b):
    """ln(e^a + e^b)."""
    high, low = max(a, b), min(a, b)
    return high if low == -np.inf else high + math.log1p(math.exp(low - high))


@jit_inline
def _state(targets, b, s, blank):
    """The class of state s: blanks and labels in turn."""
    return blank if s % 2 == 0 else targets[b, s // 2]


@jit_inline
def _skips(targets, b, s):
    """Whether state s may be entered from state s - 2."""
    return s % 2 == 1 and s > 1 and targets[b, s // 2] != targets[b, s // 2 - 1]


@jit
def _forward(start, stop, y, targets, input_lengths, target_lengths, blank, alphas, losses):
    for b in range(start, stop):
        steps, states = input_lengths[b], 2 * target_lengths[b] + 1
        if steps == 0:
            losses[b] = 0 if states == 1 else np.inf
            continue
        alpha = alphas[b]
        alpha[0, 0] = y[0, b, blank]
        if states > 1:
            alpha[0, 1] = y[0, b, targets[b, 0]]
        for t in range(1, steps):
            for s in range(states):
                total = alpha[t - 1, s]
                if s > 0:
                    total = _log_add(total, alpha[t - 1, s - 1])
                if _skips(targets, b, s):
                    total = _log_add(total, alpha[t - 1, s - 2])
                alpha[t, s] = total + y[t, b, _state(targets, b, s, blank)]
        total = alpha[steps - 1, states - 1]
        if states > 1:
            total = _log_add(total, alpha[steps - 1, states - 2])
        losses[b] = -total


@jit_allocating
def _backward(start, stop, grad_out, y, targets, input_lengths, target_lengths, losses, alphas, blank, grad):
    classes = y.shape[2]
    for b in range(start, stop):
        steps, states = input_lengths[b], 2 * target_lengths[b] + 1
        beta, after = np.full(states, -np.inf), np.full(states, -np.inf)
        occupied = np.empty(classes)
        for t in range(steps - 1, -1, -1):
            beta, after = after, beta  # `after` is that of the next step now
            occupied[:] = -np.inf
            for s in range(states):
                k = _state(targets, b, s, blank)
                total = -np.inf
                if t == steps - 1:
                    if s >= states - 2:
                        total = 0.0
                else:
                    total = after[s]
                    if s + 1 < states:
                        total = _log_add(total, after[s + 1])
                    if s + 2 < states and _skips(targets, b, s + 2):
                        total = _log_add(total, after[s + 2])
                beta[s] = total + y[t, b, k]
                occupied[k] = _log_add(occupied[k], alphas[b, t, s] + beta[s])
            for k in range(classes):
                own = np.float64(y[t, b, k])
                grad[t, b, k] = grad_out[b] * (math.exp(own) - math.exp(occupied[k] + losses[b] - own))
