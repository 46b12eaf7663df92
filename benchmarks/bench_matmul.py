"""Matrix products (``cpu/matmul.py``), plain and with a transposed operand, against NumPy's, PyTorch's and JAX's.

The shapes are those of a linear layer: forward x W^T, the gradient of the input g W, the gradient of the weights g^T x. The
floor is 2 m n k operations at the peak of the multiply-adds. (``torch.compile`` calls PyTorch's own product.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from .case import JAX, MINICNN, TORCH, Call, Case, Setting
from .modules import arrays

SHAPES = {"MNIST CNN, batch 64": (64, 3136, 512), "square": (1024, 1024, 1024), "small": (64, 512, 10)}  # rows, in, out
QUICK = {"tiny": (5, 7, 3)}
PRODUCTS: dict[str, Callable[[Any, Any, Any, Callable[[Any, Any], Any]], Any]] = {
    "x W^T": lambda x, weight, grad, product: product(x, weight.T),  # (rows, in) (in, out) -> (rows, out)
    "g W": lambda x, weight, grad, product: product(grad, weight),  # (rows, out) (out, in) -> (rows, in)
    "g^T x": lambda x, weight, grad, product: product(grad.T, x),  # (out, rows) (rows, in) -> (out, in)
}


def cases(setting: Setting) -> Iterator[Case]:
    for name, (rows, n_in, n_out) in (QUICK if setting.quick else SHAPES).items():
        shapes = (rows, n_in), (n_out, n_in), (rows, n_out)
        for product in PRODUCTS:
            peers = {
                peer: partial(make, PRODUCTS[product], shapes)
                for peer, make in ((MINICNN, _minicnn), ("numpy", _numpy), (TORCH, _torch), (JAX, _jax))
            }
            sizes = rows * n_in + n_out * n_in + rows * n_out
            yield Case(f"{name}, {product} ({rows}, {n_in}, {n_out})", peers, 2.0 * rows * n_in * n_out, 4 * sizes)


def _minicnn(product: Any, shapes: Any) -> Call:
    from minicnn_kernels import cpu

    operands = arrays(*shapes)
    return lambda: product(*operands, cpu.matmul)


def _numpy(product: Any, shapes: Any) -> Call:
    operands = arrays(*shapes)
    return lambda: product(*operands, np.matmul)


def _torch(product: Any, shapes: Any) -> Call:
    import torch

    operands = [torch.from_numpy(a) for a in arrays(*shapes)]
    return lambda: product(*operands, torch.matmul)


def _jax(product: Any, shapes: Any) -> Call:
    import jax

    operands = [jax.numpy.asarray(a) for a in arrays(*shapes)]
    compiled = jax.jit(lambda *operands: product(*operands, jax.numpy.matmul))
    return lambda: jax.block_until_ready(compiled(*operands))
