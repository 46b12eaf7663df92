"""Losses of numbers, of yes or no, of margins, of sequences: against torch and central differences."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, broadcastable, check_gradients, compare, values

F = mc.nn.functional
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
SHAPES = st.sampled_from([(), (3,), (2, 3), (2, 3, 2), (0, 3)])
# Sums of a few terms; torch's losses in float32 add in another order.
FEW = {"rtol": 2e-5, "atol": 1e-5}


def draws(seed, shape, dtype, kinds):
    """Arrays of kinds: normal, grid, unit (0..1), positive, sign (1, -1), count, log (of probabilities)."""
    rng = np.random.default_rng(seed)
    made = {
        "normal": lambda: rng.standard_normal(shape),
        "grid": lambda: values(rng, shape),
        "unit": lambda: rng.choice([0.0, 0.25, 0.5, 1.0], size=shape),
        "inside": lambda: rng.uniform(0.05, 0.95, size=shape),
        "positive": lambda: rng.uniform(0.5, 2.0, size=shape),
        "sign": lambda: rng.choice([1.0, -1.0], size=shape),
        "count": lambda: rng.integers(0, 4, size=shape),
        "log": lambda: np.log(rng.uniform(0.1, 1.0, size=shape)),
    }
    return [np.asarray(made[kind](), dtype) for kind in kinds.split()]


# name, kinds of the tensors, options to try
CASES = [
    ("mse_loss", "grid grid", {}),
    ("l1_loss", "grid grid", {}),
    ("smooth_l1_loss", "grid grid", {}),
    ("smooth_l1_loss", "grid grid", {"beta": 0.5}),
    ("smooth_l1_loss", "grid grid", {"beta": 0}),
    ("huber_loss", "grid grid", {}),
    ("huber_loss", "grid grid", {"delta": 0.5}),
    ("binary_cross_entropy", "inside unit", {}),
    ("binary_cross_entropy_with_logits", "normal unit", {}),
    ("kl_div", "log positive", {}),
    ("kl_div", "log log", {"log_target": True}),
    ("poisson_nll_loss", "normal positive", {}),
    ("poisson_nll_loss", "positive positive", {"log_input": False, "full": True}),
    ("gaussian_nll_loss", "normal normal positive", {}),
    ("gaussian_nll_loss", "normal normal positive", {"full": True, "eps": 1.0}),
    ("hinge_embedding_loss", "grid sign", {}),
    ("hinge_embedding_loss", "grid sign", {"margin": 0.5}),
    ("soft_margin_loss", "normal count", {}),
    ("margin_ranking_loss", "grid grid sign", {}),
    ("margin_ranking_loss", "grid grid sign", {"margin": 0.5}),
]


@pytest.mark.parametrize(("name", "kinds", "options"), CASES)
@given(shape=SHAPES, dtype=FLOATS, reduction=REDUCTIONS, seed=SEEDS)
def test_element_by_element(name, kinds, options, shape, dtype, reduction, seed):
    tensors = draws(seed, shape, dtype, kinds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # kl_div's mean
        if name == "soft_margin_loss":  # whose target cannot have a gradient in torch
            compare(
                lambda m, x: m.nn.functional.soft_margin_loss(x, m.tensor(tensors[1]), reduction=reduction), tensors[0]
            )
            return
        compare(lambda m, *t: getattr(m.nn.functional, name)(*t, reduction=reduction, **options), *tensors, **FEW)


@pytest.mark.parametrize(("name", "kinds", "options"), [c for c in CASES if "grid" not in c[1] and "eps" not in c[2]])
def test_gradcheck(name, kinds, options):
    tensors = draws(0, (2, 3), np.float64, kinds)
    check_gradients(lambda m, *t: getattr(m.nn.functional, name)(*t, reduction="sum", **options), *tensors)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
@given(pair=broadcastable(2, min_side=1), reduction=REDUCTIONS)
def test_broadcasting_warns(name, pair, reduction):
    same = pair[0].shape == pair[1].shape
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        compare(lambda m, a, b: getattr(m.nn.functional, name)(a, b, reduction=reduction), *pair, **FEW)
    if not same:
        with pytest.warns(UserWarning, match=f"{name}: target has shape .* they broadcast"):
            getattr(F, name)(*map(mc.from_numpy, pair))


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_weights(name, reduction):
    a, b, w = draws(0, (2, 3), np.float64, "normal normal positive")
    compare(lambda m, a, b, w: getattr(m.nn.functional, name)(a, b, weight=w, reduction=reduction), a, b, w)
    both_raise(lambda m, a, b, w: getattr(m.nn.functional, name)(a, b, weight=w), a, b, w[:1], match=r"weight: ")


class TestBinary:
    @given(shape=st.sampled_from([(3,), (2, 3), (2, 3, 2)]), dtype=FLOATS, reduction=REDUCTIONS, seed=SEEDS)
    def test_weights(self, shape, dtype, reduction, seed):
        x, logits, t = draws(seed, shape, dtype, "inside normal unit")
        (w,) = draws(seed, shape[-1:], dtype, "positive")
        compare(
            lambda m, x, t: m.nn.functional.binary_cross_entropy(x, t, m.tensor(w), reduction=reduction), x, t, **FEW
        )
        compare(
            lambda m, x, t: m.nn.functional.binary_cross_entropy_with_logits(
                x, t, m.tensor(w), pos_weight=m.tensor(w + 1), reduction=reduction
            ),
            logits, t, **FEW,
        )  # fmt: skip
        if len(shape) > 1:
            compare(
                lambda m, x, t: m.nn.functional.multilabel_soft_margin_loss(x, t, m.tensor(w), reduction=reduction),
                logits, t, **FEW,
            )  # fmt: skip

    def test_certain_and_wrong(self):
        x, t = np.array([0.0, 1.0, 0.0, 1.0, 1e-30]), np.array([0.0, 0.0, 1.0, 1.0, 1.0])
        # torch's least divisor, 1e-12, is a float32 number
        compare(lambda m, x, t: m.nn.functional.binary_cross_entropy(x, t, reduction="none"), x, t, rtol=1e-8)
        x = np.array([-1e4, 1e4, -1e4, 1e4])
        compare(lambda m, x: m.nn.functional.binary_cross_entropy_with_logits(x, m.tensor(t[:4]), reduction="none"), x)

    def test_errors(self):
        bce = lambda m, x, t: m.nn.functional.binary_cross_entropy(x, t)  # noqa: E731
        logits = lambda m, x, t: m.nn.functional.binary_cross_entropy_with_logits(x, t)  # noqa: E731
        both_raise(
            bce, np.array([0.5, 1.5]), np.ones(2), match=r"input: .* needs probabilities, in 0..1, got 0.5 to 1.5"
        )
        both_raise(bce, np.array([0.5, np.nan]), np.ones(2), match=r"input: .* needs probabilities")
        both_raise(bce, np.ones((2, 1)), np.ones(2), match=r"target: .* input's shape \(2, 1\), got \(2,\)")
        both_raise(logits, np.ones((2, 1)), np.ones(2), match=r"target: .* input's shape \(2, 1\), got \(2,\)")


class TestLikelihoods:
    def test_kl_div_by_batch(self):
        x, t = draws(0, (4, 3), np.float64, "log positive")
        compare(lambda m, x, t: m.nn.functional.kl_div(x, t, reduction="batchmean"), x, t)
        compare(
            lambda m, x, t: m.nn.functional.kl_div(x, t, reduction="batchmean"),
            np.asarray(x[0, 0]),
            np.asarray(t[0, 0]),
        )
        with pytest.warns(UserWarning, match="'batchmean', by the size of the batch"):
            F.kl_div(mc.tensor(x), mc.tensor(t))

    def test_kl_div_of_what_never_happens(self):
        x, t = np.array([-1.0, -2.0]), np.array([0.0, 1.0])
        compare(lambda m, x: m.nn.functional.kl_div(x, m.tensor(t), reduction="none"), x)

    @pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3), (2, 1, 4), (2, 3, 1)])
    def test_shapes_of_variances(self, shape):
        x, t = draws(0, (2, 3, 4), np.float64, "normal normal")
        (var,) = draws(1, shape, np.float64, "positive")
        compare(lambda m, x, t, v: m.nn.functional.gaussian_nll_loss(x, t, v), x, t, var)

    def test_variance_as_a_number(self):
        x, t = draws(0, (2, 3), np.float64, "normal normal")
        compare(lambda m, x, t: m.nn.functional.gaussian_nll_loss(x, t, 0.5), x, t)

    def test_errors(self):
        loss = lambda m, x, t, v: m.nn.functional.gaussian_nll_loss(x, t, v)  # noqa: E731
        both_raise(loss, np.ones(2), np.ones(2), np.array([1.0, -1.0]), match="var: a variance is not negative")
        both_raise(loss, np.ones((2, 3, 4)), np.ones((2, 3, 4)), np.ones((3, 4)), match=r"var: .*got \(3, 4\)")
        both_raise(
            lambda m, x: m.nn.functional.poisson_nll_loss(x, x, reduction="mid"), np.ones(2), match="reduction: "
        )


class TestMargins:
    @given(
        dtype=FLOATS, reduction=REDUCTIONS, seed=SEEDS, p=st.sampled_from([1, 2]), shape=st.sampled_from([(3, 4), (4,)])
    )
    def test_multi_margin(self, dtype, reduction, seed, p, shape):
        (x,) = draws(seed, shape, dtype, "grid")
        t = np.random.default_rng(seed).integers(0, 4, shape[:-1])
        (w,) = draws(seed, (4,), dtype, "positive")
        for weight in (False, True):
            compare(
                lambda m, x: m.nn.functional.multi_margin_loss(
                    x, m.tensor(t), p, 0.5, m.tensor(w) if weight else None, reduction=reduction  # noqa: B023
                ),
                x, **FEW,
            )  # fmt: skip

    @given(dtype=FLOATS, reduction=REDUCTIONS, seed=SEEDS, shape=st.sampled_from([(3, 4), (4,)]))
    def test_multilabel_margin(self, dtype, reduction, seed, shape):
        (x,) = draws(seed, shape, dtype, "grid")
        t = np.random.default_rng(seed).integers(-1, 4, shape)
        compare(lambda m, x: m.nn.functional.multilabel_margin_loss(x, m.tensor(t), reduction=reduction), x, **FEW)

    @given(
        dtype=FLOATS, reduction=REDUCTIONS, seed=SEEDS, p=st.sampled_from([1.0, 2.0, 3.0]), swap=st.booleans(),
        shape=st.sampled_from([(3, 4), (4,), (2, 3, 4)]),
    )  # fmt: skip
    def test_triplets(self, dtype, reduction, seed, p, swap, shape):
        tensors = draws(seed, shape, dtype, "normal normal normal")
        compare(
            lambda m, *t: m.nn.functional.triplet_margin_loss(*t, margin=0.7, p=p, swap=swap, reduction=reduction),
            *tensors, **FEW,
        )  # fmt: skip
        compare(
            lambda m, *t: m.nn.functional.triplet_margin_with_distance_loss(
                *t, distance_function=lambda a, b: (a - b).abs().sum(-1), swap=swap, reduction=reduction
            ),
            *tensors, **FEW,
        )  # fmt: skip

    @given(
        dtype=FLOATS,
        reduction=REDUCTIONS,
        seed=SEEDS,
        margin=st.sampled_from([0.0, 0.3]),
        n=st.sampled_from([(), (3,)]),
    )
    def test_cosine_embedding(self, dtype, reduction, seed, margin, n):
        a, b = draws(seed, (*n, 4), dtype, "normal normal")
        (t,) = draws(seed, n, dtype, "sign")
        compare(
            lambda m, a, b: m.nn.functional.cosine_embedding_loss(a, b, m.tensor(t), margin, reduction=reduction),
            a, b, **FEW,
        )  # fmt: skip

    def test_errors(self):
        x, t = np.ones((2, 3)), np.zeros(2, np.int64)
        multi = lambda *a: lambda m, x, t, *w: m.nn.functional.multi_margin_loss(x, t, *a, *w)  # noqa: E731
        both_raise(multi(3), x, t, match="p: multi_margin_loss has 1 and 2, got 3")
        both_raise(multi(), x, t[:1], match=r"target: expected one class index for each")
        both_raise(multi(1, 1.0), x, t, np.ones(2), match=r"weight: expected one for each of the 3 classes, got \(2,\)")
        both_raise(multi(), x, t + 3, match="target: multi_margin_loss needs labels of 0 to 2, got 3 to 3")
        both_raise(lambda m, x, t: m.nn.functional.multilabel_margin_loss(x, t), x, t, match="target: multilabel")
        triplet = lambda m, *t: m.nn.functional.triplet_margin_loss(*t, margin=0)  # noqa: E731
        both_raise(triplet, x, x, x, match="margin: triplet_margin_loss needs a positive number, got 0")
        both_raise(lambda m, *t: m.nn.functional.triplet_margin_loss(*t), x, x, x[0], match="negative: triplet")
        both_raise(lambda m, *t: m.nn.functional.cosine_embedding_loss(*t), x, x, x, match="target: cosine_embedding")
        both_raise(lambda m, *t: m.nn.functional.margin_ranking_loss(*t), x, x, x[0], match="target: margin_ranking")
        both_raise(lambda m, *t: m.nn.functional.huber_loss(*t, delta=0), x, x, match="delta: huber_loss needs")
        both_raise(lambda m, *t: m.nn.functional.smooth_l1_loss(*t, beta=-1), x, x, match="beta: smooth_l1_loss needs")


class TestOldArguments:
    @pytest.mark.parametrize("average", [True, False, None])
    @pytest.mark.parametrize("reduce", [True, False])
    @pytest.mark.parametrize("name", ["mse_loss", "cross_entropy", "soft_margin_loss"])
    def test_size_average_and_reduce(self, name, average, reduce):
        x, t = draws(0, (2, 3), np.float64, "normal sign")
        t = np.array([0, 2]) if name == "cross_entropy" else t
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            compare(lambda m, x: getattr(m.nn.functional, name)(x, m.tensor(t), size_average=average, reduce=reduce), x)
        assert any("deprecated: use reduction=" in str(w.message) for w in caught)


class TestCTC:
    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    @pytest.mark.parametrize("zero_infinity", [False, True])
    @pytest.mark.parametrize("form", ["padded", "concatenated", "lists"])
    def test_against_torch(self, reduction, zero_infinity, form):
        rng = np.random.default_rng(0)
        x, targets = rng.standard_normal((9, 3, 5)), rng.integers(1, 5, (3, 4))
        lengths = np.array([9, 7, 8]), np.array([4, 2, 0])
        if form == "concatenated":
            targets = np.concatenate([row[:n] for row, n in zip(targets, lengths[1], strict=True)])

        def function(m, x):
            given = lengths if form == "lists" else map(m.tensor, lengths)
            given = [tuple(v.tolist()) for v in given] if form == "lists" else given
            log_probs = x.log_softmax(2)
            options = {"reduction": reduction, "zero_infinity": zero_infinity}
            return m.nn.functional.ctc_loss(log_probs, m.tensor(targets), *given, **options)

        compare(function, x, rtol=1e-9)

    def test_one_sequence(self):
        x = np.random.default_rng(0).standard_normal((6, 4))
        for reduction in ("mean", "none"):
            compare(
                lambda m, x: m.nn.functional.ctc_loss(
                    x.log_softmax(1), m.tensor([1, 2]), m.tensor(6), m.tensor(2), reduction=reduction  # noqa: B023
                ),
                x, rtol=1e-9,
            )  # fmt: skip

    def test_impossible_targets_count_nothing_if_asked(self):
        x = np.random.default_rng(0).standard_normal((2, 2, 4))

        def function(m, x):
            lengths = m.tensor([2, 2]), m.tensor([3, 1])
            targets = m.tensor([[1, 2, 3], [1, 0, 0]])
            return m.nn.functional.ctc_loss(x.log_softmax(2), targets, *lengths, reduction="none", zero_infinity=True)

        compare(function, x, rtol=1e-9)

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"blank": 4}, "blank: ctc_loss needs one of the 4 classes, got 4"),
            ({"input_lengths": [6, 7]}, "input_lengths: ctc_loss needs at most the 6 steps"),
            (
                {"input_lengths": [6]},
                r"input_lengths: ctc_loss needs one for each of the 2 sequences, got shape \(1,\)",
            ),
            ({"target_lengths": [3, 1]}, "targets: ctc_loss needs 2 rows of at least 3 labels"),
            ({"targets": [1, 2, 3]}, r"targets: .*all 4 labels in one row, got shape \(3,\)"),
            ({"target_lengths": [2, -1]}, "target_lengths: a length is not negative"),
        ],
    )
    def test_errors(self, change, match):
        options = {"targets": [[1, 2], [3, 1]], "input_lengths": [6, 6], "target_lengths": [2, 2], "blank": 0}
        options |= change

        def function(m, x):
            return m.nn.functional.ctc_loss(x, **{k: m.tensor(v) if k != "blank" else v for k, v in options.items()})

        both_raise(function, np.zeros((6, 2, 4)), match=match)

    def test_labels_outside_the_classes(self):
        with pytest.raises(ValueError, match="targets: ctc_loss needs labels of 0 to 3"):
            F.ctc_loss(mc.zeros(6, 1, 4), mc.tensor([[1, 4]]), mc.tensor([6]), mc.tensor([2]))


def test_targets_may_want_gradients_as_in_torch():
    x, t = draws(0, (2, 3), np.float64, "normal normal")
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        theirs = torch.tensor(t, requires_grad=True)
        getattr(torch.nn.functional, name)(torch.tensor(x), theirs).backward()
        ours = mc.tensor(t, requires_grad=True)
        getattr(F, name)(mc.tensor(x), ours).backward()
        np.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy())
