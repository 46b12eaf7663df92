"""Where elements are, and how often: ``nonzero``, ``searchsorted``, ``bincount``, ``histc``, ``one_hot``, ``isin``.

None of these has a gradient.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..autograd import Tensor
from .shape import also_named


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """Where the elements are not zero: a row of coordinates each, or, ``as_tuple``, a vector for each dimension.

    >>> import minicnn as mc
    >>> mc.nonzero(mc.tensor([[0, 1], [2, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    if as_tuple:
        array = input._array if input.ndim else input._array.reshape(1)
        return tuple(Tensor(places) for places in np.nonzero(array))
    return argwhere(input)


def argwhere(input: Tensor) -> Tensor:
    """The coordinates of the elements that are not zero, a row each."""
    return Tensor(np.argwhere(input._array).astype(np.int64, copy=False))


def searchsorted(
    sorted_sequence: Tensor,
    input: Tensor | int | float,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Tensor | None = None,
) -> Tensor:
    """Where each element of ``input`` belongs in an ascending sequence: the first place that keeps the order.

    ``right`` (or ``side="right"``) takes the last such place. A sequence of several dimensions is searched row by row:
    ``input`` has the same shape but for the last size. ``sorter``: indices that sort the sequence.

    >>> import minicnn as mc
    >>> mc.searchsorted(mc.tensor([1, 3, 5]), mc.tensor([3, 4])), mc.searchsorted(mc.tensor([1, 3, 5]), 3, right=True)
    (tensor([1, 2]), tensor(2))

    Raises
    ------
    ValueError : shapes that do not fit, or ``side`` against ``right``. TypeError, IndexError : a ``sorter`` that is none.
    """
    if side not in (None, "left", "right"):
        raise ValueError(f"side: expected 'left' or 'right', got {side!r}")
    if side == "left" and right:
        raise ValueError("side: 'left' and right=True contradict each other")
    sequence = sorted_sequence._array
    if not isinstance(input, Tensor):
        if sequence.ndim != 1:
            raise ValueError("input: a number can be searched for in a vector only")
        values = np.asarray(input)
    else:
        values = input._array
    if sequence.ndim == 0:
        raise ValueError("sorted_sequence: expected at least one dimension")
    if sequence.ndim > 1 and sequence.shape[:-1] != values.shape[:-1]:
        raise ValueError(
            f"input: expected shape {sequence.shape[:-1]} before the last size, as sorted_sequence has, got {values.shape}"
        )
    if sorter is not None:
        if sorter._array.shape != sequence.shape:
            raise ValueError(f"sorter: expected the sequence's shape {sequence.shape}, got {tuple(sorter.shape)}")
        if sorter._array.dtype != np.int64:
            raise TypeError(f"sorter: expected int64, got {sorter.dtype}")
        places = sorter._array
        if places.size and (places.min() < 0 or places.max() >= sequence.shape[-1]):
            raise IndexError(f"sorter: expected indices from 0 to {sequence.shape[-1] - 1}")
        sequence = np.take_along_axis(sequence, places, -1)
    where: Literal["left", "right"] = "right" if right or side == "right" else "left"
    if sequence.ndim == 1:
        found = np.asarray(np.searchsorted(sequence, values, where))
    else:
        found = np.empty(values.shape, np.int64)
        for row in np.ndindex(sequence.shape[:-1]):
            found[row] = np.searchsorted(sequence[row], values[row], where)
    return Tensor(np.asarray(found, np.int32 if out_int32 else np.int64))


def bucketize(
    input: Tensor | int | float, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """The number of the bucket between ``boundaries`` that each element falls in: :func:`searchsorted` turned round.

    >>> import minicnn as mc
    >>> mc.bucketize(mc.tensor([0, 1, 9]), mc.tensor([1, 5]))
    tensor([0, 0, 2])

    Raises
    ------
    ValueError : boundaries that are not a vector.
    """
    if boundaries.ndim != 1:
        raise ValueError(f"boundaries: expected a vector, got shape {tuple(boundaries.shape)}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often each whole number from 0 on occurs, or the sum of its ``weights``.

    >>> import minicnn as mc
    >>> mc.bincount(mc.tensor([0, 2, 2]))
    tensor([1, 0, 2])

    Raises
    ------
    TypeError : for other than whole numbers. ValueError : for negative ones, and shapes other than vectors.
    """
    numbers = input._array
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"input: bincount takes whole numbers, got {input.dtype}")
    if numbers.ndim != 1 or (numbers.size and numbers.min() < 0):
        raise ValueError(f"input: bincount takes a vector without negative numbers, got shape {tuple(input.shape)}")
    if minlength < 0:
        raise ValueError(f"minlength: expected a number that is not negative, got {minlength}")
    if weights is None:
        return Tensor(np.bincount(numbers, minlength=minlength).astype(np.int64, copy=False))
    if weights.shape != input.shape:
        raise ValueError(f"weights: expected the shape of input, {tuple(input.shape)}, got {tuple(weights.shape)}")
    counts = np.bincount(numbers, weights._array.astype(np.float64), minlength)
    return Tensor(counts.astype(np.float32 if weights._array.dtype == np.float32 else np.float64))


def histc(input: Tensor, bins: int = 100, min: int | float = 0, max: int | float = 0) -> Tensor:
    """How many elements fall in each of ``bins`` equal parts of [min, max]; the largest belongs to the last part.

    Where both limits are equal: from the smallest to the largest element. What lies outside is not counted.

    >>> import minicnn as mc
    >>> mc.histc(mc.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])

    Raises
    ------
    ValueError : for bins that are not positive, and limits that are not finite or in the wrong order.
    """
    x = input._array.reshape(-1)
    if bins <= 0:
        raise ValueError(f"bins: expected a positive number, got {bins}")
    low, high = float(min), float(max)
    if low == high and x.size:
        low, high = float(x.min()), float(x.max())
    if low == high:
        low, high = low - 1, high + 1
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"min, max: expected finite limits, got {low} and {high}")
    if low > high:
        raise ValueError(f"max: expected at least min = {low}, got {high}")
    kind = x.dtype.type if x.dtype.kind == "f" else np.float64
    inside = x[(x >= kind(low)) & (x <= kind(high))]
    places = ((inside - kind(low)) / (kind(high) - kind(low)) * kind(bins)).astype(np.int64)
    counts = np.bincount(np.minimum(places, bins - 1), minlength=bins)
    return Tensor(counts.astype(input._array.dtype))


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """A row of zeros with a one at the place each number names; ``num_classes`` is by default the largest number plus 1.

    >>> import minicnn as mc
    >>> mc.nn.functional.one_hot(mc.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])

    Raises
    ------
    TypeError : other than int64. ValueError : negative numbers, or some that are not below ``num_classes``.
    """
    numbers = tensor._array
    if numbers.dtype != np.int64:
        raise TypeError(f"tensor: one_hot takes int64, got {tensor.dtype}; convert with .long()")
    if numbers.size == 0 and num_classes <= 0:
        raise ValueError("num_classes: it cannot be told from an empty tensor; give it")
    if num_classes < -1 or num_classes == 0:
        raise ValueError(f"num_classes: expected a positive number or -1, got {num_classes}")
    if numbers.size and numbers.min() < 0:
        raise ValueError(f"tensor: classes are numbered from 0, got {numbers.min()}")
    classes = int(numbers.max()) + 1 if num_classes == -1 else num_classes
    if numbers.size and numbers.max() >= classes:
        raise ValueError(f"tensor: expected numbers below num_classes = {classes}, got {numbers.max()}")
    return Tensor((numbers[..., None] == np.arange(classes)).astype(np.int64))


@also_named(element="elements", test_element="test_elements")
def isin(
    elements: Tensor | int | float,
    test_elements: Tensor | int | float,
    *,
    assume_unique: bool = False,
    invert: bool = False,
) -> Tensor:
    """For each element whether it is among ``test_elements`` (or is not: ``invert``).

    >>> import minicnn as mc
    >>> mc.isin(mc.tensor([1, 2, 3]), mc.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    a, b = (x._array if isinstance(x, Tensor) else np.asarray(x) for x in (elements, test_elements))
    return Tensor(np.asarray(np.isin(a, b, assume_unique=assume_unique, invert=invert)))
