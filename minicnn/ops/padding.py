"""Padding: a border of a constant, or of mirrored, repeated or wrapped elements, around a tensor; a negative amount crops.

Along one axis the result falls into three zones: before the input, the input, behind it. What is not constant comes from
the input: a run of it mirrored, one element for a whole zone, a run of the other end. So padding k axes copies at most
3^k blocks, each once, and the gradient takes the same way back: each block's is added to where its elements came from.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence

import numpy as np

from minicnn_kernels import workspace

from ..autograd import Op, Tensor
from ..dtypes import bool_

Zone = tuple[slice, slice]  # along one axis: where in the result, from where in the input


class Pad(Op):
    # y = value, and x where it lies in y;  dL/dx = that part of dL/dy, and 0 for what was cropped
    @staticmethod
    def forward(ctx, x, *, amounts, value):
        ctx.shape, ctx.zones = x.shape, [[_middle(*axis)] for axis in zip(x.shape, amounts, strict=True)]
        out = workspace.empty_like(x, _padded(x.shape, amounts))
        place, source = _block([zones[0] for zones in ctx.zones])
        for axis, inside in enumerate(place):
            out[(slice(None),) * axis + (slice(None, inside.start),)] = value
            out[(slice(None),) * axis + (slice(inside.stop, None),)] = value
        out[place] = x[source]
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return _add_back(grad_out, ctx.shape, ctx.zones)


class PadFromInput(Op):
    # y[p] = x[source(p)];  dL/dx[s] = sum of dL/dy[p] over all p with source(p) = s
    @staticmethod
    def forward(ctx, x, *, amounts, mode):
        ctx.shape = x.shape
        ctx.zones = [_zones(size, pair, _SOURCES[mode]) for size, pair in zip(x.shape, amounts, strict=True)]
        out = workspace.empty_like(x, _padded(x.shape, amounts))
        for place, source in map(_block, itertools.product(*ctx.zones)):
            out[place] = x[source]
        return out

    @staticmethod
    def backward(ctx, grad_out):
        return _add_back(grad_out, ctx.shape, ctx.zones)


def _add_back(grad_out: np.ndarray, shape: tuple[int, ...], zones: list[list[Zone]]) -> np.ndarray:
    grad = workspace.empty_like(grad_out, shape)
    grad.fill(0)
    for place, source in map(_block, itertools.product(*zones)):
        arriving, there = grad_out[place], grad[source]
        repeated = tuple(d for d, size in enumerate(there.shape) if size == 1 != arriving.shape[d])
        there += arriving.sum(axis=repeated, keepdims=True) if repeated else arriving
    return grad


def _padded(shape: tuple[int, ...], amounts: list[tuple[int, int]]) -> list[int]:
    return [size + before + after for size, (before, after) in zip(shape, amounts, strict=True)]


def _block(zones: Sequence[Zone]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """One zone an axis -> where the block lies in the result, and its source in the input."""
    return tuple(place for place, _ in zones), tuple(source for _, source in zones)


def _middle(size: int, amounts: tuple[int, int]) -> Zone:
    """Where the input lies in the result, and what is kept of it."""
    start, stop = max(-amounts[0], 0), size - max(-amounts[1], 0)
    return slice(start + amounts[0], stop + amounts[0]), slice(start, stop)


def _zones(size: int, amounts: tuple[int, int], source: Callable[[int, int, int], slice]) -> list[Zone]:
    """Along one axis. Positions are counted from the input's first element: the result's are -before .. size + after."""
    before, after = amounts
    runs = (
        (-before, min(0, size + after)),
        (max(0, -before), min(size, size + after)),
        (max(size, -before), size + after),
    )
    return [
        (slice(start + before, stop + before), slice(start, stop) if 0 <= start < size else source(size, start, stop))
        for start, stop in runs
        if start < stop
    ]


# Where the elements at positions start .. stop come from, all of them before the input or all of them behind it.


def _mirrored(size: int, start: int, stop: int) -> slice:
    """s < 0 is element -s, s >= size is element 2 (size - 1) - s: the outermost element is not repeated."""
    turn = 0 if start < 0 else 2 * (size - 1)
    return slice(turn - start, turn - stop if turn >= stop else None, -1)


def _edge(size: int, start: int, stop: int) -> slice:
    """The outermost element, for all of them."""
    return slice(0, 1) if start < 0 else slice(size - 1, size)


def _wrapped(size: int, start: int, stop: int) -> slice:
    """s < 0 is element s + size, s >= size is element s - size."""
    turn = size if start < 0 else -size
    return slice(start + turn, stop + turn)


_SOURCES = {"reflect": _mirrored, "replicate": _edge, "circular": _wrapped}


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Elements added around a tensor; a negative amount takes away.

    Parameters
    ----------
    input : any shape and type. Modes other than ``"constant"`` pad the last one to three dimensions of an input that has
        one or two more, (n, c, *spatial) or (c, *spatial); ``"reflect"`` and ``"replicate"`` take no bool
    pad : how many, counted from the last dimension: (left, right), or (left, right, top, bottom), or (left, right, top,
        bottom, front, back), ...
    mode : what is added. Of ``[1, 2, 3]`` with ``pad=(2, 2)``

        =============== ================================================ =======================
        ``"constant"``  ``value``                                        ``0 0 [1 2 3] 0 0``
        ``"reflect"``   the input mirrored, without its outermost        ``3 2 [1 2 3] 2 1``
        ``"replicate"`` its outermost element                            ``1 1 [1 2 3] 3 3``
        ``"circular"``  the other end                                    ``2 3 [1 2 3] 1 2``
        =============== ================================================ =======================
    value : for ``"constant"``; 0 by default

    >>> import minicnn as mc
    >>> mc.nn.functional.pad(mc.ones(1, 2), (1, 2))
    tensor([[0., 1., 1., 0., 0.]])
    >>> mc.nn.functional.pad(mc.tensor([[1, 2, 3]]), (2, -1), mode="reflect")
    tensor([[3, 2, 1, 2]])

    Raises
    ------
    ValueError : an odd number of amounts, more than the tensor has dimensions, a crop larger than the tensor, an unknown
        mode, a value for a mode without one or beyond the tensor's type; a border as wide as the input
        (``"reflect"``) or wider (``"circular"``).
    TypeError : an amount that is not an integer; bool tensors where they are not taken.
    """
    amounts = _checked_amounts(input, pad)
    if mode == "constant":
        return _constant(input, amounts, 0 if value is None else value)
    if mode not in _SOURCES:
        raise ValueError(f"mode: expected 'constant', 'reflect', 'replicate' or 'circular', got {mode!r}")
    if value:
        raise ValueError(f"value: only 'constant' padding has one, got {value} with mode {mode!r}")
    k, shape = len(pad) // 2, tuple(input.shape)
    if k not in (1, 2, 3) or len(shape) not in (k + 1, k + 2):
        raise ValueError(
            f"pad: mode {mode!r} pads the last k = 1, 2 or 3 dimensions of a tensor with k + 1 or k + 2, got {len(pad)} "
            f"amounts for shape {shape}; add dimensions of size 1 in front with unsqueeze"
        )
    if mode == "circular":
        crop = [(min(before, 0), min(after, 0)) for before, after in amounts]
        if any(map(any, crop)):  # what is wrapped is what is left
            input = _constant(input, crop, 0)
            amounts = [(max(before, 0), max(after, 0)) for before, after in amounts]
    elif input.dtype is bool_:
        raise TypeError(f"input: mode {mode!r} takes no bool; pad input.to(mc.uint8)")
    elif 0 in shape[len(shape) - k - 1 :] or min(_padded(shape, amounts)[-k:]) < 1:
        raise ValueError(f"pad: mode {mode!r} with {tuple(pad)} leaves or finds nothing in a tensor of shape {shape}")
    spare = {"reflect": 1, "replicate": -math.inf, "circular": 0}[mode]
    for d, (size, axis) in enumerate(zip(input.shape, amounts, strict=True)):
        if max(axis) > max(0, size - spare):
            raise ValueError(
                f"pad: mode {mode!r} adds at most {max(0, size - spare)} elements to the {size} of dimension {d}, got {axis}"
            )
    return PadFromInput.apply(input, amounts=amounts, mode=mode)


