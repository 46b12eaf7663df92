"""Max- and average pooling, forward and backward (``cpu/pooling.py``).

Bound by the memory: x read and its gradient written, the result written and its gradient read, each once.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from .case import Case, Setting
from .modules import Build, Layer, Shape, jax_layers, layer_cases, module_peers

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


# (name, module, shapes of the input and of the result, the same for a quick look): the end of a ResNet, and volumes
OTHERS: tuple[tuple[str, Build, tuple[Shape, Shape], tuple[Shape, Shape]], ...] = (
    (
        "global average pool",
        lambda nn: nn.AdaptiveAvgPool2d(1),
        ((32, 2048, 7, 7), (32, 2048, 1, 1)),
        ((2, 64, 3, 3), (2, 64, 1, 1)),
    ),
    (
        "max-pool 2x2x2",
        lambda nn: nn.MaxPool3d(2),
        ((2, 64, 16, 56, 56), (2, 64, 8, 28, 28)),
        ((1, 16, 2, 4, 4), (1, 16, 1, 2, 2)),
    ),
    (
        "max-pool 3x3x3, stride 2, padding 1",
        lambda nn: nn.MaxPool3d(3, 2, 1),
        ((2, 64, 16, 56, 56), (2, 64, 8, 28, 28)),
        ((1, 16, 2, 4, 4), (1, 16, 1, 2, 2)),
    ),
)


def cases(setting: Setting) -> Iterator[Case]:
    yield from layer_cases(LAYERS, setting)
    for name, build, full, quick in OTHERS:
        shape, result = quick if setting.quick else full
        peers = module_peers(build, shape, result, compiled=False)
        moved = 2 * 4 * (prod(shape) + prod(result))
        yield Case(f"{name}, {'x'.join(map(str, shape))}", peers, bytes=moved, operands=moved)
