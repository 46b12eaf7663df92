"""The updates beyond SGD's and Adam's over all parameters in one call (formulas: ``reference/optim_rules.py``).

Built as those in ``optim.py``: a wrapper that computes a row of constants for each parameter, and a loop over a table of
them, which computes a whole step for an element while it is in the registers.
"""

import math
from collections.abc import Sequence

import numpy as np

from .jit import jit
from .segments import elements, part, update_in_place

Arrays = Sequence[np.ndarray]


def adagrad_update(
    params: Arrays,
    grads: Arrays,
    sums: Arrays,
    steps: Sequence[float],
    lr: float,
    lr_decay: float,
    weight_decay: float,
    eps: float,
    maximize: bool,
) -> None:
    """In place on params and sums (s). Steps count from 1."""
    sign = -1 if maximize else 1
    constants = [(sign, weight_decay, -lr / (1 + (step - 1) * lr_decay), eps) for step in steps]
    update_in_place(_adagrad, constants, grads, params, sums)


def rmsprop_update(
    params: Arrays,
    grads: Arrays,
    square_avgs: Arrays,
    momentum_buffers: Arrays | None,
    grad_avgs: Arrays | None,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    maximize: bool,
) -> None:
    """In place on params, square_avgs (v), momentum_buffers (b, or None), grad_avgs (a; None unless centered)."""
    constants = (-1 if maximize else 1, weight_decay, -lr, alpha, 1 - alpha, eps, momentum)
    kernel = _RMSPROP[momentum_buffers is not None, grad_avgs is not None]
    kept = [arrays for arrays in (square_avgs, momentum_buffers, grad_avgs) if arrays is not None]
    update_in_place(kernel, [constants] * len(params), grads, params, *kept)


