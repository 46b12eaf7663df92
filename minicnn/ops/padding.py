"""Padding with a constant; a negative amount crops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..autograd import Op, Tensor


class Pad(Op):
    @staticmethod
    def forward(ctx, x, *, amounts, value):
        ctx.inside = tuple(
            slice(max(before, 0), max(before, 0) + size + min(before, 0) + min(after, 0))
            for size, (before, after) in zip(x.shape, amounts, strict=True)
        )
        ctx.kept = tuple(
            slice(max(-before, 0), size - max(-after, 0))
            for size, (before, after) in zip(x.shape, amounts, strict=True)
        )
        ctx.shape = x.shape
        shape = [size + before + after for size, (before, after) in zip(x.shape, amounts, strict=True)]
        out = np.full(shape, value, x.dtype)
        out[ctx.inside] = x[ctx.kept]
        return out

    @staticmethod
    def backward(ctx, grad_out):
        grad = np.zeros(ctx.shape, grad_out.dtype)
        grad[ctx.kept] = grad_out[ctx.inside]
        return grad


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Add ``value`` (0 by default) around a tensor.

    ``pad`` counts from the last dimension: (left, right), or (left, right, top, bottom), ...; negative amounts crop.

    >>> import minicnn as mc
    >>> mc.nn.functional.pad(mc.ones(1, 2), (1, 2))
    tensor([[0., 1., 1., 0., 0.]])

    Raises
    ------
    ValueError : an odd number of amounts, more than the tensor has dimensions, or a crop larger than the tensor.
    NotImplementedError : for modes other than ``"constant"``.
    """
    if mode != "constant":
        raise NotImplementedError(f"mode: only 'constant' padding is there, got {mode!r}; index the tensor instead")
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ValueError(f"pad: expected pairs for at most {input.ndim} dimensions, got {len(pad)} numbers")
    pairs = [(int(pad[i]), int(pad[i + 1])) for i in range(0, len(pad), 2)]
    amounts = [(0, 0)] * (input.ndim - len(pairs)) + pairs[::-1]
    for d, (size, (before, after)) in enumerate(zip(input.shape, amounts, strict=True)):
        if size + before + after < 0 or size + min(before, 0) + min(after, 0) < 0:
            raise ValueError(f"pad: {(before, after)} crops more than the {size} elements of dimension {d}")
    return Pad.apply(input, amounts=amounts, value=0 if value is None else value)
