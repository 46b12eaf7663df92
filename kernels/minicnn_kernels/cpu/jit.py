"""The decorators of all compiled functions.

``nogil``: a compiled loop lets other Python threads run, and so the pool in ``threads.py``. ``cache``: machine code
is kept on disk, in the folder that ``compile_cache.py`` chooses. Of LLVM's fast-math liberties only those are taken
that never lose a NaN or an infinity: fused multiply-add, another order of summation, and no care for the sign of
zero. ``parallel=True`` is never used: it costs seconds of compilation and brings a threading layer of its own.
``_nrt=False``: arrays belong to the caller, and no references to them are counted (a function that makes arrays does not
compile so, and is decorated by ``jit_allocating``). ``no_cfunc_wrapper``: no second door, for C.

Arguments are kept plain (C-contiguous aligned arrays, integers, booleans, scalars of the arrays' dtype), so that a
function is compiled once for float32 and once for float64. (Between compiled functions a literal 0 or 1 as an argument
would be a type of its own, and compile the callee once more: there the constants ZERO and ONE are passed.) With
``NUMBA_DISABLE_JIT=1`` everything here runs as plain Python.
"""

import threading
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core.caching import FunctionCache

from ..compile_cache import compile_cache_dir
from ..launch import Launch, over
from .compiling import KernelCompiler, PartCompiler

Function = TypeVar("Function", bound=Callable[..., Any])

FASTMATH = {"contract", "reassoc", "nsz"}
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH, "no_cfunc_wrapper": True}
ZERO, ONE = np.int64(0), np.int64(1)
DISABLED = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]

_lock = threading.Lock()
_njit: Any = numba.njit  # (its stub lacks some of the options)


def jit(function: Function) -> Function:
    """Compile `function` at its first call (or load it from the cache)."""
    return _cached(_njit(pipeline_class=KernelCompiler, _nrt=False, **OPTIONS)(function))


def jit_allocating(function: Function) -> Function:
    """The same for a function that makes arrays of its own."""
    return _cached(_njit(**OPTIONS)(function))


def jit_part(function: Function, **options: Any) -> Function:
    """For larger functions that only compiled functions call: a part of each caller's machine code, with none of its own."""
    options = OPTIONS | {"_nrt": False, "no_cpython_wrapper": True} | options
    part: Any = _njit(pipeline_class=PartCompiler, **options)(function)
    return part


def jit_inline(function: Function) -> Function:
    """For small functions that only compiled functions call: pasted into each caller instead of compiled on their own."""
    inlined: Any = numba.njit(inline="always")(function)
    return inlined


def launch(function: Callable[..., Any], n_items: int, *args: Any, grain: int = 1) -> Launch:
    """What ``parallel_for`` would do, for later (``../launch.py``). The machine code for these arguments' types is looked up
    here, once: to tell the types of a dozen arguments takes longer than the call."""
    if not DISABLED:
        function = function.compile(tuple(map(numba.typeof, (0, 0, *args))))  # type: ignore[attr-defined]
    return over(function, n_items, *args, grain=grain)


class _Cache(FunctionCache):
    """Numba's cache, but a damaged or full disk costs time, not the run."""

    allocating = True

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Numba's own would first make everything ready to compile, which takes longer than loading dozens of kernels. Only
        those that count references call some of that."""
        try:
            if self.allocating:
                target_context.refresh()
            with self._guard_against_spurious_io_errors():
                return self._load_overload(sig, target_context)
        except Exception as error:  # unpickling a damaged file may raise anything
            warnings.warn(
                f"compiled kernel in {self.cache_path} cannot be loaded, compiling it again: {error!r}", stacklevel=2
            )
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            warnings.warn(f"compiled kernel cannot be saved for the next run: {error}", stacklevel=2)


def _cached(dispatcher: Any) -> Any:
    """The function with its machine code kept in our folder.

    Numba reads the folder from its global configuration, here: lend it ours, and leave other users' setting as it was.
    """
    if DISABLED:
        return dispatcher
    config: Any = numba.config
    with _lock:
        before = config.CACHE_DIR, getattr(config, "CACHE_LOCATOR_CLASSES", "")
        config.CACHE_DIR, config.CACHE_LOCATOR_CLASSES = str(compile_cache_dir()), ""
        try:
            dispatcher._cache = _Cache(dispatcher.py_func)
            dispatcher._cache.allocating = dispatcher.targetoptions.get("_nrt", True)
            return dispatcher
        finally:
            config.CACHE_DIR, config.CACHE_LOCATOR_CLASSES = before
