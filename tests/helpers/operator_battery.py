"""PyTorch's own operator samples, run through both frameworks: values, types, shapes, gradients, errors.

PyTorch ships the table its operators are tested with (``torch.testing._internal``): for each operator sample arguments by
the dozen and arguments that must fail. :func:`run_operator` converts the samples, calls both, and counts. From a checkout:

    python -m tests.helpers.operator_battery                       # all names this project has set itself: a summary
    python -m tests.helpers.operator_battery conv1d gather -v      # some operators, with each miss explained
"""

from __future__ import annotations

import argparse
import functools
import itertools
import types
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import minicnn as mc

DTYPES = {
    torch.float32: mc.float32,
    torch.float64: mc.float64,
    torch.int64: mc.int64,
    torch.int32: mc.int32,
    torch.int16: mc.int16,
    torch.int8: mc.int8,
    torch.uint8: mc.uint8,
    torch.bool: mc.bool,
}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# The names this framework has set itself to have, then neighbours of theirs. (affine_grid, lp_pool and
# gumbel_softmax have no samples in PyTorch's table; they are tested elsewhere.)
FUNCTIONS = _names("""
    add sub mul div floor_divide remainder pow exp expm1 log log1p log2 sqrt rsqrt abs neg sign sin cos tan tanh sinh
    cosh asin acos atan atan2 erf floor ceil round trunc reciprocal square maximum minimum fmax fmin where clamp lerp
    matmul mm bmm mv dot outer einsum tensordot addmm baddbmm linear sum mean prod var std var_mean amax amin max min
    argmax argmin logsumexp cumsum cumprod any all norm cat stack split chunk unbind tile repeat repeat_interleave
    roll flip tril triu gather scatter scatter_add index_select masked_fill masked_select take_along_dim sort argsort
    topk unique bincount nonzero meshgrid linspace arange eq ne lt le gt ge logical_and logical_or logical_xor
    logical_not movedim median isnan isfinite allclose isclose view view_as reshape reshape_as transpose permute
    expand expand_as narrow diagonal squeeze unsqueeze flatten unflatten T mT t contiguous clone item __getitem__
    zero_ __radd__ __rand__ __rdiv__ __rmatmul__ __rmod__ __rmul__ __ror__ __rpow__ __rsub__ __rxor__ bool byte double
    float int long to new_empty new_full new_ones new_zeros slice select sigmoid softmax log_softmax ones_like
    zeros_like full_like empty_like rand_like randn_like randint_like zeros ones full eye empty fill equal isinf
    bitwise_and bitwise_or bitwise_xor bitwise_not std_mean split_with_sizes true_divide clamp_min clamp_max
""")
NN_FUNCTIONS = _names("""
    conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d unfold fold max_pool1d max_pool2d
    max_pool3d max_unpool1d max_unpool2d max_unpool3d avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d
    adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d pad
    interpolate upsample_bilinear upsample_nearest grid_sample pixel_shuffle pixel_unshuffle channel_shuffle
    batch_norm instance_norm group_norm layer_norm rms_norm local_response_norm normalize dropout dropout2d dropout3d
    alpha_dropout feature_alpha_dropout embedding bilinear linear one_hot relu relu6 leaky_relu prelu elu celu selu
    gelu silu mish hardswish hardsigmoid hardtanh softplus softsign tanhshrink hardshrink softshrink threshold glu
    logsigmoid softmin cross_entropy nll_loss mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy
    binary_cross_entropy_with_logits kl_div poisson_nll_loss gaussian_nll_loss hinge_embedding_loss
    margin_ranking_loss triplet_margin_loss triplet_margin_with_distance_loss multi_margin_loss cosine_embedding_loss
    ctc_loss cosine_similarity pairwise_distance scaled_dot_product_attention multi_head_attention_forward
""")
MORE = _names("""
    addbmm addcdiv addcmul addmv addr aminmax argwhere atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors
    broadcast_to bucketize cdist char column_stack copysign count_nonzero cross cummax cummin deg2rad diag diag_embed
    diagflat diagonal_copy diff dist dsplit dstack erfc erfinv exp2 expand_copy fliplr flipud float_power fmod frac
    heaviside histc hsplit hstack hypot index_add index_copy index_fill index_put inner isin isneginf isposinf isreal
    kron kthvalue ldexp lgamma log10 logaddexp logaddexp2 logit logspace masked_scatter msort nan_to_num nanmean
    nanmedian nansum narrow_copy positive quantile rad2deg ravel renorm resize_ rot90 rsub scatter_reduce searchsorted
    sgn short signbit sinc sum_to_size take tensor_split trace trapezoid unfold unique_consecutive vander vdot vsplit
    vstack xlogy linalg.norm linalg.vector_norm
""")
NN_MORE = _names("""
    multilabel_margin_loss multilabel_soft_margin_loss soft_margin_loss pdist
""")

