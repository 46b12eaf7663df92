"""Multi-head attention: projections around ``attention.py``.

head_h = attention(Q W_h^Q, K W_h^K, V W_h^V),  out = concat(head_1 ... head_H) W^O
                                                  (Vaswani et al. 2017, "Attention is all you need", section 3.2.2)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..autograd import Tensor
from .attention import scaled_dot_product_attention
from .creation import zeros
from .dropout import dropout
from .joining import cat, chunk
from .matmul import linear, matmul
from .padding import pad
from .shape import expand, transpose
from .softmax import softmax


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
    *,
    batch_first: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention with several heads, each on a part of the projected features: what ``nn.MultiheadAttention`` computes.

    Parameters
    ----------
    query : (queries, batch, embed_dim), or (queries, embed_dim) without a batch
    key, value : (keys, batch, kdim) and (keys, batch, vdim); embed_dim unless the projection weights are separate
    embed_dim_to_check : must be the last size of query
    num_heads : divides embed_dim
    in_proj_weight, in_proj_bias : (3 * embed_dim, embed_dim) and (3 * embed_dim,): for query, key and value one below the
        other
    bias_k, bias_v : (1, 1, embed_dim), a further key and value that every query sees; or None
    add_zero_attn : add a further key and value of zeros
    dropout_p, training : probability of dropping an attention weight, in training
    out_proj_weight, out_proj_bias : (embed_dim, embed_dim) and (embed_dim,)
    key_padding_mask : (batch, keys), or (keys,) without a batch. bool: True *hides* a key. Floating point: added to the
        scores
    need_weights : return the weights too, which takes the slower way
    attn_mask : (queries, keys) or (batch * num_heads, queries, keys); bool (True hides) or floating point
    use_separate_proj_weight : use ``q_proj_weight`` (embed_dim, embed_dim), ``k_proj_weight`` (embed_dim, kdim) and
        ``v_proj_weight`` (embed_dim, vdim) in place of ``in_proj_weight``
    static_k, static_v : (batch * num_heads, keys, embed_dim / num_heads), used in place of the projected key and value
    average_attn_weights : return the mean of the weights over the heads
    is_causal : a hint that ``attn_mask`` is the causal mask
    batch_first : the batch is dimension 0 of query, key, value and out rather than 1 (an addition to torch's function)

    Returns
    -------
    out : (queries, batch, embed_dim), and the weights, (batch, queries, keys) or (batch, num_heads, queries, keys), or
    None; without the batch where the query has none.

    Raises
    ------
    ValueError : sizes or arguments that do not fit together. TypeError : a mask of another type.
    """
    batched = _check(query, key, value, key_padding_mask, attn_mask, num_heads)
    # Which dimension is the batch, and which the rows. Nothing is moved: the projections take rows as they come.
    batch_at, rows_at = (0, 1) if batch_first and batched else (1, 0)
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    queries, batch, embed_dim = query.shape[rows_at], query.shape[batch_at], query.shape[2]
    if key.shape[batch_at] != batch:
        raise ValueError(f"key: expected the batch of query, {batch}, got shape {tuple(key.shape)}")
    width = embed_dim // num_heads
    if embed_dim != embed_dim_to_check:
        raise ValueError(f"query: expected the last size to be embed_dim = {embed_dim_to_check}, got {embed_dim}")
    if width * num_heads != embed_dim:
        raise ValueError(f"num_heads: must divide embed_dim = {embed_dim}, got {num_heads}")
    if is_causal and attn_mask is None:
        raise ValueError(
            "is_causal: it is only a hint that attn_mask is causal, so it needs the mask too: "
            "nn.Transformer.generate_square_subsequent_mask makes one"
        )
    causal = is_causal and key_padding_mask is None and not need_weights
    mask = None if causal else _as_scores(attn_mask, "attn_mask", query)
    padding = _as_scores(key_padding_mask, "key_padding_mask", query)
    if mask is not None:
        mask = _checked_attn_mask(mask, (queries, key.shape[rows_at]), batch * num_heads)

    if use_separate_proj_weight:
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
        if any(weight is None for weight in weights):
            raise ValueError("use_separate_proj_weight: needs q_proj_weight, k_proj_weight and v_proj_weight")
        biases: Any = (None,) * 3 if in_proj_bias is None else chunk(in_proj_bias, 3)
        q, k, v = (linear(*each) for each in zip((query, key, value), weights, biases, strict=True))
    elif in_proj_weight is None:
        raise ValueError("in_proj_weight: needed unless use_separate_proj_weight is set")
    else:
        q, k, v = _projected(query, key, value, in_proj_weight, in_proj_bias)

    further = 0  # keys added behind the others; no mask hides them
    if (bias_k is None) != (bias_v is None):
        raise ValueError("bias_k, bias_v: expected both or neither")
    if bias_k is not None and bias_v is not None:
        if static_k is not None or static_v is not None:
            raise ValueError("bias_k, bias_v: cannot be added to static keys and values")
        one = (batch, 1, embed_dim) if batch_at == 0 else (1, batch, embed_dim)
        k, v = (cat([x, expand(bias, *one)], dim=rows_at) for x, bias in ((k, bias_k), (v, bias_v)))
        further += 1

    def by_head(x: Tensor) -> Tensor:  # (rows, batch, embed_dim) or batch first -> (batch, num_heads, rows, width)
        return x.reshape(*x.shape[:2], num_heads, width).permute(batch_at, 2, rows_at, 3)

    q = by_head(q)
    k = by_head(k) if static_k is None else _checked_static(static_k, "static_k", batch, num_heads, width)
    v = by_head(v) if static_v is None else _checked_static(static_v, "static_v", batch, num_heads, width)
    if add_zero_attn:
        nothing = zeros(batch, num_heads, 1, width, dtype=k.dtype)
        k, v = cat([k, nothing], dim=2), cat([v, nothing], dim=2)
        further += 1
    keys = k.shape[2]
    mask = _merged(mask, padding, further, batch, num_heads, keys)

    dropout_p = dropout_p if training else 0.0
    attn_weights = None
    if need_weights:
        scores = matmul(q * math.sqrt(1.0 / width), transpose(k, -2, -1))
        scores = scores if mask is None else scores + mask
        attn_weights = dropout(softmax(scores, dim=-1), dropout_p)  # (batch, num_heads, queries, keys)
        out = matmul(attn_weights, v)  # (batch, num_heads, queries, width)
        attn_weights = attn_weights.mean(dim=1) if average_attn_weights else attn_weights
    else:
        out = scaled_dot_product_attention(q, k, v, mask, dropout_p, causal)
    out = out.permute(*((0, 2, 1, 3) if batch_at == 0 else (2, 0, 1, 3)))  # the heads' results side by side
    out = linear(out.reshape(*query.shape), out_proj_weight, out_proj_bias)
    if not batched:
        out, attn_weights = out.squeeze(1), None if attn_weights is None else attn_weights.squeeze(0)
    return out, attn_weights


