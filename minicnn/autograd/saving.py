"""Hooks on what operations keep for their backward pass: the state that ``op.py`` looks at. See ``graph.py``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .tensor import Tensor


class _State(threading.local):
    hooks: tuple[tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]], ...] = ()  # the innermost is last


state = _State()


def packed(arrays: tuple) -> tuple[tuple, Callable[[tuple], tuple]]:
    """What the innermost hooks make of the arrays kept, and the function back."""
    pack, unpack = state.hooks[-1]
    former, state.hooks = state.hooks, ()  # what the hooks compute is not for them
    try:
        kept = tuple(pack(Tensor(a)) if isinstance(a, np.ndarray) else a for a in arrays)
    finally:
        state.hooks = former
    plain = tuple(not isinstance(a, np.ndarray) for a in arrays)

    def restore(kept: tuple) -> tuple:
        values = [value if is_plain else unpack(value) for value, is_plain in zip(kept, plain, strict=True)]
        for value, is_plain in zip(values, plain, strict=True):
            if not is_plain and not isinstance(value, Tensor):
                raise TypeError(f"saved_tensors_hooks: unpack_hook must return a Tensor, got {type(value).__name__}")
        return tuple(value if is_plain else value._array for value, is_plain in zip(values, plain, strict=True))

    return kept, restore
