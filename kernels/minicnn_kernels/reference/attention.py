"""Scaled dot-product attention: softmax(scale Q K^T + mask) V (Vaswani et al. 2017, "Attention is all you need", eq. 1).

    S = scale Q K^T + mask      scores, one row a query, one column a key
    P = softmax(S) by rows      P_ij = e^(S_ij - l_i),  l_i = ln sum_j e^S_ij
    O = P V

A score of -inf leaves a key out; a query with no key left gets zeros. For the way back, with g = grad_out:

    grad_V = P^T g
    grad_P = g V^T
    grad_S = P (grad_P - rowsum(P grad_P)),  and rowsum(P grad_P)_i = sum_j g_ij O_ij
    grad_Q = scale grad_S K
    grad_K = scale grad_S^T Q

Only l is kept, one number a query: P is computed again (Dao et al. 2022, "FlashAttention", section 3.1).
"""

import numpy as np


def attention_forward(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None, scale: float, causal: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Attention of each head of each batch.

    q (batch, heads, queries, width), k (batch, heads, keys, width), v (batch, heads, keys, value_width), mask None or
    added to the scores, 4-dimensional, broadcasting to (batch, heads, queries, keys) -> out (batch, heads, queries,
    value_width), log_sum (batch, heads, queries). ``causal``: query i sees keys 0 .. i.
    """
    scores = _scores(q, k, mask, scale, causal)
    largest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    largest[np.isneginf(largest)] = 0
    weights = np.exp(scores - largest)
    total = weights.sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_sum = np.where(
            total == 0, np.inf, largest + np.log(total)
        )  # +inf makes the weights 0 again on the way back
    weights /= np.where(total == 0, 1, total)
    return weights @ v, log_sum[..., 0]


def attention_backward(
    grad_out: np.ndarray, q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None, scale: float,
    causal: bool, out: np.ndarray, log_sum: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """What the forward pass got and returned -> grad_q, grad_k, grad_v, in the shapes of q, k and v."""
    weights = np.exp(_scores(q, k, mask, scale, causal) - log_sum[..., None])
    grad_v = weights.swapaxes(-1, -2) @ grad_out
    grad_weights = grad_out @ v.swapaxes(-1, -2)
    grad_scores = weights * (grad_weights - (grad_out * out).sum(axis=-1, keepdims=True))
    grad_scores *= grad_scores.dtype.type(scale)
    return grad_scores @ k, grad_scores.swapaxes(-1, -2) @ q, grad_v


def _scores(q: np.ndarray, k: np.ndarray, mask: np.ndarray | None, scale: float, causal: bool) -> np.ndarray:
    scores = q @ k.swapaxes(-1, -2)
    scores *= scores.dtype.type(scale)
    if mask is not None:
        scores += mask
    if causal:
        queries, keys = scores.shape[-2:]
        scores[..., np.arange(keys) > np.arange(queries)[:, None]] = -np.inf
    return scores
