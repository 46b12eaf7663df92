"""Cutting images into patches and adding patches up (``cpu/im2col.py``), against ``unfold`` and ``fold``.

Bound by the memory: a 3x3 filter's patches are nine times the image, written (or read) once. JAX has no ``fold`` but the
transpose of its patches.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from .case import JAX, MINICNN, TORCH, Call, Case, Setting
from .modules import arrays

SHAPES = ((64, 1, 28, 28), (64, 32, 14, 14), (8, 64, 56, 56))
QUICK = ((2, 3, 5, 6),)
WINDOW = (3, 3), (1, 1), (1, 1), (1, 1)  # kernel_size, stride, padding, dilation


def cases(setting: Setting) -> Iterator[Case]:
    for n, c, h, w in QUICK if setting.quick else SHAPES:
        for part in ("im2col", "col2im"):
            peers = {
                peer: partial(make, part, (n, c, h, w))
                for peer, make in ((MINICNN, _minicnn), (TORCH, _torch), (JAX, _jax))
            }
            size = 4 * 10 * n * c * h * w
            yield Case(f"{part} 3x3, {n}x{c}x{h}x{w}", peers, bytes=size, operands=size)


def _minicnn(part: str, shape: tuple[int, int, int, int]) -> Call:
    from minicnn_kernels import cpu

    n, c, h, w = shape
    x, cols = arrays(shape, (n, 9 * c, h * w))
    if part == "im2col":
        return lambda: cpu.im2col(x, *WINDOW)
    return lambda: cpu.col2im(cols, (h, w), *WINDOW)


def _torch(part: str, shape: tuple[int, int, int, int]) -> Call:
    import torch

    n, c, h, w = shape
    x, cols = map(torch.from_numpy, arrays(shape, (n, 9 * c, h * w)))
    if part == "im2col":
        return lambda: torch.nn.functional.unfold(x, 3, padding=1)
    return lambda: torch.nn.functional.fold(cols, (h, w), 3, padding=1)


def _jax(part: str, shape: tuple[int, int, int, int]) -> Call:
    import jax

    n, c, h, w = shape
    x, cols = map(jax.numpy.asarray, arrays(shape, (n, 9 * c, h, w)))

    @jax.jit
    def im2col(x: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated_patches(x, (3, 3), (1, 1), [(1, 1)] * 2)

    col2im = jax.jit(lambda cols: jax.linear_transpose(im2col, x)(cols))
    if part == "im2col":
        return lambda: jax.block_until_ready(im2col(x))
    return lambda: jax.block_until_ready(col2im(cols))
