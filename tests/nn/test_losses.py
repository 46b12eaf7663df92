"""Losses and distances as layers against torch's: values, gradients, state, attributes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import assert_close, to_ours

RNG = np.random.default_rng(0)
X, Y, Z = RNG.standard_normal((3, 4, 5))
UNIT, SIGNS = RNG.random((4, 5)), RNG.choice([1.0, -1.0], (4, 5))
CLASSES, WEIGHT = RNG.integers(0, 5, 4), RNG.random(5) + 0.5

# name -> (keyword arguments, further tensors of the call; the first is X or as given by "input")
LOSSES = {
    "BCELoss": ({"weight": WEIGHT}, [UNIT, UNIT.round()]),
    "BCEWithLogitsLoss": ({"weight": WEIGHT, "pos_weight": WEIGHT}, [X, UNIT]),
    "CosineEmbeddingLoss": ({"margin": 0.3}, [X, Y, SIGNS[:, 0]]),
    "CrossEntropyLoss": ({"weight": WEIGHT, "label_smoothing": 0.1}, [X, CLASSES]),
    "GaussianNLLLoss": ({"full": True}, [X, Y, UNIT]),
    "HingeEmbeddingLoss": ({"margin": 0.3}, [X, SIGNS]),
    "HuberLoss": ({"delta": 0.5}, [X, Y]),
    "KLDivLoss": ({"log_target": True, "reduction": "batchmean"}, [X, Y]),
    "L1Loss": ({}, [X, Y]),
    "MSELoss": ({}, [X, Y]),
    "MarginRankingLoss": ({"margin": 0.3}, [X, Y, SIGNS]),
    "MultiLabelMarginLoss": ({}, [X, RNG.integers(-1, 5, (4, 5))]),
    "MultiLabelSoftMarginLoss": ({"weight": WEIGHT}, [X, UNIT.round()]),
    "MultiMarginLoss": ({"p": 2, "margin": 0.5, "weight": WEIGHT}, [X, CLASSES]),
    "NLLLoss": ({"weight": WEIGHT, "ignore_index": 2}, [X, CLASSES]),
    "PoissonNLLLoss": ({"full": True}, [X, RNG.integers(0, 5, (4, 5)).astype(float)]),
    "SmoothL1Loss": ({"beta": 0.5}, [X, Y]),
    "SoftMarginLoss": ({}, [X, SIGNS]),
    "TripletMarginLoss": ({"margin": 0.5, "p": 1.0, "swap": True}, [X, Y, Z]),
    "TripletMarginWithDistanceLoss": ({"margin": 0.5}, [X, Y, Z]),
    "CosineSimilarity": ({"dim": 0}, [X, Y]),
    "PairwiseDistance": ({"p": 1.0, "keepdim": True}, [X, Y]),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("reduction", [None, "sum", "none"])
def test_layers(name, reduction):
    options, arrays = LOSSES[name]
    if reduction is not None:
        if name in ("CosineSimilarity", "PairwiseDistance"):
            return
        options = {**options, "reduction": reduction}

    def make(nn, tensor):
        return getattr(nn, name)(**{k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()})

    ours, theirs = make(mc.nn, mc.tensor), make(torch.nn, torch.tensor)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    public = {k for k in vars(theirs) if not k.startswith("_")}
    assert public <= set(vars(ours)), "attributes"
    tensors = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    if name in ("BCELoss", "SoftMarginLoss"):
        tensors[1].requires_grad_(False)
    mine = [to_ours(t).requires_grad_(t.requires_grad) for t in tensors]
    y, expected = ours(*mine), theirs(*tensors)
    assert_close(y, expected, np.float64, "loss")
    cotangent = np.random.default_rng(5).standard_normal(tuple(expected.shape))
    y.backward(mc.tensor(cotangent))
    expected.backward(torch.tensor(cotangent))
    assert_close(mine[0].grad, tensors[0].grad, np.float64, "gradient")


def test_ctc():
    log_probs = RNG.standard_normal((6, 2, 4))
    rest = [[1, 2], [3, 3]], [6, 5], [2, 2]
    ours = mc.nn.CTCLoss(zero_infinity=True)(mc.tensor(log_probs).log_softmax(2), *map(mc.tensor, rest))
    theirs = torch.nn.CTCLoss(zero_infinity=True)(torch.tensor(log_probs).log_softmax(2), *map(torch.tensor, rest))
    assert_close(ours, theirs, np.float64, "loss")
    assert repr(mc.nn.CTCLoss()) == repr(torch.nn.CTCLoss())


def test_errors():
    with pytest.raises(ValueError, match="p: MultiMarginLoss has 1 and 2, got 3"):
        mc.nn.MultiMarginLoss(p=3)
    with pytest.raises(ValueError, match=r"weight: MultiMarginLoss needs one for each class, \(c,\), got \(2, 2\)"):
        mc.nn.MultiMarginLoss(weight=mc.ones(2, 2))
    for name in ("TripletMarginLoss", "TripletMarginWithDistanceLoss"):
        with pytest.raises(ValueError, match=f"margin: {name} needs a positive number, got 0"):
            getattr(mc.nn, name)(margin=0)
    with pytest.raises(ValueError, match="got 'average'"):
        mc.nn.L1Loss(reduction="average")
    with pytest.warns(UserWarning, match="deprecated: use reduction='sum'"):
        assert mc.nn.L1Loss(size_average=False).reduction == "sum"
