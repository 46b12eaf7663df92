"""The update rules beyond SGD and Adam (``optim.py``), in place on lists of parameters and their state.

All get lists with one entry a parameter, whose shapes and dtypes may differ. Formulas, and the order in which they
round, are those of PyTorch's single-tensor code. In the formulas ``g`` is the gradient (its negative with ``maximize``)
plus ``weight_decay * param``, and ``t`` the number of the step, from 1.
"""

import math
from collections.abc import Sequence

import numpy as np

Arrays = Sequence[np.ndarray]


def _gradient(param: np.ndarray, grad: np.ndarray, weight_decay: float, maximize: bool) -> np.ndarray:
    gradient = -grad if maximize else grad
    return gradient + param.dtype.type(weight_decay) * param if weight_decay != 0 else gradient


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
    """``s += g^2;  param -= lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)`` (Duchi et al. 2011, figure 1)."""
    for param, grad, total, step in zip(params, grads, sums, steps, strict=True):
        number = param.dtype.type
        g = _gradient(param, grad, weight_decay, maximize)
        total += g * g
        param += number(-lr / (1 + (step - 1) * lr_decay)) * g / (np.sqrt(total) + number(eps))


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
    """``v = alpha v + (1 - alpha) g^2;  param -= lr * g / (sqrt(v) + eps)`` (Tieleman and Hinton 2012).

    Centered (Graves 2013, equations 38 to 45), with ``a = alpha a + (1 - alpha) g``, divides by ``sqrt(v - a^2) + eps``;
    with momentum the quotient goes through a buffer, ``b = momentum b + g / (...)``, and ``param -= lr * b``.
    """
    for i, (param, grad, square_avg) in enumerate(zip(params, grads, square_avgs, strict=True)):
        number = param.dtype.type
        g = _gradient(param, grad, weight_decay, maximize)
        square_avg *= number(alpha)
        square_avg += number(1 - alpha) * g * g
        variance = square_avg
        if grad_avgs is not None:
            grad_avgs[i][...] += number(1 - alpha) * (g - grad_avgs[i])
            variance = square_avg - grad_avgs[i] * grad_avgs[i]
        quotient = g / (np.sqrt(variance) + number(eps))
        if momentum_buffers is not None:
            momentum_buffers[i][...] *= number(momentum)
            momentum_buffers[i][...] += quotient
            quotient = momentum_buffers[i]
        param += number(-lr) * quotient


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
    """``v = rho v + (1 - rho) g^2;  d = sqrt(u + eps) / sqrt(v + eps) g;  u = rho u + (1 - rho) d^2;  param -= lr d``.

    Zeiler 2012, algorithm 1: the steps' mean square u gives the update the unit of a parameter.
    """
    for param, grad, square_avg, acc_delta in zip(params, grads, square_avgs, acc_deltas, strict=True):
        number = param.dtype.type
        g = _gradient(param, grad, weight_decay, maximize)
        square_avg *= number(rho)
        square_avg += number(1 - rho) * g * g
        delta = np.sqrt(acc_delta + number(eps)) / np.sqrt(square_avg + number(eps)) * g
        acc_delta *= number(rho)
        acc_delta += number(1 - rho) * delta * delta
        param += number(-lr) * delta


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
    """``m += (1 - beta1) (g - m);  u = max(beta2 u, |g| + eps);  param -= lr / (1 - beta1^t) * m / u``.

    Kingma and Ba 2015, algorithm 2: Adam with the infinity norm in place of the second moment.
    """
    for param, grad, exp_avg, exp_inf, step in zip(params, grads, exp_avgs, exp_infs, steps, strict=True):
        number = param.dtype.type
        g = _gradient(param, grad, weight_decay, maximize)
        exp_avg += number(1 - beta1) * (g - exp_avg)
        exp_inf[...] = np.maximum(number(beta2) * exp_inf, np.abs(g) + number(eps))
        param += number(-lr / (1 - beta1**step)) * exp_avg / exp_inf


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
    """m and v as Adam's; ``param -= lr * (grad_rate * g + avg_rate * m) / (sqrt(v / (1 - beta2^t)) + eps)``.

    Dozat 2016, algorithm 2. The rates of the momentum's schedule, one of each a parameter, are computed in ``NAdam``.
    """
    for param, grad, exp_avg, exp_avg_sq, step, grad_rate, avg_rate in zip(
        params, grads, exp_avgs, exp_avg_sqs, steps, grad_rates, avg_rates, strict=True
    ):
        number = param.dtype.type
        if decoupled_weight_decay:
            param *= number(1 - lr * weight_decay)
        g = _gradient(param, grad, 0 if decoupled_weight_decay else weight_decay, maximize)
        exp_avg += number(1 - beta1) * (g - exp_avg)
        exp_avg_sq *= number(beta2)
        exp_avg_sq += number(1 - beta2) * g * g
        denominator = np.sqrt(exp_avg_sq / number(1 - beta2**step)) + number(eps)
        param += number(-lr * grad_rate) * g / denominator
        param += number(-lr * avg_rate) * exp_avg / denominator


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
    """m and v as Adam's; Adam's step times r where v can be trusted, and ``lr * m / (1 - beta1^t)`` before.

    Liu et al. 2020, algorithm 2: ``rho_inf = 2 / (1 - beta2) - 1`` is the longest memory of v, and
    ``rho_t = rho_inf - 2 t beta2^t / (1 - beta2^t)`` the present one; where ``rho_t > 5``,
    ``r = sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t))``.
    """
    rho_inf = 2 / (1 - beta2) - 1
    for param, grad, exp_avg, exp_avg_sq, step in zip(params, grads, exp_avgs, exp_avg_sqs, steps, strict=True):
        number = param.dtype.type
        if decoupled_weight_decay:
            param *= number(1 - lr * weight_decay)
        g = _gradient(param, grad, 0 if decoupled_weight_decay else weight_decay, maximize)
        exp_avg += number(1 - beta1) * (g - exp_avg)
        exp_avg_sq *= number(beta2)
        exp_avg_sq += number(1 - beta2) * g * g
        correction = 1 - beta2**step
        rho = rho_inf - 2 * step * beta2**step / correction
        change = exp_avg / number(1 - beta1**step) * number(lr)
        if rho > 5:
            rectification = math.sqrt((rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho))
            adaptive = number(math.sqrt(correction)) / (np.sqrt(exp_avg_sq) + number(eps))
            change = change * adaptive * number(rectification)
        param -= change


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
    """``param = (1 - lambd eta) param - eta g;  a += mu (param - a)`` (Polyak and Juditsky 1992).

    eta and mu, one of each a parameter, are computed in ``ASGD``; mu = 1 sets the average to the parameter.
    """
    for param, grad, average, eta, mu in zip(params, grads, averages, etas, mus, strict=True):
        number = param.dtype.type
        g = _gradient(param, grad, weight_decay, maximize)
        param *= number(1 - lambd * eta)
        param += number(-eta) * g
        if mu == 1:
            average[...] = param
        else:
            average += (param - average) * number(mu)


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
    """Each step size grows by eta_plus while its gradient keeps its sign, and shrinks by eta_minus where that changed.

    ``param -= sign(g) * step_size``, but 0 where the sign changed; ``prev = g``, or 0 there (Riedmiller and Braun 1993).
    """
    for param, grad, prev, step_size in zip(params, grads, prevs, step_sizes, strict=True):
        number = param.dtype.type
        g = _gradient(param, grad, 0, maximize)
        same = np.sign(g * prev)
        factor = np.where(same > 0, number(eta_plus), np.where(same < 0, number(eta_minus), same * 0 + 1))
        step_size[...] = np.clip(step_size * factor, number(step_size_min), number(step_size_max))
        prev[...] = np.where(same < 0, number(0), g)
        param -= np.sign(prev) * step_size
