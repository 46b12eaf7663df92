"""Transformers against torch's: copied weights, masks, both orders of norm and sum."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.modules import assert_close, copy_into_ours, to_ours

F64 = {"dropout": 0.0, "dim_feedforward": 10}


def check(ours, theirs, inputs, masks, **call):
    """Outputs, and gradients of inputs and parameters."""
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    copy_into_ours(ours, theirs)
    tensors_theirs = [torch.from_numpy(x).requires_grad_() for x in inputs]
    tensors = [to_ours(t).requires_grad_() for t in tensors_theirs]
    out = ours(*tensors, **{name: mc.tensor(mask) for name, mask in masks.items()}, **call)
    out_theirs = theirs(*tensors_theirs, **{name: torch.tensor(mask) for name, mask in masks.items()}, **call)
    assert_close(out, out_theirs, np.float64, "output")
    cotangent = np.random.default_rng(1).standard_normal(out.shape)
    out.backward(mc.tensor(cotangent))
    out_theirs.backward(torch.tensor(cotangent))
    for a, b in zip(tensors, tensors_theirs, strict=True):
        assert_close(a.grad, b.grad, np.float64, "gradient of an input")
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert_close(parameter.grad, gradients[name].grad, np.float64, f"gradient of {name}")


@st.composite
def cases(draw):
    options = {
        "activation": draw(st.sampled_from(["relu", "gelu"])), "batch_first": draw(st.booleans()),
        "norm_first": draw(st.booleans()), "bias": draw(st.booleans()), "layer_norm_eps": draw(st.sampled_from([1e-5, 0.1])),
    }  # fmt: skip
    batched = draw(st.booleans())
    options["batch_first"] &= batched  # (torch takes it for unbatched input too, to no effect)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    n, steps, memory = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4))

    def sequence(length):
        shape = (length, 6) if not batched else (n, length, 6) if options["batch_first"] else (length, n, 6)
        return rng.standard_normal(shape)

    def mask(*shape):  # the first key is always seen
        hidden = rng.random(shape) < 0.3
        hidden[..., 0] = False
        return hidden

    lead = (n,) if batched else ()
    return options, sequence(steps), sequence(memory), {
        "square": mask(steps, steps) if draw(st.booleans()) else np.triu(np.ones((steps, steps), bool), 1),
        "memory": mask(steps, memory), "padding": mask(*lead, steps), "memory_padding": mask(*lead, memory),
        "use": draw(st.sets(st.sampled_from(["square", "memory", "padding", "memory_padding"]))),
    }  # fmt: skip


def chosen(masks, **names):
    return {name: masks[key] for name, key in names.items() if key in masks["use"]}


@given(cases(), st.booleans())
def test_encoder(case, stack):
    options, x, _, masks = case
    built = []
    for m in (mc, torch):
        module = m.nn.TransformerEncoderLayer(6, 2, **F64, **options, dtype=m.float64)
        if stack:
            norm = m.nn.LayerNorm(6, dtype=m.float64) if options["bias"] else None
            module = m.nn.TransformerEncoder(module, 2, norm, enable_nested_tensor=False)
        built.append(module)
    padding = "src_key_padding_mask"
    check(*built, [x], chosen(masks, **{"mask" if stack else "src_mask": "square", padding: "padding"}))


@given(cases(), st.booleans())
def test_decoder(case, stack):
    options, x, memory, masks = case
    built = []
    for m in (mc, torch):
        module = m.nn.TransformerDecoderLayer(6, 2, **F64, **options, dtype=m.float64)
        built.append(m.nn.TransformerDecoder(module, 2) if stack else module)
    names = {"tgt_mask": "square", "memory_mask": "memory", "tgt_key_padding_mask": "padding"}
    check(*built, [x, memory], chosen(masks, **names, memory_key_padding_mask="memory_padding"))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_both(batch_first, norm_first):
    options = {"num_encoder_layers": 2, "num_decoder_layers": 1, "batch_first": batch_first, "norm_first": norm_first}
    built = [m.nn.Transformer(8, 2, **options, **F64, dtype=m.float64) for m in (mc, torch)]
    rng = np.random.default_rng(0)
    src, tgt = (
        rng.standard_normal((4, 3, 8)),
        rng.standard_normal((4 if batch_first else 5, 5 if batch_first else 3, 8)),
    )
    causal = torch.nn.Transformer.generate_square_subsequent_mask(5).numpy()
    assert mc.nn.Transformer.generate_square_subsequent_mask(5).tolist() == causal.tolist()
    check(*built, [src, tgt], {"tgt_mask": causal.astype(np.float64)})
    for module in built:
        module.zero_grad()
    check(*built, [src, tgt], {"tgt_mask": causal.astype(np.float64)}, tgt_is_causal=True)


def test_an_activation_of_ones_own():
    built = [m.nn.TransformerEncoderLayer(6, 2, activation=m.tanh, **F64, dtype=m.float64) for m in (mc, torch)]
    check(*built, [np.random.default_rng(0).standard_normal((3, 2, 6))], {})


def test_the_causal_mask_is_recognised():
    """Whatever its type; with the hint nothing changes but the time."""
    layer = mc.nn.TransformerEncoderLayer(6, 2, **F64).eval()
    encoder = mc.nn.TransformerEncoder(layer, 2)
    x, mask = mc.randn(4, 2, 6), mc.nn.Transformer.generate_square_subsequent_mask(4)
    expected = encoder(x, mask, is_causal=False).detach().numpy()
    for given_mask in (mask, mc.isinf(mask)):
        np.testing.assert_allclose(encoder(x, given_mask).detach().numpy(), expected, rtol=1e-4, atol=1e-6)
    changed = x.clone()
    changed[3] = 7  # later steps are not seen by earlier ones
    np.testing.assert_allclose(encoder(changed, mask).detach().numpy()[:3], expected[:3], rtol=1e-4, atol=1e-6)


def test_layers_are_copies():
    encoder = mc.nn.TransformerEncoder(mc.nn.TransformerEncoderLayer(4, 2, **F64), 2)
    first, second = encoder.layers
    assert first.linear1.weight is not second.linear1.weight
    np.testing.assert_array_equal(first.linear1.weight.detach().numpy(), second.linear1.weight.detach().numpy())
    twin = copy.deepcopy(encoder)
    assert list(twin.state_dict()) == list(encoder.state_dict())


def test_custom_parts():
    model = mc.nn.Transformer(4, 2, 1, 1, custom_encoder=mc.nn.Identity(), custom_decoder=mc.nn.Identity())
    assert repr(model) == repr(
        torch.nn.Transformer(4, 2, 1, 1, custom_encoder=torch.nn.Identity(), custom_decoder=torch.nn.Identity())
    )


def test_dropout_in_training_only():
    layer, x = mc.nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5), mc.randn(3, 2, 4)
    assert not np.array_equal(layer(x).detach().numpy(), layer(x).detach().numpy())
    layer.eval()
    assert np.array_equal(layer(x).detach().numpy(), layer(x).detach().numpy())


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: m.nn.TransformerEncoderLayer(4, 2, activation="tanh"), "should be relu/gelu, not tanh"),
        (lambda m: m.nn.TransformerEncoderLayer(5, 2), "divisible"),
        (lambda m: m.nn.Transformer(4, 2, 1, 1)(m.ones(3, 2, 4), m.ones(3, 1, 4)), "batch"),
        (lambda m: m.nn.Transformer(4, 2, 1, 1)(m.ones(3, 2, 4), m.ones(3, 2, 5)), "d_model"),
    ],
)
def test_refusals(call, match):
    with pytest.raises((ValueError, RuntimeError, AssertionError)):
        call(torch)
    with pytest.raises(ValueError, match=match):
        call(mc)
