"""Differentiable functions: one family a file, forward and backward side by side.

==================  =================================================================
elementwise/        arithmetic, comparison, exp, log, ... with broadcasting
reduction.py        sum, mean, var, max, ...
shape.py            reshape, view, permute, ...
views.py            narrow, diagonal, windows, movedim, ...
joining.py          cat, stack; split, unbind, ...
rearrange.py        flip, roll, repeat, tril, diag, meshgrid, ...
indexing.py         x[index]
gathering.py        gather, scatter, index_add, ...
masking.py          masked_fill, masked_select, ...
sorting.py          sort, topk, median, unique, ...
searching.py        nonzero, searchsorted, bincount, ...
inplace.py          add_, copy_, x[index] = value, ...
filling.py          uniform_, normal_, bernoulli_, ...
matmul.py           matrix products, the linear layer
conv.py             convolution in one, two and three dimensions
conv_transpose.py   its transpose
fold.py             im2col and back
pooling.py          max and average pooling
norm.py             batch normalisation
activation.py       ReLU and other activations made of straight pieces; activation_smooth.py, the curved ones
softmax.py          softmax, log_softmax
dropout.py          dropout
loss.py             cross entropy, mean squared error
creation.py         tensor(data), zeros, arange, ...
sampling.py         rand, randn, multinomial, ...
promotion.py        operands of one type
properties.py       is_tensor, numel, ...
numpy_interop.py    tensors among NumPy's functions
tensor_methods.py   the table that gives Tensor its methods
==================  =================================================================

An operation is an ``Op`` (``minicnn/autograd/op.py``) and a public function above it that checks and promotes. What is heavy
runs in ``minicnn_kernels``; the rest is NumPy, here.
"""

from . import creation as _creation
from . import elementwise as _elementwise
from . import inplace as _inplace
from . import properties as _properties
from . import sampling as _sampling
from . import tensor_methods as _tensor_methods  # hangs the methods on Tensor
from .activation import hardshrink, prelu, relu, relu_, rrelu, rrelu_, threshold, threshold_
from .activation_smooth import celu, celu_, selu, selu_
from .creation import *  # noqa: F403
from .distance import cosine_similarity, pairwise_distance, pdist
from .dropout import dropout
from .elementwise import *  # noqa: F403  the list is elementwise.__all__
from .gathering import (
    gather,
    index_add,
    index_copy,
    index_fill,
    index_put,
    index_reduce,
    index_select,
    put,
    scatter,
    scatter_add,
    scatter_reduce,
    take,
    take_along_dim,
)
from .group_norm import group_norm
from .inplace import fill
from .joining import (
    block_diag,
    cat,
    chunk,
    column_stack,
    concat,
    concatenate,
    dsplit,
    dstack,
    hsplit,
    hstack,
    row_stack,
    split,
    split_with_sizes,
    stack,
    tensor_split,
    unbind,
    vsplit,
    vstack,
)
from .layer_norm import layer_norm, rms_norm
from .masking import (
    masked_fill,
    masked_scatter,
    masked_select,
)
from .matmul import matmul
from .numpy_interop import from_dlpack
from .promotion import result_type
from .properties import *  # noqa: F403
from .rearrange import (
    cartesian_prod,
    combinations,
    diag,
    diag_embed,
    diagflat,
    flip,
    fliplr,
    flipud,
    meshgrid,
    repeat_interleave,
    roll,
    rot90,
    tile,
    tril,
    tril_indices,
    triu,
    triu_indices,
    vander,
)
from .reduction import all, amax, amin, any, argmax, argmin, max, mean, min, std, sum, var
from .sampling import *  # noqa: F403
from .searching import (
    argwhere,
    bincount,
    bucketize,
    histc,
    isin,
    nonzero,
    searchsorted,
)
from .shape import clone, flatten, permute, reshape, squeeze, t, transpose, unsqueeze
from .softmax import log_softmax, softmax
from .sorting import (
    argsort,
    kthvalue,
    median,
    mode,
    msort,
    nanmedian,
    sort,
    topk,
    unique,
    unique_consecutive,
)
from .views import (
    adjoint,
    as_strided,
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_shapes,
    broadcast_tensors,
    broadcast_to,
    diagonal,
    diagonal_copy,
    expand_copy,
    moveaxis,
    movedim,
    narrow,
    narrow_copy,
    permute_copy,
    ravel,
    select,
    select_copy,
    squeeze_copy,
    swapaxes,
    swapdims,
    transpose_copy,
    unflatten,
    unsqueeze_copy,
)

__all__ = [
    "adjoint",
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "as_strided",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "bincount",
    "block_diag",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "bucketize",
    "cartesian_prod",
    "cat",
    "celu",
    "celu_",
    "chunk",
    "clone",
    "column_stack",
    "combinations",
    "concat",
    "concatenate",
    "cosine_similarity",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "diagonal_copy",
    "dropout",
    "dsplit",
    "dstack",
    "expand_copy",
    "fill",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "from_dlpack",
    "gather",
    "group_norm",
    "hardshrink",
    "histc",
    "hsplit",
    "hstack",
    "index_add",
    "index_copy",
    "index_fill",
    "index_put",
    "index_reduce",
    "index_select",
    "isin",
    "kthvalue",
    "layer_norm",
    "log_softmax",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "matmul",
    "max",
    "mean",
    "median",
    "meshgrid",
    "min",
    "mode",
    "moveaxis",
    "movedim",
    "msort",
    "nanmedian",
    "narrow",
    "narrow_copy",
    "nonzero",
    "pairwise_distance",
    "pdist",
    "permute",
    "permute_copy",
    "prelu",
    "put",
    "ravel",
    "relu",
    "relu_",
    "repeat_interleave",
    "reshape",
    "result_type",
    "rms_norm",
    "roll",
    "rot90",
    "row_stack",
    "rrelu",
    "rrelu_",
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "searchsorted",
    "select",
    "select_copy",
    "selu",
    "selu_",
    "softmax",
    "sort",
    "split",
    "split_with_sizes",
    "squeeze",
    "squeeze_copy",
    "stack",
    "std",
    "sum",
    "swapaxes",
    "swapdims",
    "t",
    "take",
    "take_along_dim",
    "tensor_split",
    "threshold",
    "threshold_",
    "tile",
    "topk",
    "transpose",
    "transpose_copy",
    "tril",
    "tril_indices",
    "triu",
    "triu_indices",
    "unbind",
    "unflatten",
    "unique",
    "unique_consecutive",
    "unsqueeze",
    "unsqueeze_copy",
    "vander",
    "var",
    "vsplit",
    "vstack",
]
__all__ += _creation.__all__
__all__ += _elementwise.__all__
__all__ += _properties.__all__
__all__ += _sampling.__all__
globals().update(_inplace.FUNCTIONS)
__all__ += list(_inplace.FUNCTIONS)
