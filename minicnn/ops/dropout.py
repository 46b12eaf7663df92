"""Dropout: in training, zero each element (or each channel) with probability p and scale the others by 1 / (1 - p).

Srivastava et al., 2014. The expectation of an element does not change, so evaluation does nothing. The mask is a pure
function of (seed, offset) and the element's index (``minicnn/random.py``): it is not stored but drawn again in the
backward pass, and is the same on every back end and for every number of threads. (Masks of channels are small, and kept.)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from minicnn_kernels import backend_of

from ..autograd import Op, Tensor
from ..random import Generator, default_generator
from .activation import perhaps_in_place
from .promotion import require_floating


class Dropout(Op):
    # y = x m / (1 - p), m a mask of 0 and 1;  dL/dx = g m / (1 - p)
    @staticmethod
    def forward(ctx, x, *, p, generator):
        ctx.kernels = backend_of(x)
        ctx.draw = p, *generator.reserve(x.size)
        return ctx.kernels.dropout_forward(x, *ctx.draw)

    @staticmethod
    def backward(ctx, grad_out):
        return ctx.kernels.dropout_backward_input(grad_out, *ctx.draw)


class SharedDropout(Op):
    # y = x m / (1 - p), and m is the same for all elements along the axes ``shared``;  dL/dx = g m / (1 - p)
    @staticmethod
    def forward(ctx, x, *, p, shared, generator):
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(x.shape))
        ctx.mask = _mask_array(x, shape, p, generator)
        return x * ctx.mask

    @staticmethod
    def backward(ctx, grad_out):
        return grad_out * ctx.mask


# What SELU tends to for very negative x, -1.0507 * 1.6733: the value that alpha dropout drops to.
DROPPED = -1.0507009873554805 * 1.6732632423543772


def dropout(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, *, generator: Generator | None = None
) -> Tensor:
    """Zero elements at random with probability ``p``, and scale the others by ``1 / (1 - p)``.

    Parameters
    ----------
    input : floating point, any shape
    p : probability of *dropping* an element
    training : False returns the input
    inplace : write the result into ``input``
    generator : what to draw from; the default generator (``mc.manual_seed``) unless given. torch has no such argument.

    >>> import minicnn as mc
    >>> x = mc.ones(3)
    >>> mc.nn.functional.dropout(x, training=False) is x
    True

    Raises
    ------
    ValueError : a probability outside 0..1.
    """

    def drop(x: Tensor) -> Tensor:
        return Dropout.apply(x, p=float(p), generator=generator or default_generator)

    return _dropped("dropout", input, p, training, inplace, drop)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """:func:`dropout` of whole channels of (n, c, length) or (c, length). See :func:`dropout2d`.

    Raises
    ------
    ValueError : a probability outside 0..1, an input of other dimensions.
    """
    if input.ndim not in (2, 3):
        raise ValueError(f"input: dropout1d takes (n, c, length) or (c, length), got shape {tuple(input.shape)}")
    return _channel_dropout("dropout1d", input, p, training, inplace, batched=input.ndim == 3)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """:func:`dropout` of whole channels of images (n, c, h, w): all pixels of a channel are kept or zeroed together.

    (Tompson, Goroshin, Jain, LeCun and Bregler 2015: neighbouring pixels are so alike that dropping one hides nothing.)

    >>> import minicnn as mc
    >>> x = mc.ones(1, 2, 3, 3)
    >>> mc.nn.functional.dropout2d(x, training=False) is x
    True

    Warns
    -----
    UserWarning : for other than four dimensions. (n, c, length) works as :func:`dropout1d`, as in torch.

    Raises
    ------
    ValueError : a probability outside 0..1, an input of fewer than two dimensions.
    """
    if input.ndim != 4:
        warnings.warn(
            f"input: dropout2d is for (n, c, h, w), got shape {tuple(input.shape)}; its second dimension is taken for the "
            "channels. Use dropout, or dropout1d for (n, c, length)",
            UserWarning,
            stacklevel=2,
        )
    return _channel_dropout("dropout2d", input, p, training, inplace)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """:func:`dropout` of whole channels of volumes (n, c, depth, h, w) or (c, depth, h, w). See :func:`dropout2d`.

    Warns
    -----
    UserWarning : for other numbers of dimensions.

    Raises
    ------
    ValueError : a probability outside 0..1.
    """
    if input.ndim not in (4, 5):
        warnings.warn(
            f"input: dropout3d is for (n, c, depth, h, w), got shape {tuple(input.shape)}; use dropout",
            UserWarning,
            stacklevel=2,
        )
    return _channel_dropout("dropout3d", input, p, training, inplace, batched=input.ndim == 5)


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """:func:`dropout` of whole rows of a batch, as torchvision's function of this name (Huang et al. 2016).

    Parameters
    ----------
    input : (n, ...) floating point
    p : probability of dropping a row
    mode : ``"row"`` draws for each row by itself, ``"batch"`` once for all
    training : False returns the input

    >>> import minicnn as mc
    >>> sorted(set(stochastic_depth(mc.ones(100, 2), 0.75, "row").reshape(-1).tolist()))
    [0.0, 4.0]

    Raises
    ------
    ValueError : a probability outside 0..1, another mode.
    """
    if mode not in ("row", "batch"):
        raise ValueError(f"mode: expected 'row' or 'batch', got {mode!r}")
    shared = tuple(range(1 if mode == "row" else 0, input.ndim))

    def drop(x: Tensor) -> Tensor:
        return SharedDropout.apply(x, p=float(p), shared=shared, generator=default_generator)

    return _dropped("stochastic_depth", input, p, training, False, drop)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout for SELU networks: keeps mean 0 and variance 1 (Klambauer, Unterthiner, Mayr and Hochreiter 2017).

    Dropped elements become SELU's lower limit, -1.7581, and then all are scaled and shifted back.

    >>> import minicnn as mc
    >>> x = mc.ones(3)
    >>> mc.nn.functional.alpha_dropout(x) is x
    True

    Raises
    ------
    ValueError : a probability outside 0..1.
    """
    return _dropped("alpha_dropout", input, p, training, inplace, lambda x: _alpha(x, p, tuple(x.shape)))


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """:func:`alpha_dropout` of whole channels of (n, c, ...).

    Raises
    ------
    ValueError : a probability outside 0..1, an input of fewer than two dimensions.
    """
    return _dropped(
        "feature_alpha_dropout", input, p, training, inplace,
        lambda x: _alpha(x, p, _channels("feature_alpha_dropout", x)),
    )  # fmt: skip


