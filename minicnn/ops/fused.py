"""Several operations in one: what the compiler puts in the place of a sequence that it recognises.

Each class says which sequence it equals, values, gradients and running statistics alike up to rounding; the kernels
(``minicnn_kernels/reference/fused.py``, then ``cpu/fused.py``) save the memory traffic between the steps. Operands and
options are those of the unfused operations, in their order. Nothing is checked here: the operations that are replaced
have been called once with the same shapes.
"""

from __future__ import annotations

import numpy as np

from minicnn_kernels import backend_of, current_conv_algorithm

from ..autograd import Op
from .conv import conv_gradients
from .matmul import Linear, as_rows, linear_gradients
from .norm import track, without_effect


class BatchNormReLU(Op):
    """``ReLU(BatchNormTrain(x, weight, bias, offset))``."""

    # x (n, c, ...) -> the same shape; updates the running tensors in place
    @staticmethod
    def forward(ctx, x, weight, bias, offset=None, *, eps, momentum, running_mean, running_var):
        ctx.kernels = backend_of(x)
        out, mean, var, inv_std = ctx.kernels.batch_norm_relu_forward_train(x, weight, bias, eps)
        track(running_mean, running_var, mean, var, x.shape, momentum, offset)
        ctx.save(out, x, weight, mean, inv_std)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        grads = ctx.kernels.batch_norm_relu_backward_train(grad_out, *ctx.saved)
        return *grads, *without_effect(ctx, ctx.saved[3], 3)


class BatchNormReLUMaxPool2d(Op):
    """``MaxPool2d(ReLU(BatchNormTrain(x, weight, bias, offset)))``."""

    # x (n, c, h, w) -> (n, c, h_out, w_out); updates the running tensors in place
    @staticmethod
    def forward(ctx, x, weight, bias, offset=None, *, eps, momentum, running_mean, running_var, window, ceil_mode):
        ctx.kernels = backend_of(x)
        ctx.window, ctx.ceil_mode = window, ceil_mode
        out, winners, mean, var, inv_std = ctx.kernels.batch_norm_relu_max_pool2d_forward_train(
            x, weight, bias, eps, *window, ceil_mode
        )
        track(running_mean, running_var, mean, var, x.shape, momentum, offset)
        ctx.save(winners, x, weight, mean, inv_std)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        pooling = *ctx.window, ctx.ceil_mode
        grads = ctx.kernels.batch_norm_relu_max_pool2d_backward_train(grad_out, *ctx.saved, *pooling)
        return *grads, *without_effect(ctx, ctx.saved[3], 3)


class Conv2dBatchNormReLUMaxPool2d(Op):
    """``MaxPool2d(ReLU(BatchNormTrain(Conv2d(x, weight, bias), gamma, beta)))``."""

    # x (n, c_in, h, w), weight (c, c_in / groups, kh, kw), bias, gamma, beta (c,) -> (n, c, h_out, w_out); the bias moves
    # the running mean alone (norm.py, without_effect)
    @staticmethod
    def forward(
        ctx,
        x,
        weight,
        bias,
        gamma,
        beta,
        *,
        stride,
        padding,
        dilation,
        groups,
        eps,
        momentum,
        running_mean,
        running_var,
        window,
        ceil_mode,
    ):
        ctx.kernels = backend_of(x)
        ctx.windows = (stride, padding, dilation, groups, current_conv_algorithm()), (*window, ceil_mode)
        ctx.shapes = x.shape, weight.shape
        arguments = x, weight, gamma, beta, eps, *ctx.windows
        out, winners, y, mean, var, inv_std = ctx.kernels.conv_batch_norm_relu_max_pool2d_forward_train(*arguments)
        track(running_mean, running_var, mean, var, y.shape, momentum, bias)
        operands = x if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None
        ctx.save(winners, y, gamma, mean, inv_std, *operands)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        arguments = grad_out, *ctx.saved, *ctx.shapes, *ctx.windows
        grad_x, grad_weight, *grads = ctx.kernels.conv_batch_norm_relu_max_pool2d_backward_train(*arguments)
        grad_bias = np.zeros_like(ctx.saved[3]) if ctx.needs_input_grad[2] else None
        return grad_x, grad_weight, grad_bias, *grads


class Conv2dReLU(Op):
    """``ReLU(Conv2d(x, weight, bias))``."""

    # x (n, c_in, h, w), weight (c_out, c_in / groups, kh, kw), bias (c_out,) -> (n, c_out, h_out, w_out)
    @staticmethod
    def forward(ctx, x, weight, bias, *, stride, padding, dilation, groups):
        ctx.kernels = backend_of(x)
        ctx.window = stride, padding, dilation, groups, current_conv_algorithm()  # backward keeps to it
        ctx.x_shape, ctx.weight_shape = x.shape, weight.shape
        out = ctx.kernels.conv2d_relu_forward(x, weight, bias, *ctx.window)
        ctx.save(out, x if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        out, x, weight = ctx.saved
        return conv_gradients(ctx, ctx.kernels.relu_backward_input(grad_out, out), x, weight)


class LinearReLU(Op):
    """``ReLU(Linear(x, weight, bias))``."""

    # x (..., in), weight (out, in), bias (out,) -> max(x weight^T + bias, 0) (..., out)
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.kernels = backend_of(x)
        out = ctx.kernels.linear_relu_forward(as_rows(x), weight, bias)
        out = out.reshape(*x.shape[:-1], weight.shape[0])  # (rows, out) -> (..., out)
        ctx.save(out, x if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        out, x, weight = ctx.saved
        return linear_gradients(ctx, ctx.kernels.relu_backward_input(grad_out, out), x, weight)


class LinearReLUDropout(Op):
    """``Dropout(ReLU(Linear(x, weight, bias)))``."""

    # x (..., in), weight (out, in), bias (out,) -> (..., out)
    @staticmethod
    def forward(ctx, x, weight, bias, *, p, generator):
        y = Linear.forward(ctx, x, weight, bias)
        ctx.p = p
        out = ctx.kernels.relu_dropout_forward(y, p, *generator.reserve(y.size))
        ctx.save(out, x if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        out, x, weight = ctx.saved
        return linear_gradients(ctx, ctx.kernels.relu_dropout_backward_input(grad_out, out, ctx.p), x, weight)


class ReLUDropout(Op):
    """``Dropout(ReLU(x))``. The result says which elements were kept, so the backward pass draws no mask again."""

    # y = max(x, 0) m / (1 - p), m a mask of 0 and 1;  dL/dx = g / (1 - p) where y > 0, else 0
    @staticmethod
    def forward(ctx, x, *, p, generator):
        ctx.kernels = backend_of(x)
        ctx.p = p
        out = ctx.kernels.relu_dropout_forward(x, p, *generator.reserve(x.size))
        ctx.save(out)
        return out

    @staticmethod
    def backward(ctx, grad_out):
        (out,) = ctx.saved
        return ctx.kernels.relu_dropout_backward_input(grad_out, out, ctx.p)
