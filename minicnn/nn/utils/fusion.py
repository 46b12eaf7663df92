"""Batch norm in evaluation mode is a multiplication and an addition: it can be taken into the layer before it."""

from __future__ import annotations

import copy
from typing import TypeVar

from minicnn.autograd import Tensor
from minicnn.nn.module import Module
from minicnn.nn.parameter import Parameter
from minicnn.ops import ones_like, rsqrt, zeros_like

AnyModule = TypeVar("AnyModule", bound=Module)


def fuse_conv_bn_eval(conv: AnyModule, bn: Module, transpose: bool = False) -> AnyModule:
    """One convolution that computes what ``conv`` and then ``bn`` compute in evaluation mode.

    Parameters
    ----------
    conv : a convolution; it is copied.
    bn : the batch norm behind it, with running statistics.
    transpose : whether ``conv`` is a transposed convolution.

    Raises
    ------
    AssertionError : one of them is in training mode, or ``bn`` keeps no statistics.

    >>> import minicnn as mc
    >>> conv, bn = mc.nn.Conv2d(1, 2, 3).eval(), mc.nn.BatchNorm2d(2).eval()
    >>> fused = fuse_conv_bn_eval(conv, bn)
    >>> x = mc.rand(1, 1, 4, 4)
    >>> bool((fused(x) - bn(conv(x))).abs().max() < 1e-6)
    True
    """
    return _fused(conv, bn, transpose)


def fuse_conv_bn_weights(
    conv_w: Tensor,
    conv_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor | None,
    bn_b: Tensor | None,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the one layer: ``w * s`` and ``(b - mean) * s + beta``, with ``s = gamma / sqrt(var + eps)``.

    Parameters
    ----------
    conv_w, conv_b : the convolution's weight and bias, or None.
    bn_rm, bn_rv, bn_eps : mean, variance and eps of the batch norm.
    bn_w, bn_b : gamma and beta, or None.
    transpose : outputs are in the second dimension of the weight, as in a transposed convolution.
    """
    conv_b = zeros_like(bn_rm) if conv_b is None else conv_b
    bn_w = ones_like(bn_rm) if bn_w is None else bn_w
    bn_b = zeros_like(bn_rm) if bn_b is None else bn_b
    scale = bn_w * rsqrt(bn_rv + bn_eps)
    shape = [1] * conv_w.ndim
    shape[1 if transpose else 0] = -1
    weight = (conv_w * scale.reshape(*shape)).to(conv_w.dtype)
    bias = ((conv_b - bn_rm) * scale + bn_b).to(conv_b.dtype)
    return (
        Parameter(weight.detach(), requires_grad=conv_w.requires_grad),
        Parameter(bias.detach(), requires_grad=conv_b.requires_grad),
    )


def fuse_linear_bn_eval(linear: AnyModule, bn: Module) -> AnyModule:
    """One linear layer that computes what ``linear`` and then ``bn`` compute in evaluation mode.

    Raises
    ------
    AssertionError : one of them is in training mode, or ``bn`` has neither as many channels as ``linear`` outputs nor 1.
    """
    assert linear.out_features == bn.num_features or bn.num_features == 1, (
        "To fuse, linear.out_features == bn.num_features or bn.num_features == 1"
    )
    return _fused(linear, bn, False)


def fuse_linear_bn_weights(
    linear_w: Tensor,
    linear_b: Tensor | None,
    bn_rm: Tensor,
    bn_rv: Tensor,
    bn_eps: float,
    bn_w: Tensor,
    bn_b: Tensor,
) -> tuple[Parameter, Parameter]:
    """As ``fuse_conv_bn_weights``, for a linear layer's weight (outputs, inputs)."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def _fused(layer: AnyModule, bn: Module, transpose: bool) -> AnyModule:
    assert not layer.training, "Fusion only for eval!"
    assert not bn.training, "Fusion only for eval!"
    assert bn.running_mean is not None, "bn keeps no running statistics"
    assert bn.running_var is not None, "bn keeps no running statistics"
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
    )
    return fused
