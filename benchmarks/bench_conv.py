"""Convolutions alone: forward, gradient of the input, gradient of the filters; each algorithm that takes the shape.

Kernels against kernels, without autograd: PyTorch's ``conv2d`` and ``convolution_backward``, JAX's jitted convolution and
its two transposes. (``torch.compile`` calls PyTorch's own convolution, so it is no peer here.) The floor is the direct sum's
multiply-adds at their peak, or, for one channel and depthwise, the images and filters at the memory's rate; Winograd does
with fewer operations and may pass the floor.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .case import CHANNELS_LAST, JAX, MINICNN, TORCH, Call, Case, Maker, Setting
from .modules import arrays, channels_last

PARTS = ("forward", "grad input", "grad weight")
ALGORITHMS = ("im2col", "direct", "winograd")


class Shape(NamedTuple):
    n: int
    c_in: int
    c_out: int
    size: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    groups: int = 1

    @property
    def out(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def operands(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of x, weight and the gradient of the result."""
        filters = self.c_out, self.c_in // self.groups, self.kernel, self.kernel
        return (self.n, self.c_in, self.size, self.size), filters, (self.n, self.c_out, self.out, self.out)

    @property
    def flops(self) -> float:
        """Of each part, by the direct sum."""
        return 2.0 * self.n * self.out**2 * self.c_out * (self.c_in // self.groups) * self.kernel**2


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
}
QUICK = {
    "3x3": Shape(1, 8, 8, 6),
    "1x1": Shape(1, 4, 8, 5, 1, 1, 0),
    "3x3, one channel": Shape(2, 1, 4, 6),
    "3x3 depthwise": Shape(1, 8, 8, 6, groups=8),
}


def cases(setting: Setting) -> Iterator[Case]:
    for name, shape in (QUICK if setting.quick else SHAPES).items():
        nbytes = 4 * sum(np.prod(operand, dtype=float) for operand in shape.operands)
        for part in PARTS:
            peers: dict[str, Maker] = {MINICNN: partial(_minicnn, shape, part, "auto")}
            for algorithm in ALGORITHMS:
                if algorithm != "winograd" or (shape.kernel, shape.stride, shape.groups) == (3, 1, 1):
                    peers[f"{MINICNN}, {algorithm}"] = partial(_minicnn, shape, part, algorithm)
            peers[TORCH] = partial(_torch, shape, part, False)
            peers[CHANNELS_LAST] = partial(_torch, shape, part, True)
            peers[JAX] = partial(_jax, shape, part)
            yield Case(f"{name}: {part}", peers, shape.flops, nbytes)


def _minicnn(shape: Shape, part: str, algorithm: str) -> Call:
    from minicnn_kernels import cpu

    x, weight, grad = (channels_last(a) if i != 1 else a for i, a in enumerate(arrays(*shape.operands)))
    bias = np.zeros(shape.c_out, np.float32)
    window: tuple[Any, ...] = (shape.stride,) * 2, (shape.padding,) * 2, (1, 1), shape.groups, algorithm
    return {
        "forward": lambda: cpu.conv_forward(x, weight, bias, *window),
        "grad input": lambda: cpu.conv_backward_input(grad, weight, x.shape, *window),
        "grad weight": lambda: cpu.conv_backward_weight(grad, x, weight.shape, *window),
    }[part]


def _torch(shape: Shape, part: str, last: bool) -> Call:
    import torch

    order = torch.channels_last if last else torch.contiguous_format
    x, weight, grad = (torch.from_numpy(a).contiguous(memory_format=order) for a in arrays(*shape.operands))
    bias = torch.zeros(shape.c_out)
    window = [shape.stride] * 2, [shape.padding] * 2, [1, 1]

    def forward() -> Any:
        with torch.no_grad():
            return torch.nn.functional.conv2d(x, weight, bias, *window, shape.groups)

    def backward(mask: list[bool]) -> Any:
        settings = [shape.c_out], *window, False, [0, 0], shape.groups, mask
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
