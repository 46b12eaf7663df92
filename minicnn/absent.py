"""Names of torch that are not here, and what to do instead: asking for one says so.

``mc.svd`` raises :class:`NotThere`, an AttributeError (so that ``hasattr`` is False) and a NotImplementedError in one. The
table below has a line for each reason; ``docs/torch_coverage.md`` is made from it.
"""

from __future__ import annotations

import fnmatch
import functools


class NotThere(NotImplementedError, AttributeError):
    """A name of torch that minicnn does not have. The message says what to use instead."""


# (names, as patterns; what to do instead). The first line that fits counts.
REASONS: list[tuple[str, str]] = [
    ("fractional_max_pool*", "use adaptive_max_pool2d, or max_pool2d"),
    ("addmv_ as_strided_ detach_ index_put_ resize_as_", "use the tensor's method of that name"),
    (
        "complex* *complex imag angle polar conj* *_conj chalf cfloat cdouble",
        "there are no complex numbers here: keep real and imaginary parts as two tensors",
    ),
    (
        "half bfloat16 float16 float8* uint16 uint32 uint64 autocast*",
        "float32 and float64 are the floating-point types here: use .float(); half-precision files load as float32",
    ),
    ("fft* istft stft *_window", "for spectra use numpy.fft and scipy.signal on x.numpy()"),
    (
        "cholesky* det inverse lu lu_* qr svd* eig* lstsq pinverse matrix_exp matrix_power slogdet logdet "
        "geqrf orgqr ormqr triangular_solve nuclear_norm pca_lowrank lobpcg",
        "for linear algebra use numpy.linalg on x.numpy(); it has no gradient here",
    ),
    (
        "sparse* *_sparse* to_sparse* coalesce* is_coalesced *indices* values values_copy dense_dim "
        "sparse_dim hspmm sspaddmm spmm smm saddmm dsmm hsmm to_dense to_mkldnn",
        "all tensors are dense: use scatter_add or index_add for sums by index",
    ),
    (
        "*quant* q_* qscheme int_repr fbgemm* choose_qparams* fused_moving*",
        "there are no quantised tensors: use float32",
    ),
    (
        "cudnn* miopen* mkldnn* native_* *_backward_* batch_norm_*",
        "this is an inside function of torch: use the public one",
    ),
    (
        "polygamma* mvlgamma* i0* igamma* digamma* lgamma* multigammaln nextafter* special*",
        "use scipy.special on x.numpy(); it has no gradient here",
    ),
    (
        "slice_copy *_copy slice_inverse detach_copy alias_copy",
        "use the function without _copy and clone() the result",
    ),
    ("unsafe_*", "use the function without unsafe_"),
    ("rnn_* lstm* gru* *_cell", "use the modules nn.RNN, nn.LSTM, nn.GRU and their cells"),
    (
        "binary_cross_entropy* conv* *_pool* batch_norm *_norm bilinear *_loss *_dropout dropout* embedding* "
        "*_shuffle pixel_* affine_grid* grid_sampler* ctc_loss kl_div pairwise_distance cosine_similarity "
        "pdist constant_pad_nd prelu* celu* selu* rrelu* threshold*",
        "it is in minicnn.nn.functional, where torch has it too",
    ),
    ("range", "use arange, whose end is not included"),
    (
        "scatter_reduce* index_reduce* segment_reduce",
        "use scatter_add, index_add, or a loop over the groups with amax and amin",
    ),
    (
        "*_scatter slice_scatter as_strided_scatter",
        "clone the tensor and assign to the part: y = x.clone(); y[...] = values",
    ),
    ("hash_tensor nonzero_static empty_permuted from_file", "there is no such thing here: use NumPy and from_numpy"),
    ("histogram* gradient", "use NumPy on x.numpy(); it has no gradient here"),
    ("typename", "ask the dtype: x.dtype, x.type()"),
    ("to_padded_tensor", "use reshape, new_empty and assignment to a slice"),
    ("unravel_index", "use numpy.unravel_index"),
    ("binomial", "sum draws of bernoulli"),
    ("norm_except_dim", "use norm with dim"),
    ("view_as_*", "there are no complex numbers here"),
    ("LazyInstanceNorm*", "use InstanceNorm1d, 2d or 3d with the number of channels"),
    ("RNNCellBase", "use RNNCell, LSTMCell or GRUCell"),
    ("has_torch_function* assert_int_or_pair ScalingType SwizzleType", "this is an inside name of torch"),
    ("map2_", "use NumPy: numpy.vectorize on x.numpy(); or write the function with tensor operations"),
    ("*_as_sparse_ sparse_resize*", "all tensors are dense"),
    ("pin_memory record_stream xpu mps ipu hpu cuda_* is_vulkan*", "there is only the CPU"),
    (
        "*interop_threads init_num_threads set_flush_denormal",
        "set_num_threads and MINICNN_NUM_THREADS say how many threads run",
    ),
    ("is_distributed distributed*", "training runs in one process"),
    ("share_memory_", "use DataLoader(num_workers=...), whose workers hand over arrays"),
    ("FractionalMaxPool*", "use AdaptiveMaxPool2d, or MaxPool2d"),
    ("AdaptiveLogSoftmaxWithLoss LinearCrossEntropy* linear_cross_entropy", "use Linear and cross_entropy"),
    ("Container Module1", "use Module"),
    ("NLLLoss2d", "use NLLLoss, which takes images too"),
    ("*grouped_mm scaled_mm *_mm_* conv_tbc", "use matmul"),
    ("hub", "models.get_model(name, weights='DEFAULT') has torchvision's networks, and load reads files"),
    ("amp", "float32 and float64 are the floating-point types here: leave autocast and GradScaler out"),
    ("multiprocessing", "training runs in one process; DataLoader(num_workers=...) has workers"),
    ("io", "data.decode_image and data.read_image read pictures"),
    ("vmap func functorch jit export fx onnx", "there is only eager execution and minicnn.compile"),
    ("sym_* is_inference* storage* set_ as_subclass new", "use the plain form"),
]


@functools.cache
def instead(name: str) -> str | None:
    """What to use instead of a name of torch that is not here; None where nothing is known of it."""
    for patterns, remedy in REASONS:
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns.split()):
            return remedy
    return None


def refuse(place: str, name: str) -> AttributeError:
    """The error for asking ``place`` for ``name``.

    >>> refuse("minicnn", "svd")
    NotThere('minicnn.svd is not there: for linear algebra use numpy.linalg on x.numpy(); it has no gradient here')
    """
    remedy = None if name.startswith("_") else instead(name)
    if remedy is None:
        return AttributeError(f"{place} has no attribute {name!r}")
    return NotThere(f"{place}.{name} is not there: {remedy}")