def _dropped(
    what: str, input: Tensor, p: float, training: bool, inplace: bool, drop: Callable[[Tensor], Tensor]
) -> Tensor:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p: a probability of dropping is between 0 and 1, got {p}")
    if not training or p == 0:
        return input
    require_floating(input, "input", what)
    return perhaps_in_place(input, inplace, drop, what)


def _channel_dropout(what: str, input: Tensor, p: float, training: bool, inplace: bool, batched: bool = True) -> Tensor:
    def drop(x: Tensor) -> Tensor:
        _channels(what, x if batched else x.unsqueeze(0))
        shared = tuple(range(2 if batched else 1, x.ndim))
        return SharedDropout.apply(x, p=float(p), shared=shared, generator=default_generator)

    return _dropped(what, input, p, training, inplace, drop)


def _channels(what: str, x: Tensor) -> tuple[int, ...]:
    """(n, c, ...) -> (n, c, 1, ...)."""
    if x.ndim < 2:
        raise ValueError(f"input: {what} needs (n, c, ...), got shape {tuple(x.shape)}")
    return (*x.shape[:2], *(1,) * (x.ndim - 2))


def _mask(shape: tuple[int, ...], p: float, like: Tensor) -> Tensor:
    """0 where something is dropped, 1 / (1 - p) elsewhere."""
    return Tensor(_mask_array(like._array, shape, p, default_generator))


def _mask_array(like: np.ndarray, shape: tuple[int, ...], p: float, generator: Generator) -> np.ndarray:
    ones = np.ones(shape, like.dtype)
    return backend_of(like).dropout_forward(ones, float(p), *generator.reserve(ones.size))


def _alpha(x: Tensor, p: float, shape: tuple[int, ...]) -> Tensor:
    if p == 1:
        return x * 0
    kept = Tensor((_mask(shape, p, x)._array > 0).astype(x._array.dtype))
    scale = 1 / math.sqrt((1 - p) * (1 + p * DROPPED**2))
    # scale (x kept + DROPPED (1 - kept)) - scale DROPPED p
    return x * (kept * scale) + (kept * -1 + (1 - p)) * (scale * DROPPED)
