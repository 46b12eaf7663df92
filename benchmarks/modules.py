"""Peers of a module: one builder gives minicnn's and PyTorch's, since the names are the same.

Forward with gradients and backward from a given gradient of the result, for the input and all parameters, in training mode.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .case import CHANNELS_LAST, COMPILED, INDUCTOR, JAX, MINICNN, TORCH, Call, Maker

Build = Callable[[Any], Any]  # gets minicnn.nn or torch.nn, and returns a module
JaxFunction = Callable[[Any, Any], Any]  # (parameters, x) -> y or (y, state)


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    """Normal float32 numbers, the same each time."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def channels_last(x: np.ndarray) -> np.ndarray:
    """(n, c, h, w), the same numbers with the channels innermost in memory; anything else as it is."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2) if x.ndim == 4 else x


def module_peers(
    build: Build,
    shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    jax_function: Callable[[], tuple[Any, JaxFunction]] | None = None,
    compiled: bool = True,
) -> dict[str, Maker]:
    """Forward and backward through a module, for all peers.

    jax_function : gives parameters (a tree) and a function of them and of the images, channels last.
    compiled : whether minicnn compiles it too; of a single operation nothing could be fused.
    """
    peers: dict[str, Maker] = {MINICNN: partial(_minicnn, build, shape, out_shape, False)}
    if compiled:
        peers[COMPILED] = partial(_minicnn, build, shape, out_shape, True)
    peers[TORCH] = partial(_torch, build, shape, out_shape, False, False)
    if len(shape) == 4:
        peers[CHANNELS_LAST] = partial(_torch, build, shape, out_shape, True, False)
    peers[INDUCTOR] = partial(_torch, build, shape, out_shape, False, True)
    if jax_function:
        peers[JAX] = partial(_jax, jax_function, shape, out_shape)
    return peers


def _minicnn(build: Build, shape: tuple[int, ...], out_shape: tuple[int, ...], compiled: bool) -> Call:
    import minicnn as mc

    mc.manual_seed(0)
    model = build(mc.nn)
    x, grad = (mc.from_numpy(channels_last(a)) for a in arrays(shape, out_shape))
    return _there_and_back(mc.compile(model) if compiled else model, x.requires_grad_(), grad)


def _torch(build: Build, shape: tuple[int, ...], out_shape: tuple[int, ...], last: bool, compiled: bool) -> Call:
    import torch

    torch.manual_seed(0)
    order = torch.channels_last if last else torch.contiguous_format
    model = build(torch.nn).to(memory_format=order)
    x, grad = (torch.from_numpy(a).contiguous(memory_format=order) for a in arrays(shape, out_shape))
    return _there_and_back(torch.compile(model) if compiled else model, x.requires_grad_(), grad)


def _there_and_back(model: Any, x: Any, grad: Any) -> Call:
    parameters = [x, *model.parameters()]

    def call() -> None:
        model(x).backward(grad)
        for p in parameters:
            p.grad = None

    return call


def _jax(make: Callable[[], tuple[Any, JaxFunction]], shape: tuple[int, ...], out_shape: tuple[int, ...]) -> Call:
    import jax

    parameters, function = make()
    x, grad = (jax.numpy.asarray(a.transpose(0, 2, 3, 1) if a.ndim == 4 else a) for a in arrays(shape, out_shape))

    @jax.jit
    def run(parameters: Any, x: Any, grad: Any) -> Any:
        y, pull, state = jax.vjp(function, parameters, x, has_aux=True)
        return y, pull(grad), state

    return lambda: jax.block_until_ready(run(parameters, x, grad))
