"""Transforms of transforms, by chance: RandomApply, RandomChoice, RandomOrder.

`Compose`, which applies all in order, is in `basic.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..randomness import sample_generator
from .random_transform import check_probability, in_turn

Transforms = Sequence[Callable[..., Any]]


class _Several:
    """Holds a list of transforms, and shows them. They get one image, or several inputs together, as `MixUp` does."""

    def __init__(self, transforms: Transforms):
        if not isinstance(transforms, Sequence):
            raise TypeError(f"transforms: expected a list of transforms, got {type(transforms).__name__}")
        if not transforms:
            raise ValueError("transforms: expected at least one")
        self.transforms = transforms

    def _options(self) -> list[str]:
        return []

    def __repr__(self) -> str:
        lines = [*self._options(), *map(str, self.transforms)]
        return "\n".join([f"{type(self).__name__}(", *(f"    {line}" for line in lines), ")"])


class RandomApply(_Several):
    """All of them in order, or none: with probability ``p``.

    >>> RandomApply([abs, float], p=1)(-3)
    3.0
    """

    def __init__(self, transforms: Transforms, p: float = 0.5):
        super().__init__(transforms)
        self.p = check_probability(p)

    def __call__(self, *inputs: Any) -> Any:
        taken = sample_generator().uniform((1,), np.float64)[0] < self.p
        return in_turn(self.transforms if taken else (), inputs)

    def _options(self) -> list[str]:
        return [f"p={self.p}"]


class RandomChoice(_Several):
    """One of them.

    Parameters
    ----------
    transforms : to choose from.
    p : how likely each is, in any unit; None is all alike.

    >>> RandomChoice([abs, float], p=[1, 0])(-3)
    3
    """

    def __init__(self, transforms: Transforms, p: Sequence[float] | None = None):
        super().__init__(transforms)
        if p is not None:
            if not isinstance(p, Sequence) or len(p) != len(transforms):
                raise TypeError(f"p: expected one number for each of {len(transforms)} transforms, got {p!r}")
            if not (min(p) >= 0 and sum(p) > 0):
                raise ValueError(f"p: expected numbers of at least 0 and not all 0, got {p!r}")
        self.p = p

    def __call__(self, *inputs: Any) -> Any:
        ends = np.cumsum(np.ones(len(self.transforms)) if self.p is None else self.p)
        u = sample_generator().uniform((1,), np.float64)[0]
        which = int(np.searchsorted(ends[:-1], u * ends[-1], side="right"))  # the last gets what rounding leaves over
        return self.transforms[which](*inputs)

    def _options(self) -> list[str]:
        return [] if self.p is None else [f"p={list(self.p)}"]


class RandomOrder(_Several):
    """All of them, in a random order.

    >>> RandomOrder([abs])(-3)
    3
    """

    def __call__(self, *inputs: Any) -> Any:
        order = sample_generator().permutation(len(self.transforms))
        return in_turn((self.transforms[which] for which in order), inputs)