def adadelta_update(
    params: Arrays,
    grads: Arrays,
    square_avgs: Arrays,
    acc_deltas: Arrays,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """In place on params, square_avgs (v) and acc_deltas (u)."""
    constants = (-1 if maximize else 1, weight_decay, -lr, rho, 1 - rho, eps)
    update_in_place(_adadelta, [constants] * len(params), grads, params, square_avgs, acc_deltas)


def adamax_update(
    params: Arrays,
    grads: Arrays,
    exp_avgs: Arrays,
    exp_infs: Arrays,
    steps: Sequence[float],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """In place on params, exp_avgs (m) and exp_infs (u). Steps count from 1."""
    sign = -1 if maximize else 1
    constants = [(sign, weight_decay, -lr / (1 - beta1**step), 1 - beta1, beta2, eps) for step in steps]
    update_in_place(_adamax, constants, grads, params, exp_avgs, exp_infs)


def nadam_update(
    params: Arrays,
    grads: Arrays,
    exp_avgs: Arrays,
    exp_avg_sqs: Arrays,
    steps: Sequence[float],
    grad_rates: Sequence[float],
    avg_rates: Sequence[float],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """In place on params, exp_avgs (m) and exp_avg_sqs (v). Steps count from 1."""
    shared = _adam_like(lr, beta1, beta2, weight_decay, decoupled_weight_decay, maximize)
    constants = []
    for step, grad_rate, avg_rate in zip(steps, grad_rates, avg_rates, strict=True):
        # g / (sqrt(v / c) + eps) = sqrt(c) g / (sqrt(v) + sqrt(c) eps)
        root = math.sqrt(1 - beta2**step)
        constants.append((*shared, root * eps, -lr * grad_rate * root, -lr * avg_rate * root, 1))
    update_in_place(_adam_like_step, constants, grads, params, exp_avgs, exp_avg_sqs)


def radam_update(
    params: Arrays,
    grads: Arrays,
    exp_avgs: Arrays,
    exp_avg_sqs: Arrays,
    steps: Sequence[float],
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled_weight_decay: bool,
    maximize: bool,
) -> None:
    """In place on params, exp_avgs (m) and exp_avg_sqs (v). Steps count from 1."""
    shared = _adam_like(lr, beta1, beta2, weight_decay, decoupled_weight_decay, maximize)
    rho_inf = 2 / (1 - beta2) - 1
    constants_at = {}
    for step in set(steps):
        correction = 1 - beta2**step
        rho = rho_inf - 2 * step * beta2**step / correction
        rate = -lr / (1 - beta1**step)
        if rho > 5:
            rate *= math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho) * correction)
        constants_at[step] = (*shared, eps, 0, rate, rho > 5)
    update_in_place(_adam_like_step, [constants_at[step] for step in steps], grads, params, exp_avgs, exp_avg_sqs)


def _adam_like(
    lr: float, beta1: float, beta2: float, weight_decay: float, decoupled: bool, maximize: bool
) -> tuple[float, ...]:
    """What NAdam and RAdam have in common: sign, decay, keep, gain1, beta2, gain2."""
    decay, keep = (0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1)
    return -1 if maximize else 1, decay, keep, 1 - beta1, beta2, 1 - beta2


def asgd_update(
    params: Arrays,
    grads: Arrays,
    averages: Arrays,
    etas: Sequence[float],
    mus: Sequence[float],
    lambd: float,
    weight_decay: float,
    maximize: bool,
) -> None:
    """In place on params and averages (a)."""
    sign = -1 if maximize else 1
    constants = [
        (sign, weight_decay, 1 - lambd * eta, -eta, mu, 1 if mu == 1 else 0) for eta, mu in zip(etas, mus, strict=True)
    ]
    update_in_place(_asgd, constants, grads, params, averages)


def rprop_update(
    params: Arrays,
    grads: Arrays,
    prevs: Arrays,
    step_sizes: Arrays,
    eta_minus: float,
    eta_plus: float,
    step_size_min: float,
    step_size_max: float,
    maximize: bool,
) -> None:
    """In place on params, prevs and step_sizes."""
    constants = (-1 if maximize else 1, eta_minus, eta_plus, step_size_min, step_size_max)
    update_in_place(_rprop, [constants] * len(params), grads, params, prevs, step_sizes)


# As in optim.py: `zero` and `one` are in the parameter's dtype, because a literal would turn expressions into float64; and
# without weight decay a parameter must not meet a factor of 0, because an infinite one would become NaN.


@jit
def _adagrad(start, stop, segments, constants):
    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        if n > 0:
            p = elements(segments[s, 2], at, n, constants)
            total = elements(segments[s, 3], at, n, constants)
            g = elements(segments[s, 4], at, n, constants)
            sign, decay, minus_lr, eps = constants[s, 0], constants[s, 1], constants[s, 2], constants[s, 3]
            decays, zero = decay != 0, decay - decay
            for i in range(p.size):
                gradient = sign * g[i] + (decay * p[i] if decays else zero)
                square = total[i] + gradient * gradient
                total[i] = square
                p[i] += minus_lr * gradient / (np.sqrt(square) + eps)


def _rmsprop(with_momentum, centered):
    """A loop for each combination: only the state that is there is in its table."""

    @jit
    def loop(start, stop, segments, constants):
        for s in range(segments.shape[0]):
            at, n = part(start, stop, segments, s)
            if n > 0:
                p = elements(segments[s, 2], at, n, constants)
                v = elements(segments[s, 3], at, n, constants)
                b = elements(segments[s, 4], at, n, constants)
                a = elements(segments[s, 5 if with_momentum else 4], at, n, constants)
                g = elements(segments[s, segments.shape[1] - 1], at, n, constants)
                sign, decay, minus_lr, alpha = constants[s, 0], constants[s, 1], constants[s, 2], constants[s, 3]
                gain, eps, momentum = constants[s, 4], constants[s, 5], constants[s, 6]
                decays, zero = decay != 0, decay - decay
                for i in range(p.size):
                    gradient = sign * g[i] + (decay * p[i] if decays else zero)
                    square = alpha * v[i] + gain * gradient * gradient
                    v[i] = square
                    if centered:
                        average = a[i] + gain * (gradient - a[i])
                        a[i] = average
                        square -= average * average
                    change = gradient / (np.sqrt(square) + eps)
                    if with_momentum:
                        change += momentum * b[i]
                        b[i] = change
                    p[i] += minus_lr * change

    return loop


_RMSPROP = {
    (momentum, centered): _rmsprop(momentum, centered) for momentum in (False, True) for centered in (False, True)
}


@jit
def _adadelta(start, stop, segments, constants):
    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        if n > 0:
            p = elements(segments[s, 2], at, n, constants)
            v = elements(segments[s, 3], at, n, constants)
            u = elements(segments[s, 4], at, n, constants)
            g = elements(segments[s, 5], at, n, constants)
            sign, decay, minus_lr = constants[s, 0], constants[s, 1], constants[s, 2]
            rho, gain, eps = constants[s, 3], constants[s, 4], constants[s, 5]
            decays, zero = decay != 0, decay - decay
            for i in range(p.size):
                gradient = sign * g[i] + (decay * p[i] if decays else zero)
                square = rho * v[i] + gain * gradient * gradient
                change = np.sqrt(u[i] + eps) / np.sqrt(square + eps) * gradient
                v[i] = square
                u[i] = rho * u[i] + gain * change * change
                p[i] += minus_lr * change


@jit
def _adamax(start, stop, segments, constants):
    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        if n > 0:
            p = elements(segments[s, 2], at, n, constants)
            m = elements(segments[s, 3], at, n, constants)
            u = elements(segments[s, 4], at, n, constants)
            g = elements(segments[s, 5], at, n, constants)
            sign, decay, rate = constants[s, 0], constants[s, 1], constants[s, 2]
            gain, beta2, eps = constants[s, 3], constants[s, 4], constants[s, 5]
            decays, zero = decay != 0, decay - decay
            for i in range(p.size):
                gradient = sign * g[i] + (decay * p[i] if decays else zero)
                average = m[i] + gain * (gradient - m[i])
                kept, size = beta2 * u[i], abs(gradient) + eps
                largest = size if not kept > size else kept
                largest = kept if kept != kept else largest  # a NaN stays
                m[i] = average
                u[i] = largest
                p[i] += rate * average / largest


@jit
def _adam_like_step(start, stop, segments, constants):
    """NAdam's and RAdam's: as ``_adam`` in ``optim.py``, with a term for the gradient itself, and adaptive or not."""
    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        if n > 0:
            p = elements(segments[s, 2], at, n, constants)
            m = elements(segments[s, 3], at, n, constants)
            v = elements(segments[s, 4], at, n, constants)
            g = elements(segments[s, 5], at, n, constants)
            sign, decay, keep, gain1 = constants[s, 0], constants[s, 1], constants[s, 2], constants[s, 3]
            beta2, gain2, eps = constants[s, 4], constants[s, 5], constants[s, 6]
            grad_rate, avg_rate, adaptive = constants[s, 7], constants[s, 8], constants[s, 9] != 0
            decays, looks_ahead, zero = decay != 0, grad_rate != 0, decay - decay
            one = zero + constants.dtype.type(1)
            for i in range(p.size):
                gradient = sign * g[i] + (decay * p[i] if decays else zero)
                average = m[i] + gain1 * (gradient - m[i])
                square = beta2 * v[i] + gain2 * gradient * gradient
                m[i] = average
                v[i] = square
                change = avg_rate * average + (grad_rate * gradient if looks_ahead else zero)
                p[i] = keep * p[i] + change / (np.sqrt(square) + eps if adaptive else one)


@jit
def _asgd(start, stop, segments, constants):
    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        if n > 0:
            p = elements(segments[s, 2], at, n, constants)
            average = elements(segments[s, 3], at, n, constants)
            g = elements(segments[s, 4], at, n, constants)
            sign, decay, keep = constants[s, 0], constants[s, 1], constants[s, 2]
            minus_eta, mu, takes_over = constants[s, 3], constants[s, 4], constants[s, 5] != 0
            decays, zero = decay != 0, decay - decay
            for i in range(p.size):
                gradient = sign * g[i] + (decay * p[i] if decays else zero)
                value = keep * p[i] + minus_eta * gradient
                p[i] = value
                average[i] = value if takes_over else average[i] + mu * (value - average[i])


@jit
def _rprop(start, stop, segments, constants):
    for s in range(segments.shape[0]):
        at, n = part(start, stop, segments, s)
        if n > 0:
            p = elements(segments[s, 2], at, n, constants)
            prev = elements(segments[s, 3], at, n, constants)
            size = elements(segments[s, 4], at, n, constants)
            g = elements(segments[s, 5], at, n, constants)
            sign, eta_minus, eta_plus = constants[s, 0], constants[s, 1], constants[s, 2]
            lowest, highest = constants[s, 3], constants[s, 4]
            zero = lowest - lowest
            for i in range(p.size):
                gradient = sign * g[i]
                same = gradient * prev[i]
                grown = (
                    size[i] * eta_plus
                    if same > zero
                    else (size[i] * eta_minus if same < zero else size[i] + zero * same)
                )
                grown = lowest if grown < lowest else (highest if grown > highest else grown)
                gradient = zero if same < zero else gradient
                size[i] = grown
                prev[i] = gradient
                p[i] -= grown if gradient > zero else (-grown if gradient < zero else gradient)
