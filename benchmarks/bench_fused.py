"""What compiling fuses, forward and backward: batch norm + ReLU (+ max-pool), a product + ReLU, ReLU + dropout.

Here "minicnn" runs one operation after the other, and "minicnn, compiled" the kernels of ``cpu/fused.py`` as a user gets
them, by ``mc.compile``. All but the products are bound by the memory: the floor is the bytes that the best known sequence
of passes moves (batch norm: x for the statistics, once more for the result, and both again with the gradient).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from .case import Case, Setting
from .modules import JaxLayer, Layer, arrays, jax_layers, layer_cases, module_peers

LAYERS = (
    # x: twice forward; twice backward, and its gradient written. The pooled result: written; its gradient read twice.
    Layer(
        "batch norm + ReLU + max-pool",
        lambda nn, c: nn.Sequential(nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2)),
        lambda c: jax_layers().normalised(c, lambda y: jax_layers().max_pool(jax_layers().relu(y))),
        passes=(5, 3),
        pooling=2,
    ),
    # the same, and backward the result twice, for the ReLU
    Layer(
        "batch norm + ReLU",
        lambda nn, c: nn.Sequential(nn.BatchNorm2d(c), nn.ReLU()),
        lambda c: jax_layers().normalised(c, jax_layers().relu),
        passes=(5, 5),
    ),
    # x, the result; backward the gradient and the result, and the gradient of x
    Layer(
        "ReLU + dropout",
        lambda nn, c: nn.Sequential(nn.ReLU(), nn.Dropout(0.5)),
        lambda c: jax_layers().dropped(jax_layers().relu),
        passes=(2, 3),
    ),
)


def cases(setting: Setting) -> Iterator[Case]:
    yield from layer_cases(LAYERS, setting, compiled=True)
    yield _convolution(*(2, 16, 4) if setting.quick else (64, 32, 14))
    yield _linear(*(4, 8, 8) if setting.quick else (64, 3136, 512))


def _convolution(n: int, c: int, size: int) -> Case:
    shape, wide = (n, c, size, size), (n, 2 * c, size, size)

    def in_jax() -> JaxLayer:
        layers, operands = jax_layers(), arrays((3, 3, c, 2 * c), (2 * c,))
        return operands, lambda parameters, x: (layers.relu(layers.conv(x, *parameters)), None)

    def build(nn: Any) -> Any:
        return nn.Sequential(nn.Conv2d(c, 2 * c, 3, padding=1), nn.ReLU())

    flops, moved = 3 * 2.0 * prod(wide) * c * 9, 4 * (3 * prod(shape) + 5 * prod(wide))
    name = f"convolution 3x3 + ReLU, {'x'.join(map(str, shape))} -> {2 * c}"
    return Case(name, module_peers(build, shape, wide, in_jax), flops, moved)


def _linear(rows: int, features: int, hidden: int) -> Case:
    def in_jax() -> JaxLayer:
        layers, operands = jax_layers(), arrays((features, hidden), (hidden,))
        return operands, lambda parameters, x: (layers.relu(x @ parameters[0] + parameters[1]), None)

    def build(nn: Any) -> Any:
        return nn.Sequential(nn.Linear(features, hidden), nn.ReLU())

    flops = 3 * 2.0 * rows * features * hidden
    moved = 4 * (3 * features * hidden + 3 * rows * features + 5 * rows * hidden)
    peers = module_peers(build, (rows, features), (rows, hidden), in_jax)
    return Case(f"linear {features} -> {hidden} + ReLU, {rows} rows", peers, flops, moved)
