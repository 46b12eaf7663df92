"""The networks' layers in plain JAX: images (n, h, w, c), filters (kh, kw, c_in, c_out), as XLA likes them on a CPU.

Written by hand, as one does in JAX without a library of layers; each is what ``torch.nn`` computes in training mode.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv(
    x: Array, weight: Array, bias: Array | None = None, stride: int = 1, padding: int = 1, groups: int = 1
) -> Array:
    """x (n, h, w, c_in), weight (kh, kw, c_in / groups, c_out) -> (n, h_out, w_out, c_out)."""
    sides = [(padding, padding)] * 2
    out = lax.conv_general_dilated(
        x, weight, (stride, stride), sides, dimension_numbers=LAYOUT, feature_group_count=groups
    )
    return out if bias is None else out + bias


def batch_norm(x: Array, weight: Array, bias: Array, running: Any, momentum: float = 0.1) -> tuple[Array, Any]:
    """x (..., c) -> the same shape, and the running (mean, variance) moved on."""
    axes = tuple(range(x.ndim - 1))
    count = x.size // x.shape[-1]
    mean, var = x.mean(axes), x.var(axes)
    mean_before, var_before = running
    moved = (
        (1 - momentum) * mean_before + momentum * lax.stop_gradient(mean),
        (1 - momentum) * var_before + momentum * lax.stop_gradient(var) * (count / (count - 1)),
    )
    return (x - mean) * (lax.rsqrt(var + 1e-5) * weight) + bias, moved


def max_pool(x: Array, size: int = 2, stride: int = 2, padding: int = 0) -> Array:
    """x (n, h, w, c) -> (n, h_out, w_out, c)."""
    return _window(x, -jnp.inf, lax.max, size, stride, padding)


def avg_pool(x: Array) -> Array:
    """x (n, h, w, c) -> (n, h / 2, w / 2, c)."""
    return _window(x, 0.0, lax.add, 2, 2, 0) / 4


def _window(x: Array, start: float, combine: Any, size: int, stride: int, padding: int) -> Array:
    sides = (0, 0), (padding, padding), (padding, padding), (0, 0)
    return lax.reduce_window(x, start, combine, (1, size, size, 1), (1, stride, stride, 1), sides)


def relu(x: Array) -> Array:
    return jnp.maximum(x, 0)


def dropout(x: Array, key: Array, p: float = 0.5) -> Array:
    return jnp.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0)


def cross_entropy(logits: Array, labels: Array) -> Array:
    """logits (n, classes), labels (n,) -> the mean."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1).mean()


def adam(parameters: Any, grads: Any, state: Any, lr: float = 1e-3) -> tuple[Any, Any]:
    """One update with torch's defaults; state is (steps so far, first moments, second moments)."""
    steps, first, second = state
    steps = steps + 1
    tree = jax.tree_util.tree_map
    first = tree(lambda m, g: 0.9 * m + 0.1 * g, first, grads)
    second = tree(lambda v, g: 0.999 * v + 0.001 * g * g, second, grads)
    rate, root = lr / (1 - 0.9**steps), jnp.sqrt(1 - 0.999**steps)
    parameters = tree(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), parameters, first, second)
    return parameters, (steps, first, second)


def sgd(parameters: Any, grads: Any, buffers: Any, lr: float = 1e-3) -> tuple[Any, Any]:
    """One update with a momentum of 0.9."""
    tree = jax.tree_util.tree_map
    buffers = tree(lambda b, g: 0.9 * b + g, buffers, grads)
    return tree(lambda p, b: p - lr * b, parameters, buffers), buffers


# What ``modules.module_peers`` takes: parameters, and a function (parameters, x) -> y, state.


def plain(function: Callable[[Array], Array]) -> tuple[Any, Callable[[Any, Array], Any]]:
    """A function without parameters."""
    return (), lambda parameters, x: (function(x), None)


def normalised(
    c: int, after: Callable[[Array], Array] = lambda y: y
) -> tuple[tuple[Array, Array], Callable[[Any, Array], Any]]:
    """Batch norm of c channels, and something after it."""
    running = jnp.zeros(c), jnp.ones(c)

    def function(parameters: Any, x: Array) -> Any:
        weight, bias = parameters
        y, moved = batch_norm(x, weight, bias, running)
        return after(y), moved

    return (jnp.ones(c), jnp.zeros(c)), function


def dropped(before: Callable[[Array], Array]) -> tuple[Array, Callable[[Any, Array], Any]]:
    """Something, and dropout after it. The key is an argument, so that the mask is drawn at each call, though the same."""
    return jax.random.key(0), lambda key, x: (dropout(before(x), key), None)
