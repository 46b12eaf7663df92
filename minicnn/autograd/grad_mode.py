"""Whether operations are recorded: ``no_grad``, ``enable_grad``, ``set_grad_enabled``, ``inference_mode``.

One flag a thread, as in torch.
"""

from __future__ import annotations

import functools
import inspect
import threading
from contextlib import ContextDecorator
from types import TracebackType


class _Mode(threading.local):
    enabled = True


_mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return _mode.enabled


class _GradMode(ContextDecorator):
    """Sets the flag on entry, puts the former one back on exit; works as a decorator, nested and shared as well."""

    def __init__(self, enabled: bool):
        self._enabled = enabled
        self._former: list[bool] = []

    def _recreate_cm(self) -> _GradMode:
        # A decorated function gets a manager of its own for each call: recursion and threads do not share a list.
        return _GradMode(self._enabled)

    def __call__(self, function):
        """As a decorator; the body of a generator runs in this mode too, what is done with its values does not."""
        if not inspect.isgeneratorfunction(function):
            return super().__call__(function)

        @functools.wraps(function)
        def generate(*args, **kwargs):
            inner = function(*args, **kwargs)
            step = inner.__next__
            try:
                while True:
                    with self._recreate_cm():
                        try:
                            value = step()
                        except StopIteration as end:
                            return end.value
                    try:
                        sent = yield value
                        step = functools.partial(inner.send, sent)
                    except GeneratorExit:
                        with self._recreate_cm():
                            inner.close()
                        raise
                    except BaseException as error:
                        step = functools.partial(inner.throw, error)
            finally:
                inner.close()

        return generate

    def __enter__(self) -> None:
        self._former.append(_mode.enabled)
        _mode.enabled = self._enabled

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        _mode.enabled = self._former.pop()


class no_grad(_GradMode):
    """Do not record: results need no gradient, and nothing is kept for a backward pass.

    >>> import minicnn as mc
    >>> x = mc.ones(2, requires_grad=True)
    >>> with mc.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __new__(cls, function=None):
        # `@no_grad` without brackets decorates, as in torch.
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        super().__init__(False)


class enable_grad(_GradMode):
    """Record again inside a ``no_grad`` block."""

    def __new__(cls, function=None):
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self) -> None:
        super().__init__(True)


class inference_mode(_GradMode):
    """torch's stricter ``no_grad``, for evaluation. Here the two do the same: nothing is recorded.

    >>> import minicnn as mc
    >>> @mc.inference_mode()
    ... def predict(model, x):
    ...     return model(x)
    >>> predict(mc.nn.Linear(2, 1), mc.ones(1, 2)).requires_grad
    False
    """

    def __new__(cls, mode=True):
        return super().__new__(cls) if isinstance(mode, bool) else cls()(mode)

    def __init__(self, mode: bool = True) -> None:
        # inference_mode(False) leaves the mode as it is.
        super().__init__(not mode and _mode.enabled)


class set_grad_enabled(_GradMode):
    """Record or not, by a flag. As in torch the call itself already switches; as a context manager it also switches back.

    >>> import minicnn as mc
    >>> with mc.set_grad_enabled(False):
    ...     mc.is_grad_enabled()
    False
    >>> mc.is_grad_enabled()
    True
    """

    def __init__(self, mode: bool):
        super().__init__(bool(mode))
        self._former.append(_mode.enabled)
        _mode.enabled = bool(mode)

    def __enter__(self) -> None:
        _mode.enabled = self._enabled

    def __call__(self, function):
        # Used as a decorator: the call that made it must not have switched anything.
        _mode.enabled = self._former.pop()
        return super().__call__(function)
