"""Peers of a module: one builder gives minicnn's and PyTorch's, since the names are the same.

Forward with gradients and backward from a given gradient of the result, for the input and all parameters, in training mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .case import CHANNELS_LAST, COMPILED, INDUCTOR, JAX, MINICNN, TORCH, Call, Case, Maker, Setting

Shape = tuple[int, ...]
Build = Callable[[Any], Any]  # gets minicnn.nn or torch.nn, and returns a module
JaxLayer = tuple[Any, Callable[[Any, Any], Any]]  # parameters (a tree), and (parameters, x) -> y, state

# The MNIST CNN's two, and a larger one: (n, c, h, w).
IMAGES = ((64, 32, 28, 28), (64, 64, 14, 14), (8, 64, 112, 112))
QUICK_IMAGES = ((2, 16, 4, 4),)


def arrays(*shapes: Shape) -> list[np.ndarray]:
    """Normal float32 numbers, the same each time."""
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape, np.float32) for shape in shapes]


def channels_last(x: np.ndarray) -> np.ndarray:
    """Images or volumes, the same numbers with the channels innermost in memory; anything else as it is."""
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if x.ndim > 3 else x


def jax_layers() -> Any:
    """The module of that name, imported late: JAX may be missing."""
    from . import jax_layers

    return jax_layers


def module_peers(
    build: Build, shape: Shape, result: Shape, jax_layer: Callable[[], JaxLayer] | None = None, compiled: bool = True
) -> dict[str, Maker]:
    """Forward and backward through a module, for all peers: x of one shape, y of another.

    A peer's model is built (and compiled) once, however many copies of the operands there are.

    jax_layer : the same in JAX, on images with their channels last; None where it is not written.
    compiled : whether minicnn compiles it too: of a single operation nothing could be fused.
    """

    @cache
    def minicnn(compiled: bool) -> Any:
        import minicnn as mc

        mc.manual_seed(0)
        return mc.compile(build(mc.nn)) if compiled else build(mc.nn)

    @cache
    def torch_model(last: bool, compiled: bool) -> Any:
        import torch

        torch.manual_seed(0)
        model = build(torch.nn).to(memory_format=torch.channels_last if last else torch.contiguous_format)
        return torch.compile(model) if compiled else model

    @cache
    def jitted() -> Any:
        import jax

        assert jax_layer is not None
        parameters, function = jax_layer()

        @jax.jit
        def run(parameters: Any, x: Any, grad: Any) -> Any:
            y, pull, state = jax.vjp(function, parameters, x, has_aux=True)
            return y, pull(grad), state

        return parameters, run

    def of_minicnn(compiled: bool) -> Call:
        import minicnn as mc

        x, grad = (mc.from_numpy(channels_last(a)) for a in arrays(shape, result))
        return _there_and_back(minicnn(compiled), x.requires_grad_(), grad)

    def of_torch(last: bool, compiled: bool) -> Call:
        import torch

        order = {4: torch.channels_last, 5: torch.channels_last_3d}[len(shape)] if last else torch.contiguous_format
        x, grad = (torch.from_numpy(a).contiguous(memory_format=order) for a in arrays(shape, result))
        return _there_and_back(torch_model(last, compiled), x.requires_grad_(), grad)

    def of_jax() -> Call:
        import jax

        x, grad = (jax.numpy.asarray(a.transpose(0, 2, 3, 1) if a.ndim == 4 else a) for a in arrays(shape, result))
        parameters, run = jitted()
        return lambda: jax.block_until_ready(run(parameters, x, grad))

    peers: dict[str, Maker] = {MINICNN: lambda: of_minicnn(False)}
    if compiled:
        peers[COMPILED] = lambda: of_minicnn(True)
    peers[TORCH] = lambda: of_torch(False, False)
    if len(shape) > 3:
        peers[CHANNELS_LAST] = lambda: of_torch(True, False)
    peers[INDUCTOR] = lambda: of_torch(False, True)
    if jax_layer:
        peers[JAX] = of_jax
    return peers


def _there_and_back(model: Any, x: Any, grad: Any) -> Call:
    parameters = [x, *model.parameters()]

    def call() -> None:
        model(x).backward(grad)
        for p in parameters:
            p.grad = None

    return call


class Layer(NamedTuple):
    """Something bound by memory that is done to images of any size.

    build : (nn, c) -> module. jax : c -> the same in JAX. passes : how many times the best known sequence of passes moves
    the input and the result, forward and backward together. pooling : the factor by which it makes images smaller.
    """

    name: str
    build: Callable[[Any, int], Any]
    jax: Callable[[int], JaxLayer]
    passes: tuple[int, int]
    pooling: int = 1


def layer_cases(layers: Sequence[Layer], setting: Setting, compiled: bool = False) -> Iterator[Case]:
    """Each layer on each of the images; the operands come from memory."""
    for shape in QUICK_IMAGES if setting.quick else IMAGES:
        for layer in layers:
            yield _layer_case(layer, shape, compiled)


def _layer_case(layer: Layer, shape: tuple[int, int, int, int], compiled: bool) -> Case:
    n, c, h, w = shape
    result = n, c, h // layer.pooling, w // layer.pooling
    peers = module_peers(lambda nn: layer.build(nn, c), shape, result, lambda: layer.jax(c), compiled)
    sizes = prod(shape), prod(result)
    moved = 4 * sum(times * size for times, size in zip(layer.passes, sizes, strict=True))
    return Case(f"{layer.name}, {'x'.join(map(str, shape))}", peers, bytes=moved, operands=8 * sum(sizes))
