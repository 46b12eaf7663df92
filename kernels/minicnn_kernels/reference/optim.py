"""The update rules of SGD and Adam, in place on one parameter and its state.

Formulas, and the order in which they round, are those of PyTorch's single-tensor code: scalars are computed in
float64 and rounded to the parameter's dtype when they meet an array.

SGD (Sutskever et al. 2013 for the two momenta):
    g = grad + weight_decay * param;  buffer = momentum * buffer + (1 - dampening) * g;  param -= lr * (buffer, or g +
    momentum * buffer)

Adam (Kingma and Ba 2015, algorithm 1; amsgrad: Reddi et al. 2018; decoupled weight decay: Loshchilov and Hutter 2019):
    m += (1 - beta1) * (g - m);  v = beta2 * v + (1 - beta2) * g * g
    param -= lr / (1 - beta1**step) * m / (sqrt(v) / sqrt(1 - beta2**step) + eps)
"""

import math

import numpy as np


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
    step = -grad if maximize else grad
    if weight_decay != 0:
        step = step + number(weight_decay) * param
    if momentum_buffer is not None:
        if first_step:
            momentum_buffer[...] = step
        else:
            momentum_buffer *= number(momentum)
            momentum_buffer += number(1 - dampening) * step
        step = step + number(momentum) * momentum_buffer if nesterov else momentum_buffer
    param += number(-lr) * step


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
    if max_exp_avg_sq is not None:
        np.maximum(max_exp_avg_sq, exp_avg_sq, out=max_exp_avg_sq)
        second_moment = max_exp_avg_sq
    step_size = lr / (1 - beta1**step)
    denominator = np.sqrt(second_moment) / number(math.sqrt(1 - beta2**step)) + number(eps)
    param += number(-step_size) * exp_avg / denominator
