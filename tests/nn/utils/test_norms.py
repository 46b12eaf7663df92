"""Weight norm, spectral norm and orthogonal weights, as hooks and as parametrizations, beside PyTorch's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import minicnn as mc
from tests.helpers.modules import (
    assert_close,
    assert_same_behaviour,
    assert_same_layer,
    assert_same_state,
    copy_into_ours,
)

LAYERS: dict[str, Any] = {
    "linear": (lambda nn: nn.Linear(5, 3), (4, 5)),
    "conv2d": (lambda nn: nn.Conv2d(2, 3, (2, 3)), (2, 2, 4, 5)),
    "conv1d": (lambda nn: nn.Conv1d(4, 6, 2, groups=2), (2, 4, 5)),
    "transposed": (lambda nn: nn.ConvTranspose2d(3, 2, 2), (2, 3, 3, 4)),
}
FORMER = pytest.mark.filterwarnings("ignore:.*weight_norm` is deprecated:FutureWarning")


def build(nn: Any, layer: str, rule: str, options: dict[str, Any], former: bool) -> Any:
    holder = nn.utils if former else nn.utils.parametrizations
    return getattr(holder, rule)(LAYERS[layer][0](nn), **options)


@FORMER
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("former", [True, False], ids=["hook", "parametrization"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dim", [0, 1, None, -1])
def test_weight_norm(layer, dim, former, dtype):
    assert_same_layer(lambda nn: build(nn, layer, "weight_norm", {"dim": dim}, former), LAYERS[layer][1], dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("former", [True, False], ids=["hook", "parametrization"])
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("options", [{}, {"n_power_iterations": 3, "dim": 1}, {"eps": 1e-3}], ids=str)
def test_spectral_norm(layer, options, former, dtype):
    assert_same_layer(lambda nn: build(nn, layer, "spectral_norm", options, former), LAYERS[layer][1], dtype)


def test_spectral_norm_of_a_vector_and_of_more_dimensions():
    for make, shape in (
        (lambda nn: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 2), "bias"), (4, 3)),
        (lambda nn: nn.utils.parametrizations.spectral_norm(nn.Conv3d(2, 2, 2), dim=-1), (1, 2, 3, 3, 3)),
    ):
        assert_same_layer(make, shape)


def test_spectral_norm_is_one():
    mc.manual_seed(0)
    layer = mc.nn.utils.parametrizations.spectral_norm(mc.nn.Linear(6, 4).double(), n_power_iterations=50)
    former = mc.nn.utils.spectral_norm(mc.nn.Linear(6, 4).double(), n_power_iterations=200)
    former(mc.zeros(1, 6, dtype=mc.float64))
    for one in (layer, former):
        assert np.linalg.svd(one.weight.detach().numpy())[1][0] == pytest.approx(1, abs=1e-6)


@FORMER
@pytest.mark.parametrize("rule", ["weight_norm", "spectral_norm"])
class TestHooks:
    def test_removed(self, rule):
        layers = []
        for library in (mc, torch):
            layer = getattr(library.nn.utils, rule)(library.nn.Conv2d(2, 3, 2).double())
            layers.append(layer)
        copy_into_ours(*layers)
        layers = [
            getattr(library.nn.utils, f"remove_{rule}")(layer)
            for library, layer in zip((mc, torch), layers, strict=True)
        ]
        assert list(dict(layers[0].named_parameters())) == ["bias", "weight"]
        assert_same_state(*layers, np.float64)
        assert_same_behaviour(*layers, (2, 2, 4, 4))

    def test_errors(self, rule):
        utils = mc.nn.utils
        layer = getattr(utils, rule)(mc.nn.Linear(3, 2))
        with pytest.raises(RuntimeError, match=f"Cannot register two {rule} hooks on the same parameter weight"):
            getattr(utils, rule)(layer)
        with pytest.raises(ValueError, match=rf"{rule} of 'weight' not found in Linear\(in_features=3"):
            getattr(utils, f"remove_{rule}")(mc.nn.Linear(3, 2))
        with pytest.raises((AttributeError, KeyError), match="nothing"):
            getattr(utils, rule)(mc.nn.Linear(3, 2), "nothing")

    def test_trains(self, rule):
        mc.manual_seed(0)
        layer = getattr(mc.nn.utils, rule)(mc.nn.Linear(3, 2))
        optimizer = mc.optim.SGD(layer.parameters(), lr=0.1)
        x, y = mc.randn(8, 3), mc.randn(8, 2)
        losses = []
        for _ in range(20):
            optimizer.zero_grad()
            loss = ((layer(x) - y) ** 2).mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < losses[0]


def test_weight_norm_as_a_hook_warns():
    with pytest.warns(FutureWarning, match="is deprecated in favor of"):
        mc.nn.utils.weight_norm(mc.nn.Linear(3, 2))


def test_former_names_are_loaded():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        former = torch.nn.utils.weight_norm(torch.nn.Linear(3, 2).double())
    layers = [
        library.nn.utils.parametrizations.weight_norm(library.nn.Linear(3, 2).double()) for library in (mc, torch)
    ]
    layers[1].load_state_dict(former.state_dict())
    copy_into_ours(layers[0], former)
    assert_same_state(*layers, np.float64)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: p.spectral_norm(mc.nn.Linear(3, 2), n_power_iterations=0), ValueError, "to be positive, but got"),
        (lambda p: mc.nn.utils.spectral_norm(mc.nn.Linear(3, 2), n_power_iterations=0), ValueError, "to be positive"),
        (lambda p: p.spectral_norm(mc.nn.Linear(3, 2), dim=4), IndexError, "Dimension out of range"),
        (lambda p: p.spectral_norm(mc.nn.Linear(3, 2), "x"), ValueError, "no parameter or buffer with name 'x'"),
        (lambda p: p.orthogonal(mc.nn.Linear(3, 2), "x"), ValueError, "no parameter or buffer with name 'x'"),
        (lambda p: p.orthogonal(mc.nn.Linear(3, 2), "bias"), ValueError, "Got a tensor of 1 dimensions"),
        (
            lambda p: p.orthogonal(mc.nn.Linear(3, 2), orthogonal_map="qr"),
            ValueError,
            "orthogonal_map has to be one of",
        ),
        (lambda p: p.weight_norm(mc.nn.Linear(3, 2), "x"), ValueError, "with name 'x'"),
    ],
)
def test_errors(make, error, message):
    with pytest.raises(error, match=message):
        make(mc.nn.utils.parametrizations)


class Holder:
    """A module with one matrix, or a batch of them, that it multiplies by."""

    def __new__(cls, library: Any, shape: tuple[int, ...]) -> Any:
        class Matrix(library.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                rng = np.random.default_rng(0)
                self.weight = library.nn.Parameter(library.tensor(rng.standard_normal(shape)))

        return Matrix()


ORTHOGONAL = pytest.mark.parametrize(
    "shape", [(4, 4), (5, 3), (3, 5), (1, 1), (1, 4), (2, 4, 3), (2, 2, 3, 3)], ids=str
)


class TestOrthogonal:
    @ORTHOGONAL
    @pytest.mark.parametrize("trivialized", [True, False])
    @pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
    def test_beside_torch(self, kind, trivialized, shape):
        holders = []
        for library in (mc, torch):
            library.manual_seed(0)
            holder = Holder(library, shape)
            library.nn.utils.parametrizations.orthogonal(holder, orthogonal_map=kind, use_trivialization=trivialized)
            holders.append(holder)
        for name in holders[1].state_dict():
            assert tuple(holders[0].state_dict()[name].shape) == tuple(holders[1].state_dict()[name].shape)
        rng = np.random.default_rng(1)
        cotangent = rng.standard_normal(shape)
        for scale in (0.3, 3.0):
            copy_into_ours(*holders)
            for holder, library in zip(holders, (mc, torch), strict=True):
                listed = holder.parametrizations.weight
                with library.no_grad():
                    listed.original.add_(library.tensor(scale * np.random.default_rng(2).standard_normal(shape)))
                listed.original.grad = None
                holder.weight.backward(library.tensor(cotangent))
            assert_close(holders[0].weight, holders[1].weight, np.float64, "weight")
            gradients = [holder.parametrizations.weight.original.grad for holder in holders]
            if kind == "householder":  # torch's diagonal has no gradient; nor have the places above it
                np.testing.assert_allclose(gradients[0].numpy(), gradients[1].numpy(), rtol=1e-9, atol=1e-10)
            else:
                assert_close(*gradients, np.float64, "gradient")

    @ORTHOGONAL
    @pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
    def test_is_orthogonal_and_starts_from_an_orthogonal_weight(self, kind, shape):
        holder = Holder(mc, shape)
        mc.nn.init.orthogonal_(holder.weight) if len(shape) == 2 else None
        before = holder.weight.detach().clone()
        mc.nn.utils.parametrizations.orthogonal(holder, orthogonal_map=kind)
        if len(shape) == 2:
            np.testing.assert_allclose(holder.weight.detach().numpy(), before.numpy(), atol=1e-12)
        with mc.no_grad():  # the diagonal is only read for its signs, +-1, by reflections
            values = np.random.default_rng(5).standard_normal(shape)
            holder.parametrizations.weight.original.add_(mc.tensor(values * (1 - np.eye(*shape[-2:]))))
        weight = holder.weight.detach().numpy()
        gram = weight @ weight.swapaxes(-1, -2) if shape[-2] < shape[-1] else weight.swapaxes(-1, -2) @ weight
        np.testing.assert_allclose(gram, np.broadcast_to(np.eye(min(shape[-2:])), gram.shape), atol=1e-10)

    @pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)], ids=str)
    @pytest.mark.parametrize(
        ("kind", "trivialized"), [("matrix_exp", True), ("householder", True), ("householder", False)]
    )
    def test_assignment(self, kind, trivialized, shape):
        holder = Holder(mc, shape)
        mc.nn.utils.parametrizations.orthogonal(holder, orthogonal_map=kind, use_trivialization=trivialized)
        rng = np.random.default_rng(3)
        square = np.linalg.qr(rng.standard_normal((*shape[:-2], max(shape[-2:]), max(shape[-2:]))))[0]
        wanted = square[..., : shape[-2], : shape[-1]]
        holder.weight = mc.tensor(np.ascontiguousarray(wanted))
        np.testing.assert_allclose(holder.weight.detach().numpy(), wanted, atol=1e-10)
        with pytest.raises(ValueError, match="Expected a matrix or batch of matrices of shape"):
            holder.weight = mc.zeros(2, 2, dtype=mc.float64)

    def test_no_way_back(self):
        holder = Holder(mc, (3, 3))
        mc.nn.utils.parametrizations.orthogonal(holder, orthogonal_map="cayley", use_trivialization=False)
        with pytest.raises(NotImplementedError, match="use_trivialization=False"):
            holder.weight = mc.eye(3, dtype=mc.float64)

    def test_repr(self):
        layers = [library.nn.utils.parametrizations.orthogonal(library.nn.Linear(3, 2)) for library in (mc, torch)]
        assert repr(layers[0]) == repr(layers[1])
