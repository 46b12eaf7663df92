"""Elements chosen by a mask, a bool tensor that broadcasts with the input: filled, taken out, replaced."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..autograd import Op, Tensor
from .elementwise import where
from .promotion import NUMBERS, cast
from .views import broadcast_tensors


class MaskedScatter(Op):
    # y = x, with the elements of source one after the other where the mask holds
    @staticmethod
    def forward(ctx, x, mask, source):
        ctx.save(mask)
        ctx.source_shape = source.shape
        out = x.copy()
        out[mask] = source.reshape(-1)[: np.count_nonzero(mask)]
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (mask,) = ctx.saved
        grad_x = grad_source = None
        if ctx.needs_input_grad[0]:
            grad_x = np.where(mask, grad_out.dtype.type(0), grad_out)
        if ctx.needs_input_grad[2]:
            grad_source = np.zeros(ctx.source_shape, grad_out.dtype)
            taken = grad_out[mask]
            grad_source.reshape(-1)[: taken.size] = taken
        return grad_x, None, grad_source


def masked_fill(input: Tensor, mask: Tensor, value: Tensor | bool | int | float) -> Tensor:
    """``value``, in the type of ``input``, where ``mask`` holds; ``input`` elsewhere.

    >>> import minicnn as mc
    >>> mc.masked_fill(mc.tensor([1.0, 2.0]), mc.tensor([True, False]), 0)
    tensor([0., 2.])

    Raises
    ------
    TypeError : a mask that is not bool.
    ValueError : a value of more than one element.
    """
    _require_mask(mask)
    if isinstance(value, Tensor):
        if value.ndim:
            raise ValueError(
                f"value: masked_fill takes a number or a 0-dimensional tensor, got shape {tuple(value.shape)}"
            )
        filling = value
    elif isinstance(value, NUMBERS):
        filling = Tensor(np.asarray(value))
    else:
        raise TypeError(f"value: expected a number or a 0-dimensional tensor, got {type(value).__name__}")
    return where(mask, cast(filling, input.dtype), input)


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where ``mask`` holds, in row-major order, as a vector.

    >>> import minicnn as mc
    >>> x = mc.tensor([[1, 2], [3, 4]])
    >>> mc.masked_select(x, x > 1)
    tensor([2, 3, 4])

    Raises
    ------
    TypeError : a mask that is not bool. ValueError : shapes that do not broadcast.
    """
    _require_mask(mask)
    input, mask = broadcast_tensors(input, mask)
    return input[mask] if input.ndim else input.reshape(1)[mask.reshape(1)]


def masked_scatter(input: Tensor, mask: Tensor, source: Tensor) -> Tensor:
    """``input`` with the elements of ``source``, one after the other, where ``mask`` holds.

    >>> import minicnn as mc
    >>> mc.masked_scatter(mc.zeros(3), mc.tensor([True, False, True]), mc.tensor([5.0, 6.0]))
    tensor([5., 0., 6.])

    Raises
    ------
    TypeError : a mask that is not bool, or a source of another type.
    ValueError : fewer elements in the source than places in the mask.
    """
    _require_mask(mask)
    if source._array.dtype != input._array.dtype:
        raise TypeError(f"source: masked_scatter needs the type of input, {input.dtype}, got {source.dtype}")
    input, mask = broadcast_tensors(input, mask)
    places = np.count_nonzero(mask._array)
    if source.numel() < places:
        raise ValueError(f"source: the mask holds in {places} places, got {source.numel()} elements")
    return MaskedScatter.apply(input, mask, source)


def _require_mask(mask: Any) -> None:
    if not isinstance(mask, Tensor) or mask._array.dtype != bool:
        got = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise TypeError(f"mask: expected a bool tensor, got {got}")
