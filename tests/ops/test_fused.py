"""Fused operations against the sequences that they stand for, against PyTorch, and against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from minicnn.ops.activation import ReLU
from minicnn.ops.conv import Conv2d
from minicnn.ops.dropout import Dropout
from minicnn.ops.fused import (
    BatchNormReLU,
    BatchNormReLUMaxPool2d,
    Conv2dBatchNormReLUMaxPool2d,
    Conv2dReLU,
    LinearReLU,
    LinearReLUDropout,
    ReLUDropout,
)
from minicnn.ops.matmul import Linear
from minicnn.ops.norm import BatchNormTrain
from minicnn.ops.pooling import MaxPool2d
from tests.helpers.oracle import FLOATS, SEEDS

# The statistics are sums over a few hundred numbers, and a small deviation magnifies their rounding.
TOLERANCE = {np.float32: 2e-4, np.float64: 1e-10}
WINDOWS = [
    (((2, 2), (2, 2), (0, 0), (1, 1)), False),
    (((3, 3), (2, 2), (1, 1), (1, 1)), False),
    (((3, 2), (2, 3), (1, 0), (1, 2)), True),
]
CONV = {"stride": (1, 2), "padding": (1, 0), "dilation": (1, 1), "groups": 1}


def tensors(seed: int, dtype: Any, *shapes: tuple[int, ...]) -> list[mc.Tensor]:
    rng = np.random.default_rng(seed)
    return [mc.from_numpy(rng.standard_normal(s).astype(dtype)).requires_grad_() for s in shapes]


def compare(fused: Any, unfused: Any, dtype: Any, seed: int, *shapes: tuple[int, ...]) -> None:
    """The same values, and the same gradients for a random cotangent, where wanted."""
    results = []
    for function in (fused, unfused):
        inputs = tensors(seed, dtype, *shapes)
        out = function(*inputs)
        cotangent = np.random.default_rng(seed + 1).standard_normal(out.shape).astype(dtype)
        out.backward(mc.from_numpy(cotangent))
        results.append([out.detach().numpy(), *(t.grad.numpy() for t in inputs)])
    for i, (actual, expected) in enumerate(zip(*results, strict=True)):
        assert actual.dtype == dtype
        scale = 1 + np.abs(expected).max(initial=0)
        tolerance = TOLERANCE[dtype]
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale, err_msg=f"array {i}")


def batch_norm_options(c: int, dtype: Any) -> dict[str, Any]:
    running = {"running_mean": mc.tensor(np.full(c, 0.5, dtype)), "running_var": mc.tensor(np.full(c, 2, dtype))}
    return {"eps": 1e-3, "momentum": 0.1, **running}


@given(SEEDS, FLOATS, st.integers(1, 40), st.sampled_from([(), (3,), (4, 5)]))
def test_batch_norm_relu(seed, dtype, c, spatial):
    ours, theirs = batch_norm_options(c, dtype), batch_norm_options(c, dtype)
    compare(
        lambda x, weight, bias: BatchNormReLU.apply(x, weight, bias, **ours),
        lambda x, weight, bias: ReLU.apply(BatchNormTrain.apply(x, weight, bias, **theirs)),
        *(dtype, seed, (6, c, *spatial), (c,), (c,)),
    )
    check_statistics(ours, theirs)


@given(SEEDS, FLOATS, st.integers(1, 40), st.sampled_from([BatchNormTrain, BatchNormReLU, BatchNormReLUMaxPool2d]))
def test_an_offset_is_as_if_added_before(seed, dtype, c, op):
    pooling = {"window": WINDOWS[0][0], "ceil_mode": False} if op is BatchNormReLUMaxPool2d else {}
    ours, theirs = batch_norm_options(c, dtype), batch_norm_options(c, dtype)
    compare(
        lambda *operands: op.apply(*operands, **ours, **pooling),
        lambda x, weight, bias, offset: op.apply(x + offset.reshape(c, 1, 1), weight, bias, **theirs, **pooling),
        *(dtype, seed, (6, c, 4, 4), (c,), (c,), (c,)),
    )
    check_statistics(ours, theirs)


@given(SEEDS, FLOATS, st.integers(1, 40), st.sampled_from([(4, 6), (7, 5)]), st.sampled_from(WINDOWS))
def test_batch_norm_relu_max_pool(seed, dtype, c, size, window):
    ours, theirs = batch_norm_options(c, dtype), batch_norm_options(c, dtype)
    pooling = {"window": window[0], "ceil_mode": window[1]}

    def unfused(x, weight, bias):
        return MaxPool2d.apply(ReLU.apply(BatchNormTrain.apply(x, weight, bias, **theirs)), **pooling)

    compare(
        lambda x, weight, bias: BatchNormReLUMaxPool2d.apply(x, weight, bias, **ours, **pooling),
        *(unfused, dtype, seed, (3, c, *size), (c,), (c,)),
    )
    check_statistics(ours, theirs)


@given(SEEDS, FLOATS, st.sampled_from([5, 16, 19]), st.booleans(), st.sampled_from(WINDOWS))
def test_conv_batch_norm_relu_max_pool(seed, dtype, c, biased, window):
    ours, theirs = batch_norm_options(c, dtype), batch_norm_options(c, dtype)
    pooling = {"window": window[0], "ceil_mode": window[1]}
    conv = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    images = np.random.default_rng(seed).standard_normal((9, 1, 6, 5)).astype(dtype)

    def fused(weight, gamma, beta, bias=None, x=images):
        x = x if isinstance(x, mc.Tensor) else mc.tensor(x)
        return Conv2dBatchNormReLUMaxPool2d.apply(x, weight, bias, gamma, beta, **conv, **ours, **pooling)

    def unfused(weight, gamma, beta, bias=None, x=images):
        x = x if isinstance(x, mc.Tensor) else mc.tensor(x)
        y = Conv2d.apply(x, weight, bias, **conv)
        return MaxPool2d.apply(ReLU.apply(BatchNormTrain.apply(y, gamma, beta, **theirs)), **pooling)

    shapes = (c, 1, 3, 3), (c,), (c,), *([(c,)] if biased else [])
    compare(fused, unfused, dtype, seed, *shapes)  # as in a first layer: nobody wants the images' gradient
    check_statistics(ours, theirs)
    compare(
        lambda x, weight, gamma, beta: fused(weight, gamma, beta, x=x),
        lambda x, weight, gamma, beta: unfused(weight, gamma, beta, x=x),
        *(dtype, seed, images.shape, *shapes[:3]),
    )


def check_statistics(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name in ("running_mean", "running_var"):
        one, other = ours[name].numpy(), theirs[name].numpy()
        tolerance = 16 * float(np.finfo(one.dtype).eps)
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)
        assert (one != batch_norm_options(1, one.dtype)[name].numpy()[0]).all()


@given(SEEDS, FLOATS, st.booleans())
def test_conv_relu(seed, dtype, biased):
    shapes = (2, 3, 6, 7), (5, 3, 3, 2), *([(5,)] if biased else [])
    compare(
        lambda x, weight, bias=None: Conv2dReLU.apply(x, weight, bias, **CONV),
        lambda x, weight, bias=None: ReLU.apply(Conv2d.apply(x, weight, bias, **CONV)),
        *(dtype, seed, *shapes),
    )


@given(SEEDS, FLOATS, st.booleans(), st.sampled_from([(), (4,), (2, 3)]))
def test_linear_relu(seed, dtype, biased, batch):
    shapes = (*batch, 6), (5, 6), *([(5,)] if biased else [])
    compare(
        lambda x, weight, bias=None: LinearReLU.apply(x, weight, bias),
        lambda x, weight, bias=None: ReLU.apply(Linear.apply(x, weight, bias)),
        *(dtype, seed, *shapes),
    )


@given(SEEDS, FLOATS, st.booleans(), st.sampled_from([(), (4,), (2, 3)]), st.sampled_from([0.0, 0.3, 1.0]))
def test_linear_relu_dropout(seed, dtype, biased, batch, p):
    def draw():
        return {"p": p, "generator": mc.Generator().manual_seed(3)}

    shapes = (*batch, 6), (5, 6), *([(5,)] if biased else [])
    compare(
        lambda x, weight, bias=None: LinearReLUDropout.apply(x, weight, bias, **draw()),
        lambda x, weight, bias=None: Dropout.apply(ReLU.apply(Linear.apply(x, weight, bias)), **draw()),
        *(dtype, seed, *shapes),
    )


@given(SEEDS, FLOATS, st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_relu_dropout(seed, dtype, p):
    compare(
        lambda x: ReLUDropout.apply(x, p=p, generator=mc.Generator().manual_seed(3)),
        lambda x: Dropout.apply(ReLU.apply(x), p=p, generator=mc.Generator().manual_seed(3)),
        *(dtype, seed, (4, 3, 7)),
    )


def fused_calls() -> dict[str, tuple[Any, tuple[tuple[int, ...], ...]]]:
    """Each fused operation as a function of tensors, with their shapes: for gradcheck."""
    norm = {"eps": 1e-2, "momentum": 0.1, "running_mean": None, "running_var": None}
    calls: dict[str, tuple[Any, tuple[tuple[int, ...], ...]]] = {
        "batch_norm_relu": (lambda *t: BatchNormReLU.apply(*t, **norm), ((3, 9, 4), (9,), (9,))),
        "batch_norm_relu, few channels": (lambda *t: BatchNormReLU.apply(*t, **norm), ((9, 2), (2,), (2,))),
        "conv_relu": (lambda *t: Conv2dReLU.apply(*t, **CONV), ((2, 2, 4, 5), (3, 2, 3, 2), (3,))),
        "linear_relu": (LinearReLU.apply, ((4, 3), (5, 3), (5,))),
        "linear_relu_dropout": (
            lambda *t: LinearReLUDropout.apply(*t, p=0.3, generator=mc.Generator().manual_seed(3)),
            ((4, 3), (5, 3), (5,)),
        ),
        "relu_dropout": (lambda x: ReLUDropout.apply(x, p=0.3, generator=mc.Generator().manual_seed(3)), ((5, 4),)),
    }
    for i, (window, ceil_mode) in enumerate(WINDOWS):
        pooling = {"window": window, "ceil_mode": ceil_mode}
        calls[f"batch_norm_relu_max_pool {i}"] = (
            lambda *t, pooling=pooling: BatchNormReLUMaxPool2d.apply(*t, **norm, **pooling),
            ((2, 9, 4, 5), (9,), (9,)),
        )
    conv = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    calls["conv_batch_norm_relu_max_pool"] = (
        lambda *t: Conv2dBatchNormReLUMaxPool2d.apply(*t, **conv, **norm, window=WINDOWS[0][0], ceil_mode=False),
        ((2, 2, 4, 6), (9, 2, 3, 3), (9,), (9,), (9,)),
    )
    images = mc.tensor(np.random.default_rng(0).standard_normal((8, 1, 4, 6)))
    calls["conv_batch_norm_relu_max_pool, a first layer"] = (
        lambda weight, *t: Conv2dBatchNormReLUMaxPool2d.apply(
            images, weight, None, *t, **conv, **norm, window=WINDOWS[0][0], ceil_mode=False
        ),
        ((9, 1, 3, 3), (9,), (9,)),
    )
    return calls


@pytest.mark.parametrize("name", fused_calls())
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_gradcheck(name, backend):
    function, shapes = fused_calls()[name]
    with mc.use_backend(backend):
        assert mc.autograd.gradcheck(function, tensors(4, np.float64, *shapes))


def test_no_channel_parameters():
    options = batch_norm_options(20, np.float64)
    options["running_mean"] = options["running_var"] = None
    pooling = {"window": WINDOWS[0][0], "ceil_mode": False}
    compare(
        lambda x: BatchNormReLUMaxPool2d.apply(x, None, None, **options, **pooling),
        lambda x: MaxPool2d.apply(ReLU.apply(BatchNormTrain.apply(x, None, None, **options)), **pooling),
        *(np.float64, 0, (2, 20, 4, 4)),
    )


def test_nothing_is_kept_without_gradients():
    x, weight, bias = (t.detach() for t in tensors(0, np.float32, (2, 16, 4, 4), (16,), (16,)))
    options = batch_norm_options(16, np.float32)
    out = BatchNormReLUMaxPool2d.apply(x, weight, bias, **options, window=WINDOWS[0][0], ceil_mode=False)
    assert out.grad_fn is None


def test_input_changed_in_place_is_noticed():
    x, weight, bias = tensors(0, np.float32, (2, 16, 4, 4), (16,), (16,))
    x = x * 1
    out = BatchNormReLU.apply(x, weight, bias, **batch_norm_options(16, np.float32))
    with mc.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError, match="changed it in place"):
        out.sum().backward()
