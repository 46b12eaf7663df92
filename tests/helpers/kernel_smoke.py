"""Every compiled kernel once against its reference, on small odd shapes: a script for processes with another environment.

python -m tests.helpers.kernel_smoke        prints the name of the vector width and the folder of the compile cache
python -m tests.helpers.kernel_smoke --few  with a few kernels only
"""

from __future__ import annotations

import copy
import math
import sys
from typing import Any

import numpy as np

from minicnn_kernels import compile_cache_status, cpu, reference, threads
from minicnn_kernels.launch import run
from minicnn_kernels.resampling import axis_matrix
from minicnn_kernels.windows import adaptive_windows, pool_divisors, window_tables
from tests.helpers import standing_cases

DTYPES = (np.float32, np.float64)


def compare(name: str, *arguments: Any, terms: int = 1) -> Any:
    """Run both back ends and compare everything they return; give back the reference's."""
    actual, expected = getattr(cpu, name)(*arguments), getattr(reference, name)(*arguments)
    for one, other in zip(
        actual if isinstance(actual, tuple) else (actual,),
        expected if isinstance(expected, tuple) else (expected,),
        strict=True,
    ):
        assert one.shape == other.shape, (name, one.shape, other.shape)
        assert one.dtype == other.dtype, (name, one.dtype, other.dtype)
        eps = float(np.finfo(one.dtype).eps) if one.dtype.kind == "f" else 0.0
        tolerance = 64 * eps * math.sqrt(terms)  # rounding of a sum of `terms` numbers of size 1, with a margin
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance, err_msg=f"{name} {one.dtype}")
    return expected


