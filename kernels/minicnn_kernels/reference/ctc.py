"""Connectionist temporal classification (Graves, Fernandez, Gomez and Schmidhuber 2006), in logarithms.

A path says one class at each of T steps; a labelling is what is left of it when repeats are merged and blanks taken out.
The loss is -ln of the probability of all paths to the target. With the states blank, l1, blank, l2, ..., blank:

    alpha[t, s]  probability of the beginnings of paths that are in state s at step t
    beta[t, s]   probability of their ends, from step t on
    alpha[t, s] = y[t, state s] * (alpha[t-1, s] + alpha[t-1, s-1] + alpha[t-1, s-2])      (equations 6 to 8)

where the last term is there only if state s is no blank and differs from state s - 2; beta likewise from the end. For
log-probabilities that come from a log-softmax, as they should, the gradient of the logits and of the log-probabilities may
be given together (equation 16), which is what PyTorch does too:

    grad[t, k] = y[t, k] - sum over states s of class k of alpha[t, s] beta[t, s] / (y[t, k] * probability)
"""

import numpy as np


def ctc_loss_forward(
    log_probs: np.ndarray, targets: np.ndarray, input_lengths: np.ndarray, target_lengths: np.ndarray, blank: int
) -> tuple[np.ndarray, np.ndarray]:
    """log_probs (steps, n, c), targets (n, longest) int64, lengths (n,) -> losses (n,), ln alpha (n, steps, states).

    Both are float64.
    """
    steps, n, _ = log_probs.shape
    alphas = np.full((n, steps, 2 * targets.shape[1] + 1), -np.inf)
    losses = np.empty(n)
    for b in range(n):
        states, skips = _states(targets[b, : target_lengths[b]], blank)
        y = log_probs[: input_lengths[b], b][:, states].astype(np.float64)  # (steps, c) -> (steps, states)
        alpha = alphas[b, : len(y), : len(states)]
        for t in range(len(y)):
            if t == 0:
                alpha[0, :2] = y[0, :2]
            else:
                alpha[t] = y[t] + _from_three(alpha[t - 1], skips)
        if len(y):
            losses[b] = -np.logaddexp.reduce(alpha[-1, -2:])
        else:
            losses[b] = 0 if len(states) == 1 else np.inf
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
    grad = np.zeros_like(log_probs)
    for b in range(len(losses)):
        states, skips = _states(targets[b, : target_lengths[b]], blank)
        steps = int(input_lengths[b])
        wide = log_probs[:steps, b].astype(np.float64)  # (steps, c)
        y = wide[:, states]
        beta = np.full(y.shape, -np.inf)
        for t in range(steps - 1, -1, -1):
            if t == steps - 1:
                beta[t, -2:] = y[t, -2:]
            else:
                beta[t] = y[t] + _from_three(beta[t + 1, ::-1], skips[::-1], ahead=True)[::-1]
        occupied = np.full(wide.shape, -np.inf)
        for s, k in enumerate(states):
            occupied[:, k] = np.logaddexp(occupied[:, k], alphas[b, :steps, s] + beta[:, s])
        grad[:steps, b] = grad_out[b] * (np.exp(wide) - np.exp(occupied + losses[b] - wide))
    return grad


def _states(labels: np.ndarray, blank: int) -> tuple[np.ndarray, np.ndarray]:
    """The states of a target, and whether each may be entered from the last but one."""
    states = np.full(2 * len(labels) + 1, blank)
    states[1::2] = labels
    skips = np.zeros(len(states), bool)
    skips[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    return states, skips


def _from_three(before: np.ndarray, skips: np.ndarray, ahead: bool = False) -> np.ndarray:
    """ln of the sum of a state's own value and those of the one and, where allowed, two states before it.

    Walking from the end (``ahead``), whether a step over a state is allowed is said by the state it leads to.
    """
    total = before.copy()
    total[1:] = np.logaddexp(total[1:], before[:-1])
    allowed = skips[:-2] if ahead else skips[2:]
    total[2:] = np.where(allowed, np.logaddexp(total[2:], before[:-2]), total[2:])
    return total
