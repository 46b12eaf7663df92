"""Matrix products, and the linear layer made of one.

For Y = A B: grad_A = grad_Y B^T, grad_B = A^T grad_Y. Floating-point products run on the kernels' own GEMM
(``minicnn_kernels/*/matmul.py``); transposes are views that it reads without a copy.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn_kernels import backend_of

from ..autograd import Op, Tensor
from .promotion import require_same_dtype


class MatMul(Op):
    # a (..., m, k), b (..., k, n) -> (..., m, n)
    @staticmethod
    def forward(ctx, a, b):
        ctx.kernels = backend_of(a)
        ctx.save(a if ctx.needs_input_grad[1] else None, b if ctx.needs_input_grad[0] else None)
        return ctx.kernels.matmul(a, b)

    @staticmethod
    def backward(ctx, grad_out):
        a, b = ctx.saved
        grad_a = None if b is None else ctx.kernels.matmul(grad_out, np.swapaxes(b, -1, -2))  # (..., m, k)
        grad_b = None if a is None else ctx.kernels.matmul(np.swapaxes(a, -1, -2), grad_out)  # (..., k, n)
        return grad_a, grad_b


class Linear(Op):
    # x (..., in), weight (out, in), bias (out,) -> x weight^T + bias (..., out)
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.kernels = backend_of(x)
        ctx.save(x if ctx.needs_input_grad[1] else None, weight if ctx.needs_input_grad[0] else None)
        rows = as_rows(x)  # (..., in) -> (rows, in)
        out = ctx.kernels.matmul(rows, weight.T)
        if bias is not None:
            out += bias
        return out.reshape(*x.shape[:-1], weight.shape[0])  # (rows, out) -> (..., out)

    @staticmethod
    def backward(ctx, grad_out):
        return linear_gradients(ctx, grad_out, *ctx.saved)


def linear_gradients(ctx, grad_out, x, weight):
    """The gradients of a linear layer's three operands, each where it is wanted (x and weight are None otherwise)."""
    grad_rows = as_rows(grad_out)  # (..., out) -> (rows, out)
    grad_x = grad_weight = grad_bias = None
    if weight is not None:
        grad_x = ctx.kernels.matmul(grad_rows, weight)
        grad_x = grad_x if grad_out.ndim == 2 else grad_x.reshape(*grad_out.shape[:-1], weight.shape[1])
    if x is not None:
        grad_weight = ctx.kernels.matmul(grad_rows.T, as_rows(x))
    if ctx.needs_input_grad[2]:
        grad_bias = grad_rows.sum(axis=0)
    return grad_x, grad_weight, grad_bias