LISTED = FUNCTIONS | {f"nn.functional.{name}" for name in NN_FUNCTIONS}
NEIGHBOURS = MORE | {f"nn.functional.{name}" for name in NN_MORE}
RANDOM = (
    "dropout",
    "rand",
    "empty",
    "bernoulli",
    "normal",
    "uniform",
    "multinomial",
    "rrelu",
    "cauchy",
    "exponential",
    "geometric",
)
FOREIGN = (torch.complex64, torch.complex128, torch.complex32, torch.float16, torch.bfloat16)


class Foreign(Exception):
    """A sample with something this framework does not have at all: complex numbers, half precision, other devices."""


@dataclass
class Tally:
    """What became of one operator's samples."""

    name: str
    counts: Counter[str] = field(default_factory=Counter)
    misses: list[str] = field(default_factory=list)

    def note(self, kind: str, what: str = "") -> None:
        self.counts[kind] += 1
        if kind != "equal":
            self.misses.append(f"{kind}: {what}")

    @property
    def total(self) -> int:
        return sum(self.counts.values())


def operators(names: list[str] | None = None, more: bool = False) -> Iterator[Any]:
    """The table's entries of the listed names (with their neighbours where ``more``), or of those given."""
    wanted = (
        {*names, *(f"nn.functional.{n}" for n in names)} if names else LISTED | (NEIGHBOURS if more else frozenset())
    )
    for op in op_db:
        if op.name in wanted:
            yield op


def convert(value: Any, memo: dict[int, Any]) -> Any:
    """A sample's argument in this framework's terms; tensors keep their strides, and one tensor stays one tensor."""
    if isinstance(value, torch.Tensor):
        if value.dtype not in DTYPES:
            raise Foreign
        if id(value) not in memo:
            if value.layout != torch.strided or value.is_conj() or value.is_neg():
                raise Foreign
            if value.ndim > 64:
                raise Foreign  # NumPy ends there
            array = value.detach().numpy()
            base = np.lib.stride_tricks.as_strided(array, array.shape, array.strides)
            copy = array.copy(order="K") if all(s > 0 for s in base.strides) else array.copy()
            length = value.untyped_storage().nbytes() // value.element_size()
            if value.numel() and length != value.numel():  # a part of a larger block, of which as_strided sees all
                memory = value.detach().as_strided((length,), (1,), 0).numpy().copy()
                start = memory[value.storage_offset() :]
                copy = np.lib.stride_tricks.as_strided(start, array.shape, array.strides)
            memo[id(value)] = (
                mc.from_numpy(copy).requires_grad_(value.requires_grad) if value.requires_grad else mc.from_numpy(copy)
            )
        return memo[id(value)]
    if isinstance(value, torch.dtype):
        if value not in DTYPES:
            raise Foreign
        return DTYPES[value]
    if isinstance(value, torch.Size):
        return tuple(value)
    if isinstance(value, (torch.device, str)) and str(value).partition(":")[0] in ("cpu", "cuda", "meta"):
        if str(value) != "cpu":
            raise Foreign
        return "cpu"
    if isinstance(value, torch.memory_format):
        return getattr(mc, str(value).removeprefix("torch."))
    if isinstance(value, torch.layout):
        if value is not torch.strided:
            raise Foreign
        return getattr(mc, "strided", None)
    if isinstance(value, complex):
        raise Foreign
    if isinstance(value, dict):
        return {k: convert(v, memo) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(*(convert(v, memo) for v in (value.start, value.stop, value.step)))
    if isinstance(value, (list, tuple)):
        items = [convert(v, memo) for v in value]
        return type(value)(items) if type(value) in (list, tuple) else tuple(items)
    if isinstance(value, torch.nn.Module) or (callable(value) and "torch" in (getattr(value, "__module__", "") or "")):
        name = getattr(value, "__name__", type(value).__name__)
        return getattr(mc.nn.functional, name, None) or getattr(mc.nn, name)()
    return value


def our_function(op: Any) -> Callable[..., Any]:
    """The function of the operator's name here; wrappers of the table call ours when their ``torch`` is this framework."""
    function = op.op
    module = getattr(function, "__module__", None) or ""
    if isinstance(function, types.FunctionType) and module.startswith("torch.testing"):
        scope = {**function.__globals__, "torch": mc}
        out = types.FunctionType(
            function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
        )
        out.__kwdefaults__ = function.__kwdefaults__
        return out
    if op.name.startswith("__") or op.name in (
        "T",
        "mT",
        "bool",
        "byte",
        "char",
        "double",
        "float",
        "int",
        "long",
        "short",
    ):
        if not hasattr(mc.Tensor, op.name):
            raise NotImplementedError(f"there is no Tensor.{op.name}")
        return getattr(mc.Tensor, op.name)
    if op.name == "slice":  # no function of torch's own namespace
        return lambda x, dim=0, start=None, end=None, step=1: x[(*(slice(None),) * dim, slice(start, end, step))]
    place: Any = mc
    for part in op.name.split("."):
        if not hasattr(place, part):
            if place is mc and hasattr(mc.Tensor, part) and not hasattr(torch, part):
                return getattr(mc.Tensor, part)
            raise NotImplementedError(f"there is no {op.name}")
        place = getattr(place, part)
    return place


def tensors_of(value: Any, kind: type) -> list[Any]:
    if isinstance(value, kind):
        return [value]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in tensors_of(v, kind)]
    if isinstance(value, dict):
        return [t for v in value.values() for t in tensors_of(v, kind)]
    return []


