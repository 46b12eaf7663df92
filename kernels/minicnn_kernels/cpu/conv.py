"""Convolution in one, two and three dimensions: hands each one to an algorithm. The maths is in ``reference/conv.py``.

``conv_choice.py`` says which, and why. ``conv_im2col.py`` takes every case, and is the one to read first; then
``conv_few_pixels.py``, the same where the filters outweigh the images, ``conv_direct.py`` for few channels,
``conv_winograd.py`` for 3x3 filters, ``conv_winograd_few.py`` where these outweigh the images, ``conv_depthwise.py`` where
each channel has a filter of its own and a matrix product would be nearly empty.
"""

from types import ModuleType

import numpy as np

from ..threads import parallel_chunks, split
from . import channels, conv_depthwise, conv_direct, conv_few_pixels, conv_im2col, conv_winograd, conv_winograd_few
from .conv_choice import choose, few_pixels, few_tiles, is_depthwise
from .conv_shared import Sizes
from .jit import jit
from .layout import to_channels_last

ALGORITHMS = {"im2col": conv_im2col, "direct": conv_direct, "winograd": conv_winograd}


def conv_forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """x (n, c_in, *spatial), weight (c_out, c_in/groups, *kernel), bias (c_out,) or None -> (n, c_out, *spatial)."""
    seen, padding = seen_taps(x.shape, weight.shape, stride, padding, dilation, algorithm)
    if seen:
        weight = np.ascontiguousarray(weight[seen])
    module = algorithm_of(x.shape, weight.shape, stride, padding, dilation, groups, algorithm)
    return module.forward(x, weight, bias, stride, padding, dilation, groups)


def conv_backward_input(
    grad_out: np.ndarray,
    weight: np.ndarray,
    input_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """grad_out (n, c_out, *spatial) -> grad_x (n, c_in, *spatial)."""
    seen, padding = seen_taps(input_shape, weight.shape, stride, padding, dilation, algorithm)
    if seen:
        weight = np.ascontiguousarray(weight[seen])
    module = algorithm_of(input_shape, weight.shape, stride, padding, dilation, groups, algorithm)
    return module.backward_input(grad_out, weight, input_shape, stride, padding, dilation, groups)


def conv_backward_weight(
    grad_out: np.ndarray,
    x: np.ndarray,
    weight_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str = "auto",
) -> np.ndarray:
    """grad_out (n, c_out, *spatial), x (n, c_in, *spatial) -> grad_weight (c_out, c_in/groups, *kernel), row-major."""
    seen, padding = seen_taps(x.shape, weight_shape, stride, padding, dilation, algorithm)
    if seen:
        grad_weight = np.zeros(weight_shape, grad_out.dtype)
        shape = grad_weight[seen].shape
        module = algorithm_of(x.shape, shape, stride, padding, dilation, groups, algorithm, summing=True)
        grad_weight[seen] = module.backward_weight(grad_out, x, shape, stride, padding, dilation, groups)
        return grad_weight
    module = algorithm_of(x.shape, weight_shape, stride, padding, dilation, groups, algorithm, summing=True)
    return module.backward_weight(grad_out, x, weight_shape, stride, padding, dilation, groups)


def conv_backward_bias(grad_out: np.ndarray) -> np.ndarray:
    """grad_out (n, c_out, *spatial) -> (c_out,), accumulated in float64."""
    grad = to_channels_last(grad_out)
    c_out = grad.shape[-1]
    grad = grad.reshape(grad.size // c_out, c_out)  # (n, *spatial, c_out) -> (pixels, c_out)
    if channels.fills_a_vector(grad):
        return channels.sums(grad).astype(grad_out.dtype)
    chunks = split(grad.shape[0], grain=max(1, (1 << 16) // c_out))
    sums = np.zeros((max(1, len(chunks)), c_out + channels.APART))
    parallel_chunks(_sum_rows, chunks, grad, sums)
    return sums.sum(axis=0)[:c_out].astype(grad_out.dtype)


def algorithm_of(
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    groups: int,
    algorithm: str = "auto",
    standing: bool = False,
    summing: bool = False,
) -> ModuleType:
    """The file that computes this convolution and the gradient of its input; if `standing` its results alone, with filters
    made ready before; if `summing` the gradient of the weights."""
    arguments = x_shape, weight_shape, stride, padding, dilation, groups
    name = choose(*arguments, algorithm, standing).algorithm
    if name == "direct" and is_depthwise(weight_shape, groups):
        return conv_depthwise
    if name == "im2col" and not standing and few_pixels(*arguments):
        return conv_few_pixels
    if name == "winograd" and not standing and few_tiles(x_shape, weight_shape, padding, summing):
        return conv_winograd_few
    return ALGORITHMS[name]


def seen_taps(
    x_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    algorithm: str,
) -> tuple[tuple[slice, ...] | None, Sizes]:
    """The part of the filter that ever lies on the image, where padding alone is under its rim; the padding it needs.

    A 3x3 filter on an image of one pixel is one of 1x1: deep layers of networks for photographs are that on small images.

    >>> seen_taps((20, 512, 1, 1), (512, 512, 3, 3), (1, 1), (1, 1), (1, 1), "auto")
    ((slice(None, None, None), slice(None, None, None), slice(1, 2, None), slice(1, 2, None)), (0, 0))
    """
    if algorithm not in ("auto", "exact") or not any(padding):
        return None, padding
    rims = []
    for size, k, s, p, d in zip(x_shape[2:], weight_shape[2:], stride, padding, dilation, strict=True):
        last = (
            (size + 2 * p - d * (k - 1) - 1) // s * s
        )  # where the filter's first tap lies at the end, in padded pixels
        before = sum(last + tap * d < p for tap in range(k))  # taps that never come to the image
        after = sum(tap * d >= p + size for tap in range(k))  # taps that have passed it from the beginning
        rims.append(min(before, after, p // d, (k - 1) // 2))
    if not any(rims):
        return None, padding
    inner = tuple(slice(rim, k - rim) for rim, k in zip(rims, weight_shape[2:], strict=True))
    return (slice(None), slice(None), *inner), tuple(
        p - rim * d for rim, p, d in zip(rims, padding, dilation, strict=True)
    )


@jit
def _sum_rows(index, start, stop, rows, sums):
    """sums[index] = rows[start:stop].sum(axis=0)"""
    total = sums[index, : rows.shape[1]]
    for p in range(start, stop):
        row = rows[p]
        for j in range(total.size):
            total[j] += row[j]
