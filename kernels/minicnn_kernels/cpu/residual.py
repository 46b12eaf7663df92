"""The end of a residual block: normalise, add, rectify in one pass, and a backward pass that masks the gradient once.

What each function equals is in ``reference/residual.py``; the passes are those of ``channels.py`` with one more array.
Forward: the statistics, then one pass that reads x and the other branch and writes the result. Backward: the first pass,
which adds up the two sums of batch norm's rule, also writes the rectifier's gradient, which is the other branch's; the
second reads it instead of masking again.
"""

import numpy as np

from .. import workspace
from ..threads import parallel_for
from .activation import GRAIN, _flat, _memory_order, _shaped, relu_backward_input
from .channels import TILE, _grain, channel_sums, fills_a_vector, gradient_factors, input_gradient, statistics
from .fused import _constants, _rows
from .jit import jit
from .layout import contiguous, to_channels_last, to_logical
from .norm import batch_norm_backward_train, batch_norm_forward_train
from .simd import VECTOR_BYTES, load, load_wide, number, store, where, widen


def add_relu_forward(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a and b of one shape -> max(a + b, 0), in the memory order of a."""
    order = _memory_order(a)
    out = workspace.empty((a.size,), a.dtype)
    parallel_for(_add_relu, out.size, _flat(a, order), _flat(b, order), out, grain=GRAIN)
    return _shaped(out, a.shape, order)


def batch_norm_add_relu_forward_train(
    x: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, other: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x and other (n, c, *spatial), weight and bias (c,) or None -> out like x; mean, biased var and inv_std (c,)."""
    if not fills_a_vector(x):
        y, mean, var, inv_std = batch_norm_forward_train(x, weight, bias, eps)
        return add_relu_forward(y, other), mean, var, inv_std
    x_last = to_channels_last(x)
    rows = _rows(x_last)
    constants, moments = _constants(statistics(rows), weight, bias, eps, rows.dtype)
    out = workspace.empty(rows.shape, rows.dtype)
    arrays = rows, _rows(to_channels_last(other)), *constants, out
    parallel_for(_scale_add_relu, rows.shape[0], *arrays, grain=_grain(rows))
    return to_logical(out.reshape(x_last.shape)), *moments


def batch_norm_add_relu_backward_train(
    grad_out: np.ndarray,
    out: np.ndarray,
    x: np.ndarray,
    weight: np.ndarray | None,
    mean: np.ndarray,
    inv_std: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """grad_out, out and x (n, c, *spatial), the rest (c,) -> grad_x, grad_weight (c,), grad_bias (c,), grad_other."""
    if not fills_a_vector(x):
        grad_other = relu_backward_input(grad_out, out)
        return *batch_norm_backward_train(grad_other, x, weight, mean, inv_std), grad_other
    x_last, mean = to_channels_last(x), contiguous(mean)
    rows = _rows(x_last)
    masked = workspace.empty(rows.shape, rows.dtype)
    arrays = _rows(to_channels_last(grad_out)), _rows(to_channels_last(out)), rows, mean, masked
    sums = channel_sums(_mask_and_sum, rows.shape[0], *arrays, grain=_grain(rows))
    factors, grad_weight, grad_bias = gradient_factors(sums, rows.shape[0], weight, inv_std)
    grad_x = input_gradient(masked, None, rows, mean, factors)
    grad_other = to_logical(masked.reshape(x_last.shape))
    return to_logical(grad_x.reshape(x_last.shape)), grad_weight, grad_bias, grad_other


@jit
def _add_relu(start, stop, a, b, out):
    left, right, target = a[start:stop], b[start:stop], out[start:stop]
    for i in range(target.size):
        total = left[i] + right[i]
        if total < 0:  # a NaN is not, and stays
            target[i] = 0
        else:
            target[i] = total


@jit
def _scale_add_relu(start, stop, x, other, mean, slope, bias, out):
    """out = max(slope * (x - mean) + bias + other, 0) for rows start .. stop; a NaN stays."""
    c, lanes = x.shape[1], VECTOR_BYTES // x.itemsize
    height = max(1, TILE // c)
    for top in range(start, stop, height):
        for block in range(0, c, lanes):
            j = min(block, c - lanes)
            centre, factor, shift = load(mean, j), load(slope, j), load(bias, j)
            zero = number(0, centre)
            for p in range(top, min(top + height, stop)):
                at = p * c + j
                y = (load(x, at) - centre) * factor + shift + load(other, at)
                store(out, at, where(y <= zero, zero, y))


@jit
def _mask_and_sum(index, start, stop, grad, out, x, mean, masked, sums):
    """masked = g and sums[index] = sums of g and g * (x - mean), for rows start .. stop; g is grad, but 0 where out <= 0."""
    c, lanes = x.shape[1], VECTOR_BYTES // x.itemsize
    height = max(1, TILE // c)
    for top in range(start, stop, height):
        for block in range(0, c, lanes):
            j = min(block, c - lanes)
            centre = load(mean, j)
            zero = number(0, centre)
            at_g = 2 * index * sums.shape[2] + block
            at_gd = at_g + sums.shape[2]
            sum_g, sum_gd = load_wide(sums, at_g, centre), load_wide(sums, at_gd, centre)
            for p in range(top, min(top + height, stop)):
                at = p * c + j
                g = where(load(out, at) <= zero, zero, load(grad, at))
                store(masked, at, g)
                wide = widen(g)
                sum_g = sum_g + wide
                sum_gd = sum_gd + wide * widen(load(x, at) - centre)
            store(sums, at_g, sum_g)
            store(sums, at_gd, sum_gd)