def _constant(input: Tensor, amounts: list[tuple[int, int]], value: float) -> Tensor:
    for d, (size, (before, after)) in enumerate(zip(input.shape, amounts, strict=True)):
        if size + before + after < 0 or size + min(before, 0) + min(after, 0) < 0:
            raise ValueError(f"pad: {(before, after)} crops more than the {size} elements of dimension {d}")
    dtype = input.dtype.numpy
    if dtype.kind in "iu" and not np.iinfo(dtype).min <= value <= np.iinfo(dtype).max:
        raise ValueError(f"value: {value} is not in the range of {input.dtype}, the type of the input")
    return Pad.apply(input, amounts=amounts, value=value)


def _checked_amounts(input: Tensor, pad: Sequence[int]) -> list[tuple[int, int]]:
    """(before, after) for each dimension, in the order of the shape."""
    if not isinstance(input, Tensor):
        raise TypeError(f"input: pad needs a Tensor, got {type(input).__name__}")
    try:
        numbers = [operator.index(amount) for amount in pad]
    except TypeError:
        raise TypeError(f"pad: expected integers, got {pad!r}") from None
    if len(numbers) % 2 or len(numbers) > 2 * input.ndim:
        raise ValueError(f"pad: expected pairs for at most {input.ndim} dimensions, got {len(numbers)} numbers")
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    return [(0, 0)] * (input.ndim - len(pairs)) + pairs[::-1]
