"""Recurrent cells, one step at a time: ``RNNCell``, ``LSTMCell``, ``GRUCell``. Over whole sequences: ``rnn.py``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minicnn.autograd import Tensor
from minicnn.nn import init
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import empty, zeros
from minicnn.ops.recurrent import recurrent_layer


class RNNCellBase(Module):
    """What the cells share: their parameters, and one step."""

    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        options = {"device": device, "dtype": dtype}
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), **options))
        self.weight_hh = Parameter(empty((rows, hidden_size), **options))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, **options)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew from the default generator."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, mode: str, input: Tensor, states: Sequence[Tensor] | None, n_states: int) -> tuple[Tensor, ...]:
        if input.ndim not in (1, 2):
            raise ValueError(f"{self._get_name()}: Expected input to be 1D or 2D, got {input.ndim}D instead")
        x = input if input.ndim == 2 else input.unsqueeze(0)
        if x.shape[1] != self.input_size:
            raise ValueError(f"input has inconsistent input_size: got {x.shape[1]} expected {self.input_size}")
        if states is None:
            states = [zeros(x.shape[0], self.hidden_size, dtype=x.dtype)] * n_states
        for i, state in enumerate(states):
            expected = (*input.shape[:-1], self.hidden_size)
            if tuple(state.shape) not in (expected, (x.shape[0], self.hidden_size)):
                raise ValueError(f"hx{i}: expected shape {expected} beside this input, got {tuple(state.shape)}")
        states = [state if state.ndim == 2 else state.unsqueeze(0) for state in states]
        weights = (self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        _, last = recurrent_layer(mode, x, tuple(states), weights, [x.shape[0]])
        return last if input.ndim == 2 else tuple(state.squeeze(0) for state in last)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """One step of an RNN: ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)``, or relu.

    Parameters
    ----------
    input_size, hidden_size : features of the input and of the state.
    bias : whether the sums have biases.
    nonlinearity : "tanh" or "relu".
    device, dtype : where and in which floating-point dtype to make the parameters.

    ``cell(input, hx)``: (batch, input_size) or (input_size,), and the state h (zeros by default) -> the next state.

    >>> import minicnn as mc
    >>> mc.nn.RNNCell(3, 5)(mc.zeros(4, 3)).shape
    minicnn.Size([4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The state after one more step."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, None if hx is None else [hx], 1)[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM; the state is the pair of h and c. See :class:`RNNCell` for the parameters.

    >>> import minicnn as mc
    >>> h, c = mc.nn.LSTMCell(3, 5)(mc.zeros(4, 3))
    >>> h.shape, c.shape
    (minicnn.Size([4, 5]), minicnn.Size([4, 5]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The states h and c after one more step."""
        h, c = self._step("LSTM", input, hx, 2)
        return h, c


class GRUCell(RNNCellBase):
    """One step of a GRU. See :class:`RNNCell` for the parameters.

    >>> import minicnn as mc
    >>> mc.nn.GRUCell(3, 5)(mc.zeros(3)).shape
    minicnn.Size([5])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The state after one more step."""
        return self._step("GRU", input, None if hx is None else [hx], 1)[0]
