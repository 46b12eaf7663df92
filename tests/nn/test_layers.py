"""Every layer against PyTorch's: values, gradients, buffers, state dict keys, repr."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import (
    assert_close,
    assert_same_behaviour,
    assert_same_state,
    copy_into_ours,
    copy_into_torch,
)

# (how to make the layer, given `nn`; input shape)
LAYERS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "conv": (lambda nn: nn.Conv2d(3, 4, 3), (2, 3, 7, 6)),
    "conv-padded": (lambda nn: nn.Conv2d(1, 8, 3, padding=1), (2, 1, 6, 5)),
    "conv-everything": (
        lambda nn: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2, bias=False),
        (2, 4, 9, 8),
    ),
    "conv-depthwise": (lambda nn: nn.Conv2d(4, 8, 3, groups=4, padding=2, dilation=2), (1, 4, 6, 6)),
    "conv-same": (lambda nn: nn.Conv2d(2, 3, (3, 4), padding="same", dilation=(2, 1)), (2, 2, 7, 6)),
    "conv-valid": (lambda nn: nn.Conv2d(2, 3, 3, padding="valid", stride=2), (2, 2, 7, 6)),
    "conv-one-image": (lambda nn: nn.Conv2d(2, 3, 3), (2, 5, 5)),
    "linear": (lambda nn: nn.Linear(5, 3), (4, 5)),
    "linear-no-bias": (lambda nn: nn.Linear(5, 3, bias=False), (2, 4, 5)),
    "linear-vector": (lambda nn: nn.Linear(5, 3), (5,)),
    "batchnorm2d": (lambda nn: nn.BatchNorm2d(3), (4, 3, 5, 6)),
    "batchnorm2d-cumulative": (lambda nn: nn.BatchNorm2d(3, momentum=None, eps=1e-3), (4, 3, 2, 3)),
    "batchnorm2d-momentum": (lambda nn: nn.BatchNorm2d(3, momentum=0.7, affine=False), (4, 3, 2, 3)),
    "batchnorm2d-untracked": (lambda nn: nn.BatchNorm2d(3, track_running_stats=False), (4, 3, 2, 3)),
    "batchnorm2d-no-bias": (lambda nn: nn.BatchNorm2d(3, bias=False), (4, 3, 2, 3)),
    "batchnorm1d": (lambda nn: nn.BatchNorm1d(3), (6, 3)),
    "batchnorm1d-sequence": (lambda nn: nn.BatchNorm1d(3), (4, 3, 5)),
    "maxpool": (lambda nn: nn.MaxPool2d(2, 2), (2, 3, 6, 8)),
    "maxpool-everything": (
        lambda nn: nn.MaxPool2d((3, 2), stride=(2, 1), padding=1, dilation=(1, 2), ceil_mode=True),
        (2, 3, 8, 7),
    ),
    "avgpool": (lambda nn: nn.AvgPool2d(2), (2, 3, 6, 8)),
    "avgpool-everything": (
        lambda nn: nn.AvgPool2d((3, 2), stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        (2, 3, 8, 7),
    ),
    "avgpool-divisor": (lambda nn: nn.AvgPool2d(3, 2, divisor_override=5), (2, 3, 8, 7)),
    "relu": (lambda nn: nn.ReLU(), (3, 4)),
    "sigmoid": (lambda nn: nn.Sigmoid(), (3, 4)),
    "tanh": (lambda nn: nn.Tanh(), (3, 4)),
    "softmax": (lambda nn: nn.Softmax(dim=1), (3, 4)),
    "log-softmax": (lambda nn: nn.LogSoftmax(dim=-1), (3, 4)),
    "flatten": (lambda nn: nn.Flatten(), (3, 2, 4, 2)),
    "flatten-middle": (lambda nn: nn.Flatten(1, 2), (3, 2, 4, 2)),
    "identity": (lambda nn: nn.Identity(1, unused=2), (3, 4)),
    "dropout-0": (lambda nn: nn.Dropout(0.0), (3, 4)),
    "sequential": (
        lambda nn: nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 5)
        ),
        (4, 1, 6, 6),
    ),
    "sequential-inplace": (
        lambda nn: nn.Sequential(nn.Linear(4, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)),
        (3, 4),
    ),
}
# torch warns of a copy that it makes
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
CASES = pytest.mark.parametrize("name", LAYERS)


def pair_of(name: str, dtype: type = np.float64) -> tuple[Any, Any]:
    make, _ = LAYERS[name]
    torch.manual_seed(0)
    mc.manual_seed(0)
    ours, theirs = make(mc.nn), make(torch.nn)
    return (ours.double(), theirs.double()) if dtype == np.float64 else (ours, theirs)


@CASES
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_of_torch_give_torchs_results(name, dtype):
    ours, theirs = pair_of(name, dtype)
    copy_into_ours(ours, theirs)
    assert_same_behaviour(ours, theirs, LAYERS[name][1], dtype)


@pytest.mark.parametrize("name", ["conv-everything", "linear", "batchnorm2d", "sequential"])
def test_torch_takes_our_weights(name):
    ours, theirs = pair_of(name)
    copy_into_torch(theirs, ours)
    assert_same_state(ours, theirs, np.float64)
    assert_same_behaviour(ours, theirs, LAYERS[name][1])


@CASES
def test_repr_is_torchs(name):
    ours, theirs = pair_of(name)
    assert repr(ours) == repr(theirs)


@CASES
def test_names_of_parameters_and_buffers_are_torchs(name):
    ours, theirs = pair_of(name)
    for kind in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [n for n, _ in getattr(ours, kind)()] == [n for n, _ in getattr(theirs, kind)()]


class TestDropout:
    def test_training_keeps_about_half_and_doubles_it(self):
        mc.manual_seed(1)
        y = mc.nn.Dropout(0.5)(mc.ones(100, 100)).numpy()
        assert set(np.unique(y)) == {0.0, 2.0}
        # 10,000 draws: the mean's standard deviation is 0.01, so five of them.
        assert abs(y.mean() - 1) < 0.05

    def test_gradient_has_the_same_mask(self):
        x = mc.ones(50, 50, requires_grad=True)
        y = mc.nn.Dropout(0.3)(x)
        y.sum().backward()
        np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())

    def test_evaluation_returns_the_input(self):
        x = mc.randn(3, 4)
        np.testing.assert_array_equal(mc.nn.Dropout(0.9).eval()(x).numpy(), x.numpy())

    @pytest.mark.parametrize("p", [-0.1, 1.1])
    def test_refuses_what_is_no_probability(self, p):
        with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1, but got"):
            mc.nn.Dropout(p)


class TestLosses:
    LOGITS = np.random.default_rng(3).standard_normal((5, 4))
    TARGET = np.array([0, 3, 2, 1, 2])

    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize(("loss", "options"), [("CrossEntropyLoss", {"label_smoothing": 0.1}), ("NLLLoss", {})])
    def test_classification(self, loss, options, weighted, reduction):
        weight = np.array([1.0, 0.5, 2.0, 0.0]) if weighted else None
        ours = getattr(mc.nn, loss)(
            None if weight is None else mc.from_numpy(weight), ignore_index=1, reduction=reduction, **options
        )
        theirs = getattr(torch.nn, loss)(
            None if weight is None else torch.from_numpy(weight), ignore_index=1, reduction=reduction, **options
        )
        assert repr(ours) == repr(theirs)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        self.check(ours, theirs, mc.from_numpy(self.TARGET), torch.from_numpy(self.TARGET))

    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    def test_mse(self, reduction):
        target = np.random.default_rng(4).standard_normal((5, 4))
        ours, theirs = mc.nn.MSELoss(reduction=reduction), torch.nn.MSELoss(reduction=reduction)
        self.check(ours, theirs, mc.from_numpy(target), torch.from_numpy(target))

    def check(self, ours, theirs, target, target_theirs):
        x = mc.tensor(self.LOGITS, requires_grad=True)
        x_theirs = torch.tensor(self.LOGITS, requires_grad=True)
        y, y_theirs = ours(x, target), theirs(x_theirs, target_theirs)
        assert_close(y, y_theirs, np.float64, "loss")
        cotangent = np.random.default_rng(5).standard_normal(tuple(y_theirs.shape))
        y.backward(mc.tensor(cotangent))
        y_theirs.backward(torch.tensor(cotangent))
        assert_close(x.grad, x_theirs.grad, np.float64, "gradient")

    def test_deprecated_reductions_name_the_new_one(self):
        with pytest.warns(UserWarning, match="size_average and reduce are deprecated: use reduction='sum' instead"):
            assert mc.nn.CrossEntropyLoss(size_average=False).reduction == "sum"
        with pytest.raises(ValueError, match="got 'average'"):
            mc.nn.MSELoss(reduction="average")


class TestDevicesAndDtypes:
    @pytest.mark.parametrize(
        "make", [lambda **o: mc.nn.Conv2d(1, 2, 3, **o), lambda **o: mc.nn.Linear(2, 3, **o),
                 lambda **o: mc.nn.BatchNorm2d(4, **o)]
    )  # fmt: skip
    def test_factory_arguments(self, make):
        layer = make(device="cpu", dtype=mc.float64)
        assert {p.dtype for p in layer.parameters()} == {mc.float64}
        assert {b.dtype for b in layer.buffers()} <= {mc.float64, mc.int64}
        with pytest.raises(RuntimeError, match="cuda"):
            make(device="cuda")


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"groups": 0}, "groups must be a positive integer, got 0"),
            ({"groups": 3}, "in_channels must be divisible by groups, got in_channels=4, groups=3"),
            ({"groups": 4}, "out_channels must be divisible by groups, got out_channels=6, groups=4"),
            ({"padding": "big"}, "Invalid padding string 'big'"),
            ({"padding": "same", "stride": 2}, "padding='same' is not supported for strided convolutions"),
            ({"padding_mode": "mirror"}, "padding_mode must be one of"),
            ({"stride": (1, 2, 3)}, r"stride must be an int or a pair of ints \(height, width\), got 3 values"),
        ],
    )
    def test_conv(self, options, message):
        with pytest.raises(ValueError, match=message):
            mc.nn.Conv2d(4, 6, 3, **options)

    def test_channels_that_do_not_fit(self):
        with pytest.raises((ValueError, RuntimeError), match="channels"):
            mc.nn.Conv2d(3, 4, 3)(mc.zeros(1, 1, 8, 8))

    @pytest.mark.parametrize(
        ("layer", "shape", "message"),
        [
            (lambda: mc.nn.BatchNorm2d(3), (2, 3), r"expected 4D input \(n, c, h, w\), got 2D input of shape \(2, 3\)"),
            (lambda: mc.nn.BatchNorm1d(3), (2, 3, 4, 4), "expected 2D or 3D input"),
        ],
    )
    def test_batchnorm_dimensions(self, layer, shape, message):
        with pytest.raises(ValueError, match=message):
            layer()(mc.zeros(*shape))

    def test_batchnorm_of_one_value_a_channel(self):
        with pytest.raises(ValueError, match="more than one value a channel"):
            mc.nn.BatchNorm2d(3)(mc.zeros(1, 3, 1, 1))


def test_batchnorm_reads_weights_from_before_the_batch_counter():
    norm = mc.nn.BatchNorm2d(2)
    state = dict(norm.state_dict())
    del state["num_batches_tracked"]
    assert norm.load_state_dict(state) == ([], [])
    del state["running_var"]
    with pytest.raises(RuntimeError, match="running_var"):
        norm.load_state_dict(state)


def test_batchnorm_resets():
    norm = mc.nn.BatchNorm2d(2)
    norm(mc.randn(3, 2, 4, 4))
    assert norm.num_batches_tracked.item() == 1
    norm.reset_running_stats()
    assert norm.num_batches_tracked.item() == 0
    np.testing.assert_array_equal(norm.running_var.numpy(), [1, 1])
    np.testing.assert_array_equal(norm.running_mean.numpy(), [0, 0])
