"""Activations, flat over memory in whatever order x has: one pass, shared out among the threads.

What they compute is in ``reference/activation.py``; here each row of its table is a pair of loops, and exp and its like are
those of ``elementary.py``.
"""

import math

import numpy as np

from .. import workspace
from ..threads import parallel_for
from .elementary import CONSTANTS, exp, normal, sigmoid
from .jit import jit

GRAIN = 1 << 15  # elements below which another thread does not pay
GELU_SLOPE, GELU_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715


def relu_forward(x: np.ndarray) -> np.ndarray:
    """x of any shape -> max(x, 0), in the memory order of x."""
    order = _memory_order(x)
    source = _flat(x, order)
    out = workspace.empty((source.size,), x.dtype)
    parallel_for(_relu, out.size, source, out, grain=GRAIN)
    return _shaped(out, x.shape, order)


def rectified(fresh: np.ndarray) -> np.ndarray:
    """max(fresh, 0), in place where memory has no gaps: nobody else has seen the array yet."""
    order = _memory_order(fresh)
    flat = _flat(fresh, order)
    parallel_for(_relu, flat.size, flat, flat, grain=GRAIN)
    return _shaped(flat, fresh.shape, order)


def relu_backward_input(grad_out: np.ndarray, out: np.ndarray) -> np.ndarray:
    """grad_out, and what the forward pass returned -> grad_x (0 where out <= 0), in the memory order of out."""
    order = _memory_order(out)
    grad_x = workspace.empty((out.size,), out.dtype)
    parallel_for(_relu_gradient, out.size, _flat(grad_out, order), _flat(out, order), grad_x, grain=GRAIN)
    return _shaped(grad_x, out.shape, order)


def activation_forward(name: str, x: np.ndarray, a: float = 0.0, b: float = 0.0) -> np.ndarray:
    """x of any shape -> the function called `name`, with its numbers a and b, in the memory order of x."""
    order = _memory_order(x)
    source = _flat(x, order)
    out = workspace.empty((source.size,), x.dtype)
    parallel_for(_LOOPS[name][0], out.size, source, *_numbers(x.dtype, a, b), out, grain=GRAIN)
    return _shaped(out, x.shape, order)


def activation_backward_input(
    name: str, grad_out: np.ndarray, kept: np.ndarray, a: float = 0.0, b: float = 0.0
) -> np.ndarray:
    """grad_out, and x (of ``sigmoid``: the result) -> grad_x, in the memory order of what was kept."""
    order = _memory_order(kept)
    grad_x = workspace.empty((kept.size,), kept.dtype)
    arrays = _flat(grad_out, order), _flat(kept, order)
    parallel_for(_LOOPS[name][1], grad_x.size, *arrays, *_numbers(kept.dtype, a, b), grad_x, grain=GRAIN)
    return _shaped(grad_x, kept.shape, order)


def _numbers(dtype: np.dtype, a: float, b: float) -> tuple:
    return dtype.type(a), dtype.type(b), CONSTANTS[dtype]


def _memory_order(x: np.ndarray) -> tuple[int, ...]:
    """The axes from the slowest to the fastest in memory (for an array with gaps or repeats: simply the logical order)."""
    identity = tuple(range(x.ndim))
    if x.flags.c_contiguous:
        return identity
    order = tuple(sorted(identity, key=lambda axis: -x.strides[axis]))
    return order if x.transpose(order).flags.c_contiguous else identity


