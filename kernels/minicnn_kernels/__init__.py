"""Array kernels: arrays in, arrays out.

Everything numerical that is worth a loop of its own lives here, once per back end and under the same names:
``reference/`` is plain NumPy, written to be read and to be the oracle of the tests; ``cpu/`` holds the same functions
compiled with Numba. This package never imports ``minicnn``; the framework asks ``backend_of(array)`` for the module
to call. Importing it costs no more than NumPy: Numba is imported when the first fast kernel is needed.

Read next: ``reference/conv.py``, then ``cpu/conv.py`` beside it; ``geometry.py`` for the sizes and checks;
``threads.py`` for who runs a loop.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from .algorithms import conv_algorithm, current_conv_algorithm, set_exact_convolutions

if TYPE_CHECKING:
    from .compile_cache import compile_cache_dir, compile_cache_status

__all__ = [
    "backend_of",
    "compile_cache_dir",
    "compile_cache_status",
    "conv_algorithm",
    "current_conv_algorithm",
    "set_exact_convolutions",
    "use_backend",
]

BACKENDS = ("cpu", "reference")

_chosen: ContextVar[ModuleType | None] = ContextVar("minicnn_backend", default=None)
_default: ModuleType | None = None


def __getattr__(name: str) -> Any:
    """What only compiled kernels and ``minicnn info`` need is imported at its first use."""
    if name in ("compile_cache_dir", "compile_cache_status"):
        return getattr(import_module(f"{__name__}.compile_cache"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def backend_of(array: np.ndarray) -> ModuleType:
    """The module whose kernels work on `array`: ``minicnn_kernels.cpu``, or ``.reference`` where that was chosen.

    Raises
    ------
    TypeError
        If `array` is not a NumPy array.

    Examples
    --------
    >>> import numpy as np
    >>> with use_backend("reference"):
    ...     backend_of(np.ones(3)).__name__
    'minicnn_kernels.reference'
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"no kernels for {type(array).__module__}.{type(array).__qualname__}: expected a numpy.ndarray")
    return _chosen.get() or _default or _read_default()


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Within the ``with`` block, let this thread (this context) run the kernels called `name`.

    Parameters
    ----------
    name : {"cpu", "reference"}
        ``"reference"`` runs the whole framework on plain NumPy: every step can be followed in a debugger.

    Raises
    ------
    ValueError
        If there is no such back end.
    """
    token = _chosen.set(_load(name, "use_backend()"))
    try:
        yield
    finally:
        _chosen.reset(token)


def _load(name: str, who: str) -> ModuleType:
    if name not in BACKENDS:
        raise ValueError(f"{who}: there is no back end {name!r}; choose one of {', '.join(map(repr, BACKENDS))}")
    return import_module(f"{__name__}.{name}")


def _read_default() -> ModuleType:
    """Read the environment at the first use (not at import: the caller may still want to set it)."""
    global _default
    _default = _load(os.environ.get("MINICNN_BACKEND") or "cpu", "environment variable MINICNN_BACKEND")
    return _default
