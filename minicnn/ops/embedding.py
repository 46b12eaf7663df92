"""Embeddings: rows of a table by their numbers, alone or in bags."""

from __future__ import annotations

import numpy as np

from ..autograd import Op, Tensor
from .elementwise import where
from .norms import VectorNorm
from .promotion import require_floating

INDEX_TYPES = (np.int32, np.int64)


class Embedding(Op):
    # weight (rows, features), indices of any shape -> (*indices.shape, features); dL/dweight[i] = sum of g where i was used
    @staticmethod
    def forward(ctx, weight, indices, *, padding_idx, counts):
        ctx.shape, ctx.padding_idx = weight.shape, padding_idx
        ctx.save(indices, counts)
        return weight[indices]

    @staticmethod
    def backward(ctx, grad_out):
        indices, counts = ctx.saved
        flat, grads = indices.reshape(-1), grad_out.reshape(indices.size, ctx.shape[1])
        if counts is not None:
            grads = grads / counts.reshape(-1, 1)
        grad = np.zeros(ctx.shape, grad_out.dtype)
        if flat.size:
            order = np.argsort(flat, kind="stable")  # equal rows side by side: their sum is one pass
            rows, starts = np.unique(flat[order], return_index=True)
            grad[rows] = np.add.reduceat(grads[order], starts, axis=0)
        if ctx.padding_idx is not None:
            grad[ctx.padding_idx] = 0
        return grad, None


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of ``weight`` that ``input`` numbers.

    Parameters
    ----------
    input : whole numbers (int32, int64), any shape
    weight : (rows, features) floating point
    padding_idx : a row that gets no gradient
    max_norm : where given, rows that are used and longer are first shortened to it, *in* ``weight``
    norm_type : the p of that norm
    scale_grad_by_freq : divide each row's gradient by how often it was used
    sparse : not supported: gradients are dense

    Returns
    -------
    (\\*input.shape, features)

    >>> import minicnn as mc
    >>> mc.nn.functional.embedding(mc.tensor([1, 0, 1]), mc.tensor([[0.0, 1.0], [2.0, 3.0]]))
    tensor([[2., 3.],
            [0., 1.],
            [2., 3.]])

    Raises
    ------
    IndexError : a number outside the rows. ValueError : a weight that is no matrix, a padding_idx outside the rows.
    TypeError : an input that is not whole numbers. NotImplementedError : ``sparse=True``.
    """
    padding_idx = _check("embedding", input, weight, padding_idx, sparse)
    indices = input._array
    if max_norm is not None:
        _shorten(weight, indices, max_norm, norm_type)
    counts = _counts(indices, weight) if scale_grad_by_freq else None
    return Embedding.apply(weight, input, padding_idx=padding_idx, counts=counts)


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of bags of rows of ``weight``; an empty bag gives zeros.

    Parameters
    ----------
    input : whole numbers: (bags, size), or all bags in one row, with ``offsets``
    weight : (rows, features) floating point
    offsets : (bags,), where each bag begins; with ``include_last_offset`` the last one is where the last bag ends
    mode : ``"sum"``, ``"mean"`` or ``"max"``
    per_sample_weights : of the input's shape, a factor for each row; for sums only
    padding_idx : a row that does not count
    max_norm, norm_type, scale_grad_by_freq, sparse : as in :func:`embedding`

    Returns
    -------
    (bags, features)

    >>> import minicnn as mc
    >>> table = mc.tensor([[1.0], [2.0], [4.0]])
    >>> mc.nn.functional.embedding_bag(mc.tensor([0, 2, 1]), table, mc.tensor([0, 2]), mode="sum")
    tensor([[5.],
            [2.]])

    Raises
    ------
    ValueError : another mode, shapes that do not fit, scaling by frequency of maxima. IndexError, TypeError : as
        :func:`embedding`. NotImplementedError : ``sparse=True``, weights for other than sums.
    """
    padding_idx = _check("embedding_bag", input, weight, padding_idx, sparse)
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"mode: expected 'sum', 'mean' or 'max', got {mode!r}")
    if mode == "max" and scale_grad_by_freq:
        raise ValueError("scale_grad_by_freq: not for maxima, whose gradient goes to one row each")
    if per_sample_weights is not None:
        if mode != "sum":
            raise NotImplementedError(f"per_sample_weights: for mode='sum' only, got {mode!r}")
        if per_sample_weights.shape != input.shape:
            raise ValueError(
                f"per_sample_weights: expected the input's shape {tuple(input.shape)}, got {tuple(per_sample_weights.shape)}"
            )
    indices = input._array
    if max_norm is not None:
        _shorten(weight, indices, max_norm, norm_type)
    places, used = _bags(input, offsets, include_last_offset)  # (bags, longest)
    flat = indices.reshape(-1)
    chosen = flat[places] if flat.size else np.zeros(places.shape, np.int64)
    if padding_idx is not None:
        used = used & (chosen != padding_idx)
    counts = _counts(flat, weight)[places] if scale_grad_by_freq and flat.size else None
    rows = Embedding.apply(weight, Tensor(chosen), padding_idx=None, counts=counts)  # (bags, longest, features)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.reshape(-1)[Tensor(places)].unsqueeze(-1)
    mask, count = Tensor(used[:, :, None]), used.sum(axis=1)
    if mode == "max":
        empty = Tensor((count == 0)[:, None])
        if not places.shape[1]:
            return rows.sum(1)
        return where(empty, 0.0, where(mask, rows, -np.inf).max(1).values)
    total = where(mask, rows, 0.0).sum(1)
    return total if mode == "sum" else total / Tensor(np.maximum(count, 1).astype(weight._array.dtype)[:, None])


