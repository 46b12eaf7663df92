"""Embedding layers: a learned row for each number. The arithmetic is in ``minicnn/ops/embedding.py``."""

from __future__ import annotations

from typing import Any

from minicnn.autograd import Tensor, no_grad
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import empty


class _Table(Module):
    """Rows, drawn from the standard normal distribution at first; the padding row is zeros."""

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None,
        max_norm: float | None,
        norm_type: float,
        scale_grad_by_freq: bool,
        sparse: bool,
        weight: Tensor | None,
        options: dict[str, Any],
    ) -> None:
        super().__init__()
        if sparse:
            raise NotImplementedError("sparse: there are no sparse gradients; leave sparse=False")
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(f"padding_idx: expected one of the {num_embeddings} rows, got {padding_idx}")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.max_norm = max_norm
        self.norm_type = norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.sparse = sparse
        if weight is None:
            self.weight = Parameter(empty((num_embeddings, embedding_dim), **options))
            self.reset_parameters()
        elif tuple(weight.shape) != (num_embeddings, embedding_dim):
            raise ValueError(f"_weight: expected shape {(num_embeddings, embedding_dim)}, got {tuple(weight.shape)}")
        else:
            self.weight = Parameter(weight)

    def reset_parameters(self) -> None:
        """Draw the rows anew from the default generator."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            with no_grad():
                self.weight[self.padding_idx] = 0


class Embedding(_Table):
    """:func:`~minicnn.nn.functional.embedding` with its table as a parameter.

    Parameters
    ----------
    num_embeddings, embedding_dim : rows and features of the table.
    padding_idx : a row of zeros that is not trained.
    max_norm, norm_type : rows that are used and longer are shortened, in place.
    scale_grad_by_freq : divide each row's gradient by how often it was used.
    sparse : not supported.
    device, dtype : where and in which floating-point dtype to make the table.

    >>> import minicnn as mc
    >>> mc.nn.Embedding(10, 3)(mc.tensor([[1, 2], [4, 9]])).shape
    minicnn.Size([2, 2, 3])

    Raises
    ------
    ValueError : a padding_idx outside the rows. NotImplementedError : ``sparse=True``.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = {"device": device, "dtype": dtype}
        settings = padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        super().__init__(num_embeddings, embedding_dim, *settings, _weight, options)
        self.weight.requires_grad_(not _freeze)

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer with this table, which it shares; frozen unless told otherwise.

        >>> import minicnn as mc
        >>> mc.nn.Embedding.from_pretrained(mc.tensor([[1.0, 2.0], [3.0, 4.0]]))(mc.tensor([1]))
        tensor([[3., 4.]])
        """
        rows, features = _rows_and_features(embeddings)
        settings = padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        return cls(rows, features, *settings, _weight=embeddings, _freeze=freeze)

    def forward(self, input: Tensor) -> Tensor:
        """The rows that ``input`` numbers."""
        return F.embedding(
            input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse
        )

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("padding_idx", None), ("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        return text


class EmbeddingBag(_Table):
    """:func:`~minicnn.nn.functional.embedding_bag` with its table as a parameter.

    Parameters
    ----------
    mode : ``'sum'``, ``'mean'`` or ``'max'``.
    include_last_offset : whether the last offset is where the last bag ends.
    padding_idx : a row that does not count.

    The others are those of ``Embedding``.

    >>> import minicnn as mc
    >>> mc.nn.EmbeddingBag(10, 3)(mc.tensor([1, 2, 4, 9]), mc.tensor([0, 3])).shape
    minicnn.Size([2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        options = {"device": device, "dtype": dtype}
        settings = padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse
        super().__init__(num_embeddings, embedding_dim, *settings, _weight, options)
        self.mode = mode
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer with this table, which it shares; frozen unless told otherwise."""
        rows, features = _rows_and_features(embeddings)
        settings = max_norm, norm_type, scale_grad_by_freq, mode, sparse, embeddings, include_last_offset, padding_idx
        layer = cls(rows, features, *settings)
        layer.weight.requires_grad_(not freeze)
        return layer

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        """A row for each bag of numbers."""
        return F.embedding_bag(
            input, self.weight, offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.mode, self.sparse,
            per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)}"
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{text}, mode={self.mode!r}{padding}"


def _rows_and_features(embeddings: Tensor) -> tuple[int, int]:
    if embeddings.ndim != 2:
        raise ValueError(f"embeddings: expected a matrix (rows, features), got shape {tuple(embeddings.shape)}")
    return embeddings.shape[0], embeddings.shape[1]
