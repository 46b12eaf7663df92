"""Max- and average pooling, forward and backward (``cpu/pooling.py``).

Bound by the memory: x read and its gradient written, the result written and its gradient read, each once.
"""

from __future__ import annotations

from collections.abc import Iterator

from .case import Case, Setting
from .modules import Layer, jax_layers, layer_cases

LAYERS = (
    Layer(
        "max-pool 2x2",
        lambda nn, c: nn.MaxPool2d(2),
        lambda c: jax_layers().plain(jax_layers().max_pool),
        passes=(2, 2),
        pooling=2,
    ),
    Layer(
        "max-pool 3x3, stride 2, padding 1",
        lambda nn, c: nn.MaxPool2d(3, 2, 1),
        lambda c: jax_layers().plain(lambda x: jax_layers().max_pool(x, 3, 2, 1)),
        passes=(2, 2),
        pooling=2,
    ),
    Layer(
        "average pool 2x2",
        lambda nn, c: nn.AvgPool2d(2),
        lambda c: jax_layers().plain(jax_layers().avg_pool),
        passes=(2, 2),
        pooling=2,
    ),
)


def cases(setting: Setting) -> Iterator[Case]:
    return layer_cases(LAYERS, setting)
