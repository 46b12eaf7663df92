"""The transformer: encoder and decoder layers, stacks of them, and both together (Vaswani et al. 2017).

    encoder layer    x + attention(x), then x + feed_forward(x)
    decoder layer    x + attention(x), x + attention(x, memory), x + feed_forward(x)

with a layer norm behind each sum, or, with ``norm_first``, before each attention and feed-forward part (Xiong et al. 2020).
Attention itself is in ``attention.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.dtypes import get_default_dtype
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.attention import MultiheadAttention
from minicnn.nn.container import ModuleList
from minicnn.nn.dropout import Dropout
from minicnn.nn.linear import Linear
from minicnn.nn.module import Module
from minicnn.nn.normalization import LayerNorm

Activation = str | Callable[[Tensor], Tensor]


class _Layer(Module):
    """What encoder and decoder layers share: attentions, a feed-forward part, and a norm and a dropout for each of them."""

    attentions: tuple[str, ...]  # their names; the feed-forward part comes after them

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {"bias": bias, "device": device, "dtype": dtype}
        for name in self.attentions:
            setattr(self, name, MultiheadAttention(d_model, nhead, dropout, batch_first=batch_first, **options))
        self.linear1 = Linear(d_model, dim_feedforward, **options)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, **options)
        self.norm_first = norm_first
        numbers = range(1, len(self.attentions) + 2)
        for number in numbers:
            setattr(self, f"norm{number}", LayerNorm(d_model, eps=layer_norm_eps, **options))
        for number in numbers:
            setattr(self, f"dropout{number}", Dropout(dropout))
        self.activation = _activation(activation)

    def _sum(self, number: int, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """x plus what ``part`` makes of it, with norm and dropout number ``number``."""
        norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        if self.norm_first:
            return x + dropout(part(norm(x)))
        return norm(x + dropout(part(x)))

    def _feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))


class TransformerEncoderLayer(_Layer):
    """Self-attention and a feed-forward part, each added to its input.

    Parameters
    ----------
    d_model : features of input and output.
    nhead : heads of the attention; divides ``d_model``.
    dim_feedforward : features in the middle of the feed-forward part.
    dropout : probability of dropping, in four places, in training.
    activation : "relu", "gelu" or a function.
    layer_norm_eps : of the layer norms.
    batch_first : input and output are (batch, steps, d_model) rather than (steps, batch, d_model).
    norm_first : norms before the parts rather than behind the sums.
    bias : whether linear layers and norms have one.
    device, dtype : where and in which floating-point dtype to make the parameters.

    >>> import minicnn as mc
    >>> layer = mc.nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16, batch_first=True)
    >>> layer(mc.zeros(3, 5, 8)).shape
    minicnn.Size([3, 5, 8])

    Raises
    ------
    ValueError : an unknown activation, or heads that do not divide ``d_model``.
    """

    attentions = ("self_attn",)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """Apply the layer.

        Parameters
        ----------
        src : (steps, batch, d_model), or as ``batch_first`` says, or (steps, d_model).
        src_mask : (steps, steps) or (batch * nhead, steps, steps): True, or -inf, hides.
        src_key_padding_mask : (batch, steps), which steps are filling: True, or -inf.
        is_causal : a hint that ``src_mask`` is the causal mask.
        """

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal)[0]

        return self._sum(2, self._sum(1, src, attend), self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to the encoder's output (the memory), and a feed-forward part, each added to its input.

    Parameters are those of :class:`TransformerEncoderLayer`.

    >>> import minicnn as mc
    >>> layer = mc.nn.TransformerDecoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> layer(mc.zeros(5, 3, 8), mc.zeros(7, 3, 8)).shape
    minicnn.Size([5, 3, 8])
    """

    attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Apply the layer to ``tgt`` (steps, batch, d_model) and ``memory`` (memory steps, batch, d_model).

        The masks are as in the encoder layer: ``tgt_...`` for the attention to itself, ``memory_...`` for that to the
        memory.
        """

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal)[0]

        def attend_memory(x: Tensor) -> Tensor:
            return self.multihead_attn(
                x, memory, memory, memory_key_padding_mask, False, memory_mask, is_causal=memory_is_causal
            )[0]

        x = self._sum(2, self._sum(1, tgt, attend), attend_memory)
        return self._sum(3, x, self._feed_forward)


class TransformerEncoder(Module):
    """Encoder layers, one after the other.

    Parameters
    ----------
    encoder_layer : a layer, copied ``num_layers`` times.
    num_layers : how many.
    norm : a module for the end, or None.
    enable_nested_tensor, mask_check : torch's, for a fast path of its own; without effect here. (On that path torch returns
        zeros for filling under ``src_key_padding_mask``, in evaluation and without gradients. Here filling is computed as
        any step is.)

    >>> import minicnn as mc
    >>> layer = mc.nn.TransformerEncoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> mc.nn.TransformerEncoder(layer, num_layers=2)(mc.zeros(5, 3, 8)).shape
    minicnn.Size([5, 3, 8])
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ) -> None:
        super().__init__()
        self.layers = _copies(encoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm
        self.enable_nested_tensor = enable_nested_tensor
        self.mask_check = mask_check

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """Apply all layers, each with the same masks. ``is_causal`` None: look whether ``mask`` is the causal mask."""
        causal = _is_causal(mask) if is_causal is None else is_causal
        for layer in self.layers:
            src = layer(src, src_mask=mask, src_key_padding_mask=src_key_padding_mask, is_causal=causal)
        return src if self.norm is None else self.norm(src)


class TransformerDecoder(Module):
    """Decoder layers, one after the other, all looking at the same memory.

    Parameters
    ----------
    decoder_layer : a layer, copied ``num_layers`` times.
    num_layers : how many.
    norm : a module for the end, or None.

    >>> import minicnn as mc
    >>> layer = mc.nn.TransformerDecoderLayer(d_model=8, nhead=2, dim_feedforward=16)
    >>> mc.nn.TransformerDecoder(layer, num_layers=2)(mc.zeros(5, 3, 8), mc.zeros(7, 3, 8)).shape
    minicnn.Size([5, 3, 8])
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        self.layers = _copies(decoder_layer, num_layers)
        self.num_layers = num_layers
        self.norm = norm

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Apply all layers, each with the same masks and memory."""
        options = {
            "tgt_mask": tgt_mask,
            "memory_mask": memory_mask,
            "tgt_key_padding_mask": tgt_key_padding_mask,
            "memory_key_padding_mask": memory_key_padding_mask,
            "tgt_is_causal": _is_causal(tgt_mask) if tgt_is_causal is None else tgt_is_causal,
            "memory_is_causal": memory_is_causal,
        }
        for layer in self.layers:
            tgt = layer(tgt, memory, **options)
        return tgt if self.norm is None else self.norm(tgt)


class Transformer(Module):
    """An encoder and a decoder that looks at its output.

    Parameters
    ----------
    num_encoder_layers, num_decoder_layers : how many of each.
    custom_encoder, custom_decoder : modules to use instead.

    The others are those of :class:`TransformerEncoderLayer`. Weights of two and more dimensions are Xavier-uniform at first.

    >>> import minicnn as mc
    >>> model = mc.nn.Transformer(8, 2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=16)
    >>> mask = mc.nn.Transformer.generate_square_subsequent_mask(5)
    >>> model(mc.zeros(7, 3, 8), mc.zeros(5, 3, 8), tgt_mask=mask).shape
    minicnn.Size([5, 3, 8])
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = F.relu,
        custom_encoder: Any = None,
        custom_decoder: Any = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        options = {"device": device, "dtype": dtype}
        settings = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias
        )  # fmt: skip

        def norm() -> LayerNorm:
            return LayerNorm(d_model, eps=layer_norm_eps, bias=bias, **options)

        if custom_encoder is None:
            layer = TransformerEncoderLayer(*settings, **options)
            custom_encoder = TransformerEncoder(layer, num_encoder_layers, norm())
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(
                TransformerDecoderLayer(*settings, **options), num_decoder_layers, norm()
            )
        self.encoder = custom_encoder
        self.decoder = custom_decoder
        self._reset_parameters()
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first

    def _reset_parameters(self) -> None:
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: Any = None) -> Tensor:
        """The causal mask, (sz, sz): 0 where a step may look, -inf for those behind it.

        >>> import minicnn as mc
        >>> mc.nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        kind = (get_default_dtype() if dtype is None else dtype).numpy
        return Tensor(np.triu(np.full((sz, sz), -np.inf, kind), 1))

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """Encode ``src`` (steps, batch, d_model), decode ``tgt`` (target steps, batch, d_model) beside it.

        Masks are as in the layers. Returns the shape of ``tgt``.

        Raises
        ------
        ValueError : batches or features that do not fit.
        """
        batch = 0 if self.batch_first else 1
        if src.ndim == 3 and src.shape[batch] != tgt.shape[batch]:
            raise ValueError(f"tgt: expected the batch of src, {src.shape[batch]}, got {tgt.shape[batch]}")
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ValueError(
                f"src and tgt must have d_model = {self.d_model} features, got {src.shape[-1]} and {tgt.shape[-1]}"
            )
        memory = self.encoder(src, mask=src_mask, src_key_padding_mask=src_key_padding_mask, is_causal=src_is_causal)
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )


def _activation(activation: Activation) -> Callable[[Tensor], Tensor]:
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise ValueError(f"activation should be relu/gelu, not {activation}")
    return F.relu if activation == "relu" else F.gelu


def _copies(layer: Module, n: int) -> ModuleList:
    return ModuleList(copy.deepcopy(layer) for _ in range(n))


def _is_causal(mask: Tensor | None) -> bool:
    """Whether ``mask`` is the causal one: then attention skips what it hides rather than compute it."""
    if mask is None or mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        return False
    hidden = np.triu(np.ones(mask.shape, bool), 1)
    if mask._array.dtype == bool:
        return bool(np.array_equal(mask._array, hidden))
    return bool(np.array_equal(mask._array, np.where(hidden, -np.inf, 0)))