def flat(value: Any) -> list[Any]:
    return (
        [x for v in value for x in flat(v)]
        if isinstance(value, (list, tuple)) and not isinstance(value, (torch.Size, mc.Size))
        else [value]
    )


TOLERANCE = {"float32": (2e-4, 2e-5), "float64": (1e-7, 1e-9)}


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    if theirs.dtype.kind != "f":
        return bool(np.array_equal(ours, theirs))
    rtol, atol = TOLERANCE[theirs.dtype.name]
    finite = np.abs(theirs[np.isfinite(theirs)])
    return bool(np.allclose(ours, theirs, rtol=rtol, atol=atol * max(1.0, finite.max(initial=0)), equal_nan=True))


def difference(ours: Any, theirs: Any, random: bool) -> str | None:
    """What is different between two results, or None."""
    left, right = flat(ours), flat(theirs)
    if len(left) != len(right):
        return f"{len(left)} results, expected {len(right)}"
    for i, (a, b) in enumerate(zip(left, right, strict=True)):
        if not isinstance(b, torch.Tensor):
            same = (a == b) or (isinstance(b, float) and isinstance(a, float) and np.isclose(a, b, equal_nan=True))
            if not same and not isinstance(b, (torch.dtype, torch.device)):
                return f"result {i} is {a!r}, expected {b!r}"
            continue
        if b.dtype in FOREIGN:
            raise Foreign
        if not isinstance(a, mc.Tensor):
            return f"result {i} is a {type(a).__name__}"
        if DTYPES.get(b.dtype) is not a.dtype:
            return f"result {i} is {a.dtype}, expected {b.dtype}"
        if tuple(a.shape) != tuple(b.shape):
            return f"result {i} has shape {tuple(a.shape)}, expected {tuple(b.shape)}"
        if a.requires_grad != b.requires_grad:
            return f"result {i}: requires_grad is {a.requires_grad}, expected {b.requires_grad}"
        if not random:
            x, y = a.detach().numpy(), b.detach().resolve_conj().resolve_neg().numpy()
            if not close(x, y):
                return f"result {i} differs: {x.ravel()[:8]} expected {y.ravel()[:8]}"
    return None


