"""Sampling at given places: each element of a result is a weighted sum of a few elements of the input.

``at`` names them, (taps, n, positions) int64: which place of its image, row-major, or -1 for one outside, where there is
nothing. The places and their weights come from ``minicnn/ops/grid_sampling.py``.
"""

import math

import numpy as np


def sample_forward(x: np.ndarray, at: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """x (n, c, *spatial), at and weights (taps, n, positions) -> (n, c, positions)."""
    places = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))  # (n, c, *spatial) -> (n, c, places)
    out = np.zeros((*x.shape[:2], at.shape[2]), x.dtype)
    for place, weight in zip(at, weights, strict=True):  # (n, positions) each
        out += np.where(place[:, np.newaxis] < 0, 0, _taken(places, place) * weight[:, np.newaxis])
    return out


def sample_backward_input(
    grad_out: np.ndarray, at: np.ndarray, weights: np.ndarray, input_shape: tuple[int, ...]
) -> np.ndarray:
    """grad_out (n, c, positions) -> grad_x (n, c, *spatial): to each place what its weights say."""
    n, c = input_shape[:2]
    grad_x = np.zeros((n, math.prod(input_shape[2:]), c), grad_out.dtype)
    for place, weight in zip(at, weights, strict=True):
        image, position = np.nonzero(place >= 0)
        shares = grad_out[image, :, position] * weight[image, position][:, np.newaxis]
        np.add.at(grad_x, (image, place[image, position]), shares)
    return np.moveaxis(grad_x, 2, 1).reshape(input_shape)  # (n, places, c) -> (n, c, *spatial)


def sample_backward_weights(grad_out: np.ndarray, x: np.ndarray, at: np.ndarray) -> np.ndarray:
    """grad_out (n, c, positions), x (n, c, *spatial) -> the gradient of the weights, (taps, n, positions)."""
    places = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    grads = [np.where(place < 0, 0, (_taken(places, place) * grad_out).sum(axis=1)) for place in at]
    return np.array(grads, grad_out.dtype).reshape(at.shape)


def _taken(places: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(n, c, places), (n, positions) -> (n, c, positions)."""
    return np.take_along_axis(places, np.maximum(place, 0)[:, np.newaxis], axis=2)
