"""What the compiler makes of a network's layers for inference: each with all that follows it, before memory sees the result.

As in ``fused.py``: each class says which sequence it equals, and nothing is checked here. There is no backward: these are
for evaluation without gradients. ``forward`` spells the sequence out, with the kernels of the plain operations; ``launches``
is what a plan on fixed memory (``minicnn/compiler/fixed.py``) makes ready once.
"""

from __future__ import annotations

from minicnn_kernels import backend_of, current_conv_algorithm

from ..autograd import Op
from .matmul import as_rows


def activated(kernels, y, activation, numbers):
    """The activation by its kernel's name, "" for none."""
    if activation in ("", "relu"):
        return kernels.relu_forward(y) if activation else y
    return kernels.activation_forward(activation, y, *numbers)


class ConvEpilogue(Op):
    """``f(Conv2d(x * gate, weight, bias) + other)``; gate and other may be None, and f nothing."""

    # x (n, c_in, h, w), gate (n, c_in, 1, 1), other (n, c_out, h_out, w_out) -> (n, c_out, h_out, w_out)
    @staticmethod
    def forward(ctx, x, weight, bias, other=None, gate=None, *, activation="", numbers=(), **window):
        kernels = backend_of(x)
        arguments = x if gate is None else x * gate, weight, bias, *window.values(), current_conv_algorithm()
        if other is None and activation == "relu":
            return kernels.conv2d_relu_forward(*arguments)
        y = kernels.conv_forward(*arguments)
        if activation == "relu":
            return kernels.add_relu_forward(y, other)
        return activated(kernels, y if other is None else y + other, activation, numbers)

    @staticmethod
    def launches(out, kept, x, weight, bias, other=None, gate=None, *, activation="", numbers=(), **window):
        arguments = *window.values(), current_conv_algorithm(), activation, numbers
        return backend_of(x).conv_launches(x, weight, bias, other, gate, *arguments, out, kept)


class LinearEpilogue(Op):
    """``f(Linear(x, weight, bias) + other)``; other may be None, and f nothing."""

    # x (..., in), weight (out, in), other (..., out) -> (..., out)
    @staticmethod
    def forward(ctx, x, weight, bias, other=None, *, activation="", numbers=()):
        kernels = backend_of(x)
        y = kernels.matmul(as_rows(x), weight.T).reshape(*x.shape[:-1], weight.shape[0])
        y = y if bias is None else y + bias
        return activated(kernels, y if other is None else y + other, activation, numbers)

    @staticmethod
    def launches(out, kept, x, weight, bias, other=None, *, activation="", numbers=()):
        return backend_of(x).linear_launches(x, weight, bias, other, activation, numbers, out, kept)


class SqueezeExcite(Op):
    """Squeeze-and-excitation's gate: ``g(Conv2d(f(Conv2d(mean of x over the image, ...)), ...))``, 1x1 convolutions."""

    # x (n, c, h, w), weight_1 (s, c, 1, 1), weight_2 (c, s, 1, 1) -> (n, c, 1, 1)
    @staticmethod
    def forward(ctx, x, weight_1, bias_1, weight_2, bias_2, *, activation, gate):
        kernels = backend_of(x)
        y = x.mean(axis=(2, 3), keepdims=True)
        for weight, bias, name in ((weight_1, bias_1, activation), (weight_2, bias_2, gate)):
            y = kernels.conv_forward(y, weight, bias, (1, 1), (0, 0), (1, 1), 1, "auto")
            y = activated(kernels, y, name, ())
        return y

    @staticmethod
    def launches(out, kept, x, weight_1, bias_1, weight_2, bias_2, *, activation, gate):
        return backend_of(x).gate_launches(x, weight_1, bias_1, weight_2, bias_2, activation, gate, out, kept)
