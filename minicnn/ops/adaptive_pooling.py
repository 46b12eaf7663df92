"""Adaptive pooling: as many windows as the result is to have elements, spread evenly over the input.

Along an axis of size s, window o of n sees the places floor(o s / n) to ceil((o + 1) s / n) - 1. Where n divides s these are
ordinary windows side by side; otherwise neighbours overlap by one place. Everything else is as in ``pooling.py``.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from minicnn_kernels.geometry import AXES, SIZES
from minicnn_kernels.windows import adaptive_windows

from ..autograd import Tensor
from .pooling import AvgPool, MaxPoolIndices
from .promotion import require_floating

Sizes = int | None | Sequence[int | None]


def adaptive_avg_pool2d(input: Tensor, output_size: Sizes) -> Tensor:
    """The mean of each of ``output_size`` windows that cover an image evenly.

    Parameters
    ----------
    input : (n, c, h, w) floating point, or one image (c, h, w)
    output_size : height and width of the result: a pair, or one integer for both. None keeps the input's.

    Returns
    -------
    (n, c, h_out, w_out). ``output_size=1`` is the mean of each channel, with which most networks for images end.

    >>> import minicnn as mc
    >>> mc.nn.functional.adaptive_avg_pool2d(mc.arange(12.0).reshape(1, 3, 4), (1, 2))
    tensor([[[4.5000, 6.5000]]])

    Raises
    ------
    ValueError : a shape that is not an image's, a wrong number of sizes, a negative one; an empty input, unless its
        mean over everything is asked for, which is NaN.
    TypeError : an input that is not a floating-point tensor; sizes that are not integers.
    """
    return _adaptive_avg_pool(2, input, output_size)


def adaptive_avg_pool1d(input: Tensor, output_size: int | Sequence[int]) -> Tensor:
    """The mean of each of ``output_size`` windows that cover a sequence, (n, c, length) or (c, length), evenly.

    See :func:`adaptive_avg_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.adaptive_avg_pool1d(mc.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]]), 2)
    tensor([[2.3333, 9.3333]])
    """
    return _adaptive_avg_pool(1, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Sizes) -> Tensor:
    """The mean of each of ``output_size`` windows that cover a volume, (n, c, d, h, w) or (c, d, h, w), evenly.

    See :func:`adaptive_avg_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.adaptive_avg_pool3d(mc.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1)).flatten()
    tensor([1.5000, 5.5000])
    """
    return _adaptive_avg_pool(3, input, output_size)


def adaptive_max_pool2d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The largest element of each of ``output_size`` windows that cover an image evenly.

    Parameters
    ----------
    input : (n, c, h, w) floating point, or one image (c, h, w)
    output_size : height and width of the result: a pair, or one integer for both. None keeps the input's.
    return_indices : whether the places ``y w + x`` of the winners, int64, are returned too

    Returns
    -------
    (n, c, h_out, w_out); or a pair with the indices

    >>> import minicnn as mc
    >>> mc.nn.functional.adaptive_max_pool2d(mc.arange(12.0).reshape(1, 3, 4), (1, 2), return_indices=True)
    (tensor([[[ 9., 11.]]]), tensor([[[ 9, 11]]]))

    Raises
    ------
    ValueError : a shape that is not an image's, an empty image, a wrong number of sizes, a negative one.
    TypeError : an input that is not a floating-point tensor; sizes that are not integers.
    """
    return _adaptive_max_pool(2, input, output_size, return_indices)


def adaptive_max_pool1d(input: Tensor, output_size: int | Sequence[int], return_indices: bool = False) -> Any:
    """The largest element of each of ``output_size`` windows that cover a sequence, (n, c, length) or (c, length), evenly.

    See :func:`adaptive_max_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.adaptive_max_pool1d(mc.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]]), 2)
    tensor([[ 4., 16.]])
    """
    return _adaptive_max_pool(1, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Sizes, return_indices: bool = False) -> Any:
    """The largest element of each of ``output_size`` windows that cover a volume, (n, c, d, h, w) or (c, d, h, w), evenly.

    See :func:`adaptive_max_pool2d`.

    >>> import minicnn as mc
    >>> mc.nn.functional.adaptive_max_pool3d(mc.arange(8.0).reshape(1, 2, 2, 2), (2, 1, 1)).flatten()
    tensor([3., 7.])
    """
    return _adaptive_max_pool(3, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: int | Sequence[int], return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """:func:`adaptive_max_pool1d` with ``return_indices=True``, whatever ``return_indices`` says."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Sizes, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """:func:`adaptive_max_pool2d` with ``return_indices=True``, whatever ``return_indices`` says."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Sizes, return_indices: bool = False
) -> tuple[Tensor, Tensor]:
    """:func:`adaptive_max_pool3d` with ``return_indices=True``, whatever ``return_indices`` says."""
    return adaptive_max_pool3d(input, output_size, True)


def _adaptive_avg_pool(axes: int, input: Tensor, output_size: Any) -> Tensor:
    sizes = _sizes(axes, input, output_size, f"adaptive_avg_pool{axes}d")
    if set(sizes) != {1}:
        _require_elements(input, input.ndim - axes if axes < 3 else 1)
    x, single = _batch(axes, input)
    windows = tuple(map(adaptive_windows, x.shape[2:], sizes))
    out = AvgPool.apply(x, windows=windows, divisors=tuple(axis.counts for axis in windows))
    return out.squeeze(0) if single else out


def _adaptive_max_pool(axes: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    sizes = _sizes(axes, input, output_size, f"adaptive_max_pool{axes}d")
    _require_elements(input, 1)
    x, single = _batch(axes, input)
    out, indices = MaxPoolIndices.apply(x, windows=tuple(map(adaptive_windows, x.shape[2:], sizes)))
    if single:
        out, indices = out.squeeze(0), indices.squeeze(0)
    return (out, indices) if return_indices else out


def _sizes(axes: int, input: Tensor, output_size: Any, what: str) -> tuple[int, ...]:
    """The size of the result along each axis, after checks of these and of the input's shape."""
    require_floating(input, "input", what)
    if input.ndim not in (axes + 1, axes + 2):
        letters = ", ".join(SIZES[axes])
        raise ValueError(f"input: {what} takes (n, c, {letters}) or (c, {letters}), got shape {tuple(input.shape)}")
    try:
        sizes = (operator.index(output_size),) * axes
    except TypeError:
        if output_size is None or (axes == 1 and None in tuple(output_size)):
            raise TypeError(f"output_size: {what} needs an integer for each axis, got {output_size!r}") from None
        given = zip(output_size, input.shape[-axes:], strict=False)
        sizes = tuple(own if size is None else operator.index(size) for size, own in given)
        if len(output_size) != axes:
            raise ValueError(
                f"output_size: {what} needs one for each of {', '.join(AXES[axes])}, got {output_size!r}"
            ) from None
    if min(sizes) < 0:
        raise ValueError(f"output_size: sizes are not negative, got {sizes}")
    return sizes


def _require_elements(input: Tensor, first: int) -> None:
    """Nothing to pool, along an axis from number ``first`` on, is an error."""
    if 0 in input.shape[first:]:
        raise ValueError(f"input: of shape {tuple(input.shape)} nothing is left to pool; only the batch may be empty")


def _batch(axes: int, input: Tensor) -> tuple[Tensor, bool]:
    single = input.ndim == axes + 1
    return (input.unsqueeze(0) if single else input), single