def _projected(query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, ...]:
    """The three projections, those of one and the same tensor in one product."""
    if key is value:
        if query is key:
            return chunk(linear(query, weight, bias), 3, dim=-1)
        embed_dim = query.shape[-1]
        sizes = (embed_dim, 2 * embed_dim)
        w_q, w_kv = weight.split(sizes)
        b_q, b_kv = (None, None) if bias is None else bias.split(sizes)
        return (linear(query, w_q, b_q), *chunk(linear(key, w_kv, b_kv), 2, dim=-1))
    biases: Any = (None,) * 3 if bias is None else chunk(bias, 3)
    return tuple(linear(*each) for each in zip((query, key, value), chunk(weight, 3), biases, strict=True))


def _check(
    query: Tensor, key: Tensor, value: Tensor, padding: Tensor | None, mask: Tensor | None, num_heads: int
) -> bool:
    """Whether there is a batch; the number of dimensions of everything else follows from it."""
    if query.ndim not in (2, 3):
        raise ValueError(
            f"query: expected (queries, batch, embed_dim) or (queries, embed_dim), got shape {tuple(query.shape)}"
        )
    batched = query.ndim == 3
    for name, x, ndim in (
        ("key", key, query.ndim),
        ("value", value, query.ndim),
        ("key_padding_mask", padding, 1 + batched),
    ):
        if x is not None and x.ndim != ndim:
            raise ValueError(f"{name}: expected {ndim} dimensions beside a {query.ndim}-D query, got {tuple(x.shape)}")
    if mask is not None and mask.ndim not in (2, 3):
        raise ValueError(f"attn_mask: expected 2 or 3 dimensions, got shape {tuple(mask.shape)}")
    if not batched and mask is not None and mask.ndim == 3 and mask.shape[0] != num_heads:
        raise ValueError(f"attn_mask: expected num_heads = {num_heads} masks without a batch, got {tuple(mask.shape)}")
    if tuple(key.shape[:-1]) != tuple(value.shape[:-1]):
        raise ValueError(f"value: expected the sizes of key but the last, {tuple(key.shape)}, got {tuple(value.shape)}")
    return batched


def _as_scores(mask: Tensor | None, name: str, query: Tensor) -> Tensor | None:
    """A mask to be added: -inf where a bool one is True (hidden)."""
    if mask is None:
        return None
    kind = query._array.dtype
    if mask._array.dtype == bool:
        return Tensor(np.where(mask._array, kind.type(-np.inf), kind.type(0)))
    if mask._array.dtype.kind != "f":
        raise TypeError(f"{name}: expected bool or floating point, got {mask.dtype}")
    return mask.to(query.dtype)


def _checked_attn_mask(mask: Tensor, sizes: tuple[int, int], heads: int) -> Tensor:
    expected = sizes if mask.ndim == 2 else (heads, *sizes)
    if tuple(mask.shape) != expected:
        raise ValueError(f"attn_mask: expected shape {expected}, got {tuple(mask.shape)}")
    return mask


def _checked_static(x: Tensor, name: str, batch: int, num_heads: int, width: int) -> Tensor:
    """-> (batch, num_heads, keys, width)."""
    heads = batch * num_heads
    if x.ndim != 3 or (x.shape[0], x.shape[2]) != (heads, width):
        raise ValueError(
            f"{name}: expected (batch * num_heads, keys, width) = ({heads}, keys, {width}), got {tuple(x.shape)}"
        )
    return x.reshape(batch, num_heads, *x.shape[1:])


def _merged(
    mask: Tensor | None, padding: Tensor | None, further: int, batch: int, num_heads: int, keys: int
) -> Tensor | None:
    """Both masks in one that broadcasts to (batch, num_heads, queries, keys), with zeros for the keys that were added."""
    if further:
        mask, padding = (None if x is None else pad(x, (0, further)) for x in (mask, padding))
    if mask is not None:
        mask = mask.reshape(*((1, 1) if mask.ndim == 2 else (batch, num_heads)), *mask.shape[-2:])
    if padding is None:
        return mask
    if tuple(padding.shape) != (batch, keys):
        raise ValueError(
            f"key_padding_mask: expected (batch, keys) = ({batch}, {keys - further}), got {tuple(padding.shape)}"
        )
    padding = padding.reshape(batch, 1, 1, keys)
    return padding if mask is None else mask + padding
