"""Convolutions alone: forward, gradient of the input, gradient of the filters; each algorithm that takes the shape.

Kernels against kernels, without autograd: PyTorch's ``conv2d`` and ``convolution_backward``, JAX's jitted convolution and
its two transposes. (``torch.compile`` calls PyTorch's own convolution, so it is no peer here.) The floor is the direct sum's
multiply-adds at their peak, or, for one channel and depthwise, the images and filters at the memory's rate; Winograd does
with fewer operations and may pass the floor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .case import CHANNELS_LAST, JAX, MINICNN, TORCH, Call, Case, Maker, Setting
from .modules import arrays

PARTS = ("forward", "grad input", "grad weight")
ALGORITHMS = ("im2col", "direct", "winograd")


class Shape(NamedTuple):
    n: int
    c_in: int
    c_out: int
    size: int | tuple[int, ...]  # of a square image, or along each of one, two or three axes
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    groups: int = 1

    @property
    def spatial(self) -> tuple[int, ...]:
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)

    @property
    def axes(self) -> int:
        return len(self.spatial)

    @property
    def out(self) -> tuple[int, ...]:
        return tuple((size + 2 * self.padding - self.kernel) // self.stride + 1 for size in self.spatial)

    @property
    def operands(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of x, weight and the gradient of the result."""
        filters = (self.c_out, self.c_in // self.groups, *(self.kernel,) * self.axes)
        return (self.n, self.c_in, *self.spatial), filters, (self.n, self.c_out, *self.out)

    @property
    def flops(self) -> float:
        """Of each part, by the direct sum."""
        filters = self.c_out * (self.c_in // self.groups) * self.kernel**self.axes
        return 2.0 * self.n * math.prod(self.out) * filters


SHAPES = {
    "3x3, 64 channels, 56x56": Shape(8, 64, 64, 56),
    "3x3, 128 channels, 28x28": Shape(8, 128, 128, 28),
    "3x3, 256 channels, 14x14": Shape(8, 256, 256, 14),
    "MNIST CNN, first": Shape(64, 1, 32, 28),
    "MNIST CNN, second": Shape(64, 32, 64, 14),
    "1x1, 64 -> 256, 56x56": Shape(8, 64, 256, 56, 1, 1, 0),
    "3x3 stride 2, 64 -> 128": Shape(8, 64, 128, 56, 3, 2),
    "7x7 stride 2, 3 -> 64": Shape(8, 3, 64, 112, 7, 2, 3),
    "5x5, 32 channels, 28x28": Shape(8, 32, 32, 28, 5, 1, 2),
    "3x3, 4 groups of 16": Shape(8, 64, 64, 28, groups=4),
    "3x3 depthwise, 64, 56x56": Shape(8, 64, 64, 56, groups=64),
    "3x3 depthwise stride 2, 64": Shape(8, 64, 64, 56, 3, 2, groups=64),
    "1-D, 7, 64 channels, 4096": Shape(32, 64, 64, (4096,), 7, 1, 3),
    "3x3x3, 16 channels, 16x56x56": Shape(2, 16, 16, (16, 56, 56)),
}
QUICK = {
    "3x3": Shape(1, 8, 8, 6),
    "1x1": Shape(1, 4, 8, 5, 1, 1, 0),
    "3x3, one channel": Shape(2, 1, 4, 6),
    "3x3 depthwise": Shape(1, 8, 8, 6, groups=8),
    "1-D": Shape(1, 8, 8, (20,), 5, 1, 2),
    "3x3x3": Shape(1, 8, 8, (3, 5, 6)),
}


def cases(setting: Setting) -> Iterator[Case]:
    for name, shape in (QUICK if setting.quick else SHAPES).items():
        nbytes = 4 * sum(np.prod(operand, dtype=float) for operand in shape.operands)
        for part in PARTS:
            peers: dict[str, Maker] = {MINICNN: partial(_minicnn, shape, part, "auto")}
            for algorithm in ALGORITHMS:
                if algorithm != "winograd" or (shape.kernel, shape.stride, shape.groups, shape.axes > 1) == (
                    3,
                    1,
                    1,
                    True,
                ):
                    peers[f"{MINICNN}, {algorithm}"] = partial(_minicnn, shape, part, algorithm)
            peers[TORCH] = partial(_torch, shape, part, False)
            peers[CHANNELS_LAST] = partial(_torch, shape, part, True)
            if shape.axes == 2:
                peers[JAX] = partial(_jax, shape, part)
            yield Case(f"{name}: {part}", peers, shape.flops, nbytes)


def _minicnn(shape: Shape, part: str, algorithm: str) -> Call:
    from minicnn_kernels import cpu

    x, weight, grad = arrays(*shape.operands)
    # (n, c, *spatial) -> (n, *spatial, c) in memory, seen as before
    x, grad = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 1, -1)), -1, 1) for a in (x, grad))
    bias = np.zeros(shape.c_out, np.float32)
    axes = shape.axes
    window: tuple[Any, ...] = (shape.stride,) * axes, (shape.padding,) * axes, (1,) * axes, shape.groups, algorithm
    return {
        "forward": lambda: cpu.conv_forward(x, weight, bias, *window),
        "grad input": lambda: cpu.conv_backward_input(grad, weight, x.shape, *window),
        "grad weight": lambda: cpu.conv_backward_weight(grad, x, weight.shape, *window),
    }[part]


