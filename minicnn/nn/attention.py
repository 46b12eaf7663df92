"""Multi-head attention as a layer. The transformer's layers, built of it, are in ``transformer.py``."""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import empty


class NonDynamicallyQuantizableLinear(Linear):
    """A ``Linear`` under the name that torch prints for an attention's output projection."""


class MultiheadAttention(Module):
    """Attention in ``num_heads`` parts of the features (Vaswani et al. 2017, "Attention is all you need", section 3.2).

    See :func:`minicnn.nn.functional.multi_head_attention_forward` for the formula.

    Parameters
    ----------
    embed_dim : features of query and output.
    num_heads : divides ``embed_dim``.
    dropout : probability of dropping an attention weight, in training.
    bias : whether the projections have one.
    add_bias_kv : learn a further key and value that every query sees.
    add_zero_attn : add a key and value of zeros.
    kdim, vdim : features of key and value; ``embed_dim`` by default.
    batch_first : the batch is dimension 0 of query, key, value and output rather than 1.
    device, dtype : where and in which floating-point dtype to make the parameters.

    Attributes
    ----------
    in_proj_weight : (3 * embed_dim, embed_dim), or, where ``kdim`` or ``vdim`` is another, ``q_proj_weight``,
        ``k_proj_weight`` and ``v_proj_weight``. Xavier-uniform at first.
    in_proj_bias : (3 * embed_dim,), zeros at first.
    out_proj : the linear layer behind.

    >>> import minicnn as mc
    >>> attention = mc.nn.MultiheadAttention(8, num_heads=2, batch_first=True)
    >>> x = mc.zeros(3, 5, 8)  # three sequences of five
    >>> out, weights = attention(x, x, x)
    >>> out.shape, weights.shape
    (minicnn.Size([3, 5, 8]), minicnn.Size([3, 5, 5]))

    Raises
    ------
    ValueError : sizes that are not positive, or heads that do not divide ``embed_dim``.
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} "
                "instead"
            )
        if embed_dim % num_heads:
            raise ValueError(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        options = {"device": device, "dtype": dtype}
        sizes: dict[str, int] = {"q_proj_weight": embed_dim, "k_proj_weight": self.kdim, "v_proj_weight": self.vdim}
        if self._qkv_same_embed_dim:
            self.in_proj_weight = Parameter(empty((3 * embed_dim, embed_dim), **options))
        for name, size in sizes.items():
            separate = None if self._qkv_same_embed_dim else Parameter(empty((embed_dim, size), **options))
            self.register_parameter(name, separate)
        if not self._qkv_same_embed_dim:
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", Parameter(empty(3 * embed_dim, **options)) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **options)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, Parameter(empty((1, 1, embed_dim), **options)) if add_bias_kv else None)
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Return the output, in the shape of ``query``, and the attention weights (None with ``need_weights=False``,
        which is faster).
        """
        return F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            batch_first=self.batch_first,
        )
