"""Vision Transformer: an image as a sentence of patches (Dosovitskiy et al. 2021)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, cast

from .. import ops
from ..autograd import Tensor
from ..nn import (
    GELU,
    BatchNorm2d,
    Conv2d,
    Dropout,
    LayerNorm,
    Linear,
    Module,
    MultiheadAttention,
    Parameter,
    ReLU,
    Sequential,
    Tanh,
    init,
)
from .blocks import ConvNormActivation, Layer, zero_bias
from .published import WeightsLike, build, builder_of, chosen, weights_enum

ViT_B_16_Weights = weights_enum("ViT_B_16_Weights", "vit_b_16")
ViT_B_32_Weights = weights_enum("ViT_B_32_Weights", "vit_b_32")
ViT_L_16_Weights = weights_enum("ViT_L_16_Weights", "vit_l_16")


class ConvStemConfig(NamedTuple):
    """One convolution of a stem (Xiao et al. 2021): several small ones in place of the one that cuts patches."""

    out_channels: int
    kernel_size: int
    stride: int
    norm_layer: Layer = BatchNorm2d
    activation_layer: Layer = ReLU


class MLPBlock(Sequential):
    """Linear, GELU, dropout, linear, dropout: parts 0 to 4."""

    def __init__(self, in_dim: int, mlp_dim: int, dropout: float):
        super().__init__(Linear(in_dim, mlp_dim), GELU(), Dropout(dropout), Linear(mlp_dim, in_dim), Dropout(dropout))
        for layer in (self[0], self[3]):
            init.xavier_uniform_(layer.weight)
            init.normal_(cast(Parameter, layer.bias), std=1e-6)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        for old, new in (("linear_1", "0"), ("linear_2", "3")):  # names of older files
            for kind in ("weight", "bias"):
                if f"{prefix}{old}.{kind}" in state_dict:
                    state_dict[f"{prefix}{new}.{kind}"] = state_dict.pop(f"{prefix}{old}.{kind}")
        super()._load_from_state_dict(state_dict, prefix, *rest)


class EncoderBlock(Module):
    """``x + attention(norm(x))``, then ``x + mlp(norm(x))``: (n, steps, features) -> the same shape."""

    def __init__(
        self, num_heads: int, hidden_dim: int, mlp_dim: int, dropout: float, attention_dropout: float, norm_layer: Layer
    ):
        super().__init__()
        self.ln_1 = norm_layer(hidden_dim)
        self.self_attention = MultiheadAttention(hidden_dim, num_heads, dropout=attention_dropout, batch_first=True)
        self.dropout = Dropout(dropout)
        self.ln_2 = norm_layer(hidden_dim)
        self.mlp = MLPBlock(hidden_dim, mlp_dim, dropout)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        y, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + self.dropout(y)
        return x + self.mlp(self.ln_2(x))


class Encoder(Module):
    """Position embedding, blocks, a norm."""

    def __init__(
        self,
        seq_length: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float,
        attention_dropout: float,
        norm_layer: Layer,
    ):
        super().__init__()
        self.pos_embedding = Parameter(ops.empty(1, seq_length, hidden_dim))
        init.normal_(self.pos_embedding, std=0.02)
        self.dropout = Dropout(dropout)
        self.layers = Sequential(
            OrderedDict(
                (
                    f"encoder_layer_{i}",
                    EncoderBlock(num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm_layer),
                )
                for i in range(num_layers)
            )
        )
        self.ln = norm_layer(hidden_dim)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 3:
            raise ValueError(f"input: expected (n, tokens, hidden_dim), got shape {tuple(x.shape)}")
        return self.ln(self.layers(self.dropout(x + self.pos_embedding)))


class VisionTransformer(Module):
    """Patches to tokens, a class token in front, a transformer encoder, a linear head on the class token.

    Parameters
    ----------
    image_size, patch_size : in pixels; the size is a multiple of the patch's.
    num_layers, num_heads, hidden_dim, mlp_dim : of the encoder.
    dropout, attention_dropout : probabilities of dropping.
    num_classes : outputs.
    representation_size : width of a hidden layer in the head; none by default.
    norm_layer : from the width to a layer; layer norm with eps 1e-6 by default.
    conv_stem_configs : convolutions before the last one, a 1x1; their strides together have to make ``patch_size``.

    Shapes: x (n, 3, h, w) float -> logits (n, num_classes).
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
        representation_size: int | None = None,
        norm_layer: Layer | None = None,
        conv_stem_configs: Sequence[ConvStemConfig] | None = None,
    ):
        super().__init__()
        if image_size % patch_size:
            raise ValueError(f"image_size: {image_size} is no multiple of patch_size {patch_size}")
        norm = partial(LayerNorm, eps=1e-6) if norm_layer is None else norm_layer
        self.image_size, self.patch_size, self.hidden_dim = image_size, patch_size, hidden_dim
        self.class_token = Parameter(ops.zeros(1, 1, hidden_dim))
        self.conv_proj = _stem(hidden_dim, patch_size, conv_stem_configs)
        self.seq_length = (image_size // patch_size) ** 2 + 1
        self.encoder = Encoder(
            self.seq_length, num_layers, num_heads, hidden_dim, mlp_dim, dropout, attention_dropout, norm
        )
        head: OrderedDict[str, Module] = OrderedDict()
        if representation_size is not None:
            head["pre_logits"] = Linear(hidden_dim, representation_size)
            head["act"] = Tanh()
        head["head"] = Linear(representation_size or hidden_dim, num_classes)
        self.heads = Sequential(head)
        if isinstance(self.conv_proj, Conv2d):
            init.trunc_normal_(self.conv_proj.weight, std=math.sqrt(1 / (3 * patch_size**2)))
            zero_bias(self.conv_proj)
        else:
            last = self.conv_proj[-1]
            init.normal_(last.weight, std=math.sqrt(2 / last.out_channels))
            zero_bias(last)
        if representation_size is not None:
            init.trunc_normal_(self.heads[0].weight, std=math.sqrt(1 / hidden_dim))
            zero_bias(self.heads[0])
        init.zeros_(self.heads[-1].weight)
        zero_bias(self.heads[-1])

    def forward(self, x: Tensor) -> Tensor:
        n, _, h, w = x.shape
        if (h, w) != (self.image_size, self.image_size):
            raise ValueError(
                f"input: this model is for images of {self.image_size} x {self.image_size}, got {h} x {w}; resize them"
            )
        x = self.conv_proj(x)  # (n, 3, h, w) -> (n, features, h_out, w_out)
        x = x.flatten(2).permute(0, 2, 1)  # -> (n, steps, features)
        x = ops.cat([self.class_token.expand(n, -1, -1), x], 1)  # -> (n, 1 + steps, features)
        return self.heads(self.encoder(x)[:, 0])


def _stem(hidden_dim: int, patch_size: int, configs: Sequence[ConvStemConfig] | None) -> Conv2d | Sequential:
    """What makes tokens of an image, ``hidden_dim`` channels at a ``patch_size``-th of the height and of the width."""
    if configs is None:
        return Conv2d(3, hidden_dim, patch_size, patch_size)
    layers: OrderedDict[str, Module] = OrderedDict()
    channels = 3
    for i, (out, kernel, stride, norm, activation) in enumerate(configs):
        layers[f"conv_bn_relu_{i}"] = ConvNormActivation(channels, out, kernel, stride, 1, norm, activation)
        channels = out
    layers["conv_last"] = Conv2d(channels, hidden_dim, 1)
    return Sequential(layers)


def _vit(enum: Any, weights: WeightsLike, progress: bool, config: dict[str, Any], **shape: int) -> VisionTransformer:
    member = chosen(weights, enum)
    size = 224 if member is None or isinstance(member, str) else member.meta["min_size"][0]
    if config.setdefault("image_size", size) != size and member is not None:
        raise ValueError(f"image_size: these weights are for images of {size}, got {config['image_size']}")
    return build(VisionTransformer, enum, weights, progress, **shape, **config)


@builder_of(ViT_B_16_Weights)
def vit_b_16(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VisionTransformer:
    """ViT-B/16: 86.6 million parameters, 17.6 billion multiply-adds at 224 x 224."""
    shape = {"patch_size": 16, "num_layers": 12, "num_heads": 12, "hidden_dim": 768, "mlp_dim": 3072}
    return _vit(ViT_B_16_Weights, weights, progress, config, **shape)


@builder_of(ViT_B_32_Weights)
def vit_b_32(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VisionTransformer:
    """ViT-B/32: 88.2 million parameters, 4.4 billion multiply-adds at 224 x 224."""
    shape = {"patch_size": 32, "num_layers": 12, "num_heads": 12, "hidden_dim": 768, "mlp_dim": 3072}
    return _vit(ViT_B_32_Weights, weights, progress, config, **shape)


@builder_of(ViT_L_16_Weights)
def vit_l_16(*, weights: WeightsLike = None, progress: bool = True, **config: Any) -> VisionTransformer:
    """ViT-L/16: 304 million parameters, 62 billion multiply-adds at 224 x 224."""
    shape = {"patch_size": 16, "num_layers": 24, "num_heads": 16, "hidden_dim": 1024, "mlp_dim": 4096}
    return _vit(ViT_L_16_Weights, weights, progress, config, **shape)
