"""Unpooling: the maxima that a pooling found back in their places, zeros elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from minicnn_kernels.geometry import SIZES, to_tuple

from ..autograd import Op, Tensor
from .conv import Ints
from .promotion import require_floating


class MaxUnpool(Op):
    # y[index[p]] = x[p], 0 elsewhere (of several x with one index the last is there);  dL/dx[p] = dL/dy[index[p]]
    @staticmethod
    def forward(ctx, x, indices, *, size):
        ctx.save(indices)
        places = math.prod(size)
        if indices.size and not 0 <= indices.min() <= indices.max() < places:
            raise ValueError(
                f"indices: the places of a result of size {size} are 0 to {places - 1}, got {indices.min()} to "
                f"{indices.max()}"
            )
        out = np.zeros((*x.shape[:2], places), x.dtype)
        np.put_along_axis(out, _flat(indices), _flat(x), axis=2)
        return out.reshape(*x.shape[:2], *size)  # (n, c, places) -> (n, c, *size)

    @staticmethod
    def backward(ctx, grad_out):
        (indices,) = ctx.saved
        return np.take_along_axis(_flat(grad_out), _flat(indices), axis=2).reshape(indices.shape), None


def _flat(x: np.ndarray) -> np.ndarray:
    """(n, c, *spatial) -> (n, c, places)."""
    return x.reshape(*x.shape[:2], math.prod(x.shape[2:]))


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """What :func:`max_pool2d` with ``return_indices=True`` took apart: its maxima in their places, 0 elsewhere.

    (Zeiler, Taylor and Fergus 2011, "Adaptive deconvolutional networks for mid and high level feature learning".)

    Parameters
    ----------
    input : (n, c, h, w) floating point, or one image (c, h, w)
    indices : the same shape, int64: the place ``y w_out + x`` of each element in its channel of the result. Of several
        elements with one place the last is there.
    kernel_size, stride, padding : those of the pooling
    output_size : of the result, where it cannot be told from these: (h_out, w_out), or the whole shape

    Returns
    -------
    (n, c, h_out, w_out), by default with ``h_out = (h - 1) stride + kh - 2 padding``

    >>> import minicnn as mc
    >>> out, indices = mc.nn.functional.max_pool2d(mc.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2, return_indices=True)
    >>> mc.nn.functional.max_unpool2d(out, indices, 2)
    tensor([[[0., 0.],
             [4., 0.]]])

    Raises
    ------
    ValueError : shapes that differ, channels or images that are empty, an output size that no such pooling could have
        had; a place beyond the result.
    TypeError : an input that is not floating point, indices that are not int64.
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The maxima of a sequence, (n, c, length) or (c, length), in their places; see :func:`max_unpool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.max_unpool1d(mc.tensor([[5.0, 4.0]]), mc.tensor([[1, 2]]), 2)
    tensor([[0., 5., 4., 0.]])
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """The maxima of a volume, (n, c, d, h, w) or (c, d, h, w), in their places; see :func:`max_unpool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.max_unpool3d(mc.ones(1, 1, 1, 1), mc.tensor([[[[6]]]]), 2).flatten()
    tensor([0., 0., 0., 0., 0., 0., 1., 0.])
    """
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    axes: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: Sequence[int] | None,
) -> Tensor:
    what = f"max_unpool{axes}d"
    require_floating(input, "input", what)
    if not isinstance(indices, Tensor) or indices._array.dtype != np.int64:
        raise TypeError(
            f"indices: {what} needs an int64 tensor, got {getattr(indices, 'dtype', type(indices).__name__)}"
        )
    shape = tuple(input.shape)
    if len(shape) not in (axes + 1, axes + 2) or shape != tuple(indices.shape):
        letters = ", ".join(SIZES[axes])
        raise ValueError(
            f"input: {what} takes (n, c, {letters}) or (c, {letters}) and indices of the same shape, got {shape} and "
            f"{tuple(indices.shape)}"
        )
    if 0 in shape[1:]:
        raise ValueError(f"input: of shape {shape} nothing is left to put in place; only the batch may be empty")
    kernel = to_tuple(kernel_size, "kernel_size", axes)
    step = kernel if stride is None else to_tuple(stride, "stride", axes)
    size = _output_size(shape[-axes:], kernel, step, to_tuple(padding, "padding", axes), output_size)
    if len(shape) == axes + 2:
        return MaxUnpool.apply(input, indices, size=size)
    return MaxUnpool.apply(input.unsqueeze(0), indices.unsqueeze(0), size=size).squeeze(0)


def _output_size(
    spatial: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_size: Sequence[int] | None,
) -> tuple[int, ...]:
    """The size that was pooled; what was asked for may be less than a stride away from what is expected."""
    axes = len(kernel)
    expected = tuple(
        (size - 1) * step + taps - 2 * pad
        for size, step, taps, pad in zip(spatial, stride, kernel, padding, strict=True)
    )
    if output_size is None:
        size = expected
    else:
        size = tuple(int(n) for n in (output_size[2:] if len(output_size) == axes + 2 else output_size))
        if len(size) != axes:
            raise ValueError(f"output_size: expected {axes} sizes or the whole shape of {axes + 2}, got {len(size)}")
        for d, (own, wanted, step) in enumerate(zip(size, expected, stride, strict=True)):
            if not wanted - step < own < wanted + step:
                raise ValueError(
                    f"output_size: size {d} must be between {wanted - step} and {wanted + step}, both excluded, got {size}"
                )
    if min(size) < 0:
        raise ValueError(f"output_size: sizes are not negative, got {size}; the padding is too large")
    return size
