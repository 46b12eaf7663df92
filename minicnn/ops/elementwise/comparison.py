"""Comparison and what numbers are (NaN, infinite ...): bool tensors, without gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...autograd import Tensor, tracing
from .operands import Operand, one, pair, plain
from .table import _named


def _comparison(name: str, ufunc: np.ufunc, symbol: str):
    def compare(input: Tensor, other: Operand) -> Tensor:
        return plain(ufunc, *pair(name, one(name, input), other))

    return _named(compare, name, f"``input {symbol} other``, element by element, as a bool tensor.")


eq = _comparison("eq", np.equal, "==")
ne = _comparison("ne", np.not_equal, "!=")
lt = _comparison("lt", np.less, "<")
le = _comparison("le", np.less_equal, "<=")
gt = _comparison("gt", np.greater, ">")
ge = _comparison("ge", np.greater_equal, ">=")


def isnan(input: Tensor) -> Tensor:
    """Where the elements are NaN."""
    return plain(np.isnan, one("isnan", input))


def isfinite(input: Tensor) -> Tensor:
    """Where the elements are neither NaN nor infinite."""
    return plain(np.isfinite, one("isfinite", input))


def isinf(input: Tensor) -> Tensor:
    """Where the elements are infinite."""
    return plain(np.isinf, one("isinf", input))


def isposinf(input: Tensor) -> Tensor:
    """Where the elements are +infinity."""
    return plain(lambda x: x == np.inf, one("isposinf", input))


def isneginf(input: Tensor) -> Tensor:
    """Where the elements are -infinity."""
    return plain(lambda x: x == -np.inf, one("isneginf", input))


def isreal(input: Tensor) -> Tensor:
    """True everywhere: there are no complex numbers here."""
    return plain(lambda x: np.ones_like(x, bool), one("isreal", input))


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements."""
    one("equal", input)
    one("equal", other)
    tracing.note_effect("equal()")
    return input._array.shape == other._array.shape and bool((input._array == other._array).all())


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Where ``|input - other| <= atol + rtol * |other|``; ``equal_nan``: two NaN count as close.

    >>> import minicnn as mc
    >>> mc.isclose(mc.tensor([1.0, 1.0]), mc.tensor([1.0 + 1e-6, 1.1]))
    tensor([ True, False])

    Raises
    ------
    TypeError : where the types differ, as in torch. ValueError : a negative tolerance.
    """
    one("isclose", input)
    one("isclose", other)
    if input._array.dtype != other._array.dtype:
        raise TypeError(f"other: isclose needs both tensors of one type, got {input.dtype} and {other.dtype}")
    for name, tolerance in (("rtol", rtol), ("atol", atol)):
        if tolerance < 0:
            raise ValueError(f"{name}: a tolerance is not negative, got {tolerance}")
    with np.errstate(invalid="ignore"):  # infinity minus infinity
        return plain(lambda a, b: _close(a, b, rtol, atol, equal_nan), input, other)


def _close(a: Any, b: Any, rtol: float, atol: float, equal_nan: bool) -> Any:
    close = a == b
    if equal_nan and a.dtype.kind == "f":
        close = close | (np.isnan(a) & np.isnan(b))
    if rtol == 0 and atol == 0:
        return close
    if a.dtype.kind != "f":
        a, b = a.astype(np.float64), b.astype(np.float64)
    error = np.absolute(a - b)
    return close | (np.isfinite(error) & (error <= atol + np.absolute(rtol * b)))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are :func:`isclose`: ``|input - other| <= atol + rtol * |other|``.

    Raises
    ------
    TypeError : where the types differ, as in torch.
    """
    tracing.note_effect("allclose()")
    return bool(isclose(input, other, rtol, atol, equal_nan)._array.all())
