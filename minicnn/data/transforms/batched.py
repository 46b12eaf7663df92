"""Transforming a whole batch at once, with the very numbers that each sample would have drawn alone.

A transform that can do so has a method ``batch(images, generators)``: images (n, c, h, w) of one float dtype,
generators one a sample; it returns a new or the same array, never changes its argument, and must give sample i exactly
the bits that ``transform(images[i])`` gives while ``generators[i]`` is in force. `arrays.py` and `mnist.py` use it to
make batches by one gather instead of n small calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.random import Generator

Batched = Callable[[np.ndarray, Sequence[Generator]], np.ndarray]


def batched(transform: Any) -> Batched | None:
    """``transform.batch`` if it may stand for the transform: not when a subclass has changed ``__call__``."""
    classes = type(transform).__mro__
    has_batch = next((i for i, cls in enumerate(classes) if "batch" in vars(cls)), None)
    has_call = next((i for i, cls in enumerate(classes) if "__call__" in vars(cls)), len(classes))
    if has_batch is None or has_batch > has_call:
        return None
    return transform.batch


def chain(transforms: Sequence[Any]) -> Batched | None:
    """Several transforms as one batched function, or None if one of them cannot."""
    parts = [batched(transform) for transform in transforms]
    if any(part is None for part in parts):
        return None

    def apply(images: np.ndarray, generators: Sequence[Generator]) -> np.ndarray:
        for part in parts:
            assert part is not None
            images = part(images, generators)
        return images

    return apply
