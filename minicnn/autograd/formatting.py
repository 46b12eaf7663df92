"""How a tensor prints: torch's look.

All numbers of a tensor share one form: ``1.`` where all are whole, four decimals, or the scientific form for wide ranges;
they are aligned in columns, lines are broken at 80 characters, and more than 1000 elements are summarised by their edges.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import dtypes

if TYPE_CHECKING:
    from .tensor import Tensor

_PREFIX = "tensor("


class _Options:
    """What :func:`set_printoptions` sets."""

    precision: int = 4  # decimals
    threshold: float = 1000  # elements, above which a tensor is summarised
    edgeitems: int = 3  # shown at each end of a dimension in a summary
    linewidth: int = 80  # characters
    sci_mode: bool | None = None  # the scientific form: always, never, or where it is needed


_options = _Options()
_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """How tensors print: decimals, elements from which on they are summarised, elements at the edges of a summary,
    characters in a line. ``profile``: "default", "short" or "full" first. ``sci_mode``: the scientific form always or
    never; None, where it is needed.

    >>> import minicnn as mc
    >>> mc.set_printoptions(precision=2)
    >>> mc.tensor([1 / 3])
    tensor([0.33])
    >>> mc.set_printoptions(profile="default")

    Raises
    ------
    ValueError : a profile that there is not.
    """
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"profile: expected one of {', '.join(_PROFILES)}, got {profile!r}")
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    for name, value in (_PROFILES.get(profile or "", {}) | {k: v for k, v in given.items() if v is not None}).items():
        setattr(_options, name, value)
    _options.sci_mode = sci_mode


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
        if room + len(suffix) + 2 > _options.linewidth:
            text += ",\n" + " " * len(_PREFIX) + suffix
            room = len(_PREFIX) + len(suffix)
        else:
            text += ", " + suffix
            room += len(suffix) + 2
    return text + ")"


def _body(array: np.ndarray) -> str:
    if array.size == 0:
        return "[]"
    summarise = array.size > _options.threshold
    form = _Form(_edges(array) if summarise else array)
    return _nested(array, len(_PREFIX), summarise, form)


def _nested(array: np.ndarray, indent: int, summarise: bool, form: _Form) -> str:
    if array.ndim == 0:
        return form(array.item())
    cut = summarise and len(array) > 2 * _options.edgeitems
    if array.ndim == 1:
        parts = [form(value) for value in (_edges(array) if cut else array).tolist()]
        if cut:
            parts.insert(_options.edgeitems, " ...")
        a_line = max(1, (_options.linewidth - indent) // (form.width + 2))
        lines = [", ".join(parts[i : i + a_line]) for i in range(0, len(parts), a_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
    rows = range(len(array))
    shown = [*rows[: _options.edgeitems], *rows[-_options.edgeitems :]] if cut else rows
    parts = [_nested(array[i], indent + 1, summarise, form) for i in shown]
    if cut:
        parts.insert(_options.edgeitems, "...")
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
        scientific = _options.sci_mode
        if scientific is None:
            scientific = largest > 1000 * smallest or largest > 1e8 or smallest < 1e-4
        if scientific:
            self.pattern, self.point = f"{{:.{_options.precision}e}}", ""
        elif (values != np.ceil(values)).any():
            self.pattern, self.point = f"{{:.{_options.precision}f}}", ""
        self.width = max(len(self.pattern.format(value)) for value in values) + len(self.point)

    def __call__(self, value: Any) -> str:
        text = self.pattern.format(value)
        if self.point and np.isfinite(value):
            text += self.point
        return text.rjust(self.width)


def _edges(array: np.ndarray) -> np.ndarray:
    """The corner blocks that a summary shows."""
    for axis, size in enumerate(array.shape):
        if size > 2 * _options.edgeitems:
            keep = np.r_[0 : _options.edgeitems, size - _options.edgeitems : size]
            array = np.take(array, keep, axis=axis)
    return array
