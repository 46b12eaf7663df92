"""What ``benchmarks/jax_layers.py`` computes, written into an .npz file: for ``tests/benchmarks/test_jax_layers.py``.

In a process of its own, because JAX warns at every later fork of the process that has imported it.
"""

from __future__ import annotations

import sys

import numpy as np


def images(seed: int, *shape: int) -> np.ndarray:
    """Normal numbers; for PyTorch transposed to (n, c, h, w)."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def results() -> dict[str, np.ndarray]:
    import jax  # here: pytest imports this file to look for examples, also where there is no JAX
    import jax.numpy as jnp

    from benchmarks import bench_train_step
    from benchmarks import jax_layers as layers

    x, weight, bias = images(0, 2, 6, 6, 4), images(1, 3, 3, 4, 5), images(2, 5)
    found = {"conv": layers.conv(x, weight, bias)}
    found["conv stride 2"] = layers.conv(x, weight, None, stride=2)
    found["conv depthwise"] = layers.conv(x, images(1, 3, 3, 1, 4), None, groups=4)
    running = jnp.zeros(4), jnp.ones(4)
    found["norm"], (found["mean"], found["var"]) = layers.batch_norm(x, images(3, 4), images(4, 4), running)
    found["max_pool"], found["max_pool 3"] = layers.max_pool(x), layers.max_pool(x, 3, 2, 1)
    found["avg_pool"] = layers.avg_pool(x)
    found["loss"] = layers.cross_entropy(images(5, 6, 3), jnp.array([0, 1, 2, 0, 1, 2]))
    found["kept"] = (layers.dropout(jnp.ones(10000), jax.random.key(0)) == 2).mean()
    adam, sgd = images(6, 7), images(6, 7)
    moments, buffers = (jnp.zeros((), jnp.int32), jnp.zeros(7), jnp.zeros(7)), jnp.zeros(7)
    for step in range(3):
        adam, moments = layers.adam(adam, images(7 + step, 7), moments)
        sgd, buffers = layers.sgd(sgd, images(7 + step, 7), buffers)
    found |= {"adam": adam, "sgd": sgd}
    step = bench_train_step.jax_step(8)
    found["losses"] = [step() for _ in range(30)]
    return {name: np.asarray(value) for name, value in found.items()}


if __name__ == "__main__":
    np.savez(sys.argv[1], **results())
    print("{}")
