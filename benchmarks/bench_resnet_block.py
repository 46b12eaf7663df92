"""A residual block, forward and backward in training mode: 3x3, batch norm, ReLU, 3x3, batch norm, plus the input, ReLU.

The block that ResNet-18 repeats (He et al. 2016, figure 2): 64 channels of 56 x 56, batch 8. Its floor is the
multiply-adds: 11.1 GFLOP of two convolutions, forward and two gradients each; the 225 MB of activations and gradients that
must be moved take a tenth of that time. By Winograd fewer multiply-adds do, so the share of the floor may exceed 100 %.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .case import Case, Setting
from .modules import JaxLayer, arrays, jax_layers, module_peers

PASSES = 35  # over an activation, forward 11 and backward 24, when each value is read once by every pass that needs it


def block(nn: Any, channels: int) -> Any:
    """The module, of minicnn or PyTorch."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels)
            self.relu = nn.ReLU()

        def forward(self, x: Any) -> Any:
            y = self.relu(self.bn1(self.conv1(x)))
            return self.relu(self.bn2(self.conv2(y)) + x)

    return Block()


def jax_block(channels: int) -> JaxLayer:
    """Its parameters and function in JAX."""
    import jax.numpy as jnp

    layers = jax_layers()
    (filters,) = arrays((3, 3, channels, channels))
    layer = (jnp.asarray(filters) / channels, jnp.ones(channels), jnp.zeros(channels))
    running = jnp.zeros(channels), jnp.ones(channels)

    def half(parameters: Any, x: Any) -> tuple[Any, Any]:
        weight, gamma, beta = parameters
        return layers.batch_norm(layers.conv(x, weight), gamma, beta, running)

    def function(parameters: Any, x: Any) -> tuple[Any, Any]:
        y, first = half(parameters[0], x)
        y, second = half(parameters[1], layers.relu(y))
        return layers.relu(y + x), (first, second)

    return (layer, layer), function


def cases(setting: Setting) -> Iterator[Case]:
    n, c, size = (1, 16, 8) if setting.quick else (8, 64, 56)
    shape = n, c, size, size
    peers = module_peers(lambda nn: block(nn, c), shape, shape, lambda: jax_block(c))
    flops = 2 * 3 * 2.0 * n * size * size * c * c * 9  # two convolutions, each there and twice back
    yield Case(f"{c} channels, {size}x{size}, batch {n}", peers, flops, PASSES * 4 * n * c * size * size)
