"""Sequences of different lengths: padding and packing.

A padded batch fills up the short sequences; a packed one holds no filling: all first elements, then all second elements,
..., with the sequences sorted, longest first, so that step t has the first ``batch_sizes[t]`` of them. Recurrent layers
compute on packed rows (``minicnn/ops/recurrent.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from minicnn.autograd import Tensor
from minicnn.ops import cat, full


class PackedSequence(NamedTuple):
    """Sequences without filling. Made by :func:`pack_padded_sequence` and :func:`pack_sequence`.

    Attributes
    ----------
    data : (rows, ...), the rows of step 0, then those of step 1, ...
    batch_sizes : (steps,) int64, how many sequences each step has.
    sorted_indices : (batch,) int64, which sequence is the longest, the second longest, ...; None if they came sorted.
    unsorted_indices : (batch,) int64, where each sequence went.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """The same sequences with ``data.to(...)``."""
        return self._replace(data=self.data.to(*args, **kwargs))

    def float(self) -> Self:
        """The same sequences in float32."""
        return self._replace(data=self.data.float())

    def double(self) -> Self:
        """The same sequences in float64."""
        return self._replace(data=self.data.double())

    def cpu(self) -> Self:
        """The same sequences on the CPU."""
        return self.to("cpu")

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a GPU: never."""
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another: ``inverse[permutation[i]] = i``.

    >>> import minicnn as mc
    >>> mc.nn.utils.rnn.invert_permutation(mc.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    return None if permutation is None else Tensor(np.argsort(permutation._array, kind="stable"))


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack a padded batch.

    Parameters
    ----------
    input : (steps, batch, ...), or (batch, steps, ...) with ``batch_first``
    lengths : (batch,) of each sequence, at least 1
    enforce_sorted : the sequences are sorted already, longest first (an error otherwise); False sorts them

    >>> import minicnn as mc
    >>> padded = mc.tensor([[1, 2, 3], [4, 5, 0]])
    >>> mc.nn.utils.rnn.pack_padded_sequence(padded, [3, 2], batch_first=True)[:2]
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))

    Raises
    ------
    RuntimeError : lengths that do not fit, are not positive, or not sorted where they should be.
    """
    lengths_array = np.asarray(lengths._array if isinstance(lengths, Tensor) else lengths, np.int64)
    if input.ndim < 2:
        raise RuntimeError(f"input: expected (steps, batch, ...), got shape {tuple(input.shape)}")
    batch, steps = input.shape[0 if batch_first else 1], input.shape[1 if batch_first else 0]
    if lengths_array.shape != (batch,):
        raise RuntimeError(f"lengths: expected one for each of the {batch} sequences, got {lengths_array.shape}")
    if batch == 0 or lengths_array.min() < 1 or lengths_array.max() > steps:
        raise RuntimeError(f"lengths: expected at least one, all of 1 .. {steps}, got {lengths_array.tolist()}")
    order = None
    if not enforce_sorted:
        order = np.argsort(-lengths_array, kind="stable")
        lengths_array = lengths_array[order]
    elif (np.diff(lengths_array) > 0).any():
        raise RuntimeError(
            "lengths: must be sorted in decreasing order where enforce_sorted is True; pass enforce_sorted=False to have "
            f"it done, got {lengths_array.tolist()}"
        )
    present = np.arange(int(lengths_array[0]))[:, None] < lengths_array  # (steps, batch)
    step, place = np.nonzero(present)
    which = place if order is None else order[place]
    data = input[(which, step) if batch_first else (step, which)]
    indices = None if order is None else Tensor(order)
    return PackedSequence(data, Tensor(present.sum(axis=1)), indices, invert_permutation(indices))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Back from a packed sequence: the padded batch, and the lengths.

    Parameters
    ----------
    sequence : packed
    batch_first : return (batch, steps, ...) rather than (steps, batch, ...)
    padding_value : what to fill up with
    total_length : fill up to so many steps; by default to the longest sequence

    Raises
    ------
    ValueError : ``total_length`` is less than the longest sequence.
    """
    data, sizes = sequence.data, sequence.batch_sizes._array
    steps, batch = len(sizes), int(sizes[0])
    if total_length is not None and total_length < steps:
        raise ValueError(f"total_length: expected at least the longest sequence, {steps}, got {total_length}")
    present = np.arange(batch) < sizes[:, None]  # (steps, batch)
    rows = np.full((total_length or steps, batch), len(data))  # behind the data: the filling
    rows[:steps][present] = np.arange(len(data))
    lengths = present.sum(axis=0)
    if sequence.unsorted_indices is not None:
        back = sequence.unsorted_indices._array
        rows, lengths = rows[:, back], lengths[back]
    filling = full((1, *data.shape[1:]), padding_value, dtype=data.dtype)
    padded = cat([data, filling])[rows.T.copy() if batch_first else rows]
    return padded, Tensor(lengths)


def pad_sequence(
    sequences: Tensor | Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Sequences of different lengths in one tensor.

    Parameters
    ----------
    sequences : tensors (length, ...), equal but for the length
    batch_first : return (batch, steps, ...) rather than (steps, batch, ...)
    padding_value : what to fill up with
    padding_side : "right" (at the end) or "left"

    >>> import minicnn as mc
    >>> mc.nn.utils.rnn.pad_sequence([mc.tensor([1, 2]), mc.tensor([3])], batch_first=True)
    tensor([[1, 2],
            [3, 0]])

    Raises
    ------
    RuntimeError : no sequences, or sizes that differ behind the first. ValueError : another ``padding_side``.
    """
    items = _listed(sequences, "pad_sequence")
    if padding_side not in ("left", "right"):
        raise ValueError(f'padding_side: expected "left" or "right", got {padding_side!r}')
    tails = {tuple(x.shape[1:]) for x in items}
    if len(tails) > 1:
        raise RuntimeError(f"sequences: the sizes behind the first must be equal, got {sorted(tails)}")
    lengths = [len(x) for x in items]
    rows = np.full((len(items), max(lengths)), sum(lengths))
    start = 0
    for i, length in enumerate(lengths):
        first = 0 if padding_side == "right" else rows.shape[1] - length
        rows[i, first : first + length] = np.arange(start, start + length)
        start += length
    filling = full((1, *items[0].shape[1:]), padding_value, dtype=items[0].dtype)
    return cat([*items, filling])[rows if batch_first else rows.T.copy()]


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor | Sequence[int], batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded batch, each in its own length."""
    batched = padded_sequences if batch_first else padded_sequences.transpose(0, 1)
    counts = lengths.tolist() if isinstance(lengths, Tensor) else lengths
    return [batched[i, :length] for i, length in enumerate(counts)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of different lengths, (length, ...) each. See :func:`pack_padded_sequence`."""
    return pack_padded_sequence(pad_sequence(sequences), [len(x) for x in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed one, each in its own length and in their first order."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


def _listed(sequences: Any, what: str) -> list[Tensor]:
    if not isinstance(sequences, (Tensor, list, tuple)) or not len(sequences):
        raise RuntimeError(f"sequences: {what} expects a tensor or a list of tensors, not empty, got {sequences!r}")
    return list(sequences)
