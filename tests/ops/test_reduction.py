"""Reductions against torch and central differences; ties, NaN, empty and 0-dimensional tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import minicnn as mc
from tests.helpers.oracle import FILLED_SHAPES, SHAPES, arrays, both_raise, check_gradients, compare, values

# float32: sums of up to 256 terms in another order
LOOSE = {"rtol": 2e-5, "atol": 1e-5}


def loose(x):
    return LOOSE if x.dtype == np.float32 else {}


@st.composite
def array_and_dims(draw, shapes=SHAPES, **options):
    """An array, and dimensions of it to reduce: one, several, or all; some counted from the end."""
    x = draw(arrays(shapes, **options))
    dims = draw(st.sets(st.integers(0, max(x.ndim - 1, 0)), max_size=x.ndim))
    dims = tuple(d - x.ndim if x.ndim and draw(st.booleans()) else d for d in dims)
    form = draw(st.sampled_from(["none", "tuple", "int"]))
    if form == "none" or not dims:
        return x, None
    return (x, dims) if form == "tuple" else (x, dims[0])


@given(pair=array_and_dims(), keepdim=st.booleans())
def test_sum_and_mean(pair, keepdim):
    x, dims = pair
    compare(lambda m, x: (m.sum(x, dims, keepdim), m.mean(x, dims, keepdim)), x, **loose(x))


@given(pair=array_and_dims(FILLED_SHAPES), keepdim=st.booleans(), correction=st.sampled_from([0, 1, 2]))
@pytest.mark.filterwarnings("ignore:.*degrees of freedom is <= 0:UserWarning")  # torch's; ours is in the docs
def test_var_and_std(pair, keepdim, correction):
    x, dims = pair
    compare(
        lambda m, x: (
            m.var(x, dims, correction=correction, keepdim=keepdim),
            m.std(x, dims, correction=correction, keepdim=keepdim),
        ),
        x,
        **loose(x),
    )


@given(pair=array_and_dims(FILLED_SHAPES), keepdim=st.booleans())
def test_amax_and_amin_share_the_gradient_of_ties(pair, keepdim):
    x, dims = pair
    dims = () if dims is None else dims
    compare(lambda m, x: (m.amax(x, dims, keepdim), m.amin(x, dims, keepdim)), x, **loose(x))


@given(x=arrays(FILLED_SHAPES), keepdim=st.booleans(), data=st.data())
def test_max_and_min_along_a_dimension(x, keepdim, data):
    dim = data.draw(st.integers(-max(x.ndim, 1), max(x.ndim, 1) - 1))

    def function(m, x):
        high, low = m.max(x, dim, keepdim), m.min(x, dim, keepdim)
        return high.values, low.values, m.argmax(x, dim, keepdim), m.argmin(x, dim, keepdim), high.indices, low.indices

    compare(function, x)


@given(x=arrays(FILLED_SHAPES))
def test_whole_max_min_arg(x):
    compare(lambda m, x: (m.max(x), m.min(x), m.argmax(x), m.argmin(x), m.argmax(x, keepdim=True)), x, **loose(x))


@given(pair=array_and_dims(), keepdim=st.booleans())
def test_any_and_all(pair, keepdim):
    x, dims = pair
    compare(lambda m, x: (m.any(x, dims, keepdim), m.all(x, dims, keepdim)), x, requires_grad=False)
    compare(lambda m, x: (m.any(x), m.all(x)), x > 0)
    compare(lambda m, x: (m.any(x), m.all(x)), np.abs(x).astype(np.uint8))


@pytest.mark.parametrize(
    "function",
    [
        lambda m, x: m.sum(x, (0, 2)),
        lambda m, x: m.mean(x, 1, True),
        lambda m, x: m.var(x),
        lambda m, x: m.var(x, (0, 1), correction=0, keepdim=True),
        lambda m, x: m.std(x, 2),
        lambda m, x: m.amax(x, (0, 1)),
        lambda m, x: m.amin(x),
        lambda m, x: m.max(x, 2),
        lambda m, x: m.min(x, 0).values,
        lambda m, x: m.max(x),
    ],
)
def test_gradcheck(function):
    x = values(np.random.default_rng(0), (2, 3, 4), kind="normal")
    check_gradients(lambda m, x: _floats(function(m, x)), x)


def _floats(output):
    return [t for t in (output if isinstance(output, tuple) else (output,)) if t.is_floating_point()]


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64])
def test_whole_numbers(dtype):
    x = np.array([[0, 1, 1], [1, 1, 0]]).astype(dtype)
    compare(lambda m, x: (m.sum(x), m.sum(x, 1), m.amax(x), m.amin(x, 0), m.max(x)), x)
    compare(lambda m, x: tuple(m.max(x, 1)), x)
    compare(lambda m, x: m.sum(x, dtype=m.float32), x)
    compare(lambda m, x: m.mean(x, dtype=m.float64), x)
    if dtype != np.bool_:
        compare(lambda m, x: (m.argmax(x), m.argmin(x, 1)), x)
        compare(lambda m, x: m.sum(x, dtype=m.int32), x)
    both_raise(lambda m, x: m.mean(x), x, match=r"input: mean needs floating point")
    both_raise(lambda m, x: m.var(x), x, match=r"input: var needs floating point")
    with pytest.raises(TypeError, match=r"input: std needs"):
        mc.from_numpy(x).std()


def test_sum_into_another_type():
    compare(lambda m, x: m.sum(x, dtype=m.float64), np.ones((2, 3), np.float32))
    compare(lambda m, x: m.sum(x, dtype=m.int32), np.full((2, 3), 1.7), requires_grad=False)
    compare(lambda m, x: x.mean(0, dtype=m.float64), np.ones((2, 3), np.float32))


@pytest.mark.parametrize("function", [lambda m, x: m.max(x), lambda m, x: m.min(x), lambda m, x: m.max(x, 1)])
def test_nan_wins(function):
    x = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, np.nan]])
    compare(function, x)
    # torch's amax divides by the number of elements equal to NaN, none: no gradient to compare.
    compare(lambda m, x: m.amax(x, 0), x, requires_grad=False)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_nothing_to_reduce(shape):
    x = np.zeros(shape)
    compare(lambda m, x: (m.sum(x), m.mean(x), m.sum(x, 0)), x)
    for function in (lambda m, x: m.max(x), lambda m, x: m.amin(x), lambda m, x: m.argmax(x)):
        both_raise(function, x, match=r"nothing to choose from.*shape")
    if shape == (2, 0):
        both_raise(lambda m, x: m.max(x, 1), x, match=r"nothing to choose from")
        compare(lambda m, x: tuple(m.max(x, 0)), x)


def test_bad_dims():
    x = np.ones((2, 3))
    both_raise(lambda m, x: m.sum(x, 2), x, match=r"dim: expected -2 to 1 for a tensor of 2 dimensions, got 2")
    both_raise(lambda m, x: m.sum(x, (0, -2)), x, match=r"once")
    both_raise(lambda m, x: m.max(x, -3), x, match=r"dim")
    both_raise(lambda m, x: m.argmax(x, 5), x, match=r"dim")
    both_raise(lambda m, x: m.sum(x, 0.5), x, match=r"dim: expected an integer, got float")
    both_raise(lambda m, x: m.sum(x, 1), np.array(1.0), match=r"dim: expected -1 to 0")
    with pytest.raises(TypeError, match=r"correction or unbiased"):
        mc.ones(3).var(unbiased=True, correction=1)


def test_older_spellings():
    x = np.array([[1.0, 2.0], [4.0, 8.0]])
    compare(lambda m, x: (x.var(False), x.var(0, False), x.std(unbiased=False), x.std(1, True, True)), x)
    compare(lambda m, x: (x.sum(()), x.sum([]), x.sum([0, 1])), x)
    compare(lambda m, x: (x.max(m.zeros(2, 2).double() + 3), x.min(m.zeros(2, 2).double() + 3)), x)


def test_indices_changed_before_the_backward_pass_are_an_error():
    x = mc.tensor([[1.0, 2.0]], requires_grad=True)
    best, where = x.max(1)
    where.add_(-1)
    with pytest.raises(RuntimeError, match=r"TakeAlong kept.*add_"):
        best.backward()


def test_std_of_equal_numbers_has_no_slope():
    compare(lambda m, x: (x.std(), x.std(0)), np.ones((3, 2)))
    assert torch.ones(2).std() == 0


@pytest.mark.parametrize("order", ["rows", "columns", "channels last"])
def test_long_float32_sums_keep_their_digits(order):
    """Within a few units in the last place of the float64 sum, in every memory order, as torch's cascade does."""
    x = np.random.default_rng(0).random((40_000, 8), dtype=np.float32)
    if order == "columns":
        x = np.asfortranarray(x)
    elif order == "channels last":
        x = np.moveaxis(x.reshape(2, 200, 100, 8), -1, 1)
    dims = (0,) if x.ndim == 2 else (0, 2, 3)
    exact = x.astype(np.float64)
    tensor = mc.from_numpy(x)
    np.testing.assert_allclose(tensor.sum(dims).numpy(), exact.sum(dims), rtol=3e-7)
    np.testing.assert_allclose(tensor.mean(dims).numpy(), exact.mean(dims), rtol=3e-7)
    np.testing.assert_allclose(tensor.var(dims).numpy(), exact.var(dims, ddof=1), rtol=1e-6)
    np.testing.assert_allclose(tensor.sum().numpy(), exact.sum(), rtol=3e-7)
    bias = mc.zeros(8, 1, 1)[: x.shape[1] if x.ndim == 4 else 8].requires_grad_()
    row = bias if x.ndim == 4 else bias.reshape(8)
    (tensor * row).sum().backward()
    np.testing.assert_allclose(bias.grad.numpy().ravel(), exact.sum(dims), rtol=3e-7)


