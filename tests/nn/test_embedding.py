"""Embedding, dropout and small layers against torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import assert_close, assert_same_layer, assert_same_state, copy_into_ours

TABLES = {
    "plain": lambda nn: nn.Embedding(7, 3),
    "padding": lambda nn: nn.Embedding(7, 3, padding_idx=-2),
    "frequency": lambda nn: nn.Embedding(7, 3, 0, scale_grad_by_freq=True),
    "short": lambda nn: nn.Embedding(7, 3, max_norm=0.5, norm_type=1.0),
    "bag": lambda nn: nn.EmbeddingBag(7, 3),
    "bag-max": lambda nn: nn.EmbeddingBag(7, 3, mode="max", padding_idx=2),
    "bag-sum": lambda nn: nn.EmbeddingBag(7, 3, mode="sum", max_norm=1.0),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(name):
    torch.manual_seed(0)
    ours, theirs = TABLES[name](mc.nn).double(), TABLES[name](torch.nn).double()
    assert repr(ours) == repr(theirs)
    assert ours.padding_idx == theirs.padding_idx
    copy_into_ours(ours, theirs)
    rng = np.random.default_rng(0)
    for _ in range(2):
        indices = rng.integers(0, 7, (4, 5))
        y, expected = ours(mc.tensor(indices)), theirs(torch.tensor(indices))
        assert_close(y, expected, np.float64, "rows")
        cotangent = rng.standard_normal(tuple(expected.shape))
        y.backward(mc.tensor(cotangent))
        expected.backward(torch.tensor(cotangent))
        assert_close(ours.weight.grad, theirs.weight.grad, np.float64, "gradient")
    assert_same_state(ours, theirs, np.float64)


def test_the_padding_row_is_zero_and_rows_are_normal():
    mc.manual_seed(0)
    weight = mc.nn.Embedding(500, 40, padding_idx=3).weight.detach().numpy()
    np.testing.assert_array_equal(weight[3], np.zeros(40))
    assert abs(weight.std() - 1) < 0.03


@pytest.mark.parametrize("kind", ["Embedding", "EmbeddingBag"])
def test_from_pretrained(kind):
    rows = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    for freeze in (True, False):
        ours = getattr(mc.nn, kind).from_pretrained(mc.from_numpy(rows), freeze=freeze, padding_idx=1)
        theirs = getattr(torch.nn, kind).from_pretrained(torch.from_numpy(rows), freeze=freeze, padding_idx=1)
        assert ours.weight.requires_grad == theirs.weight.requires_grad == (not freeze)
        assert repr(ours) == repr(theirs)
        np.testing.assert_array_equal(ours.weight.detach().numpy(), rows)
    with pytest.raises(ValueError, match=r"embeddings: expected a matrix"):
        getattr(mc.nn, kind).from_pretrained(mc.ones(3))


def test_errors_of_tables():
    with pytest.raises(NotImplementedError, match="there are no sparse gradients"):
        mc.nn.Embedding(3, 2, sparse=True)
    with pytest.raises(ValueError, match="padding_idx: expected one of the 3 rows, got 3"):
        mc.nn.EmbeddingBag(3, 2, padding_idx=3)
    with pytest.raises(ValueError, match=r"_weight: expected shape \(3, 2\), got \(2, 2\)"):
        mc.nn.Embedding(3, 2, _weight=mc.ones(2, 2))


DROPOUTS = {
    "Dropout1d": (2, 3, 4),
    "Dropout2d": (2, 3, 4, 5),
    "Dropout3d": (2, 3, 4, 2, 2),
    "AlphaDropout": (2, 3),
    "FeatureAlphaDropout": (2, 3, 4),
}


@pytest.mark.parametrize("name", DROPOUTS)
def test_dropouts(name):
    layer = getattr(mc.nn, name)
    assert repr(layer(0.3, True)) == repr(getattr(torch.nn, name)(0.3, True))
    x = mc.rand(DROPOUTS[name])
    assert layer(0.5).eval()(x) is x
    mc.manual_seed(0)
    assert not mc.equal(layer(0.5)(x), x)
    with pytest.raises(ValueError, match="dropout probability has to be between 0 and 1"):
        layer(1.5)


def test_unflatten():
    assert_same_layer(lambda nn: nn.Unflatten(1, (2, 3)), (4, 6, 2))
    assert_same_layer(lambda nn: nn.Unflatten(-1, [2, -1]), (4, 6))
    for sizes in (6, (2, 3.0)):
        with pytest.raises(TypeError, match="unflattened_size: expected a tuple of integers"):
            mc.nn.Unflatten(1, sizes)


@pytest.mark.parametrize("bias", [True, False])
def test_bilinear(bias):
    torch.manual_seed(0)
    ours, theirs = mc.nn.Bilinear(3, 4, 5, bias).double(), torch.nn.Bilinear(3, 4, 5, bias).double()
    assert repr(ours) == repr(theirs)
    assert abs(ours.weight).max().item() <= 3**-0.5
    copy_into_ours(ours, theirs)
    a, b = (np.random.default_rng(s).standard_normal(shape) for s, shape in enumerate([(2, 6, 3), (2, 6, 4)]))
    y, expected = ours(mc.tensor(a), mc.tensor(b)), theirs(torch.tensor(a), torch.tensor(b))
    assert_close(y, expected, np.float64, "output")
    y.sum().backward()
    expected.sum().backward()
    assert_close(ours.weight.grad, theirs.weight.grad, np.float64, "gradient")
    with pytest.raises(ValueError, match="in1_features must be > 0"):
        mc.nn.Bilinear(0, 4, 5)
