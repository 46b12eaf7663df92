"""Scaled dot-product attention: each query gets an average of the values, weighted by how well its keys fit.

    P = softmax(scale Q K^T + mask),  O = P V       (Vaswani et al. 2017, "Attention is all you need", eq. 1)

Formulas and their gradients are in ``minicnn_kernels/reference/attention.py``; the compiled kernel never holds all of P.
The layer around it, with its projections, is ``multi_head_attention.py``.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn_kernels import backend_of

from ..autograd import Op, Tensor
from .dropout import dropout
from .elementwise import where
from .matmul import matmul
from .promotion import require_same_dtype
from .shape import expand, transpose
from .softmax import softmax


class Attention(Op):
    memory_axes = (
        0,
        2,
        1,
        3,
    )  # of a plan's memory for the result: the heads' results side by side, as the next layer reads them

    # q (batch, heads, queries, width), k (batch, heads, keys, width), v (batch, heads, keys, value_width), mask None or
    # 4-dimensional -> (batch, heads, queries, value_width)
    @staticmethod
    def forward(ctx, q, k, v, mask, *, scale, causal):
        ctx.kernels, ctx.scale, ctx.causal = backend_of(q), scale, causal
        out, log_sum = ctx.kernels.attention_forward(q, k, v, mask, scale, causal)
        if any(ctx.needs_input_grad):
            ctx.save(q, k, v, mask, out, log_sum)
        return out

    @staticmethod
    def launches(out, kept, q, k, v, mask, *, scale, causal):
        return backend_of(q).attention_launches(q, k, v, mask, scale, causal, out)

    @staticmethod
    def backward(ctx, grad_out):
        *operands, out, log_sum = ctx.saved
        return (*ctx.kernels.attention_backward(grad_out, *operands, ctx.scale, ctx.causal, out, log_sum), None)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(scale * query @ key.mT + mask) @ value``.

    Parameters
    ----------
    query : (..., heads, queries, width) floating point; leading dimensions broadcast
    key : (..., heads, keys, width)
    value : (..., heads, keys, value_width)
    attn_mask : broadcasting to (..., heads, queries, keys). bool: True where a query may look at a key. Floating point:
        added to the scores.
    dropout_p : probability of dropping a weight. It is always applied: pass 0.0 in evaluation.
    is_causal : query i sees keys 0 .. i only.
    scale : 1 / sqrt(width) unless given.
    enable_gqa : key and value have fewer heads than query, and each serves several of its heads in a row (Ainslie et al.
        2023, "GQA").

    Returns
    -------
    (..., heads, queries, value_width); zeros for a query that may look at no key at all.

    >>> import minicnn as mc
    >>> q, k = mc.zeros(1, 1, 2), mc.rand(1, 2, 2)  # one query, two keys; all scores are 0
    >>> mc.nn.functional.scaled_dot_product_attention(q, k, mc.tensor([[[1.0], [3.0]]]))
    tensor([[[2.]]])

    Raises
    ------
    ValueError : sizes that do not fit, or a probability outside 0..1.
    TypeError : types that differ, or a mask that is neither bool nor of query's type.
    """
    require_same_dtype("scaled_dot_product_attention", query=query, key=key, value=value)
    for name, x in (("query", query), ("key", key), ("value", value)):
        if x.ndim < 2:
            raise ValueError(f"{name}: attention needs at least (rows, width), got shape {tuple(x.shape)}")
    if not 0.0 <= dropout_p <= 1.0:
        raise ValueError(f"dropout_p: a probability of dropping is between 0 and 1, got {dropout_p}")
    if enable_gqa:
        key, value = (_repeated_heads(x, query, name) for x, name in ((key, "key"), (value, "value")))
    (queries, width), (keys, value_width) = query.shape[-2:], value.shape[-2:]
    if key.shape[-1] != width or key.shape[-2] != keys:
        raise ValueError(
            f"key: attention needs as many columns as query and as many rows as value, got query {tuple(query.shape)}, key "
            f"{tuple(key.shape)}, value {tuple(value.shape)}"
        )
    try:
        leading = np.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2])
    except ValueError:
        raise ValueError(
            f"query, key, value: the leading sizes do not broadcast: {tuple(query.shape)}, {tuple(key.shape)}, "
            f"{tuple(value.shape)}" + ("" if enable_gqa else "; enable_gqa=True shares keys among heads")
        ) from None
    mask = None if attn_mask is None else _additive_mask(attn_mask, query, (*leading, queries, keys))
    if scale is None:
        scale = 1 / math.sqrt(width) if width else 1.0
    if dropout_p > 0 or (mask is not None and mask.requires_grad):
        return _in_steps(query, key, value, mask, dropout_p, is_causal, scale)

    heads = leading[-1] if leading else 1
    batch = math.prod(leading[:-1])

    def by_head(x: Tensor) -> Tensor:  # (..., rows, width) -> (batch, heads, rows, width)
        shape = (*leading, *x.shape[-2:])
        x = x if tuple(x.shape) == shape else expand(x, *shape)
        return x if x.ndim == 4 else x.reshape(batch, heads, *x.shape[-2:])

    if mask is not None:
        if mask.ndim > 4:
            mask = expand(mask, *leading, queries, keys).reshape(batch, heads, queries, keys)
        mask = mask.reshape(*(1,) * (4 - mask.ndim), *mask.shape)
    out = Attention.apply(
        by_head(query), by_head(key), by_head(value), mask, scale=float(scale), causal=bool(is_causal)
    )
    return out if len(leading) == 2 else out.reshape(*leading, queries, value_width)