def _check(what: str, input: Tensor, weight: Tensor, padding_idx: int | None, sparse: bool) -> int | None:
    """The padding row, counted from the front."""
    if sparse:
        raise NotImplementedError(f"sparse: there are no sparse gradients; leave {what} with sparse=False")
    if not isinstance(input, Tensor) or input._array.dtype not in INDEX_TYPES:
        got = input.dtype if isinstance(input, Tensor) else type(input).__name__
        raise TypeError(f"input: {what} needs int64 or int32, got {got}; convert with .long()")
    require_floating(weight, "weight", what)
    if weight.ndim != 2:
        raise ValueError(f"weight: {what} needs a matrix (rows, features), got shape {tuple(weight.shape)}")
    rows, indices = weight.shape[0], input._array
    if indices.size and not (indices.min() >= 0 and indices.max() < rows):
        raise IndexError(
            f"input: {what} needs numbers of rows, 0 to {rows - 1}, got {indices.min()} to {indices.max()}"
        )
    if padding_idx is not None and not -rows <= padding_idx < rows:
        raise ValueError(f"padding_idx: expected one of the {rows} rows, got {padding_idx}")
    return None if padding_idx is None else padding_idx % rows


def _shorten(weight: Tensor, indices: np.ndarray, max_norm: float, norm_type: float) -> None:
    """Scale the rows that are used, where they are longer than ``max_norm``, in place."""
    rows = np.unique(indices)
    array = weight._array
    norms = VectorNorm.apply(Tensor(array[rows]), p=float(norm_type), dims=(1,), keepdim=True)._array
    array[rows] = np.where(norms > max_norm, array[rows] * (max_norm / (norms + 1e-7)), array[rows])
    weight._bump_version("embedding(max_norm=...)")


def _counts(indices: np.ndarray, weight: Tensor) -> np.ndarray:
    """How often the row that each index names is named, of the shape of the indices."""
    _, inverse, counts = np.unique(indices, return_inverse=True, return_counts=True)
    return counts[inverse].reshape(indices.shape).astype(weight._array.dtype)


def _bags(input: Tensor, offsets: Tensor | None, include_last_offset: bool) -> tuple[np.ndarray, np.ndarray]:
    """The bags as rows, (bags, longest): places in the flattened input, and whether there is one."""
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError("offsets: the rows of a matrix are the bags; leave offsets out")
        places = np.arange(input.numel()).reshape(tuple(input.shape))
        return places, np.ones(places.shape, bool)
    if input.ndim != 1:
        raise ValueError(f"input: embedding_bag needs one or two dimensions, got shape {tuple(input.shape)}")
    if offsets is None or offsets.ndim != 1:
        got = "None" if offsets is None else f"shape {tuple(offsets.shape)}"
        raise ValueError(f"offsets: bags in one row need where each begins, (bags,), got {got}")
    starts = offsets._array.astype(np.int64)
    if starts.size and starts[0] != 0:
        raise ValueError(f"offsets: the first bag begins at 0, got {starts[0]}")
    ends = starts[1:] if include_last_offset else np.append(starts[1:], input.numel())
    starts = starts[: len(ends)]
    sizes = ends - starts
    if (sizes < 0).any() or (ends > input.numel()).any():
        raise ValueError(f"offsets: expected ascending places of 0 to {input.numel()}")
    places = starts[:, None] + np.arange(sizes.max(initial=0))
    used = places < ends[:, None]
    return np.where(used, places, 0), used
