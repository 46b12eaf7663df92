"""The updates of SGD and Adam, each in one pass over parameter and state (formulas: ``reference/optim.py``)."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..threads import parallel_for
from .jit import jit
from .layout import contiguous

GRAIN = 1 << 14  # elements below which another thread does not pay


def sgd_update(
    param: np.ndarray,
    grad: np.ndarray,
    momentum_buffer: np.ndarray | None,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
    first_step: bool,
) -> None:
    """In place on param and momentum_buffer (None if momentum is 0). The first step sets the buffer to the gradient."""
    number = param.dtype.type
    sign = number(-1 if maximize else 1)
    if momentum_buffer is None:
        _in_place(_sgd, [param], grad, sign, number(weight_decay), number(-lr))
        return
    # The first step sets the buffer to 0 * buffer + 1 * gradient, and buffers start out finite: as zeros.
    if first_step:
        momentum_buffer[...] = 0
    rates = (number(momentum), number(1 if first_step else 1 - dampening))
    _in_place(_sgd_momentum, [param, momentum_buffer], grad, sign, number(weight_decay), *rates, number(-lr), nesterov)


def adam_update(
    param: np.ndarray,
    grad: np.ndarray,
    exp_avg: np.ndarray,
    exp_avg_sq: np.ndarray,
    max_exp_avg_sq: np.ndarray | None,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """In place on param, exp_avg (m), exp_avg_sq (v) and max_exp_avg_sq (None unless amsgrad). step counts from 1."""
    number = param.dtype.type
    constants = (
        number(-1 if maximize else 1),
        number(0 if decoupled_weight_decay else weight_decay),
        number(1 - lr * weight_decay if decoupled_weight_decay else 1),
        number(1 - beta1),
        number(beta2),
        number(1 - beta2),
        number(math.sqrt(1 - beta2**step)),
        number(eps),
        number(-lr / (1 - beta1**step)),
    )
    state = [param, exp_avg, exp_avg_sq]
    if max_exp_avg_sq is None:
        _in_place(_adam, state, grad, *constants)
    else:
        _in_place(_adam_amsgrad, [*state, max_exp_avg_sq], grad, *constants)


def _in_place(kernel: Callable[..., Any], arrays: list[np.ndarray], grad: np.ndarray, *constants: Any) -> None:
    """Run kernel(start, stop, *flat arrays, flat grad, *constants); an array that is not row-major goes through a copy."""
    rows = [contiguous(array) for array in arrays]
    flat = [array.reshape(-1) for array in rows]
    parallel_for(kernel, grad.size, *flat, contiguous(grad).reshape(-1), *constants, grain=GRAIN)
    for array, row in zip(arrays, rows, strict=True):
        if row is not array:
            array[...] = row


@jit
def _sgd(start, stop, param, grad, sign, decay, minus_lr):
    p, g = param[start:stop], grad[start:stop]
    for i in range(p.size):
        p[i] += minus_lr * (sign * g[i] + decay * p[i])


@jit
def _sgd_momentum(start, stop, param, buffer, grad, sign, decay, momentum, gain, minus_lr, nesterov):
    p, b, g = param[start:stop], buffer[start:stop], grad[start:stop]
    for i in range(p.size):
        step = sign * g[i] + decay * p[i]
        velocity = momentum * b[i] + gain * step
        b[i] = velocity
        p[i] += minus_lr * (step + momentum * velocity if nesterov else velocity)


@jit
def _adam(start, stop, param, exp_avg, exp_avg_sq, grad, sign, decay, keep, gain1, beta2, gain2, root, eps, minus_rate):
    p, m, v, g = param[start:stop], exp_avg[start:stop], exp_avg_sq[start:stop], grad[start:stop]
    for i in range(p.size):
        gradient = sign * g[i] + decay * p[i]
        average = m[i] + gain1 * (gradient - m[i])
        square = beta2 * v[i] + gain2 * gradient * gradient
        m[i] = average
        v[i] = square
        p[i] = keep * p[i] + minus_rate * average / (np.sqrt(square) / root + eps)


@jit
def _adam_amsgrad(
    start,
    stop,
    param,
    exp_avg,
    exp_avg_sq,
    largest,
    grad,
    sign,
    decay,
    keep,
    gain1,
    beta2,
    gain2,
    root,
    eps,
    minus_rate,
):
    p, m, v, g, top = (
        param[start:stop],
        exp_avg[start:stop],
        exp_avg_sq[start:stop],
        grad[start:stop],
        largest[start:stop],
    )
    for i in range(p.size):
        gradient = sign * g[i] + decay * p[i]
        average = m[i] + gain1 * (gradient - m[i])
        square = beta2 * v[i] + gain2 * gradient * gradient
        m[i] = average
        v[i] = square
        if not square <= top[i]:  # a NaN is taken over
            top[i] = square
        p[i] = keep * p[i] + minus_rate * average / (np.sqrt(top[i]) / root + eps)
