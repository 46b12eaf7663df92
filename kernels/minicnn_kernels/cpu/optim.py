"""The updates of SGD and Adam over all parameters in one call (formulas: ``reference/optim.py``).

The floor is memory: Adam reads p, g, m and v and writes p, m and v, 28 bytes an element in float32; for the 1.6 million
parameters of a small network 46 MB, or 1.7 ms at the 27 GB/s of a copy on one core, and these loops reach that. (A root
and a division an element hide behind it, because they are in the same loop: a second loop over the same block, with
the numbers in the cache, took half as long again.) What was to be gained was the time between the loops, and threads that
get equal shares: ``segments.py``.
"""

import math
from collections.abc import Sequence

import numpy as np

from .jit import jit
from .segments import BLOCK, elements, part, update_in_place


def sgd_update(
    params: Sequence[np.ndarray],
    grads: Sequence[np.ndarray],
    momentum_buffers: Sequence[np.ndarray] | None,
    first_steps: Sequence[bool],
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """In place on params and momentum_buffers (None if momentum is 0). A first step sets the buffer to the gradient."""
    sign = -1 if maximize else 1
    if momentum_buffers is None:
        update_in_place(_sgd, [(sign, weight_decay, -lr)] * len(params), grads, params)
        return
    constants = [
        (sign, weight_decay, -lr, momentum, 1 if first_step else 1 - dampening, nesterov, first_step)
        for first_step in first_steps
    ]
    update_in_place(_sgd_momentum, constants, grads, params, momentum_buffers)


def adam_update(
    params: Sequence[np.ndarray],
    grads: Sequence[np.ndarray],
    exp_avgs: Sequence[np.ndarray],
    exp_avg_sqs: Sequence[np.ndarray],
    max_exp_avg_sqs: Sequence[np.ndarray] | None,
    steps: Sequence[float],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """In place on params, exp_avgs (m), exp_avg_sqs (v), max_exp_avg_sqs (None unless amsgrad). Steps count from 1."""
    sign = -1 if maximize else 1
    decay = 0 if decoupled_weight_decay else weight_decay
    keep = 1 - lr * weight_decay if decoupled_weight_decay else 1
    constants_at = {}
    for step in set(steps):
        # m / (sqrt(v) / root + eps) = root * m / (sqrt(v) + root * eps): one division an element fewer
        root = math.sqrt(1 - beta2**step)
        rate = -lr * root / (1 - beta1**step)
        constants_at[step] = (sign, decay, keep, 1 - beta1, beta2, 1 - beta2, root * eps, rate)
    constants = [constants_at[step] for step in steps]
    if max_exp_avg_sqs is None:
        update_in_place(_adam, constants, grads, params, exp_avgs, exp_avg_sqs)
    else:
        update_in_place(_adam_amsgrad, constants, grads, params, exp_avgs, exp_avg_sqs, max_exp_avg_sqs)


# Without weight decay a parameter must not meet a factor of 0, because an infinite one would become NaN. `zero` is 0 in
# the parameter's dtype: a literal 0 would turn the whole expression into float64.


@jit
def _sgd(start, stop, segments, constants):
    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        if n > 0:
            p = elements(segments[s, 2], at, n, constants)
            g = elements(segments[s, 3], at, n, constants)
            sign, decay, minus_lr = constants[s, 0], constants[s, 1], constants[s, 2]
            decays, zero = decay != 0, decay - decay
            for i in range(p.size):
                p[i] += minus_lr * (sign * g[i] + (decay * p[i] if decays else zero))


@jit
def _sgd_momentum(start, stop, segments, constants):
    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        if n > 0:
            p = elements(segments[s, 2], at, n, constants)
            b = elements(segments[s, 3], at, n, constants)
            g = elements(segments[s, 4], at, n, constants)
            sign, decay, minus_lr = constants[s, 0], constants[s, 1], constants[s, 2]
            momentum, gain, nesterov = constants[s, 3], constants[s, 4], constants[s, 5] != 0
            decays, zero = decay != 0, decay - decay
            if constants[s, 6] != 0:  # a first step: the buffer becomes momentum * 0 + 1 * step
                for i in range(b.size):
                    b[i] = zero
            for i in range(p.size):
                step = sign * g[i] + (decay * p[i] if decays else zero)
                velocity = momentum * b[i] + gain * step
                b[i] = velocity
                p[i] += minus_lr * (step + momentum * velocity if nesterov else velocity)


@jit
def _adam(start, stop, segments, constants):
    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        if n > 0:
            p = elements(segments[s, 2], at, n, constants)
            m = elements(segments[s, 3], at, n, constants)
            v = elements(segments[s, 4], at, n, constants)
            g = elements(segments[s, 5], at, n, constants)
            sign, decay, keep, gain1 = constants[s, 0], constants[s, 1], constants[s, 2], constants[s, 3]
            beta2, gain2, eps, rate = constants[s, 4], constants[s, 5], constants[s, 6], constants[s, 7]
            decays, zero = decay != 0, decay - decay
            for i in range(p.size):
                gradient = sign * g[i] + (decay * p[i] if decays else zero)
                average = m[i] + gain1 * (gradient - m[i])
                square = beta2 * v[i] + gain2 * gradient * gradient
                m[i] = average
                v[i] = square
                p[i] = keep * p[i] + rate * average / (np.sqrt(square) + eps)


@jit
def _adam_amsgrad(start, stop, segments, constants):
    """As ``_adam``, in two loops over each block: for five arrays in one loop, LLVM gives up proving them apart."""
    for s in range(segments.shape[0]):
        first, n = part(start, stop, segments, s)
        sign, decay, keep, gain1 = constants[s, 0], constants[s, 1], constants[s, 2], constants[s, 3]
        beta2, gain2, eps, rate = constants[s, 4], constants[s, 5], constants[s, 6], constants[s, 7]
        decays, zero = decay != 0, decay - decay
        for at in range(first, first + n, BLOCK):
            size = min(BLOCK, first + n - at)
            p = elements(segments[s, 2], at, size, constants)
            m = elements(segments[s, 3], at, size, constants)
            v = elements(segments[s, 4], at, size, constants)
            largest = elements(segments[s, 5], at, size, constants)
            g = elements(segments[s, 6], at, size, constants)
            for i in range(p.size):
                gradient = sign * g[i] + (decay * p[i] if decays else zero)
                m[i] += gain1 * (gradient - m[i])
                v[i] = beta2 * v[i] + gain2 * gradient * gradient
            for i in range(p.size):
                top = largest[i] if v[i] <= largest[i] else v[i]  # a NaN is taken over
                largest[i] = top
                p[i] = keep * p[i] + rate * m[i] / (np.sqrt(top) + eps)
