"""The teaching version of every kernel: plain NumPy, a few lines each, and the oracle of the fast ones' tests.

The maths of each kernel is explained here, beside the short code; ``cpu/`` has a file of the same name that computes
the same thing fast. Read ``im2col.py`` and ``conv.py`` first. Logical shapes are PyTorch's: images are (n, c, h, w).
"""

from .activation import activation_backward_input, activation_forward, relu_backward_input, relu_forward
from .attention import attention_backward, attention_forward
from .conv import conv_backward_bias, conv_backward_input, conv_backward_weight, conv_forward
from .conv_norm import (
    conv_batch_norm_relu_max_pool2d_backward_train,
    conv_batch_norm_relu_max_pool2d_forward_train,
)
from .ctc import ctc_loss_backward, ctc_loss_forward
from .dropout import dropout_backward_input, dropout_forward
from .fused import (
    batch_norm_relu_backward_train,
    batch_norm_relu_forward_train,
    batch_norm_relu_max_pool2d_backward_train,
    batch_norm_relu_max_pool2d_forward_train,
    conv2d_relu_forward,
    linear_relu_forward,
    relu_dropout_backward_input,
    relu_dropout_forward,
)
from .group_norm import group_norm_backward, group_norm_forward
from .im2col import col2im, im2col
from .layer_norm import layer_norm_backward, layer_norm_forward, layer_norm_launches
from .layout import copy_into, row_major
from .matmul import matmul, prepare_matmul
from .norm import batch_norm_backward_eval, batch_norm_backward_train, batch_norm_forward_eval, batch_norm_forward_train
from .optim import adam_update, sgd_update
from .optim_rules import (
    adadelta_update,
    adagrad_update,
    adamax_update,
    asgd_update,
    nadam_update,
    radam_update,
    rmsprop_update,
    rprop_update,
)
from .pooling import avg_pool_backward_input, avg_pool_forward, max_pool_backward_input, max_pool_forward
from .prepared import prepare_conv
from .random import philox_words
from .resample import resample
from .residual import add_relu_forward, batch_norm_add_relu_backward_train, batch_norm_add_relu_forward_train
from .sample import sample_backward_input, sample_backward_weights, sample_forward
from .selection import kthvalue_forward, topk_forward
from .special import (
    digamma_forward,
    erf_forward,
    erfc_forward,
    erfinv_forward,
    lgamma_forward,
    trigamma_forward,
)
from .standing_attention import attention_launches
from .standing_conv import conv_launches
from .standing_gate import gate_launches
from .standing_product import linear_launches

__all__ = [
    "activation_backward_input",
    "activation_forward",
    "adadelta_update",
    "adagrad_update",
    "adam_update",
    "adamax_update",
    "add_relu_forward",
    "asgd_update",
    "attention_backward",
    "attention_forward",
    "attention_launches",
    "avg_pool_backward_input",
    "avg_pool_forward",
    "batch_norm_add_relu_backward_train",
    "batch_norm_add_relu_forward_train",
    "batch_norm_backward_eval",
    "batch_norm_backward_train",
    "batch_norm_forward_eval",
    "batch_norm_forward_train",
    "batch_norm_relu_backward_train",
    "batch_norm_relu_forward_train",
    "batch_norm_relu_max_pool2d_backward_train",
    "batch_norm_relu_max_pool2d_forward_train",
    "col2im",
    "conv2d_relu_forward",
    "conv_backward_bias",
    "conv_backward_input",
    "conv_backward_weight",
    "conv_batch_norm_relu_max_pool2d_backward_train",
    "conv_batch_norm_relu_max_pool2d_forward_train",
    "conv_forward",
    "conv_launches",
    "copy_into",
    "ctc_loss_backward",
    "ctc_loss_forward",
    "digamma_forward",
    "dropout_backward_input",
    "dropout_forward",
    "erf_forward",
    "erfc_forward",
    "erfinv_forward",
    "gate_launches",
    "group_norm_backward",
    "group_norm_forward",
    "im2col",
    "kthvalue_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "layer_norm_launches",
    "lgamma_forward",
    "linear_launches",
    "linear_relu_forward",
    "matmul",
    "max_pool_backward_input",
    "max_pool_forward",
    "nadam_update",
    "philox_words",
    "prepare_conv",
    "prepare_matmul",
    "radam_update",
    "relu_backward_input",
    "relu_dropout_backward_input",
    "relu_dropout_forward",
    "relu_forward",
    "resample",
    "rmsprop_update",
    "row_major",
    "rprop_update",
    "sample_backward_input",
    "sample_backward_weights",
    "sample_forward",
    "sgd_update",
    "topk_forward",
    "trigamma_forward",
]
