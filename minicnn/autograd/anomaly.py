"""``detect_anomaly``: find the line that made the first NaN."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Iterable
from contextlib import ContextDecorator
from pathlib import Path
from types import TracebackType

import numpy as np

_PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep


class _Mode(threading.local):
    enabled = False


_mode = _Mode()


def is_enabled() -> bool:
    return _mode.enabled


class detect_anomaly(ContextDecorator):
    """Stop at the first NaN, naming the line of your code that made it.

    Inside the block every operation's result is checked as it is made, and every gradient in the backward pass. The
    error names the operation and the forward line it was called from. Slow: for the search, not for training.

    >>> import minicnn as mc
    >>> x = mc.tensor([-1.0], requires_grad=True)
    >>> with mc.autograd.detect_anomaly():
    ...     y = x.sqrt()
    Traceback (most recent call last):
        ...
    RuntimeError: Sqrt made the first NaN in its forward pass, called at <...

    Parameters
    ----------
    check_nan : look for NaNs at all; False only records the lines.
    """

    def __init__(self, check_nan: bool = True):
        self.check_nan = check_nan
        self._former: list[bool] = []

    def __enter__(self) -> None:
        self._former.append(_mode.enabled)
        _mode.enabled = self.check_nan

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _mode.enabled = self._former.pop()


class set_detect_anomaly(detect_anomaly):
    """:class:`detect_anomaly` on or off by a flag. As in torch the call itself switches; as a context manager it also
    switches back.

    >>> import minicnn as mc
    >>> with mc.autograd.set_detect_anomaly(True):
    ...     mc.tensor([-1.0], requires_grad=True).sqrt()
    Traceback (most recent call last):
        ...
    RuntimeError: Sqrt made the first NaN in its forward pass, called at <...
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        super().__init__(check_nan and mode)
        self.__enter__()

    def __enter__(self) -> None:
        if not self._former:  # the call that made it has switched already
            super().__enter__()


def user_line() -> str:
    """Where the user's code stands: the innermost line outside this package."""
    for frame in reversed(traceback.extract_stack()):
        if not frame.filename.startswith(_PACKAGE):
            code = f": {frame.line}" if frame.line else ""
            return f"{frame.filename}:{frame.lineno}, in {frame.name}{code}"
    return "a line that cannot be told"


def has_nan(arrays: Iterable[object]) -> bool:
    return any(isinstance(a, np.ndarray) and a.dtype.kind == "f" and bool(np.isnan(a).any()) for a in arrays)


def check_forward(name: str, inputs: Iterable[object], outputs: Iterable[object], line: str) -> None:
    """Raise if this operation turned numbers into NaN."""
    if has_nan(outputs) and not has_nan(inputs):
        raise RuntimeError(f"{name} made the first NaN in its forward pass, called at {line}")


def check_backward(name: str, given: Iterable[object], grads_out: Iterable[object], line: str | None) -> None:
    """Raise if this operation's backward turned numbers (gradients, and what it kept) into NaN."""
    if has_nan(grads_out) and not has_nan(given):
        where = line or "a line that was not recorded: run the forward pass inside detect_anomaly() too"
        raise RuntimeError(f"{name} made the first NaN in its backward pass; its forward was called at {where}")
