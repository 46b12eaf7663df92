"""Differentiable functions: one family a file, forward and backward side by side.

==================  =================================================================
elementwise/        arithmetic, comparison, exp, log, ... with broadcasting
reduction.py        sum, mean, prod, max, ...
statistics.py       var, std, quantile, cov, ...
cumulative.py       cumsum, cumprod, cummax, diff, ...
norms.py            norm, dist, cdist, ...
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
matmul.py           the matrix product, the linear layer
products.py         mm, bmm, dot, outer, addmm, tensordot, ...; einsum.py
linalg.py           mc.linalg: norms, products and functions of matrices under its names
conv.py             convolution in one, two and three dimensions
conv_transpose.py   its transpose
fold.py             im2col and back
pooling.py          max and average pooling
norm.py             batch normalisation; layer_norm.py, group_norm.py
activation.py       ReLU and other activations made of straight pieces; activation_smooth.py, the curved ones
softmax.py          softmax, log_softmax
dropout.py          dropout
embedding.py        rows of a table, and bags of them
distance.py         normalising, distances of pairs, cosines
attention.py        scaled dot-product attention; multi_head_attention.py, with its projections
recurrent.py        RNN, LSTM, GRU: a layer over all steps
loss.py             cross entropy; loss_regression.py, loss_binary.py, loss_margin.py, ctc.py
from_data.py        tensor(data), from_numpy, ...
creation.py         zeros, arange, ...
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
from . import from_data as _from_data
from . import inplace as _inplace
from . import linalg
from . import properties as _properties
from . import sampling as _sampling
from . import tensor_methods as _tensor_methods  # hangs the methods on Tensor
from .activation import hardshrink, prelu, relu, relu_, rrelu, rrelu_, threshold, threshold_
from .activation_smooth import celu, celu_, selu, selu_
from .creation import *  # noqa: F403
from .cumulative import (
    cummax,
    cummin,
    cumprod,
    cumsum,
    cumulative_trapezoid,
    diff,
    logcumsumexp,
    trapezoid,
    trapz,
)
from .distance import cosine_similarity, pairwise_distance, pdist
from .dropout import alpha_dropout, dropout, feature_alpha_dropout
from .einsum import (
    einsum,
)
from .elementwise import *  # noqa: F403  the list is elementwise.__all__
from .from_data import *  # noqa: F403
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
from .norms import (
    cdist,
    dist,
    norm,
    renorm,
)
from .numpy_interop import from_dlpack
from .other_names import named
from .out import WITH_OUT, takes_out
from .products import (
    addbmm,
    addmm,
    addmv,
    addr,
    baddbmm,
    bmm,
    chain_matmul,
    cross,
    dot,
    ger,
    inner,
    kron,
    mm,
    mv,
    outer,
    tensordot,
    trace,
    vdot,
)
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
from .reduction import (
    all,
    amax,
    amin,
    aminmax,
    any,
    argmax,
    argmin,
    count_nonzero,
    logsumexp,
    max,
    mean,
    min,
    nanmean,
    nansum,
    prod,
    sum,
)
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
from .statistics import (
    corrcoef,
    cov,
    nanquantile,
    quantile,
    std,
    std_mean,
    var,
    var_mean,
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
    "addbmm",
    "addmm",
    "addmv",
    "addr",
    "adjoint",
    "all",
    "alpha_dropout",
    "amax",
    "amin",
    "aminmax",
    "any",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "as_strided",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "baddbmm",
    "bincount",
    "block_diag",
    "bmm",
    "broadcast_shapes",
    "broadcast_tensors",
    "broadcast_to",
    "bucketize",
    "cartesian_prod",
    "cat",
    "cdist",
    "celu",
    "celu_",
    "chain_matmul",
    "chunk",
    "clone",
    "column_stack",
    "combinations",
    "concat",
    "concatenate",
    "corrcoef",
    "cosine_similarity",
    "count_nonzero",
    "cov",
    "cross",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "cumulative_trapezoid",
    "diag",
    "diag_embed",
    "diagflat",
    "diagonal",
    "diagonal_copy",
    "diff",
    "dist",
    "dot",
    "dropout",
    "dsplit",
    "dstack",
    "einsum",
    "expand_copy",
    "feature_alpha_dropout",
    "fill",
    "flatten",
    "flip",
    "fliplr",
    "flipud",
    "from_dlpack",
    "gather",
    "ger",
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
    "inner",
    "isin",
    "kron",
    "kthvalue",
    "layer_norm",
    "linalg",
    "log_softmax",
    "logcumsumexp",
    "logsumexp",
    "masked_fill",
    "masked_scatter",
    "masked_select",
    "matmul",
    "max",
    "mean",
    "median",
    "meshgrid",
    "min",
    "mm",
    "mode",
    "moveaxis",
    "movedim",
    "msort",
    "mv",
    "nanmean",
    "nanmedian",
    "nanquantile",
    "nansum",
    "narrow",
    "narrow_copy",
    "nonzero",
    "norm",
    "outer",
    "pairwise_distance",
    "pdist",
    "permute",
    "permute_copy",
    "prelu",
    "prod",
    "put",
    "quantile",
    "ravel",
    "relu",
    "relu_",
    "renorm",
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
    "std_mean",
    "sum",
    "swapaxes",
    "swapdims",
    "t",
    "take",
    "take_along_dim",
    "tensor_split",
    "tensordot",
    "threshold",
    "threshold_",
    "tile",
    "topk",
    "trace",
    "transpose",
    "transpose_copy",
    "trapezoid",
    "trapz",
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
    "var_mean",
    "vdot",
    "vsplit",
    "vstack",
]
__all__ += _creation.__all__
__all__ += _elementwise.__all__
__all__ += _from_data.__all__
__all__ += _properties.__all__
__all__ += _sampling.__all__
globals().update(_inplace.FUNCTIONS)
__all__ += list(_inplace.FUNCTIONS)
globals().update(named({name: globals()[name] for name in __all__}))
globals().update({name: takes_out(globals()[name]) for name in WITH_OUT.split()})
