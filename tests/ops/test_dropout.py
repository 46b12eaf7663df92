"""Dropout: the statistics and the determinism of its mask."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn as mc
from minicnn.ops.dropout import stochastic_depth
from tests.helpers.oracle import check_gradients, compare

F = mc.nn.functional


def generator(seed=0):
    return mc.Generator().manual_seed(seed)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [mc.float32, mc.float64])
def test_mask_statistics(p, dtype):
    n = 100_000
    out = F.dropout(mc.ones(n, dtype=dtype), p, generator=generator()).numpy()
    kept = out != 0
    np.testing.assert_array_equal(out[kept], np.asarray(1 / (1 - p), out.dtype))
    deviation = (p * (1 - p) / n) ** 0.5
    assert abs(kept.mean() - (1 - p)) < 4 * deviation
    # Neighbours are independent: the share of pairs both kept is (1 - p)^2.
    for step in (1, 4, 5):
        assert abs((kept[step:] & kept[:-step]).mean() - (1 - p) ** 2) < 6 * deviation


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 3, 4, 5), (0, 3)])
@pytest.mark.parametrize("dtype", [mc.float32, mc.float64])
def test_forward_and_backward_use_the_same_mask(shape, dtype):
    x = mc.randn(shape, dtype=dtype, requires_grad=True)
    out = F.dropout(x, 0.5)
    cotangent = mc.randn(shape, dtype=dtype)
    out.backward(cotangent)
    scale = np.where(out.detach().numpy() != 0, 2, 0)
    np.testing.assert_array_equal(out.detach().numpy(), x.detach().numpy() * scale)
    np.testing.assert_array_equal(x.grad.numpy(), cotangent.numpy() * scale)


def test_gradcheck():
    x = np.random.default_rng(0).standard_normal((3, 5))
    check_gradients(lambda m, x: F.dropout(x, 0.4, generator=generator(3)), x)


def test_the_mask_is_a_function_of_the_generator():
    x = mc.ones(1000)
    first = F.dropout(x, generator=generator(1))
    assert mc.equal(first, F.dropout(x, generator=generator(1)))
    assert not mc.equal(first, F.dropout(x, generator=generator(2)))
    g = generator(1)
    F.dropout(x, generator=g)
    assert not mc.equal(first, F.dropout(x, generator=g))
    mc.manual_seed(5)
    a = F.dropout(x)
    mc.manual_seed(5)
    assert mc.equal(a, F.dropout(x))


def test_the_mask_does_not_depend_on_back_end_threads_memory_order_or_type():
    x = mc.ones(2, 8, 33, 35)
    expected = F.dropout(x, 0.3, generator=generator(7)).numpy() != 0
    before = mc.get_num_threads()
    try:
        for threads in (1, 2, 3):
            mc.set_num_threads(threads)
            np.testing.assert_array_equal(F.dropout(x, 0.3, generator=generator(7)).numpy() != 0, expected)
    finally:
        mc.set_num_threads(before)
    with mc.use_backend("reference"):
        np.testing.assert_array_equal(F.dropout(x, 0.3, generator=generator(7)).numpy() != 0, expected)
    channels_last = mc.from_numpy(np.moveaxis(np.ones((2, 33, 35, 8), np.float32), -1, 1))
    np.testing.assert_array_equal(F.dropout(channels_last, 0.3, generator=generator(7)).numpy() != 0, expected)
    np.testing.assert_array_equal(F.dropout(x.double(), 0.3, generator=generator(7)).numpy() != 0, expected)


def test_the_edges_of_p():
    x = np.array([1.0, -2.0, np.nan, np.inf])
    compare(lambda m, x: m.nn.functional.dropout(x, 0.0), x)
    compare(lambda m, x: m.nn.functional.dropout(x, 1.0), x)
    compare(lambda m, x: m.nn.functional.dropout(x, 0.7, training=False), x)
    y = mc.ones(3)
    assert F.dropout(y, training=False) is y


def test_in_place():
    x = mc.ones(1000)
    expected = F.dropout(x, generator=generator(1))
    out = F.dropout(x, inplace=True, generator=generator(1))
    assert out is x
    assert mc.equal(x, expected)
    w = mc.ones(1000, requires_grad=True)
    y = w * 1
    assert F.dropout(y, inplace=True, generator=generator(1)) is y
    y.sum().backward()
    assert mc.equal(w.grad, expected)


def test_errors():
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"p: a probability of dropping is between 0 and 1, got {p}"):
            F.dropout(mc.ones(2), p)
    with pytest.raises(TypeError, match=r"input: dropout needs floating point, got minicnn.int64"):
        F.dropout(mc.tensor([1, 2]))
    with pytest.raises(RuntimeError, match=r"dropout\(inplace=True\): a leaf"):
        F.dropout(mc.ones(2, requires_grad=True), inplace=True)


CHANNELS = {
    "dropout1d": [(4, 50, 7), (50, 7)],
    "dropout2d": [(4, 50, 3, 2)],
    "dropout3d": [(4, 50, 2, 3, 2), (50, 2, 3, 2)],
}


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name, shapes in CHANNELS.items() for shape in shapes])
def test_channels_are_dropped_as_a_whole(name, shape):
    mc.manual_seed(0)
    x = (mc.rand(shape, dtype=mc.float64) + 0.5).requires_grad_()
    out = getattr(F, name)(x, 0.25)
    cotangent = mc.randn(shape, dtype=mc.float64)
    out.backward(cotangent)
    spatial = int(name[-2])
    scale = (out / x).detach().numpy()
    np.testing.assert_allclose(x.grad.numpy(), cotangent.numpy() * scale)
    flat = scale.reshape(*shape[:-spatial], -1)
    np.testing.assert_allclose(flat, np.broadcast_to(flat[..., :1], flat.shape))
    kept = flat[..., 0] != 0
    np.testing.assert_allclose(flat[..., 0][kept], 4 / 3)
    # 50 or 200 channels: five standard deviations of the share that is kept
    assert abs(kept.mean() - 0.75) < 5 * (0.25 * 0.75 / kept.size) ** 0.5
    assert getattr(F, name)(x, 0.25, training=False) is x
    np.testing.assert_array_equal(getattr(F, name)(x, 1.0).detach().numpy(), np.zeros(shape))


@pytest.mark.parametrize(("mode", "fates"), [("row", 400), ("batch", 1)])
def test_stochastic_depth_drops_whole_rows(mode, fates):
    mc.manual_seed(0)
    x = mc.randn(400, 3, 2, dtype=mc.float64, requires_grad=True)
    out = stochastic_depth(x, 0.25, mode)
    factors = (out / x).detach().numpy().reshape(400, -1)
    expected = np.where(factors[:, :1] > 0.5, 1 / 0.75, 0)
    np.testing.assert_allclose(factors, np.broadcast_to(expected, factors.shape), rtol=1e-12)
    if fates > 1:  # of 400 rows 100 are dropped, give or take a standard deviation of 8.7
        assert 60 < (expected == 0).sum() < 140
    else:
        assert len(np.unique(expected)) == 1
    cotangent = mc.randn(400, 3, 2, dtype=mc.float64)
    out.backward(cotangent)
    np.testing.assert_allclose(x.grad.numpy(), cotangent.numpy() * expected[:, :, None], rtol=1e-12)


def test_stochastic_depth_at_its_limits():
    x = mc.ones(3, 2)
    assert stochastic_depth(x, 0.5, "row", training=False) is x
    assert not stochastic_depth(x, 1.0, "row").any()
    with pytest.raises(ValueError, match="mode: expected 'row' or 'batch', got 'rows'"):
        stochastic_depth(x, 0.5, "rows")


@pytest.mark.parametrize("name", ["dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"])
def test_further_forms_in_place(name):
    shape = CHANNELS.get(name, [(4, 5, 6)])[0]
    x = mc.rand(shape)
    mc.manual_seed(3)
    expected = getattr(F, name)(x, 0.5, True)
    mc.manual_seed(3)
    assert getattr(F, name)(x, 0.5, training=True, inplace=True) is x
    assert mc.equal(x, expected)


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
@pytest.mark.parametrize("p", [0.1, 0.5])
def test_alpha_dropout_keeps_mean_and_variance(name, p):
    mc.manual_seed(0)
    x = mc.randn(400, 500, dtype=mc.float64).requires_grad_()
    out = getattr(F, name)(x, p, training=True)
    # 200,000 values, of which the dropped ones are equal: the mean's standard deviation is about 0.0022
    assert abs(out.mean().item()) < 0.015
    assert abs(out.var().item() - 1) < 0.02
    limit = -1.0507009873554805 * 1.6732632423543772
    scale = ((1 - p) * (1 + p * limit**2)) ** -0.5
    shift = -scale * limit * p
    dropped = np.isclose(out.detach().numpy(), scale * limit + shift, rtol=1e-12)
    assert abs(dropped.mean() - p) < 0.006
    np.testing.assert_allclose(
        out.detach().numpy()[~dropped], (x.detach().numpy() * scale + shift)[~dropped], rtol=1e-9
    )
    out.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.where(dropped, 0, scale))


def test_feature_alpha_dropout_drops_channels():
    out = F.feature_alpha_dropout(mc.ones(8, 16, 5), 0.5, training=True).numpy()
    np.testing.assert_array_equal(out, np.broadcast_to(out[..., :1], out.shape))
    assert len(np.unique(out)) == 2


def test_warnings_and_errors_of_further_forms():
    with pytest.warns(UserWarning, match=r"dropout2d is for \(n, c, h, w\), got shape \(2, 3, 4\)"):
        F.dropout2d(mc.ones(2, 3, 4))
    with pytest.warns(UserWarning, match=r"dropout3d is for \(n, c, depth, h, w\)"):
        F.dropout3d(mc.ones(2, 3, 4))
    with pytest.raises(ValueError, match=r"input: dropout1d takes \(n, c, length\) or \(c, length\), got shape \(2,\)"):
        F.dropout1d(mc.ones(2))
    with pytest.raises(ValueError, match=r"input: feature_alpha_dropout needs \(n, c, ...\), got shape \(2,\)"):
        F.feature_alpha_dropout(mc.ones(2), training=True)
    for name in ("alpha_dropout", "feature_alpha_dropout", "dropout1d"):
        with pytest.raises(ValueError, match="p: a probability"):
            getattr(F, name)(mc.ones(2, 3), 1.5)
