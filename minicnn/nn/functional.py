"""``minicnn.nn.functional``: the functions behind the layers, with torch's names and signatures.

Each lives in a family's file in ``minicnn/ops``, with its formula, forward and backward; this file only gathers them.
"""

from ..ops.activation import log_softmax, relu, softmax
from ..ops.attention import scaled_dot_product_attention
from ..ops.conv import conv1d, conv2d, conv3d
from ..ops.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..ops.dropout import dropout
from ..ops.elementwise import sigmoid, tanh
from ..ops.fold import fold, unfold
from ..ops.loss import cross_entropy, mse_loss, nll_loss
from ..ops.matmul import linear
from ..ops.multi_head_attention import multi_head_attention_forward
from ..ops.norm import batch_norm
from ..ops.padding import pad
from ..ops.pooling import avg_pool2d, max_pool2d

__all__ = [
    "avg_pool2d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "dropout",
    "fold",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "multi_head_attention_forward",
    "nll_loss",
    "pad",
    "relu",
    "scaled_dot_product_attention",
    "sigmoid",
    "softmax",
    "tanh",
    "unfold",
]
