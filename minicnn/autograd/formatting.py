"""How a tensor prints: torch's look, made with NumPy's printer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes

if TYPE_CHECKING:
    from .tensor import Tensor

_SUMMARISE_ABOVE = 1000  # elements
_EDGE_ITEMS = 3


def format_tensor(tensor: Tensor) -> str:
    """``tensor([[1., 2.]], requires_grad=True)``; dtype and shape where they cannot be seen from the numbers."""
    array = tensor._array
    suffixes = []
    if array.size == 0:
        body = "[]"
        if array.ndim != 1:
            suffixes.append(f"size={tuple(array.shape)}")
    else:
        body = np.array2string(
            array,
            separator=", ",
            prefix="tensor(",
            threshold=_SUMMARISE_ABOVE,
            edgeitems=_EDGE_ITEMS,
            max_line_width=80,
            formatter=_formatter(array),
        )
    default = tensor.dtype in (dtypes.get_default_dtype(), dtypes.int64, dtypes.bool_)
    if not default or (array.size == 0 and tensor.dtype is not dtypes.get_default_dtype()):
        suffixes.append(f"dtype={tensor.dtype}")
    if tensor._node is not None:
        suffixes.append(f"grad_fn={tensor._node!r}")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return f"tensor({', '.join([body, *suffixes])})"


def _formatter(array: np.ndarray) -> Any:
    """Floating point as torch prints it: ``1.`` where all are whole, else four decimals, or scientific for wide ranges."""
    if array.dtype.kind != "f":
        return None
    if array.size > _SUMMARISE_ABOVE:
        shown = _edges(array)
    else:
        shown = array
    finite = np.abs(shown[np.isfinite(shown) & (shown != 0)].astype(np.float64))
    if finite.size == 0:
        pattern = "{:.0f}."
    else:
        low, high = finite.min(), finite.max()
        whole = bool((finite == np.round(finite)).all())
        if whole:
            pattern = "{:.4e}" if high >= 1e8 else "{:.0f}."
        else:
            pattern = "{:.4e}" if high / low > 1000 or high >= 1e8 or low < 1e-4 else "{:.4f}"
    texts = [_text(v, pattern) for v in shown.ravel()]
    width = max(map(len, texts))
    return {"float_kind": lambda value: _text(value, pattern).rjust(width)}


def _text(value: float, pattern: str) -> str:
    if np.isnan(value):
        return "nan"
    if np.isinf(value):
        return "inf" if value > 0 else "-inf"
    return pattern.format(value)


def _edges(array: np.ndarray) -> np.ndarray:
    """The corner blocks that a summary shows."""
    for axis, size in enumerate(array.shape):
        if size > 2 * _EDGE_ITEMS:
            keep = np.r_[0:_EDGE_ITEMS, size - _EDGE_ITEMS : size]
            array = np.take(array, keep, axis=axis)
    return array
