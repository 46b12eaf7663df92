"""Random tensors: uniform, normal, whole numbers, permutations, and draws whose distribution a tensor gives.

All numbers come from a generator of ``minicnn/random.py``: the default one, or that given. Filling a tensor in place:
``filling.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import Op, Tensor, tracing
from ..dtypes import DType, as_dtype
from ..layout import memory_format, preserve_format
from ..random import Generator, default_generator
from .creation import memory_like, numpy_dtype, require_place, sizes_of
from .promotion import require_floating


class Drawn(Op):
    # y drawn from a distribution that tensors describe: nothing flows back through the draw, as in torch
    @staticmethod
    def forward(ctx, *operands, draw):
        return draw(*operands)

    @staticmethod
    def backward(ctx, grad_out):
        return tuple(np.zeros_like(grad_out) if needed else None for needed in ctx.needs_input_grad)


def _floating(dtype: Any) -> np.dtype:
    kind = numpy_dtype(dtype)
    if kind.kind != "f":
        raise TypeError(
            f"dtype: random fractions need a floating-point type, got {kind}; for whole numbers use randint"
        )
    return kind


def _fractions(draw: Callable[..., np.ndarray], name: str, doc: str) -> Callable[..., Tensor]:
    def make(
        *sizes: Any,
        size: Any = None,
        generator: Generator | None = None,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
    ) -> Tensor:
        require_place(device, layout, pin_memory)
        shape = sizes_of(sizes, size)
        return Tensor(draw(generator or default_generator, shape, _floating(dtype)), requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = doc
    return make


rand = _fractions(Generator.uniform, "rand", "Uniform random numbers in [0, 1).")
randn = _fractions(
    Generator.normal,
    "randn",
    """Standard normal random numbers.

    >>> import minicnn as mc
    >>> mc.randn(2, 3, generator=mc.Generator().manual_seed(0)).shape
    minicnn.Size([2, 3])
    """,
)


def randint(
    *bounds_and_size: Any,
    low: int = 0,
    high: int | None = None,
    size: Any = None,
    generator: Generator | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Random whole numbers: ``randint(high, size)`` or ``randint(low, high, size)``, ``high`` excluded. int64.

    >>> import minicnn as mc
    >>> mc.randint(3, 4, size=(2,))
    tensor([3, 3])

    Raises
    ------
    ValueError : where there is no number in between, or it is outside the type. TypeError : for other arguments.
    """
    require_place(device, layout, pin_memory)
    given = list(bounds_and_size)
    if size is None and given and isinstance(given[-1], (tuple, list)):
        size = given.pop()
    if len(given) == 2 and high is None:
        low, high = given
    elif len(given) == 1:
        low, high = (0, given[0]) if high is None else (given[0], high)
    if size is None or high is None or len(given) > 2:
        raise TypeError("randint: expected (high, size) or (low, high, size), with size a tuple")
    return Tensor(_whole_numbers(low, high, sizes_of((), size), dtype, generator), requires_grad)


def _whole_numbers(
    low: Any, high: Any, shape: tuple[int, ...], dtype: DType | None, generator: Generator | None
) -> np.ndarray:
    low, high = (_whole(bound, name) for bound, name in ((low, "low"), (high, "high")))
    if low >= high:
        raise ValueError(f"high: no whole number from {low} below {high}")
    kind = np.dtype(np.int64) if dtype is None else as_dtype(dtype).numpy
    if kind.kind in "iu" and not (np.iinfo(kind).min <= low and high - 1 <= np.iinfo(kind).max):
        raise ValueError(f"high: {low} to {high - 1} is outside {kind}")
    return (generator or default_generator).integers(low, high, shape).astype(kind, copy=False)