def check_convolutions(rng: np.random.Generator, dtype: Any) -> None:
    cases = [
        ((2, 3, 7, 6), (5, 3, 3, 2), (1, 1), (1, 2), (1, 1), 1),
        ((2, 4, 9, 8), (34, 2, 3, 3), (2, 1), (1, 0), (1, 2), 2),
        ((1, 33, 4, 5), (7, 33, 1, 1), (1, 1), (0, 0), (1, 1), 1),
        ((2, 5, 6, 6), (5, 1, 3, 3), (2, 2), (1, 1), (1, 1), 5),
        ((2, 18, 7, 9), (35, 18, 3, 3), (1, 1), (1, 0), (1, 1), 1),
        ((1, 16, 11, 10), (32, 16, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        ((2, 65, 5, 9), (66, 65, 3, 3), (1, 1), (1, 1), (1, 1), 1),
        ((1, 1, 1, 1), (3, 1, 3, 3), (1, 1), (1, 1), (1, 1), 1),
    ]
    for x_shape, weight_shape, *window in cases:
        x, weight = rng.standard_normal(x_shape).astype(dtype), rng.standard_normal(weight_shape).astype(dtype)
        bias = rng.standard_normal(weight_shape[0]).astype(dtype)
        out = compare("conv_forward", x, weight, bias, *window, terms=300)
        grad_out = rng.standard_normal(out.shape).astype(dtype)
        compare("conv_backward_input", grad_out, weight, x_shape, *window, terms=300)
        compare("conv_backward_weight", grad_out, x, weight_shape, *window, terms=300)
        compare("conv_backward_bias", grad_out, terms=100)
        for algorithm in ("im2col", "direct", "winograd"):
            if algorithm == "winograd" and (weight_shape[2:], *window[:1], *window[2:]) != ((3, 3), (1, 1), (1, 1), 1):
                continue
            terms = 30_000 if algorithm == "winograd" else 300  # rounding errors ten times as large
            compare("conv_forward", x, weight, bias, *window, algorithm, terms=terms)
            compare("conv_backward_input", grad_out, weight, x_shape, *window, algorithm, terms=terms)
            compare("conv_backward_weight", grad_out, x, weight_shape, *window, algorithm, terms=terms)
        cols = compare("im2col", x, weight_shape[2:], *window[:3])
        compare("col2im", cols, x_shape[2:], weight_shape[2:], *window[:3], terms=10)


def check_matrix_products(rng: np.random.Generator, dtype: Any) -> None:
    for m, k, n in ((1, 9, 5), (3, 17, 70), (31, 5, 34), (9, 400, 33), (5, 12, 200)):
        a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        compare("matmul", a, b, terms=k)
        compare("matmul", np.asfortranarray(a), np.asfortranarray(b), terms=k)


def check_the_rest(rng: np.random.Generator, dtype: Any) -> None:
    x, grad = rng.standard_normal((2, 2, 5, 7, 6)).astype(dtype)
    compare("relu_backward_input", grad, compare("relu_forward", x))
    compare("dropout_backward_input", compare("dropout_forward", x, 0.3, 2**40 + 5, 2**33), 0.3, 1, 2)
    compare("philox_words", 2**63 + 9, 2**40, 41)
    state = np.abs(rng.standard_normal((4, 5, 3))).astype(dtype)
    for arguments in (
        ("sgd_update", None, [False], 0.1, 0.0, 0.0, 0.1, False, False),
        ("sgd_update", [state[2]], [False], 0.1, 0.9, 0.1, 0.1, True, True),
        ("adam_update", [state[2]], [state[3]], None, [2], 0.1, 0.9, 0.99, 1e-8, 0.1, True, False),
        ("adam_update", [state[2]], [state[3]], [state[1] * 2], [2], 0.1, 0.9, 0.99, 1e-8, 0.1, False, True),
        ("adagrad_update", [state[2]], [2], 0.1, 0.1, 0.1, 1e-8, True),
        ("rmsprop_update", [state[2]], None, None, 0.1, 0.9, 1e-8, 0.1, 0.0, False),
        ("rmsprop_update", [state[2]], [state[3]], None, 0.1, 0.9, 1e-8, 0.1, 0.9, True),
        ("rmsprop_update", [state[2] + 99], [state[3]], [state[1] * 2], 0.1, 0.9, 1e-8, 0.1, 0.9, False),
        ("adadelta_update", [state[2]], [state[3]], 0.1, 0.9, 1e-3, 0.1, False),
        ("adamax_update", [state[2]], [state[3]], [2], 0.1, 0.9, 0.99, 1e-8, 0.1, True),
        ("nadam_update", [state[2]], [state[3]], [2], [0.3], [0.7], 0.1, 0.9, 0.99, 1e-8, 0.1, True, False),
        ("radam_update", [state[2]], [state[3]], [9], 0.1, 0.9, 0.99, 1e-8, 0.1, False, False),
        ("asgd_update", [state[2]], [0.1], [0.5], 0.1, 0.1, True),
        ("rprop_update", [state[2]], [state[3]], 0.5, 1.2, 1e-6, 50.0, True),
    ):
        name, *rest = arguments
        results = []
        for backend in (cpu, reference):
            own = copy.deepcopy([[state[0]], *rest])
            getattr(backend, name)(own[0], [state[1]], *own[1:])
            results.append([a for value in own if isinstance(value, list) for a in value if isinstance(a, np.ndarray)])
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one, other, rtol=64 * np.finfo(dtype).eps, atol=1e-30)


def check_pooling(rng: np.random.Generator, dtype: Any, c: int, size: tuple[int, ...]) -> None:
    """Windows that overlap, and one that sees everything; fewer channels than a vector has lanes, and more."""
    x, n = rng.standard_normal((2, c, *size)).astype(dtype), len(size)
    window = (3,) * n, (2,) * n, (1,) * n, (1,) * n
    windows = window_tables(size, window, True)
    whole = tuple(adaptive_windows(s, 1) for s in size)
    out, places = compare("max_pool_forward", x, windows)
    compare("max_pool_backward_input", out, places, x.shape, windows, terms=4)
    for tables, divisors in (
        (windows, pool_divisors(size, window, True, False, None)),
        (whole, tuple(axis.counts for axis in whole)),
    ):
        out = compare("avg_pool_forward", x, tables, divisors, terms=math.prod(size))
        compare("avg_pool_backward_input", out, x.shape, tables, divisors, terms=6)


def check_resampling(rng: np.random.Generator, dtype: Any) -> None:
    """Short rows and long ones; places inside and outside."""
    for c in (3, 33):
        x = rng.standard_normal((2, c, 5, 6)).astype(dtype)
        last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        pairs = [axis_matrix(s, n, "cubic", None, False, True, np.dtype(dtype)) for s, n in ((5, 3), (6, 9))]
        for order in (x, last):
            out = compare("resample", order, [pair[0] for pair in pairs], terms=50)
            compare("resample", out, [pair[1] for pair in pairs], terms=50)
        at, weights = rng.integers(-1, 30, (4, 2, 7)), rng.standard_normal((4, 2, 7)).astype(dtype)
        out = compare("sample_forward", x, at, weights, terms=10)
        compare("sample_backward_input", out, at, weights, x.shape, terms=50)
        compare("sample_backward_weights", out, x, at, terms=200)


def check_batch_norm(rng: np.random.Generator, dtype: Any, c: int) -> None:
    """Alone, and fused with what follows it; fewer channels than a vector has lanes, and more."""
    x, grad = rng.standard_normal((2, 2, c, 7, 6)).astype(dtype)
    weight, bias = rng.standard_normal((2, c)).astype(dtype)
    _, mean, var, inv_std = compare("batch_norm_forward_train", x, weight, bias, 1e-3, terms=10)
    compare("batch_norm_forward_eval", x, mean, var, weight, None, 1e-3, terms=10)
    compare("batch_norm_backward_train", grad, x, weight, mean, inv_std, terms=100)
    compare("batch_norm_backward_eval", grad, x, None, mean, inv_std, terms=100)
    out, *_ = compare("batch_norm_relu_forward_train", x, weight, bias, 1e-3, terms=10)
    compare("batch_norm_relu_backward_train", grad, out, x, weight, mean, inv_std, terms=100)
    other = rng.standard_normal(x.shape).astype(dtype)
    compare("add_relu_forward", x, other)
    out, *_ = compare("batch_norm_add_relu_forward_train", x, weight, bias, other, 1e-3, terms=10)
    compare("batch_norm_add_relu_backward_train", grad, out, x, weight, mean, inv_std, terms=100)
    window = (3, 2), (2, 2), (1, 1), (1, 1), True
    out, saved, *_ = compare("batch_norm_relu_max_pool2d_forward_train", x, weight, bias, 1e-3, *window, terms=10)
    grad = rng.standard_normal(out.shape).astype(dtype)
    arguments = grad, saved, x, weight, mean, inv_std
    compare("batch_norm_relu_max_pool2d_backward_train", *arguments, *window, terms=100)


def check_first_layer(rng: np.random.Generator, dtype: Any) -> None:
    """Convolution, batch norm, ReLU and max-pooling: a few images at a time (one channel, no gradient of x), and not."""
    pooling = (2, 2), (2, 2), (0, 0), (1, 1), False
    for channels, filters_kept in ((1, None), (3, True)):
        x = standing_cases.channels_last(rng.standard_normal((3, channels, 8, 8)).astype(dtype))
        filters = rng.standard_normal((16, channels, 3, 3)).astype(dtype)
        weight, bias = rng.standard_normal((2, 16)).astype(dtype)
        convolution = (1, 1), (1, 1), (1, 1), 1, "auto"
        name = "conv_batch_norm_relu_max_pool2d"
        arguments = x, filters, weight, bias, 1e-3, convolution, pooling
        out, saved, y, mean, _, inv_std = compare(f"{name}_forward_train", *arguments, terms=300)
        kept = rng.standard_normal(out.shape).astype(dtype), saved, y, weight, mean, inv_std
        operands = x, filters if filters_kept else None, x.shape, filters.shape
        expected, found = (
            getattr(backend, f"{name}_backward_train")(*kept, *operands, convolution, pooling)
            for backend in (reference, cpu)
        )
        tolerance = 64 * float(np.finfo(dtype).eps) * 30  # sums of some hundred numbers of size 1
        for one, other in zip(found, expected, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def check_prepared_convolutions(rng: np.random.Generator, dtype: Any) -> None:
    x = rng.standard_normal((2, 18, 7, 9)).astype(dtype)
    for groups, algorithm in ((1, "im2col"), (1, "direct"), (1, "winograd"), (18, "auto")):
        weight, bias = (
            rng.standard_normal((18, 18 // groups, 3, 3)).astype(dtype),
            rng.standard_normal(18).astype(dtype),
        )
        window = x.shape, (1, 1), (1, 1), (1, 1), groups, algorithm, True
        found, expected = (backend.prepare_conv(weight, bias, *window)(x, x) for backend in (cpu, reference))
        tolerance = 64 * float(np.finfo(dtype).eps) * (200 if algorithm == "winograd" else 20)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=algorithm)


def check_fused(rng: np.random.Generator, dtype: Any) -> None:
    x, weight, bias = (rng.standard_normal(s).astype(dtype) for s in ((2, 5, 7, 6), (18, 5, 3, 3), 18))
    compare("conv2d_relu_forward", x, weight, bias, (1, 1), (1, 1), (1, 1), 1, terms=300)
    x, weight = rng.standard_normal((9, 33)).astype(dtype), rng.standard_normal((18, 33)).astype(dtype)
    compare("linear_relu_forward", x, weight, bias, terms=300)
    out = compare("relu_dropout_forward", x, 0.3, 7, 11)
    compare("relu_dropout_backward_input", rng.standard_normal(x.shape).astype(dtype), out, 0.3)


def check_activations(rng: np.random.Generator, dtype: Any) -> None:
    x, grad = rng.standard_normal((2, 3, 5, 7)).astype(dtype) * 2
    for name in reference.activation.ACTIVATIONS:
        compare("activation_forward", name, x, -0.5, 1.5, terms=4)
        compare("activation_backward_input", name, grad, x, -0.5, 1.5, terms=4)


def check_other_norms(rng: np.random.Generator, dtype: Any) -> None:
    x, grad = rng.standard_normal((2, 9, 37)).astype(dtype)
    weight, bias = rng.standard_normal((2, 37)).astype(dtype)
    for centred in (True, False):
        _, mean, inv_std = compare("layer_norm_forward", x, weight, bias, 1e-3, centred, terms=40)
        compare("layer_norm_backward", grad, x, weight, mean, inv_std, centred, terms=100)
    x, grad = rng.standard_normal((2, 3, 6, 5, 4)).astype(dtype)
    weight, bias = rng.standard_normal((2, 6)).astype(dtype)
    _, mean, _, inv_std = compare("group_norm_forward", x, weight, bias, 3, 1e-3, terms=40)
    compare("group_norm_backward", grad, x, weight, mean, inv_std, 3, terms=100)


def check_ctc(rng: np.random.Generator, dtype: Any) -> None:
    log_probs = np.log(rng.dirichlet(np.ones(5), size=(7, 3))).astype(dtype)
    targets, lengths = np.array([[1, 1, 2], [3, 0, 0], [4, 2, 4]]), (np.array([7, 4, 0]), np.array([3, 1, 0]))
    losses, alphas = compare("ctc_loss_forward", log_probs, targets, *lengths, 0, terms=40)
    grad = rng.standard_normal(3).astype(dtype)
    compare("ctc_loss_backward", grad, log_probs, targets, *lengths, losses, alphas, 0, terms=1000)


def check_selection(rng: np.random.Generator, dtype: Any) -> None:
    x = rng.permutation(200).reshape(4, 50).astype(dtype)  # no ties: of those each back end takes its own
    for largest in (True, False):
        compare("topk_forward", x, 30, largest, True)
    compare("kthvalue_forward", x, 20)
    batch = rng.standard_normal((6, 5, 3)).astype(dtype)
    compare("matmul", batch, batch.swapaxes(1, 2), terms=3)


def check_attention(rng: np.random.Generator, dtype: Any) -> None:
    for queries, keys, causal in ((5, 7, False), (70, 70, True)):
        q, k, v = (rng.standard_normal((2, 3, n, 9)).astype(dtype) for n in (queries, keys, keys))
        mask = rng.standard_normal((2, 1, queries, keys)).astype(dtype)
        out, log_sum = compare("attention_forward", q, k, v, mask, 0.3, causal, terms=100)
        grad_out = rng.standard_normal(out.shape).astype(dtype)
        compare("attention_backward", grad_out, q, k, v, mask, 0.3, causal, out, log_sum, terms=1000)


def check_special_functions(rng: np.random.Generator, dtype: Any) -> None:
    x = np.abs(rng.standard_normal((3, 37))).astype(dtype) + dtype(0.1)
    for name in ("erf", "erfc", "lgamma", "digamma", "trigamma"):
        compare(f"{name}_forward", x, terms=10)
    compare("erfinv_forward", np.tanh(x) * dtype(0.9), terms=10)


def check_launches(rng: np.random.Generator, dtype: Any) -> None:
    """Calls made ready on memory that stays: everything of ``standing_cases.py``."""
    for case in standing_cases.all_cases(rng, dtype):
        out = case.empty_out(dtype)
        run(getattr(cpu, case.name)(*case.arguments(dtype), out, *case.kept()))
        standing_cases.compare(case, out)
    for shape in ((2, 3, 5, 4), (1, 20, 7, 6), (3, 5)):
        x = rng.standard_normal(shape).astype(dtype)
        out = np.full_like(standing_cases.channels_last(x) if x.ndim == 4 else x, np.nan)
        cpu.copy_into(x, out)
        np.testing.assert_array_equal(out, x)


def check_prepared_product(rng: np.random.Generator, dtype: Any) -> None:
    a, b = rng.standard_normal((7, 35)).astype(dtype), rng.standard_normal((35, 33)).astype(dtype)
    results = []
    for backend in (cpu, reference):
        out = np.ones((7, 33), dtype)
        backend.prepare_matmul(b)(a, out)
        results.append(out)
    tolerance = 64 * float(np.finfo(dtype).eps) * 6  # a sum of 35 numbers of size 1, with a margin
    np.testing.assert_allclose(*results, rtol=tolerance, atol=tolerance)
    compare("row_major", rng.standard_normal((2, 5, 6, 7)).astype(dtype).transpose(0, 3, 1, 2))


def check_all() -> None:
    for dtype in DTYPES:
        rng = np.random.default_rng(0)
        check_convolutions(rng, dtype)
        check_matrix_products(rng, dtype)
        check_the_rest(rng, dtype)
        check_fused(rng, dtype)
        check_first_layer(rng, dtype)
        check_prepared_convolutions(rng, dtype)
        check_activations(rng, dtype)
        check_other_norms(rng, dtype)
        check_ctc(rng, dtype)
        check_selection(rng, dtype)
        for c in (5, 33):
            check_batch_norm(rng, dtype, c)
        for c, size in ((5, (7, 6)), (33, (5,)), (70, (4, 5, 3))):
            check_pooling(rng, dtype, c, size)
        check_resampling(rng, dtype)
        check_attention(rng, dtype)
        check_special_functions(rng, dtype)
        check_prepared_product(rng, dtype)
        check_launches(rng, dtype)


def main() -> None:
    """Run everything, or a few kernels, with two threads."""
    threads.set_num_threads(2)
    if "--few" in sys.argv:
        check_activations(np.random.default_rng(0), np.float32)
        check_matrix_products(np.random.default_rng(0), np.float32)
    else:
        check_all()
    from minicnn_kernels.cpu.microkernel import SIMD

    print(SIMD.name)
    print(compile_cache_status().folder)


if __name__ == "__main__":
    main()
