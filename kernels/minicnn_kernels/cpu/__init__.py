"""Compiled kernels (so far convolution and matrix product; the rest are the reference ones under the same names).
"""

from ..reference.activation import relu_backward_input, relu_forward
from .conv import conv2d_backward_bias, conv2d_backward_input, conv2d_backward_weight, conv2d_forward
from ..reference.dropout import dropout_backward_input, dropout_forward
from ..reference.im2col import col2im, im2col
from .matmul import matmul
from ..reference.norm import (
    batch_norm_backward_eval,
    batch_norm_backward_train,
    batch_norm_forward_eval,
    batch_norm_forward_train,
)
from ..reference.optim import adam_update, sgd_update
from ..reference.pooling import (
    avg_pool2d_backward_input,
    avg_pool2d_forward,
    max_pool2d_backward_input,
    max_pool2d_forward,
)
from ..reference.random import philox_words

__all__ = [
    "adam_update",
    "avg_pool2d_backward_input",
    "avg_pool2d_forward",
    "batch_norm_backward_eval",
    "batch_norm_backward_train",
    "batch_norm_forward_eval",
    "batch_norm_forward_train",
    "col2im",
    "conv2d_backward_bias",
    "conv2d_backward_input",
    "conv2d_backward_weight",
    "conv2d_forward",
    "dropout_backward_input",
    "dropout_forward",
    "im2col",
    "matmul",
    "max_pool2d_backward_input",
    "max_pool2d_forward",
    "philox_words",
    "relu_backward_input",
    "relu_forward",
    "sgd_update",
]