def _whole(bound: Any, name: str) -> int:
    if isinstance(bound, bool) or not isinstance(bound, (int, np.integer, Tensor)):
        raise TypeError(f"{name}: expected a whole number, got {bound!r}")
    return int(bound)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A random order of 0 .. n - 1. int64.

    >>> import minicnn as mc
    >>> sorted(mc.randperm(4).tolist())
    [0, 1, 2, 3]
    """
    require_place(device, layout, pin_memory)
    if n < 0:
        raise ValueError(f"n: expected a number that is not negative, got {n}")
    kind = np.dtype(np.int64) if dtype is None else as_dtype(dtype).numpy
    if kind.kind in "iu" and n - 1 > np.iinfo(kind).max:
        raise ValueError(f"n: {n - 1} is outside {kind}")
    return Tensor((generator or default_generator).permutation(n).astype(kind, copy=False), requires_grad)


def _like(draw: Callable[..., np.ndarray], name: str, doc: str) -> Callable[..., Tensor]:
    def make(
        input: Tensor,
        *,
        dtype: DType | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        memory_format: memory_format = preserve_format,
        generator: Generator | None = None,
        pin_memory: bool = False,
    ) -> Tensor:
        array = memory_like(input, name, dtype, layout, device, memory_format, pin_memory)
        array[...] = draw(generator or default_generator, array.shape, _floating(array.dtype))
        return Tensor(array, requires_grad)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"{doc} of the shape and type of ``input``, in its memory order."
    return make


rand_like = _like(Generator.uniform, "rand_like", "Uniform random numbers in [0, 1)")
randn_like = _like(Generator.normal, "randn_like", "Standard normal random numbers")


def randint_like(
    input: Tensor,
    *bounds: int,
    low: int = 0,
    high: int | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: memory_format = preserve_format,
    generator: Generator | None = None,
    pin_memory: bool = False,
) -> Tensor:
    """Random whole numbers (``high``, or ``low, high``) in the shape and type of ``input``."""
    if len(bounds) == 2:
        low, high = bounds
    elif bounds:
        low, high = (0, bounds[0]) if high is None else (bounds[0], high)
    if high is None or len(bounds) > 2:
        raise TypeError("randint_like: expected (input, high) or (input, low, high)")
    array = memory_like(input, "randint_like", dtype, layout, device, memory_format, pin_memory)
    array[...] = _whole_numbers(low, high, array.shape, as_dtype(array.dtype), generator)
    return Tensor(array, requires_grad)


# ---- distributions that tensors describe


def normal(
    mean: Tensor | float = 0.0,
    std: Tensor | float = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: DType | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Normal numbers, each of its own mean and standard deviation: tensors that broadcast, or numbers and a ``size``.

    >>> import minicnn as mc
    >>> mc.normal(mc.tensor([0.0, 100.0]), 0.0), mc.normal(2.0, 3.0, (2, 2)).shape
    (tensor([  0., 100.]), minicnn.Size([2, 2]))

    Raises
    ------
    ValueError : a negative standard deviation.
    """
    require_place(device, layout, pin_memory)
    rng = generator or default_generator
    for x in (std._array if isinstance(std, Tensor) else std,):
        if np.any(np.asarray(x) < 0):
            raise ValueError(f"std: a standard deviation is not negative, got {std!r:.80}")
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if size is None:
            raise TypeError("size: needed where mean and std are numbers")
        kind = _floating(dtype)
        return Tensor(rng.normal(sizes_of((), size), kind) * kind.type(std) + kind.type(mean), requires_grad)
    if size is not None:
        raise TypeError("size: tensors of means or standard deviations have one already")
    if isinstance(mean, Tensor):
        require_floating(mean, "mean", "normal")
    elif isinstance(std, Tensor):
        require_floating(std, "std", "normal")

    def draw(mean: Any, std: Any) -> np.ndarray:
        kind = mean.dtype if isinstance(mean, np.ndarray) else std.dtype
        shape = np.broadcast_shapes(np.shape(mean), np.shape(std))
        return (rng.normal(shape, kind) * np.asarray(std, kind) + np.asarray(mean, kind)).astype(kind, copy=False)

    return Drawn.apply(mean, std, draw=draw)


