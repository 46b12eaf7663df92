"""The rectifier, flat over memory in whatever order x has: one pass, shared out among the threads."""

import numpy as np

from .. import workspace
from ..threads import parallel_for
from .jit import jit

GRAIN = 1 << 15  # elements below which another thread does not pay


def relu_forward(x: np.ndarray) -> np.ndarray:
    """x of any shape -> max(x, 0), in the memory order of x."""
    order = _memory_order(x)
    source = _flat(x, order)
    out = workspace.empty((source.size,), x.dtype)
    parallel_for(_relu, out.size, source, out, grain=GRAIN)
    return _shaped(out, x.shape, order)


def relu_backward_input(grad_out: np.ndarray, out: np.ndarray) -> np.ndarray:
    """grad_out, and what the forward pass returned -> grad_x (0 where out <= 0), in the memory order of out."""
    order = _memory_order(out)
    grad_x = workspace.empty((out.size,), out.dtype)
    parallel_for(_relu_gradient, out.size, _flat(grad_out, order), _flat(out, order), grad_x, grain=GRAIN)
    return _shaped(grad_x, out.shape, order)


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
