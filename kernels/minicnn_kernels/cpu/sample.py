"""Sampling at given places, channels-last: the channels of a place are a run of memory (maths: ``reference/sample.py``).

Positions are shared out among the threads; in the gradient for the input, where several may meet at one place, images are.
"""

import math

import numpy as np

from .. import workspace
from ..threads import parallel_for
from .jit import jit
from .layout import contiguous, to_channels_last, to_logical

GRAIN = 1 << 14  # numbers below which another thread does not pay


def sample_forward(x: np.ndarray, at: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """x (n, c, *spatial), at and weights (taps, n, positions) -> (n, c, positions)."""
    out = workspace.empty((x.shape[0], at.shape[2], x.shape[1]), x.dtype)
    work = max(1, at.shape[0] * x.shape[1])
    arguments = _places(x), contiguous(at), contiguous(weights), out
    parallel_for(_gather, out.shape[0] * out.shape[1], *arguments, grain=max(1, GRAIN // work))
    return to_logical(out)


def sample_backward_input(
    grad_out: np.ndarray, at: np.ndarray, weights: np.ndarray, input_shape: tuple[int, ...]
) -> np.ndarray:
    """grad_out (n, c, positions) -> grad_x (n, c, *spatial): to each place what its weights say."""
    n, c, *spatial = input_shape
    grad_x = workspace.zeros((n, math.prod(spatial), c), grad_out.dtype)
    grain = max(1, GRAIN * n // max(1, at.size * c))
    parallel_for(_scatter, n, _places(grad_out), contiguous(at), contiguous(weights), grad_x, grain=grain)
    return to_logical(grad_x.reshape(n, *spatial, c))


def sample_backward_weights(grad_out: np.ndarray, x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """grad_out (n, c, positions), x (n, c, *spatial) -> the gradient of the weights, (taps, n, positions)."""
    grad = workspace.empty(at.shape, grad_out.dtype)
    work = max(1, at.shape[0] * x.shape[1])
    arguments = _places(grad_out), _places(x), contiguous(at), grad
    parallel_for(_products, at.shape[1] * at.shape[2], *arguments, grain=max(1, GRAIN // work))
    return grad


def _places(x: np.ndarray) -> np.ndarray:
    """(n, c, *spatial) -> (n, places, c)."""
    return to_channels_last(x).reshape(x.shape[0], math.prod(x.shape[2:]), x.shape[1])


@jit
def _gather(start, stop, x, at, weights, out):
    """Positions start .. stop of all the positions of out (n, positions, c)."""
    _, positions, c = out.shape
    for item in range(start, stop):
        image, position = item // positions, item % positions
        target = out[image, position]
        for q in range(c):
            target[q] = 0
        for tap in range(at.shape[0]):
            place = at[tap, image, position]
            if place >= 0:
                weight, source = weights[tap, image, position], x[image, place]
                for q in range(c):
                    target[q] += weight * source[q]


@jit
def _scatter(start, stop, grad, at, weights, grad_x):
    """Images start .. stop of grad_x (n, places, c)."""
    _, positions, c = grad.shape
    for image in range(start, stop):
        for tap in range(at.shape[0]):
            for position in range(positions):
                place = at[tap, image, position]
                if place >= 0:
                    weight, source, target = weights[tap, image, position], grad[image, position], grad_x[image, place]
                    for q in range(c):
                        target[q] += weight * source[q]


@jit
def _products(start, stop, grad, x, at, out):
    """Positions start .. stop of all the positions of grad (n, positions, c)."""
    _, positions, c = grad.shape
    for item in range(start, stop):
        image, position = item // positions, item % positions
        gradient = grad[image, position]
        for tap in range(at.shape[0]):
            place = at[tap, image, position]
            total = gradient.dtype.type(0)
            if place >= 0:
                source = x[image, place]
                for q in range(c):
                    total += gradient[q] * source[q]
            out[tap, image, position] = total
