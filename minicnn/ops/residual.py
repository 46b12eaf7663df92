"""The end of a residual block in one pass: what the compiler puts in the place of an addition and its neighbours.

As in ``fused.py``: each class says which sequence it equals, operands and options are those of the unfused operations,
and nothing is checked here. The kernels are in ``minicnn_kernels/reference/residual.py``, then ``cpu/residual.py``.
"""

from __future__ import annotations

from minicnn_kernels import backend_of

from ..autograd import Op
from .norm import track, without_effect


class AddReLU(Op):
    """``ReLU(Add(a, b))``, nothing broadcast."""

    # y = max(a + b, 0);  dL/da = dL/db = g where y > 0, else 0
    @staticmethod
    def forward(ctx, a, b):
        ctx.kernels = backend_of(a)
        out = ctx.kernels.add_relu_forward(a, b)
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        grad = ctx.kernels.relu_backward_input(grad_out, out)
        return grad, grad


class BatchNormAddReLU(Op):
    """``ReLU(Add(BatchNormTrain(x, weight, bias, offset), other))``, nothing broadcast."""

    # x and other (n, c, ...) -> the same shape; updates the running tensors in place
    @staticmethod
    def forward(ctx, x, weight, bias, other, offset=None, *, eps, momentum, running_mean, running_var):
        ctx.kernels = backend_of(x)
        out, mean, var, inv_std = ctx.kernels.batch_norm_add_relu_forward_train(x, weight, bias, other, eps)
        track(running_mean, running_var, mean, var, x.shape, momentum, offset)
        ctx.save(out, x, weight, mean, inv_std)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        grads = ctx.kernels.batch_norm_add_relu_backward_train(grad_out, *ctx.saved)
        return *grads, *without_effect(ctx, ctx.saved[3], 4)
