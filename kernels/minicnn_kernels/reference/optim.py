"""The update rules of SGD and Adam, in place on lists of parameters and their state.

Formulas, and the order in which they round, are those of PyTorch's single-tensor code: scalars are computed in
float64 and rounded to the parameter's dtype when they meet an array. A list may hold parameters of any shapes and
dtypes; they are updated in its order, which matters where one is mentioned twice.

SGD (Sutskever et al. 2013 for the two momenta):
    g = grad + weight_decay * param;  buffer = momentum * buffer + (1 - dampening) * g;  param -= lr * (buffer, or g +
    momentum * buffer)

Adam (Kingma and Ba 2015, algorithm 1; amsgrad: Reddi et al. 2018; decoupled weight decay: Loshchilov and Hutter 2019):
    m += (1 - beta1) * (g - m);  v = beta2 * v + (1 - beta2) * g * g
    param -= lr / (1 - beta1**step) * m / (sqrt(v) / sqrt(1 - beta2**step) + eps)
"""

import math
from collections.abc import Sequence

import numpy as np


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
    for i, (param, grad, first_step) in enumerate(zip(params, grads, first_steps, strict=True)):
        number = param.dtype.type
        step = -grad if maximize else grad
        if weight_decay != 0:
            step = step + number(weight_decay) * param
        if momentum_buffers is not None:
            buffer = momentum_buffers[i]
            if first_step:
                buffer[...] = step
            else:
                buffer *= number(momentum)
                buffer += number(1 - dampening) * step
            step = step + number(momentum) * buffer if nesterov else buffer
        param += number(-lr) * step


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
    for i, (param, grad, exp_avg, exp_avg_sq, step) in enumerate(
        zip(params, grads, exp_avgs, exp_avg_sqs, steps, strict=True)
    ):
        number = param.dtype.type
        gradient = -grad if maximize else grad
        if weight_decay != 0:
            if decoupled_weight_decay:
                param *= number(1 - lr * weight_decay)
            else:
                gradient = gradient + number(weight_decay) * param
        exp_avg += number(1 - beta1) * (gradient - exp_avg)
        exp_avg_sq *= number(beta2)
        exp_avg_sq += number(1 - beta2) * gradient * gradient
        second_moment = exp_avg_sq
        if max_exp_avg_sqs is not None:
            second_moment = np.maximum(max_exp_avg_sqs[i], exp_avg_sq, out=max_exp_avg_sqs[i])
        step_size = lr / (1 - beta1**step)
        denominator = np.sqrt(second_moment) / number(math.sqrt(1 - beta2**step)) + number(eps)
        param += number(-step_size) * exp_avg / denominator
