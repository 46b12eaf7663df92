"""Vectors of parameters, fused batch norms, skipped initialisation, norms of gradients, beside PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minicnn as mc
from minicnn.nn import utils
from tests.helpers.modules import assert_close, copy_into_ours
from tests.helpers.oracle import FLOATS, SEEDS, compare

SHAPES = st.lists(hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4), min_size=1, max_size=5)


@settings(deadline=None)
@given(shapes=SHAPES, dtype=FLOATS, seed=SEEDS)
def test_a_vector_and_back(shapes, dtype, seed):
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.standard_normal(shape), dtype) for shape in shapes]
    compare(lambda m, *tensors: m.nn.utils.parameters_to_vector(tensors), *arrays)
    vector = rng.standard_normal(sum(a.size for a in arrays) + 1).astype(dtype)  # one is left over
    params = [mc.nn.Parameter(mc.tensor(a)) for a in arrays]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in arrays]
    whole = mc.tensor(vector)
    utils.vector_to_parameters(whole, iter(params))
    torch.nn.utils.vector_to_parameters(torch.tensor(vector), theirs)
    for mine, other in zip(params, theirs, strict=True):
        np.testing.assert_array_equal(mine.detach().numpy(), other.detach().numpy())
    whole.fill_(3.0)  # the parameters look at its memory
    assert all((p.detach().numpy() == 3).all() for p in params)


def test_vectors_that_do_not_fit():
    layer = mc.nn.Linear(2, 2)
    with pytest.raises(TypeError, match="expected a Tensor, but got: list"):
        utils.vector_to_parameters([1.0], layer.parameters())
    with pytest.raises(RuntimeError, match=r"vec has 5 elements, too few .* shape \(2,\) takes elements 4 to 5"):
        utils.vector_to_parameters(mc.zeros(5), layer.parameters())


@settings(deadline=None)
@given(
    shapes=SHAPES,
    dtype=FLOATS,
    seed=SEEDS,
    norm_type=st.sampled_from([0, 0.5, 1, 2, 2.0, 3, -1, math.inf, -math.inf, "inf"]),
    scale=st.sampled_from([0.1, 1.0, 100.0]),
)
def test_clipping(shapes, dtype, seed, norm_type, scale):
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(scale * rng.standard_normal(shape), dtype) for shape in shapes]
    for name in ("clip_grad_norm_", "clip_grads_with_norm_", "get_total_norm", "clip_grad_value_"):
        results = []
        for library in (mc, torch):
            tensors = [library.tensor(a) for a in arrays]
            params = [library.nn.Parameter(library.zeros_like(t)) for t in tensors]
            for p, t in zip(params, tensors, strict=True):
                p.grad = t
            function = getattr(library.nn.utils, name)
            if name == "clip_grad_norm_":
                total = function(params, 1.5, norm_type)
            elif name == "clip_grads_with_norm_":
                total = function(params, 1.5, library.tensor(7.0))
            elif name == "get_total_norm":
                total = function(tensors, norm_type)
            else:
                total = function(params, 0.5)
            results.append((total, [p.grad for p in params]))
        (mine, grads), (other, expected) = results
        if other is not None:
            assert_close(mine, other, dtype, "norm")
        for one, two in zip(grads, expected, strict=True):
            assert_close(one, two, dtype, "gradient")


def test_norms_of_mixed_types_and_of_one_tensor():
    total = utils.get_total_norm([mc.tensor([3.0]), mc.tensor([4.0], dtype=mc.float64)])
    assert (total.item(), total.dtype) == (5.0, mc.float64)
    assert utils.get_total_norm(mc.tensor([3.0, 4.0])).item() == 5
    assert utils.get_total_norm([]).item() == 0
    with pytest.raises(RuntimeError, match="is non-finite"):
        utils.get_total_norm([mc.tensor([math.nan])], error_if_nonfinite=True)


def test_warnings_of_clipping():
    weight = mc.nn.Parameter(mc.ones(2))
    weight.grad = mc.ones(2)
    with pytest.warns(UserWarning, match="`parameters` is an empty generator"):
        utils.clip_grad_norm_((p for p in []), 1.0)
    with pytest.warns(FutureWarning, match=r"`nn.utils.clip_grad_norm` is now deprecated"):
        assert utils.clip_grad_norm([weight], 1.0).item() == pytest.approx(2**0.5)


def randomize(module: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.1


FUSED: dict[str, Any] = {
    "conv2d": (lambda nn: nn.Conv2d(2, 3, 2), lambda nn: nn.BatchNorm2d(3), (2, 2, 4, 4), False),
    "no-bias": (lambda nn: nn.Conv2d(2, 4, 2, bias=False, groups=2), lambda nn: nn.BatchNorm2d(4), (2, 2, 4, 4), False),
    "not-affine": (lambda nn: nn.Conv1d(2, 3, 2), lambda nn: nn.BatchNorm1d(3, affine=False), (2, 2, 4), False),
    "transposed": (lambda nn: nn.ConvTranspose2d(2, 3, 2), lambda nn: nn.BatchNorm2d(3), (2, 2, 4, 4), True),
    "linear": (lambda nn: nn.Linear(4, 3), lambda nn: nn.BatchNorm1d(3), (5, 4), None),
}


@pytest.mark.parametrize("name", FUSED)
def test_fusing(name):
    layer, norm, shape, transpose = FUSED[name]
    pairs = []
    for library in (mc, torch):
        pairs.append((layer(library.nn).double(), norm(library.nn).double()))
    for mine, other in zip(*pairs, strict=True):
        randomize(other)
        copy_into_ours(mine, other)
    fused = []
    for (conv, bn), library in zip(pairs, (mc, torch), strict=True):
        with pytest.raises(AssertionError, match="Fusion only for eval!"):
            fuse(library, conv, bn, transpose)
        fused.append(fuse(library, conv.eval(), bn.eval(), transpose))
    assert type(fused[0]) is type(pairs[0][0])
    assert repr(fused[0]).split("bias")[0] == repr(fused[1]).split("bias")[0]
    for mine, other in zip(fused[0].parameters(), fused[1].parameters(), strict=True):
        assert_close(mine, other, np.float64, "parameter")
        assert mine.requires_grad == other.requires_grad
    x = mc.tensor(np.random.default_rng(0).standard_normal(shape))
    np.testing.assert_allclose(
        fused[0](x).detach().numpy(), pairs[0][1](pairs[0][0](x)).detach().numpy(), rtol=1e-12, atol=1e-12
    )


def fuse(library: Any, conv: Any, bn: Any, transpose: bool | None) -> Any:
    if transpose is None:
        return library.nn.utils.fuse_linear_bn_eval(conv, bn)
    return library.nn.utils.fuse_conv_bn_eval(conv, bn, transpose)


def test_fusing_what_does_not_fit():
    with pytest.raises(AssertionError, match=r"linear\.out_features == bn\.num_features"):
        utils.fuse_linear_bn_eval(mc.nn.Linear(2, 3).eval(), mc.nn.BatchNorm1d(2).eval())
    with pytest.raises(AssertionError, match="keeps no running statistics"):
        utils.fuse_conv_bn_eval(mc.nn.Conv2d(1, 2, 1).eval(), mc.nn.BatchNorm2d(2, track_running_stats=False).eval())
    weight, bias = utils.fuse_linear_bn_weights(
        mc.ones(2, 1), None, mc.tensor([1.0, 2.0]), mc.tensor([3.0, 15.0]), 1.0, mc.ones(2), mc.zeros(2)
    )
    assert (weight.tolist(), bias.tolist()) == ([[0.5], [0.25]], [-0.5, -0.5])


def test_skip_init():
    state = mc.get_rng_state()
    layer = utils.skip_init(mc.nn.Conv2d, 1, 2, kernel_size=3, dtype=mc.float64)
    assert mc.get_rng_state() == state
    assert (layer.weight.shape, layer.weight.dtype) == ((2, 1, 3, 3), mc.float64)
    utils.skip_init(mc.nn.Linear, 3, 2, device="meta")
    with pytest.raises(RuntimeError, match="must support a 'device' arg"):
        utils.skip_init(mc.nn.ReLU)
    with pytest.raises(RuntimeError, match="Expected a Module; got <class 'int'>"):
        utils.skip_init(int)


def test_memory_formats_are_left_alone():
    layer = mc.nn.Conv2d(1, 1, 1)
    assert utils.convert_conv2d_weight_memory_format(layer, None) is layer
    assert utils.convert_conv3d_weight_memory_format(layer, None) is layer
