"""Filling a tensor with random numbers, in place. They come from ``minicnn/random.py``, like all others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import Tensor
from ..random import Generator, default_generator
from .inplace import in_place


def _fill(self: Tensor, name: str, draw: Callable[[Tensor], np.ndarray], *, floating: bool = True) -> Tensor:
    """``draw(self)``, an array of self's shape, written into ``self``."""
    if floating and self._array.dtype.kind != "f":
        raise TypeError(f"{name}: fractions need a floating-point tensor, got {self.dtype}; for whole numbers: random_")
    return in_place(self, lambda x: Tensor(draw(x).astype(x._array.dtype, copy=False)), name)


def _units(x: Tensor, generator: Generator | None) -> np.ndarray:
    """Numbers in (0, 1], so that their logarithm is finite: float32 for float32, else float64."""
    dtype = np.float32 if x._array.dtype == np.float32 else np.float64
    return 1 - (generator or default_generator).uniform(x.shape, dtype)


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Every element drawn uniformly from [from, to). Returns the tensor."""
    if from_ > to:
        raise ValueError(f"uniform_: expected from <= to, got {from_} and {to}")
    rng = generator or default_generator
    return _fill(self, "uniform_", lambda x: rng.uniform(x.shape, x._array.dtype, from_, to))


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Every element drawn from the normal distribution of this mean and standard deviation. Returns the tensor."""
    if std < 0:
        raise ValueError(f"std: a standard deviation is not negative, got {std}")
    rng = generator or default_generator

    def draw(x: Tensor) -> np.ndarray:
        array = rng.normal(x.shape, x._array.dtype)
        array *= array.dtype.type(std)
        array += array.dtype.type(mean)
        return array

    return _fill(self, "normal_", draw)


def log_normal_(self: Tensor, mean: float = 1.0, std: float = 2.0, *, generator: Generator | None = None) -> Tensor:
    """Every element drawn so that its logarithm is normal, of this mean and standard deviation. Returns the tensor."""
    if std <= 0:
        raise ValueError(f"std: expected a number above 0, got {std}")
    rng = generator or default_generator
    return _fill(self, "log_normal_", lambda x: np.exp(mean + std * rng.normal(x.shape, x._array.dtype)))


def exponential_(self: Tensor, lambd: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Every element drawn with density ``lambd e^(-lambd x)``: -ln(u) / lambd for u uniform. Returns the tensor."""
    if lambd <= 0:
        raise ValueError(f"lambd: expected a number above 0, got {lambd}")
    return _fill(self, "exponential_", lambda x: -np.log(_units(x, generator)) / lambd)


def geometric_(self: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Every element the number of trials, each with probability ``p``, until one succeeds: 1, 2, ... Returns the tensor."""
    if not 0 < p < 1:
        raise ValueError(f"p: expected a probability between 0 and 1, got {p}")
    return _fill(
        self,
        "geometric_",
        # P(trials > k) = (1 - p)^k: the first k with (1 - p)^k < u.
        lambda x: np.maximum(1, np.ceil(np.log(_units(x, generator)) / math.log1p(-p))),
        floating=False,
    )


def cauchy_(self: Tensor, median: float = 0.0, sigma: float = 1.0, *, generator: Generator | None = None) -> Tensor:
    """Every element drawn from Cauchy's distribution, ``median + sigma tan(pi (u - 1/2))``. Returns the tensor."""
    if sigma <= 0:
        raise ValueError(f"sigma: expected a number above 0, got {sigma}")
    return _fill(self, "cauchy_", lambda x: median + sigma * np.tan(math.pi * (_units(x, generator) - 0.5)))


def bernoulli_(self: Tensor, p: float | Tensor = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Every element 1 with probability ``p``, else 0; ``p`` a number or a tensor that broadcasts. Returns the tensor.

    >>> import minicnn as mc
    >>> mc.zeros(3).bernoulli_(mc.tensor([0.0, 1.0, 0.0]))
    tensor([0., 1., 0.])
    """
    chances: Any = p._array if isinstance(p, Tensor) else p
    if not np.all((chances >= 0) & (chances <= 1)):
        raise ValueError(f"p: expected probabilities from 0 to 1, got {p!r:.80}")
    rng = generator or default_generator
    return _fill(self, "bernoulli_", lambda x: rng.uniform(x.shape, np.float64) < chances, floating=False)


def random_(self: Tensor, *bounds: int | None, generator: Generator | None = None, **named: Any) -> Tensor:
    """Every element a whole number from the bounds ``(to)`` or ``(from, to)``, ``to`` excluded. Returns the tensor.

    Without bounds: from 0 to the largest number of the type, or for floating point to the last up to which it has all
    whole numbers.

    >>> import minicnn as mc
    >>> mc.zeros(2).random_(3, 4)
    tensor([3., 3.])

    Raises
    ------
    ValueError : for bounds with no number in between, or outside the type.
    """
    named = {"from": None, "to": None, **named}
    if len(bounds) > 2 or set(named) != {"from", "to"}:
        raise TypeError("random_: expected (), (to) or (from, to)")
    low, high = named["from"], named["to"]
    if len(bounds) == 2:
        low, high = bounds
    elif bounds:
        low, high = (0, bounds[0]) if high is None else (bounds[0], high)
    first, last = _whole_range(self._array.dtype)
    if low is None and high is None:
        low = 0
    low = 0 if low is None else int(low)
    high = last + 1 if high is None else int(high)
    if low >= high:
        raise ValueError(f"random_: no whole number from {low} below {high}")
    if low < first or high - 1 > last:
        raise ValueError(f"random_: {low} to {high - 1} is outside {self.dtype}, {first} to {last}")
    rng = generator or default_generator
    return _fill(self, "random_", lambda x: rng.integers(low, high, x.shape), floating=False)


def _whole_range(dtype: np.dtype) -> tuple[int, int]:
    """The whole numbers that a type holds, each of them."""
    if dtype.kind == "f":
        largest = 2 ** (np.finfo(dtype).nmant + 1)
        return -largest, largest
    if dtype.kind == "b":
        return 0, 1
    bounds = np.iinfo(dtype)
    return int(bounds.min), int(bounds.max)