@given(pair=array_and_dims(), keepdim=st.booleans(), data=st.data())
def test_without_nan(pair, keepdim, data):
    x, dims = pair
    if data.draw(st.booleans()):
        x = np.where(x == 0, np.asarray(np.nan, x.dtype), x)
    compare(lambda m, x: m.nansum(x, dims, keepdim), x, **loose(x))
    # Where all are NaN, torch's gradient of nanmean is NaN; here elements that do not count have none.
    compare(lambda m, x: m.nanmean(x, dims, keepdim), x, requires_grad=not np.isnan(x).any(), **loose(x))
    compare(lambda m, x: m.count_nonzero(x, dims), x)


@given(x=arrays(), keepdim=st.booleans(), data=st.data())
def test_products_with_zeros(x, keepdim, data):
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1)) if x.ndim else 0
    compare(lambda m, x: (m.prod(x, dim, keepdim), x.prod()), x, **(loose(x) or {"rtol": 1e-10}))


@given(pair=array_and_dims(FILLED_SHAPES), keepdim=st.booleans())
def test_logsumexp(pair, keepdim):
    x, dims = pair
    dims = tuple(range(x.ndim)) if dims is None else dims
    if x.ndim or not isinstance(dims, tuple):
        compare(lambda m, x: m.logsumexp(x, dims, keepdim), x * 100, **loose(x))


@given(x=arrays(FILLED_SHAPES), keepdim=st.booleans(), data=st.data())
def test_aminmax(x, keepdim, data):
    dim = data.draw(st.none() | st.integers(-x.ndim, x.ndim - 1)) if x.ndim else None
    compare(lambda m, x: m.aminmax(x, dim=dim, keepdim=keepdim), x)
    result = mc.aminmax(mc.tensor(x))
    assert result.min is result[0]
    assert result.max is result[1]


def test_whole_numbers_of_the_rest():
    x = np.arange(-3, 3).reshape(2, 3)
    compare(lambda m, x: (x.prod(), x.prod(1), x.prod(0, dtype=m.float32), m.nansum(x, 1), *m.aminmax(x)), x)
    compare(lambda m, x: m.logsumexp(x, 0), x, rtol=1e-6)
    compare(lambda m, x: ((x > 0).prod(1), m.count_nonzero(x > 0, (0, 1))), x)
    both_raise(lambda m, x: m.nanmean(x), x, match="nanmean needs floating point")
    both_raise(lambda m, x: m.max(2, x), x, match="input: expected a Tensor, got int")
    both_raise(lambda m, x: m.logsumexp(x), x, match="dim")
