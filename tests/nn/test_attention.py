"""nn.MultiheadAttention against torch's: copied weights, all its options."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.modules import assert_close, copy_into_ours, to_ours


def check(options, shapes, masks, call, self_attention=False, seed=0):
    """One forward and backward pass under both modules."""
    torch.manual_seed(seed)
    theirs = torch.nn.MultiheadAttention(6, 3, dtype=torch.float64, **options)
    for parameter in theirs.parameters():  # biases are zeros at first: not in this test
        torch.nn.init.normal_(parameter)
    ours = mc.nn.MultiheadAttention(6, 3, dtype=mc.float64, **options)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    copy_into_ours(ours, theirs)
    rng = np.random.default_rng(seed)
    tensors = [torch.from_numpy(rng.standard_normal(shape)).requires_grad_() for shape in shapes]
    if self_attention:
        tensors = [tensors[0]] * 3
    twins = {id(t): to_ours(t).requires_grad_() for t in tensors}
    theirs_masks = {name: torch.from_numpy(mask) for name, mask in masks.items()}
    out, weights = ours(*(twins[id(t)] for t in tensors), **{n: to_ours(m) for n, m in theirs_masks.items()}, **call)
    out_theirs, weights_theirs = theirs(*tensors, **theirs_masks, **call)
    assert_close(out, out_theirs, np.float64, "output")
    assert_close(weights, weights_theirs, np.float64, "weights")
    cotangent = rng.standard_normal(tuple(out_theirs.shape))
    loss, loss_theirs = (out * mc.tensor(cotangent)).sum(), (out_theirs * torch.tensor(cotangent)).sum()
    if weights_theirs is not None:
        loss, loss_theirs = loss + (weights**2).sum(), loss_theirs + (weights_theirs**2).sum()
    loss.backward()
    loss_theirs.backward()
    for t in tensors:
        assert_close(twins[id(t)].grad, t.grad, np.float64, "gradient of an input")
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        assert_close(parameter.grad, gradients[name].grad, np.float64, f"gradient of {name}")


@st.composite
def cases(draw):
    batch, queries, keys = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 4))
    other = draw(st.booleans())
    options = {
        "bias": draw(st.booleans()), "add_bias_kv": draw(st.booleans()), "add_zero_attn": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
    }  # fmt: skip
    if other:
        options |= {"kdim": 4, "vdim": 5}
    self_attention = not other and draw(st.booleans())
    keys = queries if self_attention else keys
    batched = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 100)))

    def shape(rows, width):
        if not batched:
            return rows, width
        return (batch, rows, width) if options["batch_first"] else (rows, batch, width)

    shapes = [shape(queries, 6), shape(keys, 4 if other else 6), shape(keys, 5 if other else 6)]
    masks = {}
    heads = 3 * (batch if batched else 1)
    if draw(st.booleans()):
        size = draw(st.sampled_from([(queries, keys), (heads, queries, keys)]))
        masks["attn_mask"] = rng.random(size) < 0.3
        masks["attn_mask"][..., 0] = False  # each query keeps a key: NaN otherwise, in both
    if draw(st.booleans()):
        masks["key_padding_mask"] = rng.random((batch, keys) if batched else (keys,)) < 0.3
        masks["key_padding_mask"][..., 0] = False
    if draw(st.booleans()):  # floating point (both, or torch warns)
        masks = {name: np.where(mask, -np.inf, rng.standard_normal(mask.shape)) for name, mask in masks.items()}
    call = {"need_weights": draw(st.booleans()), "average_attn_weights": draw(st.booleans())}
    return options, shapes, masks, call, self_attention


@given(cases())
def test_as_torch(case):
    check(*case)


@pytest.mark.parametrize("need_weights", [True, False])
def test_causal_hint(need_weights):
    mask = np.triu(np.ones((4, 4), bool), 1)
    check({}, [(4, 2, 6)] * 3, {"attn_mask": mask}, {"is_causal": True, "need_weights": need_weights}, True)


def test_key_is_value():
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(6, 2, dtype=torch.float64)
    ours = mc.nn.MultiheadAttention(6, 2, dtype=mc.float64)
    copy_into_ours(ours, theirs)
    q, k = torch.randn(3, 2, 6, dtype=torch.float64), torch.randn(5, 2, 6, dtype=torch.float64)
    k_ours = to_ours(k)
    assert_close(ours(to_ours(q), k_ours, k_ours)[0], theirs(q, k, k)[0], np.float64, "output")


def test_dropout_only_in_training():
    attention, x = mc.nn.MultiheadAttention(8, 2, dropout=0.5), mc.randn(4, 2, 8)
    assert not np.array_equal(attention(x, x, x)[0].detach().numpy(), attention(x, x, x)[0].detach().numpy())
    attention.eval()
    assert np.array_equal(attention(x, x, x)[0].detach().numpy(), attention(x, x, x)[0].detach().numpy())


def test_static_keys():
    rng = np.random.default_rng(0)
    sizes = {"query": (4, 2, 6), "key": (5, 2, 6), "weight": (18, 6), "bias": (18,), "out": (6, 6), "static": (6, 7, 2)}
    arrays = {name: rng.standard_normal(shape) for name, shape in sizes.items()}

    def run(m):
        a = {name: m.tensor(array) for name, array in arrays.items()}
        return m.nn.functional.multi_head_attention_forward(
            a["query"], a["key"], a["key"], 6, 3, a["weight"], a["bias"], None, None, False, 0.0, a["out"], None,
            need_weights=False, static_k=a["static"], static_v=a["static"],
        )[0]  # fmt: skip

    assert_close(run(mc), run(torch), np.float64, "output")


def test_repr_and_initial_values_are_torchs():
    for options in ({}, {"kdim": 3, "bias": False}, {"add_bias_kv": True}):
        ours, theirs = mc.nn.MultiheadAttention(4, 2, **options), torch.nn.MultiheadAttention(4, 2, **options)
        assert repr(ours) == repr(theirs)
        assert [(n, tuple(p.shape)) for n, p in ours.named_parameters()] == [
            (n, tuple(p.shape)) for n, p in theirs.named_parameters()
        ]
        if ours.in_proj_bias is not None:
            assert not ours.in_proj_bias.detach().numpy().any()
            assert not ours.out_proj.bias.detach().numpy().any()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda nn, m: nn.MultiheadAttention(5, 2), "divisible"),
        (lambda nn, m: nn.MultiheadAttention(0, 2), "greater than 0"),
        (lambda nn, m: nn.MultiheadAttention(4, 2)(m.ones(4), m.ones(4), m.ones(4)), "query: expected"),
        (lambda nn, m: nn.MultiheadAttention(4, 2)(m.ones(2, 1, 4), m.ones(2, 4), m.ones(2, 4)), "key: expected 3"),
        (lambda nn, m: nn.MultiheadAttention(4, 2)(*[m.ones(2, 1, 3)] * 3), "embed_dim = 4"),
        (lambda nn, m: nn.MultiheadAttention(4, 2)(*[m.ones(2, 1, 4)] * 3, is_causal=True), "hint"),
        (
            lambda nn, m: nn.MultiheadAttention(4, 2)(*[m.ones(2, 1, 4)] * 3, attn_mask=m.ones(3, 2)),
            r"expected shape \(2",
        ),
        (lambda nn, m: nn.MultiheadAttention(4, 2)(*[m.ones(2, 1, 4)] * 3, attn_mask=m.ones(2)), "2 or 3"),
        (
            lambda nn, m: nn.MultiheadAttention(4, 2)(*[m.ones(2, 1, 4)] * 3, m.ones(1, 3)),
            r"key_padding_mask: expected",
        ),
        (lambda nn, m: nn.MultiheadAttention(4, 2)(*[m.ones(2, 4)] * 3, attn_mask=m.ones(3, 2, 2)), "num_heads = 2"),
        (lambda nn, m: nn.MultiheadAttention(4, 2)(m.ones(2, 3, 4), *[m.ones(2, 1, 4)] * 2), "key: expected the batch"),
    ],
)
def test_refusals(call, match):
    with pytest.raises((RuntimeError, ValueError, AssertionError)):
        call(torch.nn, torch)
    with pytest.raises(ValueError, match=match):
        call(mc.nn, mc)


def test_refuses_integer_masks():
    with pytest.raises(TypeError, match="attn_mask: expected bool or floating point"):
        mc.nn.MultiheadAttention(4, 2)(*[mc.ones(2, 1, 4)] * 3, attn_mask=mc.tensor([[1, 0], [0, 1]]))
