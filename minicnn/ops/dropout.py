"""Dropout: in training, zero each element with probability p and scale the others by 1 / (1 - p).

Srivastava et al., 2014. The expectation of an element does not change, so evaluation does nothing. The mask is a pure
function of (seed, offset) and the element's index (``minicnn/random.py``): it is not stored but drawn again in the
backward pass, and is the same on every back end and for every number of threads.
"""

from __future__ import annotations

from minicnn_kernels import backend_of

from ..autograd import Op, Tensor
from ..random import Generator, default_generator
from .inplace import in_place
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
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p: a probability of dropping is between 0 and 1, got {p}")
    require_floating(input, "input", "dropout")
    if not training or p == 0:
        return input

    def drop(x: Tensor) -> Tensor:
        return Dropout.apply(x, p=float(p), generator=generator or default_generator)

    return in_place(input, drop, "dropout(inplace=True)") if inplace else drop(input)