def as_rows(x: np.ndarray) -> np.ndarray:
    """(..., k) -> (rows, k), also where k is 0 and a -1 would have no meaning."""
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product; dimensions before the last two broadcast, vectors are rows on the left and columns on the right.

    >>> import minicnn as mc
    >>> a = mc.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> a @ mc.tensor([1.0, 1.0])
    tensor([3., 7.])

    Raises
    ------
    ValueError : where the inner sizes differ, or an operand is a single number.
    TypeError : where the types differ (torch does not promote here).
    """
    for name, x in (("input", input), ("other", other)):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: expected a Tensor, got {type(x).__name__}")
        if x.ndim == 0:
            raise ValueError(f"{name}: matmul needs at least one dimension; multiply by a number with *")
    if input._array.dtype != other._array.dtype:
        raise TypeError(
            f"other: matmul needs one type, got {input.dtype} and {other.dtype}; convert with .to({input.dtype})"
        )
    inner, rows = input.shape[-1], other.shape[0 if other.ndim == 1 else -2]
    if inner != rows:
        raise ValueError(
            f"other: matmul needs as many rows as input has columns, got {tuple(input.shape)} @ {tuple(other.shape)}: "
            f"{inner} and {rows}"
        )
    if input._array.dtype.kind != "f":
        if input._array.dtype == bool:
            raise TypeError("matmul: bool matrices have no product; convert with .float()")
        return Tensor(np.asarray(np.matmul(input._array, other._array)))
    a = input.unsqueeze(0) if input.ndim == 1 else input  # (k,) -> (1, k)
    b = other.unsqueeze(1) if other.ndim == 1 else other  # (k,) -> (k, 1)
    out = MatMul.apply(a, b)
    if other.ndim == 1:
        out = out.squeeze(-1)
    if input.ndim == 1:
        out = out.squeeze(-1 if other.ndim == 1 else -2)
    return out


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``input @ weight.T + bias``.

    Parameters
    ----------
    input : (..., in_features)
    weight : (out_features, in_features), or (in_features,) for one output without a dimension
    bias : (out_features,) or None

    Returns
    -------
    (..., out_features)

    >>> import minicnn as mc
    >>> mc.nn.functional.linear(mc.tensor([[1.0, 2.0]]), mc.tensor([[3.0, 4.0]]), mc.tensor([10.0]))
    tensor([[21.]])

    Raises
    ------
    ValueError : where the sizes do not fit; TypeError : where the types differ.
    """
    if (
        isinstance(input, Tensor)
        and isinstance(weight, Tensor)
        and (weight.ndim == 1 or input._array.dtype.kind in "iu")
    ):
        out = matmul(input, weight if weight.ndim == 1 else weight.T)
        return out if bias is None else out + bias
    require_same_dtype("linear", input=input, weight=weight, bias=bias)
    if weight.ndim != 2:
        raise ValueError(f"weight: linear needs (out_features, in_features), got shape {tuple(weight.shape)}")
    if input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"input: linear needs the last size to be in_features = {weight.shape[1]} (weight is "
            f"{tuple(weight.shape)}), got shape {tuple(input.shape)}"
        )
    if bias is not None and tuple(bias.shape) != (weight.shape[0],):
        raise ValueError(f"bias: linear needs shape ({weight.shape[0]},), got {tuple(bias.shape)}")
    return Linear.apply(input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y_o = input1 weight_o input2 + bias_o``: a form that is linear in each of two inputs.

    Parameters
    ----------
    input1 : (..., in1)
    input2 : (..., in2), of the same shape but for the last size
    weight : (out, in1, in2)
    bias : (out,) or None

    Returns
    -------
    (..., out)

    >>> import minicnn as mc
    >>> mc.nn.functional.bilinear(mc.tensor([[1.0, 2.0]]), mc.tensor([[3.0]]), mc.tensor([[[1.0], [1.0]]]))
    tensor([[9.]])

    Raises
    ------
    ValueError : where the sizes do not fit; TypeError : where the types differ.
    """
    for name, x in (("input2", input2), ("weight", weight), ("bias", bias)):
        if x is not None and x.dtype is not input1.dtype:
            raise TypeError(f"{name}: bilinear needs one type for all its tensors, got {x.dtype} and {input1.dtype}")
    if weight.ndim != 3:
        raise ValueError(f"weight: bilinear needs (out, in1, in2), got shape {tuple(weight.shape)}")
    out, in1, in2 = weight.shape
    lead = tuple(input1.shape[:-1])
    if not input1.ndim or input1.shape[-1] != in1 or tuple(input2.shape) != (*lead, in2):
        raise ValueError(
            f"input1, input2: bilinear needs (..., {in1}) and (..., {in2}) for weight {tuple(weight.shape)}, got "
            f"{tuple(input1.shape)} and {tuple(input2.shape)}"
        )
    if bias is not None and tuple(bias.shape) != (out,):
        raise ValueError(f"bias: bilinear needs shape ({out},), got {tuple(bias.shape)}")
    columns = weight.permute(1, 0, 2).reshape(in1, out * in2)  # (out, in1, in2) -> (in1, out*in2)
    half = matmul(input1.reshape(math.prod(lead), in1), columns).reshape(*lead, out, in2)
    y = (half * input2.unsqueeze(-2)).sum(-1, dtype=input1.dtype)  # (..., out, in2) * (..., 1, in2) -> (..., out)
    return y if bias is None else y + bias
