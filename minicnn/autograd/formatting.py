"""How a tensor prints: torch's look.

All numbers of a tensor share one form: ``1.`` where all are whole, four decimals, or the scientific form for wide ranges;
they are aligned in columns, lines are broken at 80 characters, and more than 1000 elements are summarised by their edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes

if TYPE_CHECKING:
    from .tensor import Tensor

_LINE = 80  # characters
_SUMMARISE_ABOVE = 1000  # elements
_EDGE_ITEMS = 3
_PREFIX = "tensor("


def format_tensor(tensor: Tensor) -> str:
    """``tensor([[1., 2.]], requires_grad=True)``; dtype and shape where they cannot be seen from the numbers."""
    array = tensor._array
    suffixes = []
    if array.size == 0 and array.ndim != 1:
        suffixes.append(f"size={tuple(array.shape)}")
    obvious = (dtypes.get_default_dtype(), *(() if array.size == 0 else (dtypes.int64, dtypes.bool_)))
    if tensor.dtype not in obvious:
        suffixes.append(f"dtype={tensor.dtype}")
    if tensor._node is not None:
        suffixes.append(f"grad_fn={tensor._node!r}")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")

    text = _PREFIX + _body(array)
    room = len(text) - text.rfind("\n") + 1  # characters of the last line, as torch counts them
    for suffix in suffixes:
        if room + len(suffix) + 2 > _LINE:
            text += ",\n" + " " * len(_PREFIX) + suffix
            room = len(_PREFIX) + len(suffix)
        else:
            text += ", " + suffix
            room += len(suffix) + 2
    return text + ")"


def _body(array: np.ndarray) -> str:
    if array.size == 0:
        return "[]"
    summarise = array.size > _SUMMARISE_ABOVE
    form = _Form(_edges(array) if summarise else array)
    return _nested(array, len(_PREFIX), summarise, form)


def _nested(array: np.ndarray, indent: int, summarise: bool, form: _Form) -> str:
    if array.ndim == 0:
        return form(array.item())
    cut = summarise and len(array) > 2 * _EDGE_ITEMS
    if array.ndim == 1:
        parts = [form(value) for value in (_edges(array) if cut else array).tolist()]
        if cut:
            parts.insert(_EDGE_ITEMS, " ...")
        a_line = max(1, (_LINE - indent) // (form.width + 2))
        lines = [", ".join(parts[i : i + a_line]) for i in range(0, len(parts), a_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    rows = range(len(array))
    shown = [*rows[:_EDGE_ITEMS], *rows[-_EDGE_ITEMS:]] if cut else rows
    parts = [_nested(array[i], indent + 1, summarise, form) for i in shown]
    if cut:
        parts.insert(_EDGE_ITEMS, "...")
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


class _Form:
    """One way to write every number of an array: decimals and width, chosen by those shown."""

    def __init__(self, array: np.ndarray):
        self.pattern = "{}"
        self.point = ""  # after whole numbers of floating-point type
        if array.dtype.kind != "f":
            self.width = max(len(str(value)) for value in array.ravel().tolist())
            return
        values = array[np.isfinite(array) & (array != 0)].astype(np.float64)
        self.pattern, self.point, self.width = "{:.0f}", ".", 1
        if values.size == 0:
            return
        smallest, largest = np.abs(values).min(), np.abs(values).max()
        if largest > 1000 * smallest or largest > 1e8 or smallest < 1e-4:
            self.pattern, self.point = "{:.4e}", ""
        elif (values != np.ceil(values)).any():
            self.pattern, self.point = "{:.4f}", ""
        self.width = max(len(self.pattern.format(value)) for value in values) + len(self.point)

    def __call__(self, value: Any) -> str:
        text = self.pattern.format(value)
        if self.point and np.isfinite(value):
            text += self.point
        return text.rjust(self.width)


def _edges(array: np.ndarray) -> np.ndarray:
    """The corner blocks that a summary shows."""
    for axis, size in enumerate(array.shape):
        if size > 2 * _EDGE_ITEMS:
            keep = np.r_[0:_EDGE_ITEMS, size - _EDGE_ITEMS : size]
            array = np.take(array, keep, axis=axis)
    return array