def _flat(x: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """The elements of x in this order of axes: a view where memory has it, else a copy."""
    view = x.transpose(order)
    return (view if view.flags.carray else workspace.copied(view, "C")).reshape(-1)


def _shaped(flat: np.ndarray, shape: tuple[int, ...], order: tuple[int, ...]) -> np.ndarray:
    """The reverse: elements in this order of axes -> an array of the logical shape."""
    back = tuple(sorted(range(len(order)), key=order.__getitem__))
    return flat.reshape(tuple(shape[axis] for axis in order)).transpose(back)


@jit
def _relu(start, stop, x, out):
    source, target = x[start:stop], out[start:stop]
    for i in range(target.size):
        if source[i] < 0:  # a NaN is not, and stays
            target[i] = 0
        else:
            target[i] = source[i]


@jit
def _relu_gradient(start, stop, grad_out, out, grad_x):
    gradient, result, target = grad_out[start:stop], out[start:stop], grad_x[start:stop]
    for i in range(target.size):
        if result[i] <= 0:
            target[i] = 0
        else:
            target[i] = gradient[i]


# The loops take start, stop, x (and before it grad_out), the numbers a and b, the constants k of the type, and the result.
# They begin with slices: an index that begins at 0 cannot be negative, and a loop over it becomes vector instructions.


@jit
def _leaky_relu(start, stop, x, a, b, k, out):
    x, out = x[start:stop], out[start:stop]
    for i in range(out.size):
        out[i] = x[i] if x[i] > 0 else x[i] * a


@jit
def _leaky_relu_gradient(start, stop, grad_out, x, a, b, k, grad_x):
    grad_out, x, grad_x = grad_out[start:stop], x[start:stop], grad_x[start:stop]
    for i in range(grad_x.size):
        grad_x[i] = grad_out[i] if x[i] > 0 else grad_out[i] * a


@jit
def _hardtanh(start, stop, x, a, b, k, out):
    x, out = x[start:stop], out[start:stop]
    for i in range(out.size):
        out[i] = a if x[i] < a else (b if x[i] > b else x[i])


@jit
def _hardtanh_gradient(start, stop, grad_out, x, a, b, k, grad_x):
    grad_out, x, grad_x = grad_out[start:stop], x[start:stop], grad_x[start:stop]
    for i in range(grad_x.size):
        grad_x[i] = k.zero if x[i] <= a or x[i] >= b else grad_out[i]


@jit
def _hardsigmoid(start, stop, x, a, b, k, out):
    x, out = x[start:stop], out[start:stop]
    zero, three, six, sixth = k.zero, x.dtype.type(3), x.dtype.type(6), x.dtype.type(1 / 6)
    for i in range(out.size):
        y = x[i] + three
        out[i] = (zero if y < zero else (six if y > six else y)) * sixth


@jit
def _hardsigmoid_gradient(start, stop, grad_out, x, a, b, k, grad_x):
    grad_out, x, grad_x = grad_out[start:stop], x[start:stop], grad_x[start:stop]
    sixth = x.dtype.type(1 / 6)
    for i in range(grad_x.size):
        grad_x[i] = grad_out[i] * sixth if x[i] > -3 and x[i] < 3 else k.zero


@jit
def _hardswish(start, stop, x, a, b, k, out):
    x, out = x[start:stop], out[start:stop]
    zero, three, six, sixth = k.zero, x.dtype.type(3), x.dtype.type(6), x.dtype.type(1 / 6)
    for i in range(out.size):
        y = x[i] + three
        out[i] = x[i] * (zero if y < zero else (six if y > six else y)) * sixth


@jit
def _hardswish_gradient(start, stop, grad_out, x, a, b, k, grad_x):
    grad_out, x, grad_x = grad_out[start:stop], x[start:stop], grad_x[start:stop]
    zero, one, half, third = k.zero, k.one, k.half, x.dtype.type(1 / 3)
    for i in range(grad_x.size):
        slope = zero if x[i] <= -3 else (x[i] * third + half if x[i] < 3 else one)
        grad_x[i] = grad_out[i] * slope


@jit
def _sigmoid(start, stop, x, a, b, k, out):
    x, out = x[start:stop], out[start:stop]
    for i in range(out.size):
        out[i] = sigmoid(x[i], k)


@jit
def _sigmoid_gradient(start, stop, grad_out, out, a, b, k, grad_x):
    grad_out, out, grad_x = grad_out[start:stop], out[start:stop], grad_x[start:stop]
    for i in range(grad_x.size):
        grad_x[i] = grad_out[i] * out[i] * (k.one - out[i])


@jit
def _silu(start, stop, x, a, b, k, out):
    x, out = x[start:stop], out[start:stop]
    for i in range(out.size):
        out[i] = x[i] / (k.one + exp(-x[i], k))


@jit
def _silu_gradient(start, stop, grad_out, x, a, b, k, grad_x):
    grad_out, x, grad_x = grad_out[start:stop], x[start:stop], grad_x[start:stop]
    for i in range(grad_x.size):
        s = sigmoid(x[i], k)
        grad_x[i] = grad_out[i] * (s * (k.one + x[i] * (k.one - s)))


@jit
def _gelu(start, stop, x, a, b, k, out):
    x, out = x[start:stop], out[start:stop]
    for i in range(out.size):
        out[i] = x[i] * normal(x[i], k)[0]


@jit
def _gelu_gradient(start, stop, grad_out, x, a, b, k, grad_x):
    grad_out, x, grad_x = grad_out[start:stop], x[start:stop], grad_x[start:stop]
    height = x.dtype.type(1 / math.sqrt(2 * math.pi))
    for i in range(grad_x.size):
        cumulative, bell = normal(x[i], k)
        grad_x[i] = grad_out[i] * (cumulative + x[i] * bell * height)


@jit
def _gelu_tanh(start, stop, x, a, b, k, out):
    x, out = x[start:stop], out[start:stop]
    slope, cube = x.dtype.type(GELU_SLOPE), x.dtype.type(GELU_CUBE)
    for i in range(out.size):
        out[i] = x[i] * sigmoid(slope * x[i] * (k.one + cube * x[i] * x[i]), k)


@jit
def _gelu_tanh_gradient(start, stop, grad_out, x, a, b, k, grad_x):
    grad_out, x, grad_x = grad_out[start:stop], x[start:stop], grad_x[start:stop]
    slope, cube = x.dtype.type(GELU_SLOPE), x.dtype.type(GELU_CUBE)
    three = x.dtype.type(3)
    for i in range(grad_x.size):
        square = cube * x[i] * x[i]
        s = sigmoid(slope * x[i] * (k.one + square), k)
        grad_x[i] = grad_out[i] * (s + x[i] * s * (k.one - s) * slope * (k.one + three * square))


_LOOPS = {
    "gelu": (_gelu, _gelu_gradient),
    "gelu_tanh": (_gelu_tanh, _gelu_tanh_gradient),
    "hardsigmoid": (_hardsigmoid, _hardsigmoid_gradient),
    "hardswish": (_hardswish, _hardswish_gradient),
    "hardtanh": (_hardtanh, _hardtanh_gradient),
    "leaky_relu": (_leaky_relu, _leaky_relu_gradient),
    "sigmoid": (_sigmoid, _sigmoid_gradient),
    "silu": (_silu, _silu_gradient),
}