def gradient_difference(ours: Any, theirs: Any, inputs: list[tuple[Any, torch.Tensor]]) -> str | None:
    """What is different between the gradients that a random cotangent gives the inputs, or None."""
    pairs = [
        (a, b) for a, b in zip(flat(ours), flat(theirs), strict=True) if isinstance(b, torch.Tensor) and b.requires_grad
    ]
    wanted = [(a, b) for a, b in inputs if b.requires_grad and b.is_leaf]
    if not pairs or not wanted:
        return None
    rng = np.random.default_rng(zlib.crc32(str([tuple(b.shape) for _, b in pairs]).encode()))
    cotangents = [rng.standard_normal(tuple(b.shape)).astype(b.detach().numpy().dtype) for _, b in pairs]
    try:
        expected = torch.autograd.grad(
            [b for _, b in pairs],
            [b for _, b in wanted],
            [torch.from_numpy(np.asarray(c)) for c in cotangents],
            allow_unused=True,
        )
    except (RuntimeError, NotImplementedError):
        return None  # torch has no gradient here
    actual = mc.autograd.grad(
        [a for a, _ in pairs],
        [a for a, _ in wanted],
        [mc.from_numpy(np.asarray(c)) for c in cotangents],
        allow_unused=True,
    )
    for i, (a, b) in enumerate(zip(actual, expected, strict=True)):
        if b is None:
            if a is not None and a.detach().numpy().any():
                return f"gradient {i} is there, expected none"
            continue
        x = np.zeros(tuple(b.shape), b.numpy(force=True).dtype) if a is None else a.detach().numpy()
        if x.shape != tuple(b.shape) or not close(x, b.numpy(force=True)):
            return f"gradient {i} differs: {x.ravel()[:8]} expected {b.numpy(force=True).ravel()[:8]}"
    return None


def describe(sample: Any) -> str:
    def show(value: Any) -> str:
        if isinstance(value, torch.Tensor):
            kind = f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
            return kind if value.is_contiguous() else f"{kind} strides {value.stride()}"
        if isinstance(value, (list, tuple)):
            return "[" + ", ".join(show(v) for v in value) + "]"
        return repr(value)

    arguments = [
        show(sample.input),
        *(show(a) for a in sample.args),
        *(f"{k}={show(v)}" for k, v in sample.kwargs.items()),
    ]
    return "(" + ", ".join(arguments) + ")"


def run_sample(
    tally: Tally, op: Any, sample: Any, function: Callable[..., Any], reference: Callable[..., Any], how: str
) -> None:
    what = f"{op.name}{'.' + op.variant_test_name if op.variant_test_name else ''} {how}{describe(sample)}"
    memo: dict[int, Any] = {}
    random = any(word in op.name for word in RANDOM) or sample.kwargs.get("dropout_p", 0) > 0
    if op.name.endswith("multi_head_attention_forward"):
        random = sample.args[9] > 0 and sample.kwargs.get("training", True)
    try:
        arguments = [convert(a, memo) for a in (sample.input, *sample.args)]
        options = {k: convert(v, memo) for k, v in sample.kwargs.items()}
    except Foreign:
        return
    except AttributeError as error:
        tally.note("refused", f"{what}: {error}")
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = reference(sample.input, *sample.args, **sample.kwargs)
    except Exception:
        return  # the table's sample does not run under torch itself
    if any(isinstance(t, torch.Tensor) and t.dtype in FOREIGN for t in flat(expected)):
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*arguments, **options)
            found = difference(result, expected, random)
            if found is None and not random:
                theirs = tensors_of([sample.input, list(sample.args), sample.kwargs], torch.Tensor)
                found = gradient_difference(result, expected, [(memo[id(t)], t) for t in theirs if id(t) in memo])
    except Foreign:
        return
    except NotImplementedError as error:
        tally.note("refused", f"{what}: {error}")
    except Exception as error:
        tally.note("error", f"{what}: {type(error).__name__}: {error}")
    else:
        tally.note("equal" if found is None else "wrong", f"{what}: {found}")


