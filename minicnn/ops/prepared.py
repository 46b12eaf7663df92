"""Layers whose weights do not change: what the compiler puts in the place of convolutions where no gradient is wanted.

As in ``fused.py``, each says which sequence it equals; the weights, or what they were folded into, are not operands but part
of the operation, in the form that the kernels work with (``minicnn_kernels/cpu/prepared.py``). The plan that it belongs to
ends with the versions of the tensors that they came from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels import backend_of, current_conv_algorithm

from ..autograd import Op


class FixedConv2d:
    """A convolution with its weights: a function of x, and maybe of what is added to the result."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None, window: dict[str, Any], rectify: bool):
        self.operands, self.window, self.rectify = (weight, bias), window, rectify
        self._prepared: tuple[Any, Callable[..., np.ndarray]] | None = None  # for the last algorithm

    def __call__(self, x: np.ndarray, other: np.ndarray | None) -> np.ndarray:
        kind = backend_of(x), current_conv_algorithm(), x.shape
        prepared = self._prepared
        if prepared is None or prepared[0] != kind:
            kernels, algorithm, shape = kind
            window = (self.window[name] for name in ("stride", "padding", "dilation", "groups"))
            prepared = kind, kernels.prepare_conv(*self.operands, shape, *window, algorithm, self.rectify)
            self._prepared = prepared
        return prepared[1](x, other)


class PreparedConv2d(Op):
    """``Conv2d(x, weight, bias)``, ``Add(Conv2d(x, weight, bias), other)``, or ``ReLU`` of either; nothing broadcast."""

    # x (n, c_in, h, w), other (n, c_out, h_out, w_out) -> the same shape. There is no backward: it is not recorded.
    @staticmethod
    def forward(ctx, x, other=None, *, layer):
        return layer(x, other)
