"""What compiling fuses, forward and backward: batch norm + ReLU (+ max-pool), a product + ReLU, ReLU + dropout.

Here "minicnn" runs one operation after the other and "minicnn, compiled" the fused kernels of ``cpu/fused.py``, that a user
gets by ``mc.compile``. All but the products are bound by the memory: the bytes are those that the best known sequence of
passes moves (batch norm: x for the statistics, once more for the result, and both again with the gradient).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

from .case import Case, Setting
from .modules import arrays, module_peers

IMAGES = ((64, 32, 28, 28), (64, 64, 14, 14), (8, 64, 112, 112))
QUICK = ((2, 16, 4, 4),)


class Chain(NamedTuple):
    """Modules that are fused: how to build them, their JAX version, and the passes over x and over the result."""

    name: str
    layers: Callable[[Any, int], list[Any]]
    jax: Callable[[Any, Any], Any]  # (parameters, x) -> y, state
    passes: tuple[int, int]
    pooled: bool = False


def _batch_norm_relu(parameters: Any, x: Any) -> Any:
    import jax.numpy as jnp

    from .jax_layers import batch_norm

    y, state = batch_norm(x, *parameters)
    return jnp.maximum(y, 0), state


def _batch_norm_relu_max_pool(parameters: Any, x: Any) -> Any:
    from .jax_layers import max_pool

    y, state = _batch_norm_relu(parameters, x)
    return max_pool(y), state


CHAINS = (
    # x: twice forward; twice backward, and its gradient written. The pooled result: written; its gradient read twice.
    Chain(
        "batch norm + ReLU + max-pool",
        lambda nn, c: [nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2)],
        _batch_norm_relu_max_pool,
        (5, 3),
        pooled=True,
    ),
    # the same, and backward the result twice, for the ReLU
    Chain("batch norm + ReLU", lambda nn, c: [nn.BatchNorm2d(c), nn.ReLU()], _batch_norm_relu, (5, 5)),
)


def cases(setting: Setting) -> Iterator[Case]:
    for shape in QUICK if setting.quick else IMAGES:
        for chain in CHAINS:
            yield _image_case(chain, shape)
    yield from _products(setting)


def _image_case(chain: Chain, shape: tuple[int, int, int, int]) -> Case:
    n, c, h, w = shape
    result = (n, c, h // 2, w // 2) if chain.pooled else shape

    def jax_function() -> tuple[Any, Any]:
        import jax.numpy as jnp

        running = jnp.zeros(c), jnp.ones(c)
        layer = jnp.ones(c), jnp.zeros(c)
        return layer, lambda parameters, x: chain.jax((*parameters, running), x)

    peers = module_peers(lambda nn: nn.Sequential(*chain.layers(nn, c)), shape, result, jax_function)
    own, other = prod(shape), prod(result)
    moved = 4 * (chain.passes[0] * own + chain.passes[1] * other)
    return Case(f"{chain.name}, {'x'.join(map(str, shape))}", peers, bytes=moved, operands=8 * (own + other))


def _products(setting: Setting) -> Iterator[Case]:
    import functools

    n, c, size = (2, 16, 4) if setting.quick else (64, 32, 14)
    rows, features, hidden = (4, 8, 8) if setting.quick else (64, 3136, 512)

    def conv_relu(parameters: Any, x: Any) -> Any:
        import jax.numpy as jnp

        from .jax_layers import conv

        return jnp.maximum(conv(x, *parameters), 0), None

    def linear_relu(parameters: Any, x: Any) -> Any:
        import jax.numpy as jnp

        return jnp.maximum(x @ parameters[0] + parameters[1], 0), None

    def operands(*shapes: tuple[int, ...]) -> Any:
        import jax.numpy as jnp

        return [jnp.asarray(a) for a in arrays(*shapes)]

    shape, wide = (n, c, size, size), (n, 2 * c, size, size)
    yield Case(
        f"convolution 3x3 + ReLU, {'x'.join(map(str, shape))} -> {2 * c}",
        module_peers(
            lambda nn: nn.Sequential(nn.Conv2d(c, 2 * c, 3, padding=1), nn.ReLU()),
            shape,
            wide,
            lambda: (operands((3, 3, c, 2 * c), (2 * c,)), conv_relu),
        ),
        flops=3 * 2.0 * prod(wide) * c * 9,
        bytes=4 * (3 * prod(shape) + 5 * prod(wide)),
    )
    yield Case(
        f"linear {features} -> {hidden} + ReLU, {rows} rows",
        module_peers(
            lambda nn: nn.Sequential(nn.Linear(features, hidden), nn.ReLU()),
            (rows, features),
            (rows, hidden),
            lambda: (operands((features, hidden), (hidden,)), linear_relu),
        ),
        flops=3 * 2.0 * rows * features * hidden,
        bytes=4 * (3 * features * hidden + 3 * rows * features + 5 * rows * hidden),
    )
    wide_rows = rows * 64
    yield Case(
        f"ReLU + dropout, {wide_rows}x{hidden}",
        module_peers(
            lambda nn: nn.Sequential(nn.ReLU(), nn.Dropout(0.5)),
            (wide_rows, hidden),
            (wide_rows, hidden),
            functools.partial(jax_relu_dropout),
        ),
        bytes=4 * 5 * wide_rows * hidden,
        operands=16 * wide_rows * hidden,
    )


def jax_relu_dropout() -> tuple[Any, Any]:
    import jax
    import jax.numpy as jnp

    from .jax_layers import dropout

    # JAX draws from a key that is an argument: here the same mask each time, for the same work.
    return jax.random.key(0), lambda key, x: (dropout(jnp.maximum(x, 0), key), None)