def _torch(shape: Shape, part: str, last: bool) -> Call:
    import torch

    axes = shape.axes
    orders = {1: torch.channels_last, 2: torch.channels_last, 3: torch.channels_last_3d}
    x, weight, grad = (torch.from_numpy(a) for a in arrays(*shape.operands))
    window = [shape.stride] * axes, [shape.padding] * axes, [1] * axes
    if last and axes == 1:  # there is no such order for sequences: as images of height 1
        x, weight, grad = (a.unsqueeze(2) for a in (x, weight, grad))
        window = [1, shape.stride], [0, shape.padding], [1, 1]
    order = orders[axes] if last else torch.contiguous_format
    x, weight, grad = (a.contiguous(memory_format=order) for a in (x, weight, grad))
    bias = torch.zeros(shape.c_out)
    convolve = (torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d)[x.ndim - 3]

    def forward() -> Any:
        with torch.no_grad():
            return convolve(x, weight, bias, *window, shape.groups)

    def backward(mask: list[bool]) -> Any:
        settings = [shape.c_out], *window, False, [0] * len(window[0]), shape.groups, mask
        return torch.ops.aten.convolution_backward(grad, x, weight, *settings)

    return {
        "forward": forward,
        "grad input": lambda: backward([True, False, False]),
        "grad weight": lambda: backward([False, True, False]),
    }[part]


def _jax(shape: Shape, part: str) -> Call:
    import jax

    from .jax_layers import conv

    # (n, c, h, w) -> (n, h, w, c), and (c_out, c_in, kh, kw) -> (kh, kw, c_in, c_out)
    orders = (0, 2, 3, 1), (2, 3, 1, 0), (0, 2, 3, 1)
    x, weight, grad = (
        jax.numpy.asarray(a.transpose(order)) for a, order in zip(arrays(*shape.operands), orders, strict=True)
    )
    window = shape.stride, shape.padding, shape.groups
    bias = jax.numpy.zeros(shape.c_out)
    # What is given as an argument is not folded into a constant; the forward pass that a transpose needs not is left out.
    run, *operands = {
        "forward": (lambda x, w: conv(x, w, bias, *window), x, weight),
        "grad input": (lambda g, w: jax.vjp(lambda x: conv(x, w, None, *window), x)[1](g), grad, weight),
        "grad weight": (lambda g, x: jax.vjp(lambda w: conv(x, w, None, *window), weight)[1](g), grad, x),
    }[part]
    compiled = jax.jit(run)
    return lambda: jax.block_until_ready(compiled(*operands))
