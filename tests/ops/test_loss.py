"""Losses against torch and central differences."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare, layouts, values

F = mc.nn.functional
REDUCTIONS = ["mean", "sum", "none"]


@st.composite
def cases(draw, soft=False):
    c = draw(st.integers(1, 5))
    outer = draw(st.sampled_from([None, (), (2,), (3, 2)]))
    n = draw(st.integers(1, 4))
    shape = (c,) if outer is None else (n, c, *outer)
    target_shape = () if outer is None else (n, *outer)
    rng = np.random.default_rng(draw(SEEDS))
    dtype = draw(FLOATS)
    x = list(layouts(values(rng, shape, dtype, "normal")))[draw(st.integers(0, 1))]
    if soft:
        target = rng.uniform(size=shape).astype(dtype)
    else:
        target = rng.integers(0, c, target_shape)
        target = np.asarray(np.where(rng.uniform(size=target_shape) < draw(st.sampled_from([0, 0.3])), -100, target))
    weight = rng.uniform(0.2, 2, c).astype(dtype) if draw(st.booleans()) else None
    return x, target, weight, draw(st.sampled_from(REDUCTIONS)), draw(st.sampled_from([0.0, 0.1, 1.0]))


@settings(max_examples=80)
@given(case=cases())
def test_cross_entropy(case):
    x, target, weight, reduction, smoothing = case
    rounding = {"rtol": 1e-5, "atol": 1e-5} if x.dtype == np.float32 else {}
    compare(
        lambda m, x, t: m.nn.functional.cross_entropy(
            x, t, None if weight is None else m.tensor(weight), reduction=reduction, label_smoothing=smoothing
        ),
        x,
        target,
        **rounding,
    )


@settings(max_examples=80)
@given(case=cases(soft=True))
def test_cross_entropy_with_probabilities(case):
    x, target, weight, reduction, smoothing = case
    rounding = {"rtol": 1e-5, "atol": 1e-5} if x.dtype == np.float32 else {}
    compare(
        lambda m, x, t: m.nn.functional.cross_entropy(
            x, t, None if weight is None else m.tensor(weight), reduction=reduction, label_smoothing=smoothing
        ),
        x,
        target,
        **rounding,
    )


@settings(max_examples=50)
@given(case=cases())
def test_nll_loss(case):
    x, target, weight, reduction, _ = case
    rounding = {"rtol": 1e-5, "atol": 1e-5} if x.dtype == np.float32 else {}
    compare(
        lambda m, x, t: m.nn.functional.nll_loss(
            m.log_softmax(x, 0 if x.ndim == 1 else 1),
            t,
            None if weight is None else m.tensor(weight),
            reduction=reduction,
        ),
        x,
        target,
        **rounding,
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_everything_ignored(reduction, smoothing, weighted):
    """The mean is 0 / 0, a NaN, and the gradient is 0: as torch."""
    weight = np.array([0.5, 1.0, 2.0])
    options = {"reduction": reduction, "label_smoothing": smoothing}
    compare(
        lambda m, x, t: m.nn.functional.cross_entropy(x, t, m.tensor(weight) if weighted else None, **options),
        np.ones((2, 3)),
        np.array([-100, -100]),
    )
    compare(
        lambda m, x, t: m.nn.functional.nll_loss(x, t, reduction=reduction), np.ones((2, 3)), np.array([-100, -100])
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_ignore_index_inside_and_outside_the_classes(reduction):
    for ignore in (1, -1, 255):
        target = np.array([0, ignore, 2, ignore])
        compare(
            lambda m, x, t, i=ignore: m.nn.functional.cross_entropy(x, t, ignore_index=i, reduction=reduction),
            values(np.random.default_rng(0), (4, 3), kind="normal"),
            target,
        )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_empty_batch(reduction):
    compare(
        lambda m, x, t: m.nn.functional.cross_entropy(x, t, reduction=reduction),
        np.zeros((0, 3)),
        np.zeros(0, np.int64),
    )
    compare(
        lambda m, x, t: m.nn.functional.cross_entropy(x, t, reduction=reduction),
        np.zeros((0, 3, 2)),
        np.zeros((0, 2), np.int64),
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_extreme_logits(dtype):
    x = np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0], [88, 90, -90], [-700, 0, 700]], dtype)
    for target in itertools.product(range(3), repeat=2):
        t = np.array([*target, 0, 2])
        compare(lambda m, x, t: m.nn.functional.cross_entropy(x, t), x, t)
    inf = np.array([[0.0, -np.inf, 1.0], [0.0, 1.0, -np.inf]], dtype)
    compare(lambda m, x, t: m.nn.functional.cross_entropy(x, t), inf, np.array([0, 1]))
    compare(lambda m, x, t: m.nn.functional.cross_entropy(x, t, reduction="none"), inf, np.array([1, 1]))


def test_uint8_targets_as_in_torch():
    compare(lambda m, x, t: m.nn.functional.cross_entropy(x, t), np.eye(3), np.array([0, 1, 2], np.uint8))


def test_int32_targets():
    """torch wants int64; we take any whole numbers."""
    a = F.cross_entropy(mc.eye(3), mc.tensor([0, 1, 2], dtype=mc.int32))
    assert a.item() == F.cross_entropy(mc.eye(3), mc.tensor([0, 1, 2])).item()


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradcheck(reduction):
    rng = np.random.default_rng(0)
    x, weight = values(rng, (4, 3), kind="normal"), mc.tensor(rng.uniform(0.5, 2, 3))
    target = mc.tensor([0, 2, -100, 1])
    for smoothing in (0.0, 0.3):
        options = {"reduction": reduction, "label_smoothing": smoothing}
        check_gradients(lambda m, x, o=options: F.cross_entropy(x, target, weight, **o), x)
        check_gradients(lambda m, x, q, o=options: F.cross_entropy(x, q, weight, **o), x, rng.uniform(size=(4, 3)))
    check_gradients(lambda m, x: F.nll_loss(x, target, weight, reduction=reduction), x)
    check_gradients(lambda m, a, b: F.mse_loss(a, b, reduction=reduction), x, values(rng, (4, 3), kind="normal"))


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtypes", [(np.float64, np.float64), (np.float32, np.float32), (np.float32, np.float64)])
def test_mse_loss(reduction, dtypes):
    rng = np.random.default_rng(0)
    for shape in ((3, 4), (), (0,), (2, 1, 3)):
        a, b = (values(rng, shape, d, "normal") for d in dtypes)
        compare(lambda m, a, b: m.nn.functional.mse_loss(a, b, reduction=reduction), a, b)
        compare(lambda m, a: m.nn.functional.mse_loss(a, a * 2, reduction=reduction), a)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_mse_loss_with_weights(reduction):
    rng = np.random.default_rng(0)
    a, b, w = (values(rng, (3, 4), kind="positive") for _ in range(3))
    compare(lambda m, a, b: m.nn.functional.mse_loss(a, b, reduction=reduction, weight=m.tensor(w)), a, b)


def test_mse_loss_warns_of_broadcasting():
    with pytest.warns(UserWarning, match=r"target has shape \(3, 1\), input \(3,\)"):
        F.mse_loss(mc.ones(3), mc.ones(3, 1))


X = np.ones((2, 3))
T = np.array([0, 1])


def cross_entropy(*weight, **options):
    return lambda m, x, t: m.nn.functional.cross_entropy(x, t, *(w(m) for w in weight), **options)


def nll_loss(**options):
    return lambda m, x, t: m.nn.functional.nll_loss(x, t, **options)


def mse_loss(**options):
    return lambda m, x, t: m.nn.functional.mse_loss(x, t, **options)


NUMBER = np.array(1.0)
ERRORS = [
    (cross_entropy(), X, np.array([0, 3]), r"target: label 3 \(at position 1\) is outside the 3 classes, 0 to 2"),
    (cross_entropy(), X, np.array([-1, 0]), r"target: label -1"),
    (cross_entropy(), X, np.array([0, 1, 2]), r"target: .*\(2,\), got \(3,\)"),
    (cross_entropy(), X, T[:, None], r"target: .*got \(2, 1\)"),
    (cross_entropy(), X, np.ones((2, 2)), r"target: .*probabilities.*\(2, 3\), got \(2, 2\)"),
    (cross_entropy(lambda m: m.ones(2).double()), X, T, r"weight: .*\(3,\), got \(2,\)"),
    (cross_entropy(lambda m: m.ones(3)), X, T, r"weight: cross_entropy needs one type"),
    (cross_entropy(reduction="avg"), X, T, r"reduction: expected one of 'mean', 'sum', 'none', got 'avg'"),
    (cross_entropy(label_smoothing=1.5), X, T, r"label_smoothing: expected 0 to 1, got 1.5"),
    (cross_entropy(), X, np.array([True, False]), r"target: .*bool"),
    (cross_entropy(), np.ones((2, 3), np.int64), T, r"input: cross_entropy needs floating point"),
    (cross_entropy(), NUMBER, T, r"input: .*single number"),
    (nll_loss(), X, np.array([0, 3]), r"target: label 3"),
    (nll_loss(), X, X, r"target: nll_loss takes class indices"),
    (nll_loss(reduction=""), X, T, r"reduction"),
    (mse_loss(), X, np.ones((2, 2)), r"broadcast"),
    (mse_loss(reduction="all"), X, X, r"reduction"),
]


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_errors(case):
    function, x, t, message = case
    both_raise(function, x, t, match=message)


def test_unsupported():
    with pytest.raises(TypeError, match=r"target: cross_entropy needs a Tensor, got list"):
        F.cross_entropy(mc.ones(2, 3), [0, 1])


def test_the_default_message_of_torch_agrees_on_the_value():
    """By hand: two classes, equal logits, -ln(1/2)."""
    loss = F.cross_entropy(mc.zeros(1, 2), mc.tensor([0]))
    assert abs(loss.item() - np.log(2)) < 1e-7
    assert torch.nn.functional.cross_entropy(torch.zeros(1, 2), torch.tensor([0])).item() == pytest.approx(np.log(2))
