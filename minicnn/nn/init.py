"""Initial values for parameters: ``nn.init``. Every function fills its tensor in place and returns it.

A weight's *fans* are the inputs and the outputs of one unit: (out, in) for a linear layer, times the kernel's size for
a convolution. Variances that follow them keep activations (fan_in) or gradients (fan_out) from growing or vanishing
with depth: Glorot & Bengio 2010 (xavier), He et al. 2015 (kaiming). Random values come from ``generator``, by default
the one that ``manual_seed`` seeds.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import numpy as np

from minicnn import random
from minicnn.autograd import Tensor, no_grad
from minicnn.random import Generator

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "skipped",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

F = TypeVar("F", bound=Callable[..., Tensor])
_skipping: ContextVar[bool] = ContextVar("skipping", default=False)


@contextmanager
def skipped() -> Iterator[None]:
    """Inside, the functions of this file leave their tensors as they are: for modules whose weights are loaded at once.

    >>> from minicnn import nn
    >>> with skipped():
    ...     layer = nn.Linear(1000, 1000)  # takes no time, and no memory before it is used
    """
    token = _skipping.set(True)
    try:
        yield
    finally:
        _skipping.reset(token)


def _skippable(fill: F) -> F:
    """A function that fills its first argument, but for :func:`skipped`."""

    @functools.wraps(fill)
    def wrapped(tensor: Tensor, *args: Any, **options: Any) -> Tensor:
        return tensor if _skipping.get() else fill(tensor, *args, **options)

    return cast(F, wrapped)


_GAINS = {"sigmoid": 1.0, "tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
_LINEAR = ("linear", *(f"conv{t}{d}d" for t in ("", "_transpose") for d in (1, 2, 3)))


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a layer before ``nonlinearity`` should spread its weights to keep the variance.

    Parameters
    ----------
    nonlinearity : 'linear', 'conv2d' and the like, 'sigmoid' (1), 'tanh' (5/3), 'relu' (sqrt 2), 'leaky_relu'
        (sqrt(2 / (1 + slope^2))) or 'selu' (3/4).
    param : the slope of 'leaky_relu', 0.01 by default.

    Raises
    ------
    ValueError : another nonlinearity, or a slope that is no number.

    >>> calculate_gain("leaky_relu", 1.0)
    1.0
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    raise ValueError(
        f"Unsupported nonlinearity {nonlinearity!r}: expected one of {', '.join((*_LINEAR, *_GAINS, 'leaky_relu'))}"
    )


@_skippable
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with uniform values in [a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


@_skippable
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Fill with normal values of the given mean and standard deviation."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


@_skippable
def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with ``val``."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Make a matrix (rows, columns) the identity, as far as it reaches.

    Raises
    ------
    ValueError : ``tensor`` is not 2-D.

    >>> import minicnn as mc
    >>> eye_(mc.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    return _assign(tensor, np.eye(*tensor.shape))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Make a convolution's weight (c_out, c_in / groups, *kernel) hand its input through: 1 in each kernel's middle.

    Raises
    ------
    ValueError : ``tensor`` has not 3, 4 or 5 dimensions, or ``groups`` does not divide c_out.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError(f"Only tensors with 3, 4, or 5 dimensions are supported, got shape {tuple(tensor.shape)}")
    c_out, c_in, *kernel = tensor.shape
    if c_out % groups != 0:
        raise ValueError(f"dim 0 must be divisible by groups, got {c_out} and groups={groups}")
    values = np.zeros(tensor.shape)
    middle = tuple(size // 2 for size in kernel)
    for group in range(groups):
        for channel in range(min(c_out // groups, c_in)):
            values[(group * (c_out // groups) + channel, channel, *middle)] = 1
    return _assign(tensor, values)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """(inputs of an output, outputs of an input) of a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise ValueError(
            f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions, got shape "
            f"{tuple(tensor.shape)}: use uniform_ or normal_ for biases"
        )
    receptive_field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * receptive_field, tensor.shape[0] * receptive_field


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Uniform in +-gain * sqrt(6 / (fan_in + fan_out)): Glorot & Bengio 2010, equation 16.

    Raises
    ------
    ValueError : ``tensor`` has fewer than 2 dimensions.
    """
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator | None = None) -> Tensor:
    """Normal of standard deviation gain * sqrt(2 / (fan_in + fan_out)): Glorot & Bengio 2010, equation 12.

    Raises
    ------
    ValueError : ``tensor`` has fewer than 2 dimensions.
    """
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Uniform in +-gain * sqrt(3 / fan): He et al. 2015, https://arxiv.org/abs/1502.01852, equation 14.

    Parameters
    ----------
    tensor : a weight (out, in, *kernel).
    a : slope of 'leaky_relu', which is then part of the gain.
    mode : 'fan_in' keeps the forward variance, 'fan_out' the backward one.
    nonlinearity : what follows the layer; see ``calculate_gain``.
    generator : where random values come from.

    Raises
    ------
    ValueError : an unknown ``mode`` or ``nonlinearity``, or fewer than 2 dimensions.
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator | None = None,
) -> Tensor:
    """Normal of standard deviation gain / sqrt(fan): He et al. 2015. The arguments are ``kaiming_uniform_``'s.

    Raises
    ------
    ValueError : an unknown ``mode`` or ``nonlinearity``, or fewer than 2 dimensions.
    """
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=2)
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    """The fan that ``mode`` names, in capitals or not."""
    if mode.lower() not in ("fan_in", "fan_out"):
        raise ValueError(f"Mode {mode!r} not supported, please use one of 'fan_in', 'fan_out'")
    return _calculate_fan_in_and_fan_out(tensor)[mode.lower() == "fan_out"]


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    return calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode))


@_skippable
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator | None = None,
) -> Tensor:
    """Normal values of mean and standard deviation ``mean``, ``std``, drawn again until they lie in [a, b].

    Raises
    ------
    ValueError : ``a`` is above ``b``.
    """
    if not a <= b:
        raise ValueError(f"a should not be above b, got a={a}, b={b}")
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
            "The distribution of values may be incorrect.",
            stacklevel=2,
        )
    if a == b:
        return constant_(tensor, a)
    source = generator or random.default_generator
    values = np.empty(tensor.numel())
    missing = np.arange(tensor.numel())
    # Proposals are accepted in proportion to the density: normal ones where most of them fall inside, uniform ones
    # over [a, b] where the interval is narrow or far out and hardly a normal one would.
    inside = 0.5 * (math.erf((b - mean) / (std * math.sqrt(2))) - math.erf((a - mean) / (std * math.sqrt(2))))
    mode = max(a, min(mean, b))
    while missing.size:
        if inside > 0.3:
            proposed = mean + std * source.normal((missing.size,), np.float64)
            accepted = (proposed >= a) & (proposed <= b)
        else:
            proposed = source.uniform((missing.size,), np.float64, a, b)
            log_density = 0.5 * ((mode - mean) / std) ** 2 - 0.5 * ((proposed - mean) / std) ** 2  # at most 0
            accepted = np.log1p(-source.uniform((missing.size,), np.float64)) <= log_density
        values[missing[accepted]] = proposed[accepted]
        missing = missing[~accepted]
    # Rounding to float32 may step over a bound.
    dtype = tensor.dtype.numpy.type
    return _assign(tensor, np.clip(values.astype(dtype), dtype(a), dtype(b)).reshape(tensor.shape))


@_skippable
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Generator | None = None) -> Tensor:
    """Make the weight, seen as a matrix (out, everything else), orthogonal: Saxe et al. 2013, times ``gain``.

    Uniform over all such matrices: the Q of a normal matrix's QR decomposition, with R's diagonal positive (Mezzadri
    2007, https://arxiv.org/abs/math-ph/0609050).

    Raises
    ------
    ValueError : ``tensor`` has fewer than 2 dimensions.
    """
    if tensor.ndim < 2:
        raise ValueError(f"Only tensors with 2 or more dimensions are supported, got shape {tuple(tensor.shape)}")
    if tensor.numel() == 0:
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    # The columns of Q are orthonormal; a wide matrix gets orthonormal rows from its transpose.
    normal = (generator or random.default_generator).normal((max(rows, columns), min(rows, columns)), np.float64)
    q, r = np.linalg.qr(normal)
    q *= np.sign(np.diagonal(r))
    return _assign(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


@_skippable
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator | None = None) -> Tensor:
    """Fill a matrix with normal values, then set ceil(sparsity * rows) of each column to 0: Martens 2010.

    Raises
    ------
    ValueError : ``tensor`` is not 2-D.
    """
    if tensor.ndim != 2:
        raise ValueError(f"Only tensors with 2 dimensions are supported, got shape {tuple(tensor.shape)}")
    source = generator or random.default_generator
    rows, columns = tensor.shape
    values = std * source.normal((rows, columns), np.float64)
    for column in range(columns):
        values[source.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    return _assign(tensor, values)


@_skippable
def _assign(tensor: Tensor, values: np.ndarray) -> Tensor:
    with no_grad():
        return tensor.copy_(Tensor(values))


def _deprecated(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function under its old name, without the underscore at the end."""
    new = function.__name__
    old = new[:-1]

    @functools.wraps(function)
    def under_the_old_name(*args: object, **kwargs: object) -> Tensor:
        warnings.warn(f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`.", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    under_the_old_name.__name__ = under_the_old_name.__qualname__ = old
    under_the_old_name.__doc__ = f"The former name of ``{new}``; warns."
    return under_the_old_name


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
