"""Differentiable functions: one family a file, forward and backward side by side.

==================  =================================================================
elementwise.py      arithmetic, comparison, exp, log, ... with broadcasting
reduction.py        sum, mean, var, max, ...
shape.py            reshape, view, permute, cat, ...
indexing.py         x[index]
inplace.py          add_, copy_, x[index] = value, ...
matmul.py           matrix products, the linear layer
conv.py             convolution, im2col
pooling.py          max and average pooling
norm.py             batch normalisation
activation.py       ReLU, softmax
dropout.py          dropout
loss.py             cross entropy, mean squared error
creation.py         zeros, randn, tensor(data), ...
promotion.py        operands of one type
tensor_methods.py   the table that gives Tensor its methods
==================  =================================================================

An operation is an ``Op`` (``minicnn/autograd/op.py``) and a public function above it that checks and promotes. What is heavy
runs in ``minicnn_kernels``; the rest is NumPy, here.
"""

from . import tensor_methods as _tensor_methods  # hangs the methods on Tensor
from .activation import log_softmax, relu, softmax
from .creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    tensor,
    zeros,
    zeros_like,
)
from .dropout import dropout
from .elementwise import (
    abs,
    add,
    allclose,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    clamp,
    div,
    eq,
    equal,
    exp,
    floor_divide,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    log,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    pow,
    remainder,
    sigmoid,
    sqrt,
    square,
    sub,
    tanh,
    where,
)
from .matmul import matmul
from .promotion import result_type
from .reduction import all, amax, amin, any, argmax, argmin, max, mean, min, std, sum, var
from .shape import (
    cat,
    chunk,
    flatten,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    t,
    transpose,
    unsqueeze,
)

__all__ = [
    "abs",
    "add",
    "all",
    "allclose",
    "amax",
    "amin",
    "any",
    "arange",
    "argmax",
    "argmin",
    "as_tensor",
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "cat",
    "chunk",
    "clamp",
    "div",
    "dropout",
    "empty",
    "empty_like",
    "eq",
    "equal",
    "exp",
    "eye",
    "flatten",
    "floor_divide",
    "from_numpy",
    "full",
    "full_like",
    "ge",
    "gt",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "linspace",
    "log",
    "log_softmax",
    "lt",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "mul",
    "ne",
    "neg",
    "ones",
    "ones_like",
    "permute",
    "pow",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "relu",
    "remainder",
    "reshape",
    "result_type",
    "sigmoid",
    "softmax",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "std",
    "sub",
    "sum",
    "t",
    "tanh",
    "tensor",
    "transpose",
    "unsqueeze",
    "var",
    "where",
    "zeros",
    "zeros_like",
]
