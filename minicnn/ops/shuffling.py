"""Channels into space and back, and channels among themselves: axes are split, exchanged, and joined again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn_kernels import workspace

from ..autograd import Op, Tensor


class Regroup(Op):
    # the axes of x split (``parts``), in another order (``axes``), and joined to ``shape``; the gradient the other way round
    @staticmethod
    def forward(ctx, x, *, parts, axes, shape):
        ctx.parts, ctx.axes, ctx.shape = parts, axes, x.shape
        return _regroup(x, parts, axes, shape)

    @staticmethod
    def backward(ctx, grad_out):
        back = tuple(int(axis) for axis in np.argsort(ctx.axes))
        return _regroup(grad_out, tuple(ctx.parts[axis] for axis in ctx.axes), back, ctx.shape)


def _regroup(x: np.ndarray, parts: tuple[int, ...], axes: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """A fresh array in the memory order of x."""
    out = workspace.empty_like(x, shape)
    # Splitting an axis never copies: the assignment fills `out` itself.
    out.reshape([parts[axis] for axis in axes])[...] = x.reshape(parts).transpose(axes)
    return out


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """Each r x r channels become r x r pixels: images r times larger, with fewer channels.

    (Shi et al. 2016, "Real-time single image and video super-resolution using an efficient sub-pixel convolutional neural
    network".)

    Parameters
    ----------
    input : (\\*, c r^2, h, w) of any type
    upscale_factor : r

    Returns
    -------
    (\\*, c, h r, w r), in the memory order of the input; pixel (y r + i, x r + j) of channel k is pixel (y, x) of channel
    ``k r^2 + i r + j``

    >>> import minicnn as mc
    >>> mc.nn.functional.pixel_shuffle(mc.arange(4).reshape(4, 1, 1), 2)
    tensor([[[0, 1],
             [2, 3]]])

    Raises
    ------
    ValueError : fewer than three axes, a factor that is not positive, channels that r^2 does not divide.
    """
    r, (*lead, c, h, w) = _checked("pixel_shuffle", input, upscale_factor, "upscale_factor")
    if c % (r * r):
        raise ValueError(
            f"input: pixel_shuffle needs a multiple of {r} * {r} channels, got {c} in {tuple(input.shape)}"
        )
    n, c = math.prod(lead), c // (r * r)
    # (n, c, r, r, h, w) -> (n, c, h, r, w, r)
    return _spatially(input, lead, (n, c, r, r, h, w), (0, 1, 4, 2, 5, 3), (c, h * r, w * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """Each r x r pixels become r x r channels: :func:`pixel_shuffle` undone.

    Parameters
    ----------
    input : (\\*, c, h r, w r) of any type
    downscale_factor : r

    Returns
    -------
    (\\*, c r^2, h, w), in the memory order of the input

    >>> import minicnn as mc
    >>> mc.nn.functional.pixel_unshuffle(mc.arange(4).reshape(1, 2, 2), 2).flatten()
    tensor([0, 1, 2, 3])

    Raises
    ------
    ValueError : fewer than three axes, a factor that is not positive, or does not divide height and width.
    """
    r, (*lead, c, h, w) = _checked("pixel_unshuffle", input, downscale_factor, "downscale_factor")
    if h % r or w % r:
        raise ValueError(
            f"input: pixel_unshuffle needs height and width to be multiples of {r}, got {tuple(input.shape)}"
        )
    n, h, w = math.prod(lead), h // r, w // r
    # (n, c, h, r, w, r) -> (n, c, r, r, h, w)
    return _spatially(input, lead, (n, c, h, r, w, r), (0, 1, 3, 5, 2, 4), (c * r * r, h, w))


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of several groups dealt out in turn, so that what follows in groups mixes them.

    (Zhang, Zhou, Lin and Sun 2018, "ShuffleNet: an extremely efficient convolutional neural network for mobile devices".)

    Parameters
    ----------
    input : (n, c, \\*spatial) of any type, with at least one spatial axis
    groups : into how many groups of neighbours the channels fall before

    Returns
    -------
    the same shape, in the memory order of the input: as if the channels, written as a table with a row for each group, were
    read column by column

    >>> import minicnn as mc
    >>> mc.nn.functional.channel_shuffle(mc.arange(6).reshape(1, 6, 1), 2).flatten()
    tensor([0, 3, 1, 4, 2, 5])

    Raises
    ------
    ValueError : fewer than three axes, groups that are not positive, or do not divide the channels.
    """
    groups, (n, c, *spatial) = _checked("channel_shuffle", input, groups, "groups")
    if c % groups:
        raise ValueError(f"groups: {groups} groups do not divide the {c} channels of {tuple(input.shape)}")
    parts = n, groups, c // groups, *spatial
    # (n, groups, c/groups, *spatial) -> (n, c/groups, groups, *spatial)
    return Regroup.apply(input, parts=parts, axes=(0, 2, 1, *range(3, len(parts))), shape=tuple(input.shape))


def _checked(what: str, input: Tensor, number: Any, name: str) -> tuple[int, tuple[int, ...]]:
    """The factor or number of groups, and the shape."""
    if not isinstance(input, Tensor):
        raise TypeError(f"input: {what} needs a Tensor, got {type(input).__name__}")
    if input.ndim < 3:
        raise ValueError(f"input: {what} needs at least 3 axes, got shape {tuple(input.shape)}")
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
        raise TypeError(f"{name}: {what} needs an integer, got {number!r}")
    if number < 1:
        raise ValueError(f"{name}: {what} needs a positive number, got {number}")
    return int(number), tuple(input.shape)


def _spatially(input: Tensor, lead: list[int], parts: tuple, axes: tuple, result: tuple[int, int, int]) -> Tensor:
    """Regroup (n, c, h, w), where n is one leading axis, or several taken together."""
    shape = tuple(input.shape)
    x = input if len(lead) == 1 else input.reshape(parts[0], *shape[-3:])
    out = Regroup.apply(x, parts=parts, axes=axes, shape=(parts[0], *result))
    return out if len(lead) == 1 else out.reshape(*lead, *result)