def inplace(variant: Any, module: Any) -> Callable[..., Any] | None:
    """The in-place method on a copy, so that a leaf may be asked for its gradient; or ``F.relu`` with ``inplace=True``."""
    if isinstance(variant, functools.partial):
        method = getattr(module.nn.functional, getattr(variant.func, "__name__", ""), None)
        options = variant.keywords
    else:
        method, options = getattr(module.Tensor, variant.__name__, None), {}
    return None if method is None else lambda x, *a, **k: method(x.clone(), *a, **k, **options)


def run_operator(op: Any, most: int = 40, dtypes: list[torch.dtype] | None = None) -> Tally:
    """All of one operator: at most ``most`` samples a type, spread evenly, as function and methods; its errors."""
    tally = Tally(op.name)
    try:
        function = our_function(op)
    except NotImplementedError as error:
        function = None
        missing = str(error)
    for dtype in dtypes or sorted(set(op.dtypes) & set(DTYPES), key=str):
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002  the table draws from it
        wants = dtype.is_floating_point and op.supports_autograd
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            samples = list(op.sample_inputs("cpu", dtype, requires_grad=wants))
        step = max(1, len(samples) // most)
        for sample in itertools.islice(samples[::step], most):
            if function is None:
                tally.note("refused", missing)
                continue
            run_sample(tally, op, sample, function, op.op, "")
            method = op.method_variant
            if isinstance(sample.input, torch.Tensor) and method is not None and "." not in op.name:
                ours = getattr(mc.Tensor, op.name, None)
                if ours is None:
                    tally.note("refused", f"no method Tensor.{op.name}")
                else:
                    run_sample(tally, op, sample, ours, method, "method ")
            if (
                isinstance(sample.input, torch.Tensor)
                and op.inplace_variant is not None
                and not sample.broadcasts_input
            ):
                ours, theirs = inplace(op.inplace_variant, mc), inplace(op.inplace_variant, torch)
                if ours is not None and theirs is not None:
                    run_sample(tally, op, sample, ours, theirs, "in place ")
                elif theirs is not None:
                    tally.note("refused", f"no {op.name} in place")
    if op.error_inputs_func is not None and function is not None:
        for error in op.error_inputs("cpu"):
            run_error(tally, op, error, function)
    return tally


def run_error(tally: Tally, op: Any, error: Any, function: Callable[..., Any]) -> None:
    sample = error.sample_input
    try:
        memo: dict[int, Any] = {}
        arguments = [convert(a, memo) for a in (sample.input, *sample.args)]
        options = {k: convert(v, memo) for k, v in sample.kwargs.items()}
    except (Foreign, AttributeError):
        return
    try:
        op.op(sample.input, *sample.args, **sample.kwargs)
    except Exception:
        pass
    else:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            function(*arguments, **options)
    except Exception as raised:
        unkind = (
            isinstance(raised, (AssertionError, IndexError, ValueError, TypeError, RuntimeError, NotImplementedError))
            is False
        )
        tally.note(
            "error" if unkind else "equal", f"{op.name} error{describe(sample)}: {type(raised).__name__}: {raised}"
        )
    else:
        tally.note("wrong", f"{op.name} error{describe(sample)}: no error, torch says {error.error_regex!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("-v", "--verbose", action="store_true", help="say what is wrong with each miss")
    parser.add_argument("-m", "--most", type=int, default=40, help="samples an operator and type")
    parser.add_argument("--misses", type=int, default=10, help="with -v: misses shown an operator")
    parser.add_argument("--full", action="store_true", help="operators that are fully equal are listed too")
    parser.add_argument("--more", action="store_true", help="the neighbours of the listed names too")
    options = parser.parse_args()
    total: Counter[str] = Counter()
    for op in operators(options.names, options.more):
        tally = run_operator(op, options.most)
        total += tally.counts
        label = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
        if options.full or options.names or tally.counts["equal"] != tally.total:
            misses = {kind: count for kind, count in tally.counts.items() if kind != "equal"}
            print(f"{label:45} {tally.counts['equal']:5} of {tally.total:5} equal  {misses}", flush=True)
        if options.verbose:
            for miss in tally.misses[: options.misses]:
                print("    " + miss[:400])
    everything = sum(total.values())
    print(f"{everything} calls, {total['equal'] / max(1, everything):.2%} equal: {dict(total)}")


if __name__ == "__main__":
    main()
