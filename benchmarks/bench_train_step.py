"""One training step of the MNIST CNN: forward, cross-entropy, backward, Adam; dropout on; batch 64 and 256.

"minicnn, compiled" is what ``minicnn train`` does. The floor at batch 64: 2.1 GFLOP a step (convolutions 1.4, linear layers
0.6: forward and two gradients each, save the first convolution's input), about 20 ms on one core of 100 GFLOP/s; and some
140 MB of activations, gradients and Adam's state to move.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from .case import CHANNELS_LAST, COMPILED, INDUCTOR, JAX, MINICNN, TORCH, Call, Case, Maker, Setting


def mnist_cnn(nn: Any) -> Any:
    """``minicnn.models.mnist_cnn()``, from minicnn's or PyTorch's modules."""
    features = nn.Sequential(
        *(nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2, 2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2, 2)),
    )
    classifier = (nn.Flatten(), nn.Linear(64 * 7 * 7, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, 10))
    return nn.Sequential(features, *classifier)


def minicnn_step(batch: int, compiled: bool = False) -> Call:
    """A function that takes one training step with minicnn and returns the loss."""
    import minicnn as mc

    mc.manual_seed(0)
    model = mnist_cnn(mc.nn)
    return _step(mc, batch, mc.compile(model) if compiled else model)


def torch_step(batch: int, last: bool = False, compiled: bool = False) -> Call:
    """The same with PyTorch."""
    import torch

    torch.manual_seed(0)
    model = mnist_cnn(torch.nn)
    if last:
        model = model.to(memory_format=torch.channels_last)
    return _step(torch, batch, torch.compile(model) if compiled else model)


def _step(framework: Any, batch: int, model: Any) -> Call:
    images, labels = framework.randn(batch, 1, 28, 28), framework.randint(0, 10, (batch,))
    optimizer = framework.optim.Adam(model.parameters(), lr=1e-3)
    criterion = framework.nn.CrossEntropyLoss()

    def step() -> float:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def jax_step(batch: int) -> Call:
    """The same with JAX: the whole step jitted, its state given away (donated) at each call."""
    import jax
    import jax.numpy as jnp

    from . import jax_layers as layers

    keys = iter(jax.random.split(jax.random.key(0), 10))

    def uniform(fan_in: int, *shape: int) -> Any:
        return jax.random.uniform(next(keys), shape, minval=-1, maxval=1) / fan_in**0.5

    parameters = [
        *(uniform(9, 3, 3, 1, 32), jnp.zeros(32), jnp.ones(32), jnp.zeros(32)),
        *(uniform(288, 3, 3, 32, 64), jnp.zeros(64), jnp.ones(64), jnp.zeros(64)),
        *(uniform(3136, 3136, 512), jnp.zeros(512), uniform(512, 512, 10), jnp.zeros(10)),
    ]
    zeros = jax.tree_util.tree_map(jnp.zeros_like, parameters)
    moments = jnp.zeros((), jnp.int32), zeros, jax.tree_util.tree_map(jnp.zeros_like, parameters)
    running = tuple((jnp.zeros(c), jnp.ones(c)) for c in (32, 64))

    def loss_of(parameters: Any, running: Any, key: Any, images: Any, labels: Any) -> Any:
        x, moved = images, []
        for i, averages in enumerate(running):
            weight, bias, gamma, beta = parameters[4 * i : 4 * i + 4]
            x, now = layers.batch_norm(layers.conv(x, weight, bias), gamma, beta, averages)
            x = layers.max_pool(layers.relu(x))
            moved.append(now)
        w1, b1, w2, b2 = parameters[8:]
        hidden = layers.relu(x.reshape(x.shape[0], -1) @ w1 + b1)
        return layers.cross_entropy(layers.dropout(hidden, key) @ w2 + b2, labels), tuple(moved)

    def update(state: Any, images: Any, labels: Any) -> Any:
        parameters, moments, running, key = state
        key, mask = jax.random.split(key)
        (loss, running), grads = jax.value_and_grad(loss_of, has_aux=True)(parameters, running, mask, images, labels)
        parameters, moments = layers.adam(parameters, grads, moments)
        return (parameters, moments, running, key), loss

    compiled = jax.jit(update, donate_argnums=0)
    images = jax.random.normal(next(keys), (batch, 28, 28, 1))
    labels = jax.random.randint(next(keys), (batch,), 0, 10)
    state = parameters, moments, running, next(keys)

    def step() -> float:
        nonlocal state
        state, loss = jax.block_until_ready(compiled(state, images, labels))
        return float(loss)

    return step


def peers(batch: int) -> dict[str, Maker]:
    """Everybody who can take the step."""
    return {
        MINICNN: partial(minicnn_step, batch),
        COMPILED: partial(minicnn_step, batch, compiled=True),
        TORCH: partial(torch_step, batch),
        CHANNELS_LAST: partial(torch_step, batch, last=True),
        INDUCTOR: partial(torch_step, batch, compiled=True),
        JAX: partial(jax_step, batch),
    }


def cases(setting: Setting) -> Iterator[Case]:
    for batch in (2,) if setting.quick else (64, 256):
        first, second, hidden, last = 32 * 28 * 28, 64 * 14 * 14, 3136 * 512, 512 * 10
        products = batch * (2 * first * 9 + 3 * (second * 32 * 9 + hidden + last))
        # Each convolution's result: written; read twice by the batch norm, twice by its gradient, which writes one more;
        # that is read once, by the second convolution twice. The pooled ones, a quarter, about four times each.
        # Parameters: forward and backward once, gradients once, and 7 for Adam.
        moved = batch * (8 * first + 9 * second) + 10 * (hidden + last)
        yield Case(f"MNIST CNN, batch {batch}", peers(batch), flops=2.0 * products, bytes=4 * moved)
