"""Recurrent layers: one operation is one layer in one direction, over all steps.

    RNN    h' = tanh(x W_ih^T + b_ih + h W_hh^T + b_hh), or relu                 (Elman 1990, "Finding structure in time")
    LSTM   i, f, g, o = sigmoid, sigmoid, tanh, sigmoid of such sums
           c' = f c + i g,  h' = o tanh(c')                                      (Hochreiter and Schmidhuber 1997)
           or, with a projection, h' = (o tanh(c')) W_hr^T                       (Sak, Senior and Beaufays 2014)
    GRU    r, z = sigmoid of such sums,  n = tanh(x W_in^T + b_in + r (h W_hn^T + b_hn))
           h' = (1 - z) n + z h                                                  (Cho et al. 2014)

The rows of all steps lie one below the other, as in a packed sequence: x (rows, input_size), of which ``sizes[t]`` belong
to step t. Sequences of different lengths are sorted, longest first, so that the first ``sizes[t]`` of them take part in
step t; equal lengths are equal sizes. ``x W_ih^T`` is one product for all steps; the loop over time adds ``h W_hh^T``.

Backwards likewise. What does not depend on the incoming gradient is computed for all rows at once: where d is the gradient
of h', that of the sums is ``d * slope``, and the loop only goes ``d_before = d * direct + (d * slope) W_hh``. Then the
gradients of x and of the weights are products over all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minicnn_kernels import backend_of, workspace

from ..autograd import Op, Tensor
from .promotion import require_same_dtype


class RNN(Op):
    # x (rows, input_size), h (batch, hidden), w_ih (hidden, input_size), w_hh (hidden, hidden), biases (hidden,) or None
    # -> out (rows, hidden), last h (batch, hidden)
    @staticmethod
    def forward(ctx, x, h, w_ih, w_hh, b_ih, b_hh, *, sizes, reverse, relu):
        ctx.kernels, ctx.steps, ctx.relu = backend_of(x), _steps(sizes, reverse), relu
        out, now = _input_sums(ctx, x, w_ih, b_ih, b_hh), h.copy()
        add_product = ctx.kernels.prepare_matmul(w_hh.T)
        for rows, n in ctx.steps:
            add_product(now[:n], out[rows])
            np.maximum(out[rows], 0, out=out[rows]) if relu else np.tanh(out[rows], out=out[rows])
            now[:n] = out[rows]
        ctx.save(x if ctx.needs_input_grad[2] else None, h, w_ih, w_hh, out)
        return out, now

    @staticmethod
    def backward(ctx, grad_out, grad_last):
        x, h, w_ih, w_hh, out = ctx.saved
        slope = (out > 0).astype(out.dtype) if ctx.relu else 1 - out * out
        _, grad_sums, grad_h = _back_in_time(ctx, grad_out, grad_last, slope, w_hh)
        return _gradients(ctx, x, w_ih, _before(ctx, out, h), grad_sums, grad_sums, grad_h)


class GRU(Op):
    # as RNN, with three weights one below the other, (3 * hidden, ...) for r, z and n
    @staticmethod
    def forward(ctx, x, h, w_ih, w_hh, b_ih, b_hh, *, sizes, reverse):
        ctx.kernels, ctx.steps, size = backend_of(x), _steps(sizes, reverse), h.shape[1]
        gates = _input_sums(ctx, x, w_ih, b_ih)  # becomes r, z, n
        hidden_sums = workspace.zeros(gates.shape, x.dtype)  # becomes h W_hh^T + b_hh
        if b_hh is not None:
            hidden_sums += b_hh
        out, now = workspace.empty((len(x), size), x.dtype), h.copy()
        add_product = ctx.kernels.prepare_matmul(w_hh.T)
        for rows, n in ctx.steps:
            add_product(now[:n], hidden_sums[rows])
            rz, new = gates[rows, : 2 * size], gates[rows, 2 * size :]
            rz += hidden_sums[rows, : 2 * size]
            _sigmoid(rz)
            new += rz[:, :size] * hidden_sums[rows, 2 * size :]
            np.tanh(new, out=new)
            now[:n] = new + rz[:, size:] * (now[:n] - new)
            out[rows] = now[:n]
        ctx.save(x if ctx.needs_input_grad[2] else None, h, w_ih, w_hh, out, gates, hidden_sums[:, 2 * size :].copy())
        return out, now

    @staticmethod
    def backward(ctx, grad_out, grad_last):
        x, h, w_ih, w_hh, out, gates, new_sums = ctx.saved
        r, z, new = np.split(gates, 3, axis=1)
        before = _before(ctx, out, h)
        slope_new = (1 - z) * (1 - new * new)
        slope_r = slope_new * new_sums * r * (1 - r)
        slope = np.concatenate([slope_r, (before - new) * z * (1 - z), slope_new * r], axis=1)
        d, grad_hidden, grad_h = _back_in_time(ctx, grad_out, grad_last, slope, w_hh, direct=z)
        grad_inputs = grad_hidden.copy()
        grad_inputs[:, 2 * h.shape[1] :] = d * slope_new  # x W_in^T is not multiplied by r
        return _gradients(ctx, x, w_ih, before, grad_inputs, grad_hidden, grad_h)


class LSTM(Op):
    # as RNN, with a cell c (batch, hidden), four weights (4 * hidden, ...) for i, f, g and o, and w_hr (proj, hidden) or
    # None: with it h is (batch, proj)  -> out, last h, last c
    @staticmethod
    def forward(ctx, x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, *, sizes, reverse):
        ctx.kernels, ctx.steps, size = backend_of(x), _steps(sizes, reverse), c.shape[1]
        gates = _input_sums(ctx, x, w_ih, b_ih, b_hh)  # becomes i, f, g, o
        # sigmoid(s) = (1 + tanh(s / 2)) / 2: so all four are one tanh
        scale = np.full(4 * size, 0.5, x.dtype)
        scale[2 * size : 3 * size] = 1
        shift = 1 - scale
        cells, out = workspace.empty((len(x), size), x.dtype), workspace.empty((len(x), h.shape[1]), x.dtype)
        now, cell = h.copy(), c.copy()
        add_product = ctx.kernels.prepare_matmul(w_hh.T)
        project = None if w_hr is None else ctx.kernels.prepare_matmul(w_hr.T)
        for rows, n in ctx.steps:
            gate = gates[rows]
            add_product(now[:n], gate)
            gate *= scale
            np.tanh(gate, out=gate)
            gate *= scale
            gate += shift
            i, f, g, o = (gate[:, k * size : (k + 1) * size] for k in range(4))
            cell[:n] *= f
            cell[:n] += i * g
            cells[rows] = cell[:n]
            shown = np.tanh(cell[:n])
            shown *= o
            if project is None:
                now[:n] = shown
            else:
                now[:n] = 0
                project(shown, now[:n])
            out[rows] = now[:n]
        ctx.save(x if ctx.needs_input_grad[3] else None, h, c, w_ih, w_hh, w_hr, out, cells, gates)
        return out, now, cell

    @staticmethod
    def backward(ctx, grad_out, grad_last, grad_last_cell):
        x, h, c, w_ih, w_hh, w_hr, out, cells, gates = ctx.saved
        size = c.shape[1]
        i, f, g, o = np.split(gates, 4, axis=1)
        shown = np.tanh(cells)
        through = o * (1 - shown * shown)  # from h' to c'
        # Of the sums, for a gradient of 1 that reaches c' (i, f, g) or o tanh(c') (o).
        slope = np.stack(
            [g * i * (1 - i), _before(ctx, cells, c) * f * (1 - f), i * (1 - g * g), shown * o * (1 - o)], 1
        )
        grad_sums = workspace.empty(gates.shape, gates.dtype)
        grad_shown = np.empty(grad_out.shape, grad_out.dtype)  # of h'
        grad_h, grad_c = grad_last.copy(), grad_last_cell.copy()
        add_product = ctx.kernels.prepare_matmul(w_hh)
        unproject = None if w_hr is None else ctx.kernels.prepare_matmul(w_hr)
        for rows, n in reversed(ctx.steps):
            d = grad_shown[rows]
            np.add(grad_h[:n], grad_out[rows], out=d)
            if unproject is not None:
                unprojected = np.zeros((n, size), d.dtype)
                unproject(d, unprojected)
                d = unprojected
            grad_c[:n] += d * through[rows]
            sums = grad_sums[rows].reshape(n, 4, size)
            np.multiply(slope[rows, :3], grad_c[:n, None], out=sums[:, :3])
            np.multiply(slope[rows, 3], d, out=sums[:, 3])
            grad_c[:n] *= f[rows]
            grad_h[:n] = 0
            add_product(grad_sums[rows], grad_h[:n])
        before = _before(ctx, out, h)
        grad_x, grad_h, *grad_weights = _gradients(ctx, x, w_ih, before, grad_sums, grad_sums, grad_h, first_weight=3)
        grad_w_hr = None
        if w_hr is not None and ctx.needs_input_grad[7]:
            shown *= o
            grad_w_hr = ctx.kernels.matmul(grad_shown.T, shown)
        return grad_x, grad_h, grad_c, *grad_weights, grad_w_hr


def _steps(sizes: Sequence[int], reverse: bool) -> list[tuple[slice, int]]:
    """The rows of each step and how many they are, in the order of computation."""
    ends = np.cumsum(sizes).tolist()
    steps = [(slice(end - n, end), n) for end, n in zip(ends, sizes, strict=True)]
    return steps[::-1] if reverse else steps


def _input_sums(ctx: Any, x: np.ndarray, w_ih: np.ndarray, *biases: np.ndarray | None) -> np.ndarray:
    """x W_ih^T + biases, for all rows."""
    sums = ctx.kernels.matmul(x, w_ih.T)
    for bias in biases:
        if bias is not None:
            sums += bias
    return sums


def _sigmoid(x: np.ndarray) -> None:
    """In place: (1 + tanh(x / 2)) / 2 never overflows."""
    x *= x.dtype.type(0.5)
    np.tanh(x, out=x)
    x *= x.dtype.type(0.5)
    x += x.dtype.type(0.5)


def _before(ctx: Any, states: np.ndarray, first: np.ndarray) -> np.ndarray:
    """states (rows, size) after each step, and what they began with -> (rows, size) those before each step."""
    before, now = workspace.empty(states.shape, states.dtype), first.copy()
    for rows, n in ctx.steps:
        before[rows] = now[:n]
        now[:n] = states[rows]
    return before


def _back_in_time(
    ctx: Any,
    grad_out: np.ndarray,
    grad_last: np.ndarray,
    slope: np.ndarray,
    w_hh: np.ndarray,
    direct: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """d, the gradient of h' (rows, hidden); that of the sums, d * slope; and that of the first h."""
    size = grad_out.shape[1]
    d, grad_sums = workspace.empty(grad_out.shape, slope.dtype), workspace.empty(slope.shape, slope.dtype)
    grad_h = grad_last.copy()
    add_product = ctx.kernels.prepare_matmul(w_hh)
    for rows, n in reversed(ctx.steps):
        np.add(grad_h[:n], grad_out[rows], out=d[rows])
        by_gate = (n, slope.shape[1] // size, size) if size else slope[rows].shape
        np.multiply(slope[rows].reshape(by_gate), d[rows][:, None] if size else 0, out=grad_sums[rows].reshape(by_gate))
        if direct is None:
            grad_h[:n] = 0
        else:
            np.multiply(d[rows], direct[rows], out=grad_h[:n])
        add_product(grad_sums[rows], grad_h[:n])
    return d, grad_sums, grad_h


def _gradients(
    ctx: Any,
    x: np.ndarray | None,
    w_ih: np.ndarray,
    before: np.ndarray,
    grad_inputs: np.ndarray,
    grad_hidden: np.ndarray,
    grad_h: np.ndarray,
    first_weight: int = 2,
) -> tuple[np.ndarray | None, ...]:
    """Of x, h, w_ih, w_hh, b_ih, b_hh, from those of ``x W_ih^T + b_ih`` and ``h W_hh^T + b_hh``."""
    wanted = ctx.needs_input_grad[first_weight : first_weight + 4]
    grad_x = ctx.kernels.matmul(grad_inputs, w_ih) if ctx.needs_input_grad[0] else None
    grad_w_ih = ctx.kernels.matmul(grad_inputs.T, x) if wanted[0] else None
    grad_w_hh = ctx.kernels.matmul(grad_hidden.T, before) if wanted[1] else None
    grad_b_ih = grad_inputs.sum(axis=0) if wanted[2] else None
    grad_b_hh = grad_hidden.sum(axis=0) if wanted[3] else None
    return grad_x, grad_h, grad_w_ih, grad_w_hh, grad_b_ih, grad_b_hh


def recurrent_layer(
    mode: str,
    input: Tensor,
    state: tuple[Tensor, ...],
    weights: Sequence[Tensor | None],
    sizes: Sequence[int],
    reverse: bool = False,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One recurrent layer in one direction. What ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU`` are made of.

    Parameters
    ----------
    mode : "RNN_TANH", "RNN_RELU", "LSTM" or "GRU"
    input : (rows, input_size), the rows of step 0, then those of step 1, ...
    state : h (batch, hidden), or for an LSTM h and c
    weights : w_ih, w_hh, b_ih, b_hh, or None for the biases; a fifth, w_hr, where an LSTM has a projection
    sizes : how many rows each step has, never more than the one before
    reverse : go through the steps backwards

    Returns
    -------
    out (rows, hidden) and the last states, as ``state``

    >>> import minicnn as mc
    >>> one, zero = mc.ones(1, 1), mc.zeros(1, 1)
    >>> steps = mc.tensor([[1.0], [2.0], [3.0]])
    >>> out, _ = recurrent_layer("RNN_RELU", steps, (zero,), (one, one, None, None), [1, 1, 1])  # a running sum
    >>> out.T
    tensor([[1., 3., 6.]])

    Raises
    ------
    TypeError : where the types differ.
    """
    names = ("w_ih", "w_hh", "b_ih", "b_hh", "w_hr")
    tensors: dict[str, Any] = {"input": input, **dict(zip(("h", "c"), state, strict=False))}
    require_same_dtype(mode, **tensors, **dict(zip(names, weights, strict=False)))
    options = {"sizes": tuple(sizes), "reverse": reverse}
    if mode == "LSTM":
        w_hr = weights[4] if len(weights) > 4 else None
        out, *last = LSTM.apply(input, *state, *weights[:4], w_hr, **options)
    elif mode == "GRU":
        out, *last = GRU.apply(input, *state, *weights, **options)
    else:
        out, *last = RNN.apply(input, *state, *weights, relu=mode == "RNN_RELU", **options)
    return out, tuple(last)
