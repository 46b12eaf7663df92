"""One update of the MNIST CNN's parameters (``cpu/optim.py``): 1.6 million numbers in layers of very different sizes.

Bound by the memory: Adam reads and writes the parameter and both averages and reads the gradient, seven passes; SGD with
momentum five.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from math import prod
from typing import Any

from .bench_train_step import mnist_cnn
from .case import JAX, MINICNN, TORCH, Call, Case, Setting
from .modules import arrays, jax_layers

QUICK = ((7, 3), (5,))


def _adam(framework: Any, parameters: Any, **options: Any) -> Any:
    return framework.optim.Adam(parameters, lr=1e-3, **options)


def _sgd(framework: Any, parameters: Any, **options: Any) -> Any:
    return framework.optim.SGD(parameters, lr=1e-3, momentum=0.9, **options)


def cases(setting: Setting) -> Iterator[Case]:
    for name, make, passes in (("Adam", _adam, 7), ("SGD with momentum", _sgd, 5)):
        shapes = QUICK if setting.quick else _shapes()
        size = sum(map(prod, shapes))
        peers = {
            MINICNN: partial(_minicnn, make, shapes),
            TORCH: partial(_torch, make, shapes),
            f"{TORCH}, fused=True": partial(_torch, make, shapes, fused=True),
            JAX: partial(_jax, name, shapes),
        }
        yield Case(
            f"{name}, {size:,} parameters", peers, bytes=4 * passes * size, operands=4 * (passes // 2 + 1) * size
        )


def _shapes() -> tuple[tuple[int, ...], ...]:
    import minicnn as mc

    return tuple(tuple(p.shape) for p in mnist_cnn(mc.nn).parameters())


def _minicnn(make: Callable[..., Any], shapes: Any) -> Call:
    import minicnn as mc

    parameters = [mc.from_numpy(a).requires_grad_() for a in arrays(*shapes)]
    return _step(mc, make, parameters)


def _torch(make: Callable[..., Any], shapes: Any, **options: Any) -> Call:
    import torch

    parameters = [torch.from_numpy(a).requires_grad_() for a in arrays(*shapes)]
    return _step(torch, make, parameters, **options)


def _step(framework: Any, make: Callable[..., Any], parameters: Any, **options: Any) -> Call:
    optimizer = make(framework, parameters, **options)
    for p in parameters:
        p.grad = framework.ones_like(p) * 1e-3
    return optimizer.step


@cache
def _jitted(name: str) -> Any:
    import jax

    layers = jax_layers()
    return jax.jit({"Adam": layers.adam, "SGD with momentum": layers.sgd}[name], donate_argnums=(0, 2))


def _jax(name: str, shapes: Any) -> Call:
    import jax
    import jax.numpy as jnp

    update = _jitted(name)
    parameters = [jnp.asarray(a) for a in arrays(*shapes)]
    grads = [jnp.full(shape, 1e-3) for shape in shapes]
    state: Any = [jnp.zeros(shape) for shape in shapes]
    if name == "Adam":
        state = jnp.zeros((), jnp.int32), state, [jnp.zeros(shape) for shape in shapes]

    def step() -> None:
        nonlocal parameters, state
        parameters, state = jax.block_until_ready(update(parameters, grads, state))

    return step
