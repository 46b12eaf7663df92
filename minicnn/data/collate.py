"""Joins samples into a batch: torch's `default_collate` and `default_convert`.

Read next: `loader.py`, which calls them.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from minicnn.autograd import Tensor
from minicnn.ops.joining import stack


def default_collate(batch: Sequence[Any]) -> Any:
    """A list of samples -> one batch, with a new first dimension wherever the samples hold tensors or numbers.

    ========================  ==========================================================
    tensors, ndarrays         stacked: k of shape (...) -> (k, ...)
    int, float, bool          a tensor (k,): int64, float64, bool
    NumPy scalars             a tensor (k,) of their dtype
    str, bytes                left as they are
    mappings, named tuples    the same type, each field collated
    tuples, other sequences   transposed, each position collated: tuples become a list
    ========================  ==========================================================

    Raises
    ------
    TypeError : a sample of another type (None, a PIL image ...). RuntimeError : shapes or lengths that differ.

    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    if len(batch) == 0:
        raise IndexError("default_collate: expected at least one sample, got an empty batch")
    first = batch[0]
    if isinstance(first, Tensor):
        return _stack(batch)
    if isinstance(first, np.ndarray):
        if first.dtype.kind in "SUO":
            raise TypeError(_unknown(f"an array of {first.dtype}"))
        return _stack([Tensor(np.asarray(sample)) for sample in batch])
    if isinstance(first, (np.bool_, np.number)):
        return Tensor(np.asarray(batch))
    if isinstance(first, float):
        return Tensor(np.asarray(batch, dtype=np.float64))
    if isinstance(first, int):
        numbers = np.asarray(batch)
        return Tensor(numbers.astype(np.float32) if numbers.dtype.kind == "f" else numbers)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _rebuild_mapping(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(samples) for samples in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        lengths = {len(sample) for sample in batch}
        if len(lengths) != 1:
            raise RuntimeError(
                f"each element in list of batch should be of equal size, but got lengths {sorted(lengths)}; "
                "pad them in a collate_fn of your own"
            )
        columns = [default_collate(samples) for samples in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _rebuild_sequence(first, columns)
    raise TypeError(_unknown(str(type(first))))


def default_convert(sample: Any) -> Any:
    """What a loader with ``batch_size=None`` does to a sample: NumPy arrays and scalars become tensors, the rest stays.

    Tuples become lists, as in torch.

    >>> default_convert((np.arange(2), "a"))
    [tensor([0, 1]), 'a']
    """
    if isinstance(sample, (np.ndarray, np.bool_, np.number)):
        array = np.asarray(sample)
        return sample if array.dtype.kind in "SUO" else Tensor(array)
    if isinstance(sample, Mapping):
        return _rebuild_mapping(sample, {key: default_convert(value) for key, value in sample.items()})
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*(default_convert(value) for value in sample))
    if isinstance(sample, tuple):
        return [default_convert(value) for value in sample]
    if isinstance(sample, Sequence) and not isinstance(sample, (str, bytes)):
        return _rebuild_sequence(sample, [default_convert(value) for value in sample])
    return sample


def _stack(tensors: Sequence[Tensor]) -> Tensor:
    """k tensors (...) -> (k, ...); dtypes are promoted together, as torch.stack does."""
    for position, tensor in enumerate(tensors):
        if tensor.shape != tensors[0].shape:
            raise RuntimeError(
                f"default_collate: expected samples of one shape, but got {list(tensors[0].shape)} at entry 0 and "
                f"{list(tensor.shape)} at entry {position}; crop, resize or pad them in the transform"
            )
    # (...) x k -> (k, ...)
    return stack(tensors)


def _rebuild_mapping(like: Mapping, fields: dict) -> Any:
    """``fields`` in the type of ``like``, which may carry attributes of its own; a plain dict where that fails."""
    try:
        if isinstance(like, MutableMapping):
            clone = copy.copy(like)
            clone.update(fields)
            return clone
        return type(like)(fields)  # type: ignore[call-arg]
    except TypeError:
        return fields


def _rebuild_sequence(like: Sequence, values: list) -> Any:
    """``values`` in the type of ``like``; a plain list where that fails (a range, for example)."""
    try:
        if isinstance(like, MutableSequence):
            clone = copy.copy(like)
            for position, value in enumerate(values):
                clone[position] = value
            return clone
        return type(like)(values)  # type: ignore[call-arg]
    except TypeError:
        return values


def _unknown(found: str) -> str:
    return (
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {found}. "
        "Convert the samples in the data set (transforms.ToTensor for images), or pass a collate_fn"
    )