def bernoulli(input: Tensor, p: float | None = None, *, generator: Generator | None = None) -> Tensor:
    """1 with the probabilities that ``input`` holds (or all with probability ``p``), else 0, in the input's type.

    >>> import minicnn as mc
    >>> mc.bernoulli(mc.tensor([0.0, 1.0]))
    tensor([0., 1.])

    Raises
    ------
    ValueError : what is no probability.
    """
    rng = generator or default_generator
    if p is None:
        require_floating(input, "input", "bernoulli")
    chances = input._array if p is None else np.asarray(p)
    if not np.all((chances >= 0) & (chances <= 1)):
        raise ValueError("input: expected probabilities, from 0 to 1")
    tracing.note_effect("bernoulli()")
    return Drawn.apply(
        input, draw=lambda x: (rng.uniform(x.shape, np.float64) < (x if p is None else p)).astype(x.dtype)
    )


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Whole numbers from Poisson's distributions with the rates that ``input`` holds, in the input's type.

    >>> import minicnn as mc
    >>> mc.poisson(mc.tensor([0.0]))
    tensor([0.])

    Raises
    ------
    ValueError : a negative rate.
    """
    require_floating(input, "input", "poisson")
    if not np.all(input._array >= 0):
        raise ValueError("input: rates are not negative")
    tracing.note_effect("poisson()")
    # NumPy's sampler, on a stream that two words of our own generator name.
    key = (generator or default_generator).words(4).view(np.uint64)
    rng = np.random.Generator(np.random.Philox(key=key))
    return Drawn.apply(input, draw=lambda x: np.asarray(rng.poisson(x)).astype(x.dtype))


def multinomial(
    input: Tensor, num_samples: int, replacement: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Indices drawn with the probabilities that ``input`` holds, (k) or (rows, k), not necessarily adding up to 1.

    Without ``replacement`` an index is drawn once at most: those with the ``num_samples`` smallest e/p, for e
    exponential (Efraimidis and Spirakis 2006).

    >>> import minicnn as mc
    >>> mc.multinomial(mc.tensor([0.0, 1.0, 0.0]), 3, replacement=True)
    tensor([1, 1, 1])

    Raises
    ------
    ValueError : weights that are negative, infinite or all 0; more draws than there are indices.
    """
    require_floating(input, "input", "multinomial")
    weights = np.atleast_2d(input._array).astype(np.float64)
    if input.ndim not in (1, 2):
        raise ValueError(f"input: expected shape (k) or (rows, k), got {tuple(input.shape)}")
    if num_samples <= 0 or (not replacement and num_samples > weights.shape[1]):
        raise ValueError(f"num_samples: expected 1 to {weights.shape[1]} without replacement, got {num_samples}")
    if not np.all(np.isfinite(weights) & (weights >= 0)) or not np.all(weights.sum(axis=1) > 0):
        raise ValueError("input: weights are finite, not negative, and not all 0")
    tracing.note_effect("multinomial()")
    rng = generator or default_generator
    if replacement:
        bounds = np.cumsum(weights, axis=1)
        draws = rng.uniform((len(weights), num_samples), np.float64) * bounds[:, -1:]
        # The first index whose bound is above: one of weight 0 is never it.
        out = np.stack([np.searchsorted(b, d, side="right") for b, d in zip(bounds, draws, strict=True)])
    else:
        with np.errstate(divide="ignore"):
            keys = -np.log1p(-rng.uniform(weights.shape, np.float64)) / weights
        # (an index of weight 0 comes last, though before any that is not there)
        out = np.argsort(np.where(weights > 0, keys, np.inf), axis=1, kind="stable")[:, :num_samples]
    return Tensor(out.astype(np.int64).reshape((*input.shape[:-1], num_samples)))


__all__ = [
    "bernoulli",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
]
