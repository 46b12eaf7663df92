"""Recurrent layers over whole sequences: ``RNN``, ``LSTM``, ``GRU``. Single steps of them are in ``rnn_cell.py``.

The formulas, and the way back through time, are in ``minicnn/ops/recurrent.py``. Packed sequences are in
``utils/rnn.py``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

from minicnn.autograd import Tensor
from minicnn.nn import functional as F
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.nn.utils.rnn import PackedSequence
from minicnn.ops import cat, empty, stack, zeros
from minicnn.ops.recurrent import recurrent_layer

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """What ``RNN``, ``LSTM`` and ``GRU`` share: parameters, layers above each other, directions, packed sequences.

    Parameters
    ----------
    mode : "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".
    input_size, hidden_size : features of the input and of the state.
    num_layers : layers, each fed with the output of the one below.
    bias : whether the sums have biases.
    batch_first : input and output are (batch, steps, features) rather than (steps, batch, features); states are not
        affected.
    dropout : probability of dropping an element between layers, in training.
    bidirectional : a second set of layers reads the steps backwards; outputs are concatenated.
    proj_size : an LSTM's projection of its output, 0 for none.
    device, dtype : where and in which floating-point dtype to make the parameters.

    Attributes
    ----------
    weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_hr_l0 : of layer 0; with ``_reverse`` behind for the
        backward direction. All uniform in +-1/sqrt(hidden_size) at first.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if mode not in GATES:
            raise ValueError(f"Unrecognized RNN mode: {mode}")
        flags = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional}
        for name, flag in flags.items():
            if not isinstance(flag, bool):
                raise TypeError(f"{name} should be of type bool, got: {type(flag).__name__}")
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(
                f"dropout should be a number in range [0, 1], the probability of dropping, got {dropout!r}"
            )
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if not isinstance(size, int):
                raise TypeError(f"{name} should be of type int, got: {type(size).__name__}")
            if size <= 0:
                raise ValueError(f"{name} must be greater than zero, got {size}")
        if proj_size < 0 or proj_size >= hidden_size:
            raise ValueError(f"proj_size must be from 0 to less than hidden_size = {hidden_size}, got {proj_size}")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
                f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._names: list[list[str]] = []  # of each layer and direction, in this order
        directions = 2 if bidirectional else 1
        out_size, rows = proj_size or hidden_size, GATES[mode] * hidden_size
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[:directions]:
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (rows, input_size if layer == 0 else out_size * directions),
                    "weight_hh": (rows, out_size),
                }
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                self._names.append([f"{name}_l{layer}{suffix}" for name in shapes])
                for name, shape in zip(self._names[-1], shapes.values(), strict=True):
                    setattr(self, name, Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew from the default generator."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing to do: there are no fused weights to lay out."""

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._names]

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run over a sequence.

        Parameters
        ----------
        input : (steps, batch, input_size), or as ``batch_first`` says; (steps, input_size) without a batch; or a
            ``PackedSequence``.
        hx : the first state, (num_layers * directions, batch, size); for an LSTM the pair of h and c. Zeros by default.

        Returns
        -------
        output, (steps, batch, directions * size), or packed as the input was; and the last state, as ``hx``.

        Raises
        ------
        ValueError : sizes that do not fit.
        """
        if isinstance(input, PackedSequence):
            sizes = input.batch_sizes.tolist()
            states = self._first_states(input.data, hx, sizes[0], batched=True)
            if input.sorted_indices is not None:
                states = [state[:, input.sorted_indices] for state in states]
            data, states = self._run(input.data, states, sizes)
            if input.unsorted_indices is not None:
                states = [state[:, input.unsorted_indices] for state in states]
            return input._replace(data=data), self._shown(states)
        if input.ndim not in (2, 3):
            raise ValueError(f"{self.mode}: Expected input to be 2D or 3D, got {input.ndim}D tensor instead")
        batched = input.ndim == 3
        x = input if batched else input.unsqueeze(1)
        if batched and self.batch_first:
            x = x.transpose(0, 1)
        steps, batch, features = x.shape
        if steps == 0:
            raise ValueError("input: expected at least one step, got a sequence of length 0")
        states = self._first_states(input, hx, batch, batched)
        out, states = self._run(x.reshape(steps * batch, features), states, [batch] * steps)
        out = out.reshape(steps, batch, out.shape[-1])
        if not batched:
            return out.squeeze(1), self._shown([state.squeeze(1) for state in states])
        return (out.transpose(0, 1) if self.batch_first else out), self._shown(states)

    def _first_states(self, input: Tensor, hx: Any, batch: int, batched: bool) -> list[Tensor]:
        """h, or h and c, each (num_layers * directions, batch, size), checked."""
        if input.shape[-1] != self.input_size:
            raise ValueError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )
        layers = self.num_layers * (2 if self.bidirectional else 1)
        sizes = [self.proj_size or self.hidden_size, self.hidden_size][: 2 if self.mode == "LSTM" else 1]
        if hx is None:
            return [zeros(layers, batch, size, dtype=input.dtype) for size in sizes]
        if self.mode == "LSTM" and (isinstance(hx, Tensor) or len(hx) != 2):
            raise ValueError("hx: an LSTM expects the pair (h_0, c_0)")
        states = []
        for name, state, size in zip(("h_0", "c_0"), hx if self.mode == "LSTM" else [hx], sizes, strict=False):
            expected = (layers, batch, size) if batched else (layers, size)
            if tuple(state.shape) != expected:
                raise ValueError(f"hx: Expected {name} of size {expected}, got {tuple(state.shape)}")
            states.append(state if batched else state.unsqueeze(1))
        return states

    def _run(self, data: Tensor, states: list[Tensor], sizes: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
        """All layers over packed rows: data (rows, input_size) -> (rows, directions * size), the last states."""
        directions = 2 if self.bidirectional else 1
        last: list[tuple[Tensor, ...]] = []
        for layer in range(self.num_layers):
            outs = []
            for direction in range(directions):
                number = layer * directions + direction
                weights: list[Any] = list(self.all_weights[number])
                if not self.bias:
                    weights[2:2] = [None, None]
                state = tuple(s[number] for s in states)
                out, state = recurrent_layer(self.mode, data, state, weights, sizes, direction == 1)
                outs.append(out)
                last.append(state)
            data = outs[0] if directions == 1 else cat(outs, dim=1)
            if self.dropout and layer < self.num_layers - 1:
                data = F.dropout(data, self.dropout, self.training)
        return data, [stack(each) for each in zip(*last, strict=True)]

    def _shown(self, states: list[Tensor]) -> Any:
        return tuple(states) if self.mode == "LSTM" else states[0]

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        defaults = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        for name, default in {**defaults, "bidirectional": False}.items():
            value = getattr(self, name)
            text += "" if value == default else f", {name}={value}"
        return text


class RNN(RNNBase):
    """Elman's recurrent network, ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``.

    Parameters
    ----------
    nonlinearity : "tanh" or "relu".

    The others, and the shapes of input and output, are in :class:`RNNBase`, which is called with them.

    >>> import minicnn as mc
    >>> out, h = mc.nn.RNN(3, 5, num_layers=2)(mc.zeros(7, 4, 3))  # 7 steps of 4 sequences
    >>> out.shape, h.shape
    (minicnn.Size([7, 4, 5]), minicnn.Size([2, 4, 5]))

    Raises
    ------
    ValueError : another nonlinearity, a ``proj_size``, or sizes that are not positive.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        _refuse_projection(args, kwargs)
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997).

    Parameters and shapes are in :class:`RNNBase`. The state is the pair of ``h`` and ``c``; with ``proj_size`` h, and so the
    output, has that size.

    >>> import minicnn as mc
    >>> out, (h, c) = mc.nn.LSTM(3, 5, batch_first=True, bidirectional=True)(mc.zeros(4, 7, 3))
    >>> out.shape, h.shape, c.shape
    (minicnn.Size([4, 7, 10]), minicnn.Size([2, 4, 5]), minicnn.Size([2, 4, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014).

    Parameters and shapes are in :class:`RNNBase`.

    >>> import minicnn as mc
    >>> out, h = mc.nn.GRU(3, 5)(mc.zeros(7, 3))  # one sequence, no batch
    >>> out.shape, h.shape
    (minicnn.Size([7, 5]), minicnn.Size([1, 5]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(args, kwargs)
        super().__init__("GRU", *args, **kwargs)


def _refuse_projection(args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