def _in_steps(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool, scale: float
) -> Tensor:
    """The formula, step by step, for what the kernel leaves out: dropped weights, and the gradient of a mask."""
    scores = matmul(query, transpose(key, -2, -1)) * scale
    if mask is not None:
        scores = scores + mask
    hidden = Tensor(np.isneginf(scores._array))
    if is_causal:
        queries, keys = scores.shape[-2:]
        hidden = Tensor(hidden._array | (np.arange(keys) > np.arange(queries)[:, None]))
        scores = where(hidden, -math.inf, scores)
    alone = Tensor(hidden._array.all(axis=-1, keepdims=True))  # a query without keys would make NaN of 0 / 0
    weights = where(alone, 0.0, softmax(where(alone, 0.0, scores), dim=-1))
    return matmul(dropout(weights, dropout_p), value)


def _repeated_heads(x: Tensor, query: Tensor, name: str) -> Tensor:
    """(..., few, rows, width) -> (..., heads, rows, width): each head several times in a row."""
    few, heads = x.shape[-3] if x.ndim > 2 else 0, query.shape[-3] if query.ndim > 2 else 0
    if not few or heads % few:
        raise ValueError(
            f"{name}: enable_gqa needs a number of heads that divides that of query, got shapes {tuple(x.shape)} and "
            f"{tuple(query.shape)}"
        )
    *leading, _, rows, width = x.shape
    return expand(x.unsqueeze(-3), *leading, few, heads // few, rows, width).reshape(*leading, heads, rows, width)


def _additive_mask(mask: Tensor, query: Tensor, shape: tuple[int, ...]) -> Tensor:
    if not isinstance(mask, Tensor):
        raise TypeError(f"attn_mask: expected a Tensor or None, got {type(mask).__name__}")
    sizes = zip(mask.shape[::-1], shape[::-1], strict=False)
    if mask.ndim > len(shape) or any(size not in (1, wanted) for size, wanted in sizes):
        raise ValueError(f"attn_mask: shape {tuple(mask.shape)} does not broadcast to {shape}, (..., queries, keys)")
    kind = query._array.dtype
    if mask._array.dtype == bool:
        return Tensor(np.where(mask._array, kind.type(0), kind.type(-np.inf)))
    if mask._array.dtype not in (kind, np.float32):
        raise TypeError(f"attn_mask: expected bool or the type of query, {query.dtype}, got {mask.dtype}")
    return mask.to(query.dtype)
