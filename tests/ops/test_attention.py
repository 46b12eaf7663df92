"""Scaled dot-product attention against torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from minicnn.nn import functional as F
from tests.helpers.oracle import FLOATS, SEEDS, both_raise, check_gradients, compare

LEADING = st.sampled_from([(), (2,), (2, 3), (1, 2, 3)])


@st.composite
def operands(draw):
    """query, key, value, whose leading sizes broadcast, and a mask."""
    leading = draw(LEADING)
    queries, keys, width, value_width = (draw(st.integers(1, 5)) for _ in range(4))
    dtype, rng = draw(FLOATS), np.random.default_rng(draw(SEEDS))

    def some(*sizes):  # perhaps with a 1 or fewer dimensions in front
        shape = tuple(draw(st.sampled_from([size, size, 1])) for size in leading) if draw(st.booleans()) else leading
        return rng.standard_normal((*shape, *sizes)).astype(dtype)

    # The query has all of the leading sizes: torch takes no mask with more dimensions than the scores have.
    q = rng.standard_normal((*leading, queries, width)).astype(dtype)
    mask = None
    kind = draw(st.sampled_from(["none", "bool", "float"]))
    if kind != "none":
        shape = [draw(st.sampled_from([1, size])) for size in (*leading, queries, keys)]
        shape = shape[draw(st.integers(0, len(leading))) :]
        mask = rng.random(shape) < 0.7 if kind == "bool" else rng.standard_normal(shape).astype(dtype)
        if kind == "float":
            mask[rng.random(shape) < 0.2] = -np.inf
    return q, some(keys, width), some(keys, value_width), mask


@given(operands(), st.booleans(), st.sampled_from([None, 0.7, -0.5]), st.booleans())
def test_as_torch(drawn, causal, scale, mask_gradient):
    q, k, v, mask = drawn

    def attention(m, q, k, v, mask=None):
        if mask is not None and not mask_gradient:
            mask = mask.detach()
        # torch refuses both in some of its kernels, and adds the causal mask in others.
        return m.nn.functional.scaled_dot_product_attention(q, k, v, mask, 0.0, causal and mask is None, scale=scale)

    tolerance = {"rtol": 1e-10, "atol": 1e-11} if q.dtype == np.float64 else {"rtol": 1e-4, "atol": 1e-5}
    compare(attention, q, k, v, *(() if mask is None else (mask,)), **tolerance)


@pytest.mark.parametrize(("heads", "few"), [(6, 2), (6, 1), (4, 4)])
@pytest.mark.parametrize("causal", [False, True])
def test_grouped_queries(heads, few, causal):
    rng = np.random.default_rng(heads)
    q, k, v = (rng.standard_normal((2, h, rows, 4)) for h, rows in ((heads, 3), (few, 5), (few, 5)))
    compare(
        lambda m, q, k, v: m.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=True),
        q, k, v,
    )  # fmt: skip


@pytest.mark.parametrize("mask_gradient", [False, True])
def test_gradients_by_differences(mask_gradient):
    rng = np.random.default_rng(3)
    q, k, v, mask = (rng.standard_normal(shape) for shape in ((2, 3, 2), (2, 4, 2), (2, 4, 3), (3, 4)))

    def attention(m, q, k, v, mask):
        mask = mask if mask_gradient else mask.detach()
        return m.nn.functional.scaled_dot_product_attention(q, k, v, mask, is_causal=True)

    if mask_gradient:
        check_gradients(attention, q, k, v, mask)
    else:
        check_gradients(lambda m, q, k, v: attention(m, q, k, v, m.tensor(mask)), q, k, v)


@pytest.mark.parametrize("steps", [False, True])
def test_a_query_that_sees_no_key(steps):
    """Zeros, and zero gradients, whichever way it is computed."""
    mask = mc.tensor([[-np.inf, -np.inf], [0.0, 0.0]]).requires_grad_(steps)
    q, k, v = (mc.ones(2, 3, requires_grad=True) for _ in range(3))
    out = F.scaled_dot_product_attention(q, k, v, mask)
    assert out.tolist() == [[0, 0, 0], [1, 1, 1]]
    out.sum().backward()
    assert all(np.isfinite(x.grad.numpy()).all() for x in (q, k, v))
    assert q.grad[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("p", [0.25, 0.6])
def test_dropout(p):
    """Weights are dropped and the others scaled: with equal weights, v = 1 and many keys, the output is near 1."""
    mc.manual_seed(0)
    q, k, v = mc.zeros(1, 4, 3), mc.zeros(1, 10000, 3), mc.ones(1, 10000, 2, requires_grad=True)
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=p)
    np.testing.assert_allclose(out.detach().numpy(), 1, atol=0.06)  # six standard deviations
    assert len(set(out.detach().numpy()[0, :, 0].tolist())) == 4  # a mask of its own for each query
    out.sum().backward()
    grads = v.grad.numpy()[0, :, 0] * 10000 * (1 - p)
    counts = np.bincount(np.round(grads).astype(int), minlength=5) / 10000
    expected = [p**4, 4 * p**3 * (1 - p), 6 * p**2 * (1 - p) ** 2, 4 * p * (1 - p) ** 3, (1 - p) ** 4]
    np.testing.assert_allclose(counts, expected, atol=0.03)
    assert F.scaled_dot_product_attention(q, k, v, dropout_p=1.0).abs().sum().item() == 0


def test_a_mask_changed_in_place_is_noticed():
    q, mask = mc.ones(2, 2, requires_grad=True), mc.zeros(2, 2)
    out = F.scaled_dot_product_attention(q, q, q, mask)
    mask.fill_(1)
    with pytest.raises(RuntimeError, match="changed it in place"):
        out.sum().backward()


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda F, m: F.scaled_dot_product_attention(m.ones(4), m.ones(4), m.ones(4)), "at least"),
        (lambda F, m: F.scaled_dot_product_attention(m.ones(2, 3), m.ones(2, 4), m.ones(2, 4)), "as many columns"),
        (lambda F, m: F.scaled_dot_product_attention(m.ones(2, 2, 3), m.ones(3, 2, 3), m.ones(2, 2, 3)), "broadcast"),
        (lambda F, m: F.scaled_dot_product_attention(*[m.ones(2, 3)] * 3, m.ones(3, 2)), "does not broadcast"),
        (lambda F, m: F.scaled_dot_product_attention(*[m.ones(2, 3)] * 3, m.ones(5, 2, 2)), "does not broadcast"),
        (lambda F, m: F.scaled_dot_product_attention(*[m.ones(2, 3)] * 3, m.tensor([[1, 1], [1, 1]])), "bool or"),
        (lambda F, m: F.scaled_dot_product_attention(*[m.ones(2, 3)] * 3, dropout_p=1.5), "between 0 and 1"),
        (lambda F, m: F.scaled_dot_product_attention(*[m.tensor([[1, 2]])] * 3), "floating point"),
        (lambda F, m: F.scaled_dot_product_attention(m.ones(2, 3), m.ones(2, 3).double(), m.ones(2, 3)), "one type"),
        (
            lambda F, m: F.scaled_dot_product_attention(
                m.ones(1, 5, 2, 3), m.ones(1, 2, 2, 3), m.ones(1, 2, 2, 3), enable_gqa=True
            ),
            "divides",
        ),
    ],
)
def test_refusals(call, match):
    both_raise(lambda m: call(m.nn.functional, m), match=match)


def test_the_reference_gives_the_same():
    rng = np.random.default_rng(0)
    q, k, v = (mc.tensor(rng.standard_normal((2, 3, 4))) for _ in range(3))
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    with mc.use_backend("reference"):
        np.testing.assert_allclose(
            out.numpy(), F.scaled_dot_product_attention(q, k, v, is_causal=True).numpy(), rtol=1e-12
        )
    torch_out = torch.nn.functional.scaled_dot_product_attention(
        *(torch.from_numpy(x.numpy()) for x in (q, k, v)), is_causal=True
    )
    np.testing.assert_allclose(out.numpy(), torch_out.numpy(), rtol=1e-10)
